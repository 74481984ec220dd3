/*
 * What it costs rte_member's sketch to count flows, of which the heaviest are to be
 * known: the peer of `benches/src/bin/heavy_perf.rs`.
 *
 * Method:
 * - 2^20 packets of flows with keys of 16 bytes, flow n about 1/n as often as flow
 *   1, counted again and again until `--seconds` have passed; the first time through
 *   is not counted;
 * - the sketch is to err by 1 in 1000 of all packets, as 1000 counters do; rows: it
 *   looks at every packet, or at one in 100 (*sampled*). Cycles a packet;
 * - it must report the ten heaviest flows among its 100.
 */
#include <inttypes.h>
#include <math.h>

#include <rte_member.h>

#include "bench.h"

#define UNIT "cycles/packet"
#define PACKETS (1u << 20)
#define TOP 100
#define KEY 16

static uint8_t keys[PACKETS][KEY];

static uint64_t
draw(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void
make_keys(void)
{
	uint64_t state = 6;

	for (size_t i = 0; i < PACKETS; i++) {
		const double unit = ((double)(draw(&state) >> 11) + 1.0) / 9007199254740993.0;
		const uint32_t flow = 1.0 / unit > 1e6 ? 1000000 : (uint32_t)(1.0 / unit);
		memset(keys[i], 7, KEY);
		memcpy(keys[i], &flow, sizeof(flow));
	}
}

static void
must_know_the_heaviest(struct rte_member_setsum *sketch)
{
	static uint8_t room[TOP][KEY];
	void *found[TOP];
	uint64_t counts[TOP];
	int n, known = 0;

	for (size_t i = 0; i < TOP; i++)
		found[i] = room[i];
	n = rte_member_report_heavyhitter(sketch, found, counts);
	for (int i = 0; i < n; i++) {
		uint32_t flow;
		memcpy(&flow, found[i], sizeof(flow));
		known += flow <= 10;
	}
	fprintf(stderr, "heavy: %d reported, %d of the ten heaviest\n", n, known);
	if (known < 10)
		bench_fail("the heaviest flows are not known");
}

static void
count(const struct bench *bench, const char *name, float sample_rate)
{
	struct rte_member_parameters parameters = {
		.name = name, .type = RTE_MEMBER_TYPE_SKETCH, .key_len = KEY, .prim_hash_seed = 1,
		.sec_hash_seed = 11, .error_rate = 0.001f, .sample_rate = sample_rate, .top_k = TOP,
		.socket_id = 0,
	};
	uint64_t spent = 0, times = 0;
	struct rte_member_setsum *sketch;

	if (!bench_wanted(bench, name))
		return;
	sketch = rte_member_create(&parameters);
	if (sketch == NULL)
		bench_fail("rte_member_create");
	for (unsigned int turn = 0; turn < 2 || spent < bench->budget; turn++) {
		const uint64_t start = rte_rdtsc();
		for (size_t i = 0; i < PACKETS; i++)
			rte_member_add(sketch, keys[i], 1);
		if (turn > 0) {
			spent += rte_rdtsc() - start;
			times++;
		}
	}
	must_know_the_heaviest(sketch);
	bench_emit(name, UNIT, (double)spent / (double)(times * PACKETS));
	rte_member_free(sketch);
}

int
main(int argc, char **argv)
{
	const struct bench bench = bench_start(argc, argv, 0.2);

	make_keys();
	count(&bench, "heavy 1 in 1000", 1.0f);
	count(&bench, "heavy 1 in 1000 sampled", 0.01f);
	return 0;
}

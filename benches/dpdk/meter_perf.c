/*
 * What rte_meter's colours cost: the peer of `benches/src/bin/meter_perf.rs`.
 *
 * Method:
 * - 4096 meters of one profile, 50 Mbyte/s committed, 4096 bytes a bucket (where
 *   there is a second rate: another 50 Mbyte/s); packets of 64 to 1518 bytes meet
 *   meters in a drawn order, 2^16 packets, again until `--seconds` have passed;
 * - the clock, which is the time stamp counter, is read once for 32 packets, as
 *   once a burst; the first time through is not counted;
 * - aware: packets have colours, two in four green. Cycles a packet. How many
 *   came out in each colour the last time is a remark.
 */
#include <inttypes.h>

#include <rte_meter.h>

#include "bench.h"

#define UNIT "cycles/packet"
#define METERS 4096
#define PACKETS (1u << 16)
#define BURST 32
#define RATE 50000000u
#define SIZE 4096u

struct packet {
	uint32_t meter;
	uint32_t bytes;
	enum rte_color color;
};

static struct packet packets[PACKETS];
static uint8_t colors[PACKETS];

static uint64_t
draw(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void
make_packets(void)
{
	static const enum rte_color given[4] = { RTE_COLOR_GREEN, RTE_COLOR_GREEN,
						  RTE_COLOR_YELLOW, RTE_COLOR_RED };
	uint64_t state = 5;

	for (size_t i = 0; i < PACKETS; i++) {
		packets[i].meter = draw(&state) % METERS;
		packets[i].bytes = 64 + draw(&state) % 1455;
		packets[i].color = given[draw(&state) % 4];
	}
}

/* A case: all packets until the budget is spent. `CALL` colours packet `p` at `now`. */
#define CASE(name, meter_type, profile, config, CALL)                                        \
	static void name(const struct bench *bench, const char *title)                       \
	{                                                                                    \
		static struct meter_type meters[METERS];                                     \
		uint64_t spent = 0, times = 0, seen[RTE_COLORS] = { 0 };                     \
                                                                                             \
		if (!bench_wanted(bench, title))                                             \
			return;                                                              \
		for (size_t i = 0; i < METERS; i++)                                          \
			if (config(&meters[i], &profile) != 0)                               \
				bench_fail("a meter");                                       \
		for (unsigned int turn = 0; turn < 2 || spent < bench->budget; turn++) {     \
			const uint64_t start = rte_rdtsc();                                  \
			for (size_t at = 0; at < PACKETS; at += BURST) {                     \
				const uint64_t now = rte_rdtsc();                            \
				for (size_t i = at; i < at + BURST; i++) {                   \
					const struct packet *p = &packets[i];                \
					colors[i] = (uint8_t)CALL;                           \
				}                                                            \
			}                                                                    \
			if (turn > 0) {                                                      \
				spent += rte_rdtsc() - start;                                \
				times++;                                                     \
			}                                                                    \
		}                                                                            \
		for (size_t i = 0; i < PACKETS; i++)                                         \
			seen[colors[i]]++;                                                   \
		fprintf(stderr, "%s: green %" PRIu64 ", yellow %" PRIu64 ", red %" PRIu64 "\n", \
			title, seen[0], seen[1], seen[2]);                                   \
		bench_emit(title, UNIT, (double)spent / (double)(times * PACKETS));          \
	}

static struct rte_meter_srtcm_profile sr;
static struct rte_meter_trtcm_profile tr;
static struct rte_meter_trtcm_rfc4115_profile tr4115;

CASE(sr_blind, rte_meter_srtcm, sr, rte_meter_srtcm_config,
     rte_meter_srtcm_color_blind_check(&meters[p->meter], &sr, now, p->bytes))
CASE(sr_aware, rte_meter_srtcm, sr, rte_meter_srtcm_config,
     rte_meter_srtcm_color_aware_check(&meters[p->meter], &sr, now, p->bytes, p->color))
CASE(tr_blind, rte_meter_trtcm, tr, rte_meter_trtcm_config,
     rte_meter_trtcm_color_blind_check(&meters[p->meter], &tr, now, p->bytes))
CASE(tr_aware, rte_meter_trtcm, tr, rte_meter_trtcm_config,
     rte_meter_trtcm_color_aware_check(&meters[p->meter], &tr, now, p->bytes, p->color))
CASE(tr4115_blind, rte_meter_trtcm_rfc4115, tr4115, rte_meter_trtcm_rfc4115_config,
     rte_meter_trtcm_rfc4115_color_blind_check(&meters[p->meter], &tr4115, now, p->bytes))
CASE(tr4115_aware, rte_meter_trtcm_rfc4115, tr4115, rte_meter_trtcm_rfc4115_config,
     rte_meter_trtcm_rfc4115_color_aware_check(&meters[p->meter], &tr4115, now, p->bytes,
					       p->color))

int
main(int argc, char **argv)
{
	const struct bench bench = bench_start(argc, argv, 0.2);
	struct rte_meter_srtcm_params of_sr = { .cir = RATE, .cbs = SIZE, .ebs = SIZE };
	struct rte_meter_trtcm_params of_tr = { .cir = RATE, .pir = 2 * RATE, .cbs = SIZE, .pbs = SIZE };
	struct rte_meter_trtcm_rfc4115_params of_4115 = { .cir = RATE, .eir = RATE, .cbs = SIZE,
							  .ebs = SIZE };

	if (rte_meter_srtcm_profile_config(&sr, &of_sr) != 0 ||
	    rte_meter_trtcm_profile_config(&tr, &of_tr) != 0 ||
	    rte_meter_trtcm_rfc4115_profile_config(&tr4115, &of_4115) != 0)
		bench_fail("a profile");
	make_packets();
	sr_blind(&bench, "meter srTCM blind");
	sr_aware(&bench, "meter srTCM aware");
	tr_blind(&bench, "meter trTCM blind");
	tr_aware(&bench, "meter trTCM aware");
	tr4115_blind(&bench, "meter trTCM 4115 blind");
	tr4115_aware(&bench, "meter trTCM 4115 aware");
	return 0;
}

/*
 * rte_ring's cost per element: the peer of `benches/src/bin/ring_perf.rs`.
 *
 * Method (the parameters of DPDK's ring_perf_autotest, legacy pointer API):
 * - a ring of 4096 slots of 8 bytes, empty at the start; a single-producer,
 *   single-consumer one for "spsc", the default one for "mpmc";
 * - sizes 8, 32, 64, 128, 256, unknown to the compiler;
 * - one core (CPU 0): the loop body is one enqueue and one dequeue of N
 *   elements with the same table. A chunk is 2^20 / N loops between two rdtsc;
 *   the first chunk is not counted; chunks are added until `--seconds` have
 *   passed. The figure is cycles / elements.
 * - two cores: the producer on CPU 0 and the consumer on CPU 1 each do
 *   2^19 / N bulk operations between their own two rdtsc, and pause after
 *   every attempt that found no room or too few elements. Both meet at a
 *   barrier before each round; the first round is not counted. The figure is
 *   the producer's cycles per element plus the consumer's, as the autotest
 *   prints it.
 */
#include <rte_ring.h>

#include "bench.h"

#define RING_SLOTS 4096
#define MAX_SIZE 256
#define CHUNK_ELEMENTS (1u << 20)
#define ROUND_ELEMENTS (1u << 19)
#define UNIT "cycles/element"

static const volatile unsigned int sizes[] = { 8, 32, 64, 128, 256 };

enum mode { SPSC, MPMC };
enum verb { SINGLE, BURST, BULK };

static const char *const mode_names[] = { "spsc", "mpmc" };
static const char *const verb_names[] = { "single", "burst", "bulk" };

/* One enqueue of `n`; `mode` and `verb` are constants wherever this is inlined. */
static __rte_always_inline unsigned int
enqueue(struct rte_ring *ring, void **table, unsigned int n, enum mode mode, enum verb verb)
{
	if (verb == SINGLE)
		return (mode == SPSC ? rte_ring_sp_enqueue(ring, table[0])
				     : rte_ring_mp_enqueue(ring, table[0])) == 0;
	if (verb == BURST)
		return mode == SPSC ? rte_ring_sp_enqueue_burst(ring, table, n, NULL)
				    : rte_ring_mp_enqueue_burst(ring, table, n, NULL);
	return mode == SPSC ? rte_ring_sp_enqueue_bulk(ring, table, n, NULL)
			    : rte_ring_mp_enqueue_bulk(ring, table, n, NULL);
}

static __rte_always_inline unsigned int
dequeue(struct rte_ring *ring, void **table, unsigned int n, enum mode mode, enum verb verb)
{
	if (verb == SINGLE)
		return (mode == SPSC ? rte_ring_sc_dequeue(ring, &table[0])
				     : rte_ring_mc_dequeue(ring, &table[0])) == 0;
	if (verb == BURST)
		return mode == SPSC ? rte_ring_sc_dequeue_burst(ring, table, n, NULL)
				    : rte_ring_mc_dequeue_burst(ring, table, n, NULL);
	return mode == SPSC ? rte_ring_sc_dequeue_bulk(ring, table, n, NULL)
			    : rte_ring_mc_dequeue_bulk(ring, table, n, NULL);
}

static __rte_always_inline uint64_t
chunk(struct rte_ring *ring, void **table, unsigned int n, enum mode mode, enum verb verb)
{
	const unsigned int loops = CHUNK_ELEMENTS / n;
	const uint64_t start = rte_rdtsc();

	for (unsigned int i = 0; i < loops; i++) {
		enqueue(ring, table, n, mode, verb);
		dequeue(ring, table, n, mode, verb);
	}
	return rte_rdtsc() - start;
}

static __rte_always_inline double
one_core(const struct bench *bench, struct rte_ring *ring, unsigned int n, enum mode mode,
	 enum verb verb)
{
	void *table[MAX_SIZE] = { 0 };
	uint64_t cycles = 0, elements = 0;

	chunk(ring, table, n, mode, verb);
	while (cycles < bench->budget) {
		cycles += chunk(ring, table, n, mode, verb);
		elements += CHUNK_ELEMENTS;
	}
	return (double)cycles / (double)elements;
}

/* What the two threads of a two-core case share. */
struct pair {
	struct rte_ring *ring;
	struct bench_gate gate;
	unsigned int n;
	enum mode mode;
	bool more;
	uint64_t consumer_cycles; /* of the last round */
};

static __rte_always_inline uint64_t
produce(struct rte_ring *ring, void **table, unsigned int n, enum mode mode)
{
	const unsigned int loops = ROUND_ELEMENTS / n;
	const uint64_t start = rte_rdtsc();

	for (unsigned int i = 0; i < loops; i++)
		while (enqueue(ring, table, n, mode, BULK) == 0)
			rte_pause();
	return rte_rdtsc() - start;
}

static __rte_always_inline uint64_t
consume(struct rte_ring *ring, void **table, unsigned int n, enum mode mode)
{
	const unsigned int loops = ROUND_ELEMENTS / n;
	const uint64_t start = rte_rdtsc();

	for (unsigned int i = 0; i < loops; i++)
		while (dequeue(ring, table, n, mode, BULK) == 0)
			rte_pause();
	return rte_rdtsc() - start;
}

static int
consumer(void *arg)
{
	struct pair *pair = arg;
	void *table[MAX_SIZE] = { 0 };

	for (unsigned int turn = 1;; turn++) {
		bench_gate_worker(&pair->gate, turn);
		if (!pair->more)
			return 0;
		pair->consumer_cycles = pair->mode == SPSC
						? consume(pair->ring, table, pair->n, SPSC)
						: consume(pair->ring, table, pair->n, MPMC);
	}
}

/* The main thread's side: the producer, and who decides when it is enough. */
static double
two_core(const struct bench *bench, struct rte_ring *ring, unsigned int n, enum mode mode)
{
	struct pair pair = { .ring = ring, .n = n, .mode = mode, .more = true };
	void *table[MAX_SIZE] = { 0 };
	uint64_t mine = 0, theirs = 0, elements = 0, cycles = 0;
	unsigned int turn = 1;

	if (rte_eal_remote_launch(consumer, &pair, WORKER_LCORE) != 0)
		bench_fail("the worker lcore did not start");
	bench_gate_wait(&pair.gate, turn);
	while (pair.more) {
		bench_gate_release(&pair.gate, turn);
		cycles = mode == SPSC ? produce(ring, table, n, SPSC) : produce(ring, table, n, MPMC);
		bench_gate_wait(&pair.gate, ++turn);
		if (turn == 2) /* that was the warm-up */
			continue;
		mine += cycles;
		theirs += pair.consumer_cycles;
		elements += ROUND_ELEMENTS;
		pair.more = mine < bench->budget;
	}
	bench_gate_release(&pair.gate, turn);
	rte_eal_wait_lcore(WORKER_LCORE);
	return (double)(mine + theirs) / (double)elements;
}

static double
run_one_core(const struct bench *bench, struct rte_ring *ring, unsigned int n, enum mode mode,
	     enum verb verb)
{
	if (verb == SINGLE)
		return mode == SPSC ? one_core(bench, ring, 1, SPSC, SINGLE)
				    : one_core(bench, ring, 1, MPMC, SINGLE);
	if (verb == BURST)
		return mode == SPSC ? one_core(bench, ring, n, SPSC, BURST)
				    : one_core(bench, ring, n, MPMC, BURST);
	return mode == SPSC ? one_core(bench, ring, n, SPSC, BULK)
			    : one_core(bench, ring, n, MPMC, BULK);
}

static void
check(struct rte_ring *ring)
{
	void *in[MAX_SIZE], *out[MAX_SIZE] = { 0 };

	for (uintptr_t i = 0; i < MAX_SIZE; i++)
		in[i] = (void *)(i + 1);
	if (rte_ring_enqueue_bulk(ring, in, MAX_SIZE, NULL) != MAX_SIZE ||
	    rte_ring_dequeue_bulk(ring, out, MAX_SIZE, NULL) != MAX_SIZE ||
	    memcmp(in, out, sizeof(in)) != 0 || !rte_ring_empty(ring))
		bench_fail("the ring does not give back what was put in, in order");
}

static void
single_cases(const struct bench *bench, struct rte_ring **rings)
{
	for (enum mode mode = SPSC; mode <= MPMC; mode++) {
		char name[64];

		snprintf(name, sizeof(name), "%s one-core single", mode_names[mode]);
		if (bench_wanted(bench, name))
			bench_emit(name, UNIT, run_one_core(bench, rings[mode], 1, mode, SINGLE));
	}
}

static void
one_core_cases(const struct bench *bench, struct rte_ring *ring, enum mode mode, enum verb verb)
{
	for (size_t i = 0; i < BENCH_COUNT(sizes); i++) {
		const unsigned int n = sizes[i];
		char name[64];

		snprintf(name, sizeof(name), "%s one-core %s %u", mode_names[mode],
			 verb_names[verb], n);
		if (bench_wanted(bench, name))
			bench_emit(name, UNIT, run_one_core(bench, ring, n, mode, verb));
	}
}

static void
two_core_cases(const struct bench *bench, struct rte_ring *ring, enum mode mode)
{
	for (size_t i = 0; i < BENCH_COUNT(sizes); i++) {
		const unsigned int n = sizes[i];
		char name[64];

		snprintf(name, sizeof(name), "%s two-core bulk %u", mode_names[mode], n);
		if (bench_wanted(bench, name))
			bench_emit(name, UNIT, two_core(bench, ring, n, mode));
	}
}

int
main(int argc, char **argv)
{
	const struct bench bench = bench_start(argc, argv, 0.1);
	struct rte_ring *rings[] = {
		[SPSC] = rte_ring_create("spsc", RING_SLOTS, SOCKET_ID_ANY,
					 RING_F_SP_ENQ | RING_F_SC_DEQ),
		[MPMC] = rte_ring_create("mpmc", RING_SLOTS, SOCKET_ID_ANY, 0),
	};

	for (enum mode mode = SPSC; mode <= MPMC; mode++) {
		if (rings[mode] == NULL)
			bench_fail("no memory for a ring");
		check(rings[mode]);
	}
	single_cases(&bench, rings);
	for (enum verb verb = BURST; verb <= BULK; verb++)
		for (enum mode mode = SPSC; mode <= MPMC; mode++)
			one_core_cases(&bench, rings[mode], mode, verb);
	for (enum mode mode = SPSC; mode <= MPMC && bench.cpus > 1; mode++)
		two_core_cases(&bench, rings[mode], mode);
	rte_eal_cleanup();
	return 0;
}

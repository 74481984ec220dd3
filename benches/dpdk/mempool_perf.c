/*
 * rte_mempool's and rte_mbuf's rate: the peer of `benches/src/bin/mempool_perf.rs`.
 *
 * Method (DPDK's mempool_perf_autotest): every core gets 512 objects in bulks
 * of N, then puts them back in bulks of N, over and over.
 * - the pool has 2047 objects (2 cores * (512 kept + 512 cached) - 1) of 2048
 *   bytes, and a cache of 512 objects a core or none;
 * - a block is 65,536 objects, 128 passes of get-all and put-all; the TSC is
 *   read after each block, and a core stops when `--seconds` have passed. One
 *   block is done before, not counted;
 * - two cores (0 and 1) start together and the figure is the sum of their rates;
 * - the figure is millions of objects that were got and put back, per second;
 * - "mempool" is rte_mempool_generic_get/put, with the lcore's cache looked up
 *   once, as in the autotest; "mbuf" is rte_pktmbuf_alloc_bulk/free_bulk on a
 *   pool of 2047 mbufs with 2048 bytes of data room and 128 of headroom.
 */
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "bench.h"

#define OBJECTS 2047
#define OBJECT_BYTES 2048
#define KEEP 512
#define BLOCK_OBJECTS 65536
#define CACHE 512
#define UNIT "Mobjects/s"

static const volatile unsigned int sizes[] = { 1, 8, 32, 64, 128, 256 };

enum what { MEMPOOL, MBUF };

static const char *const what_names[] = { "mempool", "mbuf" };

/* What the cores of one case share. */
struct job {
	struct rte_mempool *pool;
	enum what what;
	unsigned int n;
	uint64_t budget;
	struct bench_gate gate;
	double worker_rate;
};

static __rte_always_inline void
take(struct job *job, struct rte_mempool_cache *cache, void **table, unsigned int n, enum what what)
{
	int failed = what == MEMPOOL
			     ? rte_mempool_generic_get(job->pool, table, n, cache)
			     : rte_pktmbuf_alloc_bulk(job->pool, (struct rte_mbuf **)table, n);

	if (unlikely(failed))
		bench_fail("the pool ran out of objects");
}

static __rte_always_inline void
give_back(struct job *job, struct rte_mempool_cache *cache, void **table, unsigned int n,
	  enum what what)
{
	if (what == MEMPOOL)
		rte_mempool_generic_put(job->pool, table, n, cache);
	else
		rte_pktmbuf_free_bulk((struct rte_mbuf **)table, n);
}

static __rte_always_inline void
block(struct job *job, struct rte_mempool_cache *cache, unsigned int n, enum what what)
{
	void *table[KEEP] __rte_cache_aligned;

	for (unsigned int pass = 0; pass < BLOCK_OBJECTS / KEEP; pass++) {
		for (unsigned int at = 0; at < KEEP; at += n)
			take(job, cache, &table[at], n, what);
		for (unsigned int at = 0; at < KEEP; at += n)
			give_back(job, cache, &table[at], n, what);
	}
}

/* Millions of objects per second on this core. */
static __rte_always_inline double
rate(struct job *job, enum what what)
{
	struct rte_mempool_cache *cache = rte_mempool_default_cache(job->pool, rte_lcore_id());
	const unsigned int n = job->n;
	const uint64_t start = rte_rdtsc();
	uint64_t elapsed = 0, objects = 0;

	while (elapsed < job->budget) {
		block(job, cache, n, what);
		objects += BLOCK_OBJECTS;
		elapsed = rte_rdtsc() - start;
	}
	return (double)objects / ((double)elapsed / (double)rte_get_tsc_hz()) / 1e6;
}

static void
warm_up(struct job *job)
{
	struct rte_mempool_cache *cache = rte_mempool_default_cache(job->pool, rte_lcore_id());

	block(job, cache, job->n, job->what);
}

static double
run(struct job *job)
{
	return job->what == MEMPOOL ? rate(job, MEMPOOL) : rate(job, MBUF);
}

static int
worker(void *arg)
{
	struct job *job = arg;

	warm_up(job);
	bench_gate_worker(&job->gate, 1);
	job->worker_rate = run(job);
	return 0;
}

static double
one_core(struct job *job)
{
	warm_up(job);
	return run(job);
}

static double
two_core(struct job *job)
{
	double mine;

	if (rte_eal_remote_launch(worker, job, WORKER_LCORE) != 0)
		bench_fail("the worker lcore did not start");
	warm_up(job);
	bench_gate_wait(&job->gate, 1);
	bench_gate_release(&job->gate, 1);
	mine = run(job);
	rte_eal_wait_lcore(WORKER_LCORE);
	return mine + job->worker_rate;
}

static struct rte_mempool *
create(enum what what, unsigned int cache)
{
	char name[32];

	snprintf(name, sizeof(name), "%s_%u", what_names[what], cache);
	if (what == MBUF)
		return rte_pktmbuf_pool_create(name, OBJECTS, cache, 0,
					       OBJECT_BYTES + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
	return rte_mempool_create(name, OBJECTS, OBJECT_BYTES, cache, 0, NULL, NULL, NULL, NULL,
				  SOCKET_ID_ANY, 0);
}

static void
check(struct rte_mempool *pool)
{
	static void *all[OBJECTS + 1];

	if (rte_mempool_get_bulk(pool, all, OBJECTS + 1) == 0)
		bench_fail("the pool gives more than it has");
	if (rte_mempool_generic_get(pool, all, OBJECTS, NULL) != 0)
		bench_fail("the pool does not give all it has");
	rte_mempool_generic_put(pool, all, OBJECTS, NULL);
	if (rte_mempool_avail_count(pool) != OBJECTS)
		bench_fail("the pool does not take all back");
}

static void
cases(const struct bench *bench, struct rte_mempool *pool, enum what what, unsigned int cache)
{
	for (unsigned int cores = 1; cores <= 2 && cores <= bench->cpus; cores++) {
		for (size_t i = 0; i < BENCH_COUNT(sizes); i++) {
			struct job job = { .pool = pool, .what = what, .n = sizes[i],
					   .budget = bench->budget };
			char name[64];

			snprintf(name, sizeof(name), "%s %s %s bulk %u", what_names[what],
				 cache ? "cache 512" : "no cache",
				 cores == 1 ? "one-core" : "two-core", job.n);
			if (bench_wanted(bench, name))
				bench_emit(name, UNIT, cores == 1 ? one_core(&job) : two_core(&job));
		}
	}
}

int
main(int argc, char **argv)
{
	const struct bench bench = bench_start(argc, argv, 0.5);
	static const unsigned int caches[] = { CACHE, 0 };

	for (enum what what = MEMPOOL; what <= MBUF; what++) {
		for (size_t i = 0; i < BENCH_COUNT(caches); i++) {
			struct rte_mempool *pool = create(what, caches[i]);

			if (pool == NULL)
				bench_fail("no memory for a pool");
			check(pool);
			cases(&bench, pool, what, caches[i]);
			rte_mempool_free(pool);
		}
	}
	rte_eal_cleanup();
	return 0;
}

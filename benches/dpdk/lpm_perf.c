/*
 * What a look-up and an update of rte_lpm, rte_fib, rte_lpm6 and rte_fib6 cost:
 * the peer of `benches/src/bin/lpm_perf.rs`.
 *
 * Method:
 * - inputs as in lpm_inputs.h; `--data DIR` is the folder that holds `bgp/`;
 * - bulks of 32 and 64, unknown to the compiler, through 2^20 addresses in turn,
 *   again until `--seconds` have passed; the first time through is not counted;
 * - every way to look up is measured (rte_lpm: bulk and x4; rte_fib with next hops
 *   of 4 bytes: scalar and AVX-512), and the row is the best of them, the others
 *   are remarks. Tables are asserted to agree before;
 * - add: all routes into an empty table in their order, cycles a route; replace:
 *   every 64th route with another next hop; delete: those again, and added back.
 *   Of rte_lpm alone, for IPv6 of rte_lpm6.
 */
#define ALLOW_EXPERIMENTAL_API /* rte_vect_set_max_simd_bitwidth */
#include <inttypes.h>

#include <rte_fib.h>
#include <rte_fib6.h>
#include <rte_lpm.h>
#include <rte_lpm6.h>
#include <rte_vect.h>

#include "lpm_inputs.h"

#define UNIT "cycles/lookup"
#define UPDATE_UNIT "cycles/route"
#define MAX_BULK 64
#define UPDATE_STEP 64
#define NO_ROUTE 0xffffffu

static const volatile unsigned int bulks[] = { 32, 64 };

struct tables {
	struct rte_lpm *lpm;
	struct rte_fib *fib;
	struct rte_lpm6 *lpm6;
	struct rte_fib6 *fib6;
};

/* One way to look up `n` addresses, that begin at number `at`. */
typedef uint64_t (*way_fn)(const struct tables *tables, const void *addresses, size_t at,
			   unsigned int n);

struct way {
	const char *name;
	way_fn look_up;
	int type; /* of rte_fib, or -1 */
};

static uint64_t
lpm_bulk(const struct tables *tables, const void *addresses, size_t at, unsigned int n)
{
	uint32_t found[MAX_BULK];

	rte_lpm_lookup_bulk(tables->lpm, (const uint32_t *)addresses + at, found, n);
	return found[n - 1];
}

static uint64_t
lpm_x4(const struct tables *tables, const void *addresses, size_t at, unsigned int n)
{
	uint32_t found[MAX_BULK];

	for (unsigned int i = 0; i < n; i += 4) {
		const void *four = (const uint32_t *)addresses + at + i;
		rte_lpm_lookupx4(tables->lpm, _mm_loadu_si128(four), found + i, NO_ROUTE);
	}
	return found[n - 1];
}

static uint64_t
fib_bulk(const struct tables *tables, const void *addresses, size_t at, unsigned int n)
{
	uint64_t found[MAX_BULK];

	rte_fib_lookup_bulk(tables->fib, (uint32_t *)(uintptr_t)addresses + at, found, (int)n);
	return found[n - 1];
}

static uint64_t
lpm6_bulk(const struct tables *tables, const void *addresses, size_t at, unsigned int n)
{
	int32_t found[MAX_BULK];
	uint8_t(*from)[16] = (uint8_t(*)[16])(uintptr_t)addresses + at;

	rte_lpm6_lookup_bulk_func(tables->lpm6, from, found, n);
	return (uint64_t)found[n - 1];
}

static uint64_t
fib6_bulk(const struct tables *tables, const void *addresses, size_t at, unsigned int n)
{
	uint64_t found[MAX_BULK];
	uint8_t(*from)[16] = (uint8_t(*)[16])(uintptr_t)addresses + at;

	rte_fib6_lookup_bulk(tables->fib6, from, found, (int)n);
	return found[n - 1];
}

static const struct way ways4[] = {
	{ "rte_lpm bulk", lpm_bulk, -1 },
	{ "rte_lpm x4", lpm_x4, -1 },
	{ "rte_fib macro", fib_bulk, RTE_FIB_LOOKUP_DIR24_8_SCALAR_MACRO },
	{ "rte_fib inline", fib_bulk, RTE_FIB_LOOKUP_DIR24_8_SCALAR_INLINE },
	{ "rte_fib AVX-512", fib_bulk, RTE_FIB_LOOKUP_DIR24_8_VECTOR_AVX512 },
};

static const struct way ways6[] = {
	{ "rte_lpm6 bulk", lpm6_bulk, -1 },
	{ "rte_fib6 scalar", fib6_bulk, RTE_FIB6_LOOKUP_TRIE_SCALAR },
	{ "rte_fib6 AVX-512", fib6_bulk, RTE_FIB6_LOOKUP_TRIE_VECTOR_AVX512 },
};

static double
cost(const struct bench *bench, const struct tables *tables, const struct way *way,
     const void *addresses, unsigned int bulk)
{
	uint64_t spent = 0, times = 0, sum = 0;

	for (unsigned int turn = 0; turn == 0 || spent < bench->budget; turn++) {
		const uint64_t start = rte_rdtsc();
		for (size_t at = 0; at < ADDRESSES; at += bulk)
			sum += way->look_up(tables, addresses, at, bulk);
		if (turn > 0) {
			spent += rte_rdtsc() - start;
			times++;
		}
		if (turn > 0 && bench->budget == 0)
			break;
	}
	if (sum == 0)
		bench_fail("nothing was found");
	return (double)spent / (double)(times * ADDRESSES);
}

/* Whether the processor and the table have this way. */
static bool
choose(const struct tables *tables, const struct way *way, bool v6)
{
	if (way->type < 0)
		return true;
	if (v6)
		return rte_fib6_select_lookup(tables->fib6, way->type) == 0;
	return rte_fib_select_lookup(tables->fib, way->type) == 0;
}

static void
look_up(const struct bench *bench, const struct tables *tables, const char *stem,
	const void *addresses, bool v6)
{
	const struct way *ways = v6 ? ways6 : ways4;
	const size_t count = v6 ? BENCH_COUNT(ways6) : BENCH_COUNT(ways4);

	for (size_t size = 0; size < BENCH_COUNT(bulks); size++) {
		char name[96];
		double best = 0;

		snprintf(name, sizeof(name), "%s bulk %u", stem, bulks[size]);
		if (!bench_wanted(bench, name))
			continue;
		for (const struct way *way = ways; way < ways + count; way++) {
			if (!choose(tables, way, v6))
				continue;
			double now = cost(bench, tables, way, addresses, bulks[size]);
			fprintf(stderr, "%s: %s %.2f\n", name, way->name, now);
			best = best == 0 || now < best ? now : best;
		}
		bench_emit(name, UNIT, best);
	}
}

static void
add4(struct rte_lpm *lpm, const struct route4 *route, uint32_t next_hop)
{
	if (rte_lpm_add(lpm, route->addr, route->len, next_hop) != 0)
		bench_fail("rte_lpm_add");
}

static double
cycles_each(uint64_t start, size_t count)
{
	return (double)(rte_rdtsc() - start) / (double)count;
}

static void
update4(struct rte_lpm *lpm, const struct routes *routes, const char *stem)
{
	const size_t count = (routes->v4_count + UPDATE_STEP - 1) / UPDATE_STEP;
	char name[96];
	uint64_t start = rte_rdtsc();

	for (size_t i = 0; i < routes->v4_count; i += UPDATE_STEP)
		add4(lpm, &routes->v4[i], routes->v4[i].next_hop ^ 1);
	snprintf(name, sizeof(name), "%s replace", stem);
	bench_emit(name, UPDATE_UNIT, cycles_each(start, count));
	start = rte_rdtsc();
	for (size_t i = 0; i < routes->v4_count; i += UPDATE_STEP)
		rte_lpm_delete(lpm, routes->v4[i].addr, routes->v4[i].len);
	snprintf(name, sizeof(name), "%s delete", stem);
	bench_emit(name, UPDATE_UNIT, cycles_each(start, count));
	for (size_t i = 0; i < routes->v4_count; i += UPDATE_STEP)
		add4(lpm, &routes->v4[i], routes->v4[i].next_hop);
}

static struct rte_lpm *
fill_lpm(const struct routes *routes, const char *stem, bool updates)
{
	struct rte_lpm_config config = { .max_rules = 1u << 21, .number_tbl8s = 1u << 14 };
	struct rte_lpm *lpm = rte_lpm_create(stem, SOCKET_ID_ANY, &config);
	char name[96];

	if (lpm == NULL)
		bench_fail("rte_lpm_create");
	uint64_t start = rte_rdtsc();
	for (size_t i = 0; i < routes->v4_count; i++)
		add4(lpm, &routes->v4[i], routes->v4[i].next_hop);
	snprintf(name, sizeof(name), "%s add", stem);
	if (updates) {
		bench_emit(name, UPDATE_UNIT, cycles_each(start, routes->v4_count));
		update4(lpm, routes, stem);
	}
	return lpm;
}

static struct rte_fib *
fill_fib(const struct routes *routes, const char *stem)
{
	struct rte_fib_conf config = { .type = RTE_FIB_DIR24_8,
				       .default_nh = NO_ROUTE,
				       .max_routes = (int)(routes->v4_count * 5 / 4),
				       .dir24_8 = { RTE_FIB_DIR24_8_4B, 1u << 14 } };
	struct rte_fib *fib = rte_fib_create(stem, SOCKET_ID_ANY, &config);

	if (fib == NULL)
		bench_fail("rte_fib_create");
	for (size_t i = 0; i < routes->v4_count; i++) {
		const struct route4 *route = &routes->v4[i];
		if (rte_fib_add(fib, route->addr, route->len, route->next_hop) != 0)
			bench_fail("rte_fib_add");
	}
	return fib;
}

/* A sum of what is found, which our side prints too. */
static void
agree4(const struct tables *tables, const char *stem, uint32_t *addresses)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < ADDRESSES; i++) {
		uint32_t lpm = NO_ROUTE;
		uint64_t fib;
		if (rte_lpm_lookup(tables->lpm, addresses[i], &lpm) != 0)
			lpm = NO_ROUTE;
		rte_fib_lookup_bulk(tables->fib, &addresses[i], &fib, 1);
		if (lpm != fib)
			bench_fail("rte_lpm and rte_fib disagree");
		sum += lpm;
	}
	fprintf(stderr, "%s: sum %" PRIu64 "\n", stem, sum);
}

static void
table4(const struct bench *bench, const struct routes *routes, const char *stem, bool routed)
{
	struct tables tables = { 0 };
	char name[64];

	if (strncmp(bench->filter, stem, strlen(stem)) != 0 && !bench_wanted(bench, stem) &&
	    strstr(bench->filter, "bulk") == NULL)
		return;
	tables.lpm = fill_lpm(routes, stem, strstr(bench->filter, "bulk") == NULL);
	tables.fib = fill_fib(routes, stem);
	for (int pass = 0; pass <= routed; pass++) {
		uint32_t *addresses = pass ? routed_addresses4(routes) : random_addresses();
		snprintf(name, sizeof(name), "%s %s", stem, pass ? "routed" : "random");
		agree4(&tables, name, addresses);
		look_up(bench, &tables, name, addresses, false);
		free(addresses);
	}
	rte_lpm_free(tables.lpm);
	rte_fib_free(tables.fib);
}

static struct rte_lpm6 *
fill_lpm6(const struct routes *routes, const char *stem)
{
	struct rte_lpm6_config config = { .max_rules = 1u << 17, .number_tbl8s = 1u << 16 };
	struct rte_lpm6 *lpm = rte_lpm6_create(stem, SOCKET_ID_ANY, &config);
	char name[96];

	if (lpm == NULL)
		bench_fail("rte_lpm6_create");
	uint64_t start = rte_rdtsc();
	for (size_t i = 0; i < routes->v6_count; i++) {
		struct route6 *route = &routes->v6[i];
		if (rte_lpm6_add(lpm, route->addr, route->len, route->next_hop) != 0)
			bench_fail("rte_lpm6_add");
	}
	snprintf(name, sizeof(name), "%s add", stem);
	bench_emit(name, UPDATE_UNIT, cycles_each(start, routes->v6_count));
	const size_t count = (routes->v6_count + UPDATE_STEP - 1) / UPDATE_STEP;
	start = rte_rdtsc();
	for (size_t i = 0; i < routes->v6_count; i += UPDATE_STEP)
		rte_lpm6_add(lpm, routes->v6[i].addr, routes->v6[i].len,
			     routes->v6[i].next_hop ^ 1);
	snprintf(name, sizeof(name), "%s replace", stem);
	bench_emit(name, UPDATE_UNIT, cycles_each(start, count));
	start = rte_rdtsc();
	for (size_t i = 0; i < routes->v6_count; i += UPDATE_STEP)
		rte_lpm6_delete(lpm, routes->v6[i].addr, routes->v6[i].len);
	snprintf(name, sizeof(name), "%s delete", stem);
	bench_emit(name, UPDATE_UNIT, cycles_each(start, count));
	for (size_t i = 0; i < routes->v6_count; i += UPDATE_STEP)
		rte_lpm6_add(lpm, routes->v6[i].addr, routes->v6[i].len, routes->v6[i].next_hop);
	return lpm;
}

static struct rte_fib6 *
fill_fib6(const struct routes *routes, const char *stem)
{
	struct rte_fib6_conf config = { .type = RTE_FIB6_TRIE,
					.default_nh = NO_ROUTE,
					.max_routes = 1 << 17,
					.trie = { RTE_FIB6_TRIE_4B, 1u << 16 } };
	struct rte_fib6 *fib = rte_fib6_create(stem, SOCKET_ID_ANY, &config);

	if (fib == NULL)
		bench_fail("rte_fib6_create");
	for (size_t i = 0; i < routes->v6_count; i++) {
		struct route6 *route = &routes->v6[i];
		if (rte_fib6_add(fib, route->addr, route->len, route->next_hop) != 0)
			bench_fail("rte_fib6_add");
	}
	return fib;
}

static void
agree6(const struct tables *tables, const char *stem, uint8_t (*addresses)[16])
{
	uint64_t sum = 0;

	for (size_t i = 0; i < ADDRESSES; i++) {
		uint32_t lpm = NO_ROUTE;
		uint64_t fib;
		rte_lpm6_lookup(tables->lpm6, addresses[i], &lpm);
		rte_fib6_lookup_bulk(tables->fib6, &addresses[i], &fib, 1);
		if (lpm != fib)
			bench_fail("rte_lpm6 and rte_fib6 disagree");
		sum += lpm;
	}
	fprintf(stderr, "%s: sum %" PRIu64 "\n", stem, sum);
}

static void
table6(const struct bench *bench, const struct routes *routes)
{
	struct tables tables = { 0 };
	uint8_t(*addresses)[16];

	tables.lpm6 = fill_lpm6(routes, "lpm6 real");
	tables.fib6 = fill_fib6(routes, "lpm6 real");
	addresses = routed_addresses6(routes);
	agree6(&tables, "lpm6 real routed", addresses);
	look_up(bench, &tables, "lpm6 real routed", addresses, true);
	free(addresses);
	rte_lpm6_free(tables.lpm6);
	rte_fib6_free(tables.fib6);
}

/* Takes `--data DIR` out of the arguments. */
static const char *
data_folder(int *argc, char **argv)
{
	const char *folder = "../shared/data";

	for (int i = 1; i + 1 < *argc; i++) {
		if (strcmp(argv[i], "--data") != 0)
			continue;
		folder = argv[i + 1];
		memmove(&argv[i], &argv[i + 2], (size_t)(*argc - i - 1) * sizeof(*argv));
		*argc -= 2;
		break;
	}
	return folder;
}

int
main(int argc, char **argv)
{
	const char *folder = data_folder(&argc, argv);
	const struct bench bench = bench_start(argc, argv, 0.3);

	rte_vect_set_max_simd_bitwidth(RTE_VECT_SIMD_512);
	if (strncmp(bench.filter, "lpm6", 4) != 0) {
		const struct routes real = read_routes(folder, "ipv4-2014-05-13.dat.gz");
		const struct routes million = make_million();
		if (real.v4_count > 0 && strncmp(bench.filter, "lpm4 million", 12) != 0)
			table4(&bench, &real, "lpm4 real", true);
		if (strncmp(bench.filter, "lpm4 real", 9) != 0)
			table4(&bench, &million, "lpm4 million", true);
	}
	if (strncmp(bench.filter, "lpm4", 4) != 0) {
		const struct routes real = read_routes(folder, "ipv6-2015-11-01.dat.gz");
		if (real.v6_count > 0)
			table6(&bench, &real);
	}
	return 0;
}

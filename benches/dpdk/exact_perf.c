/*
 * rte_hash's cost per key: the peer of `benches/src/bin/exact_perf.rs`.
 *
 * Method (the grid of DPDK's hash_perf_autotest):
 * - tables for 2^19 entries filled to 75 % with keys of 4, 16, 40 and 64 bytes,
 *   and with keys of 16 bytes also 2^20 filled to 95 % and 2^13 to 75 %; no
 *   flags, the default hash (CRC32c in hardware);
 * - the hash computed inside, or before ("hashed");
 * - add and delete: all keys in, all keys out, until `--seconds` have passed
 *   for each; the first round is not counted;
 * - lookup, and bulk of 32 and 64: all keys in the order in which they were
 *   added, again and again, the first time uncounted; "miss" asks for as many
 *   other keys. Every round's count of hits is checked.
 * - writer: on CPU 1 a reader looks for 2^18 * 3/4 keys in bulks of 32; on
 *   CPU 0 a writer adds as many others and deletes them, without end. The
 *   table is made for lock-free readers, and frees deleted keys by RCU; the
 *   reader reports a quiescent state after each bulk. "change" is the
 *   writer's cost of an addition or deletion.
 */
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_rcu_qsbr.h>

#include "bench.h"

#define UNIT "cycles/key"
#define MAX_LEN 64
#define MAX_BULK 64

static const volatile unsigned int bulks[] = { 32, 64 };

struct shape {
	unsigned int len, bits, percent;
	const char *name;
};

static const struct shape shapes[] = {
	{ 4, 19, 75, "exact 4 B 2^19 75 %" },   { 16, 19, 75, "exact 16 B 2^19 75 %" },
	{ 16, 20, 95, "exact 16 B 2^20 95 %" }, { 16, 13, 75, "exact 16 B 2^13 75 %" },
	{ 40, 19, 75, "exact 40 B 2^19 75 %" }, { 64, 19, 75, "exact 64 B 2^19 75 %" },
};

/* Keys in a row, and their hashes. */
struct keys {
	uint8_t *bytes;
	hash_sig_t *hashes;
	unsigned int len, count;
};

struct cases {
	const struct bench *bench;
	const struct shape *shape;
	struct rte_hash *table;
	struct keys present, absent;
	bool filled;
};

static uint32_t
mix(uint32_t n)
{
	n = (n ^ n >> 16) * 0x85ebca6b;
	n = (n ^ n >> 13) * 0xc2b2ae35;
	return n ^ n >> 16;
}

static inline const void *
key_at(const struct keys *keys, unsigned int i)
{
	return keys->bytes + (size_t)i * keys->len;
}

/* The same keys as the twin's: numbers from `first` on, mixed. */
static struct keys
make_keys(unsigned int len, unsigned int first, unsigned int count)
{
	struct keys keys = {
		.bytes = malloc((size_t)len * count),
		.hashes = malloc(sizeof(hash_sig_t) * count),
		.len = len,
		.count = count,
	};

	for (unsigned int i = 0; i < count; i++)
		for (unsigned int at = 0; at < len; at += 4) {
			const uint32_t word = mix(first + i + at / 4 * 0x9e3779b9);

			memcpy(keys.bytes + (size_t)i * len + at, &word, 4);
		}
	return keys;
}

static void
hash_keys(const struct rte_hash *table, struct keys *keys)
{
	for (unsigned int i = 0; i < keys->count; i++)
		keys->hashes[i] = rte_hash_hash(table, key_at(keys, i));
}

static void
free_keys(struct keys *keys)
{
	free(keys->bytes);
	free(keys->hashes);
}

static struct rte_hash *
make_table(unsigned int len, unsigned int bits, uint8_t flags)
{
	const struct rte_hash_parameters parameters = {
		.name = "exact",
		.entries = 1u << bits,
		.key_len = len,
		.socket_id = 0,
		.extra_flag = flags,
	};
	struct rte_hash *table = rte_hash_create(&parameters);

	if (table == NULL)
		bench_fail("no memory for a table");
	return table;
}

static bool
wanted(const struct cases *cases, const char *name)
{
	char full[128];

	snprintf(full, sizeof(full), "%s %s", cases->shape->name, name);
	return bench_wanted(cases->bench, full);
}

static void
emit(const struct cases *cases, const char *name, double value)
{
	char full[128];

	snprintf(full, sizeof(full), "%s %s", cases->shape->name, name);
	bench_emit(full, UNIT, value);
}

static __rte_always_inline void
add_all(struct rte_hash *table, const struct keys *keys, bool hashed)
{
	for (unsigned int i = 0; i < keys->count; i++) {
		const void *key = key_at(keys, i);
		const int done = hashed ? rte_hash_add_key_with_hash_data(table, key, keys->hashes[i],
									  (void *)1)
					: rte_hash_add_key_data(table, key, (void *)1);

		if (done < 0)
			bench_fail("a key finds no room");
	}
}

static __rte_always_inline void
delete_all(struct rte_hash *table, const struct keys *keys, bool hashed)
{
	for (unsigned int i = 0; i < keys->count; i++) {
		const void *key = key_at(keys, i);
		const int done = hashed ? rte_hash_del_key_with_hash(table, key, keys->hashes[i])
					: rte_hash_del_key(table, key);

		if (done < 0)
			bench_fail("a key is not there");
	}
}

static __rte_always_inline void
changes(struct cases *cases, bool hashed)
{
	const char *add = hashed ? "add hashed" : "add";
	const char *delete = hashed ? "delete hashed" : "delete";
	uint64_t adding = 0, deleting = 0, rounds = 0;

	if (!wanted(cases, add) && !wanted(cases, delete))
		return;
	rte_hash_reset(cases->table);
	cases->filled = false;
	while (adding < cases->bench->budget || deleting < cases->bench->budget) {
		const uint64_t start = rte_rdtsc();

		add_all(cases->table, &cases->present, hashed);
		const uint64_t middle = rte_rdtsc();

		delete_all(cases->table, &cases->present, hashed);
		if (rounds++ > 0) {
			adding += middle - start;
			deleting += rte_rdtsc() - middle;
		}
	}
	const double count = (double)(rounds - 1) * cases->present.count;

	if (wanted(cases, add))
		emit(cases, add, (double)adding / count);
	if (wanted(cases, delete))
		emit(cases, delete, (double)deleting / count);
}

static __rte_always_inline unsigned int
look_one_by_one(const struct rte_hash *table, const struct keys *keys, bool hashed)
{
	unsigned int found = 0;

	for (unsigned int i = 0; i < keys->count; i++) {
		const void *key = key_at(keys, i);

		found += (hashed ? rte_hash_lookup_with_hash(table, key, keys->hashes[i])
				 : rte_hash_lookup(table, key)) >= 0;
	}
	return found;
}

static __rte_always_inline unsigned int
look_in_bulk(const struct rte_hash *table, const struct keys *keys, unsigned int bulk, bool hashed)
{
	unsigned int found = 0;
	const void *pointers[MAX_BULK];
	int32_t positions[MAX_BULK];

	for (unsigned int i = 0; i < keys->count; i += bulk) {
		const unsigned int n = RTE_MIN(bulk, keys->count - i);
		uint64_t hits = 0;

		for (unsigned int j = 0; j < n; j++)
			pointers[j] = key_at(keys, i + j);
		if (hashed)
			rte_hash_lookup_with_hash_bulk(table, pointers, &keys->hashes[i], n, positions);
		else
			rte_hash_lookup_bulk(table, pointers, n, positions);
		for (unsigned int j = 0; j < n; j++)
			hits += positions[j] >= 0;
		found += hits;
	}
	return found;
}

static __rte_always_inline unsigned int
look(const struct rte_hash *table, const struct keys *keys, unsigned int bulk, bool hashed)
{
	return bulk == 1 ? look_one_by_one(table, keys, hashed)
			 : look_in_bulk(table, keys, bulk, hashed);
}

static __rte_always_inline void
lookups(struct cases *cases, unsigned int bulk, bool hashed, bool miss)
{
	const struct keys *keys = miss ? &cases->absent : &cases->present;
	const unsigned int expected = miss ? 0 : keys->count;
	uint64_t spent = 0, rounds = 0;
	char name[64];

	snprintf(name, sizeof(name), bulk == 1 ? "lookup%s %s" : "bulk %3$u%1$s %2$s",
		 hashed ? " hashed" : "", miss ? "miss" : "hit", bulk);
	if (!wanted(cases, name))
		return;
	if (!cases->filled)
		add_all(cases->table, &cases->present, false);
	cases->filled = true;
	if (look(cases->table, keys, bulk, hashed) != expected)
		bench_fail(name);
	while (spent < cases->bench->budget) {
		const uint64_t start = rte_rdtsc();
		const unsigned int found = look(cases->table, keys, bulk, hashed);

		spent += rte_rdtsc() - start;
		rounds++;
		if (found != expected)
			bench_fail(name);
	}
	emit(cases, name, (double)spent / (double)(rounds * keys->count));
}

static __rte_always_inline void
every_lookup(struct cases *cases, bool hashed)
{
	for (int miss = 0; miss < 2; miss++) {
		lookups(cases, 1, hashed, miss);
		for (size_t i = 0; i < BENCH_COUNT(bulks); i++)
			lookups(cases, bulks[i], hashed, miss);
	}
}

/* Whether the filter may name a case of this shape: its table is large. */
static bool
shape_wanted(const struct bench *bench, const struct shape *shape)
{
	const size_t len = RTE_MIN(strlen(bench->filter), strlen(shape->name));

	return strncmp(bench->filter, "exact ", 6) != 0 ||
	       strncmp(bench->filter, shape->name, len) == 0;
}

static void
of_shape(const struct bench *bench, const struct shape *shape)
{
	const unsigned int count = (uint64_t)(1u << shape->bits) * shape->percent / 100;
	struct cases cases = { .bench = bench, .shape = shape };

	cases.table = make_table(shape->len, shape->bits, 0);
	cases.present = make_keys(shape->len, 0, count);
	cases.absent = make_keys(shape->len, count, count);
	hash_keys(cases.table, &cases.present);
	hash_keys(cases.table, &cases.absent);
	changes(&cases, false);
	every_lookup(&cases, false);
	changes(&cases, true);
	every_lookup(&cases, true);
	free_keys(&cases.present);
	free_keys(&cases.absent);
	rte_hash_free(cases.table);
}

/* What the two threads of the writer's cases share. */
struct pair {
	struct rte_hash *table;
	struct rte_rcu_qsbr *rcu;
	struct keys asked;
	struct bench_gate gate;
	unsigned int expected;
	uint64_t budget;
	bool stop;
	double read;
};

static int
reader(void *arg)
{
	struct pair *pair = arg;
	const struct keys *keys = &pair->asked;
	uint64_t spent = 0, looked = 0;

	rte_rcu_qsbr_thread_register(pair->rcu, 0);
	rte_rcu_qsbr_thread_online(pair->rcu, 0);
	bench_gate_worker(&pair->gate, 1);
	while (spent < pair->budget) {
		const uint64_t start = rte_rdtsc();
		unsigned int found = 0;

		for (unsigned int i = 0; i < keys->count; i += 32) {
			const struct keys some = {
				.bytes = keys->bytes + (size_t)i * keys->len,
				.len = keys->len,
				.count = RTE_MIN(32u, keys->count - i),
			};

			found += look_in_bulk(pair->table, &some, 32, false);
			rte_rcu_qsbr_quiescent(pair->rcu, 0);
		}
		spent += rte_rdtsc() - start;
		looked += keys->count;
		if (found != pair->expected)
			bench_fail("a reader beside a writer miscounts");
	}
	rte_rcu_qsbr_thread_offline(pair->rcu, 0);
	pair->read = (double)spent / (double)looked;
	__atomic_store_n(&pair->stop, true, __ATOMIC_RELEASE);
	return 0;
}

static double
writer(struct pair *pair, const struct keys *keys)
{
	const uint64_t start = rte_rdtsc();
	uint64_t changes = 0;

	for (;;) {
		for (unsigned int i = 0; i < keys->count; i++) {
			while (rte_hash_add_key_data(pair->table, key_at(keys, i), (void *)1) < 0)
				rte_pause();
			changes++;
			if (i % 1024 == 1023 && __atomic_load_n(&pair->stop, __ATOMIC_ACQUIRE))
				return (double)(rte_rdtsc() - start) / (double)changes;
		}
		delete_all(pair->table, keys, false);
		changes += keys->count;
	}
}

static void
beside_a_writer(const struct bench *bench, bool miss, const char *name, const char *change)
{
	const unsigned int half = (1u << 19) / 8 * 3;
	struct keys kept = make_keys(16, 0, half), changing = make_keys(16, half, half);
	struct pair pair = {
		.table = make_table(16, 19, RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF),
		.rcu = aligned_alloc(128, RTE_ALIGN(rte_rcu_qsbr_get_memsize(1), 128)),
		.asked = miss ? make_keys(16, 2 * half, half) : make_keys(16, 0, half),
		.expected = miss ? 0 : half,
		.budget = bench->budget,
	};
	struct rte_hash_rcu_config rcu = { .v = pair.rcu, .mode = RTE_HASH_QSBR_MODE_DQ };

	if (rte_rcu_qsbr_init(pair.rcu, 1) != 0 || rte_hash_rcu_qsbr_add(pair.table, &rcu) != 0)
		bench_fail("no RCU for a table");
	add_all(pair.table, &kept, false);
	if (rte_eal_remote_launch(reader, &pair, WORKER_LCORE) != 0)
		bench_fail("the worker lcore did not start");
	bench_gate_wait(&pair.gate, 1);
	bench_gate_release(&pair.gate, 1);
	const double write = writer(&pair, &changing);

	rte_eal_wait_lcore(WORKER_LCORE);
	bench_emit(name, UNIT, pair.read);
	bench_emit(change, UNIT, write);
	rte_hash_free(pair.table);
	free(pair.rcu);
	free_keys(&kept);
	free_keys(&changing);
	free_keys(&pair.asked);
}

int
main(int argc, char **argv)
{
	const struct bench bench = bench_start(argc, argv, 0.3);

	for (size_t i = 0; i < BENCH_COUNT(shapes); i++)
		if (shape_wanted(&bench, &shapes[i]))
			of_shape(&bench, &shapes[i]);
	for (int miss = 0; miss < 2 && bench.cpus > 1; miss++) {
		const char *name = miss ? "exact writer bulk 32 miss" : "exact writer bulk 32 hit";
		char change[64];

		snprintf(change, sizeof(change), "%s change", name);
		if (bench_wanted(&bench, name) || bench_wanted(&bench, change))
			beside_a_writer(&bench, miss, name, change);
	}
	rte_eal_cleanup();
	return 0;
}

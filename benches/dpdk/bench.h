/*
 * What the C programs of `cargo xtask compare` share: arguments, the start of
 * DPDK's environment, pacing, and the JSON lines they print.
 *
 * Every program takes `--seconds S` (time per case) and `--case TEXT` (only
 * cases whose name contains TEXT), prints one JSON object a case to stdout,
 * and remarks to stderr. Figures are TSC cycles read with a plain rdtsc.
 */
#ifndef LINECARD_BENCH_H
#define LINECARD_BENCH_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>

/* Less than this in free huge pages counts as none. */
#define HUGE_BYTES_WANTED (64ull << 20)

/* The second lcore of the two-core cases; the first one is lcore 0. */
#define WORKER_LCORE 1

struct bench {
	double seconds;
	const char *filter;
	unsigned int cpus;
	uint64_t budget; /* TSC cycles a case */
};

/* The length of an array. The programs keep their bulk sizes in volatile ones,
 * so that no loop is specialised for a size. */
#define BENCH_COUNT(array) (sizeof(array) / sizeof((array)[0]))

static inline void
bench_fail(const char *what)
{
	fprintf(stderr, "wrong: %s\n", what);
	exit(1);
}

static inline uint64_t
bench_read_number(const char *path)
{
	unsigned long long value = 0;
	FILE *file = fopen(path, "r");

	if (file == NULL)
		return 0;
	if (fscanf(file, "%llu", &value) != 1)
		value = 0;
	fclose(file);
	return value;
}

/* Bytes in free huge pages of every size. */
static inline uint64_t
bench_free_huge_bytes(void)
{
	static const char root[] = "/sys/kernel/mm/hugepages";
	uint64_t bytes = 0;
	struct dirent *entry;
	DIR *dir = opendir(root);

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		unsigned long long kib;
		char path[512];

		if (sscanf(entry->d_name, "hugepages-%llukB", &kib) != 1)
			continue;
		snprintf(path, sizeof(path), "%s/%s/free_hugepages", root, entry->d_name);
		bytes += bench_read_number(path) * (kib << 10);
	}
	if (dir != NULL)
		closedir(dir);
	return bytes;
}

/* Starts DPDK without devices, files or sockets of its own. `--in-memory`
 * needs huge pages; without them DPDK wants `--no-huge --no-shconf`. */
static inline void
bench_start_eal(const struct bench *bench)
{
	bool huge = bench_free_huge_bytes() >= HUGE_BYTES_WANTED;
	char *argv[16];
	int argc = 0;

	argv[argc++] = "bench";
	argv[argc++] = "-l";
	argv[argc++] = bench->cpus > 1 ? "0,1" : "0";
	argv[argc++] = "--main-lcore=0";
	argv[argc++] = "--no-pci";
	argv[argc++] = "--no-telemetry";
	argv[argc++] = "--log-level=error";
	if (huge) {
		argv[argc++] = "--in-memory";
	} else {
		argv[argc++] = "--no-huge";
		argv[argc++] = "--no-shconf";
		argv[argc++] = "-m";
		argv[argc++] = "256";
	}
	fprintf(stderr, "memory: %s\n", huge ? "huge pages" : "normal pages (no free huge pages)");
	if (rte_eal_init(argc, argv) < 0) {
		fprintf(stderr, "DPDK's environment did not start\n");
		exit(1);
	}
}

static inline struct bench
bench_start(int argc, char **argv, double seconds)
{
	struct bench bench = { .seconds = seconds, .filter = "" };

	for (int i = 1; i < argc; i += 2) {
		if (i + 1 < argc && strcmp(argv[i], "--seconds") == 0) {
			bench.seconds = atof(argv[i + 1]);
		} else if (i + 1 < argc && strcmp(argv[i], "--case") == 0) {
			bench.filter = argv[i + 1];
		} else {
			fprintf(stderr, "usage: %s [--seconds S] [--case TEXT]\n", argv[0]);
			exit(2);
		}
	}
	bench.cpus = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	bench_start_eal(&bench);
	bench.budget = (uint64_t)(bench.seconds * (double)rte_get_tsc_hz());
	return bench;
}

static inline bool
bench_wanted(const struct bench *bench, const char *name)
{
	return strstr(name, bench->filter) != NULL;
}

static inline void
bench_emit(const char *name, const char *unit, double value)
{
	printf("{\"case\":\"%s\",\"unit\":\"%s\",\"value\":%.4f}\n", name, unit, value);
	fflush(stdout);
}

/* A barrier of two threads that spin: the worker arrives with `arrive`, waits
 * for the main thread's `release` of the same turn, and both go on. */
struct bench_gate {
	unsigned int arrived __attribute__((aligned(128)));
	unsigned int released __attribute__((aligned(128)));
};

static inline void
bench_gate_worker(struct bench_gate *gate, unsigned int turn)
{
	__atomic_store_n(&gate->arrived, turn, __ATOMIC_RELEASE);
	while (__atomic_load_n(&gate->released, __ATOMIC_ACQUIRE) != turn)
		rte_pause();
}

static inline void
bench_gate_wait(struct bench_gate *gate, unsigned int turn)
{
	while (__atomic_load_n(&gate->arrived, __ATOMIC_ACQUIRE) != turn)
		rte_pause();
}

static inline void
bench_gate_release(struct bench_gate *gate, unsigned int turn)
{
	__atomic_store_n(&gate->released, turn, __ATOMIC_RELEASE);
}

#endif

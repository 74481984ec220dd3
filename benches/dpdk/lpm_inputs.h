/*
 * The routes and addresses of lpm_perf, the same as in `benches/src/routes.rs`:
 * a real table read from `prefix/len<TAB>number` lines, or made up with the
 * lengths of a real table; addresses drawn from SplitMix64.
 */
#ifndef LINECARD_LPM_INPUTS_H
#define LINECARD_LPM_INPUTS_H

#include <arpa/inet.h>

#include "bench.h"

#define ADDRESSES (1u << 20)
#define NEXT_HOPS (1u << 20) /* rte_lpm6 has room for 21 bits */

struct route4 {
	uint32_t addr; /* in the host's order */
	uint32_t next_hop;
	uint8_t len;
};

struct route6 {
	uint8_t addr[16];
	uint32_t next_hop;
	uint8_t len;
};

struct routes {
	struct route4 *v4;
	struct route6 *v6;
	size_t v4_count;
	size_t v6_count;
};

/* How many of 512,621 routes of a table of 2014 had each length, from 8 on. */
static const uint32_t lengths_seen[] = {
	16, 12, 30, 90, 259, 487, 974, 1726, 13017, 7050, 11917, 24936, 35828,
	37624, 57782, 47385, 270023, 918, 1060, 537, 138, 292, 331, 20, 169,
};

static inline uint64_t
draw(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static inline uint64_t
draw_below(uint64_t *state, uint64_t bound)
{
	return (uint64_t)(((unsigned __int128)draw(state) * bound) >> 64);
}

static inline void *
bench_room(size_t count, size_t size)
{
	void *room = calloc(count, size);

	if (room == NULL)
		bench_fail("no memory");
	return room;
}

static inline void
read_line(struct routes *routes, char *line)
{
	char *slash = strchr(line, '/');
	char *tab = strchr(line, '\t');

	if (line[0] == ';' || slash == NULL || tab == NULL)
		return;
	*slash = '\0';
	uint8_t len = (uint8_t)atoi(slash + 1);
	uint32_t next_hop = (uint32_t)(strtoul(tab + 1, NULL, 10) % NEXT_HOPS);
	if (strchr(line, ':') != NULL) {
		struct route6 *route = &routes->v6[routes->v6_count++];
		inet_pton(AF_INET6, line, route->addr);
		route->len = len;
		route->next_hop = next_hop;
	} else {
		struct route4 *route = &routes->v4[routes->v4_count++];
		inet_pton(AF_INET, line, &route->addr);
		route->addr = ntohl(route->addr);
		route->len = len;
		route->next_hop = next_hop;
	}
}

/* A file of `bgp/`; no routes if it is not there. */
static inline struct routes
read_routes(const char *folder, const char *name)
{
	struct routes routes = { .v4 = bench_room(1u << 20, sizeof(struct route4)),
				 .v6 = bench_room(1u << 20, sizeof(struct route6)) };
	char command[1024], line[256];

	snprintf(command, sizeof(command), "zcat '%s/bgp/%s'", folder, name);
	FILE *pipe = popen(command, "r");
	while (pipe != NULL && fgets(line, sizeof(line), pipe) != NULL)
		read_line(&routes, line);
	if (pipe != NULL)
		pclose(pipe);
	return routes;
}

static inline int
compare_addr(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Routes of one length, each address once, in order. */
static inline void
make_length(struct routes *routes, uint64_t *state, uint32_t len)
{
	const size_t count = 2 * (size_t)lengths_seen[len - 8];
	uint32_t *addresses = bench_room(count + 1, sizeof(*addresses));

	for (size_t i = 0; i < count; i++)
		addresses[i] = (0x01000000u + (uint32_t)draw_below(state, 0xdf000000u)) &
			       (uint32_t)(~0ull << (32 - len));
	qsort(addresses, count, sizeof(*addresses), compare_addr);
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && addresses[i] == addresses[i - 1])
			continue;
		struct route4 *route = &routes->v4[routes->v4_count++];
		route->addr = addresses[i];
		route->len = (uint8_t)len;
		route->next_hop = (uint32_t)draw_below(state, NEXT_HOPS);
	}
	free(addresses);
}

/* Twice the lengths of the real table, anywhere in 1.0.0.0 to 223.255.255.255; what was drawn twice is there once. */
static inline struct routes
make_million(void)
{
	struct routes routes = { .v4 = bench_room(1u << 21, sizeof(struct route4)) };
	uint64_t state = 1;

	for (uint32_t len = 8; len <= 32; len++)
		make_length(&routes, &state, len);
	for (size_t i = routes.v4_count - 1; i > 0; i--) {
		size_t other = (size_t)draw_below(&state, i + 1);
		struct route4 kept = routes.v4[i];
		routes.v4[i] = routes.v4[other];
		routes.v4[other] = kept;
	}
	return routes;
}

/* Any address at all. */
static inline uint32_t *
random_addresses(void)
{
	uint32_t *addresses = bench_room(ADDRESSES, sizeof(*addresses));
	uint64_t state = 2;

	for (size_t i = 0; i < ADDRESSES; i++)
		addresses[i] = (uint32_t)draw(&state);
	return addresses;
}

/* Any route, and any address in it. */
static inline uint32_t *
routed_addresses4(const struct routes *routes)
{
	uint32_t *addresses = bench_room(ADDRESSES, sizeof(*addresses));
	uint64_t state = 3;

	for (size_t i = 0; i < ADDRESSES; i++) {
		const struct route4 *route = &routes->v4[draw_below(&state, routes->v4_count)];
		uint32_t host = (uint32_t)(draw(&state) & ((1ull << (32 - route->len)) - 1));
		addresses[i] = route->addr | host;
	}
	return addresses;
}

static inline uint8_t (*routed_addresses6(const struct routes *routes))[16]
{
	uint8_t(*addresses)[16] = bench_room(ADDRESSES, sizeof(*addresses));
	uint64_t state = 4;

	for (size_t i = 0; i < ADDRESSES; i++) {
		const struct route6 *route = &routes->v6[draw_below(&state, routes->v6_count)];
		uint64_t random[2] = { draw(&state), draw(&state) };
		for (unsigned int bit = 0; bit < 128; bit++) {
			uint64_t word = random[bit / 64];
			uint8_t host = (uint8_t)((word >> (63 - bit % 64)) & 1);
			uint8_t mask = (uint8_t)(0x80 >> (bit % 8));
			if (bit >= route->len && host)
				addresses[i][bit / 8] |= mask;
			else if (bit < route->len)
				addresses[i][bit / 8] |= route->addr[bit / 8] & mask;
		}
	}
	return addresses;
}

#endif

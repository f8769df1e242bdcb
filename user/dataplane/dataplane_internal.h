/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of dataplane/ share: the pinned maps by number, and the struct that holds them. */
#ifndef TN_DATAPLANE_INTERNAL_H
#define TN_DATAPLANE_INTERNAL_H

#include "dataplane/dataplane.h"
#include "dataplane/pin.h"

/* The least room: by_shared takes 2 MiB, the counters of each CPU 4 MiB. */
#define CAPACITY_MIN 65536
/* So many rows are read or written with one system call. */
#define ROWS_BATCH 65536

/* X(map): every pinned map. */
#define MAPS(X)         \
	X(scratches)    \
	X(programs_tc)  \
	X(programs_xdp) \
	X(flows)        \
	X(fragments)    \
	X(by_shared)    \
	X(by_fixed)     \
	X(counters)     \
	X(slots)        \
	X(drops)        \
	X(accepts)      \
	X(services)     \
	X(withdrawn)    \
	X(table_seq)    \
	X(pairs)        \
	X(pairs_v6)     \
	X(hops)         \
	X(hits)         \
	X(pools)        \
	X(prefixes)     \
	X(limits)       \
	X(watch)        \
	X(events)       \
	X(routers)      \
	X(router_ports) \
	X(elected)      \
	X(config)

enum map_id {
#define X(map) MAP_##map,
	MAPS(X)
#undef X
		MAPS_COUNT
};

extern const char *const map_names[MAPS_COUNT];

/*
 * X(map, type of the key, of the value, entries; 0: as its row says): pinned with the programs of
 * each router.
 */
#define ROUTER_MAPS(X)                                  \
	X(flows, struct tn_flow_key, struct tn_flow, 0) \
	X(fragments, struct tn_fragment_key, struct tn_fragment, TN_FRAGMENTS)

enum router_map_id {
#define X(map, key, value, entries) ROUTER_MAP_##map,
	ROUTER_MAPS(X)
#undef X
		ROUTER_MAPS_COUNT
};

extern const struct map_shape router_maps[ROUTER_MAPS_COUNT];

struct dataplane {
	char dir[PATH_MAX];
	int fd[MAPS_COUNT];
	struct tn_config config;
	const struct tn_record *counters; /* the map itself; NULL: not looked at yet */
	size_t counters_size;
	bool fresh; /* created by this process: every counter is zero */
	/* counters for new mappings, while a change is under way */
	uint8_t *slots_used; /* NULL: all are free from slot_next on */
	uint32_t slot_next;  /* those in turn; before them are those by address */
	uint32_t slot_end;
	VEC(uint32_t) new_slots; /* by `pair` of the rows; 0: none yet */
};

/* `dir`/`name` in `out`, which is returned; "" when there is no room for it. */
const char *path_join(const char *dir, const char *name, char out[PATH_MAX]);

/* CPUs that there can be, for each of which a map has room; 1 when that is not known. */
unsigned int possible_cpus(void);

/* Between dp->config and its map. -1 with errno. */
int config_read(struct dataplane *dp);
int config_write(struct dataplane *dp);

/* The path of a pinned map of the router. */
void router_map_path(const struct dataplane *dp, uint32_t router, enum router_map_id id,
		     char out[PATH_MAX]);
/* The map that is pinned there; the caller's to close. -1 with errno, as pin_open_map(). */
int router_map_open(const struct dataplane *dp, uint32_t router, enum router_map_id id);

/* That the pin at `path` is not ours, as an error; -1. */
int foreign_pin(const struct dataplane *dp, const char *path, struct error *err);
/* That the map could not be changed, for the reason in errno, as an error; -1. */
int map_error(enum map_id id, struct error *err);

/* What a process that was killed had under way is over: programs keep again what they find. */
int settle_changes(struct dataplane *dp, struct error *err);

struct bpf_map;

/* A map of an object that is not loaded is to be this one. */
int use_map(struct bpf_map *map, int fd, struct error *err);

/* That the kernel did not load programs, for the reason `ret` (negative errno), as an error; -1. */
int load_error(int ret, struct error *err);

/* A hash of object code; of several in turn with that of those before, and 0 for the first. */
uint64_t build_of(const void *elf, size_t size, uint64_t before);

/*
 * The end of a rule as rows of the maps have it, by CLOCK_TAI, and back; 0 stays 0. When the kernel
 * is told another offset, what was written reads as another end, and is written again.
 */
uint32_t until_to_map(uint32_t until);
uint32_t until_from_map(uint32_t until);

/* Set the value of a per-CPU map, of `size` bytes a CPU, to zero. -1 with errno. */
int zero_percpu(int fd, uint32_t key, size_t size);
/* Set the counters of a slot to zero, on all CPUs. -1 with errno. */
int zero_counters(struct dataplane *dp, uint32_t slot);

/*
 * The counters of the mapping (fixed, shared) of a router, to `out`. A mapping that is in `have`
 * keeps its own; one that comes new, or with another fixed address, gets others, which start at
 * zero. `pair`: as in struct shared_row; 0: it has no other row. -1 with errno.
 */
int slot_for(struct dataplane *dp, const struct kernel_state *have, const struct tn_addr *shared,
	     const struct tn_addr *fixed, uint32_t router, uint32_t pair, uint32_t *out);

#endif

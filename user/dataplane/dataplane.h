/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The pinned maps and programs.
 *
 *   <bpffs>/maps/<map>                one set, shared by all programs
 *   <bpffs>/routers/<id>/<pin>        programs, links, flows and fragments of one router
 *
 * Both directories are root's alone. Everything here can be killed at any point:
 * maps are pinned in a directory of another name that is renamed when complete.
 */
#ifndef TN_DATAPLANE_H
#define TN_DATAPLANE_H

#include <limits.h>

#include "lib/error.h"
#include "model/kernel_state.h"

struct dataplane;

/* Can this machine do it at all: kernel, privileges, bpffs at the parent of `bpffs`? */
int dataplane_check(const char *bpffs, struct error *err);

/* Open what is pinned. 0 and *out NULL when nothing is. Maps of another TN_ABI are refused. */
int dataplane_open(const char *bpffs, struct dataplane **out, struct error *err);
/*
 * Create and pin the maps, with room for at least `mappings`, and for `rules`: as many rows in
 * accepts and in services, and rule ids below it.
 */
int dataplane_create(const char *bpffs, size_t mappings, size_t rules, struct dataplane **out,
		     struct error *err);
/* Unpin the maps and remove our directories; the routers are detached before. */
int dataplane_destroy(const char *bpffs, struct error *err);
void dataplane_close(struct dataplane *dp);
/* Unpin everything in a directory, and the directory; it has no subdirectories. */
int dataplane_unpin(const char *dir);
static inline void dataplane_cleanup(struct dataplane **dp)
{
	dataplane_close(*dp);
}
#define _cleanup_dataplane_ _cleanup_(dataplane_cleanup)

const char *dataplane_dir(const struct dataplane *dp);
/* The directory of the maps' pins. */
void dataplane_maps_dir(const char *bpffs, char path[PATH_MAX]);
/* Mappings that there is room for. */
size_t dataplane_capacity(const struct dataplane *dp);
/* Rules and services that there is room for. */
size_t dataplane_rules(const struct dataplane *dp);
/* Identifies the programs in this executable: a hash of their object code. */
uint64_t dataplane_build(void);

/* The contents of the maps, sorted. `broken` of the routers is not known here. */
int dataplane_read(struct dataplane *dp, struct kernel_state *out, struct error *err);
/* The same without what is of single mappings: no `shared`, no `fixed`, no limits. */
int dataplane_read_common(struct dataplane *dp, struct kernel_state *out, struct error *err);
/* The shared subnets and the routers alone. */
int dataplane_read_routers(struct dataplane *dp, struct kernel_state *out, struct error *err);
/* Add the rows that have these keys to `out`, and sort it; each key is there once. */
int dataplane_look_up(struct dataplane *dp, const struct row_keys *keys, struct kernel_state *out,
		      struct error *err);

/*
 * A change of rows begins, and ends. `all` is what was read, or NULL: only what was looked up is
 * to change, and the maps are settled. They are when the last change came to its end. Else a
 * process was killed: there may be rows that no definitions name, and who changes anything has to
 * read all.
 */
bool dataplane_is_settled(const struct dataplane *dp);
int dataplane_begin(struct dataplane *dp, const struct kernel_state *all, struct error *err);
void dataplane_end(struct dataplane *dp);

/*
 * Write and delete rows, many at a time. `rows` are arrays of pointers. To delete
 * a row that is not there is no error. dataplane_put_fixed() comes before
 * dataplane_put_shared() for the same mappings and assigns their counters, which
 * start at zero, unless the rows name them; `have` is what was read.
 */
int dataplane_put_subnets(struct dataplane *dp, const struct kernel_state *m, struct error *err);
int dataplane_put_fixed(struct dataplane *dp, const struct kernel_state *have,
			const struct fixed_row *const *rows, size_t n, struct error *err);
int dataplane_put_shared(struct dataplane *dp, const struct kernel_state *have,
			 const struct shared_row *const *rows, size_t n, struct error *err);
int dataplane_del_shared(struct dataplane *dp, const struct shared_row *const *rows, size_t n,
			 struct error *err);
int dataplane_del_fixed(struct dataplane *dp, const struct fixed_row *const *rows, size_t n,
			struct error *err);
/*
 * A router, and what the programs read of it. Its row can come later than that:
 * dataplane_put_port() is for when the row has to remember what there was before.
 */
int dataplane_put_port(struct dataplane *dp, const struct router_row *r, struct error *err);
int dataplane_put_router(struct dataplane *dp, const struct router_row *r, struct error *err);
/*
 * Let an elected router forward until then, in nanoseconds of CLOCK_BOOTTIME; 0: not any more. And
 * none of them.
 */
int dataplane_grant(struct dataplane *dp, uint32_t router, uint64_t until, struct error *err);
int dataplane_grant_nobody(struct dataplane *dp, struct error *err);
/* Whether that was granted, and has not ended. Without maps: no. */
bool dataplane_is_granted(const struct dataplane *dp, uint32_t router);
/*
 * While stubs are put in the place of others, or anywhere, the row says that they are of no build:
 * whatever a run that is killed has left, the next one renews all of them.
 */
int dataplane_put_router_unfinished(struct dataplane *dp, const struct router_row *r,
				    struct error *err);
/* What is attached of them is off. */
int dataplane_del_routers(struct dataplane *dp, const uint32_t *ids, size_t n, struct error *err);

/* The same for the policy; the order is the array's. A limit that is put begins anew. */
int dataplane_put_accepts(struct dataplane *dp, const struct accept_row *rows, size_t n,
			  struct error *err);
int dataplane_del_accepts(struct dataplane *dp, const struct accept_row *rows, size_t n,
			  struct error *err);
int dataplane_put_services(struct dataplane *dp, const struct service_row *rows, size_t n,
			   struct error *err);
int dataplane_del_services(struct dataplane *dp, const struct service_row *rows, size_t n,
			   struct error *err);
/* From now on: see tn_abi.h. */
int dataplane_put_withdrawn(struct dataplane *dp, const struct tn_service_key *keys, size_t n,
			    struct error *err);
int dataplane_put_pools(struct dataplane *dp, const struct pool_row *rows, size_t n,
			struct error *err);
int dataplane_del_pools(struct dataplane *dp, const struct pool_row *rows, size_t n,
			struct error *err);
int dataplane_put_prefixes(struct dataplane *dp, const struct prefix_row *rows, size_t n,
			   struct error *err);
int dataplane_del_prefixes(struct dataplane *dp, const struct prefix_row *rows, size_t n,
			   struct error *err);
int dataplane_put_limits(struct dataplane *dp, const struct limit_row *rows, size_t n,
			 struct error *err);
int dataplane_del_limits(struct dataplane *dp, const struct limit_row *rows, size_t n,
			 struct error *err);
/* What these rules accepted is counted from zero. */
int dataplane_zero_hits(struct dataplane *dp, const uint32_t *rules, size_t n, struct error *err);

/* Drops of one router, summed over the CPUs. */
int dataplane_drops(struct dataplane *dp, uint32_t router, struct tn_drops *out);
/*
 * Counters of the slots, and hits of the rule ids, below `n`, summed over the CPUs; what cannot be
 * read is zero, and then it is -1.
 */
int dataplane_counters(struct dataplane *dp, size_t n, struct tn_counters *out);
int dataplane_hits(struct dataplane *dp, size_t n, uint64_t *out);

#endif

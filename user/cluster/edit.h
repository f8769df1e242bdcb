/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One mapping of a cluster, added or removed without the rest: by the keys of the network, of the
 * tenants, and of the blocks that the tenant can have addresses in. Addresses of others in these
 * blocks are known as taken, and stay as they are. Pure.
 */
#ifndef TN_EDIT_H
#define TN_EDIT_H

#include "cluster/blocks.h"
#include "model/selection.h"

/*
 * The blocks that it takes, merged: those of the tenant's pool, or of the shared subnets. `had` has
 * the network and the tenants, who all count when the tenant has no pool, else the one is enough.
 * -1 with a usage error: there is no such tenant. `out` is the caller's to free.
 */
int edit_ranges(const struct entries *had, const char *tenant, struct key_ranges *out,
		struct error *err);

/*
 * What the keys are to be, for commit_plan(): all of `had` but what changes. `m` gets its shared
 * address, if it is not pinned. -1 with a usage error: it cannot be added. `will` is the caller's
 * to free, also then.
 */
int edit_add(const struct entries *had, const char *tenant, struct mapping *m, struct entries *will,
	     struct error *err);

/* The same without the mappings that are called so: one of each family at most, put into `gone`. */
struct gone {
	VEC(struct mapping) list;
};
void gone_free(struct gone *g);
#define _cleanup_gone_ _cleanup_(gone_free)
int edit_del(const struct entries *had, const char *tenant, const char *word, struct gone *gone,
	     struct entries *will, struct error *err);

/*
 * An address for the tenant's router, of that family; `taken` nobody may have besides. One that it
 * has already is no change.
 */
int edit_own(const struct entries *had, const char *tenant, int family,
	     const struct addr_list *taken, struct tn_addr *out, struct entries *will,
	     struct error *err);

/*
 * Addresses that were leased to routers stay theirs: only the host of a router knows whether it
 * needs one. Both are sorted. Before ipam_assign(), which drops those that cannot be any more.
 */
void edit_keep_own(struct model *will, const struct model *had);

#endif

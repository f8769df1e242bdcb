/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Of the cluster's definitions what one host needs: all of the tenants whose router it has; of the
 * others name and pool, by which their VMs are known as senders. Of others' mappings only those
 * that no pool tells of (their tenant has none, or shares it), and those that a rule here names.
 * Who may reach VMs elsewhere is judged there, so nobody else needs those rules. Pure.
 */
#ifndef TN_PROJECTION_H
#define TN_PROJECTION_H

#include "cluster/blocks.h"
#include "model/policy.h"
#include "model/selection.h"

/* What rules here name of a tenant whose router is elsewhere. */
struct named {
	VEC(struct called) list;
};

struct projection {
	struct policy pools;
	VEC(struct named) named; /* by the index of the tenant */
	bool has_poolless;	 /* one whose router is elsewhere has no pool */
};

void projection_free(struct projection *p);
#define _cleanup_projection_ _cleanup_(projection_free)

/* Take from one what projection_begin() does, for who reads them one after the other. */
void projection_strip(struct tenant *t, bool (*is_here)(void *arg, const struct tenant *t),
		      void *arg);
/*
 * Take from the tenants, which are sorted, what this host does not need but for mappings: routers
 * that are not here, and rules of theirs. `is_here` is asked of each that has a router. They get
 * numbers for ids if they have none. `m` outlives `p`, and its tenants stay where they are.
 */
void projection_begin(struct projection *p, struct model *m,
		      bool (*is_here)(void *arg, const struct tenant *t), void *arg);
/* Whether the mapping of a tenant of `m` is needed. */
bool projection_wants(const struct projection *p, const struct model *m, const struct tenant *t,
		      const struct mapping *mapping);
/* The same for reader.wants: of `t` or nobody, also of a router. */
bool projection_takes(const struct projection *p, const struct model *m, const struct tenant *t,
		      const struct owner *o);
/* The blocks in which all of these are. Merged, and the caller's to free. */
void projection_ranges(const struct projection *p, const struct model *m, struct key_ranges *out);

/* Make of the whole what the host needs. */
void projection_make(struct model *m, bool (*is_here)(void *arg, const struct tenant *t),
		     void *arg);

#endif

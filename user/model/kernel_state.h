/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the machine has, or is to have: the contents of the maps and what is
 * attached to which router. The plan is the difference of two of these, so an
 * undo is a plan too: back to the one that was read before.
 */
#ifndef TN_KERNEL_STATE_H
#define TN_KERNEL_STATE_H

#include "model/iface.h"
#include "model/model.h"
#include "model/policy.h"
#include "model/rows.h"

struct kernel_state {
	VEC(struct prefix) subnets;
	VEC(struct shared_row) shared;	 /* sorted by shared */
	VEC(struct fixed_row) fixed;	 /* sorted by router, fixed */
	VEC(struct prefix_row) prefixes; /* sorted by key */
	VEC(struct router_row) routers;	 /* sorted by id */
	struct policy policy;		 /* sorted */
	VEC(struct addr_row) addrs;	 /* sorted by place, address */
	VEC(struct route_row) routes;	 /* sorted by place, destination */
	VEC(struct group_row) groups;	 /* sorted by place, address */
	/*
	 * In the order of writing: `all` before single interfaces. What is wanted names only
	 * what matters, what was read also what a change of `all` would take along.
	 */
	VEC(struct setting_row) settings;
	VEC(struct place)
	looked; /* the namespaces whose addresses, routes and groups are in these rows */
};

void kernel_state_free(struct kernel_state *m);
#define _cleanup_kernel_state_ _cleanup_(kernel_state_free)
void kernel_state_sort(struct kernel_state *m);
/* The router with that id; NULL: none. */
const struct router_row *kernel_state_router(const struct kernel_state *m, uint32_t id);
/* Whether the definitions want it attached. What a run that was killed has left, they do not. */
bool router_row_is_wanted(const struct model *m, const struct router_row *r);
/* The row of a shared address; NULL: none. The rows are sorted. */
const struct shared_row *kernel_state_shared(const struct kernel_state *m,
					     const struct tn_addr *shared);

/* Add the shared addresses of a router to `out`: `own`, or those of its VMs, without prefixes. */
void kernel_state_addrs(const struct kernel_state *m, uint32_t router, bool own,
			struct addr_list *out);

/* What was found out about a router that is to be attached. */
struct router_facts {
	struct router_row row;
	struct place at;	    /* its shared interface */
	struct ifaces ifaces;	    /* its namespace, as it was found */
	struct error doubt;	    /* set: about its inside interfaces */
	bool has_v6;		    /* the kernel has IPv6 */
	VEC(struct tn_addr) own;    /* its own addresses in the shared subnets */
	VEC(struct addr_row) addrs; /* what it needs of us: see join.h */
	VEC(struct route_row) routes;
	VEC(struct group_row) groups;
	VEC(struct setting_row) settings;
};

struct facts {
	VEC(struct router_facts) list;
};

void router_facts_free(struct router_facts *f);
void facts_free(struct facts *f);
#define _cleanup_facts_ _cleanup_(facts_free)

/* Whom a change concerns: these tenants, or with a NULL pointer to it everybody. */
struct scope {
	char *const *tenants;
	int n;
};

bool scope_has(const struct scope *scope, const char *tenant);

/* Whether the place is one of the router's inside interfaces. */
bool router_row_has_inside(const struct router_row *r, const struct place *at);

/*
 * What the machine is to have by the definitions `m` (sorted, complete: ids and
 * shared addresses given) and the facts about the routers. The rows of tenants out
 * of scope are taken from `have` as they are, and of their rules and limits none comes new or
 * stays that the definitions do not have. `out` is sorted, and the caller's to free.
 */
void kernel_state_wanted(const struct model *m, const struct facts *facts,
			 const struct kernel_state *have, const struct scope *scope,
			 struct kernel_state *out);

#endif

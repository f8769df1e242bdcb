/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The plan: what has to be done to the machine, as the difference between what
 * it is to have and what it has. Pure.
 */
#ifndef TN_PLAN_H
#define TN_PLAN_H

#include "model/kernel_state.h"

/*
 * Done in the order of the members: additions before removals; the reverse entry
 * (by_fixed) before the forward one (by_shared) to add, and the other way round to
 * remove. So no packet is ever translated one way only, and an unchanged mapping
 * is never touched. A router's programs come before its addresses and routes: from then on
 * nothing leaves it untranslated; its mappings come when all else is in order. Rows point
 * into the machines that the plan was made from. An address that changes its owner does so between
 * the old rules and the new ones.
 */
struct plan {
	/* No router is left, so the maps will go: no row but own_del is taken out of them before.
	 */
	bool drops_maps;
	bool subnets; /* the shared subnets change */
	/*
	 * What is there and changes its owner goes away first, in both directions: for
	 * that moment its packets are dropped, and never taken for somebody else's. So do the own
	 * addresses in addr_lost.
	 */
	VEC(const struct shared_row *) moved;
	VEC(const struct shared_row *) own_put; /* the routers' own addresses */
	VEC(const struct router_row *) attach;	/* not attached yet */
	VEC(const struct router_row *) renew;	/* attached, but not as wanted */
	/* goes, and its interface is another's from now on, whose packets it would judge */
	VEC(const struct router_row *) replaced;
	VEC(const struct addr_row *) addr_moved; /* is there, but with another length */
	VEC(const struct addr_row *) addr_put;
	/*
	 * Gone before the probes, which would be misled: what somebody else has from now on, or
	 * another interface, and what a router that stays has no more. Behind what is put: with the
	 * last IPv4 address of an interface the kernel takes away all routes by it, also those of
	 * others.
	 */
	VEC(const struct addr_row *) addr_lost;
	VEC(const struct route_row *) route_lost;
	VEC(const struct group_row *) group_lost;
	VEC(const struct route_row *)
	route_moved; /* is there, but leads another way, or by another interface */
	VEC(const struct route_row *) route_put; /* unreachable ones before all other routes */
	VEC(const struct setting_row *) setting_put;
	VEC(const struct group_row *) group_put;
	/* what is accepted no more: see tn_abi.h */
	VEC(struct tn_service_key) withdrawn;
	/*
	 * Who is accepted. At every moment that is at most what the old and the new rules accept
	 * together, and at least what both do. First goes what nothing leads to, as a run that was
	 * killed leaves it: it must not come to life.
	 */
	VEC(struct accept_row) accept_dead;
	VEC(struct service_row) service_dead;
	VEC(uint32_t) rules_new; /* ids that own rows from now on: nothing is counted of them yet */
	VEC(struct service_row) service_put;
	VEC(struct accept_row) accept_grow; /* what the old and the new row say together */
	VEC(struct limit_row) limit_put;
	/*
	 * Rows of mappings that stay, with other flags. What leads to rows of accepts is there
	 * before what led to others is gone, as both ends of a packet count; the rest comes last.
	 */
	VEC(const struct fixed_row *) fixed_flags;
	VEC(const struct shared_row *) shared_flags;
	VEC(struct accept_row) accept_put; /* as they are to be in the end */
	VEC(struct accept_row) accept_del;
	VEC(struct service_row) service_del;
	VEC(const struct fixed_row *) fixed_flags_last;
	VEC(const struct shared_row *) shared_flags_last;
	/* inner prefixes first, then outer ones first: no address is ever an outsider's */
	VEC(struct pool_row) pool_put;
	VEC(struct pool_row) pool_del;
	/* those of them, as they were, whose shared address is another VM's: their flows end */
	VEC(const struct fixed_row *) strangers;
	VEC(const struct fixed_row *) fixed_put;
	VEC(const struct shared_row *) shared_put; /* mappings */
	/*
	 * What leads to rows of prefixes comes behind them, exceptions first, and goes before them,
	 * exceptions last: no address of these is ever translated by the prefix.
	 */
	VEC(struct prefix_row) prefix_put;
	/*
	 * Before the kernel loses the addresses: else it would forward a late answer to one of
	 * them, and its error would leave by another interface. Without the row that is dropped.
	 */
	VEC(const struct shared_row *) own_del;
	VEC(const struct group_row *) group_del;
	VEC(const struct route_row *) route_del; /* unreachable ones behind all that follows */
	VEC(const struct addr_row *) addr_del;
	VEC(struct prefix_row) prefix_del;
	VEC(const struct shared_row *) shared_del; /* mappings */
	VEC(const struct fixed_row *) fixed_del;
	VEC(struct limit_row) limit_del;
	/* goes, and nobody takes its place: when nothing can fail any more */
	VEC(const struct router_row *) detach;
	VEC(void *) owned; /* rows that are in neither machine */
};

/* X(what is done, with which rows): the steps of the policy, in their order. */
#define POLICY_STEPS(X)                  \
	X(put_withdrawn, withdrawn)      \
	X(del_accepts, accept_dead)      \
	X(del_services, service_dead)    \
	X(zero_hits, rules_new)          \
	X(put_services, service_put)     \
	X(put_accepts, accept_grow)      \
	X(put_limits, limit_put)         \
	X(put_fixed, fixed_flags)        \
	X(put_shared, shared_flags)      \
	X(put_accepts, accept_put)       \
	X(del_accepts, accept_del)       \
	X(del_services, service_del)     \
	X(put_fixed, fixed_flags_last)   \
	X(put_shared, shared_flags_last) \
	X(put_pools, pool_put)           \
	X(del_pools, pool_del)

void plan_free(struct plan *p);
#define _cleanup_plan_ _cleanup_(plan_free)

/* Both machines are sorted, and outlive the plan. */
void plan_make(const struct kernel_state *want, const struct kernel_state *have, struct plan *out);
bool plan_empty(const struct plan *p);
/* Whether it does more than to add, change and remove mappings and who is accepted by them. */
bool plan_changes_routers(const struct plan *p);

#endif

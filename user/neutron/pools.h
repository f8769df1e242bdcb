/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of the shared subnets that tenants' addresses may come from: those that routers name in
 * tags, and what is left for the others. Pure.
 */
#ifndef TN_NEUTRON_POOLS_H
#define TN_NEUTRON_POOLS_H

#include "neutron/inventory.h"

struct prefix_list {
	VEC(struct prefix) list;
};

/* Take the addresses away, so that each prefix is replaced by what is left of it, in order. */
void pools_cut(struct prefix_list *from, const struct addr_range *away);

/*
 * A pool as a tag has it. -1: `why` says, after "the pool", what is wrong with it. `shared` are the
 * `n` shared subnets; what Neutron itself gives out there is in no pool.
 */
#define POOL_WHY 192
int pool_parse(const char *text, const struct neutron_subnet *const *shared, size_t n,
	       struct prefix *out, char why[POOL_WHY]);

/* How many addresses VMs can have of it in these subnets; UINT32_MAX: or more. */
uint32_t pool_room(const struct prefix *pool, const struct neutron_subnet *const *shared, size_t n);

/* Of all the shared subnets: without what Neutron gives out, its gateways, and the pools in
 * `taken`.
 */
void pools_rest(const struct neutron_subnet *const *shared, size_t n,
		const struct prefix_list *taken, struct prefix_list *out);

#endif

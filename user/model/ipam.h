/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Allocation: which tenant, router and mapping gets which id and shared address.
 * Pure and deterministic: the same arguments give the same result.
 */
#ifndef TN_IPAM_H
#define TN_IPAM_H

#include "lib/error.h"
#include "model/model.h"

/* Addresses of the same sum that are looked at for one mapping. */
#define IPAM_NEUTRAL 8

/*
 * Fill in what `want` leaves open. Ids and leases that `have` (the definitions in
 * force) already gave to the same tenant, router or (tenant, fixed address) stay;
 * a lease is given up only when the pool no longer holds it. `reserved` are
 * addresses that nobody may have: those of routers.
 *
 * What `want` has filled in already are leases and ids of definitions in force, or of some that
 * come back (undo): such a lease comes before the one in `have`, and an id of what is new stays if
 * nobody in `have` has it.
 *
 * A new mapping gets an address of the first pool of its family that has one left. That is one
 * with the sum of the fixed address (addr_sum()), if one of the IPAM_NEUTRAL nearest of
 * these is free: translation then changes no checksum but the IP header's. Else it is the one with
 * the fixed address' own host bits, or the next free one above it, around the end of
 * the pool. Network and broadcast addresses of the shared
 * subnets are never given, and a tenant without a pool of its own gets none of
 * another tenant's pool. Addresses of routers (`own`) that are pinned or wanted come from
 * the same pools, from their end; those that are neither are kept if they are set.
 *
 * -1: a pinned address is reserved or leased to somebody else, a pool is
 * exhausted, or there are more than TN_ROUTERS_MAX - 1 routers.
 */
int ipam_assign(struct model *want, const struct model *have, const struct addr_list *reserved,
		struct error *err);

#endif

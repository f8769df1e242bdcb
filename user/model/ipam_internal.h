/* SPDX-License-Identifier: GPL-2.0-only */
/* The allocator as its files see it: ipam_free.c knows what is free, ipam.c who gets what. */
#ifndef TN_IPAM_INTERNAL_H
#define TN_IPAM_INTERNAL_H

#include <uthash.h>

#include "model/ipam.h"
#include "model/prefixes.h"

/* An address that is not free, and where to look on from there. */
struct taken {
	struct tn_addr addr;
	struct tn_addr next;
	const struct tenant *tenant; /* whose; NULL: reserved */
	const struct mapping *mapping;
	UT_hash_handle hh;
};

/* Addresses that are somebody's pool; pools that overlap or touch make one range. */
struct range {
	struct tn_addr first;
	struct tn_addr last;
};

/* A mapping that keeps its lease. */
struct kept {
	const struct tenant *tenant;
	const struct mapping *mapping;
};

/* Entries of `taken`, many in one piece of memory. */
#define CHUNK 4096
struct chunk {
	struct taken entries[CHUNK];
};

struct ipam {
	struct model *want;
	struct taken *taken;
	VEC(struct chunk *) chunks;
	size_t used;		      /* of the last one */
	VEC(struct kept) kept;	      /* no two of them have the same lease */
	VEC(struct range) pools;      /* sorted */
	VEC(struct prefix_of) blocks; /* prefixes that have their addresses, sorted by shared */
};

void ipam_cleanup(struct ipam *ipam);

/* NULL: nobody has taken that very address. */
struct taken *ipam_taken(struct ipam *ipam, const struct tn_addr *a);
/* For that mapping (NULL: for a router); `tenant` NULL: nobody may have it. */
void ipam_take(struct ipam *ipam, const struct tn_addr *a, const struct tenant *tenant,
	       const struct mapping *mapping);
/* Of all tenants in `want`; without them no address is looked for. */
void ipam_merge_pools(struct ipam *ipam);
/* Network and broadcast addresses of the shared subnets. */
bool ipam_reserves(struct ipam *ipam, const struct tn_addr *a);

/* Prefixes: how many blocks begin at the address or before it. */
size_t ipam_blocks_until(const struct ipam *ipam, const struct tn_addr *a);
void ipam_add_block(struct ipam *ipam, const struct tenant *t, const struct mapping *m);
bool ipam_is_block(const struct ipam *ipam, const struct mapping *m);

/* A free address of the pool, with the sum of the fixed one; false: none of some is free. */
bool ipam_neutral_from_pool(struct ipam *ipam, const struct tenant *tenant,
			    const struct prefix *pool, const struct tn_addr *fixed,
			    struct tn_addr *out);
/* The first free one from the fixed address' own host bits on; false: the pool is exhausted. */
bool ipam_from_pool(struct ipam *ipam, const struct tenant *tenant, const struct prefix *pool,
		    const struct tn_addr *fixed, struct tn_addr *out);

#endif

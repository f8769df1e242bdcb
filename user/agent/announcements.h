/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Telling the shared network where addresses are, of routers that joined, moved or came up. Each
 * router's are announced several times: a switch's port may not forward yet when an interface
 * comes up. Times are milliseconds of the monotonic clock.
 */
#ifndef TN_ANNOUNCEMENTS_H
#define TN_ANNOUNCEMENTS_H

#include "model/kernel_state.h"

/* How often all addresses of a router are announced. */
#define ANNOUNCEMENT_ROUNDS 3

/* Addresses of a router that are to be announced. */
struct announcement {
	struct router_row router;
	bool own; /* the router's, not of its VMs */
	struct addr_list addrs;
	size_t sent; /* of these, in this round */
	int round;
	uint64_t begun;
};

struct announcements {
	VEC(struct announcement) list;
	VEC(struct prefix) subnets; /* the shared ones, as they were last */
	const char *bpffs;	    /* where the maps are; borrowed */
};

/* What the shared subnets are, by which a standby is known. */
void announcements_know(struct announcements *all, const struct kernel_state *have);
/*
 * These addresses of the router, its own and those of its VMs, from now on, instead of those that
 * were to be announced of it before. All is copied.
 */
void announcements_add(struct announcements *all, const struct router_row *r,
		       const struct addr_list *own, const struct addr_list *mapped, uint64_t now);
/* Nothing of that router any more. */
void announcements_drop(struct announcements *all, uint32_t router);
void announcements_free(struct announcements *all);

/* When there is something to be announced; UINT64_MAX: nothing is. */
uint64_t announcements_due(const struct announcements *all);
/*
 * Announce the next few, at most ANNOUNCE_SLICE of one router, if any are due. A failure is logged.
 * A router that has gone or moved meanwhile needs none, nor one that has become a standby.
 */
void announcements_send(struct announcements *all, uint64_t now);

#endif

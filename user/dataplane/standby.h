/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether a router that several hosts have is active here now, as the programs see it for
 * themselves.
 */
#ifndef TN_STANDBY_H
#define TN_STANDBY_H

#include "dataplane/dataplane.h"

/*
 * Whether it waits for its address, that is not on its shared interface; or it is elected, and this
 * host has not been granted to be active, or not for so long. False of a router that is always
 * active, and when its namespace is not there. `subnets`: the shared ones.
 */
bool standby_now(const struct dataplane *dp, const struct router_row *r,
		 const struct prefix *subnets, size_t n);
/* The same for who has no maps open. */
bool standby_now_at(const char *bpffs, const struct router_row *r, const struct prefix *subnets,
		    size_t n);

#endif

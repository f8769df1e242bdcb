/* SPDX-License-Identifier: GPL-2.0-only */
#include "host/standby.h"

#include "host/netlink.h"
#include "host/netns.h"

bool standby_now(const struct router_row *r, const struct prefix *subnets, size_t n)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct iface shared = { .index = r->ifindex };
	bool standby;

	if (!r->by_address || netns_enter_id(r->netns, r->netns_dev, r->netns_ino, &ns) ||
	    netlink_addrs(&shared))
		return false;
	standby = !iface_makes_active(&shared, r, subnets, n);
	vec_free(&shared.addrs);
	return standby;
}

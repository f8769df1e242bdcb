/* SPDX-License-Identifier: GPL-2.0-only */
#include "dataplane/standby.h"

#include "host/netlink.h"
#include "host/netns.h"

static bool lacks_address(const struct router_row *r, const struct prefix *subnets, size_t n,
			  bool *gone)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct iface shared = { .index = r->ifindex };
	bool lacks;

	*gone = netns_enter_id(r->netns, r->netns_dev, r->netns_ino, &ns) || netlink_addrs(&shared);
	if (*gone)
		return false;
	lacks = !iface_makes_active(&shared, r, subnets, n);
	vec_free(&shared.addrs);
	return lacks;
}

bool standby_now(const struct dataplane *dp, const struct router_row *r,
		 const struct prefix *subnets, size_t n)
{
	bool gone;

	if (!r->by_address)
		return false;
	if (lacks_address(r, subnets, n, &gone))
		return true;
	return !gone && r->elected && !dataplane_is_granted(dp, r->id);
}

bool standby_now_at(const char *bpffs, const struct router_row *r, const struct prefix *subnets,
		    size_t n)
{
	struct dataplane *dp = NULL;
	struct error ignored = { 0 };
	bool standby;

	if (r->by_address && r->elected)
		dataplane_open(bpffs, &dp, &ignored);
	standby = standby_now(dp, r, subnets, n);
	dataplane_close(dp);
	return standby;
}

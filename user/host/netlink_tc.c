/* SPDX-License-Identifier: GPL-2.0-only */
#include "host/netlink.h"

#include <linux/pkt_sched.h>
#include <netlink/route/classifier.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/tc.h>

#include "host/netlink_internal.h"

static void cache_cleanup(struct nl_cache **cache)
{
	if (*cache)
		nl_cache_free(*cache);
}
#define _cleanup_cache_ _cleanup_(cache_cleanup)

bool netlink_has_clsact(uint32_t ifindex)
{
	_cleanup_cache_ struct nl_cache *qdiscs = NULL;
	_cleanup_sock_ struct nl_sock *sock = NULL;
	int ret;

	sock = netlink_connect(&ret);
	if (ret || rtnl_qdisc_alloc_cache(sock, &qdiscs))
		return false;
	for (struct nl_object *o = nl_cache_get_first(qdiscs); o; o = nl_cache_get_next(o)) {
		struct rtnl_tc *tc = (struct rtnl_tc *)o;

		if ((uint32_t)rtnl_tc_get_ifindex(tc) == ifindex &&
		    rtnl_tc_get_parent(tc) == TC_H_CLSACT)
			return true;
	}
	return false;
}

bool netlink_clsact_in_use(uint32_t ifindex)
{
	static const uint32_t parents[] = { TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
					    TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS) };
	_cleanup_sock_ struct nl_sock *sock = NULL;
	int ret;

	sock = netlink_connect(&ret);
	for (size_t i = 0; !ret && i < ARRAY_SIZE(parents); i++) {
		_cleanup_cache_ struct nl_cache *filters = NULL;

		ret = rtnl_cls_alloc_cache(sock, ifindex, parents[i], &filters);
		if (!ret && nl_cache_nitems(filters))
			return true;
	}
	/* not known is not free */
	return ret != 0;
}

uint16_t netlink_clsact_first(uint32_t ifindex, bool egress)
{
	_cleanup_cache_ struct nl_cache *filters = NULL;
	_cleanup_sock_ struct nl_sock *sock = NULL;
	uint16_t first = 0;
	int ret;

	sock = netlink_connect(&ret);
	if (ret ||
	    rtnl_cls_alloc_cache(
		    sock, ifindex,
		    TC_H_MAKE(TC_H_CLSACT, egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS), &filters))
		return 0;
	for (struct nl_object *o = nl_cache_get_first(filters); o; o = nl_cache_get_next(o)) {
		uint16_t prio = rtnl_cls_get_prio((struct rtnl_cls *)o);

		if (prio && (!first || prio < first))
			first = prio;
	}
	return first;
}

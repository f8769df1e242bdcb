/* SPDX-License-Identifier: GPL-2.0-only */
#include "netlink.h"

#include <linux/if_arp.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/classifier.h>
#include <netlink/route/link.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/tc.h>

static void cache_cleanup(struct nl_cache **cache)
{
	if (*cache)
		nl_cache_free(*cache);
}
#define _cleanup_cache_ _cleanup_(cache_cleanup)

static void sock_cleanup(struct nl_sock **sock)
{
	if (*sock)
		nl_socket_free(*sock);
}
#define _cleanup_sock_ _cleanup_(sock_cleanup)

static struct nl_sock *connect_route(int *ret)
{
	struct nl_sock *sock = nl_socket_alloc();

	*ret = sock ? nl_connect(sock, NETLINK_ROUTE) : -NLE_NOMEM;
	return sock;
}

static void read_link(struct rtnl_link *link, struct ifaces *out)
{
	struct nl_addr *mac = rtnl_link_get_addr(link);
	const char *kind = rtnl_link_get_type(link);
	struct iface *i = vec_push(&out->list);

	i->index = rtnl_link_get_ifindex(link);
	snprintf(i->name, sizeof(i->name), "%s", rtnl_link_get_name(link));
	snprintf(i->kind, sizeof(i->kind), "%s", kind ? kind : "");
	i->loopback = rtnl_link_get_flags(link) & IFF_LOOPBACK;
	i->ethernet = rtnl_link_get_arptype(link) == ARPHRD_ETHER;
	if (mac && nl_addr_get_len(mac) == sizeof(i->mac))
		memcpy(i->mac, nl_addr_get_binary_addr(mac), sizeof(i->mac));
}

static void read_addr(struct rtnl_addr *a, struct ifaces *ifaces)
{
	struct nl_addr *local = rtnl_addr_get_local(a);

	if (!local)
		return;
	vec_each (i, &ifaces->list) {
		if (i->index == (uint32_t)rtnl_addr_get_ifindex(a))
			*vec_push(&i->addrs) = addr_from_bytes(nl_addr_get_binary_addr(local),
							       nl_addr_get_len(local));
	}
}

static int iface_cmp(const void *a, const void *b)
{
	uint32_t x = ((const struct iface *)a)->index, y = ((const struct iface *)b)->index;

	return x < y ? -1 : x > y;
}

int netlink_ifaces(struct ifaces *out, struct error *err)
{
	_cleanup_cache_ struct nl_cache *links = NULL, *addrs = NULL;
	_cleanup_sock_ struct nl_sock *sock = NULL;
	int ret;

	memset(out, 0, sizeof(*out));
	sock = connect_route(&ret);
	if (!ret)
		ret = rtnl_link_alloc_cache(sock, AF_UNSPEC, &links);
	if (!ret)
		ret = rtnl_addr_alloc_cache(sock, &addrs);
	if (ret)
		return error_set(err, "cannot list the interfaces: %s", nl_geterror(ret));

	for (struct nl_object *o = nl_cache_get_first(links); o; o = nl_cache_get_next(o))
		read_link((struct rtnl_link *)o, out);
	for (struct nl_object *o = nl_cache_get_first(addrs); o; o = nl_cache_get_next(o))
		read_addr((struct rtnl_addr *)o, out);
	if (out->list.n)
		qsort(out->list.v, out->list.n, sizeof(*out->list.v), iface_cmp);
	return 0;
}

bool netlink_has_clsact(uint32_t ifindex)
{
	_cleanup_cache_ struct nl_cache *qdiscs = NULL;
	_cleanup_sock_ struct nl_sock *sock = NULL;
	int ret;

	sock = connect_route(&ret);
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

	sock = connect_route(&ret);
	for (size_t i = 0; !ret && i < ARRAY_SIZE(parents); i++) {
		_cleanup_cache_ struct nl_cache *filters = NULL;

		ret = rtnl_cls_alloc_cache(sock, ifindex, parents[i], &filters);
		if (!ret && nl_cache_nitems(filters))
			return true;
	}
	/* not known is not free */
	return ret != 0;
}

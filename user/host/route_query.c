/* SPDX-License-Identifier: GPL-2.0-only */
#include "host/route_query.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/route.h>

#include "host/netlink.h"
#include "host/sysctl.h"
#include "lib/clock.h"
#include "lib/interrupt.h"
#include "lib/util.h"

static void sock_cleanup(struct nl_sock **sock)
{
	if (*sock)
		nl_socket_free(*sock);
}

static void msg_cleanup(struct nl_msg **msg)
{
	if (*msg)
		nlmsg_free(*msg);
}

static struct tn_addr addr_of(struct nl_addr *a)
{
	return a ? addr_from_bytes(nl_addr_get_binary_addr(a), nl_addr_get_len(a))
		 : (struct tn_addr){ 0 };
}

static bool forwards_by_learned(void)
{
	struct error ignored = { 0 };
	long value;

	return sysctl_get_number("ipv4/ip_forward_use_pmtu", &value, &ignored) == 0 && value == 1;
}

/* The kernel takes a metric of IPv6 that is not locked for what it sends itself alone. */
static uint32_t mtu_of(struct nl_msg *msg, struct rtnl_route *route)
{
	struct nlattr *info = nlmsg_find_attr(nlmsg_hdr(msg), sizeof(struct rtmsg), RTA_CACHEINFO);
	bool learned = info && ((struct rta_cacheinfo *)nla_data(info))->rta_expires;
	bool v4 = rtnl_route_get_family(route) == AF_INET;
	uint32_t mtu = 0, lock = 0;

	if (rtnl_route_get_metric(route, RTAX_MTU, &mtu))
		return 0;
	rtnl_route_get_metric(route, RTAX_LOCK, &lock);
	if (lock & 1U << RTAX_MTU)
		return mtu;
	return v4 && (!learned || forwards_by_learned()) ? mtu : 0;
}

static int read_route(struct nl_msg *msg, void *arg)
{
	struct rtnl_route *route = NULL;
	struct rtnl_nexthop *hop;
	struct next_hop *out = arg;
	int type;

	if (nlmsg_hdr(msg)->nlmsg_type != RTM_NEWROUTE || rtnl_route_parse(nlmsg_hdr(msg), &route))
		return NL_SKIP;
	hop = rtnl_route_nexthop_n(route, 0);
	type = rtnl_route_get_type(route);
	out->local = type == RTN_LOCAL;
	if (type != RTN_UNICAST && !out->local) {
		nl_rtntype2str(type, out->why, sizeof(out->why));
		hop = NULL;
	}
	out->source = addr_of(rtnl_route_get_pref_src(route));
	out->table = rtnl_route_get_table(route);
	out->mtu = mtu_of(msg, route);
	if (hop) {
		struct nl_addr *via = rtnl_route_nh_get_via(hop);

		out->ifindex = rtnl_route_nh_get_ifindex(hop);
		out->gateway = addr_of(via ? via : rtnl_route_nh_get_gateway(hop));
	}
	rtnl_route_put(route);
	return NL_OK;
}

static int put_addr(struct nl_msg *msg, int type, const struct tn_addr *a)
{
	size_t len = addr_is_v4(a) ? 4 : 16;

	return nla_put(msg, type, (int)len, (const uint8_t *)a->w + 16 - len);
}

/* The kernel takes these for some protocols alone. */
static int put_service(struct nl_msg *msg, const struct route_packet *p)
{
	uint16_t sport = htons(p->sport), dport = htons(p->dport);

	if (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP)
		return p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6
			       ? nla_put_u8(msg, RTA_IP_PROTO, p->proto)
			       : 0;
	return nla_put_u8(msg, RTA_IP_PROTO, p->proto) ||
	       nla_put(msg, RTA_SPORT, sizeof(sport), &sport) ||
	       nla_put(msg, RTA_DPORT, sizeof(dport), &dport);
}

static int request(struct nl_sock *sock, const struct route_packet *p)
{
	uint8_t bits = addr_is_v4(&p->to) ? 32 : 128;
	bool known = !addr_is_unset(&p->from);
	struct rtmsg head = { .rtm_family = addr_is_v4(&p->to) ? AF_INET : AF_INET6,
			      .rtm_dst_len = bits,
			      .rtm_src_len = known ? bits : 0,
			      .rtm_flags = RTM_F_LOOKUP_TABLE };
	_cleanup_(msg_cleanup) struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETROUTE, 0);
	int ret;

	if (!msg || nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO) ||
	    put_addr(msg, RTA_DST, &p->to) || (known && put_addr(msg, RTA_SRC, &p->from)) ||
	    (known && p->iif && nla_put_u32(msg, RTA_IIF, p->iif)) ||
	    (known && put_service(msg, p)))
		return -NLE_NOMEM;
	ret = nl_send_auto(sock, msg);
	return ret < 0 ? ret : 0;
}

/* The kernel's refusal is an answer: there is no way. */
static int read_refusal(struct sockaddr_nl *from, struct nlmsgerr *refusal, void *arg)
{
	struct next_hop *out = arg;

	(void)from;
	snprintf(out->why, sizeof(out->why), "%s", strerror(-refusal->error));
	return NL_STOP;
}

int route_query_packet(const struct route_packet *p, struct next_hop *out, struct error *err)
{
	_cleanup_(sock_cleanup) struct nl_sock *sock = nl_socket_alloc();
	int ret = sock ? nl_connect(sock, NETLINK_ROUTE) : -NLE_NOMEM;

	memset(out, 0, sizeof(*out));
	if (!ret) {
		nl_socket_disable_auto_ack(sock);
		nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, read_route, out);
		nl_socket_modify_err_cb(sock, NL_CB_CUSTOM, read_refusal, out);
		ret = request(sock, p);
	}
	if (!ret)
		ret = nl_recvmsgs_default(sock);
	if (ret < 0 && !out->why[0])
		return error_set(err, "cannot ask for the route to %s: %s", ADDR(&p->to),
				 nl_geterror(ret));
	return 0;
}

int route_query(const struct tn_addr *to, struct next_hop *out, struct error *err)
{
	return route_query_packet(&(struct route_packet){ .to = *to }, out, err);
}

int route_query_input(const struct tn_addr *to, const struct tn_addr *from, uint32_t iif,
		      struct next_hop *out, struct error *err)
{
	return route_query_packet(&(struct route_packet){ *to, *from, iif, 0, 0, 0 }, out, err);
}

#define LOCAL_WAIT_MS 5000

void route_await_local(const struct tn_addr *own, uint32_t ifindex)
{
	uint64_t end = clock_ms() + LOCAL_WAIT_MS;
	struct error ignored = { 0 };
	struct next_hop hop;

	while (route_query(own, &hop, &ignored) == 0 && !hop.local && clock_left(end) &&
	       netlink_is_up(ifindex) && !interrupt_is_due())
		clock_sleep(1);
}

bool route_astray_del(const struct tn_addr *to, const uint32_t *right, size_t n,
		      char buf[IFACE_ROUTE_DEL])
{
	_cleanup_ifaces_ struct ifaces ifaces = { 0 };
	struct error ignored = { 0 };
	struct iface_culprit c;

	if (netlink_ifaces(&ifaces, &ignored))
		return false;
	ifaces_culprit(&ifaces, to, right, n, &c);
	if (c.found && c.covered)
		iface_culprit_del(&ifaces, &c, buf);
	return c.found && c.covered;
}

static bool read_mac(struct rtnl_neigh *entry, uint8_t mac[6])
{
	struct nl_addr *found = entry ? rtnl_neigh_get_lladdr(entry) : NULL;

	if (!found || nl_addr_get_len(found) != 6)
		return false;
	memcpy(mac, nl_addr_get_binary_addr(found), 6);
	return true;
}

bool neighbour_mac(uint32_t ifindex, const struct tn_addr *neighbour, uint8_t mac[6])
{
	bool v4 = addr_is_v4(neighbour), known = false;
	_cleanup_(sock_cleanup) struct nl_sock *sock = nl_socket_alloc();
	struct nl_addr *addr = nl_addr_build(v4 ? AF_INET : AF_INET6,
					     v4 ? &neighbour->w[3] : neighbour->w, v4 ? 4 : 16);
	struct rtnl_neigh *entry = NULL;
	struct nl_cache *all = NULL;

	if (sock && addr && !nl_connect(sock, NETLINK_ROUTE) && !rtnl_neigh_alloc_cache(sock, &all))
		entry = rtnl_neigh_get(all, (int)ifindex, addr);
	known = read_mac(entry, mac);
	if (entry)
		rtnl_neigh_put(entry);
	if (all)
		nl_cache_free(all);
	if (addr)
		nl_addr_put(addr);
	return known;
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include "host/netlink.h"

#include <linux/if_arp.h>
#include <linux/if_bridge.h>
#include <linux/neighbour.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/route/link.h>

#include "host/netlink_internal.h"

/* "": none. Of L2TP's Ethernet devices the kernel tells none, but they have a name of their own. */
static const char *kind_of(struct rtnl_link *link)
{
	static const char l2tp[] = "l2tpeth";
	const char *kind = rtnl_link_get_type(link);

	if (kind)
		return kind;
	return strncmp(rtnl_link_get_name(link), l2tp, strlen(l2tp)) == 0 ? l2tp : "";
}

static void read_link(struct nl_object *object, void *out)
{
	struct rtnl_link *link = (struct rtnl_link *)object;
	struct nl_addr *mac = rtnl_link_get_addr(link);
	struct iface *i = out;

	i->index = rtnl_link_get_ifindex(link);
	snprintf(i->name, sizeof(i->name), "%s", rtnl_link_get_name(link));
	snprintf(i->kind, sizeof(i->kind), "%s", kind_of(link));
	i->loopback = rtnl_link_get_flags(link) & IFF_LOOPBACK;
	i->up = rtnl_link_get_flags(link) & IFF_UP;
	i->carrier = rtnl_link_get_flags(link) & IFF_LOWER_UP;
	i->allmulti = rtnl_link_get_flags(link) & IFF_ALLMULTI;
	i->mtu = rtnl_link_get_mtu(link);
	i->master = rtnl_link_get_master(link);
	i->link = rtnl_link_get_link(link);
	i->link_elsewhere = rtnl_link_get_link_netnsid(link, &i->netnsid) == 0;
	i->ethernet = rtnl_link_get_arptype(link) == ARPHRD_ETHER;
	if (mac && nl_addr_get_len(mac) == sizeof(i->mac))
		memcpy(i->mac, nl_addr_get_binary_addr(mac), sizeof(i->mac));
}

static bool nested_is(struct nlattr *nest, int type, uint8_t value)
{
	struct nlattr *attr = nest ? nla_find(nla_data(nest), nla_len(nest), type) : NULL;

	return attr && nla_get_u8(attr) == value;
}

static struct nlattr *nested(struct nlattr *nest, int type)
{
	return nest ? nla_find(nla_data(nest), nla_len(nest), type) : NULL;
}

/* What only the message itself tells of bridges and their ports. */
static void read_bridge(struct nl_msg *msg, struct iface *i)
{
	struct nlattr *info =
		nlmsg_find_attr(nlmsg_hdr(msg), sizeof(struct ifinfomsg), IFLA_LINKINFO);
	struct nlattr *bridge = nested(info, IFLA_INFO_DATA);
	struct nlattr *port = nested(info, IFLA_INFO_SLAVE_DATA);
	const char *master = info && nested(info, IFLA_INFO_SLAVE_KIND)
				     ? nla_get_string(nested(info, IFLA_INFO_SLAVE_KIND))
				     : "";

	if (strcmp(i->kind, "bridge") == 0) {
		i->snoops = nested_is(bridge, IFLA_BR_MCAST_SNOOPING, 1);
		i->queries = nested_is(bridge, IFLA_BR_MCAST_QUERIER, 1);
	}
	i->takes_all = strcmp(master, "bridge") == 0 &&
		       nested_is(port, IFLA_BRPORT_MULTICAST_ROUTER, MDB_RTR_TYPE_PERM);
}

static int read_iface(struct nl_msg *msg, void *arg)
{
	struct ifaces *ifaces = arg;
	struct iface *i = vec_push(&ifaces->list);

	nl_msg_parse(msg, read_link, i);
	read_bridge(msg, i);
	i->marked = netlink_mark(msg);
	return NL_OK;
}

static struct tn_addr addr_of_attr(const struct nlattr *attr)
{
	return addr_from_bytes(nla_data(attr), nla_len(attr));
}

/* As struct prefix counts: all 128 bits. */
static uint8_t length_of(int family, unsigned int bits)
{
	return family == AF_INET ? bits + 96 : bits;
}

static bool is_ip(int family)
{
	return family == AF_INET || family == AF_INET6;
}

static int read_addr(struct nl_msg *msg, void *arg)
{
	const struct ifaddrmsg *head = nlmsg_data(nlmsg_hdr(msg));
	struct nlattr *attrs[IFA_MAX + 1], *local;
	struct ifaces *ifaces = arg;

	if (!is_ip(head->ifa_family) ||
	    nlmsg_parse(nlmsg_hdr(msg), sizeof(*head), attrs, IFA_MAX, NULL))
		return NL_SKIP;
	local = attrs[IFA_LOCAL] ? attrs[IFA_LOCAL] : attrs[IFA_ADDRESS];
	vec_each (i, &ifaces->list) {
		if (i->index == head->ifa_index && local)
			*vec_push(&i->addrs) = (struct iface_addr){
				.addr = addr_of_attr(local),
				.len = length_of(head->ifa_family, head->ifa_prefixlen),
				.ours = attrs[IFA_PROTO] &&
					nla_get_u8(attrs[IFA_PROTO]) == TN_PROTOCOL,
				.elected = attrs[IFA_PROTO] &&
					   nla_get_u8(attrs[IFA_PROTO]) == TN_PROTOCOL_ELECTED,
				.failed = head->ifa_flags & IFA_F_DADFAILED,
			};
	}
	return NL_OK;
}

/* Whether all other routes to the prefix come before it. */
static bool is_last(struct nlattr *const *attrs)
{
	return attrs[RTA_PRIORITY] && nla_get_u32(attrs[RTA_PRIORITY]) == TN_LAST_METRIC;
}

static int read_route(struct nl_msg *msg, void *arg)
{
	const struct rtmsg *head = nlmsg_data(nlmsg_hdr(msg));
	struct nlattr *attrs[RTA_MAX + 1];
	struct ifaces *ifaces = arg;
	struct iface_route *r;
	bool unreachable = head->rtm_type == RTN_UNREACHABLE;

	if (!is_ip(head->rtm_family) || head->rtm_table != RT_TABLE_MAIN ||
	    (head->rtm_type != RTN_UNICAST && !unreachable) || head->rtm_flags & RTM_F_CLONED ||
	    nlmsg_parse(nlmsg_hdr(msg), sizeof(*head), attrs, RTA_MAX, NULL) ||
	    (!attrs[RTA_OIF] && !unreachable))
		return NL_SKIP;
	r = vec_push(&ifaces->routes);
	/* IPv6 names the loopback interface */
	if (!unreachable)
		r->ifindex = nla_get_u32(attrs[RTA_OIF]);
	r->ours = head->rtm_protocol == TN_PROTOCOL && (!unreachable || is_last(attrs));
	r->to.addr = addr_from_bytes((uint8_t[16]){ 0 }, head->rtm_family == AF_INET ? 4 : 16);
	if (attrs[RTA_DST])
		r->to.addr = addr_of_attr(attrs[RTA_DST]);
	r->to.len = length_of(head->rtm_family, head->rtm_dst_len);
	if (attrs[RTA_GATEWAY])
		r->via = addr_of_attr(attrs[RTA_GATEWAY]);
	if (attrs[RTA_PREFSRC])
		r->src = addr_of_attr(attrs[RTA_PREFSRC]);
	return NL_OK;
}

static int read_proxy(struct nl_msg *msg, void *arg)
{
	const struct ndmsg *head = nlmsg_data(nlmsg_hdr(msg));
	struct nlattr *attrs[NDA_MAX + 1];
	struct ifaces *ifaces = arg;

	if (head->ndm_family != AF_INET6 || !(head->ndm_flags & NTF_PROXY) ||
	    nlmsg_parse(nlmsg_hdr(msg), sizeof(*head), attrs, NDA_MAX, NULL) || !attrs[NDA_DST])
		return NL_SKIP;
	*vec_push(&ifaces->proxies) = (struct iface_proxy){
		.ifindex = head->ndm_ifindex,
		.addr = addr_of_attr(attrs[NDA_DST]),
		.ours = attrs[NDA_PROTOCOL] && nla_get_u8(attrs[NDA_PROTOCOL]) == TN_PROTOCOL,
	};
	return NL_OK;
}

/* Ask for everything of a kind; 0 or an error of libnl. */
static int dump_by(struct nl_sock *sock, int type, void *head, size_t size,
		   nl_recvmsg_msg_cb_t read, struct ifaces *out)
{
	int ret;

	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, read, out);
	ret = nl_send_simple(sock, type, NLM_F_DUMP, head, size);
	return ret < 0 ? ret : nl_recvmsgs_default(sock);
}

static int dump(struct nl_sock *sock, int type, nl_recvmsg_msg_cb_t read, struct ifaces *out)
{
	/* long enough for both kinds of request, ifaddrmsg and rtmsg; the family is the first byte
	 */
	struct rtmsg head = { .rtm_family = AF_UNSPEC };

	return dump_by(sock, type, &head, sizeof(head), read, out);
}

/* From the start again when interfaces changed during the dump. */
static int dump_links(struct nl_sock *sock, struct ifaces *out)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC };
	int ret;

	do {
		out->list.n = 0;
		ret = dump_by(sock, RTM_GETLINK, &head, sizeof(head), read_iface, out);
	} while (ret == -NLE_DUMP_INTR);
	return ret;
}

/* A kernel without IPv6 lists none. */
static int dump_proxies(struct nl_sock *sock, struct ifaces *out)
{
	struct ndmsg head = { .ndm_family = AF_INET6, .ndm_flags = NTF_PROXY };

	return dump_by(sock, RTM_GETNEIGH, &head, sizeof(head), read_proxy, out);
}

static int iface_cmp(const void *a, const void *b)
{
	uint32_t x = ((const struct iface *)a)->index, y = ((const struct iface *)b)->index;

	return x < y ? -1 : x > y;
}

int netlink_ifaces(struct ifaces *out, struct error *err)
{
	_cleanup_sock_ struct nl_sock *sock = NULL;
	int ret;

	memset(out, 0, sizeof(*out));
	sock = netlink_connect(&ret);
	if (!ret)
		ret = dump_links(sock, out);
	if (ret)
		return error_set(err, "cannot list the interfaces: %s", nl_geterror(ret));

	vec_sort(&out->list, iface_cmp);
	ret = dump(sock, RTM_GETADDR, read_addr, out);
	if (!ret)
		ret = dump(sock, RTM_GETROUTE, read_route, out);
	if (!ret)
		ret = dump_proxies(sock, out);
	return ret ? error_set(err, "cannot list the addresses, routes and neighbour proxies: %s",
			       nl_geterror(ret))
		   : 0;
}

int netlink_addrs(struct iface *out)
{
	_cleanup_sock_ struct nl_sock *sock = NULL;
	struct ifaces one = { .list = { .v = out, .n = 1 } };
	int ret;

	sock = netlink_connect(&ret);
	if (!ret)
		ret = dump(sock, RTM_GETADDR, read_addr, &one);
	if (ret)
		vec_free(&out->addrs);
	return ret ? -1 : 0;
}

static void link_cleanup(struct rtnl_link **link)
{
	if (*link)
		rtnl_link_put(*link);
}
#define _cleanup_link_ _cleanup_(link_cleanup)

/* NULL: there is none, or it is not known. */
static struct rtnl_link *link_of(uint32_t ifindex)
{
	_cleanup_sock_ struct nl_sock *sock = NULL;
	struct rtnl_link *link = NULL;
	int ret;

	sock = netlink_connect(&ret);
	return !ret && rtnl_link_get_kernel(sock, ifindex, NULL, &link) == 0 ? link : NULL;
}

bool netlink_is_up(uint32_t ifindex)
{
	_cleanup_link_ struct rtnl_link *link = link_of(ifindex);

	return link && (~rtnl_link_get_flags(link) & (IFF_UP | IFF_RUNNING)) == 0;
}

bool netlink_has_mac(uint32_t ifindex, const uint8_t mac[6])
{
	_cleanup_link_ struct rtnl_link *link = link_of(ifindex);
	struct iface i = { 0 };

	if (link)
		read_link((struct nl_object *)link, &i);
	return link && memcmp(i.mac, mac, sizeof(i.mac)) == 0;
}

static int take_link(struct nl_msg *msg, void *out)
{
	nl_msg_parse(msg, read_link, out);
	read_bridge(msg, out);
	return NL_OK;
}

/* An interface of the namespace with that number; `out` stays as it is when it cannot be seen. */
static void look_elsewhere(int32_t netnsid, uint32_t ifindex, struct iface *out)
{
	struct nl_msg *msg = NULL;

	if (rtnl_link_build_get_request((int)ifindex, NULL, &msg))
		return;
	nla_put_s32(msg, IFLA_TARGET_NETNSID, netnsid);
	netlink_query(msg, take_link, out);
}

/* The interface with that index, where `of` has what it is linked to, or else in its namespace. */
static struct iface look_at(const struct ifaces *ifaces, const struct iface *of, bool elsewhere,
			    uint32_t index)
{
	struct iface out = { 0 };

	if (index && elsewhere)
		look_elsewhere(of->netnsid, index, &out);
	vec_each (i, &ifaces->list) {
		if (index && !elsewhere && i->index == index)
			out = *i;
	}
	return out;
}

void netlink_others(const struct ifaces *ifaces, const struct iface *i,
		    struct iface_other out[IFACE_RELATIONS])
{
	bool far = i->link_elsewhere;
	struct iface seen[IFACE_RELATIONS] = { 0 };

	if (strcmp(i->kind, "veth") == 0)
		seen[IFACE_PEER] = look_at(ifaces, i, far, i->link);
	seen[IFACE_PEER_MASTER] = look_at(ifaces, i, far, seen[IFACE_PEER].master);
	seen[IFACE_MASTER] = look_at(ifaces, i, false, i->master);
	for (int k = 0; k < IFACE_RELATIONS; k++) {
		out[k] = (struct iface_other){ .mtu = seen[k].mtu,
					       .snoops = seen[k].snoops,
					       .queries = seen[k].queries,
					       .takes_all = seen[k].takes_all,
					       .elsewhere = far && k != IFACE_MASTER };
		memcpy(out[k].name, seen[k].name, sizeof(out[k].name));
		memcpy(out[k].kind, seen[k].kind, sizeof(out[k].kind));
	}
}

static int take_netnsid(struct nl_msg *msg, void *out)
{
	struct nlattr *id = nlmsg_find_attr(nlmsg_hdr(msg), sizeof(struct rtgenmsg), NETNSA_NSID);

	if (id)
		*(int32_t *)out = nla_get_s32(id);
	return NL_OK;
}

int32_t netlink_netnsid(int fd)
{
	struct rtgenmsg head = { .rtgen_family = AF_UNSPEC };
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETNSID, 0);
	int32_t id = -1;

	nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO);
	nla_put_u32(msg, NETNSA_FD, fd);
	netlink_query(msg, take_netnsid, &id);
	return id;
}

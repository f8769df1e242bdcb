/* SPDX-License-Identifier: GPL-2.0-only */
#include "host/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/neighbour.h>
#include <linux/net_namespace.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/route/classifier.h>
#include <netlink/route/link.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/route.h>
#include <netlink/route/tc.h>
#include <sys/socket.h>
#include <sys/time.h>

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

/*
 * The kernel answers before a request is sent. libnl does not look whether that went well, and
 * would wait for an answer to what was not sent for ever.
 */
static void limit_wait(struct nl_sock *sock)
{
	static const struct timeval limit = { .tv_sec = 2 };

	setsockopt(nl_socket_get_fd(sock), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

static struct nl_sock *connect_route(int *ret)
{
	struct nl_sock *sock = nl_socket_alloc();

	*ret = sock ? nl_connect(sock, NETLINK_ROUTE) : -NLE_NOMEM;
	if (!*ret)
		limit_wait(sock);
	return sock;
}

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

/* ------------------------------------------------------------ reading */

/* An alternative name of the link that is our mark; NULL: none. */
static const char *mark_of(struct nl_msg *link)
{
	struct nlattr *props =
		nlmsg_find_attr(nlmsg_hdr(link), sizeof(struct ifinfomsg), IFLA_PROP_LIST);
	struct nlattr *prop;
	int left;

	if (!props)
		return NULL;
	nla_for_each_nested(prop, props, left)
	{
		if (nla_type(prop) == IFLA_ALT_IFNAME &&
		    strncmp(nla_get_string(prop), TN_ALL_MULTICAST, strlen(TN_ALL_MULTICAST)) == 0)
			return nla_get_string(prop);
	}
	return NULL;
}

static int read_iface(struct nl_msg *msg, void *arg)
{
	struct ifaces *ifaces = arg;
	struct iface *i = vec_push(&ifaces->list);

	nl_msg_parse(msg, read_link, i);
	i->marked = mark_of(msg);
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
			};
	}
	return NL_OK;
}

/* Whether no route is asked later. */
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

/* Anew where they changed meanwhile. */
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

/* A kernel without IPv6 has none. */
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
	sock = connect_route(&ret);
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

	sock = connect_route(&ret);
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

/* ------------------------------------------------------------ other namespaces */

static int take_link(struct nl_msg *msg, void *out)
{
	nl_msg_parse(msg, read_link, out);
	return NL_OK;
}

/* An interface of the namespace with that number; `out` stays as it is when it cannot be seen. */
static void look_elsewhere(int32_t netnsid, uint32_t ifindex, struct iface *out)
{
	_cleanup_sock_ struct nl_sock *sock = NULL;
	struct nl_msg *msg = NULL;
	int ret;

	sock = connect_route(&ret);
	if (!ret)
		ret = rtnl_link_build_get_request(ifindex, NULL, &msg);
	if (ret)
		return;
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, take_link, out);
	if (!nla_put_s32(msg, IFLA_TARGET_NETNSID, netnsid) && nl_send_auto(sock, msg) >= 0)
		nl_recvmsgs_default(sock);
	nlmsg_free(msg);
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
	_cleanup_sock_ struct nl_sock *sock = NULL;
	int32_t id = -1;
	int ret;

	nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO);
	nla_put_u32(msg, NETNSA_FD, fd);
	sock = connect_route(&ret);
	if (!ret)
		nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, take_netnsid, &id);
	if (!ret && nl_send_auto(sock, msg) >= 0)
		nl_recvmsgs_default(sock);
	nlmsg_free(msg);
	return id;
}

/* ------------------------------------------------------------ writing */

/* What the kernel said to a request. */
struct answer {
	int number; /* an errno; 0: done */
	char text[128];
};

static int take_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
	struct nlmsghdr *head = (struct nlmsghdr *)((char *)e - NLMSG_HDRLEN);
	struct answer *a = arg;
	struct nlattr *words = NULL;

	(void)from;
	a->number = -e->error;
	/* behind the header of the request, which is all of it that comes back: NETLINK_CAP_ACK */
	if (head->nlmsg_flags & NLM_F_ACK_TLVS)
		words = nlmsg_find_attr(head, sizeof(*e), NLMSGERR_ATTR_MSG);
	if (words)
		snprintf(a->text, sizeof(a->text), " (%.*s)", nla_len(words),
			 (const char *)nla_data(words));
	return NL_STOP;
}

/* Send, free and wait for the answer. */
static struct answer ask(struct nl_msg *msg)
{
	_cleanup_sock_ struct nl_sock *sock = NULL;
	struct answer a = { 0 };
	int on = 1, ret;

	sock = connect_route(&ret);
	if (!ret) {
		nl_socket_modify_err_cb(sock, NL_CB_CUSTOM, take_error, &a);
		setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
		setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
		ret = nl_send_auto(sock, msg);
	}
	if (ret >= 0)
		ret = nl_wait_for_ack(sock);
	if (ret < 0 && !a.number) {
		a.number = EIO;
		snprintf(a.text, sizeof(a.text), " (%s)", nl_geterror(ret));
	}
	nlmsg_free(msg);
	return a;
}

static int family_of(const struct tn_addr *a)
{
	return addr_is_v4(a) ? AF_INET : AF_INET6;
}

static void put_addr_attr(struct nl_msg *msg, int type, const struct tn_addr *a)
{
	if (addr_is_v4(a))
		nla_put(msg, type, 4, &a->w[3]);
	else
		nla_put(msg, type, 16, a->w);
}

static unsigned int bits_of(const struct tn_addr *a, uint8_t len)
{
	return addr_is_v4(a) ? len - 96U : len;
}

static struct nl_msg *addr_request(int type, int flags, const struct addr_row *row)
{
	struct ifaddrmsg head = { .ifa_family = family_of(&row->addr),
				  .ifa_prefixlen = bits_of(&row->addr, row->len),
				  .ifa_index = row->at.ifindex };
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags);

	nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO);
	put_addr_attr(msg, IFA_LOCAL, &row->addr);
	put_addr_attr(msg, IFA_ADDRESS, &row->addr);
	return msg;
}

int netlink_put_addr(const struct addr_row *row, struct error *err)
{
	struct nl_msg *msg = addr_request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, row);
	struct prefix p = { row->addr, row->len };
	struct answer a;

	nla_put_u32(msg, IFA_FLAGS, IFA_F_NOPREFIXROUTE | IFA_F_NODAD);
	nla_put_u8(msg, IFA_PROTO, TN_PROTOCOL);
	a = ask(msg);
	if (!a.number)
		return 0;
	return error_set(err, "cannot add the address %s to %s: %s%s%s", PREFIX(&p), row->at.name,
			 strerror(a.number), a.text,
			 a.number == EACCES && !addr_is_v4(&row->addr)
				 ? "; IPv6 is off there: set disable_ipv6 to 0"
				 : "");
}

int netlink_del_addr(const struct addr_row *row, struct error *err)
{
	struct answer a = ask(addr_request(RTM_DELADDR, 0, row));
	struct prefix p = { row->addr, row->len };

	if (!a.number || a.number == EADDRNOTAVAIL || a.number == ENODEV)
		return 0;
	return error_set(err, "cannot remove the address %s of %s: %s%s", PREFIX(&p), row->at.name,
			 strerror(a.number), a.text);
}

static struct nl_msg *route_request(int type, int flags, const struct route_row *row)
{
	bool via = !addr_is_unset(&row->via), unreachable = route_is_unreachable(row);
	struct rtmsg head = { .rtm_family = family_of(&row->to.addr),
			      .rtm_dst_len = bits_of(&row->to.addr, row->to.len),
			      .rtm_table = RT_TABLE_MAIN,
			      .rtm_protocol = TN_PROTOCOL,
			      .rtm_scope = via || unreachable ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
			      .rtm_type = unreachable ? RTN_UNREACHABLE : RTN_UNICAST };
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags);

	nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO);
	put_addr_attr(msg, RTA_DST, &row->to.addr);
	if (unreachable)
		nla_put_u32(msg, RTA_PRIORITY, TN_LAST_METRIC);
	else
		nla_put_u32(msg, RTA_OIF, row->at.ifindex);
	if (via)
		put_addr_attr(msg, RTA_GATEWAY, &row->via);
	if (!addr_is_unset(&row->src))
		put_addr_attr(msg, RTA_PREFSRC, &row->src);
	return msg;
}

#define ROUTE_TEXT 128

/* "route to 100.64.0.0/16 on shared0" */
static const char *route_text(const struct route_row *row, char text[ROUTE_TEXT])
{
	if (route_is_unreachable(row))
		snprintf(text, ROUTE_TEXT, "unreachable route to %s", PREFIX(&row->to));
	else
		snprintf(text, ROUTE_TEXT, "route to %s on %s", PREFIX(&row->to), row->at.name);
	return text;
}
#define ROUTE(row) route_text(row, (char[ROUTE_TEXT]){ 0 })

static const char *route_remedy(const struct route_row *row, int number)
{
	switch (number) {
	case EEXIST:
		if (route_is_unreachable(row))
			return "; another one with the same metric is there: `ip route` shows it, "
			       "remove it";
		return "; another one leads there already: `ip route` shows it, remove it or name "
		       "its way in the router's `routes`";
	case ENETDOWN:
		return "; set the interface up";
	default:
		return "";
	}
}

int netlink_put_route(const struct route_row *row, struct error *err)
{
	struct answer a = ask(route_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, row));

	if (!a.number)
		return 0;
	return error_set(err, "cannot add the %s: %s%s%s", ROUTE(row), strerror(a.number), a.text,
			 route_remedy(row, a.number));
}

int netlink_del_route(const struct route_row *row, struct error *err)
{
	struct answer a = ask(route_request(RTM_DELROUTE, 0, row));

	if (!a.number || a.number == ESRCH || a.number == ENODEV || a.number == ENETDOWN)
		return 0;
	return error_set(err, "cannot remove the %s: %s%s", ROUTE(row), strerror(a.number), a.text);
}

/* ------------------------------------------------------------ groups */

static struct nl_msg *proxy_request(int type, int flags, const struct group_row *row)
{
	/* permanent: since Linux 6.17 it stays where the carrier goes */
	struct ndmsg head = { .ndm_family = AF_INET6,
			      .ndm_ifindex = (int)row->at.ifindex,
			      .ndm_state = NUD_PERMANENT,
			      .ndm_flags = NTF_PROXY };
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags);

	nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO);
	put_addr_attr(msg, NDA_DST, &row->addr);
	return msg;
}

static struct nl_msg *link_request(int type, int flags, const struct ifinfomsg *head)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags);

	nlmsg_append(msg, (void *)head, sizeof(*head), NLMSG_ALIGNTO);
	return msg;
}

static struct answer set_allmulti(const struct group_row *row, bool on)
{
	struct ifinfomsg head = { .ifi_index = (int)row->at.ifindex,
				  .ifi_flags = on ? IFF_ALLMULTI : 0,
				  .ifi_change = IFF_ALLMULTI };

	return ask(link_request(RTM_NEWLINK, 0, &head));
}

static struct answer set_mark(const struct group_row *row, int type, int flags, const char *name)
{
	struct ifinfomsg head = { .ifi_index = (int)row->at.ifindex };
	struct nl_msg *msg = link_request(type, flags, &head);
	struct nlattr *props = nla_nest_start(msg, IFLA_PROP_LIST | NLA_F_NESTED);

	nla_put_string(msg, IFLA_ALT_IFNAME, name);
	nla_nest_end(msg, props);
	return ask(msg);
}

static int take_mark(struct nl_msg *msg, void *out)
{
	const char *mark = mark_of(msg);

	if (mark)
		snprintf(out, ALTIFNAMSIZ, "%s", mark);
	return NL_OK;
}

/* The mark that the interface has; "": none. */
static void find_mark(uint32_t ifindex, char out[ALTIFNAMSIZ])
{
	_cleanup_sock_ struct nl_sock *sock = NULL;
	struct nl_msg *msg = NULL;
	int ret;

	out[0] = '\0';
	sock = connect_route(&ret);
	if (ret || rtnl_link_build_get_request(ifindex, NULL, &msg))
		return;
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, take_mark, out);
	if (nl_send_auto(sock, msg) >= 0)
		nl_recvmsgs_default(sock);
	nlmsg_free(msg);
}

static struct answer put_all_multicast(const struct group_row *row)
{
	char mark[ALTIFNAMSIZ];
	struct answer a;

	/* no other interface of the machine has this one, wherever they are moved to */
	snprintf(mark, sizeof(mark), TN_ALL_MULTICAST "%" PRIu64 "-%u", row->at.netns_ino,
		 row->at.ifindex);
	a = set_mark(row, RTM_NEWLINKPROP, NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND, mark);
	return a.number && a.number != EEXIST ? a : set_allmulti(row, row->on);
}

static struct answer del_all_multicast(const struct group_row *row)
{
	struct answer a = set_allmulti(row, false);
	char mark[ALTIFNAMSIZ];

	/* an interface that came from elsewhere may have brought another one */
	while (!a.number && (find_mark(row->at.ifindex, mark), *mark))
		a = set_mark(row, RTM_DELLINKPROP, 0, mark);
	return a;
}

int netlink_put_group(const struct group_row *row, struct error *err)
{
	struct nl_msg *msg;
	struct answer a;

	if (addr_is_unset(&row->addr)) {
		a = put_all_multicast(row);
		return a.number ? error_set(err, "cannot set %s to all-multicast: %s%s",
					    row->at.name, strerror(a.number), a.text)
				: 0;
	}
	msg = proxy_request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, row);
	nla_put_u8(msg, NDA_PROTOCOL, TN_PROTOCOL);
	a = ask(msg);
	if (!a.number)
		return 0;
	return error_set(err, "cannot join the solicited-node group of %s on %s: %s%s%s",
			 ADDR(&row->addr), row->at.name, strerror(a.number), a.text,
			 a.number == ENOBUFS ? "; where IPv6 is off, set disable_ipv6 to 0" : "");
}

int netlink_del_group(const struct group_row *row, struct error *err)
{
	bool all = addr_is_unset(&row->addr);
	struct answer a = all ? del_all_multicast(row) : ask(proxy_request(RTM_DELNEIGH, 0, row));

	if (!a.number || a.number == ENOENT || a.number == ENODEV)
		return 0;
	return error_set(err,
			 all ? "cannot take all-multicast off %s%s: %s%s"
			     : "cannot leave the solicited-node group of %s on %s: %s%s",
			 all ? row->at.name : ADDR(&row->addr), all ? "" : row->at.name,
			 strerror(a.number), a.text);
}

/* ------------------------------------------------------------ qdiscs */

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

uint16_t netlink_clsact_first(uint32_t ifindex, bool egress)
{
	_cleanup_cache_ struct nl_cache *filters = NULL;
	_cleanup_sock_ struct nl_sock *sock = NULL;
	uint16_t first = 0;
	int ret;

	sock = connect_route(&ret);
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

static void route_cleanup(struct rtnl_route **route)
{
	if (*route)
		rtnl_route_put(*route);
}

static void nl_addr_cleanup(struct nl_addr **addr)
{
	if (*addr)
		nl_addr_put(*addr);
}

int netlink_route_to(const struct tn_addr *to, uint32_t *ifindex, struct error *err)
{
	_cleanup_(route_cleanup) struct rtnl_route *route = NULL;
	_cleanup_(nl_addr_cleanup) struct nl_addr *dst = NULL;
	_cleanup_sock_ struct nl_sock *sock = NULL;
	int ret;

	*ifindex = 0;
	dst = addr_is_v4(to) ? nl_addr_build(AF_INET, &to->w[3], 4)
			     : nl_addr_build(AF_INET6, to->w, 16);
	sock = connect_route(&ret);
	if (ret || !dst)
		return error_set(err, "cannot look up a route: %s",
				 nl_geterror(ret ? ret : -NLE_NOMEM));
	ret = rtnl_route_lookup(sock, dst, &route);
	/* the kernel's "no route" is an error; its unreachable routes of IPv6 lead to lo */
	if (!ret && rtnl_route_get_type(route) == RTN_UNICAST &&
	    rtnl_route_get_nnexthops(route) > 0)
		*ifindex = rtnl_route_nh_get_ifindex(rtnl_route_nexthop_n(route, 0));
	return 0;
}

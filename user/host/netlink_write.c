/* SPDX-License-Identifier: GPL-2.0-only */
#include "host/netlink.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/route/link.h>

#include "host/netlink_internal.h"

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

static int add_addr(struct nl_msg *msg, const struct addr_row *row, uint8_t mark, struct error *err)
{
	struct prefix p = { row->addr, row->len };
	struct netlink_answer a;

	nla_put_u32(msg, IFA_FLAGS, IFA_F_NOPREFIXROUTE | IFA_F_NODAD);
	nla_put_u8(msg, IFA_PROTO, mark);
	a = netlink_ask(msg);
	if (!a.number)
		return 0;
	return error_set(err, "cannot add the address %s to %s: %s%s%s", PREFIX(&p), row->at.name,
			 strerror(a.number), a.text,
			 a.number == EACCES && !addr_is_v4(&row->addr)
				 ? "; IPv6 is off there: set disable_ipv6 to 0"
				 : "");
}

int netlink_put_addr(const struct addr_row *row, struct error *err)
{
	return add_addr(addr_request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, row), row, TN_PROTOCOL,
			err);
}

int netlink_lend_addr(const struct addr_row *row, uint32_t seconds, struct error *err)
{
	struct ifa_cacheinfo life = { .ifa_prefered = seconds, .ifa_valid = seconds };
	struct nl_msg *msg = addr_request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, row);

	nla_put(msg, IFA_CACHEINFO, sizeof(life), &life);
	return add_addr(msg, row, TN_PROTOCOL_ELECTED, err);
}

int netlink_del_addr(const struct addr_row *row, struct error *err)
{
	struct netlink_answer a = netlink_ask(addr_request(RTM_DELADDR, 0, row));
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
		       "its way in the router's `routes` or `inside-routes`";
	case ENETDOWN:
		return "; set the interface up";
	default:
		return "";
	}
}

int netlink_put_route(const struct route_row *row, struct error *err)
{
	struct netlink_answer a =
		netlink_ask(route_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, row));

	if (!a.number)
		return 0;
	return error_set(err, "cannot add the %s: %s%s%s", ROUTE(row), strerror(a.number), a.text,
			 route_remedy(row, a.number));
}

int netlink_del_route(const struct route_row *row, struct error *err)
{
	struct netlink_answer a = netlink_ask(route_request(RTM_DELROUTE, 0, row));

	if (!a.number || a.number == ESRCH || a.number == ENODEV || a.number == ENETDOWN)
		return 0;
	return error_set(err, "cannot remove the %s: %s%s", ROUTE(row), strerror(a.number), a.text);
}

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

static struct netlink_answer set_allmulti(const struct group_row *row, bool on)
{
	struct ifinfomsg head = { .ifi_index = (int)row->at.ifindex,
				  .ifi_flags = on ? IFF_ALLMULTI : 0,
				  .ifi_change = IFF_ALLMULTI };

	return netlink_ask(link_request(RTM_NEWLINK, 0, &head));
}

static struct netlink_answer set_mark(const struct group_row *row, int type, int flags,
				      const char *name)
{
	struct ifinfomsg head = { .ifi_index = (int)row->at.ifindex };
	struct nl_msg *msg = link_request(type, flags, &head);
	struct nlattr *props = nla_nest_start(msg, IFLA_PROP_LIST | NLA_F_NESTED);

	nla_put_string(msg, IFLA_ALT_IFNAME, name);
	nla_nest_end(msg, props);
	return netlink_ask(msg);
}

static int take_mark(struct nl_msg *msg, void *out)
{
	const char *mark = netlink_mark(msg);

	if (mark)
		snprintf(out, ALTIFNAMSIZ, "%s", mark);
	return NL_OK;
}

/* The mark that the interface has; "": none. */
static void find_mark(uint32_t ifindex, char out[ALTIFNAMSIZ])
{
	struct nl_msg *msg = NULL;

	out[0] = '\0';
	if (!rtnl_link_build_get_request((int)ifindex, NULL, &msg))
		netlink_query(msg, take_mark, out);
}

static struct netlink_answer put_all_multicast(const struct group_row *row)
{
	char mark[ALTIFNAMSIZ];
	struct netlink_answer a;

	/* no other interface of the machine has this one, wherever they are moved to */
	snprintf(mark, sizeof(mark), TN_ALL_MULTICAST "%" PRIu64 "-%u", row->at.netns_ino,
		 row->at.ifindex);
	a = set_mark(row, RTM_NEWLINKPROP, NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND, mark);
	return a.number && a.number != EEXIST ? a : set_allmulti(row, row->on);
}

static struct netlink_answer del_all_multicast(const struct group_row *row)
{
	struct netlink_answer a = set_allmulti(row, false);
	char mark[ALTIFNAMSIZ];

	/* an interface that came from elsewhere may have brought another one */
	while (!a.number && (find_mark(row->at.ifindex, mark), *mark))
		a = set_mark(row, RTM_DELLINKPROP, 0, mark);
	return a;
}

int netlink_put_group(const struct group_row *row, struct error *err)
{
	struct nl_msg *msg;
	struct netlink_answer a;

	if (addr_is_unset(&row->addr)) {
		a = put_all_multicast(row);
		return a.number ? error_set(err, "cannot set %s to all-multicast: %s%s",
					    row->at.name, strerror(a.number), a.text)
				: 0;
	}
	msg = proxy_request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, row);
	nla_put_u8(msg, NDA_PROTOCOL, TN_PROTOCOL);
	a = netlink_ask(msg);
	if (!a.number)
		return 0;
	return error_set(err, "cannot join the solicited-node group of %s on %s: %s%s%s",
			 ADDR(&row->addr), row->at.name, strerror(a.number), a.text,
			 a.number == ENOBUFS ? "; where IPv6 is off, set disable_ipv6 to 0" : "");
}

int netlink_del_group(const struct group_row *row, struct error *err)
{
	bool all = addr_is_unset(&row->addr);
	struct netlink_answer a =
		all ? del_all_multicast(row) : netlink_ask(proxy_request(RTM_DELNEIGH, 0, row));

	if (!a.number || a.number == ENOENT || a.number == ENODEV)
		return 0;
	return error_set(err,
			 all ? "cannot take all-multicast off %s%s: %s%s"
			     : "cannot leave the solicited-node group of %s on %s: %s%s",
			 all ? row->at.name : ADDR(&row->addr), all ? "" : row->at.name,
			 strerror(a.number), a.text);
}

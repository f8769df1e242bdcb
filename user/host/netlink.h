/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the current network namespace has, and what is put there: interfaces, their
 * addresses, routes (rtnetlink by libnl).
 */
#ifndef TN_NETLINK_H
#define TN_NETLINK_H

#include "lib/error.h"
#include "model/iface.h"
#include "model/rows.h"

/*
 * All interfaces, by index, with their addresses, the routes of the main table, and the IPv6
 * neighbour proxies; the caller's to free.
 */
int netlink_ifaces(struct ifaces *out, struct error *err);

/* The addresses of the interface with that index, alone; the caller's to free. */
int netlink_addrs(struct iface *out);

/*
 * What an interface of the current namespace hands frames to, wherever that is: Linux tells by the
 * numbers that a namespace has for others.
 */
void netlink_others(const struct ifaces *ifaces, const struct iface *i,
		    struct iface_other out[IFACE_RELATIONS]);

/* The number that the current namespace has for the one that `fd` is of; -1: none. */
int32_t netlink_netnsid(int fd);

/*
 * Put an address or a route there, with our mark, or take one of ours away. One that is there
 * already, or elsewhere already, is an error; to take away what is not there is none. `place`
 * tells the interface, or that the route is unreachable; its namespace is the current one.
 * Addresses bring no route of their own, and are not probed for duplicates by the kernel.
 */
int netlink_put_addr(const struct addr_row *row, struct error *err);
int netlink_del_addr(const struct addr_row *row, struct error *err);
/*
 * Put an address there, with the mark of those that are elected, or renew it: the kernel itself
 * takes it away after `seconds`, and a second or so, also when nobody renews it.
 */
int netlink_lend_addr(const struct addr_row *row, uint32_t seconds, struct error *err);
int netlink_put_route(const struct route_row *row, struct error *err);
int netlink_del_route(const struct route_row *row, struct error *err);

/*
 * Have the interface take in solicitations for an address, or all multicast frames as row->on says;
 * or take back what did so. For an address it is a neighbour proxy (`ip -6 neigh show proxy`) with
 * our mark: the kernel joins its solicited-node group with it, tells switches (MLD), and leaves it
 * with the entry or the interface. It answers nobody, unless proxy_ndp is set. All-multicast has no
 * owner; so an alternative name of the interface, TN_ALL_MULTICAST with something behind it, is the
 * mark that it is ours. It goes with the interface, and is the first that comes and the last that
 * goes. To take away what is not there is no error.
 */
#define TN_ALL_MULTICAST "tenantnat-allmulticast-"
int netlink_put_group(const struct group_row *row, struct error *err);
int netlink_del_group(const struct group_row *row, struct error *err);

/* Whether the interface is there, set up, and has a carrier. */
bool netlink_is_up(uint32_t ifindex);

/* Whether the interface is there, and that is its MAC address. */
bool netlink_has_mac(uint32_t ifindex, const uint8_t mac[6]);

/* Whether the interface has a clsact qdisc. */
bool netlink_has_clsact(uint32_t ifindex);

/* Whether a clsact qdisc of the interface holds any filter, in either direction. */
bool netlink_clsact_in_use(uint32_t ifindex);

/*
 * The priority of the filter that runs first in that direction of the interface's clsact
 * qdisc; 0: there is none, or nobody knows.
 */
uint16_t netlink_clsact_first(uint32_t ifindex, bool egress);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interfaces as they were seen, and the decisions that hang on them: which one is
 * on the shared network, and which hook suits it. Pure.
 */
#ifndef TN_IFACE_H
#define TN_IFACE_H

#include <net/if.h>

#include "lib/error.h"
#include "model/model.h"
#include "model/rows.h"

/*
 * Our mark: the protocol of addresses (IFA_PROTO, kernel 5.18) and routes (rtm_protocol) that
 * tenantnat put there. `ip route show proto 116`.
 */
#define TN_PROTOCOL 116
/*
 * And the mark of an address that this host has because it is elected. It is not among what is
 * ours above: it comes and goes as that of `active: address` does.
 */
#define TN_PROTOCOL_ELECTED 117
/* The metric of an unreachable route of ours: the kernel asks all others first, in both families.
 */
#define TN_LAST_METRIC 4294967295U

/* An address of an interface. */
struct iface_addr {
	struct tn_addr addr;
	uint8_t len;  /* of 128 bits, as in struct prefix */
	bool ours;    /* it has our mark, see TN_PROTOCOL */
	bool failed;  /* another host has it: the kernel found out, and does not use it (IPv6) */
	bool elected; /* it has TN_PROTOCOL_ELECTED */
};

struct iface {
	uint32_t index;
	char name[IF_NAMESIZE];
	char kind[24]; /* "veth", "tun", "bridge", …; "": a device with a driver of its own */
	uint8_t mac[6];
	bool ethernet;
	bool loopback;
	bool up;
	bool carrier;	 /* frames can go: of a veth, that its peer is up too */
	bool allmulti;	 /* it takes in all multicast frames */
	bool marked;	 /* with our mark: see netlink_put_group() */
	bool snoops;	 /* a bridge that hands on groups to members alone (MLD snooping) */
	bool queries;	 /* and asks for these itself; without a querier it floods them */
	bool takes_all;	 /* a port that a bridge hands all groups to */
	uint32_t mtu;	 /* bytes */
	uint32_t master; /* index of the bridge, bond or VRF that it is a port of; 0: none */
	/* Index of the veth's peer, or of what a VLAN device or macvlan stands on; 0: none */
	uint32_t link;
	bool link_elsewhere; /* in the namespace with that number, as this one counts them */
	int32_t netnsid;
	VEC(struct iface_addr) addrs;
};

/*
 * Whether the address is there for somebody else, such as a floating IP: with a prefix of its own
 * (/32, /128), while another address of that family in the shared subnets is the router's: it has a
 * wider one, or is of ours.
 */
bool iface_stands_in(const struct iface *shared, const struct iface_addr *a,
		     const struct prefix *subnets, size_t n);

/* What an interface hands frames to: a veth's peer, the bridge or the like above that, its own. */
enum iface_relation { IFACE_PEER, IFACE_PEER_MASTER, IFACE_MASTER, IFACE_RELATIONS };

struct iface_other {
	char name[IF_NAMESIZE]; /* "": there is none, or it cannot be seen */
	char kind[24];
	uint32_t mtu;
	bool elsewhere;			 /* in another namespace */
	bool snoops, queries, takes_all; /* as in struct iface */
};

/*
 * A route of the main table that leaves by one interface, or that says that nothing leads there: an
 * unreachable route, which is bound to no interface.
 */
struct iface_route {
	uint32_t ifindex; /* 0: unreachable */
	struct prefix to;
	struct tn_addr via; /* unset: on-link */
	struct tn_addr src; /* the source that it prefers; unset: none */
	bool ours;	    /* it has our mark */
};

/* An entry of the neighbour table that says: answer solicitations for this IPv6 address here. */
struct iface_proxy {
	uint32_t ifindex;
	struct tn_addr addr;
	bool ours; /* it has our mark */
};

/* What a network namespace has: its interfaces, by index, its routes and its neighbour proxies. */
struct ifaces {
	VEC(struct iface) list;
	VEC(struct iface_route) routes;
	VEC(struct iface_proxy) proxies;
};

void ifaces_free(struct ifaces *ifaces);
#define _cleanup_ifaces_ _cleanup_(ifaces_free)

/* Whether one of them has that very address. */
bool ifaces_have(const struct ifaces *ifaces, const struct tn_addr *a);

/*
 * The router's shared interface: the one that is named, or else the only one with
 * an address in the shared subnets. NULL with an error that lists what was seen.
 */
const struct iface *iface_shared(const struct ifaces *ifaces, const struct router *r,
				 const struct model *m, struct error *err);

/*
 * Whether its frames begin with the IP header: a TUN device, WireGuard or PPP. It can be an inside
 * interface, if it is named.
 */
bool iface_is_raw(const struct iface *i);

/* A VRF: what comes in by a member comes in by the member, and is forwarded as if by the VRF. */
bool iface_is_vrf(const struct iface *i);

/*
 * The indexes of the router's inside interfaces, sorted, 0 behind the last. A VRF is among them if
 * one of its members is, and no other member than inside ones.
 *
 * With `inside`: those that it names, and those that match its patterns. A name takes any Ethernet
 * or raw interface; a pattern leaves out `shared`, loopback, what is neither, VRFs, and what hands
 * its frames to a master (ports of a bridge or bond; not those of a VRF).
 *
 * Without: every Ethernet interface but `shared`, loopback, what has a master, tunnels, VRFs, and
 * what is on the network of `shared` (its master, and what a macvlan or ipvlan shares it with).
 *
 * -1 when one that is named is not there or cannot be one, or when there are more than
 * TN_INSIDE_MAX.
 */
int iface_inside(const struct ifaces *ifaces, const struct router *r, const struct iface *shared,
		 uint32_t out[TN_INSIDE_MAX], struct error *err);

/*
 * What is to be said of a choice that iface_inside() made without an error: patterns that nothing
 * matches, a name of what has a master, a VRF that others are in, too, or that there are none at
 * all. False: nothing.
 */
bool iface_inside_doubt(const struct ifaces *ifaces, const struct router *r,
			const struct iface *shared, struct error *doubt);

/* Whether `inside` takes the interface, and it is none of `attached`, 0 behind the last: it came
 * later. */
bool iface_is_late(const struct ifaces *ifaces, const struct router *r, const struct iface *shared,
		   const uint32_t attached[TN_INSIDE_MAX], uint32_t index);

/* Of the main table, what leads an address elsewhere than by one of the right interfaces. */
struct iface_culprit {
	bool found;
	struct prefix to;
	uint32_t ifindex; /* 0: an unreachable route */
	bool covered;	  /* without it, a route by one of these leads there */
};

/* The narrowest that is not ours; none where one of the right ones is narrower. */
void ifaces_culprit(const struct ifaces *ifaces, const struct tn_addr *to, const uint32_t *right,
		    size_t n, struct iface_culprit *out);
#define IFACE_ROUTE_DEL (ADDR_TEXT + IF_NAMESIZE + 48)
/* "ip route del 10.0.0.5/32 dev up0" */
const char *iface_culprit_del(const struct ifaces *ifaces, const struct iface_culprit *c,
			      char buf[IFACE_ROUTE_DEL]);

/*
 * Whether programs on the shared interface drop what comes to this address of it, and what it
 * sends: it is in no shared subnet, nor an address of the link itself (IPv6). Not what is ours.
 */
bool iface_addr_is_cut_off(const struct iface_addr *a, const struct model *m);

/*
 * Whether a router that is active by its address is so with what its shared interface has; what is
 * ours does not count, and goes. `subnets`: the shared ones.
 */
bool iface_makes_active(const struct iface *shared, const struct router_row *r,
			const struct prefix *subnets, size_t n);

/* Whether there is an unreachable route to just that prefix; with `others`, one that is not ours.
 */
bool ifaces_have_unreachable(const struct ifaces *ifaces, const struct prefix *to, bool others);

/*
 * What `auto` comes to on this interface: XDP where a driver receives frames from
 * a wire, tc on virtual interfaces (XDP on a veth costs its peer TSO). Other hooks
 * are as they were asked for.
 */
enum hook iface_hook(const struct iface *i, enum hook asked);

#endif

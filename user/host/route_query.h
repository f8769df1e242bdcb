/* SPDX-License-Identifier: GPL-2.0-only */
/* Which way a packet to an address takes, as the kernel of the current namespace says
 * (libnl-route). */
#ifndef TN_ROUTE_QUERY_H
#define TN_ROUTE_QUERY_H

#include "lib/addr.h"
#include "lib/error.h"
#include "model/iface.h"

struct next_hop {
	bool local;		/* to this host itself */
	uint32_t ifindex;	/* the interface that it leaves by; 0: there is no way */
	struct tn_addr gateway; /* unset: the address is on the link */
	struct tn_addr source;	/* the address that this host would send with; unset: none */
	/*
	 * What the route lets be forwarded, in bytes; 0: as much as the interface. Path MTUs that
	 * were learned do not count, unless the kernel forwards by them (ip_forward_use_pmtu).
	 */
	uint32_t mtu;
	uint32_t table; /* of the route; RT_TABLE_MAIN where no rule leads elsewhere */
	char why[64];	/* without a way: what the kernel says */
};

/* A packet that comes in by an interface, as far as routing rules see it. */
struct route_packet {
	struct tn_addr to;
	struct tn_addr from; /* unset: this host sends it, and what follows does not matter */
	uint32_t iif;	     /* 0: this host sends it with that source, one of its own */
	uint8_t proto;	     /* 0: of any; ports are for TCP and UDP */
	uint16_t sport, dport;
};

/* An RTM_GETROUTE request, as `ip route get` makes. That there is no way is no error. */
int route_query(const struct tn_addr *to, struct next_hop *out, struct error *err);

/*
 * The same of a packet that comes in by the interface `iif` from that source, as routing rules see
 * it (`ip route get TO from FROM iif NAME`). A packet that the kernel would not take in, or not
 * forward, has no way. `iif` 0: as in struct route_packet.
 */
int route_query_input(const struct tn_addr *to, const struct tn_addr *from, uint32_t iif,
		      struct next_hop *out, struct error *err);

/* The same of just that packet. */
int route_query_packet(const struct route_packet *p, struct next_hop *out, struct error *err);

/*
 * Wait until the kernel takes in what is sent to an address that was just given to that interface.
 * Of IPv6 a worker of the kernel's inserts the local route, when it gets a CPU; until then the
 * kernel forwards such a packet. Ends at once when the interface is down, which has none, and after
 * five seconds.
 */
void route_await_local(const struct tn_addr *own, uint32_t ifindex);

/*
 * The command that takes away what leads to the address in the main table, where without it a route
 * by one of the `n` right interfaces would: "ip route del 10.0.0.5/32 dev up0". False: it is
 * something else.
 */
bool route_astray_del(const struct tn_addr *to, const uint32_t *right, size_t n,
		      char buf[IFACE_ROUTE_DEL]);

/* The MAC address that the kernel knows this neighbour by; false, and left as it is: it does not.
 */
bool neighbour_mac(uint32_t ifindex, const struct tn_addr *neighbour, uint8_t mac[6]);

#endif

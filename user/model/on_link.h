/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMs behind a gateway that look as if they were on the router's own link: the router sends to
 * their own MAC addresses, and what they send comes from the gateway's. With `sources: strict` that
 * is dropped as soon as the router has found them by ARP or neighbour discovery. Pure.
 */
#ifndef TN_ON_LINK_H
#define TN_ON_LINK_H

#include "model/iface.h"

struct on_link {
	size_t n;	       /* how many VMs; 0: none, and nothing below is set */
	struct tn_addr vm;     /* the fixed address of the first */
	struct prefix network; /* of the inside interface, which has it */
	char name[IF_NAMESIZE];
	struct tn_addr via; /* the gateway */
	/*
	 * A route by the gateway leads to them, and the network is narrower. Else the gateway is in
	 * the same network: whether they send by it, nothing here says.
	 */
	bool covered;
};

/*
 * By `inside-routes` of the tenant's router, and by other routes of the main table with a gateway
 * inside but default ones. Those that are covered come first: if there are any, `n` counts these
 * alone. `inside`: indexes, 0 behind the last.
 */
void on_link_find(const struct ifaces *ifaces, const struct tenant *t,
		  const uint32_t inside[TN_INSIDE_MAX], struct on_link *out);

#define ON_LINK_REMEDY                                                                      \
	"give %s an address in a transit network that no VM is in, and lead to the VMs by " \
	"`inside-routes`"

#define ON_LINK_TEXT 400
/* What is wrong, in a sentence without an end. */
const char *on_link_text(const struct on_link *l, const struct router *r, char buf[ON_LINK_TEXT]);

#endif

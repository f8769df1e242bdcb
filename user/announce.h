/* SPDX-License-Identifier: GPL-2.0-only */
/* Telling the shared network where addresses are now, for neighbours that remember otherwise. */
#ifndef TN_ANNOUNCE_H
#define TN_ANNOUNCE_H

#include "addr.h"
#include "error.h"
#include "packet.h"

/*
 * As many as one command announces itself: half a second's worth. Neighbours find the rest by
 * asking, or are told by calls with what is left.
 */
#define ANNOUNCE_MAX (PACKET_RATE / 2)

/*
 * Announce `addrs` (both families) at `mac` out of the interface, to everybody, at PACKET_RATE: by
 * a gratuitous ARP request (RFC 5227, 2.3) or an unsolicited neighbour advertisement (RFC 4861,
 * 7.2.6) each. `router`: they are a router's own, not of its VMs, and the advertisement says so. At
 * most `max` of them, the first ones; *left says how many remain. None if the interface has another
 * MAC address by now: then it is another one with the same index. The caller is in the interface's
 * namespace. tc and netfilter do not see the frames.
 */
int announce(uint32_t ifindex, const uint8_t mac[6], bool router, const struct tn_addr *addrs,
	     size_t n, size_t max, size_t *left, struct error *err);

#endif

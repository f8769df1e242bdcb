/* SPDX-License-Identifier: GPL-2.0-only */
/* Telling the shared network where addresses are now, for neighbours that remember otherwise. */
#ifndef TN_ANNOUNCE_H
#define TN_ANNOUNCE_H

#include "lib/addr.h"
#include "lib/error.h"
#include "probe/packet.h"

/* As many as one command announces before it ends, of all its routers: a tenth of a second's. */
#define ANNOUNCE_AT_ONCE (PACKET_RATE / 10)
/* Where there are more: so many between two looks whether they still are there. */
#define ANNOUNCE_SLICE (PACKET_RATE / 20)

/*
 * Announce `addrs` (both families) at `mac` out of the interface, to everybody, at PACKET_RATE: by
 * a gratuitous ARP request (RFC 5227, 2.3) or an unsolicited neighbour advertisement (RFC 4861,
 * 7.2.6) each. `router`: they are a router's own, not of its VMs, and the advertisement says so.
 * *told is how many were: all, or none if the interface has another MAC address by now, because
 * then it is another one with the same index. The caller is in the interface's namespace. tc and
 * netfilter do not see the frames. packet_close_rest() has to follow, of one call or of many.
 */
int announce(uint32_t ifindex, const uint8_t mac[6], bool router, const struct tn_addr *addrs,
	     size_t n, size_t *told, struct error *err);

#endif

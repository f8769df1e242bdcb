/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The first packet of a flow, made up to be traced: TCP with SYN, SCTP with INIT, a DCCP request, a
 * datagram of UDP or UDP-Lite, an ICMP request, or the bare payload of another protocol. Its
 * payload is a cookie, by which it is known again. Pure. Frames are Ethernet without a VLAN tag,
 * and their IP headers have no options.
 */
#ifndef TN_TRACE_PACKET_H
#define TN_TRACE_PACKET_H

#include <stdbool.h>

#include "lib/addr.h"

#define TRACE_PACKET_COOKIE 16
/* Room for the largest: IPv6 and SCTP. */
#define TRACE_PACKET_ROOM (14 + 40 + 32 + TRACE_PACKET_COOKIE)
/* What hosts send with. */
#define TRACE_PACKET_HOPS 64

struct trace_packet {
	struct tn_addr src; /* both of one family */
	struct tn_addr dst;
	uint8_t proto;	/* of IPv4 or IPv6: ICMP and ICMPv6 go with their own family */
	uint8_t type;	/* of an ICMP request */
	uint16_t sport; /* host byte order; of an ICMP request the identifier */
	uint16_t dport;
	uint8_t cookie[TRACE_PACKET_COOKIE];
};

/* Whether packets of that protocol have ports that trace knows. */
bool trace_packet_has_ports(uint8_t proto);

/* The frame, with all checksums; gives its length. The MAC addresses are left zero. */
size_t trace_packet_build(uint8_t out[TRACE_PACKET_ROOM], const struct trace_packet *s);

/* NULL: leave it as it is. */
void trace_packet_address(uint8_t *frame, const uint8_t *dst, const uint8_t *src);

/* One hop: what a router does to the header of a packet that it forwards (RFC 1812, 5.3.1). */
void trace_packet_hop(uint8_t *frame);

/* What the frame's IP header says. False: it is not IP, or too short. */
bool trace_packet_ends(const uint8_t *frame, size_t len, struct tn_addr *src, struct tn_addr *dst);
/* Hop limit or time to live of such a frame. */
uint8_t trace_packet_hops(const uint8_t *frame);

/* Whether all checksums of the packet are right, of what trace makes. */
bool trace_packet_is_sound(const uint8_t *frame, size_t len);

/* Whether the bytes hold the cookie. */
bool trace_packet_has(const void *bytes, size_t len, const uint8_t cookie[TRACE_PACKET_COOKIE]);

#endif

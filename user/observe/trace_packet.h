/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The first packet of a flow, made up to be traced: TCP with SYN, a UDP datagram, an ICMP echo
 * request, or the bare payload of another protocol. Its payload is a cookie, by which it is known
 * again. Pure. Frames are Ethernet without a VLAN tag, and their IP headers have no options.
 */
#ifndef TN_TRACE_PACKET_H
#define TN_TRACE_PACKET_H

#include <stdbool.h>

#include "lib/addr.h"

#define SAMPLE_COOKIE 16
/* Room for the largest: IPv6 and TCP. */
#define SAMPLE_ROOM (14 + 40 + 20 + SAMPLE_COOKIE)
/* What hosts send with. */
#define SAMPLE_HOPS 64

struct sample {
	struct tn_addr src; /* both of one family */
	struct tn_addr dst;
	uint8_t proto;	/* of IPv4 or IPv6: ICMP and ICMPv6 go with their own family */
	uint16_t sport; /* host byte order; of an echo request the identifier */
	uint16_t dport;
	uint8_t cookie[SAMPLE_COOKIE];
};

/* The frame, with all checksums; gives its length. The MAC addresses are left zero. */
size_t sample_build(uint8_t out[SAMPLE_ROOM], const struct sample *s);

/* NULL: leave it as it is. */
void sample_address(uint8_t *frame, const uint8_t *dst, const uint8_t *src);

/* One hop: what a router does to the header of a packet that it forwards (RFC 1812, 5.3.1). */
void sample_hop(uint8_t *frame);

/* What the frame's IP header says. False: it is not IP, or too short. */
bool sample_ends(const uint8_t *frame, size_t len, struct tn_addr *src, struct tn_addr *dst);
/* Hop limit or time to live of such a frame. */
uint8_t sample_hops(const uint8_t *frame);

/* Whether the checksums of the IPv4 header, TCP, UDP, ICMP and ICMPv6 are right, where there are.
 */
bool sample_is_sound(const uint8_t *frame, size_t len);

/* Whether the bytes hold the cookie. */
bool sample_has(const void *bytes, size_t len, const uint8_t cookie[SAMPLE_COOKIE]);

#endif

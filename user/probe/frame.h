/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The packets that probes and announcements are made of, as bytes: ARP (RFC 826, RFC 5227),
 * neighbour discovery (RFC 4861), ICMP (RFC 792, RFC 4443) and UDP. Pure. Addresses are of either
 * family; which one decides between ARP and neighbour discovery, ICMP and ICMPv6.
 */
#ifndef TN_FRAME_H
#define TN_FRAME_H

#include "lib/addr.h"

/* Room for the longest ARP or neighbour discovery frame of these, without a VLAN tag. */
#define FRAME_ROOM 86

/*
 * The question who has `target`, from `mac`, as an Ethernet frame: `sender` unset asks as
 * somebody who would have it himself (ARP probe, RFC 5227, 2.1.1; duplicate address detection,
 * RFC 4862, 5.4.2), else as the neighbour `sender`. Gives the length.
 */
size_t frame_ask(uint8_t out[FRAME_ROOM], const struct tn_addr *target,
		 const struct tn_addr *sender, const uint8_t mac[6]);

/*
 * To everybody: `addr` is at `mac` now. An ARP announcement (RFC 5227, 2.3), or an unsolicited
 * neighbour advertisement that overrides what others remember (RFC 4861, 7.2.6). `router`: the
 * address is a router's own, not one that stands for a VM.
 */
size_t frame_announce(uint8_t out[FRAME_ROOM], const struct tn_addr *addr, const uint8_t mac[6],
		      bool router);

/* Somebody says, or is about to say, that an address is his. */
struct claim {
	struct tn_addr addr;
	uint8_t mac[6];
	bool tentative; /* he asks himself whether anybody has it */
};

/* What the Ethernet frame claims. False: nothing, or it is not one that may be believed. */
bool frame_claim(const uint8_t *frame, size_t len, struct claim *out);

#define ECHO_HEADER 8
/* The least that an echo carries: what tells our answers from others'. */
#define ECHO_COOKIE 8

/*
 * An echo request of `len` bytes with its header; `out` has room for them, and `len` is at
 * least ECHO_HEADER + ECHO_COOKIE. The checksum of ICMPv6 is left to the kernel, as RFC 3542, 3.1
 * has it.
 */
void echo_build(uint8_t *out, size_t len, bool v4, uint16_t id, uint16_t seq,
		const uint8_t cookie[ECHO_COOKIE]);

/* An echo in a frame of its own: with its headers, and no more than the cookie behind them. */
struct echo_frame {
	uint8_t from[6], to[6];
	struct tn_addr src, dst;
	bool reply;
	uint16_t id, seq; /* host order */
	uint8_t cookie[ECHO_COOKIE];
};

/* Gives the length. */
size_t frame_echo(uint8_t out[FRAME_ROOM], const struct echo_frame *echo);
/* False: the Ethernet frame has none in a whole packet without options or extension headers. */
bool frame_echo_parse(const uint8_t *frame, size_t len, struct echo_frame *out);

/* An ARP request or neighbour solicitation of somebody who has an address himself. */
struct question {
	struct tn_addr target;
	uint8_t mac[6]; /* the frame's sender */
};

bool frame_question(const uint8_t *frame, size_t len, struct question *out);

/* A UDP header with the checksum of it and of the `len` bytes in all that follow from `out` on. */
void udp_build(uint8_t *out, size_t len, const struct tn_addr *src, const struct tn_addr *dst,
	       uint16_t sport, uint16_t dport);

enum icmp_answer_kind {
	ICMP_ANSWER_NONE,
	ICMP_ANSWER_ECHO, /* an echo reply */
	ICMP_ANSWER_PORT_UNREACHABLE,
	ICMP_ANSWER_TOO_BIG, /* fragmentation needed, packet too big */
};

/* What an ICMP message tells about a packet that we sent; ports and numbers in host order. */
struct icmp_answer {
	enum icmp_answer_kind kind;
	uint16_t id, seq;      /* of the echo, also of one that is quoted */
	const uint8_t *cookie; /* of an echo reply: in the message */
	struct tn_addr dst;    /* of the packet quoted */
	uint8_t protocol;      /* the same */
	uint16_t sport, dport; /* the same, when it is UDP */
	uint32_t mtu;	       /* ICMP_ANSWER_TOO_BIG */
};

/* An ICMP message: with its IPv4 header, or an ICMPv6 message without, as raw sockets give it. */
void icmp_answer_parse(const uint8_t *packet, size_t len, bool v4, struct icmp_answer *out);

/* The ones' complement sum (RFC 1071) of `len` bytes and of `sum`; not complemented. */
uint16_t inet_sum(const void *data, size_t len, uint32_t sum);

#endif

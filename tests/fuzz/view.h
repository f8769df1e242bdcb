/* SPDX-License-Identifier: GPL-2.0-only */
/* What a frame says of itself, read without any help of bpf/. */
#ifndef TN_FUZZ_VIEW_H
#define TN_FUZZ_VIEW_H

#include "../bpf/fixture.h"

/* A frame, as far as it can be read. */
struct view {
	uint16_t type;
	bool ip, v4; /* `ip`: what follows is there */
	struct tn_addr src, dst;
	struct frame frame; /* with the offsets of packet_build() */
	uint8_t proto;
	bool later;    /* a fragment that is not the first */
	bool fragment; /* or any */
	bool piece;    /* IPv6: it has the header of one, if it is whole too */
	/* it names its way, or asks for it to be written down */
	bool source_route, record_route;
	/* an ICMP error: offset of the packet that it quotes; 0: it is none */
	size_t quote;
	struct tn_addr quote_src, quote_dst;
	uint8_t quote_proto;
	size_t quote_l4, quote_csum; /* 0: not quoted */
	bool quote_whole;
};

/* `bytes` are at least an Ethernet header. */
void view_frame(struct view *v, const uint8_t *bytes, size_t len, bool gso);

/* Whom a frame is sent to, seen from the router. */
enum host { HOST, GROUP, OTHER };

enum host host_of(const uint8_t *frame);

/* In network byte order. */
uint16_t get16(const uint8_t *at);

#endif

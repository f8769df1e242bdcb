/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packets from a description. Every checksum is computed over the whole of what it
 * covers (RFC 1071), never adjusted: two descriptions that differ in one address
 * give two frames to compare a translation with.
 */
#ifndef TN_TEST_PACKETS_H
#define TN_TEST_PACKETS_H

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX 9216

struct frame {
	size_t len;
	uint8_t bytes[FRAME_MAX];
	/* where things ended up; 0: not there */
	size_t ip;	 /* the IP header */
	size_t ip_bytes; /* from there to the end of the IP packet */
	size_t l4;	 /* the header behind IP's */
	size_t l4_csum;	 /* its checksum */
};

enum csum {
	CSUM_RIGHT,
	CSUM_WRONG,   /* off by one: must stay off by one */
	CSUM_ABSENT,  /* the field is zero */
	CSUM_PARTIAL, /* the sum of the pseudo-header alone, as a sender with tx offload leaves it
		       */
};

struct arp {
	uint16_t op;
	const char *sender_mac, *sender, *target_mac, *target;
	uint16_t hardware;    /* 0: Ethernet */
	uint8_t hardware_len; /* 0: 6 */
};

struct nd {
	uint8_t type, code;
	uint32_t flags;
	const char *target;
	uint8_t option; /* 1 source, 2 target link-layer address; 0: none */
	const char *mac;
};

/* What is left out is zero or a sensible default. */
struct packet {
	const char *to, *from; /* MAC addresses; default: MAC_ROUTER, MAC_PEER */
	uint16_t vlan;	       /* tag; 0: none */
	uint16_t ethertype;    /* 0: by what follows; otherwise `payload` bytes follow */
	const struct arp *arp;

	const char *src, *dst; /* they decide the family */
	uint8_t proto;
	uint8_t ttl;	      /* 0: 64, or 255 for neighbour discovery */
	uint8_t tos;	      /* 0: 0x10; of IPv6 the traffic class, 0: 0 */
	bool no_df;	      /* IPv4: whoever forwards it may fragment it */
	uint8_t options;      /* bytes of IPv4 options, */
	const char *option;   /* and what they are, as many bytes; NULL: NOPs */
	const char *ext;      /* IPv6 extension headers: H, R, D and F (RFC 8200, 4) */
	uint8_t ext_len;      /* length field of each H, R and D: 8-byte words beyond the first */
	uint8_t segments;     /* left, in the routing headers */
	uint8_t ihl, version; /* 0: the right one */
	int length_lie;	      /* added to the length field of the IP header */
	bool wrong_ip_csum;
	bool told; /* what is in the IP header is that of an error which the programs make */
	/* the bytes of the datagram behind the (IPv4 or per-fragment) header that are here */
	uint16_t frag_at, frag_len;

	uint16_t sport, dport; /* 0: 1234, 80 */
	enum csum csum;
	uint16_t coverage; /* UDP-Lite: bytes that the checksum covers; 0: all */
	uint8_t tcp;	   /* flags (TH_…); 0: ACK and PSH */
	uint16_t type;	   /* ICMP; 0: echo request */
	uint8_t code;
	const struct nd *nd;
	const struct packet *quote; /* ICMP errors: the packet that they are about, */
	uint16_t quoted;	    /* and how many bytes of its IP packet; 0: all */
	uint32_t gateway;	    /* the second word of an ICMP error */
	uint16_t payload;	    /* bytes */
	uint16_t tune;		    /* added to the first word of the payload: see packet_tune() */
	uint8_t fill;		    /* seeds the bytes of the payload */

	uint16_t trailer; /* bytes behind the IP packet */
	uint16_t cut;	  /* bytes that are missing at the end of the frame */
	uint16_t gso_size, gso_segs;
	uint32_t mark, priority; /* of the skb */
	uint32_t ifindex;	 /* of the interface that it comes in by, on tc; 0: loopback */
	uint32_t ingress; /* at egress, of the one that it came in by; 0: the router has sent it */
};

/* ICMP type 0, which 0 does not mean above */
#define ECHO_REPLY 256

#define MAC_ROUTER    "02:00:00:00:00:01"
#define MAC_LIKE_IPV6 "66:00:00:00:00:01" /* a router's too: see pkt_has_mac() */
#define MAC_PEER      "02:00:00:00:00:99"
#define MAC_OTHER     "02:00:00:00:00:77"
#define MAC_VM	      "02:00:00:00:00:05"
#define MAC_VM2	      "02:00:00:00:00:06"
#define MAC_NEXT      "02:00:00:00:00:41" /* behind it is a router elsewhere */
#define MAC_BROADCAST "ff:ff:ff:ff:ff:ff"

bool packet_is_v4(const struct packet *p);
struct frame packet_build(const struct packet *p);

/* Give the payload the word with which the L4 checksum, computed, comes to `value`. */
void packet_tune(struct packet *p, uint16_t value);
/* What the L4 checksum field holds when it is CSUM_PARTIAL. */
uint16_t packet_partial(const struct packet *p);

/* The two checksums of a frame, by summing over everything that they cover. */
enum csum frame_l4_csum(const struct frame *f);
bool frame_ip_csum_ok(const struct frame *f);

/* 16-bit words, added with end-around carry (RFC 1071). */
uint16_t sum_fold(uint64_t sum);

#endif

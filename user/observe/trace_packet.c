/* SPDX-License-Identifier: GPL-2.0-only */
#include "observe/trace_packet.h"

#include <endian.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "probe/frame.h"

enum { V4_HEADER = 20, V6_HEADER = 40, UDP_HEADER = 8, TCP_HEADER = 20 };
/* With the chunk INIT (RFC 9260, 3.3.2); with the service code of a request (RFC 4340, 5.1). */
enum { SCTP_HEADER = 12, SCTP_INIT = 20, DCCP_HEADER = 20 };
enum { SCTP_CHECK = 8, DCCP_CHECK = 6 };
enum { V4_TTL = 8, V4_CHECK = 10, V6_HOPS = 7 };
enum { TCP_SYN = 2, TCP_FLAGS = 13, TCP_WINDOW = 14, TCP_CHECK = 16 };

static uint16_t get16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static void put16(uint8_t *p, uint16_t value)
{
	p[0] = value >> 8;
	p[1] = value;
}

static bool frame_is_v4(const uint8_t *frame)
{
	return get16(frame + 12) == ETH_P_IP;
}

static size_t l4_of(const uint8_t *frame)
{
	return ETH_HLEN + (frame_is_v4(frame) ? V4_HEADER : V6_HEADER);
}

static uint8_t proto_of(const uint8_t *frame)
{
	return frame[ETH_HLEN + (frame_is_v4(frame) ? 9 : 6)];
}

/* With the pseudo-header (RFC 9293, 3.1; RFC 768; RFC 8200, 8.1), which ICMP has none of. */
static uint16_t l4_sum(const uint8_t *frame, size_t len)
{
	size_t at = l4_of(frame), bytes = len - at;
	uint8_t proto = proto_of(frame);
	uint32_t sum = 0;

	if (proto != IPPROTO_ICMP) {
		size_t addrs = frame_is_v4(frame) ? 8 : 32;

		sum = proto + bytes;
		sum = inet_sum(frame + at - addrs, addrs, sum);
	}
	return inet_sum(frame + at, bytes, sum);
}

/* CRC32c of all but its own field (RFC 9260, 6.8), in the order of its bytes. */
static uint32_t sctp_sum(const uint8_t *l4, size_t len)
{
	uint32_t crc = ~0U;

	for (size_t i = 0; i < len; i++) {
		crc ^= i >= SCTP_CHECK && i < SCTP_CHECK + 4 ? 0 : l4[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78U : 0);
	}
	return htole32(~crc);
}

/* ------------------------------------------------------------ making one */

static void put_v4(uint8_t *ip, const struct trace_packet *s, size_t payload)
{
	ip[0] = 4 << 4 | V4_HEADER / 4;
	put16(ip + 2, V4_HEADER + payload);
	put16(ip + 6, 0x4000); /* do not fragment */
	ip[V4_TTL] = TRACE_PACKET_HOPS;
	ip[9] = s->proto;
	memcpy(ip + 12, &s->src.w[3], 4);
	memcpy(ip + 16, &s->dst.w[3], 4);
	put16(ip + V4_CHECK, ~inet_sum(ip, V4_HEADER, 0));
}

static void put_v6(uint8_t *ip, const struct trace_packet *s, size_t payload)
{
	ip[0] = 6 << 4;
	put16(ip + 4, payload);
	ip[6] = s->proto;
	ip[V6_HOPS] = TRACE_PACKET_HOPS;
	memcpy(ip + 8, s->src.w, 16);
	memcpy(ip + 24, s->dst.w, 16);
}

static size_t l4_header(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return TCP_HEADER;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return UDP_HEADER;
	case IPPROTO_SCTP:
		return SCTP_HEADER + SCTP_INIT;
	case IPPROTO_DCCP:
		return DCCP_HEADER;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return ECHO_HEADER;
	default:
		return 0;
	}
}

/* Where the Internet checksum is in the header of that protocol; 0: it has none. */
static size_t check_offset(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return TCP_CHECK;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_DCCP:
		return 6;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 2;
	default:
		return 0;
	}
}

bool trace_packet_has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
	       proto == IPPROTO_DCCP || proto == IPPROTO_UDPLITE;
}

static void put_tcp(uint8_t *l4, const struct trace_packet *s)
{
	memcpy(l4 + 4, s->cookie, 4); /* the sequence number */
	l4[12] = TCP_HEADER / 4 << 4;
	l4[TCP_FLAGS] = TCP_SYN;
	put16(l4 + TCP_WINDOW, 0xffff);
}

static void put_sctp(uint8_t *l4, const struct trace_packet *s)
{
	uint8_t *init = l4 + SCTP_HEADER;

	init[0] = 1; /* INIT */
	/* the cookie is part of the chunk: a parameter nobody knows */
	put16(init + 2, SCTP_INIT + TRACE_PACKET_COOKIE);
	memcpy(init + 4, s->cookie, 4); /* the tag */
	put16(init + 8, 1);		/* the window, in 64 KiB */
	put16(init + 12, 1);		/* streams out, */
	put16(init + 14, 1);		/* and in */
}

static void put_dccp(uint8_t *l4)
{
	l4[4] = DCCP_HEADER / 4;
	l4[8] = 1; /* a request, with a long sequence number */
}

static void put_l4(uint8_t *l4, const struct trace_packet *s)
{
	if (s->proto == IPPROTO_ICMP || s->proto == IPPROTO_ICMPV6) {
		l4[0] = s->type;
		put16(l4 + 4, s->sport);
		put16(l4 + 6, 1);
	} else if (trace_packet_has_ports(s->proto)) {
		put16(l4, s->sport);
		put16(l4 + 2, s->dport);
	}
	if (s->proto == IPPROTO_UDP || s->proto == IPPROTO_UDPLITE)
		put16(l4 + 4, UDP_HEADER + TRACE_PACKET_COOKIE);
	else if (s->proto == IPPROTO_TCP)
		put_tcp(l4, s);
	else if (s->proto == IPPROTO_SCTP)
		put_sctp(l4, s);
	else if (s->proto == IPPROTO_DCCP)
		put_dccp(l4);
}

/* There, 0 means that there is none. */
static bool check_is_optional(uint8_t proto)
{
	return proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE;
}

size_t trace_packet_build(uint8_t out[TRACE_PACKET_ROOM], const struct trace_packet *s)
{
	bool v4 = addr_is_v4(&s->src);
	size_t header = l4_header(s->proto), check = check_offset(s->proto), at, len;
	uint16_t sum;
	uint32_t crc;

	memset(out, 0, TRACE_PACKET_ROOM);
	put16(out + 12, v4 ? ETH_P_IP : ETH_P_IPV6);
	at = l4_of(out);
	len = at + header + TRACE_PACKET_COOKIE;
	(v4 ? put_v4 : put_v6)(out + ETH_HLEN, s, len - at);
	put_l4(out + at, s);
	memcpy(out + at + header, s->cookie, TRACE_PACKET_COOKIE);
	if (check) {
		sum = ~l4_sum(out, len);
		put16(out + at + check, sum || !check_is_optional(s->proto) ? sum : 0xffff);
	}
	if (s->proto == IPPROTO_SCTP) {
		crc = sctp_sum(out + at, len - at);
		memcpy(out + at + SCTP_CHECK, &crc, sizeof(crc));
	}
	return len;
}

/* ------------------------------------------------------------ on its way */

void trace_packet_address(uint8_t *frame, const uint8_t *dst, const uint8_t *src)
{
	if (dst)
		memcpy(frame, dst, ETH_ALEN);
	if (src)
		memcpy(frame + ETH_ALEN, src, ETH_ALEN);
}

void trace_packet_hop(uint8_t *frame)
{
	uint8_t *ip = frame + ETH_HLEN;

	if (!frame_is_v4(frame)) {
		ip[V6_HOPS]--;
		return;
	}
	/* a checksum that was wrong stays wrong: RFC 1624 */
	ip[V4_TTL]--;
	put16(ip + V4_CHECK, inet_sum((uint8_t[]){ 1, 0 }, 2, get16(ip + V4_CHECK)));
}

/* ------------------------------------------------------------ looking at it */

bool trace_packet_ends(const uint8_t *frame, size_t len, struct tn_addr *src, struct tn_addr *dst)
{
	if (len < ETH_HLEN || (!frame_is_v4(frame) && get16(frame + 12) != ETH_P_IPV6) ||
	    len < l4_of(frame))
		return false;
	if (frame_is_v4(frame)) {
		*src = addr_from_bytes(frame + ETH_HLEN + 12, 4);
		*dst = addr_from_bytes(frame + ETH_HLEN + 16, 4);
	} else {
		*src = addr_from_bytes(frame + ETH_HLEN + 8, 16);
		*dst = addr_from_bytes(frame + ETH_HLEN + 24, 16);
	}
	return true;
}

uint8_t trace_packet_hops(const uint8_t *frame)
{
	return frame[ETH_HLEN + (frame_is_v4(frame) ? V4_TTL : V6_HOPS)];
}

static bool sctp_is_sound(const uint8_t *l4, size_t len)
{
	uint32_t crc = sctp_sum(l4, len);

	return memcmp(l4 + SCTP_CHECK, &crc, sizeof(crc)) == 0;
}

bool trace_packet_is_sound(const uint8_t *frame, size_t len)
{
	struct tn_addr src, dst;
	uint8_t proto;

	if (!trace_packet_ends(frame, len, &src, &dst))
		return false;
	if (frame_is_v4(frame) && inet_sum(frame + ETH_HLEN, V4_HEADER, 0) != 0xffff)
		return false;
	proto = proto_of(frame);
	if (len < l4_of(frame) + l4_header(proto))
		return false;
	if (proto == IPPROTO_SCTP)
		return sctp_is_sound(frame + l4_of(frame), len - l4_of(frame));
	return !check_offset(proto) || l4_sum(frame, len) == 0xffff;
}

bool trace_packet_has(const void *bytes, size_t len, const uint8_t cookie[TRACE_PACKET_COOKIE])
{
	return memmem(bytes, len, cookie, TRACE_PACKET_COOKIE);
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include "observe/trace_packet.h"

#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "probe/frame.h"

enum { V4_HEADER = 20, V6_HEADER = 40, UDP_HEADER = 8, TCP_HEADER = 20 };
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
		return UDP_HEADER;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return ECHO_HEADER;
	default:
		return 0;
	}
}

/* Where the checksum is in the header of that protocol; 0: it has none that we know. */
static size_t check_offset(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return TCP_CHECK;
	case IPPROTO_UDP:
		return 6;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 2;
	default:
		return 0;
	}
}

static void put_l4(uint8_t *l4, const struct trace_packet *s)
{
	if (s->proto == IPPROTO_ICMP || s->proto == IPPROTO_ICMPV6) {
		l4[0] = s->proto == IPPROTO_ICMP ? ICMP_ECHO : ICMPV6_ECHO_REQUEST;
		put16(l4 + 4, s->sport);
		put16(l4 + 6, 1);
	} else if (s->proto == IPPROTO_TCP || s->proto == IPPROTO_UDP) {
		put16(l4, s->sport);
		put16(l4 + 2, s->dport);
	}
	if (s->proto == IPPROTO_UDP)
		put16(l4 + 4, UDP_HEADER + TRACE_PACKET_COOKIE);
	if (s->proto == IPPROTO_TCP) {
		memcpy(l4 + 4, s->cookie, 4); /* the sequence number */
		l4[12] = TCP_HEADER / 4 << 4;
		l4[TCP_FLAGS] = TCP_SYN;
		put16(l4 + TCP_WINDOW, 0xffff);
	}
}

size_t trace_packet_build(uint8_t out[TRACE_PACKET_ROOM], const struct trace_packet *s)
{
	bool v4 = addr_is_v4(&s->src);
	size_t header = l4_header(s->proto), check = check_offset(s->proto), at, len;
	uint16_t sum;

	memset(out, 0, TRACE_PACKET_ROOM);
	put16(out + 12, v4 ? ETH_P_IP : ETH_P_IPV6);
	at = l4_of(out);
	len = at + header + TRACE_PACKET_COOKIE;
	(v4 ? put_v4 : put_v6)(out + ETH_HLEN, s, len - at);
	put_l4(out + at, s);
	memcpy(out + at + header, s->cookie, TRACE_PACKET_COOKIE);
	if (check) {
		sum = ~l4_sum(out, len);
		put16(out + at + check, sum || s->proto != IPPROTO_UDP ? sum : 0xffff);
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

bool trace_packet_is_sound(const uint8_t *frame, size_t len)
{
	struct tn_addr src, dst;

	if (!trace_packet_ends(frame, len, &src, &dst))
		return false;
	if (frame_is_v4(frame) && inet_sum(frame + ETH_HLEN, V4_HEADER, 0) != 0xffff)
		return false;
	if (!check_offset(proto_of(frame)))
		return true;
	return len >= l4_of(frame) + l4_header(proto_of(frame)) && l4_sum(frame, len) == 0xffff;
}

bool trace_packet_has(const void *bytes, size_t len, const uint8_t cookie[TRACE_PACKET_COOKIE])
{
	return memmem(bytes, len, cookie, TRACE_PACKET_COOKIE);
}

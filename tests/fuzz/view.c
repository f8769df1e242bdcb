/* SPDX-License-Identifier: GPL-2.0-only */
#include "view.h"

#include <string.h>

#include "lib/addr.h"

/* Extension headers of IPv6 that are looked behind. */
#define HEADERS_MAX 6

uint16_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static bool is_extension(uint8_t proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_FRAGMENT ||
	       proto == IPPROTO_DSTOPTS;
}

/* What is behind the extension headers of IPv6. */
struct end {
	uint8_t proto;
	size_t l4;
	bool fragment, later, piece, routed;
	unsigned int headers; /* that were walked */
};

/* `at` is an IPv6 header; false: cut off. */
static bool walk(const uint8_t *bytes, size_t at, size_t end, struct end *e)
{
	*e = (struct end){ .proto = bytes[at + 6], .l4 = at + 40 };
	for (; !e->later && is_extension(e->proto); e->headers++) {
		const uint8_t *header = bytes + e->l4;

		if (e->l4 + 4 > end)
			return false;
		if (e->proto == IPPROTO_FRAGMENT) {
			e->later = get16(header + 2) & 0xfff8;
			e->fragment |= get16(header + 2) & 0xfff9;
			e->piece = true;
		}
		e->routed |= e->proto == IPPROTO_ROUTING && header[3];
		e->l4 += e->proto == IPPROTO_FRAGMENT ? 8 : 8 * (header[1] + 1U);
		e->proto = header[0];
	}
	return e->l4 <= end;
}

/* Where the checksum is that covers addresses, or all of ICMP; 0: there is none. */
static size_t csum_at(uint8_t proto, bool v4, size_t l4)
{
	switch (proto) {
	case IPPROTO_TCP:
		return l4 + 16;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_DCCP:
		return l4 + 6;
	case IPPROTO_ICMP:
		return v4 ? l4 + 2 : 0;
	case IPPROTO_ICMPV6:
		return v4 ? 0 : l4 + 2;
	default:
		return 0;
	}
}

static void read_addresses(const uint8_t *ip, bool v4, struct tn_addr *src, struct tn_addr *dst)
{
	size_t at = v4 ? 12 : 8, len = v4 ? 4 : 16;

	*src = addr_from_bytes(ip + at, len);
	*dst = addr_from_bytes(ip + at + len, len);
}

/* RFC 791, 3.1 */
static void read_options(struct view *v, const uint8_t *at, const uint8_t *end)
{
	while (at < end && *at) {
		v->source_route |= *at == 131 || *at == 137;
		v->record_route |= *at == 7;
		if (*at != 1 && (at + 1 == end || at[1] < 2))
			return;
		at += *at == 1 ? 1 : at[1];
	}
}

/* The packet that an ICMP error quotes: perhaps only its first bytes. */
static void read_quote(struct view *v, size_t end)
{
	const uint8_t *bytes = v->frame.bytes;
	size_t at = v->frame.l4 + 8, header = v->v4 ? 20 : 40, csum;
	uint8_t type = bytes[v->frame.l4];
	struct end e = { 0 };

	if (v->later || v->proto != (v->v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6) || at + header > end)
		return;
	if (v->v4 ? type != 3 && type != 4 && type != 5 && type != 11 && type != 12 : type > 127)
		return;
	v->quote = at;
	read_addresses(bytes + at, v->v4, &v->quote_src, &v->quote_dst);
	if (v->v4) {
		e.proto = bytes[at + 9];
		e.l4 = at + 4 * (bytes[at] & 15);
		e.later = get16(bytes + at + 6) & 0x1fff;
		e.fragment = get16(bytes + at + 6) & 0x3fff;
		v->quote_whole = at + get16(bytes + at + 2) == end;
	} else {
		/* nobody lets a packet with more headers pass, and it is quoted nowhere */
		if (!walk(bytes, at, end, &e) || e.headers > HEADERS_MAX)
			return;
		v->quote_whole = at + 40 + get16(bytes + at + 4) == end;
	}
	v->quote_proto = e.proto;
	v->quote_l4 = e.l4;
	v->quote_whole = v->quote_whole && !e.fragment;
	csum = e.proto == IPPROTO_ICMP ? 0 : csum_at(e.proto, v->v4, e.l4);
	if (!e.later && csum && csum + 2 <= end)
		v->quote_csum = csum;
}

void view_frame(struct view *v, const uint8_t *bytes, size_t len, bool gso)
{
	const uint8_t *ip = bytes + ETH_HLEN;
	struct end e;
	size_t end, csum;

	memset(v, 0, offsetof(struct view, frame));
	memset((char *)&v->frame + sizeof(v->frame), 0,
	       sizeof(*v) - offsetof(struct view, frame) - sizeof(v->frame));
	memcpy(v->frame.bytes, bytes, len);
	v->frame.len = len;
	v->frame.l4_csum = 0;
	v->type = get16(bytes + 12);
	v->v4 = v->type == ETH_P_IP;
	if ((!v->v4 && v->type != ETH_P_IPV6) || len < ETH_HLEN + (v->v4 ? 20U : 40U))
		return;
	end = ETH_HLEN + (v->v4 ? get16(ip + 2) : 40 + get16(ip + 4));
	if (gso)
		end = len;
	if (*ip >> 4 != (v->v4 ? 4 : 6) || end > len)
		return;
	read_addresses(ip, v->v4, &v->src, &v->dst);
	v->frame.ip = ETH_HLEN;
	v->frame.ip_bytes = end - ETH_HLEN;
	if (v->v4) {
		v->frame.l4 = ETH_HLEN + 4 * (*ip & 15);
		v->proto = ip[9];
		v->later = get16(ip + 6) & 0x1fff;
		v->fragment = get16(ip + 6) & 0x3fff;
		if ((*ip & 15) < 5 || v->frame.l4 > end)
			return;
		read_options(v, ip + 20, ip + 4 * (*ip & 15));
	} else {
		if (!walk(bytes, ETH_HLEN, end, &e))
			return;
		v->frame.l4 = e.l4;
		v->proto = e.proto;
		v->later = e.later;
		v->fragment = e.fragment;
		v->piece = e.piece;
		v->source_route = e.routed;
	}
	v->ip = true;
	csum = csum_at(v->proto, v->v4, v->frame.l4);
	if (!v->later && csum && csum + 2 <= end)
		v->frame.l4_csum = csum;
	read_quote(v, end);
}

enum host host_of(const uint8_t *frame)
{
	uint8_t ours[ETH_ALEN];

	mac_parse(MAC_ROUTER, ours);
	return frame[0] & 1 ? GROUP : memcmp(frame, ours, ETH_ALEN) ? OTHER : HOST;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* The IP headers of a packet: what they say, and whether they may be believed. */
#ifndef TN_BPF_PARSE_H
#define TN_BPF_PARSE_H

#include <linux/ip.h>
#include <linux/ipv6.h>

#include "csum.h"
#include "pkt.h"

/* What pkt_parse_v4() and pkt_parse_v6() return, or a reason to drop. */
#define PKT_SOUND (-1)

/* Extension headers of IPv6 that are walked before the packet counts as malformed (RFC 8200, 4.1).
 */
#define PKT_EXTENSIONS_MAX 6

#define IP_OFFSET	  0x1fff
#define IP_MORE_FRAGMENTS 0x2000
#define IP_DONT_FRAGMENT  0x4000

/* Never seen on a wire, and in our tables something else: an IPv4 address. */
static __always_inline bool is_v4_mapped(const __be32 w[4])
{
	return !(w[0] | w[1]) && w[2] == bpf_htonl(0xffff);
}

/* The least header of those protocols that we look into. A table, for the verifier's sake. */
static const __u8 l4_header_min[256] = {
	[IPPROTO_TCP] = 20,    [IPPROTO_DCCP] = 12, [IPPROTO_SCTP] = 12,  [IPPROTO_UDP] = 8,
	[IPPROTO_UDPLITE] = 8, [IPPROTO_ICMP] = 8,  [IPPROTO_ICMPV6] = 8,
};

static __always_inline bool l4_is_cut_off(const struct pkt *p)
{
	return !p->later_fragment && p->l4_len < l4_header_min[p->proto];
}

/* Options of IPv4 (RFC 791, 3.1) that are not just carried along. */
enum {
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_RECORD_ROUTE = 7,
	OPTION_TIMESTAMP = 68,
	OPTION_LOOSE_ROUTE = 131,
	OPTION_STRICT_ROUTE = 137,
};
#define OPTIONS_MAX 40

/*
 * What the option at `at` adds to the reasons to drop; their number + 1, or zero. A timestamp
 * records no address if its flags are zero.
 */
static __always_inline __u32 option_refused(struct pkt *p, __u32 at, __u8 type, __u8 len)
{
	__u8 flags;

	switch (type) {
	case OPTION_LOOSE_ROUTE:
	case OPTION_STRICT_ROUTE:
		return TN_DROP_SOURCE_ROUTE + 1;
	case OPTION_RECORD_ROUTE:
		return TN_DROP_RECORD_ROUTE + 1;
	case OPTION_TIMESTAMP:
		return len > 3 && pkt_load(p, at + 3, &flags, sizeof(flags)) && flags & 0xf
			       ? TN_DROP_RECORD_ROUTE + 1
			       : 0;
	default:
		return 0;
	}
}

/*
 * The reason + 1 to drop a packet with options from `at` to `end`, or zero. Neither offset is
 * known to the verifier, see options_all(), or it would go through the loop for each value.
 */
static __always_inline __u32 options_refused(struct pkt *p, __u32 at, __u32 end)
{
	__u32 refused = 0;
	__u8 type, len;

	for (int i = 0; i < OPTIONS_MAX && at < end; i++) {
		if (!pkt_load(p, at, &type, sizeof(type)) || type == OPTION_END)
			break;
		if (type == OPTION_NOP) {
			at++;
			continue;
		}
		if (!pkt_load(p, at + 1, &len, sizeof(len)) || len < 2 || at + len > end)
			return TN_DROP_MALFORMED + 1;
		if (!refused)
			refused = option_refused(p, at, type, len);
		at += len;
	}
	return refused;
}

/* In the low half what the `len` bytes of options add to the header's sum, above it the above. */
static __always_inline __u64 options_all(struct pkt *p, __u32 len)
{
	__u32 start = ETH_HLEN + sizeof(struct iphdr), word;
	__u32 zero = len >> 8; /* to all but the verifier, and the compiler is not told */
	__u64 sum = 0;

	asm volatile("" : "+r"(zero));
	for (__u32 i = 0; i < OPTIONS_MAX && i < len; i += sizeof(word)) {
		if (!pkt_load(p, start + i, &word, sizeof(word)))
			return (__u64)(TN_DROP_MALFORMED + 1) << 32;
		sum += word;
	}
	start += zero;
	return csum_fold32(sum) | (__u64)options_refused(p, start, start + len) << 32;
}

/* Global for the same reason as tn_walk_xdp(). */
__noinline __u64 tn_options_xdp(struct xdp_md *xdp, __u32 len)
{
	struct pkt p = { .ctx = xdp, .xdp = true };

	return options_all(&p, len);
}

__noinline __u64 tn_options_skb(struct __sk_buff *skb, __u32 len)
{
	struct pkt p = { .ctx = skb };

	return options_all(&p, len);
}

/* RFC 791. PKT_SOUND, or the reason to drop; the addresses are known unless it is malformed. */
static __always_inline int pkt_parse_v4(struct pkt *p)
{
	__u32 header, total, words[sizeof(struct iphdr) / 4];
	__u64 sum, options = 0;
	struct iphdr *ip;
	__u16 frag;

	if (!pkt_pull(p, ETH_HLEN + sizeof(*ip)))
		return TN_DROP_MALFORMED;
	ip = p->data + ETH_HLEN;
	header = ip->ihl * 4;
	total = bpf_ntohs(ip->tot_len);
	if (p->gso) /* such a frame may be longer than the field can say */
		total = p->len - ETH_HLEN;
	if (ip->version != 4 || header < sizeof(*ip) || total < header || total > p->len - ETH_HLEN)
		return TN_DROP_MALFORMED;

	frag = bpf_ntohs(ip->frag_off);
	p->v4 = true;
	p->ip_bytes = total;
	p->proto = ip->protocol;
	p->later_fragment = frag & IP_OFFSET;
	p->fragment = frag & (IP_OFFSET | IP_MORE_FRAGMENTS) ? ETH_HLEN : 0;
	p->fragment_at = (frag & IP_OFFSET) * 8;
	p->l4 = ETH_HLEN + header;
	p->l4_len = total - header;
	p->src = addr_v4(ip->saddr);
	p->dst = addr_v4(ip->daddr);

	__builtin_memcpy(words, ip, sizeof(words));
	sum = (__u64)words[0] + words[1] + words[2] + words[3] + words[4];
	if (header > sizeof(*ip))
		options = p->xdp ? tn_options_xdp(p->ctx, header - sizeof(*ip))
				 : tn_options_skb(p->ctx, header - sizeof(*ip));
	if (csum_fold16(sum + (__u32)options) != 0xffff)
		return TN_DROP_BAD_CHECKSUM;
	if (l4_is_cut_off(p))
		return TN_DROP_MALFORMED;
	return (int)(options >> 32) - 1;
}

/* RFC 8200, 4.5 */
struct fragment_header {
	__u8 next;
	__u8 reserved;
	__be16 at;
	__be32 id;
};

/* A walk over the extension headers of IPv6, in the packet itself or in one that it quotes. */
struct walk {
	__u32 offset;
	__u8 next;	     /* the header at `offset` */
	bool later_fragment; /* behind a fragment header that is not the first's */
	__u32 fragment;	     /* offset of the fragment header; 0: there is none */
	__u32 fragment_at;   /* what it says, in bytes */
	bool routed; /* past a routing header with hops still to go: `dst` is not the last hop */
};

enum walk_step { WALK_ON, WALK_END, WALK_SHORT };

static __always_inline enum walk_step walk_step(struct pkt *p, struct walk *w)
{
	struct {
		__u8 next;
		__u8 len;
		__be16 word;
	} ext;

	if (w->later_fragment)
		return WALK_END;
	switch (w->next) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		if (!pkt_load(p, w->offset, &ext, sizeof(ext)))
			return WALK_SHORT;
		/* segments left: RFC 8200, 4.4 */
		if (w->next == IPPROTO_ROUTING && ext.word & bpf_htons(0x00ff))
			w->routed = true;
		w->offset += (ext.len + 1) * 8;
		break;
	case IPPROTO_FRAGMENT:
		if (!pkt_load(p, w->offset, &ext, sizeof(ext)))
			return WALK_SHORT;
		w->fragment = w->offset;
		w->fragment_at = bpf_ntohs(ext.word) & 0xfff8;
		w->later_fragment = w->fragment_at;
		w->offset += sizeof(struct fragment_header);
		break;
	default:
		return WALK_END;
	}
	w->next = ext.next;
	return WALK_ON;
}

/* The end of two walks, each over PKT_EXTENSIONS_MAX headers of at most 2 KiB, is below this. */
#define WALK_OFFSET_MASK 0x7fff

/* Packed, because all that a global function can return is one word; walk_extensions() unpacks. */
static __always_inline __u64 walk_all(struct pkt *p, __u32 offset, __u8 next)
{
	struct walk w = { .offset = offset, .next = next };
	enum walk_step step = WALK_ON;

	for (int i = 0; i <= PKT_EXTENSIONS_MAX && step == WALK_ON; i++)
		step = walk_step(p, &w);
	if (step != WALK_END)
		return 0;
	return (w.offset & WALK_OFFSET_MASK) | (__u64)w.routed << 15 |
	       (__u64)(w.fragment & 0xffff) << 16 | (__u64)(w.fragment_at & 0xffff) << 32 |
	       (__u64)w.next << 48;
}

/*
 * Functions that the verifier looks at by themselves, because they are global:
 * each path through the loop would otherwise be followed to the end of the program,
 * and times that of the quoted packet's.
 */
__noinline __u64 tn_walk_xdp(struct xdp_md *xdp, __u32 offset, __u32 next)
{
	struct pkt p = { .ctx = xdp, .xdp = true };

	return walk_all(&p, offset, next);
}

__noinline __u64 tn_walk_skb(struct __sk_buff *skb, __u32 offset, __u32 next)
{
	struct pkt p = { .ctx = skb };

	return walk_all(&p, offset, next);
}

/* False: cut off, or more than PKT_EXTENSIONS_MAX of them. */
static __always_inline bool walk_extensions(struct pkt *p, struct walk *w)
{
	__u64 end = p->xdp ? tn_walk_xdp(p->ctx, w->offset, w->next)
			   : tn_walk_skb(p->ctx, w->offset, w->next);

	w->offset = end & WALK_OFFSET_MASK;
	w->routed = (end >> 15) & 1;
	w->fragment = (end >> 16) & 0xffff;
	w->fragment_at = (end >> 32) & 0xffff;
	w->later_fragment = w->fragment_at;
	w->next = (end >> 48) & 0xff;
	return end;
}

/* RFC 8200; more extension headers than we walk are malformed. Returns like pkt_parse_v4(). */
static __always_inline int pkt_parse_v6(struct pkt *p)
{
	struct walk w = { .offset = ETH_HLEN + sizeof(struct ipv6hdr) };
	struct ipv6hdr *ip;
	__u32 end;

	if (!pkt_pull(p, ETH_HLEN + sizeof(*ip)))
		return TN_DROP_MALFORMED;
	ip = p->data + ETH_HLEN;
	end = ETH_HLEN + sizeof(*ip) + bpf_ntohs(ip->payload_len);
	if (p->gso)
		end = p->len;
	if (ip->version != 6 || end > p->len)
		return TN_DROP_MALFORMED;
	p->ip_bytes = end - ETH_HLEN;
	__builtin_memcpy(&p->src, &ip->saddr, sizeof(p->src));
	__builtin_memcpy(&p->dst, &ip->daddr, sizeof(p->dst));
	if (is_v4_mapped(ip->saddr.in6_u.u6_addr32) || is_v4_mapped(ip->daddr.in6_u.u6_addr32))
		return TN_DROP_MALFORMED;

	w.next = ip->nexthdr;
	if (!walk_extensions(p, &w) || w.offset > end)
		return TN_DROP_MALFORMED;
	p->proto = w.next;
	p->later_fragment = w.later_fragment;
	p->fragment = w.fragment;
	p->fragment_at = w.fragment_at;
	p->l4 = w.offset;
	p->l4_len = end - w.offset;
	if (l4_is_cut_off(p))
		return TN_DROP_MALFORMED;
	/* also RFC 5095: routing headers of type 0 are not to be followed */
	return w.routed ? TN_DROP_SOURCE_ROUTE : PKT_SOUND;
}

#endif

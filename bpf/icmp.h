/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ICMP errors (RFC 792, RFC 4443): the packet that they quote is translated like
 * the one that they are about (RFC 5508, 4). No state: the quoted packet names the
 * mapping, and has to name the same one as the outer header.
 *
 * Checksums: in IPv4 the quoted address cancels against the quoted header's own
 * checksum, so that the outer one changes only as the quoted L4 checksum does; in
 * IPv6 the addresses count too, the outer one by its pseudo-header. The sum of the
 * whole frame never changes, so writing it directly leaves CHECKSUM_COMPLETE right.
 */
#ifndef TN_BPF_ICMP_H
#define TN_BPF_ICMP_H

#include "nat.h"
#include "policy.h"

#define ICMP_HEADER_LEN 8
/* What every error quotes of the header behind IP's (RFC 792) */
#define QUOTE_L4_MIN 8

enum icmp_kind {
	ICMP_OTHER,
	ICMP_ERROR,	/* quotes a packet */
	ICMP_REDIRECTS, /* quotes a packet, and names a gateway of the wrong side */
	ICMP_ND,	/* neighbour discovery: IPv6 alone */
};

static __always_inline enum icmp_kind icmp_kind(struct pkt *p)
{
	__u8 type;

	if (p->later_fragment || p->proto != (p->v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6) ||
	    !pkt_load(p, p->l4, &type, sizeof(type)))
		return ICMP_OTHER;
	if (!p->v4)
		return type < 128 ? ICMP_ERROR : type >= 133 && type <= 137 ? ICMP_ND : ICMP_OTHER;
	switch (type) {
	case 3:	 /* destination unreachable */
	case 4:	 /* source quench */
	case 11: /* time exceeded */
	case 12: /* parameter problem */
		return ICMP_ERROR;
	case 5:
		return ICMP_REDIRECTS;
	default:
		return ICMP_OTHER;
	}
}

/*
 * `len`: of the quoted packet, as it says itself. It may have been quoted in part, and what
 * was short is padded when extensions follow (RFC 4884, 5.1).
 */
static __always_inline void quote_find_l4(const struct pkt *p, struct quote *q, __u8 proto,
					  __u32 l4, __u32 len)
{
	int at = csum_offset(proto, p->v4);
	__u32 end = l4 + at + sizeof(__sum16);

	if (l4 + QUOTE_L4_MIN <= p->l4 + p->l4_len && l4 + QUOTE_L4_MIN <= q->at + len) {
		q->proto = proto;
		q->l4 = l4;
	}
	if (at >= 0 && end <= p->l4 + p->l4_len && end <= q->at + len) {
		q->l4_csum = l4 + at;
		q->csum_optional = csum_optional(proto);
	}
}

static __always_inline bool quote_parse_v4(struct pkt *p, struct quote *q)
{
	struct iphdr ip;

	if (!pkt_load(p, q->at, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
		return false;
	q->src = addr_v4(ip.saddr);
	q->dst = addr_v4(ip.daddr);
	q->ip_csum = ip.check;
	if (!(ip.frag_off & bpf_htons(IP_OFFSET)))
		quote_find_l4(p, q, ip.protocol, q->at + ip.ihl * 4, bpf_ntohs(ip.tot_len));
	return true;
}

static __always_inline bool quote_parse_v6(struct pkt *p, struct quote *q)
{
	struct walk w = { .offset = q->at + sizeof(struct ipv6hdr) };
	struct ipv6hdr ip;

	if (!pkt_load(p, q->at, &ip, sizeof(ip)) || ip.version != 6)
		return false;
	__builtin_memcpy(&q->src, &ip.saddr, sizeof(q->src));
	__builtin_memcpy(&q->dst, &ip.daddr, sizeof(q->dst));
	w.next = ip.nexthdr;
	if (walk_extensions(p, &w) && !w.later_fragment)
		quote_find_l4(p, q, w.next, w.offset, sizeof(ip) + bpf_ntohs(ip.payload_len));
	return true;
}

static __always_inline bool quote_parse_ip(struct pkt *p, struct quote *q)
{
	__builtin_memset(q, 0, sizeof(*q));
	q->at = p->l4 + ICMP_HEADER_LEN;
	if (p->l4_len < ICMP_HEADER_LEN + (p->v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)))
		return false;
	return p->v4 ? quote_parse_v4(p, q) : quote_parse_v6(p, q);
}

/* What the error at `l4`, of `len` bytes, quotes, to scratch.quote. Errors are for tc alone. */
__noinline int tn_quote_parse(struct __sk_buff *skb, __u32 l4, __u32 len, __u32 v4)
{
	struct pkt p = { .ctx = skb, .l4 = l4, .l4_len = len, .v4 = v4 };
	struct scratch *w = scratch_get();

	return w && quote_parse_ip(&p, &w->quote);
}

static __always_inline bool quote_parse(struct pkt *p)
{
	/* the compiler does not see that XDP never comes here, and 6.1 looks at all that it could
	 */
	return !p->xdp && tn_quote_parse(p->ctx, p->l4, p->l4_len, p->v4);
}

/* An error goes to whom the packet came from that it is about (RFC 792, RFC 4443 2.2). */
static __always_inline bool quote_is_answered(const struct pkt *p, const struct quote *q)
{
	struct tn_addr dst = pkt_copy(&p->dst);

	return addr_equal(&q->src, &dst);
}

/* Write the new address into the quoted header; what that adds to the sum of the ICMP message. */
static __always_inline bool quote_write_address(struct pkt *p, const struct quote *q,
						enum tn_side side, const struct tn_addr *old,
						const struct tn_addr *new, __u64 *diff)
{
	if (p->v4) {
		__sum16 check = csum_apply(q->ip_csum, csum_diff32(old->w[3], new->w[3]));
		__u32 at = side == TN_SRC ? offsetof(struct iphdr, saddr)
					  : offsetof(struct iphdr, daddr);

		return pkt_store(p, q->at + at, &new->w[3], sizeof(new->w[3])) &&
		       pkt_store(p, q->at + offsetof(struct iphdr, check), &check, sizeof(check));
	}
	*diff += csum_diff_addr(old, new);
	return pkt_store(p,
			 q->at + (side == TN_SRC ? offsetof(struct ipv6hdr, saddr)
						 : offsetof(struct ipv6hdr, daddr)),
			 new, sizeof(*new));
}

static __always_inline bool quote_write_csum(struct pkt *p, const struct quote *q, __u64 change,
					     __u64 *diff)
{
	__sum16 old, new;

	if (!q->l4_csum || !change)
		return true;
	if (!pkt_load(p, q->l4_csum, &old, sizeof(old)))
		return false;
	if (!old && q->csum_optional)
		return true;
	new = csum_apply(old, change);
	if (!new && q->csum_optional)
		new = 0xffff;
	*diff += csum_diff16(old, new);
	return pkt_store(p, q->l4_csum, &new, sizeof(new));
}

/*
 * Translate one side of the quoted packet, and of the packet itself the other one: an error
 * about what A sent to B goes to A, so that its destination is the quoted source.
 * `outer_old` and `outer_new` are the addresses of the packet itself, the same ones where
 * it leaves as it came.
 */
static __always_inline enum tn_verdict icmp_rewrite(struct pkt *p, const struct quote *q,
						    enum tn_side quoted, const struct tn_addr *old,
						    const struct tn_addr *new,
						    const struct tn_addr *outer_old,
						    const struct tn_addr *outer_new)
{
	__u64 change = csum_diff_addr(old, new), diff = 0;
	__u32 at = p->l4 + 2;
	__sum16 check;

	if (!nat_ip(p, quoted == TN_SRC ? TN_DST : TN_SRC, outer_new))
		return drop(p, TN_DROP_INTERNAL);
	if (!p->v4)
		diff = csum_diff_addr(outer_old, outer_new);
	if (!quote_write_address(p, q, quoted, old, new, &diff) ||
	    !quote_write_csum(p, q, change, &diff) || !pkt_load(p, at, &check, sizeof(check)))
		return drop(p, TN_DROP_INTERNAL);
	check = csum_apply(check, diff);
	if (diff && !pkt_store(p, at, &check, sizeof(check)))
		return drop(p, TN_DROP_INTERNAL);
	return TN_TRANSLATED;
}

/* An error from the shared network for a VM. Who sends it does not matter, but what it quotes. */
static __always_inline enum tn_verdict icmp_error_in(struct pkt *p, struct scratch *w)
{
	struct quote *q = &w->quote;
	struct endpoints *e = &w->endpoints;

	if (!quote_parse(p))
		return drop(p, TN_DROP_MALFORMED);
	if (!addr_equal(&q->src, &e->shared))
		return drop(p, TN_DROP_FORGED_ERROR);
	e->peer = q->dst;
	endpoints_know_peer(e, lookup_shared(&e->peer));
	if (!policy_quoted(p, q->proto, q->l4, true))
		return drop(p, TN_DROP_FORGED_ERROR);
	return icmp_rewrite(p, q, TN_SRC, &e->shared, &e->fixed, &e->shared, &e->fixed);
}

/* An error that a VM sends about a packet that it got. */
static __always_inline enum tn_verdict icmp_error_out(struct pkt *p, struct scratch *w)
{
	struct quote *q = &w->quote;
	struct endpoints *e = &w->endpoints;

	if (!quote_parse(p))
		return drop(p, TN_DROP_MALFORMED);
	if (!addr_equal(&q->dst, &e->fixed))
		return drop(p, TN_DROP_FORGED_ERROR);
	if (!in_shared_subnets(&q->src))
		return drop(p, TN_DROP_UNTRANSLATED);
	if (!quote_is_answered(p, q) || !policy_quoted(p, q->proto, q->l4, false))
		return drop(p, TN_DROP_FORGED_ERROR);
	return icmp_rewrite(p, q, TN_DST, &e->fixed, &e->shared, &e->fixed, &e->shared);
}

/*
 * An error that this router's own kernel sends, or a router between it and the VM, about a
 * packet that was translated on its way in, or about one to the router itself; it comes from
 * w->endpoints.fixed, and is for w->endpoints.peer. Nothing private leaves in it: the second kind
 * comes from w->own, an address of this router, as RFC 5508 (4.2, REQ-5) has it for a source
 * without a mapping.
 */
static __always_inline enum tn_verdict icmp_error_on_the_way(struct pkt *p, struct scratch *w)
{
	struct quote *q = &w->quote;
	struct endpoints *e = &w->endpoints;
	const struct tn_fixed *mapping;

	if (!quote_parse(p))
		return drop(p, TN_DROP_MALFORMED);
	if (!in_shared_subnets(&q->src))
		return drop(p, TN_DROP_UNTRANSLATED);
	if (!quote_is_answered(p, q))
		return drop(p, TN_DROP_FORGED_ERROR);
	mapping = lookup_fixed(w->self.router, &q->dst);
	if (!mapping)
		return addr_equal(&e->fixed, &w->own) && in_shared_subnets(&q->dst)
			       ? TN_PASS
			       : drop(p, TN_DROP_UNTRANSLATED);
	w->src = e->fixed;
	e->fixed = q->dst;
	endpoints_know_vm(e, mapping);
	endpoints_know_peer(e, lookup_shared(&e->peer));
	if (!policy_quoted(p, q->proto, q->l4, false))
		return drop(p, TN_DROP_FORGED_ERROR);
	return icmp_rewrite(p, q, TN_DST, &q->dst, &e->shared, &w->src, &w->own);
}

#endif

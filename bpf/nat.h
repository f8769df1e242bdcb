/* SPDX-License-Identifier: GPL-2.0-only */
/* Rewriting an address and every checksum that covers it. */
#ifndef TN_BPF_NAT_H
#define TN_BPF_NAT_H

#include "account.h"
#include "parse.h"

enum tn_side { TN_SRC, TN_DST };

/*
 * Whether an L4 checksum field holds no more than the sum of its pseudo-header:
 * that is what a local sender leaves there for its interface to complete
 * (CHECKSUM_PARTIAL). One whole checksum in 65,535 looks the same.
 */
static __always_inline bool csum_is_partial(const struct pkt *p, __sum16 field)
{
	__u64 sum = bpf_htonl(p->l4_len) + (__u64)bpf_htonl(p->proto);

	sum += (__u64)p->src.w[3] + p->dst.w[3];
	if (!p->v4)
		sum += (__u64)p->src.w[0] + p->src.w[1] + p->src.w[2] + p->dst.w[0] + p->dst.w[1] +
		       p->dst.w[2];
	return csum_fold16(sum) == field;
}

static __always_inline bool nat_ip_v4(struct pkt *p, enum tn_side side, __be32 new)
{
	struct iphdr *ip = p->data + ETH_HLEN;
	/* as they lie in the header */
	struct {
		__u8 ttl;
		__u8 protocol;
		__sum16 check;
		__be32 saddr;
		__be32 daddr;
	} __attribute__((packed)) part;

	if ((void *)(ip + 1) > p->data_end)
		return false;
	part.ttl = ip->ttl - p->hops;
	part.protocol = ip->protocol;
	part.saddr = side == TN_SRC ? new : ip->saddr;
	part.daddr = side == TN_DST ? new : ip->daddr;
	part.check = csum_apply(
		ip->check, csum_diff32(side == TN_SRC ? ip->saddr : ip->daddr, new) +
				   csum_diff16(bpf_htons(ip->ttl << 8), bpf_htons(part.ttl << 8)));
	if (!p->xdp)
		return pkt_store(p, ETH_HLEN + offsetof(struct iphdr, ttl), &part, sizeof(part));
	ip->ttl = part.ttl;
	ip->check = part.check;
	ip->saddr = part.saddr;
	ip->daddr = part.daddr;
	return true;
}

static __always_inline bool nat_ip_v6(struct pkt *p, enum tn_side side, const struct tn_addr *new)
{
	struct ipv6hdr *ip = p->data + ETH_HLEN;
	__u32 at =
		side == TN_SRC ? offsetof(struct ipv6hdr, saddr) : offsetof(struct ipv6hdr, daddr);

	__u8 limit;

	if ((void *)(ip + 1) > p->data_end)
		return false;
	limit = ip->hop_limit - p->hops;
	if (!p->xdp) {
		if (!pkt_store(p, ETH_HLEN + at, new, sizeof(*new)))
			return false;
		if (!p->hops)
			return true;
		/* no checksum makes up for it: the sum of the whole frame follows */
		bpf_csum_update(p->ctx, (__u16)~bpf_htons(p->hops));
		return pkt_store(p, ETH_HLEN + offsetof(struct ipv6hdr, hop_limit), &limit,
				 sizeof(limit));
	}
	ip->hop_limit = limit;
	__builtin_memcpy((void *)ip + at, new, sizeof(*new));
	return true;
}

/* The address in the IP header, its hop limit, and IPv4's header checksum. They are readable. */
static __always_inline bool nat_ip(struct pkt *p, enum tn_side side, const struct tn_addr *new)
{
	return p->v4 ? nat_ip_v4(p, side, new->w[3]) : nat_ip_v6(p, side, new);
}

/*
 * Where in an L4 header the checksum lies that a sender can leave to its device; 0: it has none. A
 * table, for the verifier's sake.
 */
static const __u8 csum_left_offset[256] = {
	[IPPROTO_TCP] = 16, [IPPROTO_UDP] = 6,	  [IPPROTO_UDPLITE] = 6,
	[IPPROTO_DCCP] = 6, [IPPROTO_ICMPV6] = 2, [IPPROTO_SCTP] = 8,
};

/* Of these <linux/in.h> does not have, or not in every version. */
enum { PROTO_ETHERIP = 97, PROTO_L2TP = 115 };

/* Protocols whose payload can be a packet with a checksum of its own. */
static const __u8 is_tunnel[256] = {
	[IPPROTO_UDP] = 1,  [IPPROTO_GRE] = 1,	 [IPPROTO_IPIP] = 1,
	[IPPROTO_IPV6] = 1, [PROTO_ETHERIP] = 1, /* RFC 3378 */
	[PROTO_L2TP] = 1,			 /* RFC 3931 */
};

enum left_where {
	LEFT_NONE,
	LEFT_AT_L4,	/* of the header at l4, where that has it */
	LEFT_WITHIN,	/* of a packet within the tunnel at l4 */
	LEFT_ELSEWHERE, /* whoever finishes it writes where a program has read */
};

/*
 * Where the checksum is that a sender of this machine, or a guest, has left to the device behind
 * us. A guest says itself where that is (virtio-net's csum_start and csum_offset), and the kernel
 * believes it.
 */
__noinline int tn_left_where(struct __sk_buff *skb, __u32 l4, __u32 proto)
{
	struct left left = left_of(skb);

	proto &= 0xff;
	if (!left.any)
		return LEFT_NONE;
	if (left.start == l4)
		return csum_left_offset[proto] && left.field == csum_left_offset[proto]
			       ? LEFT_AT_L4
			       : LEFT_ELSEWHERE;
	return is_tunnel[proto] && left.start >= l4 + l4_header_min[proto] && left.start < skb->len
		       ? LEFT_WITHIN
		       : LEFT_ELSEWHERE;
}

/* What is judged is what leaves: nothing behind us writes into what was read. */
static __always_inline bool is_judged_whole(struct pkt *p)
{
	int where = p->xdp ? LEFT_NONE : tn_left_where(p->ctx, p->l4, p->proto);

	return where == LEFT_NONE || (where != LEFT_ELSEWHERE && !p->fragment);
}

enum csum_left {
	CSUM_LEFT_WITHIN = -1,
	CSUM_LEFT_NONE,
	CSUM_LEFT_HERE,
};

/*
 * Which checksum is left to the device: that at `offset`, or one within the tunnel of which that is
 * a whole one (LCO, Documentation/networking/checksum-offloads.rst). Global, so that the verifier
 * follows it once; and that of Linux 6.1 follows it though nobody calls it there.
 */
__noinline int tn_csum_left(struct __sk_buff *skb, __u32 offset)
{
	const struct sk_buff___tn *kernels;

	if (!tn_reads_kernel)
		return CSUM_LEFT_NONE;
	kernels = bpf_cast_to_kern_ctx(skb);
	if (!is_left_to_device(kernels))
		return CSUM_LEFT_NONE;
	/* segments of a tunnel have theirs made of one that is not whole, too */
	if (skb->gso_size || kernels->head + kernels->csum_start <= kernels->data + offset)
		return CSUM_LEFT_HERE;
	return CSUM_LEFT_WITHIN;
}

/*
 * The checksum field at `offset` in a packet whose addresses have changed by
 * `diff`. XDP writes it, tc has the kernel do it, which alone knows whether the
 * field is complete (CHECKSUM_PARTIAL) and whether the receiver's sum of the
 * whole packet has to follow (CHECKSUM_COMPLETE). For IPv6 the sum of the whole
 * packet does not change, and the kernel must be told so by leaving out
 * BPF_F_PSEUDO_HDR, unless the field is partial; `partial` is our guess, where it
 * cannot be asked for. With a partial one within, the kernel takes the field for
 * that, and adds the difference instead of subtracting it: so it is turned round.
 */
static __always_inline bool nat_l4_csum(struct pkt *p, __u32 offset, __u64 diff, bool partial)
{
	bool optional = csum_optional(p->proto);
	__sum16 *field;

	if (!p->xdp) {
		__u64 flags = optional ? BPF_F_MARK_MANGLED_0 : 0;
		int left = tn_reads_kernel ? tn_csum_left(p->ctx, offset) : CSUM_LEFT_NONE;
		__u32 turn = left >> 31; /* of CSUM_LEFT_WITHIN every bit */

		if (p->v4 || partial)
			flags |= BPF_F_PSEUDO_HDR;
		/* the same for what is left, with no branch for the verifier of Linux 6.1 */
		flags |= (left & 1) * BPF_F_PSEUDO_HDR;
		return bpf_l4_csum_replace(p->ctx, offset, 0, csum_fold32(diff) ^ turn, flags) == 0;
	}
	field = p->data + (offset & PKT_OFFSET_MASK);
	if ((void *)(field + 1) > p->data_end)
		return false;
	if (*field || !optional) {
		*field = csum_apply(*field, diff);
		if (!*field && optional)
			*field = 0xffff;
	}
	return true;
}

/*
 * Replace the source or destination of a parsed packet. Nothing is changed when
 * the verdict is TN_LEAVE_TO_TC or a drop.
 */
static __always_inline enum tn_verdict nat_rewrite(struct pkt *p, enum tn_side side,
						   const struct tn_addr *new)
{
	struct tn_addr old = side == TN_SRC ? p->src : p->dst;
	__u64 diff = csum_diff_addr(&old, new);
	int at = p->later_fragment ? -1 : csum_offset(p->proto, p->v4);
	__u32 offset = p->l4 + at;
	bool partial = false, neutral = csum_is_neutral(diff);
	__sum16 field = 0;

	if (at >= 0) {
		/* XDP reads in place: it has to write there anyway */
		if (offset > PKT_OFFSET_MASK)
			return drop(p, TN_DROP_MALFORMED);
		if (p->xdp) {
			__sum16 *in_place = p->data + (offset & PKT_OFFSET_MASK);

			if ((void *)(in_place + 1) > p->data_end)
				return TN_LEAVE_TO_TC;
			field = *in_place;
			/* who gets what XDP sends on does not know that it is partial */
			if ((!neutral || p->hops) && csum_is_partial(p, field))
				return TN_LEAVE_TO_TC;
		} else if (!p->v4) {
			if (!pkt_load(p, offset, &field, sizeof(field)))
				return drop(p, TN_DROP_INTERNAL);
			partial = p->gso || (!tn_reads_kernel && csum_is_partial(p, field));
		}
	}
	if (!nat_ip(p, side, new))
		return drop(p, TN_DROP_INTERNAL);
	/* an IPv6 address that no checksum makes up for: the sum of the whole frame follows */
	if (!p->xdp && !p->v4 && (at < 0 || (!field && csum_optional(p->proto))))
		bpf_csum_update(p->ctx, csum_fold32(diff));
	if (at >= 0 && !neutral && !nat_l4_csum(p, offset, diff, partial))
		return drop(p, TN_DROP_INTERNAL);
	return TN_TRANSLATED;
}

#endif

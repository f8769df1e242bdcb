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
	int at = p->rest ? -1 : csum_offset(p->proto, p->v4);
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
			/* what is behind XDP's own way on does not know that it is partial */
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

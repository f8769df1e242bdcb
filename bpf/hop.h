/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Next hops, as the kernel said a moment ago: a cached mapping says which one is its VM's (struct
 * tn_cached), and who goes on by it need not ask for a route.
 */
#ifndef TN_BPF_HOP_H
#define TN_BPF_HOP_H

#include "forward.h"

static __always_inline struct tn_hop *hop_at(__u32 place)
{
	__u32 at = bpf_get_smp_processor_id() * TN_HOPS + place;

	return bpf_map_lookup_elem(&hops, &at);
}

/* That one, be it out of date; NULL: another has its place. */
static __always_inline const struct tn_hop *hop_get(__u32 place, __u32 generation)
{
	const struct tn_hop *h = hop_at(place);

	return h && generation && h->generation == generation ? h : NULL;
}

static __always_inline bool hop_is_usable(const struct tn_hop *h, __u32 len, __u64 now)
{
	return len <= h->mtu && h->expires > now;
}

/*
 * Whether it is time to ask again. When it went out of date longer ago nobody has: what cannot be
 * asked for on this CPU must not wait for that.
 */
static __always_inline bool hop_is_due(const struct tn_hop *h)
{
	return bpf_jiffies64() - h->expires < tn_cache_ticks; /* nor before: these are unsigned */
}

static __always_inline __u32 hop_place(__u32 router, __u32 link, __be32 gateway, __u32 mtu)
{
	return (bpf_ntohl(gateway) + ((router << 16 ^ mtu) + link) * 0x9e3779b1U) & (TN_HOPS - 1);
}

/*
 * The hop that the kernel has said has that place from now on, if it is not another's who is not
 * out of date. The turns of one place last for years.
 */
static __always_inline bool hop_begin(struct tn_hop *h, const struct scratch *w)
{
	const struct bpf_fib_lookup *fib = &w->fib;
	__u64 now = bpf_jiffies64();

	if (h->generation && h->router == w->self.router && h->link == fib->ifindex &&
	    h->gateway == fib->ipv4_dst && h->mtu == fib->mtu_result)
		return true;
	if (h->expires > now || h->src_valid_until > now || h->generation == 0xffffffff)
		return false;
	h->generation++;
	h->router = w->self.router;
	h->link = fib->ifindex;
	h->gateway = fib->ipv4_dst;
	h->mtu = fib->mtu_result;
	h->expires = 0;
	return true;
}

/*
 * What the kernel has said is kept, if it said so for whoever sends; NULL: it did not, or there is
 * no place for it. `back`: it was asked for one that has sent, and nothing goes there, as far as
 * this tells. A route of IPv4 can have a gateway of IPv6 (RFC 8950).
 */
static __always_inline const struct tn_hop *hop_keep(const struct scratch *w, bool back)
{
	const struct bpf_fib_lookup *fib = &w->fib;
	__u64 until = fib_until(fib);
	struct tn_hop *h;

	if (!w->for_nobody || !until || fib->family != FAMILY_V4)
		return NULL;
	h = hop_at(hop_place(w->self.router, fib->ifindex, fib->ipv4_dst, fib->mtu_result));
	if (!h || !hop_begin(h, w))
		return NULL;
	h->src_valid_until = until;
	if (!back)
		h->expires = until;
	h->xdp = tn_takes_xdp(fib->ifindex);
	__builtin_memcpy(h->macs, fib->dmac, ETH_ALEN);
	__builtin_memcpy(h->macs + ETH_ALEN, fib->smac, ETH_ALEN);
	return h;
}

/* See pair_keep_route(). */
static __always_inline void pair_keep_hop(struct tn_pair *pair, const struct tn_hop *h)
{
	if (!(pair->whose >> TN_PAIR_KIND))
		pair->link = h->link;
	if (h->xdp)
		pair->whose |= TN_PAIR_XDP;
	pair->mtu = h->mtu;
	__builtin_memcpy(pair->macs, h->macs, sizeof(pair->macs));
	pair->expires = h->expires;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Next hops, as the kernel said a moment ago: a mapping's note says which one is its VM's (struct
 * tn_note), and who goes on by it need not ask for a route.
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
static __always_inline const struct tn_hop *hop_get(__u32 place, __u32 turn)
{
	const struct tn_hop *h = hop_at(place);

	return h && turn && h->turn == turn ? h : NULL;
}

static __always_inline bool hop_leads(const struct tn_hop *h, __u32 len, __u64 now)
{
	return len <= h->mtu && h->until > now;
}

/*
 * Whether it is time to ask again. When it went out of date longer ago nobody has: what cannot be
 * asked for on this CPU must not wait for that.
 */
static __always_inline bool hop_is_due(const struct tn_hop *h)
{
	return h->until + tn_way_ticks > bpf_jiffies64();
}

static __always_inline __u32 hop_place(__u32 link, __be32 gateway, __u32 mtu)
{
	return (bpf_ntohl(gateway) + ((tn_router_id << 16 ^ mtu) + link) * 0x9e3779b1U) &
	       (TN_HOPS - 1);
}

/*
 * The hop that `way` leads by has that place from now on, if it is not another's who is not out of
 * date. The turns of one place last for years.
 */
static __always_inline bool hop_begin(struct tn_hop *h, const struct tn_way *way, __be32 gateway)
{
	if (h->turn && h->router == tn_router_id && h->link == way->link && h->gateway == gateway &&
	    h->mtu == way->mtu)
		return true;
	if (h->until > bpf_jiffies64() || h->turn == 0xffffffff)
		return false;
	h->turn++;
	h->router = tn_router_id;
	h->link = way->link;
	h->gateway = gateway;
	h->mtu = way->mtu;
	return true;
}

/* That `way` leads by that gateway is kept; NULL: there is no place for it. */
static __always_inline const struct tn_hop *hop_keep(const struct tn_way *way, __be32 gateway)
{
	struct tn_hop *h = hop_at(hop_place(way->link, gateway, way->mtu));

	if (!h || !hop_begin(h, way, gateway))
		return NULL;
	h->until = way->until;
	h->xdp = !!(way->whose & TN_WAY_XDP);
	__builtin_memcpy(h->macs, way->macs, sizeof(h->macs));
	return h;
}

/* See way_note(). */
static __always_inline void way_note_hop(struct tn_way *way, const struct tn_hop *h)
{
	way->link = h->link;
	if (h->xdp)
		way->whose |= TN_WAY_XDP;
	way->mtu = h->mtu;
	__builtin_memcpy(way->macs, h->macs, sizeof(way->macs));
	way->until = h->until;
}

#endif

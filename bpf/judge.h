/* SPDX-License-Identifier: GPL-2.0-only */
/* The rules: what may come in from the shared network, and what may go out to it. */
#ifndef TN_BPF_JUDGE_H
#define TN_BPF_JUDGE_H

static __always_inline __u16 pkt_ethertype(struct pkt *p)
{
	struct ethhdr *eth;

	if (!pkt_pull(p, ETH_HLEN))
		return 0;
	eth = p->data;
	return bpf_ntohs(eth->h_proto);
}

static __always_inline bool pkt_parse(struct pkt *p, __u16 ethertype)
{
	return ethertype == ETH_P_IP ? pkt_parse_v4(p) : pkt_parse_v6(p);
}

/* An answer of a DHCP server to the router itself (RFC 2131, 4.1), which may come from anywhere. */
static __always_inline bool is_dhcp_answer(struct pkt *p)
{
	__be16 ports[2];

	return p->v4 && p->proto == IPPROTO_UDP && !p->rest &&
	       pkt_load(p, p->l4, ports, sizeof(ports)) && ports[0] == bpf_htons(67) &&
	       ports[1] == bpf_htons(68);
}

/* An IP packet to this router's MAC address, from the shared network. */
static __always_inline enum tn_verdict judge_in(struct pkt *p)
{
	struct tn_addr src = p->src, dst = p->dst;
	const struct tn_shared *to, *from;

	if (addr_is_link_local(&src, p->v4) && addr_is_link_local(&dst, p->v4))
		return TN_PASS;
	to = lookup_ours(&dst);
	if (!to)
		return drop(p, in_shared_subnets(&dst) ? TN_DROP_UNMAPPED :
							    TN_DROP_DIRECT_TO_PRIVATE);
	if (to->flags & TN_SHARED_OWN && is_dhcp_answer(p))
		return TN_PASS;

	from = lookup_shared(&src);
	if (from && from->router == tn_router_id)
		return drop(p, TN_DROP_SPOOFED_SOURCE);
	if (!from && !in_shared_subnets(&src))
		return drop(p, TN_DROP_FOREIGN_SOURCE);
	if (to->flags & TN_SHARED_OWN)
		return TN_PASS;
	if (p->xdp && tn_xdp_guards_only)
		return TN_LEAVE_TO_TC;

	struct tn_addr fixed = to->fixed;
	__u32 slot = to->slot;
	enum tn_verdict v = nat_rewrite(p, TN_DST, &fixed);

	if (v == TN_TRANSLATED)
		count_in(p, slot);
	return v;
}

/*
 * Group frames and frames for others are not judged: the kernel forwards only
 * what is addressed to it alone (ip_forward() and ip6_forward() want PACKET_HOST).
 */
static __always_inline enum tn_verdict judge_in_tc(struct pkt *p, __u32 pkt_type)
{
	__u16 ethertype = pkt_ethertype(p);

	if (pkt_type == PACKET_OTHERHOST)
		return TN_PASS;
	if (ethertype == ETH_P_ARP)
		return arp_in(p);
	if (pkt_type != PACKET_HOST || (ethertype != ETH_P_IP && ethertype != ETH_P_IPV6))
		return TN_PASS;
	if (!pkt_parse(p, ethertype))
		return drop(p, TN_DROP_MALFORMED);
	return judge_in(p);
}

/* For tc to see that this frame is done: metadata in front of it. */
static __always_inline bool mark_translated(struct xdp_md *xdp)
{
	struct tn_meta *meta;

	if (bpf_xdp_adjust_meta(xdp, -(int)sizeof(*meta)))
		return false;
	meta = (void *)(long)xdp->data_meta;
	if ((void *)(meta + 1) > (void *)(long)xdp->data)
		return false;
	meta->magic = TN_META_MAGIC;
	meta->router = tn_router_id;
	return true;
}

/* Reads the mark and takes it off: it must not outlive this interface. */
static __always_inline bool xdp_has_translated(struct __sk_buff *skb)
{
	struct tn_meta *meta = (void *)(long)skb->data_meta;

	if ((void *)(meta + 1) > (void *)(long)skb->data || meta->magic != TN_META_MAGIC ||
	    meta->router != tn_router_id)
		return false;
	meta->magic = 0;
	return true;
}

/*
 * The mark comes first, while nothing is changed: a driver without metadata
 * then leaves every frame to tc. Generic XDP has metadata, but some kernels lose
 * track of it (see pkt_mend_mac()), so there the loader sets tn_xdp_guards_only.
 */
static __always_inline enum tn_verdict judge_in_xdp(struct pkt *p)
{
	__u16 ethertype = pkt_ethertype(p);
	struct ethhdr *eth = p->data;
	enum tn_verdict v;

	if (ethertype != ETH_P_IP && ethertype != ETH_P_IPV6)
		return TN_LEAVE_TO_TC;
	if ((void *)(eth + 1) > p->data_end)
		return TN_LEAVE_TO_TC;
	if (!mac_is_ours(eth->h_dest) || !mark_translated(p->ctx))
		return TN_LEAVE_TO_TC;
	pkt_reload(p);
	if (!pkt_parse(p, ethertype))
		v = drop(p, TN_DROP_MALFORMED);
	else
		v = judge_in(p);
	if (v == TN_LEAVE_TO_TC || v == TN_PASS)
		bpf_xdp_adjust_meta(p->ctx, sizeof(struct tn_meta));
	return v;
}

/* A frame on its way to the shared network. */
static __always_inline enum tn_verdict judge_out(struct pkt *p)
{
	__u16 ethertype = pkt_ethertype(p);
	const struct tn_fixed *mapping;
	const struct tn_shared *own;
	struct tn_addr src, dst;

	if (ethertype == ETH_P_ARP)
		return arp_out(p);
	if (ethertype != ETH_P_IP && ethertype != ETH_P_IPV6)
		return TN_PASS;
	if (!pkt_parse(p, ethertype))
		return drop(p, TN_DROP_MALFORMED);
	src = p->src;
	dst = p->dst;
	if (addr_is_unspecified(&src, p->v4) ||
	    (addr_is_link_local(&src, p->v4) &&
	     (!p->v4 || addr_is_link_local(&dst, p->v4))))
		return TN_PASS;

	mapping = lookup_fixed(&src);
	if (mapping) {
		struct tn_addr shared = mapping->shared;
		__u32 slot = mapping->slot;
		enum tn_verdict v = nat_rewrite(p, TN_SRC, &shared);

		if (v == TN_TRANSLATED)
			count_out(p, slot);
		return v;
	}
	own = lookup_ours(&src);
	if (own && own->flags & TN_SHARED_OWN)
		return TN_PASS;
	return drop(p, TN_DROP_UNTRANSLATED);
}

#endif

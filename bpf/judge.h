/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rules: what may come in from the shared network, and what may go out to it. What is
 * translated goes between the shared interface and an inside one; what leads anywhere else is
 * dropped.
 */
#ifndef TN_BPF_JUDGE_H
#define TN_BPF_JUDGE_H

#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#include "forward.h"
#include "hold.h"
#include "icmp.h"
#include "neigh.h"
#include "report.h"
#include "stack.h"
#include "tell.h"

static __always_inline __u16 pkt_ethertype(struct pkt *p)
{
	struct ethhdr *eth;

	if (!pkt_pull(p, ETH_HLEN))
		return 0;
	eth = p->data;
	return bpf_ntohs(eth->h_proto);
}

/*
 * What a guest leaves to virtio-net comes without its number of segments: the kernel
 * does not believe a guest, and counts them where it makes them.
 */
static __always_inline void pkt_count_segments(struct pkt *p)
{
	__u32 header = sizeof(struct udphdr);
	__u8 words;

	if (p->proto == IPPROTO_TCP) {
		if (!pkt_load(p, p->l4 + TCP_WORDS_OFFSET, &words, sizeof(words)))
			return;
		header = (words >> 4) * 4;
	}
	if (p->l4_len > header)
		p->packets = (p->l4_len - header + p->gso_size - 1) / p->gso_size;
}

static __always_inline int pkt_parse(struct pkt *p, __u16 ethertype)
{
	int fault = ethertype == ETH_P_IP ? pkt_parse_v4(p) : pkt_parse_v6(p);

	if (fault == PKT_SOUND && p->gso_size)
		pkt_count_segments(p);
	return fault;
}

/*
 * IPv6 traffic of the link itself: a link-local destination is never forwarded, and is
 * spoken to from any address of the link (RFC 4007, 9). IPv4 forwards link-local
 * addresses like all others, so they have no privilege here.
 */
static __always_inline bool link_local_in(const struct pkt *p, const struct tn_addr *src,
					  const struct tn_addr *dst)
{
	return !p->v4 && addr_is_link_local(dst, false) &&
	       (addr_is_link_local(src, false) || in_shared_subnets(src));
}

/*
 * What the kernel may unwrap behind tc, on the same interface, so that what is in it would come in
 * unjudged. A tag that is still in the frame is a second one: the kernel takes the first one off
 * before tc, and others with VLAN id 0 after it. Labels of MPLS go where the kernel's table says.
 */
static __always_inline bool is_wrapped(__u16 ethertype)
{
	return ethertype == ETH_P_8021Q || ethertype == ETH_P_8021AD ||
	       ethertype == ETH_P_MPLS_UC || ethertype == ETH_P_MPLS_MC;
}

/* 255.255.255.255, or the last address of a shared subnet. */
static __always_inline bool is_broadcast(const struct pkt *p, const struct tn_addr *dst)
{
	return p->v4 && (!~dst->w[3] || tn_place_in_subnets(dst) == SUBNET_BROADCAST);
}

enum { DHCP_SERVER = 67, DHCP_CLIENT = 68 }; /* RFC 2131, 4.1 */

static __always_inline bool is_from_dhcp_server(const __be16 ports[2])
{
	return ports[0] == bpf_htons(DHCP_SERVER) && ports[1] == bpf_htons(DHCP_CLIENT);
}

/*
 * What a DHCP server answers the router itself, which may come from anywhere. A client that reads
 * packet sockets has it before tc.
 */
static __always_inline bool is_dhcp_answer(struct pkt *p)
{
	__be16 ports[2];

	return p->v4 && p->proto == IPPROTO_UDP && !p->rest &&
	       pkt_load(p, p->l4, ports, sizeof(ports)) && is_from_dhcp_server(ports);
}

/*
 * Whether that is one that a socket of the router waits for; else its kernel would answer whoever
 * sent it. `l4` is where its UDP header lies.
 */
__noinline int tn_dhcp_is_awaited(struct __sk_buff *skb, __u32 l4)
{
	struct bpf_sock_tuple ends = {};
	struct work *w = work_get();
	struct bpf_sock *sk;
	__be16 ports[2];

	if (!w || bpf_skb_load_bytes(skb, l4, ports, sizeof(ports)) || !is_from_dhcp_server(ports))
		return 0;
	ends.ipv4.saddr = w->ends.peer.w[3];
	ends.ipv4.daddr = w->ends.shared.w[3];
	ends.ipv4.sport = ports[0];
	ends.ipv4.dport = ports[1];
	sk = bpf_sk_lookup_udp(skb, &ends, sizeof(ends.ipv4), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	bpf_sk_release(sk);
	return 1;
}

static __always_inline bool is_awaited(const struct pkt *p)
{
	return !p->xdp && p->v4 && p->proto == IPPROTO_UDP && !p->rest &&
	       tn_dhcp_is_awaited(p->ctx, p->l4);
}

/*
 * To a group or to everybody: left to the kernel, which does not forward it. What it, or a program
 * of the router, would answer has to come from the shared network. Nobody sends errors there (RFC
 * 1122, 3.2.2 and RFC 4443, 2.4), but the kernel would believe one of IPv6.
 */
static __always_inline enum tn_verdict judge_group(struct pkt *p, enum icmp_kind icmp,
						   const struct tn_addr *src)
{
	if (icmp == ICMP_REDIRECTS)
		return drop(p, TN_DROP_ICMP_REDIRECT);
	if (icmp == ICMP_ERROR)
		return drop(p, TN_DROP_FORGED_ERROR);
	if (p->proto != IPPROTO_UDP && p->proto != IPPROTO_TCP && p->proto != IPPROTO_ICMP &&
	    p->proto != IPPROTO_ICMPV6)
		return TN_PASS;
	if (addr_is_unspecified(src, p->v4) || in_shared_subnets(src) ||
	    (!p->v4 && addr_is_link_local(src, false)))
		return TN_PASS;
	if (is_awaited(p))
		return TN_PASS;
	return p->xdp ? TN_LEAVE_TO_TC : drop(p, TN_DROP_FOREIGN_SOURCE);
}

/*
 * What the router's own kernel is told about traffic: nothing by redirects, and nothing about a
 * path MTU of what no socket of the router has sent, which the kernel believes unseen (icmp_err(),
 * icmpv6_err()).
 */
__noinline int tn_refuse_error(struct __sk_buff *skb, __u32 l4, __u32 len, __u32 v4)
{
	struct work *w = work_get();
	const struct quote *q;
	__u8 type[2];

	if (!w)
		return TN_DROP_INTERNAL + 1;
	q = &w->quote;
	if (!tn_quote_parse(skb, l4, len, v4))
		return TN_DROP_MALFORMED + 1;
	if (!addr_equal(&q->src, &w->ends.shared) ||
	    bpf_skb_load_bytes(skb, l4, type, sizeof(type)))
		return TN_DROP_FORGED_ERROR + 1;
	if (v4 ? type[0] != 3 || type[1] != 4 || q->proto != IPPROTO_ICMP
	       : type[0] != 2 || q->proto != IPPROTO_ICMPV6)
		return 0;
	/* in IPv4 a socket vouches for what is no echo reply (ping_err()) */
	return !v4 || !q->l4 || bpf_skb_load_bytes(skb, q->l4, type, 1) || !type[0]
		       ? TN_DROP_FORGED_ERROR + 1
		       : 0;
}

static __always_inline enum tn_verdict judge_error_to_router(struct pkt *p)
{
	if (p->xdp)
		return TN_LEAVE_TO_TC;
	return drop_if(p, tn_refuse_error(p->ctx, p->l4, p->l4_len, p->v4)) == TN_DROP ? TN_DROP
										       : TN_PASS;
}

/*
 * To the router itself: it answers, so that its kernel has to know the sender, of whom the last hop
 * may be new to it.
 */
static __always_inline enum tn_verdict judge_to_router(struct pkt *p, enum icmp_kind icmp,
						       struct work *w)
{
	enum tn_verdict v;

	if (p->xdp)
		return TN_LEAVE_TO_TC;
	if (icmp == ICMP_REDIRECTS)
		return drop(p, TN_DROP_ICMP_REDIRECT);
	if (icmp == ICMP_ERROR)
		return judge_error_to_router(p);
	v = resolve_sender(p, tn_shared_ifindex, &w->ends.peer);
	return v == TN_GO_ON ? TN_PASS : v;
}

/*
 * Where what is translated in goes before it is: with `past`, past the stack if it can. `told`: the
 * stack may tell its sender that it cannot.
 */
static __always_inline enum tn_verdict check_way_in(struct pkt *p, bool past, bool told)
{
	if (p->xdp)
		return tn_stack_may_have_xdp(p->ctx, p->l4, p->fragment, stack_ask(p, false, told))
			       ? TN_GO_ON
			       : TN_LEAVE_TO_TC;
	if (past)
		forward_in(p);
	return p->egress ? TN_GO_ON : check_stack(p, false, told);
}

/* The rewriting of what may come in; `own`: from the router. XDP leaves the rare kinds to tc. */
static __always_inline enum tn_verdict translate_in(struct pkt *p, enum icmp_kind icmp,
						    struct work *w, bool own)
{
	struct ends *e = &w->ends;
	enum tn_verdict v;

	if (p->proto == IPPROTO_AH)
		return drop(p, TN_DROP_AUTH_HEADER);
	if (p->xdp && (icmp == ICMP_REDIRECTS || icmp == ICMP_ERROR))
		return TN_LEAVE_TO_TC;
	if (icmp == ICMP_REDIRECTS)
		return drop(p, TN_DROP_ICMP_REDIRECT);
	if (icmp == ICMP_ERROR) {
		v = check_way_in(p, false, false);
		return v == TN_GO_ON ? icmp_error_in(p, w) : v;
	}
	v = policy_in(p, w);
	if (v != TN_GO_ON)
		return v;
	if (p->xdp && (tn_xdp_guards_only || icmp != ICMP_OTHER))
		return TN_LEAVE_TO_TC;
	v = check_way_in(p, tn_forward_fast && !own && icmp == ICMP_OTHER, !own);
	return v == TN_GO_ON ? nat_rewrite(p, TN_DST, &e->fixed) : v;
}

/*
 * What this router itself sends to one of its VMs. The kernel takes no packet in with an address of
 * its own as the source, so this one goes around it.
 */
static __always_inline enum tn_verdict deliver(struct pkt *p, const struct work *w)
{
	p->egress = w->fib.ifindex;
	return tn_is_inside(p->egress) ? TN_DELIVER : drop(p, TN_DROP_WRONG_EGRESS);
}

/*
 * Whether a frame for w->ends.peer's router, which is one of this machine, would go to the MAC
 * address that a frame from it has, although that is not the router's own: over a gateway.
 */
static __always_inline int comes_by_gateway(struct pkt *p, struct work *w)
{
	struct tn_addr *peer = &w->ends.peer;
	struct bpf_fib_lookup *fib = &w->fib;
	bool v4 = is_v4_mapped(peer->w);
	struct tn_addr hop = {};
	__u8 mac[ETH_ALEN] __attribute__((aligned(2)));
	long found;

	__builtin_memset(fib, 0, sizeof(*fib));
	fib->ifindex = tn_shared_ifindex;
	fib->family = v4 ? FAMILY_V4 : FAMILY_V6;
	if (v4)
		fib->ipv4_dst = peer->w[3];
	else
		__builtin_memcpy(fib->ipv6_dst, peer, sizeof(*peer));
	found = bpf_fib_lookup(p->ctx, fib, sizeof(*fib), BPF_FIB_LOOKUP_OUTPUT);
	if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH)
		return false;
	/* the next hop, in the place of the destination */
	if (v4)
		hop = addr_v4(fib->ipv4_dst);
	else
		__builtin_memcpy(&hop, fib->ipv6_dst, sizeof(hop));
	if (addr_equal(&hop, peer))
		return false;
	return found == BPF_FIB_LKUP_RET_NO_NEIGH ||
	       (pkt_load(p, ETH_ALEN, mac, sizeof(mac)) && mac_equal(mac, fib->dmac));
}

/*
 * A frame with the address of another router of this machine, or of one of its VMs, comes from the
 * MAC address of that router, or from a gateway that leads there: nobody else on the shared
 * network can say that he is one of these tenants.
 */
static __always_inline bool judge_impostor(struct pkt *p, struct work *w, __u32 router)
{
	const struct tn_station *station = bpf_map_lookup_elem(&stations, &router);
	__u8 mac[ETH_ALEN] __attribute__((aligned(2)));

	if (!station || mac_is_unset(station->mac))
		return false;
	if (!pkt_load(p, ETH_ALEN, mac, sizeof(mac)))
		return true;
	return !mac_equal(mac, station->mac) && !comes_by_gateway(p, w);
}

/* Global, because there is little room on the stack. */
__noinline int tn_is_impostor_xdp(struct xdp_md *xdp, __u32 router)
{
	struct pkt p = { .ctx = xdp, .xdp = true };
	struct work *w = work_get();

	return !w || judge_impostor(&p, w, router);
}

__noinline int tn_is_impostor_skb(struct __sk_buff *skb, __u32 router)
{
	struct pkt p = { .ctx = skb };
	struct work *w = work_get();

	return !w || judge_impostor(&p, w, router);
}

static __always_inline bool is_impostor(struct pkt *p, __u32 router)
{
	if (router == TN_ROUTER_ELSEWHERE || router == tn_router_id || tn_sources_loose)
		return false;
	return p->xdp ? tn_is_impostor_xdp(p->ctx, router) : tn_is_impostor_skb(p->ctx, router);
}

/*
 * An IP packet from the shared network, in a frame to this router's MAC address or, with
 * `group`, to many. The kernel does not forward those, but takes in what it holds for an
 * address of its own: packets to groups and broadcasts are left to it, one to a single
 * address is judged like all others, and not translated. `hairpin`: from judge_inside().
 */
static __always_inline enum tn_verdict judge_in(struct pkt *p, bool hairpin, bool group)
{
	struct work *w = work_get();
	struct ends *e = &w->ends;
	const struct tn_shared *to, *from;
	enum icmp_kind icmp;
	enum tn_verdict v;
	__u32 slot;
	bool own;

	if (!w)
		return drop(p, TN_DROP_INTERNAL);
	e->peer = w->said.src = pkt_copy(&p->src);
	e->shared = w->said.dst = pkt_copy(&p->dst);
	p->told = true;
	icmp = icmp_kind(p);
	if (icmp == ICMP_ND && !hairpin)
		return p->xdp ? TN_LEAVE_TO_TC : nd_in(p);
	if (link_local_in(p, &e->peer, &e->shared)) {
		if (icmp != ICMP_ERROR)
			return TN_PASS;
		return judge_error_to_router(p);
	}
	if (group && (addr_is_multicast(&e->shared, p->v4) || is_broadcast(p, &e->shared)))
		return judge_group(p, icmp, &e->peer);
	to = lookup_ours(&e->shared);
	if (p->xdp && is_dhcp_answer(p) && (!to || to->flags & TN_SHARED_OWN))
		return TN_LEAVE_TO_TC; /* a client reads it in front of tc, or has a socket */
	if (!to || (group && !(to->flags & TN_SHARED_OWN)))
		return drop(p, in_shared_subnets(&e->shared) ? TN_DROP_UNMAPPED
							     : TN_DROP_DIRECT_TO_PRIVATE);
	if (to->flags & TN_SHARED_OWN && (icmp == ICMP_ND || is_awaited(p)))
		return TN_PASS;

	from = lookup_shared(&e->peer);
	if (from && from->router == tn_router_id && !hairpin)
		/* only tc sees the mark of a hairpin, and generic XDP runs in front of it */
		return p->xdp && tn_xdp_guards_only ? TN_LEAVE_TO_TC
						    : drop(p, TN_DROP_SPOOFED_SOURCE);
	if (!from && tn_place_in_subnets(&e->peer) != SUBNET_HOST)
		return drop(p, TN_DROP_FOREIGN_SOURCE);
	if (from && !hairpin && is_impostor(p, from->router))
		return drop(p, TN_DROP_SPOOFED_SOURCE);
	if (to->flags & TN_SHARED_OWN)
		return hairpin ? TN_PASS : judge_to_router(p, icmp, w);

	slot = to->slot;
	own = hairpin && from && from->router == tn_router_id && from->flags & TN_SHARED_OWN;
	e->fixed = to->fixed;
	e->tenant = to->tenant;
	e->flags = to->flags;
	ends_know_peer(e, from);
	v = limit(p, e, LIMIT_IN, translate_in(p, icmp, w, own));
	if (v == TN_TRANSLATED && own)
		v = deliver(p, w);
	if (v == TN_TRANSLATED || v == TN_DELIVER)
		count_in(p, record_of(slot));
	return v;
}

/*
 * What XDP has translated, counted and reported, and not sent on. A program between has perhaps
 * given it a mark, by which the stack may send it elsewhere.
 */
static __always_inline enum tn_verdict judge_translated(struct pkt *p)
{
	struct work *w = work_get();
	enum tn_verdict v;

	if (!w)
		return drop(p, TN_DROP_INTERNAL);
	w->ends.peer = w->said.src = pkt_copy(&p->src);
	w->ends.fixed = w->said.dst = pkt_copy(&p->dst);
	if (tn_forward_fast && icmp_kind(p) == ICMP_OTHER)
		forward_in(p);
	if (!p->egress) {
		v = ((struct __sk_buff *)p->ctx)->mark ? check_stack(p, false, false) : TN_GO_ON;
		return v == TN_GO_ON ? TN_PASS : v;
	}
	return nat_ip(p, TN_DST, &w->ends.fixed) ? TN_FORWARD : drop(p, TN_DROP_INTERNAL);
}

/*
 * Frames for others are the kernel's to drop: it is in promiscuous mode. `done`: XDP has
 * translated it.
 */
static __always_inline enum tn_verdict judge_in_tc(struct pkt *p, __u32 pkt_type, bool hairpin,
						   bool done)
{
	__u16 ethertype = pkt_ethertype(p);
	int fault;

	if (pkt_type == PACKET_OTHERHOST)
		return TN_PASS;
	if (ethertype == ETH_P_ARP) /* what the router asked itself has been answered at egress */
		return hairpin ? TN_PASS : verdict_unpack(p, tn_arp_in(p->ctx));
	if (is_wrapped(ethertype))
		return drop(p, TN_DROP_MALFORMED);
	if (ethertype != ETH_P_IP && ethertype != ETH_P_IPV6)
		return TN_PASS;
	fault = pkt_parse(p, ethertype);
	if (fault != PKT_SOUND)
		return drop(p, fault);
	if (!is_judged_whole(p))
		return drop(p, TN_DROP_MALFORMED);
	if (done)
		return judge_translated(p);
	return judge_in(p, hairpin, pkt_type != PACKET_HOST);
}

/* For tc to see whether this frame is done: metadata in front of it. */
static __always_inline bool mark_write(struct xdp_md *xdp, __u32 magic)
{
	struct tn_meta *meta = (void *)(long)xdp->data_meta;

	if ((void *)(meta + 1) > (void *)(long)xdp->data)
		return false;
	meta->magic = magic;
	meta->router = tn_router_id;
	return true;
}

/*
 * Reads the mark, if this router's XDP program makes any. tc cannot take it off without a
 * write in place (see pkt_store()), so an skb that comes back may still have it, but XDP
 * sees every frame first and overwrites it.
 */
static __always_inline bool xdp_has_translated(struct __sk_buff *skb)
{
	const struct tn_meta *meta = (void *)(long)skb->data_meta;

	return !tn_xdp_guards_only && (void *)(meta + 1) <= (void *)(long)skb->data &&
	       meta->magic == TN_META_MAGIC && meta->router == tn_router_id;
}

static __always_inline enum tn_verdict judge_frame_xdp(struct pkt *p)
{
	__u16 ethertype = pkt_ethertype(p);
	struct ethhdr *eth = p->data;
	int fault;

	if ((ethertype != ETH_P_IP && ethertype != ETH_P_IPV6) || (void *)(eth + 1) > p->data_end ||
	    !mac_is_ours(eth->h_dest))
		return TN_LEAVE_TO_TC;
	fault = pkt_parse(p, ethertype);
	if (fault != PKT_SOUND)
		return drop(p, fault);
	return judge_in(p, false, false);
}

/*
 * `leave`: to tc, whatever it is. Room for the mark comes first, while nothing is changed: a driver
 * without metadata then leaves every frame to tc. Generic XDP has metadata, but some kernels lose
 * track of it (see pkt_mend_mac()), so there the loader sets tn_xdp_guards_only.
 */
static __always_inline enum tn_verdict judge_in_xdp(struct pkt *p, bool leave)
{
	enum tn_verdict v;

	if (!tn_xdp_guards_only) {
		if (bpf_xdp_adjust_meta(p->ctx, -(int)sizeof(struct tn_meta)))
			return TN_LEAVE_TO_TC;
		pkt_reload(p);
	}
	v = leave ? TN_LEAVE_TO_TC : judge_frame_xdp(p);
	if (tn_xdp_guards_only)
		return v;
	if (!mark_write(p->ctx, v == TN_TRANSLATED ? TN_META_MAGIC : 0))
		return drop(p, TN_DROP_INTERNAL);
	if (v != TN_TRANSLATED)
		bpf_xdp_adjust_meta(p->ctx, sizeof(struct tn_meta));
	return v;
}

/* The rewriting of what a VM may send. */
static __always_inline enum tn_verdict translate_out(struct pkt *p, enum icmp_kind icmp,
						     struct work *w)
{
	struct ends *e = &w->ends;
	enum tn_verdict v;

	if (p->proto == IPPROTO_AH)
		return drop(p, TN_DROP_AUTH_HEADER);
	if (icmp == ICMP_REDIRECTS)
		return drop(p, TN_DROP_ICMP_REDIRECT);
	if (icmp == ICMP_ERROR)
		return icmp_error_out(p, w);
	v = policy_out(p, w);
	return v == TN_GO_ON ? nat_rewrite(p, TN_SRC, &e->shared) : v;
}

/* What the VM at w->ends.fixed sends to w->ends.peer. */
static __always_inline enum tn_verdict
judge_mapped_out(struct pkt *p, enum icmp_kind icmp, struct work *w, const struct tn_fixed *mapping)
{
	__u32 slot = mapping->slot;
	struct ends *e = &w->ends;
	enum tn_verdict v;

	ends_know_vm(e, mapping);
	ends_know_peer(e, lookup_shared(&e->peer));
	v = limit(p, e, LIMIT_OUT, translate_out(p, icmp, w));
	if (v == TN_TRANSLATED)
		count_out(p, record_of(slot));
	return v;
}

/* Whether the frame is forwarded from an interface that is no inside one; 0: it is the router's. */
static __always_inline bool comes_from_elsewhere(const struct pkt *p)
{
	__u32 ingress = ((struct __sk_buff *)p->ctx)->ingress_ifindex;

	return ingress && !tn_is_inside(ingress);
}

/* Whether the router has sent it itself, or a program has turned a frame into its answer. */
static __always_inline bool comes_from_router(const struct pkt *p)
{
	__u32 ingress = ((struct __sk_buff *)p->ctx)->ingress_ifindex;

	return !ingress || ingress == tn_shared_ifindex;
}

/* As the router sends it, or with its address; one about a hairpin is for a VM of its own. */
static __always_inline enum tn_verdict judge_error_out(struct pkt *p, struct work *w)
{
	enum tn_verdict v = icmp_error_on_the_way(p, w);

	return v != TN_DROP && lookup_our_mapping(&w->ends.peer) ? TN_TURN_BACK : v;
}

/*
 * What w->ends.fixed sends to w->ends.peer, and is no VM with a mapping: the router's own traffic,
 * answers that we made, other routers.
 */
static __always_inline enum tn_verdict judge_unmapped_out(struct pkt *p, enum icmp_kind icmp,
							  struct work *w)
{
	const struct tn_addr *src = &w->ends.fixed;
	const struct tn_shared *ours = lookup_ours(src);

	if (ours && ours->flags & TN_SHARED_OWN) {
		if (!comes_from_router(p))
			return drop(p, TN_DROP_WRONG_INGRESS);
		w->own = *src;
		if (icmp == ICMP_ERROR || icmp == ICMP_REDIRECTS)
			return judge_error_out(p, w);
		if (icmp == ICMP_ND)
			return nd_out(p);
		/* nobody on the shared network answers for a VM of this router */
		return lookup_our_mapping(&w->ends.peer) ? TN_TURN_BACK : TN_PASS;
	}
	if (ours && icmp == ICMP_ND && nd_is_ours(p))
		return TN_PASS;
	w->own = own_address(p->v4);
	if (icmp == ICMP_ERROR && !addr_is_unset(&w->own) && !in_shared_subnets(src))
		return comes_from_elsewhere(p) ? drop(p, TN_DROP_WRONG_INGRESS)
					       : judge_error_out(p, w);
	return drop(p, TN_DROP_UNTRANSLATED);
}

/*
 * IPv6 traffic of the link itself: to its own kind and to groups, and neighbour
 * discovery; not redirects and errors, which quote what may be translated already.
 */
static __always_inline enum tn_verdict judge_link_local_out(struct pkt *p, enum icmp_kind icmp,
							    const struct tn_addr *dst)
{
	__u8 type = 0;

	if (icmp == ICMP_ERROR)
		return drop(p, TN_DROP_UNTRANSLATED);
	if (icmp == ICMP_ND) {
		if (!pkt_load(p, p->l4, &type, sizeof(type)) || type == ND_REDIRECT)
			return drop(p, TN_DROP_ICMP_REDIRECT);
		return nd_out(p);
	}
	if (addr_is_link_local(dst, false) || addr_is_multicast(dst, false))
		return TN_PASS;
	return drop(p, TN_DROP_UNTRANSLATED);
}

/* A frame on its way to the shared network. */
static __always_inline enum tn_verdict judge_out(struct pkt *p)
{
	__u16 ethertype = pkt_ethertype(p);
	const struct tn_fixed *mapping;
	enum icmp_kind icmp;
	struct work *w = work_get();
	struct ends *e = &w->ends;
	int fault;

	if (ethertype == ETH_P_ARP)
		return arp_out(p);
	if (is_wrapped(ethertype))
		return drop(p, TN_DROP_UNTRANSLATED);
	if (ethertype != ETH_P_IP && ethertype != ETH_P_IPV6)
		return TN_PASS;
	fault = pkt_parse(p, ethertype);
	if (fault != PKT_SOUND)
		return drop(p, fault);
	if (!w)
		return drop(p, TN_DROP_INTERNAL);
	e->fixed = w->said.src = pkt_copy(&p->src);
	e->peer = w->said.dst = pkt_copy(&p->dst);
	p->told = true;
	icmp = icmp_kind(p);
	/* an error of nobody's quotes what nobody has translated */
	if (addr_is_unspecified(&e->fixed, p->v4))
		return icmp == ICMP_ERROR || icmp == ICMP_REDIRECTS ? drop(p, TN_DROP_UNTRANSLATED)
								    : TN_PASS;
	if (!p->v4 && addr_is_link_local(&e->fixed, false))
		return judge_link_local_out(p, icmp, &e->peer);
	mapping = lookup_fixed(&e->fixed);
	/* what tell() has made of a frame may have a checksum within its quote that is left */
	if (!mapping)
		return judge_unmapped_out(p, icmp, w);
	if (!is_judged_whole(p))
		return drop(p, TN_DROP_MALFORMED);
	return comes_from_elsewhere(p) ? drop(p, TN_DROP_WRONG_INGRESS)
				       : judge_mapped_out(p, icmp, w, mapping);
}

/* Of several next hops packets go to a VM past the stack by one: whether this came from there. */
__noinline int tn_comes_from_hop(struct __sk_buff *skb)
{
	__u8 mac[ETH_ALEN] __attribute__((aligned(2)));
	struct pkt p = { .ctx = skb };
	struct work *w = work_get();

	return w && fib_route_in(skb, false, 0, w) == BPF_FIB_LKUP_RET_SUCCESS && w->for_nobody &&
	       w->fib.ifindex == skb->ifindex && pkt_load(&p, ETH_ALEN, mac, sizeof(mac)) &&
	       mac_equal(mac, w->fib.dmac);
}

static __always_inline enum tn_verdict judge_other_way_back(struct pkt *p)
{
	if (tn_forward_fast && tn_comes_from_hop(p->ctx))
		return TN_GO_ON;
	return drop(p, TN_DROP_SPOOFED_SOURCE);
}

/*
 * Whether a packet came from where an answer to it would go: the same interface, and the
 * MAC address that the kernel knows the VM by (reverse path, RFC 3704, 2.2, down to the link).
 * So no VM sends as another one, nor as the router, to whose own addresses no route leads.
 * Whom the kernel does not know yet, anybody could be: the frame waits until he is asked for.
 */
static __always_inline enum tn_verdict judge_route_back(struct pkt *p, struct work *w)
{
	struct __sk_buff *skb = p->ctx;
	struct bpf_fib_lookup *fib = &w->fib;
	__u8 mac[ETH_ALEN] __attribute__((aligned(2)));
	long found;

	found = fib_route(skb, tn_shared_ifindex, &w->ends.peer, &w->ends.fixed, 0, fib);
	if (found == -ENODEV) /* the shared interface is gone, and answers would come by none */
		found = fib_route(skb, skb->ifindex, &w->ends.peer, &w->ends.fixed, 0, fib);
	switch (found) {
	case BPF_FIB_LKUP_RET_FWD_DISABLED: /* nothing is forwarded */
		return TN_GO_ON;
	case BPF_FIB_LKUP_RET_SUCCESS:
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		break;
	default:
		return drop(p, TN_DROP_SPOOFED_SOURCE);
	}
	if (fib->ifindex != skb->ifindex)
		return judge_other_way_back(p);
	if (tn_sources_feasible || is_raw(skb->ifindex))
		return TN_GO_ON;
	if (found == BPF_FIB_LKUP_RET_NO_NEIGH) {
		struct tn_addr hop = fib_hop(fib);

		return tn_may_resolve(&hop) ? TN_HOLD : drop(p, TN_DROP_UNRESOLVED);
	}
	if (!pkt_load(p, ETH_ALEN, mac, sizeof(mac)))
		return drop(p, TN_DROP_INTERNAL);
	return mac_equal(mac, fib->dmac) ? TN_GO_ON : judge_other_way_back(p);
}

__noinline int tn_judge_way_back(struct __sk_buff *skb)
{
	struct pkt p = { .ctx = skb };
	struct work *w = work_get();
	enum tn_verdict v = w ? judge_route_back(&p, w) : drop(&p, TN_DROP_INTERNAL);

	return verdict_pack(&p, v);
}

static __always_inline enum tn_verdict judge_way_back(struct pkt *p)
{
	return verdict_unpack(p, tn_judge_way_back(p->ctx));
}

/*
 * What a VM sends to an address of this router itself. The router sees the VM by its shared
 * address where the rules know the VM by it: so it can talk to its VMs by these. Else it goes to
 * the router as it is.
 */
static __always_inline enum tn_verdict judge_to_own(struct pkt *p, enum icmp_kind icmp,
						    struct work *w, const struct tn_fixed *mapping)
{
	enum tn_verdict v;

	if (!mapping || icmp == ICMP_ND)
		return TN_PASS;
	v = judge_mapped_out(p, icmp, w, mapping);
	if (v == TN_TRANSLATED)
		return TN_TURN_BACK;
	/* what the rules do not know has not been changed */
	return v == TN_DROP && (p->reason == TN_DROP_INTERNAL || p->reason == TN_DROP_LIMIT ||
				p->reason == TN_DROP_MALFORMED)
		       ? v
		       : TN_PASS;
}

/*
 * A frame from a VM, of which only what goes to the shared subnets is judged. No VM sends as
 * a shared address, anybody's. What goes to a shared address of this very router turns back
 * (hairpin): its source is translated here, and the shared interface takes it in as if it had
 * come over the shared network, so that either VM sees the other by its shared address, and
 * the kernel forwards it once.
 */
static __always_inline enum tn_verdict judge_inside(struct pkt *p, __u32 pkt_type)
{
	__u16 ethertype = pkt_ethertype(p);
	const struct tn_shared *ours;
	const struct tn_fixed *mapping;
	struct work *w = work_get();
	struct ends *e = &w->ends;
	enum icmp_kind icmp;
	enum tn_verdict v;
	int fault;

	if (pkt_type == PACKET_OTHERHOST)
		return TN_PASS;
	if (ethertype == ETH_P_ARP)
		return verdict_unpack(p, tn_arp_inside(p->ctx));
	if (is_wrapped(ethertype))
		return drop(p, TN_DROP_MALFORMED);
	if (ethertype != ETH_P_IP && ethertype != ETH_P_IPV6)
		return TN_PASS;
	fault = pkt_parse(p, ethertype);
	if (fault == TN_DROP_BAD_CHECKSUM)
		return TN_PASS; /* the kernel's to drop */
	/* addresses that could not be read are nobody's, and the packet the kernel's to drop */
	if (!w)
		return drop(p, TN_DROP_INTERNAL);
	e->fixed = w->said.src = pkt_copy(&p->src);
	e->peer = w->said.dst = pkt_copy(&p->dst);
	p->told = true;
	if (in_shared_subnets(&e->fixed))
		return drop(p, TN_DROP_SPOOFED_SOURCE);
	if (!p->v4 && fault == PKT_SOUND && icmp_kind(p) == ICMP_ND)
		return nd_inside(p, w);
	if (pkt_type != PACKET_HOST || !in_shared_subnets(&e->peer))
		return TN_PASS;
	if (fault != PKT_SOUND)
		return drop(p, fault);
	if (!is_judged_whole(p))
		return drop(p, TN_DROP_MALFORMED);
	if (!tn_sources_loose) {
		v = judge_way_back(p);
		if (v != TN_GO_ON)
			return v;
	}
	ours = lookup_ours(&e->peer);
	mapping = ours || tn_forward_fast ? lookup_fixed(&e->fixed) : NULL;
	icmp = icmp_kind(p);
	if (ours && ours->flags & TN_SHARED_OWN)
		return judge_to_own(p, icmp, w, mapping);
	/* what needs no more than translation leaves by the shared interface at once */
	if (!ours && (!tn_forward_fast || icmp != ICMP_OTHER || !mapping || !forward_out(p))) {
		v = check_stack(p, true, icmp == ICMP_OTHER);
		return v == TN_GO_ON ? TN_PASS : v;
	}
	if (!mapping)
		return judge_unmapped_out(p, icmp, w);
	v = judge_mapped_out(p, icmp, w, mapping);
	return ours && v == TN_TRANSLATED ? TN_TURN_BACK : v;
}

static __always_inline bool take_mark(struct __sk_buff *skb, __u32 mark)
{
	if (skb->mark != mark)
		return false;
	skb->mark = 0;
	return true;
}

/* As if it were addressed to the shared interface. */
static __always_inline enum tn_verdict turn_back(struct pkt *p, struct __sk_buff *skb)
{
	__u8 mac[ETH_ALEN] __attribute__((aligned(2)));

	for (int i = 0; i < ETH_ALEN; i++)
		mac[i] = tn_mac[i];
	if (!pkt_store(p, 0, mac, sizeof(mac)))
		return drop(p, TN_DROP_INTERNAL);
	skb->mark = TN_HAIRPIN_MARK;
	return TN_TURN_BACK;
}

/* What the kernel is to do with a frame at a tc hook. */
static __always_inline int tc_action(struct pkt *p, struct __sk_buff *skb, enum tn_verdict v)
{
	if (v == TN_TURN_BACK)
		v = turn_back(p, skb);
	account(p, v);
	report(p, v);
	switch (v) {
	case TN_DROP:
		return p->reason == TN_DROP_WRONG_EGRESS ? tell(p, skb) : TC_ACT_SHOT;
	case TN_HOLD:
		return hold(p, skb);
	case TN_ANSWER:
		return bpf_redirect(skb->ifindex, 0);
	case TN_TURN_BACK:
		return bpf_redirect(tn_shared_ifindex, BPF_F_INGRESS);
	case TN_DELIVER:
		return bpf_redirect_neigh(p->egress, NULL, 0, 0);
	case TN_FORWARD:
	case TN_TRANSLATED:
		return p->egress ? forward(skb, p->egress) : TC_ACT_UNSPEC;
	default:
		return TC_ACT_UNSPEC;
	}
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* What comes in from the shared network: to this router, to one of its VMs, or to many. */
#ifndef TN_BPF_SHARED_IN_H
#define TN_BPF_SHARED_IN_H

#include <linux/if_packet.h>

#include "antispoof.h"
#include "icmp.h"
#include "limits.h"
#include "neigh.h"
#include "report.h"
#include "stack.h"

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
	struct scratch *w = scratch_get();
	const struct quote *q;
	__u8 type[2];

	if (!w)
		return TN_DROP_INTERNAL + 1;
	q = &w->quote;
	if (!tn_quote_parse(skb, l4, len, v4))
		return TN_DROP_MALFORMED + 1;
	if (!addr_equal(&q->src, &w->endpoints.shared) ||
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
						       struct scratch *w)
{
	enum tn_verdict v;

	if (p->xdp)
		return TN_LEAVE_TO_TC;
	if (icmp == ICMP_REDIRECTS)
		return drop(p, TN_DROP_ICMP_REDIRECT);
	if (icmp == ICMP_ERROR)
		return judge_error_to_router(p);
	v = resolve_sender(p, w->self.ifindex, &w->endpoints.peer);
	return v == TN_GO_ON ? TN_PASS : v;
}

/*
 * What comes to a standby: for an address that its kernel has it is the kernel's, and for all else
 * another host is there. Global, so that the verifier follows it once.
 */
__noinline int tn_standby_in(__u32 v4, __u32 icmp)
{
	struct scratch *w = scratch_get();
	const struct tn_shared *to;
	struct pkt p = {};

	if (!w)
		return verdict_pack(&p, drop(&p, TN_DROP_INTERNAL));
	to = lookup_ours(w->self.router, &w->endpoints.shared);
	if (!to || !(to->flags & TN_SHARED_OWN) || is_over(w) ||
	    !is_kernels_own(w, &w->endpoints.shared, v4))
		return verdict_pack(&p, drop(&p, in_shared_subnets(&w->endpoints.shared)
							 ? TN_DROP_STANDBY
							 : TN_DROP_DIRECT_TO_PRIVATE));
	if (icmp == ICMP_REDIRECTS)
		return verdict_pack(&p, drop(&p, TN_DROP_ICMP_REDIRECT));
	if (tn_place_in_subnets(&w->endpoints.peer) != SUBNET_HOST)
		return verdict_pack(&p, drop(&p, TN_DROP_FOREIGN_SOURCE));
	return verdict_pack(&p, TN_PASS);
}

/*
 * Where what is translated in goes before it is: with `past`, past the stack if it can. `told`: the
 * stack may tell its sender that it cannot.
 */
static __always_inline enum tn_verdict check_route_in(struct pkt *p, bool past, bool told)
{
	if (p->xdp)
		return tn_stack_leads_xdp(p->ctx, p->l4, p->fragment, stack_ask(p, false, told)) ==
				       LEADS_WRONG
			       ? TN_LEAVE_TO_TC
			       : TN_GO_ON;
	if (past)
		forward_in(p);
	return p->egress ? TN_GO_ON : check_stack(p, false, told);
}

/*
 * An error for a VM; or for the router itself, whose kernel believes no more of it than of one to
 * the router's address on the shared network.
 */
static __always_inline enum tn_verdict translate_error_in(struct pkt *p, struct scratch *w)
{
	enum tn_verdict v = check_route_in(p, false, false);

	if (v == TN_GO_ON && w->where != LEADS_RIGHT && w->where != LEADS_UNKNOWN)
		v = drop_if(p, tn_refuse_error(p->ctx, p->l4, p->l4_len, p->v4));
	return v == TN_GO_ON ? icmp_error_in(p, w) : v;
}

/* The rewriting of what may come in; `own`: from the router. XDP leaves the rare kinds to tc. */
static __always_inline enum tn_verdict translate_in(struct pkt *p, enum icmp_kind icmp,
						    struct scratch *w, bool own)
{
	struct endpoints *e = &w->endpoints;
	enum tn_verdict v;

	if (p->proto == IPPROTO_AH)
		return drop(p, TN_DROP_AUTH_HEADER);
	if (icmp == ICMP_REDIRECTS)
		return p->xdp ? TN_LEAVE_TO_TC : drop(p, TN_DROP_ICMP_REDIRECT);
	if (icmp == ICMP_ERROR)
		return p->xdp ? TN_LEAVE_TO_TC : translate_error_in(p, w);
	v = policy_in(p, w);
	if (v != TN_GO_ON)
		return v;
	if (p->xdp && (tn_xdp_guards_only || icmp != ICMP_OTHER))
		return TN_LEAVE_TO_TC;
	v = check_route_in(p, tn_forward_fast && !own && icmp == ICMP_OTHER, !own);
	return v == TN_GO_ON ? nat_rewrite(p, TN_DST, &e->fixed) : v;
}

/*
 * What this router itself sends to one of its VMs. The kernel takes no packet in with an address of
 * its own as the source, so this one goes around it.
 */
static __always_inline enum tn_verdict send_to_vm(struct pkt *p, const struct scratch *w)
{
	p->egress = w->fib.ifindex;
	return tn_is_inside(p->egress) && !is_vrf(w, p->egress) ? TN_DELIVER
								: drop(p, TN_DROP_WRONG_EGRESS);
}

/*
 * An IP packet from the shared network, in a frame to this router's MAC address or, with
 * `group`, to many. The kernel does not forward those, but takes in what it holds for an
 * address of its own: packets to groups and broadcasts are left to it, one to a single
 * address is judged like all others, and not translated. `hairpin`: from handle_inside().
 */
static __always_inline enum tn_verdict handle_shared_in(struct pkt *p, bool hairpin, bool group)
{
	struct scratch *w = scratch_get();
	struct endpoints *e = &w->endpoints;
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
	if (is_standby(w))
		return verdict_unpack(p, tn_standby_in(p->v4, icmp));
	to = lookup_ours(w->self.router, &e->shared);
	if (p->xdp && is_dhcp_answer(p) && (!to || to->flags & TN_SHARED_OWN))
		return TN_LEAVE_TO_TC; /* a client reads it in front of tc, or has a socket */
	if (!to || (group && !(to->flags & TN_SHARED_OWN)))
		return drop(p, in_shared_subnets(&e->shared) ? TN_DROP_UNMAPPED
							     : TN_DROP_DIRECT_TO_PRIVATE);
	if (to->flags & TN_SHARED_OWN && (icmp == ICMP_ND || is_awaited(p)))
		return TN_PASS;

	from = lookup_shared(&e->peer);
	if (from && from->router == w->self.router && !hairpin)
		/* only tc sees the mark of a hairpin, and generic XDP runs in front of it */
		return p->xdp && tn_xdp_guards_only ? TN_LEAVE_TO_TC
						    : drop(p, TN_DROP_SPOOFED_SOURCE);
	if (!from && tn_place_in_subnets(&e->peer) != SUBNET_HOST)
		return drop(p, TN_DROP_FOREIGN_SOURCE);
	if (from && !hairpin && is_mac_spoofed(p, w, from->router))
		return drop(p, TN_DROP_SPOOFED_SOURCE);
	if (to->flags & TN_SHARED_OWN)
		return hairpin ? TN_PASS : judge_to_router(p, icmp, w);

	slot = to->slot;
	own = hairpin && from && from->router == w->self.router && from->flags & TN_SHARED_OWN;
	endpoints_know_vm_in(e, to);
	endpoints_know_peer(e, from);
	v = limit(p, e, LIMIT_IN, translate_in(p, icmp, w, own));
	if (v == TN_TRANSLATED && own)
		v = send_to_vm(p, w);
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
	struct scratch *w = scratch_get();
	enum tn_verdict v;

	if (!w)
		return drop(p, TN_DROP_INTERNAL);
	w->endpoints.peer = w->said.src = pkt_copy(&p->src);
	w->endpoints.fixed = w->said.dst = pkt_copy(&p->dst);
	if (tn_forward_fast && icmp_kind(p) == ICMP_OTHER)
		forward_in(p);
	if (!p->egress) {
		v = ((struct __sk_buff *)p->ctx)->mark ? check_stack(p, false, false) : TN_GO_ON;
		return v == TN_GO_ON ? TN_PASS : v;
	}
	return nat_ip(p, TN_DST, &w->endpoints.fixed) ? TN_FORWARD : drop(p, TN_DROP_INTERNAL);
}

/*
 * Frames for others are the kernel's to drop: it is in promiscuous mode. `done`: XDP has
 * translated it.
 */
static __always_inline enum tn_verdict handle_shared_in_tc(struct pkt *p, __u32 pkt_type,
							   bool hairpin, bool done)
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
	return handle_shared_in(p, hairpin, pkt_type != PACKET_HOST);
}

/* For tc to see whether this frame is done: metadata in front of it. */
static __always_inline bool mark_write(struct xdp_md *xdp, __u32 router, __u32 magic)
{
	struct tn_meta *meta = (void *)(long)xdp->data_meta;

	if ((void *)(meta + 1) > (void *)(long)xdp->data)
		return false;
	meta->magic = magic;
	meta->router = router;
	return true;
}

/*
 * Reads the mark, if this router's XDP program makes any. tc cannot take it off without a
 * write in place (see pkt_store()), so an skb that comes back may still have it, but XDP
 * sees every frame first and overwrites it.
 */
static __always_inline bool xdp_has_translated(const struct tn_router_port *port,
					       struct __sk_buff *skb)
{
	const struct tn_meta *meta = (void *)(long)skb->data_meta;

	return !(port->self.flags & TN_PORT_GUARDS) &&
	       (void *)(meta + 1) <= (void *)(long)skb->data && meta->magic == TN_META_MAGIC &&
	       meta->router == port->self.router;
}

static __always_inline enum tn_verdict judge_frame_xdp(struct pkt *p,
						       const struct tn_router_port *port)
{
	__u16 ethertype = pkt_ethertype(p);
	struct ethhdr *eth = p->data;
	int fault;

	if ((ethertype != ETH_P_IP && ethertype != ETH_P_IPV6) || (void *)(eth + 1) > p->data_end ||
	    !mac_is_ours(port, eth->h_dest))
		return TN_LEAVE_TO_TC;
	fault = pkt_parse(p, ethertype);
	if (fault != PKT_SOUND)
		return drop(p, fault);
	return handle_shared_in(p, false, false);
}

/*
 * `leave`: to tc, whatever it is. Room for the mark comes first, while nothing is changed: a driver
 * without metadata then leaves every frame to tc. Generic XDP has metadata, but some kernels lose
 * track of it (see pkt_restore_mac()), so there the loader sets tn_xdp_guards_only.
 */
static __always_inline enum tn_verdict
handle_shared_in_xdp(struct pkt *p, const struct tn_router_port *port, bool leave)
{
	struct scratch *w = scratch_get();
	enum tn_verdict v;

	if (!w)
		return drop(p, TN_DROP_INTERNAL);
	if (!tn_xdp_guards_only) {
		if (bpf_xdp_adjust_meta(p->ctx, -(int)sizeof(struct tn_meta)))
			return TN_LEAVE_TO_TC;
		pkt_reload(p);
	}
	v = leave ? TN_LEAVE_TO_TC : judge_frame_xdp(p, port);
	if (tn_xdp_guards_only)
		return v;
	if (!mark_write(p->ctx, w->self.router, v == TN_TRANSLATED ? TN_META_MAGIC : 0))
		return drop(p, TN_DROP_INTERNAL);
	if (v != TN_TRANSLATED)
		bpf_xdp_adjust_meta(p->ctx, sizeof(struct tn_meta));
	return v;
}

#endif

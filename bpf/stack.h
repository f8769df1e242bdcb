/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What goes to the stack: whether it would send a packet where it belongs, and whether what it, or
 * netfilter in it, may tell the sender instead stays on the side that the packet came from. For
 * that quotes the packet as it is by then, translated.
 */
#ifndef TN_BPF_STACK_H
#define TN_BPF_STACK_H

#include "forward.h"

/* What is said of a packet beside `l4` and `fragment` of struct pkt: its protocol, and */
#define STACK_V4   (1U << 8)
#define STACK_OUT  (1U << 9)  /* it comes from a VM, */
#define STACK_TOLD (1U << 10) /* and its sender may be told what becomes of it */

static __always_inline __u32 stack_ask(const struct pkt *p, bool out, bool told)
{
	return p->proto | (p->v4 ? STACK_V4 : 0) | (out ? STACK_OUT : 0) | (told ? STACK_TOLD : 0);
}

static __always_inline bool may_be_fragmented(struct pkt *p)
{
	__be16 word;

	return p->v4 &&
	       pkt_load(p, ETH_HLEN + offsetof(struct iphdr, frag_off), &word, sizeof(word)) &&
	       !(word & bpf_htons(IP_DONT_FRAGMENT));
}

/*
 * Whether the stack answers a packet with an ICMP error: there is no route, or nobody, its hops are
 * over, or it is too large (`len` 0: that cannot be told). It may do so, too, when an option or
 * extension header is not to its liking.
 */
static __always_inline bool is_answered(struct pkt *p, __u32 len, enum leads where,
					const struct bpf_fib_lookup *fib)
{
	if (where == LEADS_STOPPED)
		return false;
	return where != LEADS_RIGHT || !has_hops_left(p) ||
	       ((!len || len > fib->mtu_result) && !may_be_fragmented(p));
}

#define LOOPBACK 1 /* its index in every namespace */
/* Of an error to a packet with that TOS: icmp_send(), RFC 1812, 4.3.2.5 */
#define ERROR_TOS(tos) (((tos)&0x1e) | 0xc0)

/* Of IPv6 the kernel chooses the source before it asks (icmp6_send()). */
static __always_inline long fib_of_error(void *ctx, __u32 ifindex, const struct tn_addr *to,
					 bool itself, struct scratch *w)
{
	const struct tn_router_port *port = self_port(w);
	struct bpf_fib_lookup *fib = &w->fib_back;

	fib_fill(fib, ifindex, &w->endpoints.fixed, to, 0);
	if (fib->family == FAMILY_V4) {
		fib->l4_protocol = IPPROTO_ICMP;
		fib->tos = ERROR_TOS(w->keys.flow);
		if (!itself)
			fib->ipv4_src = 0;
	} else {
		fib->l4_protocol = IPPROTO_ICMPV6;
		if (port && !itself)
			__builtin_memcpy(fib->ipv6_src, &port->own[1], sizeof(port->own[1]));
	}
	return bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
}

/*
 * Where an error of the router itself goes about a packet between the ends in struct scratch, of
 * which its route has been asked: enum leads, as of a packet to its sender. The router's own
 * packets come from the loopback interface, as far as rules ask. Where that does not forward, it is
 * asked for as if it came from where the packet goes to. Of what is for the router itself an error
 * comes from that very address.
 */
static __always_inline enum leads error_leads(void *ctx, bool out)
{
	struct scratch *w = scratch_get();
	const struct tn_addr *to;
	bool itself;
	long found;

	if (!w)
		return LEADS_WRONG;
	itself = !out && w->where == LEADS_NOWHERE;
	to = out ? &w->endpoints.fixed : &w->endpoints.peer;
	found = fib_of_error(ctx, LOOPBACK, to, itself, w);
	if (found == BPF_FIB_LKUP_RET_FWD_DISABLED || found == -ENODEV)
		found = fib_of_error(ctx, w->fib.ifindex, to, itself, w);
	return leads(w, found, &w->fib_back, !out);
}

__noinline int tn_error_leads(struct __sk_buff *skb, __u32 out)
{
	return error_leads(skb, out);
}

__noinline int tn_error_leads_xdp(struct xdp_md *xdp)
{
	return error_leads(xdp, false);
}

/* What a program of the router answers to what is for the router itself. */
static __always_inline long fib_of_answer(struct __sk_buff *skb, __u32 ifindex, struct scratch *w)
{
	struct bpf_fib_lookup *fib = &w->fib_back;

	fib_fill(fib, ifindex, &w->endpoints.fixed, &w->endpoints.peer, 0);
	fib->l4_protocol = w->keys.proto;
	fib->sport = w->keys.ports[1];
	fib->dport = w->keys.ports[0];
	return bpf_fib_lookup(skb, fib, sizeof(*fib), 0);
}

/* Where that goes, as error_leads(): with the private address, unless by the shared interface. */
__noinline int tn_answer_leads(struct __sk_buff *skb)
{
	struct scratch *w = scratch_get();
	long found;

	if (!w)
		return LEADS_WRONG;
	found = fib_of_answer(skb, LOOPBACK, w);
	if (found == BPF_FIB_LKUP_RET_FWD_DISABLED || found == -ENODEV)
		found = fib_of_answer(skb, w->self.ifindex, w);
	return leads(w, found, &w->fib_back, true);
}

/* Whether that is on the side of the sender. Of a VM it is, unless nobody asks where it is. */
static __always_inline bool errors_stay(const struct pkt *p, const struct scratch *w, bool out)
{
	return (out && !is_loose(w)) || tn_error_leads(p->ctx, out) != LEADS_WRONG;
}

/*
 * Why the stack may not answer a packet: it, or netfilter, would by another interface, or if it is
 * `sure` to, ask for one neighbour too many.
 */
static __always_inline int refuse_error(struct __sk_buff *skb, struct scratch *w, bool out,
					bool sure)
{
	struct tn_addr hop;

	if (out && !is_loose(w))
		return 0;
	switch (tn_error_leads(skb, out)) {
	case LEADS_WRONG:
		return TN_DROP_WRONG_EGRESS + 1;
	case LEADS_UNKNOWN:
		hop = fib_hop(&w->fib_back);
		return !sure || tn_may_resolve(&hop) ? 0 : TN_DROP_UNRESOLVED + 1;
	default:
		return 0;
	}
}

/* Why the stack may not have a packet; see drop_if(), and stack_ask(). */
__noinline int tn_stack_refuse(struct __sk_buff *skb, __u32 l4, __u32 fragment, __u32 what)
{
	struct pkt p = { .ctx = skb, .l4 = l4, .fragment = fragment, .proto = what };
	struct scratch *w = scratch_get();
	struct tn_addr hop;
	enum leads where;
	int why = 0;
	bool sure;

	p.v4 = what & STACK_V4;
	p.ip_bytes = skb->len - ETH_HLEN;
	if (!w || !keys_read(&p, w))
		return TN_DROP_INTERNAL + 1;
	where = tn_leads(skb, what & STACK_OUT);
	if (where == LEADS_WRONG)
		return TN_DROP_WRONG_EGRESS + 1;
	sure = is_answered(&p, wire_len(&p), where, &w->fib);
	if (what & STACK_TOLD && where != LEADS_STOPPED)
		why = refuse_error(skb, w, what & STACK_OUT, sure);
	if (!why && what & STACK_TOLD && !(what & STACK_OUT) && where == LEADS_NOWHERE &&
	    tn_answer_leads(skb) == LEADS_WRONG)
		why = TN_DROP_WRONG_EGRESS + 1;
	if (why || where != LEADS_UNKNOWN)
		return why;
	hop = fib_hop(&w->fib);
	return tn_may_resolve(&hop) ? 0 : TN_DROP_UNRESOLVED + 1;
}

static __always_inline enum tn_verdict check_stack(struct pkt *p, bool out, bool told)
{
	return drop_if(p, tn_stack_refuse(p->ctx, p->l4, p->fragment, stack_ask(p, out, told)));
}

/*
 * Where the stack would send what comes in, if it may have it by XDP: LEADS_RIGHT or LEADS_STOPPED.
 * Whatever may be answered is left to tc.
 */
__noinline int tn_stack_leads_xdp(struct xdp_md *xdp, __u32 l4, __u32 fragment, __u32 what)
{
	struct pkt p = { .ctx = xdp, .xdp = true, .l4 = l4, .fragment = fragment, .proto = what };
	struct scratch *w = scratch_get();
	enum leads where;
	long found;

	p.v4 = what & STACK_V4;
	if (!w || !keys_read(&p, w))
		return LEADS_WRONG;
	found = fib_route_by_keys(xdp, w->self.ifindex, &w->endpoints.peer, &w->endpoints.fixed,
				  LEN_FOR_MTU, w);
	where = leads(w, found, &w->fib, false);
	w->where = where;
	if (where != LEADS_RIGHT)
		return where == LEADS_STOPPED ? LEADS_STOPPED : LEADS_WRONG;
	return is_bare(&p) &&
			       !is_answered(&p, bpf_xdp_get_buff_len(xdp) - ETH_HLEN, where,
					    &w->fib) &&
			       (!(what & STACK_TOLD) || tn_error_leads_xdp(xdp) != LEADS_WRONG)
		       ? LEADS_RIGHT
		       : LEADS_WRONG;
}

#endif

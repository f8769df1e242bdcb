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
#define STACK_OUT  (1U << 9)  /* it comes from a VM */
#define STACK_TOLD (1U << 10) /* its sender may be told what becomes of it, */
#define STACK_ANY  (1U << 11) /* and all between these ends will be taken for the same */

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

/* What may be said of a packet: by the stack, by netfilter, by a program of the router itself. */
enum answer { ANSWER_ERROR, ANSWER_RESET, ANSWER_REPLY };

#define FIB_LOOKUP_SRC (1U << 4) /* BPF_FIB_LOOKUP_SRC of Linux 6.7 */

/* To whom something is said about a packet; `!out`: from whom a reset about it is. */
static __always_inline const struct tn_addr *told_end(const struct scratch *w, bool out)
{
	return out ? &w->endpoints.fixed : &w->endpoints.peer;
}

/* The router's own address of IPv6 where it has the VM, to w->inside; unset: it is not told. */
static __always_inline void find_inside(void *ctx, __u32 ifindex, struct scratch *w)
{
	struct bpf_fib_lookup *fib = &w->fib_back;
	long found;

	__builtin_memset(&w->inside, 0, sizeof(w->inside));
	/* which came later */
	if (!bpf_core_field_exists(struct bpf_fib_lookup___tn, mark))
		return;
	fib_fill_to(fib, ifindex, told_end(w, true), 0);
	found = bpf_fib_lookup(ctx, fib, sizeof(*fib), FIB_LOOKUP_SRC);
	if (found == BPF_FIB_LKUP_RET_SUCCESS || found == BPF_FIB_LKUP_RET_NO_NEIGH)
		__builtin_memcpy(&w->inside, fib->ipv6_src, sizeof(w->inside));
}

/*
 * An error about what the VM has sent, or about what it is sent. Of IPv6 the kernel chooses the
 * source before it asks (icmp6_send()): of the interface where the packet came in. `itself`: the
 * packet is for the router, and the error comes from that very address.
 */
static __always_inline long fib_of_error(void *ctx, __u32 ifindex, bool out, bool itself,
					 struct scratch *w)
{
	const struct tn_addr *to = told_end(w, out);
	const struct tn_router_port *port = self_port(w);
	struct bpf_fib_lookup *fib = &w->fib_back;
	bool v4 = is_v4_mapped(to->w);

	if (!v4 && out)
		find_inside(ctx, ifindex, w);
	fib_fill_to(fib, ifindex, to, 0);
	fib->l4_protocol = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	if (v4)
		fib->tos = ERROR_TOS(w->keys.flow);
	if (itself)
		fib_fill_from(fib, &w->endpoints.fixed);
	else if (!v4 && out)
		fib_fill_from(fib, &w->inside);
	else if (!v4 && port)
		fib_fill_from(fib, &port->own[1]);
	return bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
}

/* What has the packet's ends, turned round: a reset is one (nf_send_reset()). */
static __always_inline long fib_of_reply(void *ctx, __u32 ifindex, bool out, __u8 proto,
					 struct scratch *w)
{
	struct bpf_fib_lookup *fib = &w->fib_back;

	fib_fill(fib, ifindex, told_end(w, !out), told_end(w, out), 0);
	fib->l4_protocol = proto;
	fib->sport = w->keys.ports[1];
	fib->dport = w->keys.ports[0];
	return bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
}

static __always_inline long fib_of_said(void *ctx, __u32 ifindex, bool out, enum answer what)
{
	struct scratch *w = scratch_get();

	if (!w)
		return -EINVAL;
	if (what == ANSWER_ERROR)
		return fib_of_error(ctx, ifindex, out, !out && w->where == LEADS_NOWHERE, w);
	return fib_of_reply(ctx, ifindex, out, what == ANSWER_RESET ? IPPROTO_TCP : w->keys.proto,
			    w);
}

/* Global, because there is little room on the stack. */
__noinline int tn_fib_of_said(struct __sk_buff *skb, __u32 ifindex, __u32 out, __u32 what)
{
	return fib_of_said(skb, ifindex, out, what);
}

/*
 * Where that goes about a packet between the ends in struct scratch, of which its route has been
 * asked: enum leads, as of a packet to its sender. The router's own packets come from the loopback
 * interface, as far as rules ask. Where that does not forward, it is asked for as if it came from
 * where the packet goes to; and so is what may go by the table of a VRF there.
 */
static __always_inline enum leads answer_leads(void *ctx, bool xdp, bool out, enum answer what)
{
	struct scratch *w = scratch_get();
	__u32 from = LOOPBACK;
	long found;

	if (!w)
		return LEADS_WRONG;
	if (what == ANSWER_RESET && !out && w->self.raw >= TN_VRF)
		from = w->fib.ifindex;
	found = xdp ? fib_of_said(ctx, from, out, what) : tn_fib_of_said(ctx, from, out, what);
	if (found == BPF_FIB_LKUP_RET_FWD_DISABLED || found == -ENODEV) {
		from = what == ANSWER_REPLY ? w->self.ifindex : w->fib.ifindex;
		found = xdp ? fib_of_said(ctx, from, out, what)
			    : tn_fib_of_said(ctx, from, out, what);
	}
	return leads(w, found, &w->fib_back, !out);
}

/* `what` is an enum answer. */
__noinline int tn_answer_leads(struct __sk_buff *skb, __u32 out, __u32 what)
{
	return answer_leads(skb, false, out, what);
}

/* Of what comes in. */
__noinline int tn_answer_leads_xdp(struct xdp_md *xdp, __u32 what)
{
	return answer_leads(xdp, true, false, what);
}

/* Whether all that may be said of any packet between them goes to the side of its sender. */
static __always_inline bool answers_stay(struct __sk_buff *skb, bool out)
{
	return tn_answer_leads(skb, out, ANSWER_ERROR) != LEADS_WRONG &&
	       tn_answer_leads(skb, out, ANSWER_RESET) != LEADS_WRONG;
}

/*
 * Why the stack may not answer a packet: it, or netfilter, would by another interface, or if it is
 * `sure` to, ask for one neighbour too many.
 */
static __always_inline int refuse_answer(struct __sk_buff *skb, struct scratch *w, bool out,
					 bool sure)
{
	struct tn_addr hop;

	if (w->keys.proto == IPPROTO_TCP && tn_answer_leads(skb, out, ANSWER_RESET) == LEADS_WRONG)
		return TN_DROP_WRONG_EGRESS + 1;
	switch (tn_answer_leads(skb, out, ANSWER_ERROR)) {
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
		why = refuse_answer(skb, w, what & STACK_OUT, sure);
	if (!why && what & STACK_TOLD && !(what & STACK_OUT) && where == LEADS_NOWHERE &&
	    tn_answer_leads(skb, false, ANSWER_REPLY) == LEADS_WRONG)
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
	if (!is_bare(&p) || is_answered(&p, bpf_xdp_get_buff_len(xdp) - ETH_HLEN, where, &w->fib))
		return LEADS_WRONG;
	if (what & STACK_TOLD && tn_answer_leads_xdp(xdp, ANSWER_ERROR) == LEADS_WRONG)
		return LEADS_WRONG;
	if (what & STACK_ANY || (what & STACK_TOLD && w->keys.proto == IPPROTO_TCP))
		return tn_answer_leads_xdp(xdp, ANSWER_RESET) == LEADS_WRONG ? LEADS_WRONG
									     : LEADS_RIGHT;
	return LEADS_RIGHT;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* The fast path of XDP, which sends a packet on by itself, or translates it for the stack. */
#ifndef TN_BPF_FAST_XDP_H
#define TN_BPF_FAST_XDP_H

#include "fast.h"

/* Else what `data_end` ends is its first piece alone. */
static __always_inline bool is_in_one_piece(struct xdp_md *xdp)
{
	if (tn_reads_kernel)
		return !(buff_of(xdp)->flags & XDP_HAS_FRAGS);
	return bpf_xdp_get_buff_len(xdp) == xdp->data_end - xdp->data;
}

static __always_inline bool fast_init_xdp(struct pkt *p, const struct tn_router_port *port,
					  struct xdp_md *xdp)
{
	const struct ethhdr *eth = (void *)(long)xdp->data;

	p->ctx = xdp;
	p->xdp = true;
	p->packets = 1;
	p->data = (void *)(long)xdp->data;
	p->data_end = (void *)(long)xdp->data_end;
	p->len = p->data_end - p->data;
	return (void *)(eth + 1) <= p->data_end && mac_is_ours(port, eth->h_dest) &&
	       is_in_one_piece(xdp);
}

static __always_inline int fast_send_xdp(struct pkt *p, const struct tn_pair *by)
{
	const __u16 *macs = (const __u16 *)by->macs;
	__u16 *words = p->data;

	if ((void *)words + sizeof(by->macs) > p->data_end)
		return XDP_DROP;
	for (__u32 i = 0; i < sizeof(by->macs) / sizeof(*words); i++)
		words[i] = macs[i];
	return bpf_redirect(by->link, 0);
}

/* What XDP can send on itself, to interfaces that take it. */
static __always_inline enum quick fast_xdp_past(const struct tn_router_port *port,
						struct xdp_md *xdp, int *action)
{
	const struct tn_pair *by = NULL;
	enum tn_verdict v;
	enum quick went;
	struct pkt p = {};

	if (!fast_init_xdp(&p, port, xdp))
		return QUICK_MISS;
	went = fast_in(&p, &by, &v);
	if (went != QUICK_DONE)
		return went;
	if (v == TN_LEAVE_TO_TC) /* its checksum is not finished */
		return QUICK_TO_TC;
	account(&p, v);
	*action = v == TN_TRANSLATED && by ? fast_send_xdp(&p, by) : XDP_DROP;
	return QUICK_DONE;
}

/* What goes on by the stack; room for the mark comes first: see handle_shared_in_xdp(). */
static __always_inline enum quick fast_xdp_stack(const struct tn_router_port *port,
						 struct xdp_md *xdp, int *action)
{
	enum tn_verdict v = TN_LEAVE_TO_TC;
	enum quick went = QUICK_MISS;
	const struct tn_pair *by;
	struct pkt p = {};

	if (bpf_xdp_adjust_meta(xdp, -(int)sizeof(struct tn_meta)))
		return QUICK_TO_TC;
	if (fast_init_xdp(&p, port, xdp))
		went = fast_in(&p, &by, &v);
	if (went == QUICK_DONE && v == TN_LEAVE_TO_TC)
		went = QUICK_TO_TC;
	if (went != QUICK_DONE) {
		bpf_xdp_adjust_meta(xdp, sizeof(struct tn_meta));
		return went;
	}
	account(&p, v);
	*action = v == TN_TRANSLATED && mark_write(xdp, port->self.router, TN_META_MAGIC)
			  ? XDP_PASS
			  : XDP_DROP;
	return QUICK_DONE;
}

/* QUICK_DONE: *action is what to do. */
static __always_inline enum quick fast_xdp(const struct tn_router_port *port, struct xdp_md *xdp,
					   int *action)
{
	if (tn_xdp_guards_only)
		return QUICK_MISS;
	return tn_forward_fast ? fast_xdp_past(port, xdp, action)
			       : fast_xdp_stack(port, xdp, action);
}

#endif

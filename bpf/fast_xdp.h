/* SPDX-License-Identifier: GPL-2.0-only */
/* The fast path of XDP, which sends a packet on by itself. */
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
	return tn_forward_fast && !tn_xdp_guards_only && (void *)(eth + 1) <= p->data_end &&
	       mac_is_ours(port, eth->h_dest) && is_in_one_piece(xdp);
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

/* What XDP can send on itself, to interfaces that take it. QUICK_DONE: *action is what to do. */
static __always_inline enum quick fast_xdp(const struct tn_router_port *port, struct xdp_md *xdp,
					   int *action)
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

#endif

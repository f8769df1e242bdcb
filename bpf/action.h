/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel is to do with a frame that was judged, at a tc hook. */
#ifndef TN_BPF_ACTION_H
#define TN_BPF_ACTION_H

#include <linux/pkt_cls.h>

#include "hold.h"
#include "inside.h"
#include "tell.h"

/* As if it were addressed to the shared interface. */
static __always_inline enum tn_verdict turn_back(struct pkt *p, struct __sk_buff *skb)
{
	const struct tn_router_port *port = self_port(scratch_get());
	__u8 mac[ETH_ALEN] __attribute__((aligned(2)));

	if (!port)
		return drop(p, TN_DROP_INTERNAL);
	for (int i = 0; i < ETH_ALEN; i++)
		mac[i] = port->mac[i];
	if (!pkt_store(p, 0, mac, sizeof(mac)))
		return drop(p, TN_DROP_INTERNAL);
	skb->mark = TN_HAIRPIN_MARK;
	return TN_TURN_BACK;
}

/* What the kernel is to do with a frame at a tc hook. */
static __always_inline int tc_action(struct pkt *p, struct __sk_buff *skb, enum tn_verdict v)
{
	struct scratch *w = scratch_get();

	if (!w)
		return TC_ACT_SHOT;
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
		return bpf_redirect(w->self.ifindex, BPF_F_INGRESS);
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

// SPDX-License-Identifier: GPL-2.0-only
/* Every program, and nothing else: the table of contents of the datapath. */
#include <linux/pkt_cls.h>

#include "fast_xdp4.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline int xdp_action(struct pkt *p, enum tn_verdict v)
{
	account(p, v);
	report(p, v);
	return v == TN_DROP ? XDP_DROP : XDP_PASS;
}

/*
 * Shared interface, XDP ingress. Frames that it does not decide go on to
 * shared_in below, which runs behind it in any case.
 */
SEC("xdp.frags")
int tn_xdp_shared_in(struct xdp_md *xdp)
{
	const struct tn_router_port *port = self_begin();
	enum quick went;
	struct pkt p;
	int action;

	if (!port)
		return XDP_DROP;
	if (is_for_stack(xdp) || is_standby_xdp(port, xdp)) {
		pkt_init_xdp(&p, xdp);
		return xdp_action(&p, handle_shared_in_xdp(&p, port, true));
	}
	if (fast_xdp_known(port, xdp, &action) == QUICK_DONE)
		return action;
	went = fast_xdp(port, xdp, &action);
	if (went == QUICK_DONE)
		return action;
	pkt_init_xdp(&p, xdp);
	return xdp_action(&p, handle_shared_in_xdp(&p, port, went == QUICK_TO_TC));
}

/* Shared interface, tc ingress: guard, ARP, DNAT. */
SEC("tc")
int tn_tc_shared_in(struct __sk_buff *skb)
{
	const struct tn_router_port *port = self_begin();
	struct pkt p;
	int action;
	bool done;

	if (!port)
		return TC_ACT_SHOT;
	see_standby(port, skb);
	done = xdp_has_translated(port, skb);
	if (pkt_is_of_vlan(skb)) {
		if (!done)
			return TC_ACT_UNSPEC;
		/* the device hid the tag from XDP */
		pkt_init_skb(&p, skb, TN_PROGRAM_TC_SHARED_IN);
		return tc_action(&p, skb, drop(&p, TN_DROP_MALFORMED));
	}
	/* the kernel's copy for itself of what it sends to many; it has no MAC header */
	if (skb->pkt_type == PACKET_LOOPBACK || (done && !tn_forward_fast && !skb->mark))
		return TC_ACT_UNSPEC;
	if (!done && fast_shared_in(port, skb, &action) == QUICK_DONE)
		return action;
	if (!pkt_restore_mac(port, skb)) {
		pkt_init_skb(&p, skb, TN_PROGRAM_TC_SHARED_IN);
		return tc_action(&p, skb, drop(&p, TN_DROP_INTERNAL));
	}
	pkt_init_skb(&p, skb, TN_PROGRAM_TC_SHARED_IN);
	return tc_action(
		&p, skb,
		handle_shared_in_tc(&p, skb->pkt_type, take_mark(skb, TN_HAIRPIN_MARK), done));
}

/* Shared interface, tc egress: SNAT, the guard against leaks, and errors about a hairpin. */
SEC("tc")
int tn_tc_shared_out(struct __sk_buff *skb)
{
	const struct tn_router_port *port;
	struct pkt p;
	int action;

	/* of forward(): it was judged when it came in */
	if (pkt_is_of_vlan(skb) || (tn_forward_fast && take_mark(skb, TN_FORWARD_MARK)))
		return TC_ACT_UNSPEC;
	port = self_begin();
	if (!port)
		return TC_ACT_SHOT;
	see_standby(port, skb);
	if (fast_shared_out(skb, &action) == QUICK_DONE)
		return action;
	pkt_init_skb(&p, skb, TN_PROGRAM_TC_SHARED_OUT);
	return tc_action(&p, skb, handle_shared_out(&p));
}

/* Inside interfaces, tc ingress: no VM sends as somebody else, and the hairpin. */
SEC("tc")
int tn_tc_inside_in(struct __sk_buff *skb)
{
	const struct tn_router_port *port = self_begin();
	struct scratch *w = scratch_get();
	bool has_mac;
	struct pkt p;
	int action;

	if (!port || !w)
		return TC_ACT_UNSPEC;
	/* or it is the kernel's copy for itself, as above */
	if (pkt_is_of_vlan(skb) || skb->pkt_type == PACKET_LOOPBACK)
		return TC_ACT_UNSPEC;
	has_mac = is_raw(w, skb->ifindex) ? pkt_add_mac(skb) : pkt_restore_mac_inside(port, skb);
	if (has_mac) {
		see_standby(port, skb);
		if (fast_inside_in(skb, &action) == QUICK_DONE)
			return action;
	}
	pkt_init_skb(&p, skb, TN_PROGRAM_TC_INSIDE_IN);
	return tc_action(&p, skb,
			 has_mac ? handle_inside(&p, skb->pkt_type) : drop(&p, TN_DROP_INTERNAL));
}

/*
 * Inside interfaces, tc egress: whose sender was not known when it came in, and is now; and whether
 * what goes to a VM goes to the one that the mapping is for.
 */
SEC("tc")
int tn_tc_inside_out(struct __sk_buff *skb)
{
	const struct tn_router_port *port;
	bool held = is_held(skb);
	enum tn_verdict v;
	struct pkt p;

	port = self_begin();
	if (!port || pkt_is_of_vlan(skb) ||
	    (!held && (!(port->self.flags & TN_PORT_BINDS) || tn_goes_to_vm(skb))))
		return TC_ACT_UNSPEC;
	pkt_init_skb(&p, skb, TN_PROGRAM_TC_INSIDE_OUT);
	p.told = !held;
	v = held ? hold_end(&p, skb) : drop(&p, TN_DROP_WRONG_MAC);
	account(&p, v);
	report(&p, v);
	return v == TN_TURN_BACK ? bpf_redirect(skb->ifindex, BPF_F_INGRESS) : TC_ACT_SHOT;
}

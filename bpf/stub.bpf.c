// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is attached to the interfaces of one router: it says which router that is, and calls the
 * program that judges, which is the same for all. So a router costs no verification of its own, and
 * a new build takes the place of the old one for all routers at once.
 */
#include <linux/pkt_cls.h>

#include "programs.h"

/* With a value, so that the compiler puts it first: by that, others know the program. */
const volatile __u32 tn_router_id = 0;
/* The places of its variant, in the order of the programs below; XDP's last. */
const volatile __u32 tn_places[TN_TC_PROGRAMS + 1];

/* Whether its packets go past the stack. */
const volatile bool tn_forward_fast;
/* Whether mappings of it have a MAC address, as TN_PORT_BINDS says. */
const volatile bool tn_binds;

char LICENSE[] SEC("license") = "GPL";

static __always_inline void call(void *ctx, void *programs, __u32 place)
{
	__u32 zero = 0;
	struct tn_scratch *w = bpf_map_lookup_elem(&scratches, &zero);

	if (!w)
		return;
	w->router = tn_router_id;
	bpf_tail_call(ctx, programs, place);
}

/*
 * Behind each call: there is no program, which is so when the pins have been removed. Then nothing
 * is translated, and nothing goes between VMs and the shared network; what VMs send elsewhere is
 * not ours to stop.
 */
SEC("xdp.frags")
int tn_xdp_shared_in(struct xdp_md *xdp)
{
	call(xdp, &programs_xdp, tn_places[TN_TC_PROGRAMS]);
	return XDP_DROP;
}

SEC("tc")
int tn_tc_shared_in(struct __sk_buff *skb)
{
	call(skb, &programs_tc, tn_places[0]);
	return TC_ACT_SHOT;
}

SEC("tc")
int tn_tc_shared_out(struct __sk_buff *skb)
{
	/* it was judged where it came in: half of what leaves comes here so */
	if (tn_forward_fast && take_mark(skb, TN_FORWARD_MARK))
		return TC_ACT_UNSPEC;
	call(skb, &programs_tc, tn_places[1]);
	return TC_ACT_SHOT;
}

SEC("tc")
int tn_tc_inside_in(struct __sk_buff *skb)
{
	call(skb, &programs_tc, tn_places[2]);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int tn_tc_inside_out(struct __sk_buff *skb)
{
	if (tn_binds || is_held(skb)) /* few are, and all that goes to VMs comes here */
		call(skb, &programs_tc, tn_places[3]);
	return TC_ACT_UNSPEC;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A frame from inside whose sender the kernel does not know: anybody could have sent it. It is put
 * into the kernel's own queue for that neighbour, as if it were to go there: so the kernel asks for
 * him. When he has answered it comes out of the inside interface, with his MAC address as its
 * destination; if that is the one that it came from, it goes in once more. Nobody answers: the
 * kernel drops it.
 */
#ifndef TN_BPF_HOLD_H
#define TN_BPF_HOLD_H

#include "resolve.h"

/* The next hop to the sender is in scratch.fib. */
static __always_inline int hold(struct pkt *p, struct __sk_buff *skb)
{
	__u8 mac[ETH_ALEN] __attribute__((aligned(2)));
	struct scratch *w = scratch_get();
	__u64 word;

	if (!w || !pkt_load(p, ETH_ALEN, mac, sizeof(mac)))
		return TC_ACT_SHOT;
	word = mac_word(mac);
	hop_of_fib(w);
	skb->mark = TN_HELD_MARK << 16 | (word >> 32);
	skb->priority = (__u32)word;
	return bpf_redirect_neigh(skb->ifindex, &w->hop, sizeof(w->hop), 0);
}

/* The kernel knows him now. TN_TURN_BACK: it is his, and is what came in. */
static __always_inline enum tn_verdict hold_end(struct pkt *p, struct __sk_buff *skb)
{
	__u64 word = (__u64)(skb->mark & 0xffff) << 32 | skb->priority;
	struct {
		__u8 to[ETH_ALEN];
		__u8 from[ETH_ALEN];
	} __attribute__((aligned(2))) is, was;

	skb->mark = 0;
	skb->priority = 0;
	if (!pkt_load(p, 0, &is, sizeof(is)))
		return drop(p, TN_DROP_INTERNAL);
	if (mac_word(is.to) != word)
		return drop(p, TN_DROP_SPOOFED_SOURCE);
	__builtin_memcpy(was.to, is.from, sizeof(was.to));
	__builtin_memcpy(was.from, is.to, sizeof(was.from));
	return pkt_store(p, 0, &was, sizeof(was)) ? TN_TURN_BACK : drop(p, TN_DROP_INTERNAL);
}

#endif

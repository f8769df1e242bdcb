/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mappings of a VM that is known by its MAC address (`mac`): what another VM with that fixed
 * address sends is not translated, and it gets nothing that is for the mapping. What VMs send is
 * looked at where it comes in. What goes to them is looked at where it leaves, with the MAC address
 * that the kernel has found, by whatever path it comes there; XDP, which sends past that, asks
 * before.
 */
#ifndef TN_BPF_BOUND_H
#define TN_BPF_BOUND_H

#include "route.h"

/* Whether the next hop in w->fib is the VM of the mapping at w->endpoints.fixed. */
static __always_inline bool goes_to_vm(const struct scratch *w)
{
	struct tn_addr fixed = w->endpoints.fixed;
	const struct tn_fixed *row;

	if (!(w->endpoints.flags & TN_SHARED_BOUND))
		return true;
	row = lookup_fixed(w->self.router, &fixed);
	return row && mac_equal(row->mac, w->fib.dmac);
}

/* Whether the frame comes from the VM at w->endpoints.fixed, if that is known by a MAC address. */
__noinline int tn_comes_from_vm(struct __sk_buff *skb)
{
	__u8 mac[ETH_ALEN] __attribute__((aligned(2)));
	struct scratch *w = scratch_get();
	struct pkt p = { .ctx = skb };
	const struct tn_fixed *row;
	struct tn_addr fixed;

	if (!w)
		return 0;
	fixed = w->endpoints.fixed;
	row = lookup_fixed(w->self.router, &fixed);
	return !row || !(row->flags & TN_SHARED_BOUND) ||
	       (pkt_load(&p, ETH_ALEN, mac, sizeof(mac)) && mac_equal(row->mac, mac));
}

/* The ends of a packet that leaves, to w->said. False: it is no IP packet. */
static __always_inline bool read_ends(struct __sk_buff *skb, struct scratch *w, __u32 l3)
{
	struct pkt p = { .ctx = skb };
	__be32 v4[2];

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (!pkt_load(&p, l3 + offsetof(struct iphdr, saddr), v4, sizeof(v4)))
			return false;
		w->said.src = addr_v4(v4[0]);
		w->said.dst = addr_v4(v4[1]);
		return true;
	}
	return skb->protocol == bpf_htons(ETH_P_IPV6) &&
	       pkt_load(&p, l3 + offsetof(struct ipv6hdr, saddr), &w->said.src,
			sizeof(w->said.src)) &&
	       pkt_load(&p, l3 + offsetof(struct ipv6hdr, daddr), &w->said.dst,
			sizeof(w->said.dst));
}

/* Whether a frame from the shared network, translated, leaves for the VM that it is for. */
__noinline int tn_goes_to_vm(struct __sk_buff *skb)
{
	__u8 mac[ETH_ALEN] __attribute__((aligned(2)));
	struct scratch *w = scratch_get();
	struct pkt p = { .ctx = skb };
	const struct tn_fixed *row;
	struct tn_addr src, dst;
	bool raw;

	if (!w)
		return 0;
	raw = is_raw(w, skb->ifindex);
	if (!read_ends(skb, w, raw ? 0 : ETH_HLEN))
		return 1;
	src = w->said.src;
	dst = w->said.dst;
	row = lookup_fixed(w->self.router, &dst);
	if (!row || !(row->flags & TN_SHARED_BOUND) || !in_shared_subnets(&src))
		return 1;
	return !raw && pkt_load(&p, 0, mac, sizeof(mac)) && mac_equal(row->mac, mac);
}

#endif

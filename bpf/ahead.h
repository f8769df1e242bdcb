/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The packet behind the one that is judged. With very many mappings most of what a packet takes is
 * waiting for the record of its mapping; so the memory of that one is fetched a packet early. XDP
 * is not told what comes next, but a veth takes its packets out of a ring, on the CPU that judges
 * them (drivers/net/veth.c: veth_xdp_rcv(); include/linux/ptr_ring.h). What is read there is a
 * hint: by a wrong one the wrong memory is fetched, and that is all.
 */
#ifndef TN_BPF_AHEAD_H
#define TN_BPF_AHEAD_H

#include "note.h"
#include "veth.h"

struct xdp_frame___tn {
	void *data;
} OF_THE_KERNEL;

struct ethhdr___tn {
	__be16 h_proto;
} OF_THE_KERNEL;

struct iphdr___tn {
	__be32 daddr;
} OF_THE_KERNEL;

/* Any that begins with a number: what is read as a pointer, no bit of that can be looked at. */
struct timespec64___tn {
	__s64 tv_sec;
} OF_THE_KERNEL;

#define RING_XDP_FRAME 1 /* in a pointer of the ring, VETH_XDP_FLAG: not to a struct sk_buff */

/* The Ethernet header of the next packet; NULL: there is none yet. */
static __always_inline void *next_in(const struct ptr_ring___tn *ring)
{
	__u64 entry = KERNEL_AT(ring->queue + (__u32)ring->consumer_head, timespec64___tn)->tv_sec;

	if (!entry)
		return NULL;
	if (entry & RING_XDP_FRAME)
		return KERNEL_AT((void *)(entry & ~(__u64)RING_XDP_FRAME), xdp_frame___tn)->data;
	/* behind eth_type_trans() */
	return (void *)KERNEL_AT((void *)entry, sk_buff___tn)->data - ETH_HLEN;
}

static __always_inline void look_ahead(struct xdp_md *xdp)
{
	const struct ptr_ring___tn *ring;
	void *eth;

	if (!tn_looks_ahead || !bpf_core_type_exists(struct veth_rq___tn))
		return;
	ring = ring_of(xdp);
	eth = ring ? next_in(ring) : NULL;
	if (eth && KERNEL_AT(eth, ethhdr___tn)->h_proto == bpf_htons(ETH_P_IP))
		record_fetch(record_of(own_slot(KERNEL_AT(eth + ETH_HLEN, iphdr___tn)->daddr)));
}

#endif

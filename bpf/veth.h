/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a veth knows of the packets that it hands to XDP, and XDP is not told (drivers/net/veth.c).
 * The kernel's structures are read by bpf_rdonly_cast() (Linux 6.2).
 */
#ifndef TN_BPF_VETH_H
#define TN_BPF_VETH_H

#include "kernel.h"

struct ptr_ring___tn {
	int consumer_head;
	void **queue;
} OF_THE_KERNEL;

struct veth_rq___tn {
	struct net_device___tn *dev;
	struct ptr_ring___tn xdp_ring;
	struct xdp_rxq_info___tn xdp_rxq;
} OF_THE_KERNEL;

struct veth_xdp_buff___tn {
	struct sk_buff___tn *skb;
} OF_THE_KERNEL;

/*
 * The structures of a module have no id here. This one begins with a pointer, whatever is read by
 * it.
 */
static __always_inline void *pointer_at(const void *at)
{
	return KERNEL_AT(at, xdp_rxq_info___tn)->dev;
}

/* NULL: the packets are no veth's. */
static __always_inline const struct ptr_ring___tn *ring_of(struct xdp_md *xdp)
{
	struct xdp_rxq_info___tn *rxq = queue_of(xdp);
	void *rq = (void *)rxq - bpf_core_field_offset(struct veth_rq___tn, xdp_rxq);

	if (pointer_at(rq + bpf_core_field_offset(struct veth_rq___tn, dev)) != rxq->dev)
		return NULL;
	return KERNEL_AT(rq + bpf_core_field_offset(struct veth_rq___tn, xdp_ring), ptr_ring___tn);
}

/* Whether this kernel tells what is_for_stack() asks for (Linux 6.3). */
static __always_inline bool veth_tells(void)
{
	return bpf_core_field_exists(struct veth_xdp_buff___tn, skb) &&
	       bpf_core_field_exists(struct sk_buff___tn, vlan_all);
}

/*
 * Whether a sender of this machine has handed on, beside the packet, what would be lost if XDP sent
 * it on itself: that its device is to finish a checksum, which may be one within a tunnel, or a
 * VLAN tag. Of a veth that does not tell, every packet may be such a one.
 */
static __always_inline bool is_for_stack(struct xdp_md *xdp)
{
	const struct sk_buff___tn *skb;
	void *at;

	if (!tn_on_veth)
		return false;
	if (!veth_tells())
		return true;
	at = pointer_at(bpf_cast_to_kern_ctx(xdp) +
			bpf_core_field_offset(struct veth_xdp_buff___tn, skb));
	/* behind what a test run brings there may be anything */
	if (!at || !ring_of(xdp))
		return false;
	skb = KERNEL_AT(at, sk_buff___tn);
	return is_left_to_device(skb) || skb->vlan_all;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A packet under judgement: one view of a frame for both contexts, `xdp_md` and
 * `__sk_buff`. Which one it is is known at compile time in every program, so the
 * branches on `xdp` cost nothing.
 */
#ifndef TN_BPF_PKT_H
#define TN_BPF_PKT_H

#include <linux/in.h>
#include <linux/in6.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>

#include "kernel.h"

/* What is to become of a packet. drop() has kept the reason before it says TN_DROP. */
enum tn_verdict {
	TN_GO_ON, /* not decided yet */
	TN_PASS,  /* not ours to judge, or right as it is */
	TN_DROP,
	TN_TRANSLATED,	/* rewritten: on to the stack, or with pkt.egress past it */
	TN_ANSWER,	/* turned into an answer: back out of the interface it came from */
	TN_TURN_BACK,	/* into the shared interface, as if it came from the shared network */
	TN_FORWARD,	/* rewritten before: past the stack out of the interface pkt.egress */
	TN_DELIVER,	/* on to the VM, out of the interface pkt.egress */
	TN_HOLD,	/* until the kernel knows the sender: see hold() */
	TN_LEAVE_TO_TC, /* XDP only: untouched, the tc program behind it judges */
};

struct pkt {
	void *ctx;
	void *data;
	void *data_end;
	__u32 len;	/* of the whole frame, also what is not linear */
	__u32 ip_bytes; /* of the IP packet */
	__u32 packets;	/* on the wire: a GSO frame is several */
	__u32 gso_size; /* of a GSO frame that does not say how many */
	__u32 l4;	/* offset of the header behind IP's, its options and extensions */
	__u32 l4_len;	/* bytes from there to the end of the IP packet */
	__u8 proto;	/* of the header at l4 */
	bool xdp;
	bool v4;
	bool gso;
	bool later_fragment; /* a fragment that is not the first: what is at l4 is no header */
	bool told;	     /* its addresses are in scratch.said */
	bool by_flow;	     /* accepted as part of a flow that the VM opened */
	__u8 reason;	     /* enum tn_reason; with TN_DROP */
	__u8 program;	     /* enum tn_program: which one judges it */
	__u8 hops;	     /* that the rewriting takes from the hop limit: 1 past the stack */
	__u32 fragment;	     /* offset of the header that says this is a fragment; 0: it is whole */
	__u32 fragment_at;   /* where it belongs, in bytes */
	__u32 rule;	     /* that accepted it; 0: none */
	__u32 egress;	     /* index of the interface; with TN_DELIVER and TN_TRANSLATED */
	struct tn_addr src;
	struct tn_addr dst;
};

/* Everything that is read at a variable offset starts below this: IPv4 and IPv6 headers end long
 * before. */
#define PKT_OFFSET_MASK 0x3ff

#define VLAN_ID_MASK 0xfff

/*
 * A copy that stays one. Without the barrier the compiler may hand a helper the original
 * in the place of a copy that nobody changes, and a struct pkt that a helper has seen is
 * no constant any more, `xdp` least of all.
 */
static __always_inline struct tn_addr pkt_copy(const struct tn_addr *a)
{
	struct tn_addr copy = *a;

	asm volatile("" : "+m"(copy));
	return copy;
}

static __always_inline void pkt_reload(struct pkt *p)
{
	if (p->xdp) {
		struct xdp_md *xdp = p->ctx;

		p->data = (void *)(long)xdp->data;
		p->data_end = (void *)(long)xdp->data_end;
	} else {
		struct __sk_buff *skb = p->ctx;

		p->data = (void *)(long)skb->data;
		p->data_end = (void *)(long)skb->data_end;
	}
}

static __always_inline void pkt_init_xdp(struct pkt *p, struct xdp_md *xdp)
{
	__builtin_memset(p, 0, sizeof(*p));
	p->program = TN_PROGRAM_XDP_SHARED_IN;
	p->ctx = xdp;
	p->xdp = true;
	p->len = bpf_xdp_get_buff_len(xdp);
	p->packets = 1;
	pkt_reload(p);
}

static __always_inline void pkt_init_skb(struct pkt *p, struct __sk_buff *skb,
					 enum tn_program program)
{
	__builtin_memset(p, 0, sizeof(*p));
	p->program = program;
	p->ctx = skb;
	p->len = skb->len;
	p->gso = skb->gso_size > 0;
	p->packets = skb->gso_segs > 1 ? skb->gso_segs : 1;
	p->gso_size = skb->gso_segs ? 0 : skb->gso_size;
	pkt_reload(p);
}

/* Make the first `len` bytes readable in place; pointers into the packet are void afterwards. */
static __always_inline bool pkt_pull(struct pkt *p, __u32 len)
{
	if (p->data + len <= p->data_end)
		return true;
	if (p->xdp || bpf_skb_pull_data(p->ctx, len))
		return false;
	pkt_reload(p);
	return p->data + len <= p->data_end;
}

/* Copy out of the packet, wherever the bytes lie. */
static __always_inline bool pkt_load(struct pkt *p, __u32 offset, void *to, __u32 len)
{
	if (p->xdp)
		return bpf_xdp_load_bytes(p->ctx, offset, to, len) == 0;
	return bpf_skb_load_bytes(p->ctx, offset, to, len) == 0;
}

/*
 * Copy into the packet; checksums are the caller's. Pointers into the packet are void
 * afterwards. tc programs write like this alone: a single write in place, and the kernel
 * copies a shared skb before the program starts, which costs the frame XDP's mark
 * whenever somebody runs tcpdump (bpf_unclone_prologue(), skb_metadata_clear()).
 */
static __always_inline bool pkt_store(struct pkt *p, __u32 offset, const void *from, __u32 len)
{
	if (p->xdp)
		return bpf_xdp_store_bytes(p->ctx, offset, (void *)from, len) == 0;
	return bpf_skb_store_bytes(p->ctx, offset, from, len, 0) == 0;
}

enum pkt_start { PKT_START_MAC, PKT_START_NETWORK, PKT_START_UNKNOWN };

static __always_inline enum pkt_start pkt_start(bool at_mac, bool at_network)
{
	if (at_mac == at_network)
		return PKT_START_UNKNOWN;
	return at_mac ? PKT_START_MAC : PKT_START_NETWORK;
}

static __always_inline enum pkt_start pkt_start_of(const struct sk_buff___tn *skb)
{
	__u64 at = skb->data - skb->head;

	return pkt_start(at == skb->mac_header, at == skb->network_header);
}

/*
 * Where skb->data points: the context has no field for it, so without the kernel's own structure by
 * content. enum pkt_start; global, so that the verifier follows its branches once and not each of
 * them to the end of the program.
 */
__noinline int tn_pkt_start(struct __sk_buff *skb)
{
	__u32 data[4] = {}, mac[4] = {}, network[4] = {};
	bool at_mac, at_network;

	if (tn_reads_kernel)
		return pkt_start_of(bpf_cast_to_kern_ctx(skb));
	/* too short to have one */
	if (skb->len < ETH_HLEN)
		return PKT_START_NETWORK;
	/* what is too short for these is too short for an IP packet */
	if (bpf_skb_load_bytes(skb, 0, data, ETH_HLEN) ||
	    bpf_skb_load_bytes_relative(skb, 0, network, ETH_HLEN, BPF_HDR_START_NET))
		return PKT_START_MAC;
	if (bpf_skb_load_bytes_relative(skb, 0, mac, ETH_HLEN, BPF_HDR_START_MAC))
		return PKT_START_UNKNOWN;
	at_mac = !((data[0] ^ mac[0]) | (data[1] ^ mac[1]) | (data[2] ^ mac[2]) |
		   (data[3] ^ mac[3]));
	at_network = !((data[0] ^ network[0]) | (data[1] ^ network[1]) | (data[2] ^ network[2]) |
		       (data[3] ^ network[3]));
	return pkt_start(at_mac, at_network);
}

/* Both lie at even places, as in a frame. */
static __always_inline bool mac_equal(const __u8 *a, const __u8 *b)
{
	const __u16 *v = (const __u16 *)b;
	const __u16 *u = (const __u16 *)a;

	return u[0] == v[0] && u[1] == v[1] && u[2] == v[2];
}

/* As a number, the same for the same one. */
static __always_inline __u64 mac_word(const __u8 *mac)
{
	const __u16 *u = (const __u16 *)mac;

	return (__u64)u[0] << 32 | (__u32)u[1] << 16 | u[2];
}

static __always_inline bool mac_is_unset(const __u8 *mac)
{
	return !(mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]);
}

static __always_inline bool mac_is_ours(const struct tn_router_port *port, const __u8 *mac)
{
	return mac_equal(mac, port->mac);
}

/*
 * Of what begins like a frame to us, whether that is its MAC header: no IPv4 header looks like a
 * unicast MAC address, and for IPv6 the first digit tells.
 */
static __always_inline bool pkt_has_mac(const struct tn_router_port *port, struct __sk_buff *skb)
{
	return port->mac[0] >> 4 != 6 || tn_pkt_start(skb) == PKT_START_MAC;
}

/*
 * After generic XDP some kernels hand a frame to tc without its MAC header:
 * skb_pp_cow_data() makes a copy of the skb and forgets mac_len, by which tc
 * pushes (seen in 6.18). Judged like that, nothing would look like IP and all
 * would pass, so the header is put back first. False: it cannot be told, or not be mended.
 */
static __always_inline bool pkt_restore_mac(const struct tn_router_port *port,
					    struct __sk_buff *skb)
{
	const __u8 *data = (void *)(long)skb->data;
	__u8 mac[ETH_HLEN];

	if ((void *)(data + ETH_HLEN) <= (void *)(long)skb->data_end && mac_is_ours(port, data) &&
	    port->mac[0] >> 4 != 6)
		return true;
	switch (tn_pkt_start(skb)) {
	case PKT_START_MAC:
		return true;
	case PKT_START_NETWORK:
		return bpf_skb_load_bytes_relative(skb, 0, mac, sizeof(mac), BPF_HDR_START_MAC) ==
			       0 &&
		       bpf_skb_change_head(skb, ETH_HLEN, 0) == 0 &&
		       bpf_skb_store_bytes(skb, 0, mac, sizeof(mac), 0) == 0;
	default:
		return false;
	}
}

/*
 * The same for inside interfaces, with a cheaper look: there the guard of the shared
 * interface is behind it.
 */
static __always_inline bool pkt_restore_mac_inside(const struct tn_router_port *port,
						   struct __sk_buff *skb)
{
	struct ethhdr *eth = (void *)(long)skb->data;

	if ((void *)(eth + 1) <= (void *)(long)skb->data_end &&
	    eth->h_proto == (__u16)skb->protocol)
		return true;
	return pkt_restore_mac(port, skb);
}

/*
 * A packet of an interface whose frames begin with the IP header gets a MAC header of zeroes, so
 * that it is judged like all others. The stack goes by the network header, and the kernel by the
 * interface when it sends.
 */
static __always_inline bool pkt_add_mac(struct __sk_buff *skb)
{
	struct ethhdr eth = { .h_proto = skb->protocol };

	if (tn_reads_kernel) {
		const struct sk_buff___tn *kernels = bpf_cast_to_kern_ctx(skb);

		if (kernels->data - kernels->head != kernels->network_header)
			return false;
	}
	return bpf_skb_change_head(skb, ETH_HLEN, 0) == 0 &&
	       bpf_skb_store_bytes(skb, 0, &eth, sizeof(eth), 0) == 0;
}

/*
 * A frame of another network: tagged for a VLAN, which the kernel hands to the VLAN device above
 * this interface, or drops if there is none. tc sees it without its tag, as one of ours. VLAN id 0
 * is no VLAN. The id of a tag that was taken off stays in vlan_tci (up to Linux 6.1).
 */
static __always_inline bool pkt_is_of_vlan(const struct __sk_buff *skb)
{
	return skb->vlan_present && skb->vlan_tci & VLAN_ID_MASK;
}

static __always_inline struct tn_addr addr_v4(__be32 a)
{
	return (struct tn_addr){ .w = { 0, 0, bpf_htonl(0xffff), a } };
}

static __always_inline bool addr_equal(const struct tn_addr *a, const struct tn_addr *b)
{
	return !((a->w[0] ^ b->w[0]) | (a->w[1] ^ b->w[1]) | (a->w[2] ^ b->w[2]) |
		 (a->w[3] ^ b->w[3]));
}

static __always_inline bool addr_is_multicast(const struct tn_addr *a, bool v4)
{
	if (v4)
		return (a->w[3] & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000);
	return (a->w[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000);
}

/* 169.254/16 (RFC 3927), fe80::/10 (RFC 4291) */
static __always_inline bool addr_is_link_local(const struct tn_addr *a, bool v4)
{
	if (v4)
		return (a->w[3] & bpf_htonl(0xffff0000)) == bpf_htonl(0xa9fe0000);
	return (a->w[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

/* No address at all: an IPv4 address has its prefix. */
static __always_inline bool addr_is_unset(const struct tn_addr *a)
{
	return !(a->w[0] | a->w[1] | a->w[2] | a->w[3]);
}

static __always_inline bool addr_is_unspecified(const struct tn_addr *a, bool v4)
{
	return !a->w[3] && (v4 || !(a->w[0] | a->w[1] | a->w[2]));
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the BPF programs and the loader agree on: the keys and values of the
 * pinned maps. Addresses are in network byte order, everything else is in the
 * byte order of the host. No struct here has hidden padding.
 *
 * TN_ABI changes whenever the meaning or size of anything in this file changes;
 * it is pinned with the maps, and a loader refuses maps of another number.
 */
#ifndef TN_ABI_H
#define TN_ABI_H

#include <linux/types.h>

#include "tn_reasons.h"

#define TN_ABI 2

/*
 * An IPv6 address, or an IPv4 address as IPv4-mapped IPv6 (RFC 4291, 2.5.5.2:
 * ::ffff:a.b.c.d), so that every table exists once. Network byte order.
 */
struct tn_addr {
	__be32 w[4];
};

/* The largest number of routers on one machine; router ids are 1..TN_ROUTERS_MAX-1. */
#define TN_ROUTERS_MAX 4096
/* The largest number of shared subnets in one definitions file. */
#define TN_SUBNETS_MAX 16
/* The largest number of inside interfaces of one router. */
#define TN_INSIDE_MAX 16
/* No router of this machine: the mapping's tenant has its router elsewhere. */
#define TN_ROUTER_ELSEWHERE 0

/* What a shared address is. Exactly one of these is set. */
enum tn_shared_flags {
	TN_SHARED_MAPPED = 1U << 0, /* the shared address of a mapping */
	TN_SHARED_OWN = 1U << 1,    /* an address of the router itself */
};

/*
 * Map by_shared: shared address -> who has it. Serves DNAT, the answers to ARP
 * and neighbour solicitations, and the identity of a sender. Addresses of
 * routers themselves are in it too, with `fixed` and `slot` zero.
 */
struct tn_shared {
	struct tn_addr fixed; /* the VM's private address */
	__u32 tenant;	      /* tenant id, never 0 */
	__u32 router;	      /* router id, or TN_ROUTER_ELSEWHERE */
	__u32 slot;	      /* index into counters; 0: not counted */
	__u32 flags;	      /* enum tn_shared_flags */
};

/* Map by_fixed: (router, fixed address) -> shared address. Serves SNAT. */
struct tn_fixed_key {
	__u32 router;
	struct tn_addr fixed;
};

struct tn_fixed {
	struct tn_addr shared;
	__u32 slot;  /* the same as in by_shared */
	__u32 flags; /* reserved: 0 */
};

/*
 * Map counters, per CPU, by slot: packets as they are on the wire (a GSO frame
 * counts its segments), bytes of the IP packet. `in` is from the shared network
 * to the VM.
 */
struct tn_counters {
	__u64 in_packets;
	__u64 in_bytes;
	__u64 out_packets;
	__u64 out_bytes;
};

/* Map drops, per CPU, by router id: packets dropped for each reason. */
struct tn_drops {
	__u64 packets[TN_REASONS_MAX];
};

/* Map config, one element: what all routers have in common. */
struct tn_subnet {
	struct tn_addr prefix;
	struct tn_addr mask;
};

struct tn_config {
	__u32 abi;	/* TN_ABI */
	__u32 capacity; /* mappings that the maps were made for */
	__u32 nsubnets;
	__u32 pad;
	struct tn_subnet subnets[TN_SUBNETS_MAX];
};

/*
 * Map routers, by router id: what is attached to which router. The loader's own
 * memory; the programs do not read it.
 */
struct tn_router {
	__u8 mac[6];	 /* of the shared interface: the one given out in ARP and ND */
	__u8 hook;	 /* enum hook of the loader: what was asked for */
	__u8 via;	 /* the same: what it came to */
	__u32 ifindex;	 /* of the shared interface, in the router's namespace */
	__u32 flags;	 /* enum tn_router_flags */
	__u64 netns_dev; /* st_dev and st_ino of the namespace */
	__u64 netns_ino;
	__u64 build;		     /* which build of the programs is attached */
	char tenant[64];	     /* the tenant's name, NUL-terminated */
	__u32 inside[TN_INSIDE_MAX]; /* inside interfaces, by index; 0: no more */
	struct tn_addr own[2];	     /* of the router itself, IPv4 and IPv6; zero: none */
};

enum tn_router_flags {
	TN_ROUTER_CLSACT = 1U << 0, /* the tc programs are filters of clsact qdiscs */
	TN_ROUTER_LOOSE = 1U << 1,  /* VMs may send from elsewhere than where answers go */
	/* from here on: which of those we created; the shared interface, then inside[0] and so on
	 */
	TN_ROUTER_CLSACT_OURS = 1U << 8,
};

/*
 * What the XDP program leaves in a frame's metadata for the tc program behind
 * it: translated already, by the instance of this router. Nothing on the wire
 * can put it there.
 */
struct tn_meta {
	__u32 magic; /* TN_META_MAGIC */
	__u32 router;
};
#define TN_META_MAGIC 0x746e6174U

/*
 * The mark (skb->mark) of a frame that one of this router's VMs sends to another by
 * its shared address, on its way from the inside to the shared interface. It is
 * taken off there; nothing on the wire can put it on.
 */
#define TN_HAIRPIN_MARK 0x746e6870U

#define TN_ABI_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type " changed: see TN_ABI")
TN_ABI_SIZE(struct tn_addr, 16);
TN_ABI_SIZE(struct tn_shared, 32);
TN_ABI_SIZE(struct tn_fixed_key, 20);
TN_ABI_SIZE(struct tn_fixed, 24);
TN_ABI_SIZE(struct tn_counters, 32);
TN_ABI_SIZE(struct tn_drops, 8 * TN_REASONS_MAX);
TN_ABI_SIZE(struct tn_config, 16 + 32 * TN_SUBNETS_MAX);
TN_ABI_SIZE(struct tn_router, 136 + 4 * TN_INSIDE_MAX);
TN_ABI_SIZE(struct tn_meta, 8);

#endif

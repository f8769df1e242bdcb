/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The source of the datapath as it is; it finds the headers under tests/fuzz/include/ first.
 * Alone in its file, because its names are its own.
 */
#include "programs.h"

#include "../../bpf/tenantnat.bpf.c"

/* The definition of a map has pointers to its key and its value, and never any memory for them. */
#define MAP(map, ...)                                                            \
	{                                                                        \
		.name = #map, .address = &(map), .key_size = sizeof(*(map).key), \
		.value_size = sizeof(*(map).value), ##__VA_ARGS__                \
	}
/* The loader makes `counters` and `hits` as large as it needs. */
#define COUNTERS 256

/* Of the router that is judged for: the elements of two maps of maps. */
static struct map router_flows = { .name = "flows of it",
				   .key_size = sizeof(struct tn_flow_key),
				   .value_size = sizeof(struct tn_flow) };
static struct map router_fragments = { .name = "fragments of it",
				       .key_size = sizeof(struct tn_fragment_key),
				       .value_size = sizeof(struct tn_fragment) };

struct map programs_maps[] = {
	MAP(by_shared),
	MAP(by_fixed),
	MAP(counters, .entries = COUNTERS),
	MAP(slots, .entries = COUNTERS),
	MAP(peers, .entries = 1U << TN_PEERS_BITS),
	MAP(drops, .entries = TN_ROUTERS_MAX),
	MAP(accepts),
	MAP(services),
	MAP(withdrawn),
	MAP(pairs, .entries = TN_PAIRS),
	MAP(pairs_v6, .entries = TN_PAIRS),
	MAP(hops, .entries = TN_HOPS),
	MAP(hits, .entries = COUNTERS),
	MAP(pools, .prefixes = true),
	MAP(prefixes, .prefixes = true),
	MAP(limits),
	{ .name = "flows", .address = &flows, .inner = &router_flows },
	{ .name = "fragments", .address = &fragments, .inner = &router_fragments },
	MAP(scratches, .entries = 1),
	MAP(neigh_rooms, .entries = 1),
	MAP(unresolved),
	MAP(buckets, .entries = TN_ROUTERS_MAX),
	MAP(takeovers, .entries = TN_ROUTERS_MAX),
	MAP(tellings, .entries = 1),
	MAP(budgets, .entries = 1),
	MAP(routers),
	MAP(router_ports, .entries = TN_ROUTERS_MAX),
	MAP(config, .entries = 1),
	{ .name = NULL },
};

static struct net___tn kernel_net = { .ipv4 = { .rt_genid = { .counter = 1 } } };
static struct net_device___tn kernel_device = { .nd_net = { .net = &kernel_net } };
static struct xdp_rxq_info___tn kernel_queue = { .dev = &kernel_device };

void *programs_kernel_xdp(bool in_pieces)
{
	static struct xdp_buff___tn buff = { .rxq = &kernel_queue };

	buff.flags = in_pieces ? XDP_HAS_FRAGS : 0;
	return &buff;
}

void *programs_kernel_skb(const struct programs_skb *s)
{
	static unsigned char head[ETH_HLEN];
	static struct sk_buff___tn skb = { .dev = &kernel_device,
					   .head = head,
					   .data = head + ETH_HLEN };

	skb.ip_summed = s->left ? CHECKSUM_PARTIAL : 0;
	skb.csum_start = (__u16)(ETH_HLEN + s->left_start);
	skb.csum_offset = (__u16)s->left_field;
	skb.mac_header = (__u16)(ETH_HLEN + s->mac);
	skb.network_header = (__u16)(ETH_HLEN + s->network);
	return &skb;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* What is too large for the stack while a packet is judged. */
#ifndef TN_BPF_SCRATCH_H
#define TN_BPF_SCRATCH_H

#include "maps.h"

/* Both ends of a packet, or of one that it quotes. */
struct endpoints {
	struct tn_addr shared; /* the VM's, */
	struct tn_addr fixed;
	struct tn_addr peer; /* and who it talks to, on the shared network */
	__u32 tenant;	     /* the VM's, */
	__u32 flags;	     /* its mapping's, */
	__u32 peer_tenant;   /* 0: a stranger */
	__u32 peer_flags;    /* enum tn_shared_flags; 0: no row in by_shared */
};

/* A quoted packet: its headers as far as they were quoted. */
struct quote {
	__u32 at;      /* offset of its IP header */
	__u32 l4;      /* offset of its L4 header; 0: it is none, or not quoted */
	__u32 l4_csum; /* offset of its L4 checksum; 0: none, or not quoted */
	__u8 proto;    /* of the header at l4 */
	bool csum_optional;
	__sum16 ip_csum; /* IPv4 */
	struct tn_addr src;
	struct tn_addr dst;
};

/* What routes and rules of the kernel ask for besides addresses and interfaces, as it lies there.
 */
struct route_keys {
	__be32 flow;	 /* IPv6: traffic class and flow label; IPv4: the TOS, as a number */
	__be16 ports[2]; /* source and destination; 0: none that the kernel would see */
	__u32 proto;
	__u32 mark; /* the skb's */
};

/* What is looked for among the addresses and interfaces of the kernel: see active.h. */
struct search {
	void *at; /* what is looked at next; NULL: there is no more */
	void *end;
	struct tn_addr only; /* the address; unset: any in the shared subnets will do */
	struct tn_addr seen;
	__u64 found;
};

/* What is too large for the stack. A packet is judged in one go on one CPU. */
struct scratch {
	struct tn_self self; /* the router that it is judged for; begins as struct tn_scratch */
	__u64 shared_device; /* the kernel's, where it was looked for: see active.h */
	struct search search;
	struct endpoints endpoints;
	struct route_keys keys;
	struct quote quote;
	struct tn_addr src;    /* of an error that is on the way, as it came */
	struct tn_addr own;    /* and what it leaves with */
	struct tn_addr inside; /* the router's, towards a VM: find_inside() */
	struct tn_service_key service;
	struct tn_flow_key flow;
	struct tn_fragment_key fragment;
	struct tn_prefix_key prefix; /* that was looked for, */
	struct tn_fixed_key first;   /* and what its mapping is named by: see tn_find_prefix() */
	struct tn_addr limited;	     /* the mapping, as limits names it */
	__u32 rows;		     /* of accepts that tn_rule() has met, */
	bool any_service;	     /* and whether its answer is the same for all services; */
	bool ends;		     /* the rule is one that ends, and not to be kept; */
	__u32 ended;		     /* one that is over would have been the answer; 0: none, */
	__u32 ended_since;     /* since when such a one is, of this service; CLOCK_MONOTONIC, */
	__u32 ended_all_since; /* and of all services: its end, or when it accepted last */
	bool for_nobody;       /* the last route: see fib_route_past() */
	__u32 where;	       /* enum leads: where the stack would send the packet */
	__u64 src_valid_until; /* until when it is known who sends as the VM: see tn_hop_out() */
	struct bpf_fib_lookup fib;
	struct bpf_fib_lookup fib_back; /* of what the router says: answer_leads() */
	struct bpf_redir_neigh hop;
	struct tn_event said; /* see report.h; the addresses always */
};

_Static_assert(sizeof(struct scratch) <= TN_SCRATCH_SIZE, "there is room for it in scratches");

/* Also for global functions to call: Linux 6.1 takes no key of a map from an argument of theirs. */
static __always_inline struct scratch *scratch_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratches, &zero);
}

/* NULL: there is no such router. */
static __always_inline const struct tn_router_port *router_port(__u32 router)
{
	const struct tn_router_port *port = bpf_map_lookup_elem(&router_ports, &router);

	return port && port->self.router ? port : NULL;
}

/*
 * The router that the packet is judged for, where a program begins: its stub has said so, or the
 * loader. NULL: there is none.
 */
static __always_inline const struct tn_router_port *self_begin(void)
{
	const struct tn_router_port *port;
	struct scratch *w = scratch_get();

	if (!w)
		return NULL;
	if (tn_router_id)
		w->self.router = tn_router_id;
	port = router_port(w->self.router);
	if (port)
		w->self = port->self;
	return port;
}

/* The same after that. */
static __always_inline const struct tn_router_port *self_port(const struct scratch *w)
{
	return w ? router_port(w->self.router) : NULL;
}

/* The router's address on the shared network, to w->own; unset: it has none. Global, so that
 * the verifier follows it once. */
__noinline int tn_own_address(__u32 v4)
{
	struct scratch *w = scratch_get();
	const struct tn_router_port *port = self_port(w);

	if (!w || !port)
		return 0;
	w->own = port->own[v4 ? 0 : 1];
	return 1;
}

static __always_inline bool is_loose(const struct scratch *w)
{
	return w->self.flags & TN_PORT_LOOSE;
}

static __always_inline bool is_feasible(const struct scratch *w)
{
	return w->self.flags & TN_PORT_FEASIBLE;
}

static __always_inline __u32 seconds(void)
{
	return bpf_ktime_get_coarse_ns() / NS_PER_S;
}

/* CLOCK_TAI: the wall clock, which can be set, and what it is behind TAI. */
static __always_inline __u32 seconds_tai(void)
{
	return bpf_ktime_get_tai_ns() / NS_PER_S;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether a router forwards that several hosts have (`active: address`): while its shared interface
 * has its own address. The programs look at the interface itself, at every packet, so that the
 * address is all that it takes: no process has to notice that it comes, or goes.
 *
 * One that is elected (`active: elected`) does so only until a time that the host has been granted:
 * a process that hangs, or writes too late, cannot make it forward beyond that.
 */
#ifndef TN_BPF_ACTIVE_H
#define TN_BPF_ACTIVE_H

#include "lookup.h"
#include "pkt.h"

static __always_inline bool is_standby(const struct scratch *w)
{
	return w->self.flags & TN_PORT_STANDBY;
}

/* A standby that may still have its address for a moment: what is asked for that is not for it. */
static __always_inline bool is_over(const struct scratch *w)
{
	return (w->self.flags & TN_PORT_STANDBY) && (w->self.flags & TN_PORT_ELECTED);
}

/* A router whose frames can come from another host at any time, and so from another MAC address. */
static __always_inline bool is_anywhere(const struct tn_router_port *port)
{
	return port->self.flags & TN_PORT_BY_ADDRESS;
}

/*
 * When a router has become active, as packets see it: the first one after the last that has found
 * it a standby.
 */
struct takeover {
	__u32 standby; /* by the last packet */
	__u32 since;   /* seconds(); 0: it has not become active since there is this map */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TN_ROUTERS_MAX);
	__type(key, __u32);
	__type(value, struct takeover);
} takeovers SEC(".maps");

static __always_inline struct takeover *takeover_of(const struct scratch *w)
{
	__u32 router = w->self.router;

	return bpf_map_lookup_elem(&takeovers, &router);
}

/* Several CPUs share it: no write that changes nothing. */
static __always_inline void note_takeover(const struct scratch *w,
					  const struct tn_router_port *port, bool standby)
{
	struct takeover *t = port->grace ? takeover_of(w) : NULL;

	if (!t || t->standby == standby)
		return;
	if (!standby)
		t->since = seconds();
	t->standby = standby;
}

/*
 * Whether the router has become active so shortly ago that what VMs have opened at the host before
 * may not all be known. Global, so that the verifier follows it once.
 */
__noinline int tn_is_in_grace(void)
{
	struct scratch *w = scratch_get();
	const struct tn_router_port *port = self_port(w);
	const struct takeover *t;

	if (!w || !port || !port->grace)
		return 0;
	t = takeover_of(w);
	return t && t->since && seconds() - t->since < port->grace;
}

#ifdef __bpf__

/* So many addresses of each family are looked at, and so many interfaces of one bucket. */
#define ADDRESSES_MAX  256
#define INTERFACES_MAX 256

/* struct net_device of the kernel, include/linux/netdevice.h, and what it leads to */
struct in_ifaddr___tn {
	struct in_ifaddr___tn *ifa_next;
	__be32 ifa_local;
} OF_THE_KERNEL;

struct in_device___tn {
	struct in_ifaddr___tn *ifa_list;
} OF_THE_KERNEL;

struct list_head___tn {
	struct list_head___tn *next;
} OF_THE_KERNEL;

struct inet6_ifaddr___tn {
	struct in6_addr addr;
	__u32 flags;
	struct list_head___tn if_list;
} OF_THE_KERNEL;

struct inet6_dev___tn {
	struct list_head___tn addr_list;
} OF_THE_KERNEL;

struct hlist_node___tn {
	struct hlist_node___tn *next;
} OF_THE_KERNEL;

struct hlist_head___tn {
	struct hlist_node___tn *first;
} OF_THE_KERNEL;

struct net___index {
	struct hlist_head___tn *dev_index_head;
} OF_THE_KERNEL;

struct net_device___active {
	struct {
		struct net___index *net;
	} nd_net;
	int ifindex;
	struct hlist_node___tn index_hlist;
	struct in_device___tn *ip_ptr;
	struct inet6_dev___tn *ip6_ptr;
} OF_THE_KERNEL;

/* A field of the kernel's structure at that pointer, a variable; 0 for what has gone meanwhile. */
#define READ(at, type, field) \
	(tn_reads_kernel ? KERNEL_AT((at), type)->field : BPF_CORE_READ((struct type *)(at), field))

/* An address that the kernel has found at another host is none. */
#define DAD_FAILED 0x08 /* IFA_F_DADFAILED, include/uapi/linux/if_addr.h */

/*
 * A walk along a list of the kernel's, by bpf_loop(): the verifier follows one step. All that it
 * remembers is in the scratch: there is no room on the stack.
 */
enum { GO_ON, STOP };

static __always_inline int step_end(struct search *s, void *next)
{
	s->at = next;
	return s->found ? STOP : GO_ON;
}

static __always_inline bool is_searched(const struct search *s)
{
	return addr_is_unset(&s->only) ? in_shared_subnets(&s->seen)
				       : addr_equal(&s->seen, &s->only);
}

static int step_v4(__u32 i __attribute__((unused)), void *ctx __attribute__((unused)))
{
	struct scratch *w = scratch_get();
	void *one = w ? w->search.at : NULL;

	if (!w || !one)
		return STOP;
	w->search.seen = addr_v4(READ(one, in_ifaddr___tn, ifa_local));
	w->search.found = is_searched(&w->search);
	return step_end(&w->search, READ(one, in_ifaddr___tn, ifa_next));
}

/* The list ends where it began: with its head, which is in no address. */
static int step_v6(__u32 i __attribute__((unused)), void *ctx __attribute__((unused)))
{
	struct scratch *w = scratch_get();
	void *at = w ? w->search.at : NULL, *one;

	if (!w || !at || at == w->search.end)
		return STOP;
	one = at - bpf_core_field_offset(struct inet6_ifaddr___tn, if_list);
	for (int word = 0; word < 4; word++)
		w->search.seen.w[word] = READ(one, inet6_ifaddr___tn, addr.in6_u.u6_addr32[word]);
	w->search.found =
		!(READ(one, inet6_ifaddr___tn, flags) & DAD_FAILED) && is_searched(&w->search);
	return step_end(&w->search, READ(at, list_head___tn, next));
}

static int step_device(__u32 i __attribute__((unused)), void *ctx __attribute__((unused)))
{
	struct scratch *w = scratch_get();
	void *at = w ? w->search.at : NULL, *dev;

	if (!w || !at)
		return STOP;
	dev = at - bpf_core_field_offset(struct net_device___active, index_hlist);
	if ((__u32)READ(dev, net_device___active, ifindex) == w->self.ifindex)
		w->search.found = (__u64)dev;
	return step_end(&w->search, READ(at, hlist_node___tn, next));
}

/* Whether the shared interface has w->search.only. Global functions are followed once. */
__noinline int tn_shared_has(__u32 v4)
{
	struct scratch *w = scratch_get();
	void *dev, *of;

	if (!w || !w->shared_device)
		return 0;
	dev = (void *)w->shared_device;
	w->search.found = 0;
	if (v4) {
		of = READ(dev, net_device___active, ip_ptr);
		w->search.at = of ? READ(of, in_device___tn, ifa_list) : NULL;
		bpf_loop(ADDRESSES_MAX, step_v4, NULL, 0);
		return !!w->search.found;
	}
	/* where IPv6 is a module, the kernel does not tell */
	if (!bpf_core_field_exists(struct inet6_ifaddr___tn, if_list))
		return 0;
	of = READ(dev, net_device___active, ip6_ptr);
	if (!of)
		return 0;
	w->search.end = of + bpf_core_field_offset(struct inet6_dev___tn, addr_list);
	w->search.at = READ(of, inet6_dev___tn, addr_list.next);
	bpf_loop(ADDRESSES_MAX, step_v6, NULL, 0);
	return !!w->search.found;
}

/*
 * The shared interface, in the namespace of the interface that is w->shared_device, in its place;
 * 0: it is not there. The kernel's table of interfaces has 256 buckets (NETDEV_HASHBITS,
 * include/net/net_namespace.h).
 */
__noinline int tn_find_shared(void)
{
	struct scratch *w = scratch_get();
	void *dev, *net, *heads;

	if (!w)
		return 0;
	dev = (void *)w->shared_device;
	if ((__u32)READ(dev, net_device___active, ifindex) == w->self.ifindex)
		return 1;
	net = READ(dev, net_device___active, nd_net.net);
	heads = READ(net, net___index, dev_index_head);
	w->search.found = 0;
	w->search.at = NULL;
	if (heads) {
		heads += (w->self.ifindex & 255) * sizeof(heads);
		w->search.at = READ(heads, hlist_head___tn, first);
	}
	bpf_loop(INTERFACES_MAX, step_device, NULL, 0);
	w->shared_device = w->search.found;
	return 1;
}

static __always_inline bool shared_has(struct scratch *w, const struct tn_addr *only, bool v4)
{
	w->search.only = *only;
	return tn_shared_has(v4);
}

/* With addresses of its own in the definitions it takes these, of each family that has one. */
static __always_inline bool has_its_address(struct scratch *w, const struct tn_router_port *port)
{
	__u32 flags = port->self.flags;

	if (flags & TN_PORT_NEEDS_V4 && !shared_has(w, &port->own[0], true))
		return false;
	if (flags & TN_PORT_NEEDS_V6)
		return shared_has(w, &port->own[1], false);
	if (flags & TN_PORT_NEEDS_V4)
		return true;
	w->search.only = (struct tn_addr){};
	return tn_shared_has(true) || tn_shared_has(false);
}

static __always_inline bool is_granted(const struct tn_router_port *port)
{
	__u32 router = port->self.router;
	const __u64 *until;

	if (!(port->self.flags & TN_PORT_ELECTED))
		return true;
	until = bpf_map_lookup_elem(&elected, &router);
	return until && *until > bpf_ktime_get_boot_ns();
}

/* Says it in the scratch, too: see is_standby(). */
static __always_inline int find_standby(__u64 device)
{
	struct scratch *w = scratch_get();
	const struct tn_router_port *port = self_port(w);

	if (!w || !port)
		return 1;
	w->shared_device = device;
	if (is_granted(port) && tn_find_shared() && has_its_address(w, port)) {
		note_takeover(w, port, false);
		return 0;
	}
	note_takeover(w, port, true);
	w->self.flags |= TN_PORT_STANDBY;
	return 1;
}

__noinline int tn_find_standby_skb(struct __sk_buff *skb)
{
	const struct sk_buff___tn *kernels = (void *)skb;

	if (tn_reads_kernel)
		return find_standby((__u64)((struct sk_buff___tn *)bpf_cast_to_kern_ctx(skb))->dev);
	return find_standby((__u64)BPF_CORE_READ(kernels, dev));
}

__noinline int tn_find_standby_xdp(struct xdp_md *xdp)
{
	const struct xdp_buff___tn *kernels = (void *)xdp;

	if (tn_reads_kernel)
		return find_standby((__u64)queue_of(xdp)->dev);
	return find_standby((__u64)BPF_CORE_READ(kernels, rxq, dev));
}

/* Whether the kernel has it on the shared interface: then it is for this host in any case. */
static __always_inline bool is_kernels_own(struct scratch *w, const struct tn_addr *a, bool v4)
{
	return shared_has(w, a, v4);
}

#else /* a native build has no kernel around it, and no such router */

#define tn_find_standby_skb(skb) ((void)(skb), 0)
#define tn_find_standby_xdp(xdp) ((void)(xdp), 0)
#define is_kernels_own(w, a, v4) ((void)(w), (void)(a), (void)(v4), false)

#endif

/* Where a program begins: is_standby() says it from here on, for the fast path, too. */
static __always_inline void see_standby(const struct tn_router_port *port, struct __sk_buff *skb)
{
	if (is_anywhere(port))
		tn_find_standby_skb(skb);
}

static __always_inline bool is_standby_xdp(const struct tn_router_port *port, struct xdp_md *xdp)
{
	return is_anywhere(port) && tn_find_standby_xdp(xdp);
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether a router forwards that several hosts have (`active: address`): while its shared interface
 * has its own address. The programs look at the interface itself, at every packet, so that the
 * address is all that it takes: no process has to notice that it comes, or goes.
 */
#ifndef TN_BPF_ACTIVE_H
#define TN_BPF_ACTIVE_H

#include "pkt.h"
#include "scratch.h"

static __always_inline bool is_standby(const struct scratch *w)
{
	return w->self.flags & TN_PORT_STANDBY;
}

/* A router whose frames can come from another host at any time, and so from another MAC address. */
static __always_inline bool is_anywhere(const struct tn_router_port *port)
{
	return port->self.flags & TN_PORT_BY_ADDRESS;
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

/*
 * All of these read with bpf_probe_read_kernel(), which every kernel has, and which gives 0 for
 * what has gone meanwhile. An address that the kernel has found at another host is none.
 */
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
	struct in_ifaddr___tn *one = w ? w->search.at : NULL;

	if (!w || !one)
		return STOP;
	w->search.seen = addr_v4(BPF_CORE_READ(one, ifa_local));
	w->search.found = is_searched(&w->search);
	return step_end(&w->search, BPF_CORE_READ(one, ifa_next));
}

/* The list ends where it began: with its head, which is in no address. */
static int step_v6(__u32 i __attribute__((unused)), void *ctx __attribute__((unused)))
{
	struct scratch *w = scratch_get();
	struct list_head___tn *at = w ? w->search.at : NULL;
	struct inet6_ifaddr___tn *one;

	if (!w || !at || at == w->search.end)
		return STOP;
	one = (void *)at - bpf_core_field_offset(struct inet6_ifaddr___tn, if_list);
	bpf_core_read(&w->search.seen, sizeof(w->search.seen), &one->addr);
	w->search.found = !(BPF_CORE_READ(one, flags) & DAD_FAILED) && is_searched(&w->search);
	return step_end(&w->search, BPF_CORE_READ(at, next));
}

static int step_device(__u32 i __attribute__((unused)), void *ctx __attribute__((unused)))
{
	struct scratch *w = scratch_get();
	struct hlist_node___tn *at = w ? w->search.at : NULL;
	struct net_device___active *dev;

	if (!w || !at)
		return STOP;
	dev = (void *)at - bpf_core_field_offset(struct net_device___active, index_hlist);
	if ((__u32)BPF_CORE_READ(dev, ifindex) == w->self.ifindex)
		w->search.found = (__u64)dev;
	return step_end(&w->search, BPF_CORE_READ(at, next));
}

/* Whether the shared interface has w->search.only. Global functions are followed once. */
__noinline int tn_shared_has(__u32 v4)
{
	struct scratch *w = scratch_get();
	struct net_device___active *dev;
	struct inet6_dev___tn *v6;

	if (!w || !w->shared_device)
		return 0;
	dev = (void *)w->shared_device;
	w->search.found = 0;
	if (v4) {
		w->search.at = BPF_CORE_READ(dev, ip_ptr, ifa_list);
		bpf_loop(ADDRESSES_MAX, step_v4, NULL, 0);
		return !!w->search.found;
	}
	v6 = BPF_CORE_READ(dev, ip6_ptr);
	if (!v6)
		return 0;
	w->search.end = (void *)v6 + bpf_core_field_offset(struct inet6_dev___tn, addr_list);
	w->search.at = BPF_CORE_READ(v6, addr_list.next);
	bpf_loop(ADDRESSES_MAX, step_v6, NULL, 0);
	return !!w->search.found;
}

/*
 * The shared interface, in the namespace of the device, to w->shared_device; 0: it is not there.
 * The kernel's table of interfaces has 256 buckets (NETDEV_HASHBITS, include/net/net_namespace.h).
 */
__noinline int tn_find_shared(__u64 device)
{
	struct net_device___active *dev = (void *)device;
	struct scratch *w = scratch_get();
	struct hlist_head___tn *head;

	if (!w)
		return 0;
	w->shared_device = device;
	if ((__u32)BPF_CORE_READ(dev, ifindex) == w->self.ifindex)
		return 1;
	head = BPF_CORE_READ(dev, nd_net.net, dev_index_head);
	w->search.found = 0;
	w->search.at = NULL;
	if (head) {
		head = (void *)head + (w->self.ifindex & 255) * sizeof(void *);
		w->search.at = BPF_CORE_READ(head, first);
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

/* Says it in the scratch, too: see is_standby(). */
static __always_inline int find_standby(__u64 device)
{
	struct scratch *w = scratch_get();
	const struct tn_router_port *port = self_port(w);

	if (!w || !port)
		return 1;
	if (tn_find_shared(device) && has_its_address(w, port))
		return 0;
	w->self.flags |= TN_PORT_STANDBY;
	return 1;
}

__noinline int tn_find_standby_skb(struct __sk_buff *skb)
{
	const struct sk_buff___tn *kernels = (void *)skb;

	return find_standby((__u64)BPF_CORE_READ(kernels, dev));
}

__noinline int tn_find_standby_xdp(struct xdp_md *xdp)
{
	const struct xdp_buff___tn *kernels = (void *)xdp;

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

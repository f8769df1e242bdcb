/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is read of the kernel's own structures: see there, include/net/netns/ipv4.h and
 * include/linux/skbuff.h. A program can read them by bpf_cast_to_kern_ctx() (Linux 6.2); before
 * that it copies what it needs, which takes longer, or goes without.
 */
#ifndef TN_BPF_KERNEL_H
#define TN_BPF_KERNEL_H

#include <bpf/bpf_core_read.h>

#include "maps.h"

/* libbpf finds out where their fields are; of native builds nobody asks. */
#if __has_attribute(preserve_access_index)
#define OF_THE_KERNEL __attribute__((preserve_access_index))
#else
#define OF_THE_KERNEL
#endif

struct netns_ipv4___tn {
	struct {
		int counter;
	} rt_genid;
	unsigned int fib_rules_require_fldissect; /* these two with CONFIG_IP_MULTIPLE_TABLES */
	bool fib_has_custom_rules;
	__u8 sysctl_ip_fwd_use_pmtu;
} OF_THE_KERNEL;

struct rt6_statistics___tn {
	__u32 fib_rt_entries;
} OF_THE_KERNEL;

struct fib_rules_ops___tn {
	unsigned int fib_rules_seq;
} OF_THE_KERNEL;

struct netns_ipv6___tn {
	struct rt6_statistics___tn *rt6_stats;
	struct {
		int counter;
	} fib6_sernum;
	unsigned int fib6_rules_require_fldissect; /* these with CONFIG_IPV6_MULTIPLE_TABLES */
	bool fib6_has_custom_rules;
	struct fib_rules_ops___tn *fib6_rules_ops;
} OF_THE_KERNEL;

struct net___tn {
	struct netns_ipv4___tn ipv4;
	struct netns_ipv6___tn ipv6;
	struct {
		unsigned int seq;
	} nexthop;
} OF_THE_KERNEL;

struct net_device___tn {
	struct {
		struct net___tn *net;
	} nd_net;
} OF_THE_KERNEL;

struct xdp_rxq_info___tn {
	struct net_device___tn *dev;
} OF_THE_KERNEL;

struct xdp_buff___tn {
	struct xdp_rxq_info___tn *rxq;
	__u32 flags;
} OF_THE_KERNEL;

struct sk_buff___tn {
	struct net_device___tn *dev;
	__u8 ip_summed : 2;
	__u32 vlan_all;
	__u16 csum_start;  /* from `head` on, as mac_header and network_header */
	__u16 csum_offset; /* of the field, from csum_start on */
	__u16 network_header;
	__u16 mac_header;
	unsigned char *head;
	unsigned char *data;
} OF_THE_KERNEL;

struct bpf_fib_lookup___tn {
	__u32 mark;
} OF_THE_KERNEL;

#define XDP_HAS_FRAGS 1 /* of xdp_buff's flags: XDP_FLAGS_HAS_FRAGS, include/net/xdp.h */

extern void *bpf_cast_to_kern_ctx(void *ctx) __weak __ksym;
extern void *bpf_rdonly_cast(const void *obj, __u32 type) __weak __ksym;

/* What the kernel has there is read as that structure of its, and as zero where nothing is. */
#define KERNEL_AT(at, type) \
	((const struct type *)bpf_rdonly_cast((at), bpf_core_type_id_kernel(struct type)))

static __always_inline const struct xdp_buff___tn *buff_of(void *xdp)
{
	return bpf_cast_to_kern_ctx(xdp);
}

static __always_inline struct xdp_rxq_info___tn *queue_of(void *xdp)
{
	return buff_of(xdp)->rxq;
}

#define CHECKSUM_PARTIAL 3 /* include/linux/skbuff.h */

/* Whether a checksum is left to the device: L4's, or one within a tunnel. */
static __always_inline bool is_left_to_device(const struct sk_buff___tn *skb)
{
	return BPF_CORE_READ_BITFIELD(skb, ip_summed) == CHECKSUM_PARTIAL;
}

/* A checksum that is left to the device, as offsets in the frame. */
struct left {
	bool any;
	__u32 start; /* from there on it is summed up, */
	__u32 field; /* and from there on this is where it is written */
};

static __always_inline struct left left_read(const struct sk_buff___tn *skb)
{
	return (struct left){ .any = is_left_to_device(skb),
			      .start = skb->csum_start - (skb->data - skb->head),
			      .field = skb->csum_offset };
}

/* The same before Linux 6.2: the context is the kernel's skb, whatever the verifier calls it. */
static __always_inline struct left left_probe(struct __sk_buff *ctx)
{
	const struct sk_buff___tn *skb = (void *)ctx;

	return (struct left){ .any = BPF_CORE_READ_BITFIELD_PROBED(skb, ip_summed) ==
				     CHECKSUM_PARTIAL,
			      .start = BPF_CORE_READ(skb, csum_start) -
				       (BPF_CORE_READ(skb, data) - BPF_CORE_READ(skb, head)),
			      .field = BPF_CORE_READ(skb, csum_offset) };
}

static __always_inline struct left left_of(struct __sk_buff *ctx)
{
	return tn_reads_kernel ? left_read(bpf_cast_to_kern_ctx(ctx)) : left_probe(ctx);
}

/* The namespace in which bpf_fib_lookup() looks. */
static __always_inline const struct net___tn *namespace_of(void *ctx, bool xdp)
{
	if (xdp)
		return queue_of(ctx)->dev->nd_net.net;
	return ((struct sk_buff___tn *)bpf_cast_to_kern_ctx(ctx))->dev->nd_net.net;
}

/* The same before Linux 6.2, as left_probe(). */
static __always_inline const struct net___tn *namespace_probe(void *ctx, bool xdp)
{
	const struct xdp_buff___tn *buff = ctx;
	const struct sk_buff___tn *skb = ctx;

	return xdp ? BPF_CORE_READ(buff, rxq, dev, nd_net.net)
		   : BPF_CORE_READ(skb, dev, nd_net.net);
}

/* `probe`, a constant: what is at that pointer cannot be read but by a copy. */
#define KERNEL_FIELD(at, field, probe) ((probe) ? BPF_CORE_READ(at, field) : (at)->field)

/*
 * How often the IPv4 routes of the namespace have changed, as far as the kernel counts it: by links
 * and addresses, too. The kernel raises its numbers after a change: of routes that it has asked
 * for, rules, addresses and links (rt_cache_flush()), and of next hops that are objects
 * (nh_base_seq_inc()). All of these only go up, and so does their sum.
 */
static __always_inline __u32 routes_changed(const struct net___tn *net, bool probe)
{
	return KERNEL_FIELD(net, ipv4.rt_genid.counter, probe) +
	       KERNEL_FIELD(net, nexthop.seq, probe);
}

/*
 * The same of IPv6, of which the kernel counts what is added (fib6_new_sernum()) and rules; what is
 * taken away is seen by how many routes there are.
 */
static __always_inline __u32 routes_changed_v6(const struct net___tn *net, bool probe)
{
	const struct rt6_statistics___tn *now = KERNEL_FIELD(net, ipv6.rt6_stats, probe);
	const struct fib_rules_ops___tn *rules = NULL;
	__u32 changed = KERNEL_FIELD(net, ipv6.fib6_sernum.counter, probe) * 0x9e3779b1U;

	if (bpf_core_field_exists(net->ipv6.fib6_rules_ops))
		rules = KERNEL_FIELD(net, ipv6.fib6_rules_ops, probe);
	if (now)
		changed += KERNEL_FIELD(now, fib_rt_entries, probe);
	if (rules)
		changed += KERNEL_FIELD(rules, fib_rules_seq, probe) * 0x85ebca6bU;
	return changed;
}

static __always_inline __u32 routes_seen(const struct net___tn *net, bool v4, bool probe)
{
	return v4 ? routes_changed(net, probe)
		  : routes_changed(net, probe) + routes_changed_v6(net, probe);
}

/* Either, of the context. */
static __always_inline __u32 route_gen_seen(void *ctx, bool xdp, bool v4)
{
	return tn_reads_kernel ? routes_seen(namespace_of(ctx, xdp), v4, false)
			       : routes_seen(namespace_probe(ctx, xdp), v4, true);
}

/*
 * Whether a rule asks for protocols or ports, and whether one of IPv6 asks for anything: without,
 * IPv6 packets are told apart by addresses and interfaces alone. Where it cannot be read they do.
 */
static __always_inline bool rules_ask_for_ports(void *ctx, bool xdp, bool v4)
{
	const struct net___tn *net;

	if (!tn_reads_kernel)
		return true;
	net = namespace_of(ctx, xdp);
	if (v4)
		return bpf_core_field_exists(net->ipv4.fib_rules_require_fldissect) &&
		       net->ipv4.fib_rules_require_fldissect;
	return bpf_core_field_exists(net->ipv6.fib6_rules_require_fldissect) &&
	       net->ipv6.fib6_rules_require_fldissect;
}

static __always_inline bool rules_of_ipv6(void *ctx, bool xdp)
{
	const struct net___tn *net;

	if (!tn_reads_kernel)
		return true;
	net = namespace_of(ctx, xdp);
	return bpf_core_field_exists(net->ipv6.fib6_has_custom_rules) &&
	       net->ipv6.fib6_has_custom_rules;
}

/*
 * The generation of the IPv4 routes: as long as it is the same, what fib_route() says for a packet
 * depends on nothing but its destination, and is what it was. 0: that cannot be said, because there
 * have been rules, which may ask for the source, or because the kernel forwards by path MTUs that
 * it learns (ip_forward_use_pmtu).
 *
 * What the kernel does not count, as a path MTU below the least that it takes (min_pmtu), is over
 * with TN_ROUTE_GEN_LIFE.
 */
static __always_inline __u32 route_gen_now(void *ctx, bool xdp)
{
	const struct net___tn *net;

	if (!tn_reads_kernel)
		return 0;
	net = namespace_of(ctx, xdp);
	if (net->ipv4.sysctl_ip_fwd_use_pmtu ||
	    (bpf_core_field_exists(net->ipv4.fib_has_custom_rules) &&
	     net->ipv4.fib_has_custom_rules))
		return 0;
	return routes_changed(net, false);
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the kernel would send a packet, by its routes, rules and neighbours, and whether that is a
 * route on which packets are translated: between the shared interface and an inside one.
 */
#ifndef TN_BPF_ROUTE_H
#define TN_BPF_ROUTE_H

#include <linux/errno.h>
#include <linux/pkt_cls.h>

#include "kernel.h"
#include "parse.h"
#include "policy.h"

/* AF_INET and AF_INET6; <sys/socket.h> cannot be had without a libc. */
enum { FAMILY_V4 = 2, FAMILY_V6 = 10 };

/* Global, so that the verifier follows the loop once. */
__noinline int tn_is_inside(__u32 ifindex)
{
	const struct tn_router_port *port = self_port(scratch_get());

	for (__u32 i = 0; port && i < TN_INSIDE_MAX; i++) {
		if (port->inside[i] && port->inside[i] == ifindex)
			return 1;
	}
	return 0;
}

__noinline int tn_is_raw(__u32 ifindex)
{
	const struct tn_router_port *port = self_port(scratch_get());

	for (__u32 i = 0; port && i < TN_INSIDE_MAX; i++) {
		if (port->self.raw & 1U << i && port->inside[i] == ifindex)
			return 1;
	}
	return 0;
}

/* Whether it is the VRF of inside interfaces, whose routes may lead anywhere. */
__noinline int tn_is_vrf(__u32 ifindex)
{
	const struct tn_router_port *port = self_port(scratch_get());

	for (__u32 i = 0; port && i < TN_INSIDE_MAX; i++) {
		if (port->self.raw & TN_VRF << i && port->inside[i] == ifindex)
			return 1;
	}
	return 0;
}

static __always_inline bool is_vrf(const struct scratch *w, __u32 ifindex)
{
	return w->self.raw >= TN_VRF && tn_is_vrf(ifindex);
}

/* Whether frames of that inside interface begin with the IP header: nobody has a MAC address. */
static __always_inline bool is_raw(const struct scratch *w, __u32 ifindex)
{
	return w->self.raw && tn_is_raw(ifindex);
}

/* From nobody. */
static __always_inline void fib_fill_to(struct bpf_fib_lookup *fib, __u32 ifindex,
					const struct tn_addr *to, __u32 len)
{
	__builtin_memset(fib, 0, sizeof(*fib));
	fib->ifindex = ifindex;
	fib->tot_len = len;
	if (is_v4_mapped(to->w)) {
		fib->family = FAMILY_V4;
		fib->ipv4_dst = to->w[3];
	} else {
		fib->family = FAMILY_V6;
		__builtin_memcpy(fib->ipv6_dst, to, sizeof(*to));
	}
}

static __always_inline void fib_fill_from(struct bpf_fib_lookup *fib, const struct tn_addr *from)
{
	if (fib->family == FAMILY_V4)
		fib->ipv4_src = from->w[3];
	else
		__builtin_memcpy(fib->ipv6_src, from, sizeof(*from));
}

static __always_inline void fib_fill(struct bpf_fib_lookup *fib, __u32 ifindex,
				     const struct tn_addr *from, const struct tn_addr *to,
				     __u32 len)
{
	fib_fill_to(fib, ifindex, to, len);
	fib_fill_from(fib, from);
}

/*
 * The kernel's route from `from` to `to` for a packet of `len` bytes (0: any) that came by that
 * interface: BPF_FIB_LKUP_RET_… Of routes with a TOS and of rules by other than addresses and
 * interfaces it knows nothing, for next hops are kept by addresses alone.
 */
static __always_inline long fib_route(void *ctx, __u32 ifindex, const struct tn_addr *from,
				      const struct tn_addr *to, __u32 len,
				      struct bpf_fib_lookup *fib)
{
	fib_fill(fib, ifindex, from, to, len);
	return bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
}

/*
 * Where the kernel looks for two ports, plus one, from the start of a header on; 0: nowhere. See
 * proto_ports_offset(), net/core/utils.c.
 */
static const __u8 ports_place[256] = {
	[IPPROTO_TCP] = 1, [IPPROTO_UDP] = 1,  [IPPROTO_UDPLITE] = 1, [IPPROTO_DCCP] = 1,
	[IPPROTO_ESP] = 1, [IPPROTO_SCTP] = 1, [IPPROTO_AH] = 5,
};

#define FLOWINFO 0x0fffffff /* RFC 8200, 3 */

/*
 * What the kernel sees of a packet that it looks for a route for, to w->keys: of a fragment no
 * ports, and of one of IPv6 the header behind that of the fragment (__skb_flow_dissect()). Of ports
 * that cannot be read it sees none either.
 */
static __always_inline bool keys_read(struct pkt *p, struct scratch *w)
{
	struct route_keys *keys = &w->keys;
	__u8 byte, place = ports_place[p->proto];

	__builtin_memset(keys, 0, sizeof(*keys));
	keys->proto = p->proto;
	if (!p->xdp)
		keys->mark = ((struct __sk_buff *)p->ctx)->mark;
	if (p->v4) {
		if (!pkt_load(p, ETH_HLEN + offsetof(struct iphdr, tos), &byte, sizeof(byte)))
			return false;
		keys->flow = byte;
	} else if (!pkt_load(p, ETH_HLEN, &keys->flow, sizeof(keys->flow))) {
		return false;
	}
	if (!p->v4)
		keys->flow &= bpf_htonl(FLOWINFO);
	if (p->fragment && !p->v4) {
		if (!pkt_load(p, p->fragment, &byte, sizeof(byte)))
			return false;
		keys->proto = byte;
	}
	if (place && !p->fragment)
		pkt_load(p, p->l4 + place - 1, &keys->ports, sizeof(keys->ports));
	return true;
}

#define FIB_LOOKUP_MARK (1U << 5) /* BPF_FIB_LOOKUP_MARK of Linux 6.10 */

/*
 * The same with all that routes and rules can ask for (w->keys), as the stack would send it. The
 * mark lies where the answer has the MAC addresses.
 */
static __always_inline long fib_route_by_keys(void *ctx, __u32 ifindex, const struct tn_addr *from,
					      const struct tn_addr *to, __u32 len,
					      struct scratch *w)
{
	const struct route_keys *keys = &w->keys;
	struct bpf_fib_lookup *fib = &w->fib;
	__u32 flags = 0;

	fib_fill(fib, ifindex, from, to, len);
	fib->l4_protocol = keys->proto;
	fib->sport = keys->ports[0];
	fib->dport = keys->ports[1];
	if (fib->family == FAMILY_V4)
		fib->tos = keys->flow;
	else
		fib->flowinfo = keys->flow;
	if (keys->mark && bpf_core_field_exists(struct bpf_fib_lookup___tn, mark)) {
		__builtin_memcpy(fib->smac, &keys->mark, sizeof(keys->mark));
		flags = FIB_LOOKUP_MARK;
	}
	return bpf_fib_lookup(ctx, fib, sizeof(*fib), flags);
}

/*
 * The same, in w->fib. Where routes are the same for all senders it is asked for nobody, which is
 * kept in w->for_nobody: so of several next hops each end has one, whoever sends to it.
 */
static __always_inline long fib_route_past(void *ctx, bool xdp, __u32 ifindex,
					   const struct tn_addr *from, const struct tn_addr *to,
					   __u32 len, struct scratch *w)
{
	struct tn_addr sender = {};

	w->for_nobody = is_v4_mapped(to->w) && route_gen_now(ctx, xdp);
	if (!w->for_nobody)
		sender = *from;
	return fib_route(ctx, ifindex, &sender, to, len, &w->fib);
}

/* To the VM at w->endpoints.fixed. */
static __always_inline long fib_route_in(void *ctx, bool xdp, __u32 len, struct scratch *w)
{
	return fib_route_past(ctx, xdp, w->self.ifindex, &w->endpoints.peer, &w->endpoints.fixed,
			      len, w);
}

enum leads {
	LEADS_RIGHT,   /* in by an inside interface, out by the shared one */
	LEADS_UNKNOWN, /* the same, but the kernel has to ask for the next hop first */
	LEADS_NOWHERE, /* to the router itself, or the kernel drops it, and says so if that is due
			*/
	LEADS_STOPPED, /* nothing is forwarded, and nobody told */
	LEADS_WRONG,   /* anywhere else */
};

static __always_inline enum leads leads(const struct scratch *w, long found,
					const struct bpf_fib_lookup *fib, bool out)
{
	switch (found) {
	case BPF_FIB_LKUP_RET_SUCCESS:
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		break;
	case BPF_FIB_LKUP_RET_UNSUPP_LWT: /* into a tunnel that the route names */
		return LEADS_WRONG;
	case BPF_FIB_LKUP_RET_FWD_DISABLED:
		return LEADS_STOPPED;
	default:
		return found < 0 ? LEADS_WRONG : LEADS_NOWHERE;
	}
	if (out ? fib->ifindex != w->self.ifindex
		: !tn_is_inside(fib->ifindex) || is_vrf(w, fib->ifindex))
		return LEADS_WRONG;
	return found == BPF_FIB_LKUP_RET_NO_NEIGH && !is_raw(w, fib->ifindex) ? LEADS_UNKNOWN
									      : LEADS_RIGHT;
}

/* The least length, so that the kernel says the MTU of the route, in scratch.fib.mtu_result. */
#define LEN_FOR_MTU 1

/*
 * Where the stack would send a packet between the ends in struct scratch with scratch.keys, `out`
 * from the VM, else to it: enum leads. The next hop is in scratch.fib.
 */
__noinline int tn_leads(struct __sk_buff *skb, __u32 out)
{
	struct scratch *w = scratch_get();
	long found;

	if (!w)
		return LEADS_WRONG;
	found = out ? fib_route_by_keys(skb, skb->ifindex, &w->endpoints.fixed, &w->endpoints.peer,
					LEN_FOR_MTU, w)
		    : fib_route_by_keys(skb, w->self.ifindex, &w->endpoints.peer,
					&w->endpoints.fixed, LEN_FOR_MTU, w);
	w->where = leads(w, found, &w->fib, out);
	return w->where;
}

/* The next hop that the kernel has said. A route of IPv4 can have one of IPv6 (RFC 8950). */
static __always_inline struct tn_addr fib_hop(const struct bpf_fib_lookup *fib)
{
	struct tn_addr hop;

	if (fib->family == FAMILY_V4)
		return addr_v4(fib->ipv4_dst);
	__builtin_memcpy(&hop, fib->ipv6_dst, sizeof(hop));
	return hop;
}

/* The same as bpf_redirect_neigh() takes it. */
static __always_inline void hop_of_fib(struct scratch *w)
{
	w->hop.nh_family = w->fib.family;
	if (w->fib.family == FAMILY_V4)
		w->hop.ipv4_nh = w->fib.ipv4_dst;
	else
		__builtin_memcpy(w->hop.ipv6_nh, w->fib.ipv6_dst, sizeof(w->hop.ipv6_nh));
}

#endif

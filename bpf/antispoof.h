/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether a frame comes from where its source address belongs. */
#ifndef TN_BPF_ANTISPOOF_H
#define TN_BPF_ANTISPOOF_H

#include "active.h"
#include "classify.h"
#include "forward.h"

/*
 * Whether a frame for w->endpoints.peer's router, which is one of this machine, would go to the MAC
 * address that a frame from it has, although that is not the router's own: over a gateway.
 */
static __always_inline int comes_by_gateway(struct pkt *p, struct scratch *w)
{
	struct tn_addr *peer = &w->endpoints.peer;
	struct bpf_fib_lookup *fib = &w->fib;
	bool v4 = is_v4_mapped(peer->w);
	struct tn_addr hop = {};
	__u8 mac[ETH_ALEN] __attribute__((aligned(2)));
	long found;

	__builtin_memset(fib, 0, sizeof(*fib));
	fib->ifindex = w->self.ifindex;
	fib->family = v4 ? FAMILY_V4 : FAMILY_V6;
	if (v4)
		fib->ipv4_dst = peer->w[3];
	else
		__builtin_memcpy(fib->ipv6_dst, peer, sizeof(*peer));
	found = bpf_fib_lookup(p->ctx, fib, sizeof(*fib), BPF_FIB_LOOKUP_OUTPUT);
	if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH)
		return false;
	/* the next hop, in the place of the destination */
	if (v4)
		hop = addr_v4(fib->ipv4_dst);
	else
		__builtin_memcpy(&hop, fib->ipv6_dst, sizeof(hop));
	if (addr_equal(&hop, peer))
		return false;
	return found == BPF_FIB_LKUP_RET_NO_NEIGH ||
	       (pkt_load(p, ETH_ALEN, mac, sizeof(mac)) && mac_equal(mac, fib->dmac));
}

/*
 * A frame with the address of another router of this machine, or of one of its VMs, comes from the
 * MAC address of that router, or from a gateway that leads there: nobody else on the shared
 * network can say that he is one of these tenants. Of a router that other hosts have as well,
 * nobody knows from where it comes.
 */
static __always_inline bool mac_is_spoofed(struct pkt *p, struct scratch *w, __u32 router)
{
	const struct tn_router_port *port = router_port(router);
	__u8 mac[ETH_ALEN] __attribute__((aligned(2)));

	if (!port || is_anywhere(port) || mac_is_unset(port->mac))
		return false;
	if (!pkt_load(p, ETH_ALEN, mac, sizeof(mac)))
		return true;
	return !mac_equal(mac, port->mac) && !comes_by_gateway(p, w);
}

/*
 * With `sources: loose` VMs send from anywhere, but not as the router: no route leads to an address
 * of its own. Nor does one to what nobody has.
 */
__noinline int tn_is_of_no_vm(struct __sk_buff *skb)
{
	struct scratch *w = scratch_get();

	return !w || fib_route(skb, skb->ifindex, &w->endpoints.peer, &w->endpoints.fixed, 0,
			       &w->fib) == BPF_FIB_LKUP_RET_NOT_FWDED;
}

/* Global, because there is little room on the stack. */
__noinline int tn_is_mac_spoofed_xdp(struct xdp_md *xdp, __u32 router)
{
	struct pkt p = { .ctx = xdp, .xdp = true };
	struct scratch *w = scratch_get();

	return !w || mac_is_spoofed(&p, w, router);
}

__noinline int tn_is_mac_spoofed_skb(struct __sk_buff *skb, __u32 router)
{
	struct pkt p = { .ctx = skb };
	struct scratch *w = scratch_get();

	return !w || mac_is_spoofed(&p, w, router);
}

static __always_inline bool is_mac_spoofed(struct pkt *p, const struct scratch *w, __u32 router)
{
	if (router == TN_ROUTER_ELSEWHERE || router == w->self.router || is_loose(w))
		return false;
	return p->xdp ? tn_is_mac_spoofed_xdp(p->ctx, router)
		      : tn_is_mac_spoofed_skb(p->ctx, router);
}

/* Whether the frame is forwarded from an interface that is no inside one; 0: it is the router's. */
static __always_inline bool comes_from_elsewhere(const struct pkt *p)
{
	__u32 ingress = ((struct __sk_buff *)p->ctx)->ingress_ifindex;

	return ingress && !tn_is_inside(ingress);
}

/* Whether the router has sent it itself, or a program has turned a frame into its answer. */
static __always_inline bool comes_from_router(const struct pkt *p, const struct scratch *w)
{
	__u32 ingress = ((struct __sk_buff *)p->ctx)->ingress_ifindex;

	return !ingress || ingress == w->self.ifindex;
}

/*
 * Of a datagram of IPv6 that it has put together for conntrack the kernel can make other fragments,
 * and then it forgets where that came in (ip6_copy_metadata()). So those of VMs are noted where
 * they come in, by what it does not forget, and nobody else makes use of. What the router has sent
 * itself has a socket.
 */
#define INSIDE_NOTE 0x7000 /* of skb->tc_index; below it is the router */
_Static_assert(TN_ROUTERS_MAX <= 0x1000, "the router is below INSIDE_NOTE");

static __always_inline void note_inside(const struct pkt *p, const struct scratch *w)
{
	if (p->fragment && !p->v4)
		((struct __sk_buff *)p->ctx)->tc_index = INSIDE_NOTE | w->self.router;
}

static __always_inline bool is_of_unknown_origin(const struct pkt *p, const struct scratch *w)
{
	struct __sk_buff *skb = p->ctx;

	return p->fragment && !p->v4 && !skb->ingress_ifindex && !skb->sk &&
	       skb->tc_index != (INSIDE_NOTE | w->self.router);
}

/* Of several next hops packets go to a VM past the stack by one: whether this came from there. */
__noinline int tn_comes_from_hop(struct __sk_buff *skb)
{
	__u8 mac[ETH_ALEN] __attribute__((aligned(2)));
	struct pkt p = { .ctx = skb };
	struct scratch *w = scratch_get();

	return w && fib_route_in(skb, false, 0, w) == BPF_FIB_LKUP_RET_SUCCESS && w->for_nobody &&
	       w->fib.ifindex == skb->ifindex && pkt_load(&p, ETH_ALEN, mac, sizeof(mac)) &&
	       mac_equal(mac, w->fib.dmac);
}

static __always_inline enum tn_verdict check_other_next_hop(struct pkt *p)
{
	if (tn_forward_fast && tn_comes_from_hop(p->ctx))
		return TN_GO_ON;
	return drop(p, TN_DROP_SPOOFED_SOURCE);
}

/*
 * Whether a packet came from where an answer to it would go: the same interface, and the
 * MAC address that the kernel knows the VM by (reverse path, RFC 3704, 2.2, down to the link).
 * So no VM sends as another one, nor as the router, to whose own addresses no route leads.
 * Whom the kernel does not know yet, anybody could be: the frame waits until he is asked for.
 */
static __always_inline enum tn_verdict check_route_back(struct pkt *p, struct scratch *w)
{
	struct __sk_buff *skb = p->ctx;
	struct bpf_fib_lookup *fib = &w->fib;
	__u8 mac[ETH_ALEN] __attribute__((aligned(2)));
	long found;

	found = fib_route(skb, w->self.ifindex, &w->endpoints.peer, &w->endpoints.fixed, 0, fib);
	if (found == -ENODEV) /* the shared interface is gone, and answers would come by none */
		found = fib_route(skb, skb->ifindex, &w->endpoints.peer, &w->endpoints.fixed, 0,
				  fib);
	switch (found) {
	case BPF_FIB_LKUP_RET_FWD_DISABLED: /* nothing is forwarded */
		return TN_GO_ON;
	case BPF_FIB_LKUP_RET_SUCCESS:
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		break;
	default:
		return drop(p, TN_DROP_SPOOFED_SOURCE);
	}
	if (fib->ifindex != skb->ifindex)
		return check_other_next_hop(p);
	if (is_feasible(w) || is_raw(w, skb->ifindex))
		return TN_GO_ON;
	if (found == BPF_FIB_LKUP_RET_NO_NEIGH) {
		struct tn_addr hop = fib_hop(fib);

		return tn_may_resolve(&hop) ? TN_HOLD : drop(p, TN_DROP_UNRESOLVED);
	}
	if (!pkt_load(p, ETH_ALEN, mac, sizeof(mac)))
		return drop(p, TN_DROP_INTERNAL);
	return mac_equal(mac, fib->dmac) ? TN_GO_ON : check_other_next_hop(p);
}

__noinline int tn_check_reverse_path(struct __sk_buff *skb)
{
	struct pkt p = { .ctx = skb };
	struct scratch *w = scratch_get();
	enum tn_verdict v = w ? check_route_back(&p, w) : drop(&p, TN_DROP_INTERNAL);

	return verdict_pack(&p, v);
}

static __always_inline enum tn_verdict check_reverse_path(struct pkt *p)
{
	return verdict_unpack(p, tn_check_reverse_path(p->ctx));
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Past the stack: what needs no more than translation goes from one interface to the other at once.
 * The kernel's own tables say where to (route_gen, rules, neighbours, path MTU), and whatever they
 * answer with an error, or with work to do, is left to the stack as it came: hop limits that end,
 * packets that are too large, options, local addresses, neighbours of another family.
 */
#ifndef TN_BPF_FORWARD_H
#define TN_BPF_FORWARD_H

#include <linux/udp.h>

#include "bound.h"
#include "resolve.h"

/* Of the byte whose first half is the length of a TCP header in words (RFC 9293, 3.1) */
#define TCP_WORDS_OFFSET 12

/*
 * The interface by which a packet of `len` bytes between the ends in struct scratch goes on past
 * the stack, from the VM with `out` and else to it; its next hop is in scratch.fib. 0: the stack
 * has to see to it, as to a neighbour whom the kernel does not know: it tells the sender if nobody
 * answers.
 */
__noinline int tn_route_on(struct __sk_buff *skb, __u32 len, __u32 out)
{
	struct scratch *w = scratch_get();
	long found;

	if (!w)
		return 0;
	found = out ? fib_route_past(skb, false, skb->ifindex, &w->endpoints.fixed,
				     &w->endpoints.peer, len, w)
		    : fib_route_in(skb, false, len, w);
	return found == BPF_FIB_LKUP_RET_SUCCESS && leads(w, found, &w->fib, out) == LEADS_RIGHT &&
			       !is_raw(w, w->fib.ifindex)
		       ? (int)w->fib.ifindex
		       : 0;
}

/*
 * The place for these ends. Where two have the same, the later one has it. VMs whose addresses are
 * neighbours are neighbours there as well, which makes few pages of memory of many of them.
 */
static __always_inline __u32 pair_place(const struct tn_addr *vm, const struct tn_addr *peer,
					__u32 to)
{
	__u32 own = bpf_ntohl(vm->w[3]);
	/* Fibonacci hashing */
	__u32 far = ((own >> TN_PAIRS_BITS) + bpf_ntohl(peer->w[3]) * 0x85ebca6bU) * 0x9e3779b1U >>
		    (32 - TN_PAIRS_BITS);
	__u32 place = ((own + far) & ((1U << TN_PAIRS_BITS) - 1)) | (to >> TN_PAIR_KIND)
									    << TN_PAIRS_BITS;

	return bpf_get_smp_processor_id() * TN_PAIRS + place;
}

static __always_inline struct tn_pair *pair_at(__u32 place)
{
	return bpf_map_lookup_elem(&pairs, &place);
}

static __always_inline struct tn_pair_v6 *pair_v6(__u32 place)
{
	return bpf_map_lookup_elem(&pairs_v6, &place);
}

static __always_inline __u32 pair_whose(__u32 router, bool v4, __u32 to, bool past)
{
	return router | to | (v4 ? TN_PAIR_V4 : 0) | (past ? TN_PAIR_PAST : 0);
}

static __always_inline bool begins_with(const struct tn_addr *a, const __be32 *words)
{
	return !((a->w[0] ^ words[0]) | (a->w[1] ^ words[1]) | (a->w[2] ^ words[2]));
}

static __always_inline bool pair_v6_is_of(__u32 place, const struct tn_addr *vm,
					  const struct tn_addr *peer)
{
	const struct tn_pair_v6 *rest = pair_v6(place);

	return rest && begins_with(vm, rest->vm) && begins_with(peer, rest->peer);
}

static __always_inline bool pair_is_of(const struct tn_pair *pair, __u32 place, __u32 router,
				       bool v4, const struct tn_addr *vm,
				       const struct tn_addr *peer, __u32 to, bool past,
				       __u32 ingress)
{
	return (pair->whose & ~TN_PAIR_XDP) == pair_whose(router, v4, to, past) &&
	       (!to || pair->link == ingress) && pair->vm == vm->w[3] && pair->peer == peer->w[3] &&
	       (v4 || pair_v6_is_of(place, vm, peer));
}

/* What replaces the VM's address. */
static __always_inline struct tn_addr pair_now(const struct tn_pair *pair, __u32 place, bool v4)
{
	const struct tn_pair_v6 *rest;

	if (v4)
		return addr_v4(pair->now);
	rest = pair_v6(place);
	return rest ? (struct tn_addr){ .w = { rest->now[0], rest->now[1], rest->now[2],
					       pair->now } }
		    : (struct tn_addr){};
}

/*
 * What a pair that goes into the stack, and needs no MAC addresses, is valid for, in their place.
 * It leads elsewhere by other route_gen, or for packets that routes and rules tell apart.
 */
struct pair_stack {
	__u32 route_gen; /* route_gen_seen() */
	__u32 flow;	 /* see course_stack() */
	__u32 ports;
};

_Static_assert(sizeof(struct pair_stack) == sizeof(((struct tn_pair *)0)->macs),
	       "it is all of them");

static __always_inline bool pair_stack_is(const struct tn_pair *pair, const struct pair_stack *now)
{
	struct pair_stack s;

	__builtin_memcpy(&s, pair->macs, sizeof(s));
	return !((s.route_gen ^ now->route_gen) | (s.flow ^ now->flow) | (s.ports ^ now->ports));
}

/* Whether a packet of `len` bytes from that MAC address may take it. */
static __always_inline bool pair_is_usable(const struct tn_pair *pair, __u32 len,
					   const __u8 *sender, const struct pair_stack *stack)
{
	return len <= pair->mtu && pair->expires > bpf_jiffies64() &&
	       mac_equal(sender, pair->sender) &&
	       (pair->whose & TN_PAIR_PAST || pair_stack_is(pair, stack));
}

/* Whether XDP can send to that interface: the loader knows. */
__noinline int tn_takes_xdp(__u32 ifindex)
{
	const struct tn_router_port *port = self_port(scratch_get());

	if (!port || !ifindex)
		return 0;
	for (int i = 0; i < TN_INSIDE_MAX; i++) {
		if (port->xmit[i] == ifindex)
			return 1;
	}
	return 0;
}

/* Whose it is, and who sends there. It is not said yet what becomes of it. */
static __always_inline void pair_begin(struct tn_pair *pair, __u32 place, bool v4,
				       const struct scratch *w, __u32 to, bool past, __u32 ingress,
				       const __u8 *sender)
{
	struct tn_pair_v6 *rest;
	const struct tn_addr *vm = to ? &w->endpoints.fixed : &w->endpoints.shared;
	const struct tn_addr *now = to ? &w->endpoints.shared : &w->endpoints.fixed;

	pair->expires = 0;
	pair->rule = 0;
	pair->vm = vm->w[3];
	pair->now = now->w[3];
	pair->peer = w->endpoints.peer.w[3];
	pair->whose = pair_whose(w->self.router, v4, to, past);
	pair->link = to ? ingress : 0;
	__builtin_memcpy(pair->sender, sender, sizeof(pair->sender));
	rest = v4 ? NULL : pair_v6(place);
	if (!rest)
		return;
	__builtin_memcpy(rest->vm, vm, sizeof(rest->vm));
	__builtin_memcpy(rest->now, now, sizeof(rest->now));
	__builtin_memcpy(rest->peer, &w->endpoints.peer, sizeof(rest->peer));
}

/*
 * When what the kernel has said is out of date. 0, at once: whom it does not know, and what has no
 * MAC addresses, it sees to itself.
 */
static __always_inline __u64 fib_until(const struct bpf_fib_lookup *fib)
{
	return mac_is_unset(fib->dmac) || mac_is_unset(fib->smac)
		       ? 0
		       : bpf_jiffies64() + tn_cache_ticks;
}

/* On as scratch.fib has it. */
static __always_inline void pair_keep_route(struct tn_pair *pair, const struct scratch *w)
{
	if (!(pair->whose >> TN_PAIR_KIND))
		pair->link = w->fib.ifindex;
	if (tn_takes_xdp(w->fib.ifindex))
		pair->whose |= TN_PAIR_XDP;
	pair->mtu = w->fib.mtu_result;
	__builtin_memcpy(pair->macs, w->fib.dmac, ETH_ALEN);
	__builtin_memcpy(pair->macs + ETH_ALEN, w->fib.smac, ETH_ALEN);
	pair->expires = fib_until(&w->fib);
}

/* On through the stack. */
static __always_inline void pair_keep_stack(struct tn_pair *pair, const struct pair_stack *stack)
{
	__builtin_memcpy(pair->macs, stack, sizeof(pair->macs));
	pair->mtu = 0xffff;
	pair->expires = bpf_jiffies64() + tn_cache_ticks;
}

/* The same to the VM, if its neighbour is known. */
__noinline int tn_route_on_xdp(struct xdp_md *xdp, __u32 len)
{
	struct scratch *w = scratch_get();
	long found;

	if (!w)
		return 0;
	found = fib_route_in(xdp, true, len, w);
	return found == BPF_FIB_LKUP_RET_SUCCESS &&
			       leads(w, found, &w->fib, false) == LEADS_RIGHT && goes_to_vm(w)
		       ? (int)w->fib.ifindex
		       : 0;
}

/* For tn_route_past(). */
#define WAY_PAST_OUT 1
#define WAY_PAST_V4  2

/*
 * The length of the IP packet, of a GSO frame that of its first segment; 0: of none that
 * can be told.
 */
static __always_inline __u32 wire_len(struct pkt *p)
{
	struct __sk_buff *skb = p->ctx;
	__u32 size = skb->gso_size, header = sizeof(struct udphdr);
	__u8 words;

	if (!size)
		return p->ip_bytes;
	if (p->proto == IPPROTO_TCP) {
		if (!pkt_load(p, p->l4 + TCP_WORDS_OFFSET, &words, sizeof(words)))
			return 0;
		header = (words >> 4) * 4;
	} else if (p->proto != IPPROTO_UDP) {
		return 0;
	}
	return p->l4 - ETH_HLEN + header + size;
}

static __always_inline bool has_hops_left(struct pkt *p)
{
	__u8 limit;

	return pkt_load(p,
			ETH_HLEN + (p->v4 ? offsetof(struct iphdr, ttl)
					  : offsetof(struct ipv6hdr, hop_limit)),
			&limit, sizeof(limit)) &&
	       limit > 1;
}

/* Neither options nor extension headers. */
static __always_inline bool is_bare(const struct pkt *p)
{
	return p->l4 == ETH_HLEN + (p->v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
}

/*
 * A card's sum of the whole frame (CHECKSUM_COMPLETE) would be wrong behind bpf_redirect_neigh(),
 * which puts other MAC addresses in front; the stack forgets it.
 */
static __always_inline bool is_summed(struct pkt *p)
{
	return (long)bpf_csum_update(p->ctx, 0) >= 0;
}

/* As ip_rcv() and ip6_rcv() do: what is behind the IP packet, padding above all, goes no further.
 */
static __always_inline bool trim(struct __sk_buff *skb, __u32 ip_bytes)
{
	__u32 len = ETH_HLEN + ip_bytes;

	return skb->len == len || !bpf_skb_change_tail(skb, len, 0);
}

/*
 * The interface by which the frame may go past the stack, and then it is as long as its packet; 0:
 * by none. `proto` is that of the header at `l4`. Global, so that the verifier follows its branches
 * once.
 */
__noinline int tn_route_past(struct __sk_buff *skb, __u32 l4, __u32 proto, __u32 ip_bytes,
			     __u32 flags)
{
	struct pkt p = { .ctx = skb, .l4 = l4, .proto = proto, .ip_bytes = ip_bytes };
	__u32 len, egress;

	p.v4 = flags & WAY_PAST_V4;
	/* the stack takes a priority tag off */
	if (!is_bare(&p) || !has_hops_left(&p) || is_summed(&p) | skb->vlan_present)
		return 0;
	len = wire_len(&p);
	egress = len ? tn_route_on(skb, len, flags & WAY_PAST_OUT) : 0;
	return egress && trim(skb, ip_bytes) ? egress : 0;
}

/* Sets p->egress when the frame may go past the stack, and takes its hop. */
static __always_inline bool forward_prepare(struct pkt *p, bool out)
{
	__u32 egress = tn_route_past(p->ctx, p->l4, p->proto, p->ip_bytes,
				     (p->v4 ? WAY_PAST_V4 : 0) | (out ? WAY_PAST_OUT : 0));

	pkt_reload(p);
	if (!egress)
		return false;
	p->len = ETH_HLEN + p->ip_bytes;
	p->egress = egress;
	p->hops = 1;
	return true;
}

/* The VM at scratch.endpoints.fixed has sent it to scratch.endpoints.peer. */
static __always_inline bool forward_out(struct pkt *p)
{
	return forward_prepare(p, true);
}

/* The other way round. */
static __always_inline void forward_in(struct pkt *p)
{
	forward_prepare(p, false);
}

/* To the next hop in scratch.fib. What leaves by the shared interface is marked as judged. */
static __always_inline int forward(struct __sk_buff *skb, __u32 egress)
{
	struct scratch *w = scratch_get();

	if (!w)
		return TC_ACT_SHOT;
	hop_of_fib(w);
	if (egress == w->self.ifindex)
		skb->mark = TN_FORWARD_MARK;
	return bpf_redirect_neigh(egress, &w->hop, sizeof(w->hop), 0);
}

/* The same by the pair cache. */
static __always_inline int forward_by(struct pkt *p, const struct tn_pair *pair)
{
	struct __sk_buff *skb = p->ctx;
	struct scratch *w = scratch_get();

	if (!w || !pkt_store(p, 0, pair->macs, sizeof(pair->macs)))
		return TC_ACT_SHOT;
	if (!(pair->whose >> TN_PAIR_KIND))
		return bpf_redirect(pair->link, 0);
	skb->mark = TN_FORWARD_MARK;
	return bpf_redirect(w->self.ifindex, 0);
}

#endif

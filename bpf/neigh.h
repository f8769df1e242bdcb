/* SPDX-License-Identifier: GPL-2.0-only */
/* ARP and neighbour discovery for addresses that the kernel does not own. */
#ifndef TN_BPF_NEIGH_H
#define TN_BPF_NEIGH_H

#include <linux/if_packet.h>

#include "active.h"
#include "resolve.h"

/* ARP over Ethernet for IPv4 (RFC 826); <linux/if_arp.h> cannot be had without a libc. */
struct arp_v4 {
	__be16 hrd;
	__be16 pro;
	__u8 hln;
	__u8 pln;
	__be16 op;
	__u8 sha[ETH_ALEN];
	__be32 spa;
	__u8 tha[ETH_ALEN];
	__be32 tpa;
} __attribute__((packed));

enum { ARP_ETHERNET = 1, ARP_REQUEST = 1, ARP_REPLY = 2 };

/* Neighbour solicitation and advertisement (RFC 4861, 4.3 and 4.4), with one link-layer address. */
struct nd {
	__u8 type;
	__u8 code;
	__sum16 check;
	__u32 flags;
	struct tn_addr target;
	__u8 option; /* only in what we send: RFC 4861, 4.6.1 */
	__u8 option_len;
	__u8 mac[ETH_ALEN];
} __attribute__((packed, aligned(4)));

struct nd_frame {
	__u8 pad[2]; /* so that all behind the Ethernet header is aligned */
	struct ethhdr eth;
	struct ipv6hdr ip;
	struct nd nd;
} __attribute__((packed, aligned(4)));

enum {
	ND_SOLICIT = 135,
	ND_ADVERT = 136,
	ND_REDIRECT = 137,
	ND_TARGET_MAC = 2,
};
#define ND_MIN	     8 /* bytes that every message of neighbour discovery has */
#define ND_SOLICITED 0x40000000
#define ND_OVERRIDE  0x20000000
/* Nobody forwards a packet with this hop limit and keeps it: it comes from the link (RFC
 * 4861, 3.1). */
#define ND_HOP_LIMIT 255

/* Too large for the stack. */
struct neigh_room {
	struct nd_frame advert;
	struct nd nd;
	struct arp_v4 arp;
	struct tn_addr sender; /* and the addresses of either */
	struct tn_addr target;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct neigh_room);
} neigh_rooms SEC(".maps");

static __always_inline struct neigh_room *neigh_room_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&neigh_rooms, &zero);
}

static __always_inline bool arp_load(struct pkt *p, struct arp_v4 *arp)
{
	return pkt_load(p, ETH_HLEN, arp, sizeof(*arp)) && arp->hrd == bpf_htons(ARP_ETHERNET) &&
	       arp->pro == bpf_htons(ETH_P_IP) && arp->hln == ETH_ALEN && arp->pln == 4;
}

/*
 * Who says that an address is at that MAC address, in a frame from there. Of a mapping or router of
 * this machine it is known, and nobody else can say so: else what is for one tenant would go to
 * whom another one is told. With `sources: loose` that is not known, nor of a router that other
 * hosts have as well, unless it is this one, and active.
 */
static __always_inline bool is_false_claim(struct pkt *p, const struct scratch *w,
					   const struct tn_addr *a, const __u8 *mac)
{
	const struct tn_shared *row = lookup_shared(a);
	__u8 from[ETH_ALEN] __attribute__((aligned(2)));
	const struct tn_router_port *port;
	__u32 router;

	if (!row || row->router == TN_ROUTER_ELSEWHERE)
		return false;
	router = row->router;
	if (router == w->self.router)
		return !is_standby(w);
	port = router_port(router);
	if (is_loose(w) || !port || is_anywhere(port) || mac_is_unset(port->mac))
		return false;
	return !pkt_load(p, ETH_ALEN, from, sizeof(from)) || !mac_equal(from, port->mac) ||
	       !mac_equal(mac, port->mac);
}

static __always_inline enum tn_verdict arp_answer(struct pkt *p, const struct scratch *w,
						  struct arp_v4 *arp)
{
	const struct tn_router_port *port = self_port(w);
	__be32 target = arp->tpa;
	struct ethhdr eth;

	if (!port)
		return drop(p, TN_DROP_INTERNAL);
	arp->op = bpf_htons(ARP_REPLY);
	__builtin_memcpy(arp->tha, arp->sha, ETH_ALEN);
	__builtin_memcpy(eth.h_dest, arp->sha, ETH_ALEN);
	arp->tpa = arp->spa;
	arp->spa = target;
	for (int i = 0; i < ETH_ALEN; i++)
		arp->sha[i] = eth.h_source[i] = port->mac[i];
	eth.h_proto = bpf_htons(ETH_P_ARP);
	if (!pkt_store(p, 0, &eth, sizeof(eth)) || !pkt_store(p, ETH_HLEN, arp, sizeof(*arp)))
		return drop(p, TN_DROP_INTERNAL);
	return TN_ANSWER;
}

/* The kernel gets to know the sender of what it answers; of all else it only hears again of some.
 */
static __always_inline enum tn_verdict arp_to_kernel(struct pkt *p, __u32 ifindex,
						     const struct neigh_room *room)
{
	const struct arp_v4 *arp = &room->arp;
	enum tn_verdict v;

	if (!arp->spa || arp->spa == arp->tpa || arp->op != bpf_htons(ARP_REQUEST))
		return TN_PASS;
	v = resolve_sender(p, ifindex, &room->sender);
	return v == TN_GO_ON ? TN_PASS : v;
}

/*
 * Whether a standby hears of, or is asked for, what it has in its tables: room's two addresses. Its
 * own does not count, which the kernel knows to have or not, but for is_over().
 */
__noinline int tn_is_warm(void)
{
	struct neigh_room *room = neigh_room_get();
	struct scratch *w = scratch_get();

	return !room || !w || lookup_our_mapping(w->self.router, &room->sender) ||
	       lookup_our_mapping(w->self.router, &room->target) ||
	       (is_over(w) && lookup_ours(w->self.router, &room->target));
}

/*
 * A request for one of this router's mapped addresses is answered, also a probe
 * for a duplicate (RFC 5227, sender address zero). Requests for addresses that
 * are not on the shared network are dropped: the kernel would answer them for any
 * address that it has on any interface. All else is the kernel's.
 */
static __always_inline enum tn_verdict arp_judge(struct pkt *p, const struct scratch *w,
						 struct neigh_room *room)
{
	struct tn_addr *sender = &room->sender, *target = &room->target;
	struct arp_v4 *arp = &room->arp;

	if (!arp_load(p, arp))
		return TN_PASS;
	*target = addr_v4(arp->tpa);
	*sender = addr_v4(arp->spa);
	if (arp->spa && !in_shared_subnets(sender))
		return drop(p, TN_DROP_FOREIGN_SOURCE);
	if (arp->spa && is_false_claim(p, w, sender, arp->sha))
		return drop(p, TN_DROP_SPOOFED_SOURCE);
	if (is_standby(w) && tn_is_warm())
		return drop(p, TN_DROP_STANDBY);
	if (arp->op == bpf_htons(ARP_REQUEST) && lookup_our_mapping(w->self.router, target))
		return arp_answer(p, w, arp);
	if (!in_shared_subnets(target))
		return drop(p, TN_DROP_DIRECT_TO_PRIVATE);
	return lookup_ours(w->self.router, target) ? arp_to_kernel(p, w->self.ifindex, room)
						   : TN_PASS;
}

/*
 * From inside, where the addresses are the tenant's own. All hosts that may be elected have the
 * gateway of the VMs, for which the elected one answers.
 */
static __always_inline enum tn_verdict arp_judge_inside(struct pkt *p, const struct scratch *w,
							struct neigh_room *room)
{
	struct tn_addr *sender = &room->sender;

	if (!arp_load(p, &room->arp))
		return TN_PASS;
	if (is_over(w) && room->arp.op == bpf_htons(ARP_REQUEST))
		return drop(p, TN_DROP_STANDBY);
	*sender = addr_v4(room->arp.spa);
	if (room->arp.spa && in_shared_subnets(sender))
		return drop(p, TN_DROP_SPOOFED_SOURCE);
	return arp_to_kernel(p, ((struct __sk_buff *)p->ctx)->ifindex, room);
}

__noinline int tn_arp_in(struct __sk_buff *skb)
{
	struct neigh_room *room = neigh_room_get();
	struct scratch *w = scratch_get();
	struct pkt p = { .ctx = skb };
	enum tn_verdict v = room && w ? arp_judge(&p, w, room) : drop(&p, TN_DROP_INTERNAL);

	return verdict_pack(&p, v);
}

__noinline int tn_arp_inside(struct __sk_buff *skb)
{
	struct neigh_room *room = neigh_room_get();
	struct scratch *w = scratch_get();
	struct pkt p = { .ctx = skb };
	enum tn_verdict v = room && w ? arp_judge_inside(&p, w, room) : drop(&p, TN_DROP_INTERNAL);

	return verdict_pack(&p, v);
}

/*
 * The kernel asks with the source of the packet that waits, if that is an address of its own. If it
 * is mapped it asks with the router's address on the shared network instead; else the packet would
 * not go out either.
 */
static __always_inline bool arp_ask_as_own(struct pkt *p, struct scratch *w, struct arp_v4 *arp,
					   const struct tn_addr *sender)
{
	if (((struct __sk_buff *)p->ctx)->ingress_ifindex || arp->op != bpf_htons(ARP_REQUEST) ||
	    !lookup_fixed(w->self.router, sender) || !tn_own_address(true) ||
	    addr_is_unset(&w->own))
		return false;
	bpf_csum_update(p->ctx, csum_fold32(csum_diff32(arp->spa, w->own.w[3])));
	arp->spa = w->own.w[3];
	return pkt_store(p, ETH_HLEN, arp, sizeof(*arp));
}

/*
 * What the router asks and answers itself must not tell the shared network a private address.
 * Nobody there answers when it asks for one of its own mapped addresses, which it does to send
 * an error about a hairpin: it gets the answer from here.
 */
static __always_inline enum tn_verdict arp_out(struct pkt *p, struct scratch *w)
{
	struct tn_addr sender, target;
	struct arp_v4 arp;
	enum tn_verdict v;

	if (!arp_load(p, &arp))
		return TN_PASS;
	sender = addr_v4(arp.spa);
	target = addr_v4(arp.tpa);
	if (!arp.spa)
		return TN_PASS;
	if (!in_shared_subnets(&sender) &&
	    (!in_shared_subnets(&target) || !arp_ask_as_own(p, w, &arp, &sender)))
		return drop(p, TN_DROP_UNTRANSLATED);
	if (arp.op != bpf_htons(ARP_REQUEST) || arp.spa == arp.tpa ||
	    !lookup_our_mapping(w->self.router, &target))
		return TN_PASS;
	if (is_standby(w))
		return drop(p, TN_DROP_STANDBY);
	v = arp_answer(p, w, &arp);
	return v == TN_ANSWER ? TN_TURN_BACK : v;
}

static __always_inline bool nd_load(struct pkt *p, struct nd *nd)
{
	__u8 limit;

	return p->l4_len >= offsetof(struct nd, option) &&
	       pkt_load(p, ETH_HLEN + offsetof(struct ipv6hdr, hop_limit), &limit, sizeof(limit)) &&
	       limit == ND_HOP_LIMIT && pkt_load(p, p->l4, nd, offsetof(struct nd, option));
}

static __always_inline __u16 nd_checksum(const struct nd_frame *f)
{
	struct {
		struct tn_addr src, dst;
		__be32 len;
		__be32 proto;
	} pseudo = { .len = bpf_htonl(sizeof(f->nd)), .proto = bpf_htonl(IPPROTO_ICMPV6) };
	__s64 sum;

	__builtin_memcpy(&pseudo.src, &f->ip.saddr, sizeof(pseudo.src));
	__builtin_memcpy(&pseudo.dst, &f->ip.daddr, sizeof(pseudo.dst));
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&pseudo, sizeof(pseudo), 0);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&f->nd, sizeof(f->nd), sum);
	return ~csum_fold16((__u32)sum);
}

/*
 * Makes of a frame the advertisement to a solicitation of `from`, or to everybody when it was a
 * probe for a duplicate (RFC 4862, 5.4; RFC 4861, 7.2.4). It overrides what
 * neighbours remember: nobody but this router has the address. Global, because
 * there is little room on the stack of the programs.
 */
__noinline int tn_nd_advertise(struct __sk_buff *skb, const struct tn_addr *from,
			       const struct tn_addr *target)
{
	const struct tn_router_port *port = self_port(scratch_get());
	struct pkt p = { .ctx = skb };
	struct neigh_room *room = neigh_room_get();
	struct nd_frame *f;
	bool probe;

	if (!port || !room || !from || !target)
		return 0;
	f = &room->advert;
	__builtin_memset(f, 0, sizeof(*f));
	probe = addr_is_unspecified(from, false);
	f->eth.h_proto = bpf_htons(ETH_P_IPV6);
	f->ip.version = 6;
	f->ip.payload_len = bpf_htons(sizeof(f->nd));
	f->ip.nexthdr = IPPROTO_ICMPV6;
	f->ip.hop_limit = ND_HOP_LIMIT;
	f->nd.type = ND_ADVERT;
	f->nd.flags = bpf_htonl(probe ? ND_OVERRIDE : ND_SOLICITED | ND_OVERRIDE);
	f->nd.target = *target;
	f->nd.option = ND_TARGET_MAC;
	f->nd.option_len = 1;
	__builtin_memcpy(&f->ip.saddr, target, sizeof(*target));
	if (probe) {
		f->eth.h_dest[0] = f->eth.h_dest[1] = 0x33;
		f->eth.h_dest[5] = 1;
		f->ip.daddr.in6_u.u6_addr8[0] = 0xff;
		f->ip.daddr.in6_u.u6_addr8[1] = 2;
		f->ip.daddr.in6_u.u6_addr8[15] = 1;
	} else {
		__builtin_memcpy(&f->ip.daddr, from, sizeof(*from));
		if (!pkt_load(&p, ETH_ALEN, f->eth.h_dest, ETH_ALEN))
			return 0;
	}
	for (int i = 0; i < ETH_ALEN; i++)
		f->nd.mac[i] = f->eth.h_source[i] = port->mac[i];
	f->nd.check = nd_checksum(f);
	return !bpf_skb_change_tail(skb, sizeof(*f) - sizeof(f->pad), 0) &&
	       pkt_store(&p, 0, &f->eth, sizeof(*f) - sizeof(f->pad));
}

static __always_inline enum tn_verdict nd_answer(struct pkt *p, const struct tn_addr *from,
						 const struct tn_addr *target)
{
	return tn_nd_advertise(p->ctx, from, target) ? TN_ANSWER : drop(p, TN_DROP_INTERNAL);
}

/*
 * Whether a solicitation or advertisement says of an address of this machine that it is elsewhere.
 * Its options count as a whole: the MAC address has to be the only one.
 */
static __always_inline bool nd_is_false_claim(struct pkt *p, const struct scratch *w,
					      struct neigh_room *room)
{
	const struct nd *nd = &room->nd;
	const struct tn_addr *about = nd->type == ND_ADVERT ? &room->target : &room->sender;
	const struct tn_shared *row = lookup_shared(about);
	__u32 options = p->l4_len - offsetof(struct nd, option);
	const struct tn_router_port *port;

	/* what the kernel asks before it takes an address of its own, it has to hear */
	if (row && row->router == w->self.router)
		return !is_standby(w) && !(nd->type == ND_ADVERT && row->flags & TN_SHARED_OWN);
	if (!row || row->router == TN_ROUTER_ELSEWHERE || is_loose(w))
		return false;
	port = router_port(row->router);
	if (port && is_anywhere(port))
		return false;
	if (!options) /* then the frame itself says so */
		return !pkt_load(p, ETH_ALEN, room->nd.mac, ETH_ALEN) ||
		       is_false_claim(p, w, about, nd->mac);
	return options != sizeof(*nd) - offsetof(struct nd, option) ||
	       !pkt_load(p, p->l4, &room->nd, sizeof(*nd)) || is_false_claim(p, w, about, nd->mac);
}

/* What is for the kernel: to the link, or to an address of this router itself. */
static __always_inline enum tn_verdict nd_to_kernel(struct pkt *p, const struct scratch *w,
						    const struct tn_addr *dst)
{
	bool group = ((struct __sk_buff *)p->ctx)->pkt_type != PACKET_HOST;
	const struct tn_shared *ours;

	if ((group && addr_is_multicast(dst, false)) || addr_is_link_local(dst, false))
		return TN_PASS;
	ours = lookup_ours(w->self.router, dst);
	if (ours && ours->flags & TN_SHARED_OWN)
		return TN_PASS;
	return drop(p, in_shared_subnets(dst) ? TN_DROP_UNMAPPED : TN_DROP_DIRECT_TO_PRIVATE);
}

/*
 * Neighbour discovery of the shared network: from the link, by senders of the link, and true as far
 * as this machine knows. A solicitation for one of this router's mapped addresses, to its group or
 * to the address itself, is answered; all else is the kernel's, or nobody's. TN_GO_ON: the former.
 */
static __always_inline enum tn_verdict nd_judge(struct pkt *p, const struct scratch *w,
						struct neigh_room *room)
{
	struct tn_addr *src = &room->sender, *target = &room->target;
	bool unspecified = addr_is_unspecified(src, false);
	struct nd *nd = &room->nd;

	if (!pkt_load(p, p->l4, nd, ND_MIN))
		return drop(p, TN_DROP_MALFORMED);
	if (nd->type == ND_REDIRECT)
		return drop(p, TN_DROP_ICMP_REDIRECT);
	if (!unspecified && !addr_is_link_local(src, false) && !in_shared_subnets(src))
		return drop(p, TN_DROP_FOREIGN_SOURCE);
	if (nd->type != ND_SOLICIT && nd->type != ND_ADVERT)
		return unspecified ? TN_GO_ON : resolve_sender(p, w->self.ifindex, src);
	if (!nd_load(p, nd) || nd->code)
		return drop(p, TN_DROP_MALFORMED);
	*target = nd->target;
	if (nd_is_false_claim(p, w, room))
		return drop(p, TN_DROP_SPOOFED_SOURCE);
	if (is_standby(w) && tn_is_warm())
		return drop(p, TN_DROP_STANDBY);
	if (nd->type == ND_ADVERT)
		return TN_GO_ON;
	if (lookup_our_mapping(w->self.router, target))
		return nd_answer(p, src, target);
	return unspecified || !lookup_ours(w->self.router, target)
		       ? TN_GO_ON
		       : resolve_sender(p, w->self.ifindex, src);
}

/* From w->endpoints.peer, with its header at `l4`, of `len` bytes. */
__noinline int tn_nd_in(struct __sk_buff *skb, __u32 l4, __u32 len)
{
	struct scratch *w = scratch_get();
	struct pkt p = { .ctx = skb, .l4 = l4, .l4_len = len };
	struct neigh_room *room = neigh_room_get();
	enum tn_verdict v;

	if (!w || !room) {
		v = drop(&p, TN_DROP_INTERNAL);
	} else {
		room->sender = w->endpoints.peer;
		v = nd_judge(&p, w, room);
		if (v == TN_GO_ON)
			v = nd_to_kernel(&p, w, &w->endpoints.shared);
	}
	return verdict_pack(&p, v);
}

static __always_inline enum tn_verdict nd_in(struct pkt *p)
{
	return verdict_unpack(p, tn_nd_in(p->ctx, p->l4, p->l4_len));
}

/*
 * Whether what goes to w->endpoints.peer is for the shared network, and not for this router.
 * Global, because there is little room on the stack.
 */
__noinline int tn_nd_leaves(void)
{
	struct scratch *w = scratch_get();
	const struct tn_shared *ours;

	if (!w || !in_shared_subnets(&w->endpoints.peer))
		return 0;
	ours = lookup_ours(w->self.router, &w->endpoints.peer);
	return !(ours && ours->flags & TN_SHARED_OWN);
}

static __always_inline bool nd_is_solicitation(struct pkt *p)
{
	__u8 type;

	return pkt_load(p, p->l4, &type, sizeof(type)) && type == ND_SOLICIT;
}

/*
 * The same from inside, where the addresses are the tenant's own. It is of the link (RFC 4861), but
 * the kernel would forward it, with whatever source: what is for the shared network is dropped.
 */
static __always_inline enum tn_verdict nd_inside(struct pkt *p, const struct scratch *w)
{
	struct tn_addr src = w->endpoints.fixed;
	enum tn_verdict v;

	if (tn_nd_leaves())
		return drop(p, TN_DROP_MALFORMED);
	if (is_over(w) && nd_is_solicitation(p))
		return drop(p, TN_DROP_STANDBY);
	if (addr_is_unspecified(&src, false))
		return TN_PASS;
	v = resolve_sender(p, ((struct __sk_buff *)p->ctx)->ifindex, &src);
	return v == TN_GO_ON ? TN_PASS : v;
}

/* A solicitation of this router itself for one of its own mapped addresses, as in arp_out(). */
static __always_inline enum tn_verdict nd_out(struct pkt *p, const struct scratch *w)
{
	struct tn_addr src = pkt_copy(&p->src), target;
	enum tn_verdict v;
	struct nd nd;

	if (!nd_load(p, &nd) || nd.type != ND_SOLICIT || nd.code)
		return TN_PASS;
	target = nd.target;
	if (!lookup_our_mapping(w->self.router, &target))
		return TN_PASS;
	if (is_standby(w))
		return drop(p, TN_DROP_STANDBY);
	v = nd_answer(p, &src, &target);
	return v == TN_ANSWER ? TN_TURN_BACK : v;
}

/* Whether a frame to the shared network is an advertisement that nd_answer() made. */
static __always_inline bool nd_is_ours(struct pkt *p)
{
	struct nd nd;

	return nd_load(p, &nd) && nd.type == ND_ADVERT;
}

#endif

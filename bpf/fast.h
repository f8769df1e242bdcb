/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fast path, which nearly every packet takes: TCP or UDP in an IPv4 packet without options or
 * an IPv6 packet without extension headers, whole, in a frame of its own length, with more than one
 * hop to go, between ends that the tables know, while nobody watches. It is judged here with as
 * little as that takes, and less when the one before was like it: see struct tn_pair. These files
 * can only say yes: at any doubt the packet is not for it, nothing has been changed, and the others
 * judge from the start. One file: its parts have no other use, and are read from the top down.
 */
#ifndef TN_BPF_FAST_H
#define TN_BPF_FAST_H

#include "action.h"
#include "cache.h"
#include "fast_parse.h"

/* What became of a packet that was tried on the quick path. */
enum quick {
	QUICK_MISS,  /* nothing: it is as it came, and judged from the start */
	QUICK_DONE,  /* it is decided */
	QUICK_TO_TC, /* XDP only: it is as it came, and tc knows better */
};

/* Then every packet may have to be told. */
static __always_inline bool is_watched(void)
{
	__u64 until = watch.expires;

	return until && until > bpf_ktime_get_ns();
}

/* Whether the shared network's end of it is known as one that may send from there. */
static __always_inline bool fast_peer(struct pkt *p, struct scratch *w, bool came_in)
{
	const struct tn_shared *peer = lookup_shared(&w->endpoints.peer);

	if (!peer && tn_place_in_subnets(&w->endpoints.peer) != SUBNET_HOST)
		return false;
	if (peer && peer->router == w->self.router)
		return false;
	if (peer && came_in && is_mac_spoofed(p, w, peer->router))
		return false;
	endpoints_know_peer(&w->endpoints, peer);
	return true;
}

/* The route of a frame that XDP is to send on itself. */
static __always_inline bool fast_ask_xdp(struct pkt *p, struct scratch *w, struct tn_pair *pair)
{
	__u32 egress = tn_route_on_xdp(p->ctx, p->ip_bytes);

	if (!egress)
		return false;
	pair_keep_route(pair, w);
	return pair->expires && pair->whose & TN_PAIR_XDP;
}

/* Where a packet goes, and who it is from, with what was found out so far. */
struct course {
	__u32 to;		 /* TN_PAIR_… */
	bool past;		 /* the stack */
	bool mine;		 /* `pair` is its own already, */
	bool usable;		 /* and not out of date */
	__u32 place;		 /* the place for it, */
	struct tn_pair *pair;	 /* and what is there */
	__u32 ingress;		 /* of what comes from a VM; 0: the router itself has sent it */
	__u64 seq;		 /* table_seq_now(), */
	__u32 route_gen;	 /* and past the stack route_gen_now() of IPv4; */
	struct pair_stack stack; /* into it that */
};

/* The TOS of IPv4, or what stands for it; see struct route_keys. */
static __always_inline __be32 fast_flow(const struct pkt *p)
{
	const struct iphdr *ip = p->data + ETH_HLEN;
	__be32 first;

	if ((void *)(ip + 1) > p->data_end)
		return 0;
	if (p->v4)
		return ip->tos;
	__builtin_memcpy(&first, ip, sizeof(first));
	return first & bpf_htonl(FLOWINFO);
}

static __always_inline void fast_keys(const struct pkt *p, const struct fast_packet *q,
				      struct scratch *w)
{
	w->keys = (struct route_keys){ .flow = fast_flow(p),
				       .ports = { bpf_htons(q->sport), bpf_htons(q->dport) },
				       .proto = p->proto };
}

#define TOS_OF_ROUTES 0xfc /* without ECN (RFC 2474): no route or rule asks for that */
#define FLOW_PROTO    28   /* bits below the protocol in pair_stack.flow */

/*
 * What tells packets between the same ends apart for the stack: the TOS for any IPv4 route, of IPv6
 * for rules alone, which most routers do not have; ports, and the protocol above the TOS, where a
 * rule asks for any.
 */
static __always_inline void course_stack(const struct pkt *p, const struct fast_packet *q,
					 struct course *c)
{
	c->stack = (struct pair_stack){ .route_gen = route_gen_seen(p->ctx, p->xdp, p->v4) };
	if (c->to == TN_PAIR_OUT)
		return; /* it has been there */
	if (p->v4)
		c->stack.flow = fast_flow(p) & TOS_OF_ROUTES;
	else if (rules_of_ipv6(p->ctx, p->xdp))
		c->stack.flow = bpf_ntohl(fast_flow(p));
	if (rules_ask_for_ports(p->ctx, p->xdp, p->v4)) {
		c->stack.flow |= (__u32)q->class << FLOW_PROTO;
		c->stack.ports = q->sport | (__u32)q->dport << 16;
	}
}

static __always_inline bool course_begin(struct pkt *p, const struct fast_packet *q, __u32 router,
					 struct course *c)
{
	const struct tn_addr *vm = c->to ? &p->src : &p->dst, *peer = c->to ? &p->dst : &p->src;
	const struct ethhdr *eth = p->data;

	c->stack = (struct pair_stack){ 0 };
	if (!c->past)
		course_stack(p, q, c);
	c->place = pair_place(vm, peer, c->to);
	c->pair = pair_at(c->place);
	if (!c->pair || (void *)(eth + 1) > p->data_end)
		return false;
	c->mine =
		pair_is_of(c->pair, c->place, router, p->v4, vm, peer, c->to, c->past, c->ingress);
	c->usable = c->mine && pair_is_usable(c->pair, p->ip_bytes, eth->h_source, &c->stack);
	return true;
}

/* The service that a rule of the VM's tenant is asked for. */
static __always_inline __u32 fast_service(const struct fast_packet *q, __u32 to)
{
	return (__u32)q->class << 16 | (to ? q->sport : q->dport);
}

/* As policy_in() and policy_out() do; makes the flow only when the packet goes on. */
static __always_inline bool fast_may_come_in(struct pkt *p, const struct fast_packet *q,
					     const struct course *c)
{
	p->rule = tn_peer_rule(fast_service(q, c->to), c->seq);
	return p->rule || tn_flow_lives(p->proto, flow_ports(q->sport, q->dport));
}

static __always_inline bool fast_may_go_out(struct pkt *p, struct scratch *w,
					    const struct fast_packet *q, const struct course *c)
{
	p->rule = tn_peer_rule(fast_service(q, c->to), c->seq);
	if (p->rule)
		return true;
	if (w->endpoints.peer_flags & TN_SHARED_JUDGED && !tn_rule(true, q->class, q->dport))
		return false;
	return tn_flow_refresh(p->proto | (__u32)q->class << 8, flow_ports(q->dport, q->sport),
			       q->tcp);
}

/* A pair that is not out of date is not older than 32 bits of changes. */
static __always_inline bool pair_is_current(const struct tn_pair *pair, __u64 seq)
{
	return is_current(pair->seq, (__u32)seq);
}

/* Whether all that is to be known about the packet was found for the one before. */
static __always_inline bool is_known(const struct course *c, const struct fast_packet *q)
{
	const struct tn_pair *pair = c->pair;

	return c->usable && pair->rule && pair_is_current(pair, c->seq) &&
	       (pair->service == TN_SERVICE_ANY || pair->service == fast_service(q, c->to));
}

/*
 * Whether what has no cached route is to go through the kernel: that alone keeps its neighbours
 * alive. It does when the pair or its hop is due to be asked for, and in one tick of so many when
 * neither was kept.
 */
#define KERNELS_TICKS 64
static __always_inline bool is_kernels(const struct pkt *p, const struct course *c,
				       const struct tn_hop *hop)
{
	__u32 pair = bpf_ntohl(p->src.w[3]) ^ bpf_ntohl(p->dst.w[3]);

	return c->mine || (hop && hop_is_due(hop)) || (pair ^ bpf_jiffies64()) % KERNELS_TICKS == 0;
}

enum reverse_path {
	REVERSE_NONE,
	REVERSE_OPEN, /* it may, but the next one has to ask again */
	REVERSE_KNOWN,
};

/*
 * Whether the VM has sent the frame: see check_reverse_path(). It is asked first for nobody, with a
 * length, so that the kernel tells the MTU and a hop can be kept.
 */
__noinline int tn_reverse_path(struct __sk_buff *skb)
{
	__u8 mac[ETH_ALEN] __attribute__((aligned(2)));
	struct pkt p = { .ctx = skb };
	struct scratch *w = scratch_get();

	if (!w || !pkt_load(&p, ETH_ALEN, mac, sizeof(mac)))
		return REVERSE_NONE;
	if (fib_route_in(skb, false, 1, w) == BPF_FIB_LKUP_RET_SUCCESS &&
	    w->fib.ifindex == skb->ifindex && mac_equal(mac, w->fib.dmac))
		return REVERSE_KNOWN;
	if (check_reverse_path(&p) != TN_GO_ON)
		return REVERSE_NONE;
	w->for_nobody = false;
	return is_feasible(w) || mac_equal(mac, w->fib.dmac) ? REVERSE_KNOWN : REVERSE_OPEN;
}

/*
 * The route of a frame past the stack, as the kernel says now; what it has said well enough is kept
 * in its pair. 0: it cannot go so.
 */
static __always_inline __u32 fast_ask(struct pkt *p, struct scratch *w, const struct course *c)
{
	int back = REVERSE_KNOWN;
	bool out = c->to;
	__u32 egress;

	if (is_summed(p))
		return 0;
	if (out && !is_loose(w)) {
		back = tn_reverse_path(p->ctx);
		if (back == REVERSE_NONE)
			return 0;
		if (back == REVERSE_KNOWN && c->route_gen)
			tn_keep_hop_in(c->seq, c->route_gen, true);
	}
	egress = tn_route_on(p->ctx, p->ip_bytes, out);
	if (!egress)
		return 0;
	if (back == REVERSE_KNOWN)
		pair_keep_route(c->pair, w);
	return egress;
}

/* The hop of the end that it goes to, be it out of date. */
static __always_inline const struct tn_hop *course_hop(const struct pkt *p, const struct scratch *w,
						       struct course *c)
{
	const struct ethhdr *eth = p->data;
	struct tn_record *r;
	int place;

	if (!c->past || (void *)(eth + 1) > p->data_end)
		return NULL;
	c->route_gen = p->v4 ? route_gen_now(p->ctx, p->xdp) : 0;
	if (!c->route_gen)
		return NULL;
	if (c->to) {
		place = tn_hop_out(c->seq, c->route_gen, c->ingress, mac_word(eth->h_source));
		return place ? hop_at(place - 1) : NULL;
	}
	r = cached_mapping(w, c->seq);
	return r ? cached_hop(&r->cached, c->route_gen) : NULL;
}

/*
 * Whether the stack may have it: it goes where packets are translated to, or comes from there. What
 * it goes to is known, and where answers to it go. What becomes unknown, or too narrow, while this
 * holds, the stack answers.
 */
static __always_inline bool fast_leads(struct pkt *p, struct scratch *w,
				       const struct fast_packet *q, const struct course *c)
{
	if (c->to)
		return !c->ingress || tn_is_inside(c->ingress);
	if (p->xdp)
		return tn_stack_leads_xdp(p->ctx, p->l4, p->fragment,
					  stack_ask(p, false, true) | STACK_ANY) == LEADS_RIGHT;
	fast_keys(p, q, w);
	return tn_leads(p->ctx, false) == LEADS_RIGHT && answers_stay(p->ctx, false);
}

/* Whether what is kept is for XDP, too: past the stack it sends to few interfaces itself. */
static __always_inline bool is_for_hook(const struct pkt *p, const struct course *c)
{
	return !p->xdp || !c->past || c->pair->whose & TN_PAIR_XDP;
}

/* Past the stack, where that is to be. QUICK_DONE: by *by, or by p->egress. */
static __always_inline enum quick fast_route(struct pkt *p, struct scratch *w,
					     const struct fast_packet *q, struct course *c,
					     const struct tn_pair **by)
{
	const struct ethhdr *eth = p->data;
	struct tn_pair *pair = c->pair;
	const struct tn_hop *hop;
	struct tn_addr now;
	bool kernels;

	if ((void *)(eth + 1) > p->data_end)
		return QUICK_MISS;
	p->hops = c->past;
	now = pair_now(pair, c->place, p->v4);
	/* its mapping may be another one by now, or another VM's */
	if (c->usable &&
	    (!(w->endpoints.flags & TN_SHARED_BOUND) || pair_is_current(pair, c->seq)) &&
	    addr_equal(&now, c->to ? &w->endpoints.shared : &w->endpoints.fixed)) {
		if (c->past)
			*by = pair;
		return is_for_hook(p, c) ? QUICK_DONE : QUICK_TO_TC;
	}
	hop = course_hop(p, w, c);
	if (hop && (!c->to || w->src_valid_until) &&
	    hop_is_usable(hop, p->ip_bytes, bpf_jiffies64())) {
		pair_begin(pair, c->place, p->v4, w, c->to, c->past, c->ingress, eth->h_source);
		pair_keep_hop(pair, hop);
		if (c->to && pair->expires > w->src_valid_until)
			pair->expires = w->src_valid_until;
		*by = pair;
		return p->xdp && !hop->xdp ? QUICK_TO_TC : QUICK_DONE;
	}
	kernels = is_kernels(p, c, hop);
	if (p->xdp && c->past && kernels)
		return QUICK_TO_TC;
	if (!c->past && !fast_leads(p, w, q, c))
		return QUICK_MISS;
	pair_begin(pair, c->place, p->v4, w, c->to, c->past, c->ingress, eth->h_source);
	if (!c->past) {
		pair_keep_stack(pair, &c->stack);
		return QUICK_DONE;
	}
	if (p->xdp) {
		*by = pair;
		if (!fast_ask_xdp(p, w, pair))
			return QUICK_TO_TC;
	} else {
		p->egress = fast_ask(p, w, c);
		if (!p->egress)
			return QUICK_MISS;
		if (pair->expires && !kernels)
			*by = pair;
	}
	if (c->route_gen && c->to)
		tn_keep_hop_out(c->route_gen, c->ingress);
	else if (c->route_gen)
		tn_keep_hop_in(c->seq, c->route_gen, false);
	return QUICK_DONE;
}

/* Keep what accepted the packet, for those that come behind it, if it has no end. */
static __always_inline void course_keep(const struct course *c, const struct pkt *p,
					const struct scratch *w, const struct fast_packet *q,
					__u32 record)
{
	struct tn_pair *pair = c->pair;

	pair->rule = w->ends ? 0 : p->rule;
	pair->service = w->any_service ? TN_SERVICE_ANY : fast_service(q, c->to);
	pair->record = record;
	pair->seq = c->seq;
}

static __always_inline enum tn_verdict fast_translate(struct pkt *p, const struct course *c,
						      const struct tn_addr *now, __u32 record)
{
	enum tn_verdict v = nat_rewrite(p, c->to ? TN_SRC : TN_DST, now);

	if (v == TN_TRANSLATED && c->to)
		count_out(p, record_there(record));
	else if (v == TN_TRANSLATED)
		count_in(p, record_there(record));
	return v;
}

static __always_inline enum tn_verdict fast_known(struct pkt *p, const struct course *c,
						  const struct tn_pair **by)
{
	const struct tn_pair *pair = c->pair;
	struct tn_addr now = pair_now(pair, c->place, p->v4);

	if (c->past)
		*by = pair;
	p->hops = c->past;
	p->rule = pair->rule;
	return fast_translate(p, c, &now, pair->record);
}

/*
 * The VM's end, of which the one address is known: the slot of its mapping. 0: it has none, or one
 * that takes more than that.
 */
static __always_inline __u32 fast_vm_in(struct scratch *w, __u64 seq)
{
	__u32 slot = mapping_recall_in(w, seq);
	struct endpoints *e = &w->endpoints;
	const struct tn_shared *row;

	if (slot)
		return slot;
	row = lookup_our_mapping(w->self.router, &e->shared);
	if (!row || row->flags & TN_SHARED_LIMITED)
		return 0;
	slot = row->slot;
	endpoints_know_vm_in(e, row);
	mapping_keep(w, slot, seq, TN_CACHED_IN);
	return slot;
}

/* The same of the VM that has sent it. */
__noinline int tn_vm_out(__u64 seq)
{
	struct scratch *w = scratch_get();
	const struct tn_fixed *row;
	struct tn_addr fixed;
	struct endpoints *e;
	__u32 slot;

	if (!w)
		return 0;
	e = &w->endpoints;
	slot = mapping_recall_out(w, seq);
	if (slot)
		return slot;
	fixed = e->fixed;
	row = lookup_fixed(w->self.router, &fixed);
	if (!row || row->flags & TN_SHARED_LIMITED)
		return 0;
	slot = row->slot;
	endpoints_know_vm(e, row);
	record_fetch(record_of(slot));
	mapping_keep(w, slot, seq, TN_CACHED_OUT);
	return slot;
}

/* Once for each pair: that keeps the MAC address. */
static __always_inline bool fast_comes_from_vm(struct pkt *p, const struct scratch *w)
{
	if (is_loose(w) && tn_is_of_no_vm(p->ctx))
		return false;
	return !(w->endpoints.flags & TN_SHARED_BOUND) || tn_comes_from_vm(p->ctx);
}

/* Of what comes from the shared network. QUICK_DONE: *v is what became of it. */
static __always_inline enum quick fast_in(struct pkt *p, const struct tn_pair **by,
					  enum tn_verdict *v)
{
	struct course c = { .to = TN_PAIR_IN, .past = tn_forward_fast, .seq = table_seq_now() };
	const struct ethhdr *eth = p->data;
	struct scratch *w = scratch_get();
	enum quick went;
	__u32 slot, record;
	struct fast_packet q;

	if (!w || is_standby(w) || is_watched() || !fast_parse(p, &q) ||
	    !course_begin(p, &q, w->self.router, &c))
		return QUICK_MISS;
	if (is_known(&c, &q) && is_for_hook(p, &c)) {
		*v = fast_known(p, &c, by);
		return QUICK_DONE;
	}
	w->endpoints.shared = p->dst;
	w->endpoints.peer = p->src;
	slot = fast_vm_in(w, c.seq);
	if (!slot || !fast_peer(p, w, true) || !fast_may_come_in(p, &q, &c))
		return QUICK_MISS;
	if (p->xdp && c.past && p->v4 && (void *)(eth + 1) <= p->data_end)
		sender_keep(w, eth->h_source, fast_service(&q, c.to), route_gen_now(p->ctx, true),
			    c.seq);
	went = fast_route(p, w, &q, &c, by);
	if (went != QUICK_DONE)
		return went;
	record = record_at(slot);
	course_keep(&c, p, w, &q, record);
	*v = fast_translate(p, &c, &w->endpoints.fixed, record);
	return QUICK_DONE;
}

/* The same of what comes from a VM, `inside` the router or behind it. */
static __always_inline enum quick fast_out(struct pkt *p, bool inside, __u32 ingress,
					   const struct tn_pair **by, enum tn_verdict *v)
{
	struct course c = {
		.to = TN_PAIR_OUT, .past = inside, .ingress = ingress, .seq = table_seq_now()
	};
	struct scratch *w = scratch_get();
	__u32 slot, record;
	struct fast_packet q;

	if (!w || is_standby(w) || is_watched() || !fast_parse(p, &q) ||
	    !course_begin(p, &q, w->self.router, &c))
		return QUICK_MISS;
	if (is_known(&c, &q)) {
		*v = fast_known(p, &c, by);
		return QUICK_DONE;
	}
	w->endpoints.fixed = p->src;
	w->endpoints.peer = p->dst;
	slot = tn_vm_out(c.seq);
	if (!slot || (inside && !fast_comes_from_vm(p, w)) || !fast_peer(p, w, false) ||
	    fast_route(p, w, &q, &c, by) != QUICK_DONE || !fast_may_go_out(p, w, &q, &c))
		return QUICK_MISS;
	record = record_at(slot);
	course_keep(&c, p, w, &q, record);
	*v = fast_translate(p, &c, &w->endpoints.shared, record);
	return QUICK_DONE;
}

/*
 * Whether the stack may have what a VM sends, as it is: to the shared network, or not. What turns
 * back is not for this path.
 */
static __always_inline bool fast_passes(struct pkt *p, __u32 ingress)
{
	struct course c = { .to = TN_PAIR_PASS, .ingress = ingress, .seq = table_seq_now() };
	const struct ethhdr *eth = p->data;
	struct scratch *w = scratch_get();
	struct fast_packet q;

	if (!w || is_standby(w) || is_watched() || !fast_parse(p, &q) ||
	    !course_begin(p, &q, w->self.router, &c))
		return false;
	if (c.usable && pair_is_current(c.pair, c.seq))
		return true;
	w->endpoints.fixed = p->src;
	w->endpoints.peer = p->dst;
	if (in_shared_subnets(&w->endpoints.fixed))
		return false;
	if (!in_shared_subnets(&w->endpoints.peer))
		return true;
	if (is_loose(w) ? tn_is_of_no_vm(p->ctx)
			: check_reverse_path(p) != TN_GO_ON ||
				  (!is_feasible(w) && !mac_equal(eth->h_source, w->fib.dmac)))
		return false;
	if (w->self.flags & TN_PORT_BINDS && !tn_comes_from_vm(p->ctx))
		return false;
	fast_keys(p, &q, w);
	if (lookup_ours(w->self.router, &w->endpoints.peer) ||
	    tn_leads(p->ctx, true) != LEADS_RIGHT || !answers_stay(p->ctx, true))
		return false;
	pair_begin(c.pair, c.place, p->v4, w, c.to, c.past, c.ingress, eth->h_source);
	pair_keep_stack(c.pair, &c.stack);
	c.pair->seq = c.seq;
	return true;
}

/* What the kernel is to do with a frame of that verdict. */
static __always_inline int fast_action(struct pkt *p, enum tn_verdict v, const struct tn_pair *by)
{
	account(p, v);
	if (v != TN_TRANSLATED)
		return TC_ACT_SHOT;
	if (by)
		return forward_by(p, by);
	return p->egress ? forward(p->ctx, p->egress) : TC_ACT_UNSPEC;
}

static __always_inline bool fast_init_skb(struct pkt *p, struct __sk_buff *skb)
{
	p->ctx = skb;
	p->data = (void *)(long)skb->data;
	p->data_end = (void *)(long)skb->data_end;
	p->len = skb->len;
	p->packets = 1;
	/* nor with a priority tag, which the stack takes off */
	return !(skb->gso_size | skb->vlan_present);
}

/* Each: QUICK_DONE, and *action is what the kernel is to do. */
static __always_inline enum quick fast_shared_in(const struct tn_router_port *port,
						 struct __sk_buff *skb, int *action)
{
	const __u8 *mac = (void *)(long)skb->data;
	const struct tn_pair *by = NULL;
	enum tn_verdict v;
	struct pkt p = {};

	if (!fast_init_skb(&p, skb) || skb->pkt_type != PACKET_HOST || skb->mark ||
	    (void *)(mac + ETH_ALEN) > p.data_end || !mac_is_ours(port, mac) ||
	    !pkt_has_mac(port, skb) || fast_in(&p, &by, &v) != QUICK_DONE)
		return QUICK_MISS;
	*action = fast_action(&p, v, by);
	return QUICK_DONE;
}

static __always_inline enum quick fast_shared_out(struct __sk_buff *skb, int *action)
{
	const struct tn_pair *by = NULL;
	enum tn_verdict v;
	struct pkt p = {};

	if (!fast_init_skb(&p, skb) ||
	    fast_out(&p, false, skb->ingress_ifindex, &by, &v) != QUICK_DONE)
		return QUICK_MISS;
	*action = fast_action(&p, v, by);
	return QUICK_DONE;
}

static __always_inline enum quick fast_inside_in(struct __sk_buff *skb, int *action)
{
	const struct ethhdr *eth = (void *)(long)skb->data;
	const struct tn_pair *by = NULL;
	enum tn_verdict v;
	struct pkt p = {};

	if (!fast_init_skb(&p, skb) || skb->pkt_type != PACKET_HOST ||
	    (void *)(eth + 1) > p.data_end || eth->h_proto != (__u16)skb->protocol)
		return QUICK_MISS;
	if (!tn_forward_fast) { /* what has a mark may go another way */
		*action = TC_ACT_UNSPEC;
		return !skb->mark && fast_passes(&p, skb->ifindex) ? QUICK_DONE : QUICK_MISS;
	}
	if (fast_out(&p, true, skb->ifindex, &by, &v) != QUICK_DONE)
		return QUICK_MISS;
	*action = fast_action(&p, v, by);
	return QUICK_DONE;
}

#endif

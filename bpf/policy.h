/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who may talk to whom. What a rule accepts passes without any state, and so does its answer,
 * which the same rule knows by its other end. What a VM opens itself is noted in `flows`, and
 * only there. The number of look-ups does not depend on the number of rules: tn_abi.h, accepts.
 */
#ifndef TN_BPF_POLICY_H
#define TN_BPF_POLICY_H

#include "account.h"
#include "lookup.h"
#include "service.h"

/* No class at all: only a rule that accepts everything can match. */
#define CLASS_NONE TN_CLASSES_COUNT
_Static_assert(!(TN_CLASSES_COUNT & (TN_CLASSES_COUNT - 1)), "rule_in() masks a class");

#define SERVICE_UNKNOWN 0x10000

/* Both ends of a packet, or of one that it quotes. */
struct ends {
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

/* What is too large for the stack. A packet is judged in one go on one CPU. */
struct work {
	struct ends ends;
	struct route_keys keys;
	struct quote quote;
	struct tn_addr src; /* of an error that is on the way, as it came */
	struct tn_addr own; /* and what it leaves with */
	struct tn_service_key service;
	struct tn_flow_key flow;
	struct tn_fragment_key fragment;
	__u32 rows;	  /* of accepts that tn_rule() has met, */
	bool any_service; /* and whether its answer is the same for all services */
	bool for_nobody;  /* the last route: see fib_route_past() */
	__u64 back;	  /* until when it is known who sends as the VM: see tn_hop_out() */
	struct bpf_fib_lookup fib;
	struct bpf_fib_lookup fib_back; /* of an error of the router: tn_error_leads() */
	struct bpf_redir_neigh hop;
	struct tn_event said; /* see report.h; the addresses always */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct work);
} works SEC(".maps");

/* Also for global functions to call: Linux 6.1 takes no key of a map from an argument of theirs. */
static __always_inline struct work *work_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&works, &zero);
}

static __always_inline __u32 seconds(void)
{
	return bpf_ktime_get_coarse_ns() / NS_PER_S;
}

/*
 * The rule of the row of accepts that w->service names, and the rows of services below it; 0: none.
 * `service` SERVICE_UNKNOWN: a fragment without its header.
 */
static __always_inline __u32 rule_in(struct work *w, __u32 service)
{
	struct tn_service_key *key = &w->service;
	const struct tn_accept *found = bpf_map_lookup_elem(&accepts, &key->accept);
	__u32 blocks, class = key->class;
	const __u32 *rule;

	if (!found)
		return 0;
	w->any_service = found->rule && !w->rows;
	w->rows++;
	if (found->rule || class >= TN_CLASSES_COUNT)
		return found->rule;
	/* the verifier has to see the bound once more, and the compiler not that it is known */
	asm volatile("" : "+r"(class));
	blocks = found->blocks[class & (TN_CLASSES_COUNT - 1)];
	if (service == SERVICE_UNKNOWN)
		blocks &= 1U << TN_SHIFT_ALL / TN_SHIFT_STEP;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i <= TN_SHIFT_ALL / TN_SHIFT_STEP; i++) {
		if (!(blocks & 1U << i))
			continue;
		key->shift = i * TN_SHIFT_STEP;
		key->block = (service & 0xffff) >> key->shift;
		rule = bpf_map_lookup_elem(&services, key);
		if (rule)
			return *rule;
	}
	return 0;
}

/*
 * The rule, of the VM's tenant about its peer or with `of_peer` the other way round, that accepts
 * that service; 0: none does. A tenant's rules for all of its mappings come first, then those
 * that name the mapping; of either, those from that tenant, then those from any.
 */
__noinline __u32 tn_rule(__u32 of_peer, __u32 class, __u32 service)
{
	struct work *w = work_get();
	struct tn_service_key *key;
	__u32 from, rule = 0;
	struct ends *e;
	bool named;

	if (!w)
		return 0;
	w->rows = w->any_service = 0;
	e = &w->ends;
	from = of_peer ? e->tenant : e->peer_tenant;
	named = (of_peer ? e->peer_flags : e->flags) & TN_SHARED_NAMED;
	if (!from)
		return 0;
	key = &w->service;
	*key = (struct tn_service_key){ .accept.tenant = of_peer ? e->peer_tenant : e->tenant,
					.class = class };
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < 4 && !rule; i++) {
		if (i == 2) {
			if (!named)
				break;
			key->accept.to = of_peer ? e->peer : e->shared;
		}
		key->accept.from = i & 1 ? 0 : from;
		rule = rule_in(w, service);
	}
	return rule;
}

/* The tenant that has an address without a row in by_shared; 0: nobody, a stranger. */
__noinline __u32 tn_pool_of(const struct tn_addr *a)
{
	struct tn_pool_key key = { .len = 128 };
	const __u32 *tenant;

	if (!a)
		return 0;
	key.prefix = *a;
	tenant = bpf_map_lookup_elem(&pools, &key);
	return tenant ? *tenant : 0;
}

/* The VM at e->fixed, by its mapping. */
static __always_inline void ends_know_vm(struct ends *e, const struct tn_fixed *mapping)
{
	e->shared = mapping->shared;
	e->tenant = mapping->tenant;
	e->flags = mapping->flags;
}

/* Who is at e->peer, which has this row in by_shared, or none. */
static __always_inline void ends_know_peer(struct ends *e, const struct tn_shared *row)
{
	e->peer_tenant = row ? row->tenant : tn_pool_of(&e->peer);
	e->peer_flags = row ? row->flags : 0;
}

/* ---------------------------------------------------------------- flows */

/* `ports`: the service of the peer's end, and above it the port of the VM's. */
static __always_inline void flow_key(struct work *w, __u32 proto, __u32 ports)
{
	struct tn_flow_key *key = &w->flow; /* field by field: there is no room on the stack */

	key->peer = w->ends.peer;
	key->fixed = w->ends.fixed;
	key->shared = w->ends.shared;
	key->service = ports;
	key->port = ports >> 16;
	key->proto = proto;
}

static __always_inline __u32 flow_ports(__u16 service, __u16 port)
{
	return service | (__u32)port << 16;
}

static __always_inline bool flow_is_live(const struct tn_flow *f, const struct ends *e)
{
	return f->until > seconds() && f->tenant == e->peer_tenant && f->owner == e->tenant;
}

__noinline int tn_flow_lives(__u32 proto, __u32 ports)
{
	struct work *w = work_get();
	const struct tn_flow *f;

	if (!w)
		return 0;
	flow_key(w, proto, ports);
	f = bpf_map_lookup_elem(&flows, &w->flow);
	return f && flow_is_live(f, &w->ends);
}

static __always_inline __u32 flow_life(__u8 class)
{
	switch (class) {
	case TN_CLASS_TCP:
	case TN_CLASS_SCTP:
	case TN_CLASS_DCCP:
		return TN_FLOW_TCP;
	case TN_CLASS_UDP:
	case TN_CLASS_UDPLITE:
		return TN_FLOW_UDP;
	case TN_CLASS_ICMP:
	case TN_CLASS_ICMPV6:
		return TN_FLOW_ICMP;
	default:
		return TN_FLOW_OTHER;
	}
}

static __always_inline bool was_withdrawn(const struct tn_service_key *key, __u32 life)
{
	const __u32 *since = bpf_map_lookup_elem(&withdrawn, key);

	return since && *since + life > seconds();
}

/*
 * Whether a rule of the VM's tenant that is no more accepted this service of the VM, and not
 * longer ago than a flow lives. First the row that says whether there is anything to look for.
 * A rule for all ports says nothing about which end is the server's: but for TCP, which
 * is_opening() knows, that is then the one with the lower port.
 */
__noinline int tn_was_accepted(__u32 class, __u32 ports)
{
	struct work *w = work_get();
	struct tn_service_key *key;
	__u32 life = flow_life(class), service = ports >> 16;
	bool any = false, all = class == TN_CLASS_TCP || service <= (ports & 0xffff);

	if (!w)
		return 0;
	key = &w->service;
	*key = (struct tn_service_key){ .accept.tenant = w->ends.tenant,
					.class = TN_WITHDRAWN_ANY };
	for (__u32 i = 0; i < 2 && !any; i++) {
		key->accept.from = i ? 0 : w->ends.peer_tenant;
		any = was_withdrawn(key, life);
	}
	if (!any)
		return 0;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < 4; i++) {
		key->accept.from = i & 1 ? 0 : w->ends.peer_tenant;
		if (i == 2)
			key->accept.to = w->ends.shared;
		key->class = TN_WITHDRAWN_ALL;
		key->shift = key->block = 0;
		if (all && was_withdrawn(key, life))
			return 1;
		key->class = class;
#pragma clang loop unroll(disable)
		for (__u32 shift = 0; shift <= TN_SHIFT_ALL; shift += TN_SHIFT_STEP) {
			key->shift = shift;
			key->block = service >> shift;
			if ((all || shift < TN_SHIFT_ALL) && was_withdrawn(key, life))
				return 1;
		}
	}
	return 0;
}

/* Whether a packet begins a flow by what it is; 0 for `tcp`: it has no such flags. */
static __always_inline bool is_opening(__u8 class, __u32 tcp)
{
	if (class == TN_CLASS_TCP)
		return (tcp & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	return class == TN_CLASS_ICMP ||
	       class == TN_CLASS_ICMPV6; /* a request: see policy_open() */
}

/*
 * The VM has sent a packet of that flow: `tcp` are its TCP flags. What is not there any more is
 * made again, so that a flow that had to make room for others comes back by itself. 0: it is
 * not there, and the packet does not say that it opens one; with FLOW_MAKE it is made.
 */
#define FLOW_MAKE 0x10000
__noinline int tn_flow_refresh(__u32 class_proto, __u32 ports, __u32 tcp)
{
	struct work *w = work_get();
	__u8 class = class_proto >> 8;
	__u32 life = flow_life(class);
	struct tn_flow new = {};
	struct tn_drops *count;
	struct tn_flow *f;
	bool lives;

	if (!w)
		return 1;
	flow_key(w, class_proto & 0xff, ports);
	f = bpf_map_lookup_elem(&flows, &w->flow);
	new.tenant = w->ends.peer_tenant;
	new.owner = w->ends.tenant;
	lives = f && flow_is_live(f, &w->ends);
	if (!lives && !(class_proto & FLOW_MAKE) && !is_opening(class, tcp))
		return 0;
	if (lives && !(tcp & TCP_SYN))
		new.flags = f->flags;
	if (tcp & (TCP_FIN | TCP_RST))
		new.flags |= TN_FLOW_CLOSING;
	if (tcp & TCP_SYN || new.flags &TN_FLOW_CLOSING)
		life = TN_FLOW_TCP_BRIEF;
	new.until = seconds() + life;
	if (f) {
		/* several CPUs share it: no write that changes nothing */
		if (f->until != new.until)
			f->until = new.until;
		if (f->flags != new.flags)
			f->flags = new.flags;
		if (f->tenant != new.tenant)
			f->tenant = new.tenant;
		if (f->owner != new.owner)
			f->owner = new.owner;
		return 1;
	}
	if (bpf_map_update_elem(&flows, &w->flow, &new, BPF_ANY))
		return 1;
	count = router_counters();
	if (count)
		count->flows_opened++;
	return 1;
}

/* ---------------------------------------------------------------- fragments */

/* Which datagram it is a part of: RFC 791, 3.1 and RFC 8200, 4.5. */
static __always_inline bool fragment_id(struct pkt *p, __u32 *id)
{
	*id = 0;
	return p->v4 ? pkt_load(p, p->fragment + offsetof(struct iphdr, id), id, sizeof(__be16))
		     : pkt_load(p, p->fragment + offsetof(struct fragment_header, id), id,
				sizeof(*id));
}

static __always_inline void fragment_key(struct work *w, __u32 id, __u32 proto, __u32 out)
{
	const struct ends *e = &w->ends;
	struct tn_fragment_key *key = &w->fragment;

	key->src = out ? e->shared : e->peer;
	key->dst = out ? e->peer : e->shared;
	key->id = id;
	key->proto = proto;
}

static __always_inline __u8 fragment_proto(const struct pkt *p)
{
	return p->v4 ? p->proto : 0;
}

/* The first one was accepted by that rule, or with 0 as part of a flow: the others may follow. */
__noinline int tn_fragment_note(__u32 id, __u32 proto, __u32 out, __u32 rule, __u32 judged)
{
	struct work *w = work_get();
	struct tn_fragment value = { .until = seconds() + TN_FRAGMENT_LIFE,
				     .rule = rule,
				     .judged = judged };

	if (!w)
		return -1;
	fragment_key(w, id, proto, out);
	return bpf_map_update_elem(&fragments, &w->fragment, &value, BPF_ANY);
}

/* The rule that was noted so, plus one; 0: none, or what belongs `at` there was judged. */
__noinline __u64 tn_fragment_follows(__u32 id, __u32 proto, __u32 out, __u32 at)
{
	struct work *w = work_get();
	const struct tn_fragment *first;

	if (!w)
		return 0;
	fragment_key(w, id, proto, out);
	first = bpf_map_lookup_elem(&fragments, &w->fragment);
	return first && first->until > seconds() && at >= first->judged ? (__u64)first->rule + 1
									: 0;
}

/*
 * One that is not the first. It cannot be judged by what it does not have, nor may it overwrite
 * what was judged (RFC 1858, RFC 3128, RFC 5722). The protocol that it names itself counts in IPv4
 * alone: who puts IPv6 together goes by that of the first one (RFC 8200, 4.5).
 */
static __always_inline enum tn_verdict fragment_judge(struct pkt *p, bool out)
{
	__u64 first;
	__u32 id;

	if (p->fragment_at < l4_header_min[p->proto])
		return drop(p, TN_DROP_FRAGMENT);
	p->rule = tn_rule(false, p->v4 ? service_class[p->proto] : CLASS_NONE, SERVICE_UNKNOWN);
	if (p->rule)
		return TN_GO_ON;
	if (!fragment_id(p, &id))
		return drop(p, TN_DROP_INTERNAL);
	first = tn_fragment_follows(id, fragment_proto(p), out, p->fragment_at);
	if (!first)
		return drop(p, TN_DROP_FRAGMENT);
	p->rule = first - 1;
	p->by_flow = !p->rule;
	return TN_GO_ON;
}

/* ---------------------------------------------------------------- what a packet may do */

/* Where the header ends by which a first fragment was judged, in bytes of the datagram. */
static __always_inline __u32 fragment_judged(const struct pkt *p)
{
	__u32 before = p->v4 ? 0 : p->l4 - p->fragment - sizeof(struct fragment_header);

	return before + l4_header_min[p->proto];
}

static __always_inline enum tn_verdict accepted(struct pkt *p, bool out)
{
	__u32 id;

	if (!p->fragment)
		return TN_GO_ON;
	return fragment_id(p, &id) && !tn_fragment_note(id, fragment_proto(p), out, p->rule,
							fragment_judged(p))
		       ? TN_GO_ON
		       : drop(p, TN_DROP_INTERNAL);
}

/* From the shared network to a VM. */
static __always_inline enum tn_verdict policy_in(struct pkt *p, struct work *w)
{
	struct service s;

	if (p->rest)
		return fragment_judge(p, false);
	if (!service_read(p, p->proto, p->l4, &s))
		return drop(p, TN_DROP_MALFORMED);
	p->rule = tn_rule(false, s.talk == TALK_REPLY ? CLASS_NONE : s.class, s.dst);
	if (!p->rule) {
		if (s.talk == TALK_REQUEST || !tn_flow_lives(p->proto, flow_ports(s.src, s.dst)))
			return drop(p,
				    w->ends.peer_tenant ? TN_DROP_NOT_ACCEPTED : TN_DROP_STRANGER);
		p->by_flow = true;
	}
	return accepted(p, false);
}

/* The VM opens a flow, or goes on with one: its peer has to accept that, if that is known here. */
static __always_inline enum tn_verdict policy_open(struct pkt *p, struct work *w,
						   const struct service *s)
{
	__u32 ports = flow_ports(s->dst, s->src), flow = p->proto | (__u32)s->class << 8;
	bool judged = w->ends.peer_flags & TN_SHARED_JUDGED;
	__u8 tcp = 0;

	if (s->talk == TALK_REPLY)
		return drop(p, TN_DROP_NOT_ACCEPTED);
	if (judged && !tn_rule(true, s->class, s->dst))
		return drop(p, TN_DROP_NOT_ACCEPTED);
	if (s->class == TN_CLASS_TCP && !pkt_load(p, p->l4 + TCP_FLAGS_OFFSET, &tcp, sizeof(tcp)))
		return drop(p, TN_DROP_MALFORMED);
	/* nested, these calls would need more stack than there is */
	if (!tn_flow_refresh(flow, ports, tcp)) {
		/* what a rule of the peer accepts is no answer to what a rule of before accepted */
		if (!judged && tn_was_accepted(s->class, ports))
			return drop(p, TN_DROP_NOT_ACCEPTED);
		tn_flow_refresh(flow | FLOW_MAKE, ports, tcp);
	}
	p->by_flow = true;
	return TN_GO_ON;
}

/* From a VM to the shared network. */
static __always_inline enum tn_verdict policy_out(struct pkt *p, struct work *w)
{
	enum tn_verdict v = TN_GO_ON;
	struct service s;

	if (p->rest)
		return fragment_judge(p, true);
	if (!service_read(p, p->proto, p->l4, &s))
		return drop(p, TN_DROP_MALFORMED);
	p->rule = tn_rule(false, s.talk == TALK_REQUEST ? CLASS_NONE : s.class, s.src);
	if (!p->rule)
		v = policy_open(p, w, &s);
	return v == TN_GO_ON ? accepted(p, true) : v;
}

/*
 * An ICMP error: whether the packet that it quotes, of protocol `proto` with its header at `l4`,
 * is of a flow that there is; `l4` is zero when that is not quoted. `by_vm`: the VM has sent
 * that packet, and gets the error; else it is the other way round.
 */
static __always_inline bool policy_quoted(struct pkt *p, __u8 proto, __u32 l4, bool by_vm)
{
	struct service s;

	if (!l4) {
		p->rule = tn_rule(false, CLASS_NONE, 0);
		return p->rule;
	}
	if (!service_read(p, proto, l4, &s))
		return false;
	/* a rule knows requests that come to the VM, and replies that it sends */
	p->rule =
		tn_rule(false, s.talk == (by_vm ? TALK_REQUEST : TALK_REPLY) ? CLASS_NONE : s.class,
			by_vm ? s.src : s.dst);
	if (p->rule)
		return true;
	if (s.talk == (by_vm ? TALK_REPLY : TALK_REQUEST))
		return false;
	p->by_flow =
		tn_flow_lives(proto, by_vm ? flow_ports(s.dst, s.src) : flow_ports(s.src, s.dst));
	return p->by_flow;
}

/* ---------------------------------------------------------------- limits */

enum limit_direction { LIMIT_IN, LIMIT_OUT };

/*
 * The generic cell rate algorithm (ITU-T I.371, virtual scheduling): a bucket that would be empty
 * again at *at takes `cost` more nanoseconds if that is no more than `depth` ahead of now. Another
 * CPU that was faster costs a second try; after a few of them the packet has bad luck.
 */
static __always_inline bool bucket_take(__u64 *at, __u64 now, __u64 cost, __u64 depth)
{
	for (int i = 0; i < 4; i++) {
		__u64 old = *at, start = old > now ? old : now;

		if (start + cost > now + depth)
			return false;
		if (__sync_val_compare_and_swap(at, old, start + cost) == old)
			return true;
	}
	return false;
}

/* What was taken and not used: as if it had not been. */
static __always_inline void bucket_give(__u64 *at, __u64 cost)
{
	__sync_fetch_and_sub(at, cost);
}

/*
 * Whether the mapping of work.ends.shared may carry `packets` of `bytes` more in all. What one
 * bucket refuses is not taken from the other.
 */
__noinline int tn_limit_allows(__u32 direction, __u32 packets, __u32 bytes)
{
	struct work *w = work_get();
	__u64 now, cost = 0;
	struct tn_limit *l;

	if (!w)
		return 0;
	l = bpf_map_lookup_elem(&limits, &w->ends.shared);
	if (!l)
		return 1;
	now = bpf_ktime_get_ns();
	direction &= 1;
	if (l->packets) {
		cost = packets * NS_PER_S / l->packets;
		if (!bucket_take(&l->packets_at[direction], now, cost,
				 l->packet_burst * NS_PER_S / l->packets))
			return 0;
	}
	if (!l->rate || bucket_take(&l->bytes_at[direction], now, bytes * NS_PER_S / l->rate,
				    l->burst * NS_PER_S / l->rate))
		return 1;
	if (cost)
		bucket_give(&l->packets_at[direction], cost);
	return 0;
}

static __always_inline enum tn_verdict limit(struct pkt *p, const struct ends *e,
					     enum limit_direction direction, enum tn_verdict v)
{
	if (v != TN_TRANSLATED || !(e->flags & TN_SHARED_LIMITED))
		return v;
	return tn_limit_allows(direction, p->packets, p->ip_bytes) ? v : drop(p, TN_DROP_LIMIT);
}

#endif

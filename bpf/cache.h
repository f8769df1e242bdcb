/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What was found in the tables is kept where the next packet finds it with less looking: of a
 * mapping beside its counters, where a packet writes anyway, and of a peer in `peers`.
 * Whatever is kept holds as long as `table_seq` stays what it was before the look-up.
 */
#ifndef TN_BPF_CACHE_H
#define TN_BPF_CACHE_H

#include "hop.h"

/*
 * How often the tables have changed; to be read before anything else of them. 0: they are changing,
 * and nothing that was found in them holds.
 */
static __always_inline __u64 table_seq_now(void)
{
	__u64 seq = table_seq;

	return seq & 1 ? 0 : seq;
}

/* Whether the tables are what they were when something was found in them, at that change. */
static __always_inline bool is_current(__u64 found, __u64 seq)
{
	return seq && found == seq;
}

/* ---------------------------------------------------------------- a mapping */

/* The slot that is a mapping's own by its shared address; 0: it has none. */
static __always_inline __u32 own_slot(__be32 shared)
{
	return bpf_ntohl(shared) & tn_slots_mask;
}

_Static_assert(TN_ROUTERS_MAX <= 1 << TN_CACHED_ROUTER, "a stamp has room for every router");

static __always_inline __u64 cached_stamp(__u32 router, __u64 seq)
{
	return seq << TN_CACHED_ROUTER | router;
}

/*
 * The record of this router's mapping that has that address, if it has the slot that is its own by
 * it, and its row is cached, and current. NULL: there is none.
 */
static __always_inline struct tn_record *cached_record(__u32 router, __be32 shared, __u64 seq)
{
	__u32 slot = own_slot(shared);
	struct tn_record *r = slot ? record_of(slot) : NULL;

	return r && seq && r->cached.found == cached_stamp(router, seq) &&
			       r->cached.shared == shared
		       ? r
		       : NULL;
}

/* The same for both ends of a mapping: that it has them in either table is not said. */
static __always_inline struct tn_record *cached_mapping(const struct scratch *w, __u64 seq)
{
	const struct endpoints *e = &w->endpoints;
	struct tn_record *r = cached_record(w->self.router, e->shared.w[3], seq);

	return r && r->cached.fixed == e->fixed.w[3] ? r : NULL;
}

#define CACHED_ROWS (TN_CACHED_IN | TN_CACHED_OUT)

/* Fills in the VM's end by what is cached of e->shared, and is its slot. 0: nothing that is
 * current. */
static __always_inline __u32 mapping_recall_in(struct scratch *w, __u64 seq)
{
	struct endpoints *e = &w->endpoints;
	const struct tn_record *r = is_v4_mapped(e->shared.w)
					    ? cached_record(w->self.router, e->shared.w[3], seq)
					    : NULL;

	if (!r || !(r->cached.flags & TN_CACHED_IN))
		return 0;
	e->fixed = addr_v4(r->cached.fixed);
	e->tenant = r->cached.tenant;
	e->flags = r->cached.flags & ~CACHED_ROWS;
	return own_slot(e->shared.w[3]);
}

/* The place in `slots` for a mapping of this router; VMs beside each other have places there. */
static __always_inline __u32 *slot_place(__u32 router, __be32 fixed)
{
	__u32 place = (bpf_ntohl(fixed) + router * 0x9e3779b1U) & tn_slots_mask;

	return bpf_map_lookup_elem(&slots, &place);
}

/* The same by e->fixed. */
static __always_inline __u32 mapping_recall_out(struct scratch *w, __u64 seq)
{
	struct endpoints *e = &w->endpoints;
	const __u32 *place =
		is_v4_mapped(e->fixed.w) ? slot_place(w->self.router, e->fixed.w[3]) : NULL;
	__u32 slot = place ? *place : 0;
	const struct tn_record *r = slot ? record_of(slot) : NULL;

	if (!r || !seq || r->cached.found != cached_stamp(w->self.router, seq) ||
	    r->cached.fixed != e->fixed.w[3] || !(r->cached.flags & TN_CACHED_OUT))
		return 0;
	e->shared = addr_v4(r->cached.shared);
	e->tenant = r->cached.tenant;
	e->flags = r->cached.flags & ~CACHED_ROWS;
	return slot;
}

static __always_inline bool cached_is_of(const struct tn_cached *n, const struct scratch *w,
					 __u64 seq)
{
	const struct endpoints *e = &w->endpoints;

	return n->found == cached_stamp(w->self.router, seq) && n->shared == e->shared.w[3] &&
	       n->fixed == e->fixed.w[3] && n->tenant == e->tenant &&
	       (n->flags & ~CACHED_ROWS) == (__u8)e->flags;
}

/*
 * That slot has the place in `slots`, unless another has it that is cached: of two with the same
 * place it stays one's.
 */
static __always_inline void slot_keep(__u32 router, __be32 fixed, __u32 slot, __u64 seq)
{
	__u32 *place = slot_place(router, fixed);
	const struct tn_record *has;

	if (!place || *place == slot)
		return;
	has = *place ? record_of(*place) : NULL;
	if (!has || has->cached.found >> TN_CACHED_ROUTER != seq ||
	    !(has->cached.flags & TN_CACHED_OUT))
		*place = slot;
}

/* A row says what the VM's end is: that of by_shared (TN_CACHED_IN), or that of by_fixed. */
static __always_inline void mapping_keep(const struct scratch *w, __u32 slot, __u64 seq, __u8 by)
{
	const struct endpoints *e = &w->endpoints;
	struct tn_record *r;

	/* of a VM of its own, or of a prefix, nothing is cached: those flags are bits of the cache
	 */
	if (!seq || e->flags & (TN_SHARED_BOUND | TN_SHARED_PREFIX) || !is_v4_mapped(e->shared.w) ||
	    slot != own_slot(e->shared.w[3]))
		return;
	r = record_of(slot);
	if (!r)
		return;
	if (cached_is_of(&r->cached, w, seq))
		r->cached.flags |= by;
	else
		r->cached = (struct tn_cached){ .found = cached_stamp(w->self.router, seq),
						.shared = e->shared.w[3],
						.fixed = e->fixed.w[3],
						.tenant = e->tenant,
						.flags = e->flags | by };
	if (by == TN_CACHED_OUT)
		slot_keep(w->self.router, e->fixed.w[3], slot, seq);
}

/*
 * That generation of route_gen, of one end: each has a tick of its own when TN_ROUTE_GEN_LIFE is
 * over.
 */
static __always_inline __u32 route_gen_of(__u32 route_gen, __be32 end, __u64 now)
{
	return route_gen +
	       (__u32)((now + ((__u64)own_slot(end) << TN_ROUTE_GEN_SPREAD)) >> tn_route_gen_shift);
}

/*
 * The next hop by which packets go to the mapping's VM, by those route_gen, be it out of date;
 * NULL: it is not cached.
 */
static __always_inline const struct tn_hop *cached_hop(const struct tn_cached *n, __u32 route_gen)
{
	return n->route_gen == route_gen_of(route_gen, n->shared, bpf_jiffies64())
		       ? hop_get(n->hop, n->generation)
		       : NULL;
}

/* ---------------------------------------------------------------- a peer */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1U << TN_PEERS_BITS);
	__type(key, __u32);
	__type(value, struct tn_peer);
} peers SEC(".maps");

/* The place of that peer, be it another's at the moment. */
static __always_inline struct tn_peer *peer_place(__u32 router, __be32 peer)
{
	__u32 place =
		(bpf_ntohl(peer) + router * 0x85ebca6bU) * 0x9e3779b1U >> (32 - TN_PEERS_BITS);

	return bpf_map_lookup_elem(&peers, &place);
}

static __always_inline bool peer_is(const struct tn_peer *p, __u32 router, __be32 peer)
{
	return p->peer == peer && p->router == router;
}

/* The peer's line, empty if the place was another's. NULL: an IPv6 peer has none. */
static __always_inline struct tn_peer *peer_begin(const struct scratch *w)
{
	const struct tn_addr *peer = &w->endpoints.peer;
	struct tn_peer *p = is_v4_mapped(peer->w) ? peer_place(w->self.router, peer->w[3]) : NULL;

	if (p && !peer_is(p, w->self.router, peer->w[3]))
		*p = (struct tn_peer){ .peer = peer->w[3], .router = w->self.router };
	return p;
}

/* Whether a rule accepts it for that service of its tenant; `service` is class << 16 | service. */
static __always_inline bool peer_is_accepted(const struct tn_peer *p, __u32 service, __u64 seq)
{
	return is_current(p->seq, seq) && (p->service == TN_SERVICE_ANY || p->service == service);
}

/*
 * As tn_rule() about the VM's tenant. Mappings that rules name are not what the line is about, and
 * rules that end are not kept.
 * Global, so that the verifier follows it once.
 */
__noinline __u32 tn_peer_rule(__u32 service, __u64 seq)
{
	struct scratch *w = scratch_get();
	const struct endpoints *e;
	struct tn_peer *p;
	__u32 rule;

	if (!w)
		return 0;
	e = &w->endpoints;
	p = e->flags & TN_SHARED_NAMED ? NULL : peer_begin(w);
	if (p && p->tenant == e->tenant && peer_is_accepted(p, service, seq)) {
		w->any_service = p->service == TN_SERVICE_ANY;
		w->ends = false;
		return p->rule;
	}
	rule = tn_rule(false, service >> 16, service & 0xffff);
	if (!p || !rule || !seq || w->ends)
		return rule;
	if (p->seq != seq)
		p->expires = 0; /* whose MAC address it is, the tables say too */
	p->seq = seq;
	p->tenant = e->tenant;
	p->service = w->any_service ? TN_SERVICE_ANY : service;
	p->rule = rule;
	return rule;
}

/* As cached_hop(), to w->endpoints.peer. */
static __always_inline const struct tn_hop *peer_hop(const struct scratch *w, __u32 route_gen,
						     __u32 ingress)
{
	__be32 peer = w->endpoints.peer.w[3];
	const struct tn_peer *p = peer_place(w->self.router, peer);

	return p && peer_is(p, w->self.router, peer) && p->ingress == ingress &&
			       p->route_gen == route_gen_of(route_gen, peer, bpf_jiffies64())
		       ? hop_get(p->hop, p->generation)
		       : NULL;
}

/* NULL: it is not known, or not to be one that may send from there to that service of p->tenant. */
static __always_inline struct tn_peer *sender_recall(__u32 router, __be32 peer, const __u8 *mac,
						     __u32 service, __u64 seq, __u64 now)
{
	struct tn_peer *p = peer_place(router, peer);

	if (!p || !peer_is(p, router, peer) || !peer_is_accepted(p, service, seq) ||
	    p->expires <= now || !mac_equal(mac, p->mac))
		return NULL;
	return p;
}

/* w->endpoints.peer has sent from that MAC address what tn_peer_rule() says is accepted. */
static __always_inline void sender_keep(const struct scratch *w, const __u8 *mac, __u32 service,
					__u32 route_gen, __u64 seq)
{
	struct tn_peer *p =
		w->endpoints.flags & TN_SHARED_NAMED || !route_gen ? NULL : peer_begin(w);

	if (!p || p->tenant != w->endpoints.tenant || !peer_is_accepted(p, service, seq))
		return;
	p->expires = bpf_jiffies64() + tn_cache_ticks;
	p->seen = route_gen;
	__builtin_memcpy(p->mac, mac, sizeof(p->mac));
}

/*
 * The kernel has said, by those route_gen, how packets go to the VM, or where they come from that
 * it sends: see w->fib. Global, as the next ones, so that the verifier follows it once.
 */
__noinline int tn_keep_hop_in(__u64 seq, __u32 route_gen, __u32 back)
{
	struct scratch *w = scratch_get();
	struct tn_record *r = w && route_gen ? cached_mapping(w, seq) : NULL;
	const struct tn_hop *h = r ? hop_keep(w, back) : NULL;

	if (!h)
		return 0;
	r->cached.hop = hop_place(w->self.router, h->link, h->gateway, h->mtu);
	r->cached.generation = h->generation;
	r->cached.route_gen = route_gen_of(route_gen, r->cached.shared, bpf_jiffies64());
	return 0;
}

/* The same to the peer, of packets that come in there. */
__noinline int tn_keep_hop_out(__u32 route_gen, __u32 ingress)
{
	struct scratch *w = scratch_get();
	const struct tn_hop *h = w && route_gen ? peer_hop(w, route_gen, ingress) : NULL;
	struct tn_peer *p;

	/* it is due when it is out of date, and not before: see is_kernels() */
	if (!w || !route_gen || (h && h->expires > bpf_jiffies64()))
		return 0;
	h = hop_keep(w, false);
	p = h ? peer_begin(w) : NULL;
	if (!p)
		return 0;
	p->ingress = ingress;
	p->route_gen = route_gen_of(route_gen, p->peer, bpf_jiffies64());
	p->generation = h->generation;
	p->hop = hop_place(w->self.router, h->link, h->gateway, h->mtu);
	return 0;
}

/* Until when a frame from there is known to be the VM's, in ticks; 0: that has to be asked for. */
static __always_inline __u64 reverse_path_cached(const struct scratch *w, __u64 seq,
						 __u32 route_gen, __u32 ingress, __u64 mac)
{
	const struct tn_record *r = cached_mapping(w, seq);
	const struct tn_hop *h = r ? cached_hop(&r->cached, route_gen) : NULL;

	return h && h->src_valid_until > bpf_jiffies64() && h->link == ingress &&
			       mac_word(h->macs) == mac
		       ? h->src_valid_until
		       : 0;
}

/*
 * The place of the next hop to the peer, be it out of date, and one; 0: it is not cached. Sets
 * w->src_valid_until, see reverse_path_cached(). `mac`: see mac_word().
 */
__noinline int tn_hop_out(__u64 seq, __u32 route_gen, __u32 ingress, __u64 mac)
{
	struct scratch *w = scratch_get();
	const struct tn_hop *h;

	if (!w)
		return 0;
	w->src_valid_until =
		is_loose(w) ? ~0ULL : reverse_path_cached(w, seq, route_gen, ingress, mac);
	h = peer_hop(w, route_gen, ingress);
	return h ? hop_place(w->self.router, h->link, h->gateway, h->mtu) + 1 : 0;
}

#endif

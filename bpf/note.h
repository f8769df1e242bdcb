/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What was found in the tables is kept where the next packet finds it with less looking: of a
 * mapping beside its counters, where a packet writes anyway, and of a peer in `peers`.
 * Whatever is kept holds as long as `changes` stays what it was before the look-up.
 */
#ifndef TN_BPF_NOTE_H
#define TN_BPF_NOTE_H

#include "hop.h"

/*
 * How often the tables have changed; to be read before anything else of them. 0: they are changing,
 * and nothing that was found in them holds.
 */
static __always_inline __u64 changes_so_far(void)
{
	__u64 so_far = changes;

	return so_far & 1 ? 0 : so_far;
}

/* Whether the tables are what they were when something was found in them, at that change. */
static __always_inline bool is_current(__u64 found, __u64 so_far)
{
	return so_far && found == so_far;
}

/* ---------------------------------------------------------------- a mapping */

/* The slot that is a mapping's own by its shared address; 0: it has none. */
static __always_inline __u32 own_slot(__be32 shared)
{
	return bpf_ntohl(shared) & tn_slots_mask;
}

_Static_assert(TN_ROUTERS_MAX <= 1 << TN_NOTE_ROUTER, "a note has room for every router");

static __always_inline __u64 note_found(__u32 router, __u64 so_far)
{
	return so_far << TN_NOTE_ROUTER | router;
}

/*
 * The record of this router's mapping that has that address, if it has the slot that is its own by
 * it, and there is a note of its row, which holds. NULL: there is none.
 */
static __always_inline struct tn_record *noted_record(__u32 router, __be32 shared, __u64 so_far)
{
	__u32 slot = own_slot(shared);
	struct tn_record *r = slot ? record_of(slot) : NULL;

	return r && so_far && r->note.found == note_found(router, so_far) &&
			       r->note.shared == shared
		       ? r
		       : NULL;
}

/* The same for both ends of a mapping: that it has them in either table is not said. */
static __always_inline struct tn_record *noted_mapping(const struct scratch *w, __u64 so_far)
{
	const struct endpoints *e = &w->endpoints;
	struct tn_record *r = noted_record(w->self.router, e->shared.w[3], so_far);

	return r && r->note.fixed == e->fixed.w[3] ? r : NULL;
}

#define NOTE_ROWS (TN_NOTE_IN | TN_NOTE_OUT)

/* Fills in the VM's end by the note of e->shared, and is its slot. 0: there is none that holds. */
static __always_inline __u32 note_recall_in(struct scratch *w, __u64 so_far)
{
	struct endpoints *e = &w->endpoints;
	const struct tn_record *r = is_v4_mapped(e->shared.w)
					    ? noted_record(w->self.router, e->shared.w[3], so_far)
					    : NULL;

	if (!r || !(r->note.flags & TN_NOTE_IN))
		return 0;
	e->fixed = addr_v4(r->note.fixed);
	e->tenant = r->note.tenant;
	e->flags = r->note.flags & ~NOTE_ROWS;
	return own_slot(e->shared.w[3]);
}

/* The place in `slots` for a mapping of this router; VMs beside each other have places there. */
static __always_inline __u32 *slot_place(__u32 router, __be32 fixed)
{
	__u32 place = (bpf_ntohl(fixed) + router * 0x9e3779b1U) & tn_slots_mask;

	return bpf_map_lookup_elem(&slots, &place);
}

/* The same by e->fixed. */
static __always_inline __u32 note_recall_out(struct scratch *w, __u64 so_far)
{
	struct endpoints *e = &w->endpoints;
	const __u32 *place =
		is_v4_mapped(e->fixed.w) ? slot_place(w->self.router, e->fixed.w[3]) : NULL;
	__u32 slot = place ? *place : 0;
	const struct tn_record *r = slot ? record_of(slot) : NULL;

	if (!r || !so_far || r->note.found != note_found(w->self.router, so_far) ||
	    r->note.fixed != e->fixed.w[3] || !(r->note.flags & TN_NOTE_OUT))
		return 0;
	e->shared = addr_v4(r->note.shared);
	e->tenant = r->note.tenant;
	e->flags = r->note.flags & ~NOTE_ROWS;
	return slot;
}

static __always_inline bool note_is_of(const struct tn_note *n, const struct scratch *w,
				       __u64 so_far)
{
	const struct endpoints *e = &w->endpoints;

	return n->found == note_found(w->self.router, so_far) && n->shared == e->shared.w[3] &&
	       n->fixed == e->fixed.w[3] && n->tenant == e->tenant &&
	       (n->flags & ~NOTE_ROWS) == (__u8)e->flags;
}

/*
 * That slot has the place in `slots`, unless another has it that is noted: of two with the same
 * place it stays one's.
 */
static __always_inline void slot_keep(__u32 router, __be32 fixed, __u32 slot, __u64 so_far)
{
	__u32 *place = slot_place(router, fixed);
	const struct tn_record *has;

	if (!place || *place == slot)
		return;
	has = *place ? record_of(*place) : NULL;
	if (!has || has->note.found >> TN_NOTE_ROUTER != so_far || !(has->note.flags & TN_NOTE_OUT))
		*place = slot;
}

/* A row says what the VM's end is: that of by_shared (TN_NOTE_IN), or that of by_fixed. */
static __always_inline void note_keep(const struct scratch *w, __u32 slot, __u64 so_far, __u8 by)
{
	const struct endpoints *e = &w->endpoints;
	struct tn_record *r;

	if (!so_far || !is_v4_mapped(e->shared.w) || slot != own_slot(e->shared.w[3]))
		return;
	r = record_of(slot);
	if (!r)
		return;
	if (note_is_of(&r->note, w, so_far))
		r->note.flags |= by;
	else
		r->note = (struct tn_note){ .found = note_found(w->self.router, so_far),
					    .shared = e->shared.w[3],
					    .fixed = e->fixed.w[3],
					    .tenant = e->tenant,
					    .flags = e->flags | by };
	if (by == TN_NOTE_OUT)
		slot_keep(w->self.router, e->fixed.w[3], slot, so_far);
}

/*
 * That generation of routes, of one end: each has a tick of its own when TN_ROUTES_LIFE is over.
 */
static __always_inline __u32 routes_to(__u32 routes, __be32 end, __u64 now)
{
	return routes +
	       (__u32)((now + ((__u64)own_slot(end) << TN_ROUTES_SPREAD)) >> tn_routes_shift);
}

/*
 * The next hop by which packets go to the mapping's VM, by those routes, be it out of date; NULL:
 * it is not noted.
 */
static __always_inline const struct tn_hop *note_hop(const struct tn_note *n, __u32 routes)
{
	return n->routes == routes_to(routes, n->shared, bpf_jiffies64())
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
static __always_inline bool peer_is_accepted(const struct tn_peer *p, __u32 service, __u64 so_far)
{
	return is_current(p->change, so_far) &&
	       (p->service == TN_SERVICE_ANY || p->service == service);
}

/*
 * As tn_rule() about the VM's tenant. Mappings that rules name are not what the line is about.
 * Global, so that the verifier follows it once.
 */
__noinline __u32 tn_peer_rule(__u32 service, __u64 so_far)
{
	struct scratch *w = scratch_get();
	const struct endpoints *e;
	struct tn_peer *p;
	__u32 rule;

	if (!w)
		return 0;
	e = &w->endpoints;
	p = e->flags & TN_SHARED_NAMED ? NULL : peer_begin(w);
	if (p && p->tenant == e->tenant && peer_is_accepted(p, service, so_far)) {
		w->any_service = p->service == TN_SERVICE_ANY;
		return p->rule;
	}
	rule = tn_rule(false, service >> 16, service & 0xffff);
	if (!p || !rule || !so_far)
		return rule;
	if (p->change != so_far)
		p->expires = 0; /* whose MAC address it is, the tables say too */
	p->change = so_far;
	p->tenant = e->tenant;
	p->service = w->any_service ? TN_SERVICE_ANY : service;
	p->rule = rule;
	return rule;
}

/* As note_hop(), to w->endpoints.peer. */
static __always_inline const struct tn_hop *peer_hop(const struct scratch *w, __u32 routes,
						     __u32 ingress)
{
	__be32 peer = w->endpoints.peer.w[3];
	const struct tn_peer *p = peer_place(w->self.router, peer);

	return p && peer_is(p, w->self.router, peer) && p->ingress == ingress &&
			       p->routes == routes_to(routes, peer, bpf_jiffies64())
		       ? hop_get(p->hop, p->generation)
		       : NULL;
}

/* NULL: it is not known, or not to be one that may send from there to that service of p->tenant. */
static __always_inline struct tn_peer *sender_recall(__u32 router, __be32 peer, const __u8 *mac,
						     __u32 service, __u64 so_far, __u64 now)
{
	struct tn_peer *p = peer_place(router, peer);

	if (!p || !peer_is(p, router, peer) || !peer_is_accepted(p, service, so_far) ||
	    p->expires <= now || !mac_equal(mac, p->mac))
		return NULL;
	return p;
}

/* w->endpoints.peer has sent from that MAC address what tn_peer_rule() says is accepted. */
static __always_inline void sender_keep(const struct scratch *w, const __u8 *mac, __u32 service,
					__u32 routes, __u64 so_far)
{
	struct tn_peer *p = w->endpoints.flags & TN_SHARED_NAMED || !routes ? NULL : peer_begin(w);

	if (!p || p->tenant != w->endpoints.tenant || !peer_is_accepted(p, service, so_far))
		return;
	p->expires = bpf_jiffies64() + tn_cache_ticks;
	p->seen = routes;
	__builtin_memcpy(p->mac, mac, sizeof(p->mac));
}

/*
 * The kernel has said, by those routes, how packets go to the VM, or where they come from that it
 * sends: see w->fib. Global, as the next ones, so that the verifier follows it once.
 */
__noinline int tn_keep_hop_in(__u64 so_far, __u32 routes, __u32 back)
{
	struct scratch *w = scratch_get();
	struct tn_record *r = w && routes ? noted_mapping(w, so_far) : NULL;
	const struct tn_hop *h = r ? hop_keep(w, back) : NULL;

	if (!h)
		return 0;
	r->note.hop = hop_place(w->self.router, h->link, h->gateway, h->mtu);
	r->note.generation = h->generation;
	r->note.routes = routes_to(routes, r->note.shared, bpf_jiffies64());
	return 0;
}

/* The same to the peer, of packets that come in there. */
__noinline int tn_keep_hop_out(__u32 routes, __u32 ingress)
{
	struct scratch *w = scratch_get();
	const struct tn_hop *h = w && routes ? peer_hop(w, routes, ingress) : NULL;
	struct tn_peer *p;

	/* it is due when it is out of date, and not before: see is_kernels() */
	if (!w || !routes || (h && h->expires > bpf_jiffies64()))
		return 0;
	h = hop_keep(w, false);
	p = h ? peer_begin(w) : NULL;
	if (!p)
		return 0;
	p->ingress = ingress;
	p->routes = routes_to(routes, p->peer, bpf_jiffies64());
	p->generation = h->generation;
	p->hop = hop_place(w->self.router, h->link, h->gateway, h->mtu);
	return 0;
}

/* Until when a frame from there is known to be the VM's, in ticks; 0: that has to be asked for. */
static __always_inline __u64 reverse_path_cached(const struct scratch *w, __u64 so_far,
						 __u32 routes, __u32 ingress, __u64 mac)
{
	const struct tn_record *r = noted_mapping(w, so_far);
	const struct tn_hop *h = r ? note_hop(&r->note, routes) : NULL;

	return h && h->back > bpf_jiffies64() && h->link == ingress && mac_word(h->macs) == mac
		       ? h->back
		       : 0;
}

/*
 * The place of the next hop to the peer, be it out of date, and one; 0: it is not noted. Sets
 * w->back, see reverse_path_cached(). `mac`: see mac_word().
 */
__noinline int tn_hop_out(__u64 so_far, __u32 routes, __u32 ingress, __u64 mac)
{
	struct scratch *w = scratch_get();
	const struct tn_hop *h;

	if (!w)
		return 0;
	w->back = is_loose(w) ? ~0ULL : reverse_path_cached(w, so_far, routes, ingress, mac);
	h = peer_hop(w, routes, ingress);
	return h ? hop_place(w->self.router, h->link, h->gateway, h->mtu) + 1 : 0;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What was found in the tables is kept where the next packet finds it with less looking: of a
 * mapping beside its counters, where a packet writes anyway, and of two tenants in `consents`.
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
static __always_inline bool holds(__u64 found, __u64 so_far)
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

static __always_inline __u64 note_found(__u64 so_far)
{
	return so_far << TN_NOTE_ROUTER | tn_router_id;
}

/*
 * The record of this router's mapping that has that address, if it has the slot that is its own by
 * it, and there is a note of its row, which holds. NULL: there is none.
 */
static __always_inline struct tn_record *noted_record(__be32 shared, __u64 so_far)
{
	__u32 slot = own_slot(shared);
	struct tn_record *r = slot ? record_of(slot) : NULL;

	return r && so_far && r->note.found == note_found(so_far) && r->note.shared == shared
		       ? r
		       : NULL;
}

/* Fills in the VM's end by the note of e->shared, and is its slot. 0: there is none that holds. */
static __always_inline __u32 note_recall(struct ends *e, __u64 so_far)
{
	const struct tn_record *r =
		is_v4_mapped(e->shared.w) ? noted_record(e->shared.w[3], so_far) : NULL;

	if (!r)
		return 0;
	e->fixed = addr_v4(r->note.fixed);
	e->tenant = r->note.tenant;
	e->flags = r->note.flags;
	return own_slot(e->shared.w[3]);
}

/* The row of e->shared says what the VM's end is. */
static __always_inline void note_keep(const struct ends *e, __u32 slot, __u64 so_far)
{
	struct tn_record *r;

	if (!so_far || !is_v4_mapped(e->shared.w) || slot != own_slot(e->shared.w[3]))
		return;
	r = record_of(slot);
	if (!r)
		return;
	r->note = (struct tn_note){ .found = note_found(so_far),
				    .shared = e->shared.w[3],
				    .fixed = e->fixed.w[3],
				    .tenant = e->tenant,
				    .flags = e->flags };
}

/* That generation of routes, of a mapping: each has a tick of its own when TN_ROUTES_LIFE is over.
 */
static __always_inline __u32 routes_to(__u32 routes, __be32 shared, __u64 now)
{
	return routes + (__u32)((now + own_slot(shared)) >> tn_routes_shift);
}

/*
 * The next hop by which packets go to the mapping's VM, by those routes, be it out of date; NULL:
 * it is not noted.
 */
static __always_inline const struct tn_hop *note_hop(const struct tn_note *n, __u32 routes)
{
	return n->routes == routes_to(routes, n->shared, bpf_jiffies64()) ? hop_get(n->hop, n->turn)
									  : NULL;
}

/* By those routes `way` leads to the VM, as w->fib has it. */
static __always_inline void note_keep_hop(const struct tn_way *way, const struct work *w,
					  __u64 so_far, __u32 routes)
{
	const struct tn_hop *h = NULL;
	struct tn_record *r;

	/*
	 * The first rule may have come after the generation was read; an IPv4 route can have an
	 * IPv6 gateway (RFC 8950)
	 */
	if (!routes || !w->for_nobody || !way->until || w->fib.family != FAMILY_V4)
		return;
	r = noted_record(w->ends.shared.w[3], so_far);
	if (r)
		h = hop_keep(way, w->fib.ipv4_dst);
	if (!h)
		return;
	r->note.hop = hop_place(h->link, h->gateway, h->mtu);
	r->note.turn = h->turn;
	r->note.routes = routes_to(routes, r->note.shared, bpf_jiffies64());
}

/* ---------------------------------------------------------------- two tenants */

/* What accepts `from` as a sender to all mappings of `tenant`: for one service, or for all. */
struct consent {
	__u64 change;
	__u32 tenant;
	__u32 from;
	__u32 service; /* class << 16 | service, or TN_WAY_ANY */
	__u32 rule;
};

#define CONSENTS_BITS 6

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1U << CONSENTS_BITS);
	__type(key, __u32);
	__type(value, struct consent);
} consents SEC(".maps");

static __always_inline struct consent *consent_place(__u32 tenant, __u32 from)
{
	__u32 place = (tenant + from * 0x85ebca6bU) * 0x9e3779b1U >> (32 - CONSENTS_BITS);

	return bpf_map_lookup_elem(&consents, &place);
}

/* As tn_rule() about the VM's tenant; `service` is class << 16 | service. */
static __always_inline __u32 note_rule(struct work *w, __u32 service, __u64 so_far)
{
	const struct ends *e = &w->ends;
	struct consent *c = consent_place(e->tenant, e->peer_tenant);
	__u32 rule;

	/* a mapping that rules name has rows of its own */
	if (!c || e->flags & TN_SHARED_NAMED)
		return tn_rule(false, service >> 16, service & 0xffff);
	if (holds(c->change, so_far) && c->tenant == e->tenant && c->from == e->peer_tenant &&
	    (c->service == TN_WAY_ANY || c->service == service)) {
		w->any_service = c->service == TN_WAY_ANY;
		return c->rule;
	}
	rule = tn_rule(false, service >> 16, service & 0xffff);
	if (!rule)
		return 0;
	*c = (struct consent){ .change = so_far,
			       .tenant = e->tenant,
			       .from = e->peer_tenant,
			       .service = w->any_service ? TN_WAY_ANY : service,
			       .rule = rule };
	return rule;
}

/* ---------------------------------------------------------------- a sender */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1U << TN_SENDERS_BITS);
	__type(key, __u32);
	__type(value, struct tn_sender);
} senders SEC(".maps");

static __always_inline struct tn_sender *sender_place(__be32 peer)
{
	__u32 place = bpf_ntohl(peer) * 0x9e3779b1U >> (32 - TN_SENDERS_BITS);

	return bpf_map_lookup_elem(&senders, &place);
}

/* NULL: he is not known, or not to be one who may send to that service of s->tenant. */
static __always_inline struct tn_sender *sender_recall(__be32 peer, const __u8 *mac, __u32 service,
						       __u64 so_far, __u64 now)
{
	struct tn_sender *s = sender_place(peer);

	if (!s || !holds(s->change, so_far) || s->until <= now || s->peer != peer ||
	    !mac_equal(mac, s->mac) || (s->service != TN_WAY_ANY && s->service != service))
		return NULL;
	return s;
}

/* w->ends.peer has sent, from that MAC address, and `rule` accepts it. */
static __always_inline void sender_keep(const struct work *w, const __u8 *mac, __u32 service,
					__u32 rule, __u32 routes, __u64 so_far)
{
	const struct ends *e = &w->ends;
	struct tn_sender *s;

	if (!so_far || !rule || !routes || e->flags & TN_SHARED_NAMED)
		return;
	s = sender_place(e->peer.w[3]);
	if (!s)
		return;
	*s = (struct tn_sender){ .change = so_far,
				 .until = bpf_jiffies64() + tn_way_ticks,
				 .peer = e->peer.w[3],
				 .tenant = e->tenant,
				 .service = w->any_service ? TN_WAY_ANY : service,
				 .rule = rule,
				 .routes = routes };
	__builtin_memcpy(s->mac, mac, sizeof(s->mac));
}

#endif

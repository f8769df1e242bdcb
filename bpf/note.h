/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What was found in the tables is kept where the next packet finds it with less looking: of a
 * mapping beside its counters, where a packet writes anyway, and of two tenants in `consents`.
 * Whatever is kept holds as long as `changes` stays what it was before the look-up.
 */
#ifndef TN_BPF_NOTE_H
#define TN_BPF_NOTE_H

#include "policy.h"

/*
 * How often the tables have changed; to be read before anything else of them. 0: they are changing,
 * and nothing that was found in them holds.
 */
static __always_inline __u64 changes_so_far(void)
{
	const __u64 *n;
	__u32 zero = 0;
	__u64 so_far;

	n = bpf_map_lookup_elem(&changes, &zero);
	so_far = n ? *(const volatile __u64 *)n : 0;
	return so_far & 1 ? 0 : so_far;
}

/* Whether the tables are what they were when something was found in them, at that change. */
static __always_inline bool holds(__u64 found, __u64 so_far)
{
	return so_far && found == so_far;
}

/* ---------------------------------------------------------------- a mapping */

/* The slot that is a mapping's own by its shared address; 0: it has none. */
static __always_inline __u32 own_slot(const struct tn_addr *shared)
{
	return bpf_ntohl(shared->w[3]) & tn_slots_mask;
}

static __always_inline struct tn_note *note_of(__u32 slot)
{
	struct tn_record *record = record_of(slot);

	return record ? &record->note : NULL;
}

/*
 * The mapping of this router that has e->shared, if it has the slot that is its own by that address
 * and its row was noted there: fills in the VM's end, and is the slot. 0: it was not.
 */
static __always_inline __u32 note_recall(struct ends *e, __u64 so_far)
{
	__u32 slot = own_slot(&e->shared);
	const struct tn_note *n;

	if (!slot || !is_v4_mapped(e->shared.w))
		return 0;
	n = note_of(slot);
	if (!n || !holds(n->change, so_far) || n->router != tn_router_id ||
	    n->shared != e->shared.w[3])
		return 0;
	e->fixed = addr_v4(n->fixed);
	e->tenant = n->tenant;
	e->flags = n->flags;
	return slot;
}

/* The row of e->shared says what the VM's end is. */
static __always_inline void note_keep(const struct ends *e, __u32 slot, __u64 so_far)
{
	struct tn_note *n;

	if (!so_far || !is_v4_mapped(e->shared.w) || slot != own_slot(&e->shared))
		return;
	n = note_of(slot);
	if (!n)
		return;
	*n = (struct tn_note){ .change = so_far,
			       .shared = e->shared.w[3],
			       .fixed = e->fixed.w[3],
			       .router = tn_router_id,
			       .tenant = e->tenant,
			       .flags = e->flags };
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

#endif

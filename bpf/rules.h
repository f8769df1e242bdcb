/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which rule accepts a service. The number of look-ups does not depend on the number of rules:
 * tn_abi.h, accepts.
 */
#ifndef TN_BPF_RULES_H
#define TN_BPF_RULES_H

#include "lookup.h"
#include "service.h"

/* No class at all: only a rule that accepts everything can match. */
#define CLASS_NONE TN_CLASSES_COUNT
_Static_assert(!(TN_CLASSES_COUNT & (TN_CLASSES_COUNT - 1)), "tn_rule_in_row() masks a class");

#define SERVICE_UNKNOWN 0x10000

/*
 * The rule of a row, if it is in force; 0: it is over, or there is none. `all`: the row is for all
 * services of a class. What is compared is read again behind each call: there is no room on the
 * stack to keep it.
 */
static __always_inline __u32 rule_in_force(struct scratch *w, struct tn_service *row, bool all)
{
	volatile struct tn_service *r = row;
	__u32 tai, now, since;

	if (!r->until)
		return r->rule;
	tai = seconds_tai();
	now = seconds();
	if (tai < r->until) {
		if (r->used != now) /* several CPUs share it */
			r->used = now;
		w->ends = true;
		return r->rule;
	}
	if (!w->ended)
		w->ended = r->rule;
	since = tai - r->until < now ? now - (tai - r->until) : 0;
	if (r->used > since)
		since = r->used;
	if (all && since > w->ended_all_since)
		w->ended_all_since = since;
	if (!all && since > w->ended_since)
		w->ended_since = since;
	return 0;
}

/* What a row of accepts begins with is the rule that accepts everything, as a row of services. */
_Static_assert(offsetof(struct tn_accept, rule) == offsetof(struct tn_service, rule) &&
		       offsetof(struct tn_accept, until) == offsetof(struct tn_service, until) &&
		       offsetof(struct tn_accept, used) == offsetof(struct tn_service, used),
	       "tn_rule_in_row() looks at both alike");

/*
 * The rule of the row of accepts that w->service names, and the rows of services below it; 0: none.
 * `service` SERVICE_UNKNOWN: a fragment without its header. Global, so that the
 * verifier follows it once.
 */
__noinline __u32 tn_rule_in_row(__u32 service)
{
	struct scratch *w = scratch_get();
	struct tn_service_key *key;
	struct tn_service *row;
	struct tn_accept *found;
	__u32 blocks, class, rule;

	if (!w)
		return 0;
	key = &w->service;
	class = key->class;
	found = bpf_map_lookup_elem(&accepts, &key->accept);
	if (!found)
		return 0;
	rule = rule_in_force(w, (struct tn_service *)found, true);
	w->any_service = rule && !w->rows;
	w->rows++;
	if (rule || class >= TN_CLASSES_COUNT)
		return rule;
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
		row = bpf_map_lookup_elem(&services, key);
		if (!row)
			continue;
		rule = rule_in_force(w, row, key->shift == TN_SHIFT_ALL);
		if (rule)
			return rule;
	}
	return 0;
}

/* The rows that can accept a packet: to all mappings or to that one, from these senders. */
enum { FROM_TENANT, FROM_ANY, FROM_SENDER, FROM_KINDS };

/*
 * To the key in w->service, as its `sender` or `to`: the mapping of the peer, or else of the VM, as
 * rules name it. Global, because there is little room on the stack.
 */
__noinline int tn_rule_end(__u32 sender, __u32 peer)
{
	struct scratch *w = scratch_get();
	struct tn_addr *end;

	if (!w)
		return 0;
	end = sender ? &w->service.accept.sender : &w->service.accept.to;
	*end = peer ? w->endpoints.peer : w->endpoints.shared;
	name_mapping(end, peer ? w->endpoints.peer_flags : w->endpoints.flags);
	return 0;
}

/*
 * The rule, of the VM's tenant about its peer or with `of_peer` the other way round, that accepts
 * that service; 0: none does. A tenant's rules for all of its mappings come first, then those
 * that name the mapping; of either, those from that tenant, from any, and from that mapping.
 */
__noinline __u32 tn_rule(__u32 of_peer, __u32 class, __u32 service)
{
	struct scratch *w = scratch_get();
	struct tn_service_key *key;
	__u32 from, to_flags, from_flags, rule = 0;
	struct endpoints *e;

	if (!w)
		return 0;
	w->rows = w->any_service = w->ends = 0;
	w->ended = w->ended_since = w->ended_all_since = 0;
	e = &w->endpoints;
	from = of_peer ? e->tenant : e->peer_tenant;
	to_flags = of_peer ? e->peer_flags : e->flags;
	from_flags = of_peer ? e->flags : e->peer_flags;
	if (!from)
		return 0;
	key = &w->service;
	*key = (struct tn_service_key){ .accept.tenant = of_peer ? e->peer_tenant : e->tenant,
					.class = class };
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < 2 * FROM_KINDS && !rule; i++) {
		__u32 kind = i % FROM_KINDS;

		if (i == FROM_KINDS) {
			if (!(to_flags & TN_SHARED_NAMED))
				break;
			tn_rule_end(false, of_peer);
		}
		if (kind == FROM_SENDER && !(from_flags & TN_SHARED_SENDER))
			continue;
		key->accept.from = kind == FROM_ANY ? 0 : from;
		key->accept.sender = (struct tn_addr){};
		if (kind == FROM_SENDER)
			tn_rule_end(true, !of_peer);
		rule = tn_rule_in_row(service);
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
static __always_inline void endpoints_know_vm(struct endpoints *e, const struct tn_fixed *mapping)
{
	e->shared = mapping->shared;
	e->tenant = mapping->tenant;
	e->flags = mapping->flags;
	translate_by(&e->shared, e->flags, &e->fixed);
}

/* The same of that at e->shared. */
static __always_inline void endpoints_know_vm_in(struct endpoints *e,
						 const struct tn_shared *mapping)
{
	e->fixed = mapping->fixed;
	e->tenant = mapping->tenant;
	e->flags = mapping->flags;
	translate_by(&e->fixed, e->flags, &e->shared);
}

/* Who is at e->peer, which has this row in by_shared, or none. */
static __always_inline void endpoints_know_peer(struct endpoints *e, const struct tn_shared *row)
{
	e->peer_tenant = row ? row->tenant : tn_pool_of(&e->peer);
	e->peer_flags = row ? row->flags : 0;
}

#endif

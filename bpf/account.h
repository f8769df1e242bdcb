/* SPDX-License-Identifier: GPL-2.0-only */
/* Counting: what was dropped and why, what each mapping carried, and what each rule accepted. */
#ifndef TN_BPF_ACCOUNT_H
#define TN_BPF_ACCOUNT_H

#include "pkt.h"
#include "scratch.h"

/* `return drop(p, TN_DROP_…)`: the only way to drop. account() counts it. */
static __always_inline enum tn_verdict drop(struct pkt *p, enum tn_reason reason)
{
	p->reason = reason;
	return TN_DROP;
}

/*
 * A verdict with its reason, of a global function: the verifier looks at these by themselves, and
 * they have room on the stack of their own. The reason comes with it to whoever called.
 */
static __always_inline int verdict_pack(const struct pkt *p, enum tn_verdict v)
{
	return v | p->reason << 8;
}

/* One of a few, so that the verifier does not follow each that there could be. */
static __always_inline enum tn_verdict verdict_unpack(struct pkt *p, int packed)
{
	switch (packed & 0xff) {
	case TN_GO_ON:
		return TN_GO_ON;
	case TN_PASS:
		return TN_PASS;
	case TN_ANSWER:
		return TN_ANSWER;
	case TN_HOLD:
		return TN_HOLD;
	default:
		return drop(p, packed >> 8);
	}
}

/* The same of a function that finds a reason to drop, and one more, or 0. */
static __always_inline enum tn_verdict drop_if(struct pkt *p, int reason)
{
	return reason ? drop(p, reason - 1) : TN_GO_ON;
}

static __always_inline struct tn_drops *router_counters(__u32 router)
{
	return bpf_map_lookup_elem(&drops, &router);
}

/* Where this CPU has the record of a mapping with that slot. */
static __always_inline __u32 record_at(__u32 slot)
{
	return bpf_get_smp_processor_id() * tn_counter_slots + slot;
}

static __always_inline struct tn_record *record_there(__u32 at)
{
	return bpf_map_lookup_elem(&counters, &at);
}

static __always_inline struct tn_record *record_of(__u32 slot)
{
	return record_there(record_at(slot));
}

/*
 * Has its memory fetched, for what comes soon: a packet waits for what it reads, but not for what
 * it writes.
 */
static __always_inline void record_fetch(struct tn_record *r)
{
	if (r)
		*(volatile __u8 *)&r->cached.pad = 0;
}

/* `r`: NULL where the mapping is not counted. */
static __always_inline void count_in(const struct pkt *p, struct tn_record *r)
{
	if (r) {
		r->counters.in_packets += p->packets;
		r->counters.in_bytes += p->ip_bytes;
	}
}

static __always_inline void count_out(const struct pkt *p, struct tn_record *r)
{
	if (r) {
		r->counters.out_packets += p->packets;
		r->counters.out_bytes += p->ip_bytes;
	}
}

static __always_inline void count_drop(const struct pkt *p)
{
	struct scratch *w = scratch_get();
	struct tn_drops *d = w ? router_counters(w->self.router) : NULL;

	if (d)
		d->packets[p->reason % TN_REASONS_MAX] += p->packets; /* for the verifier */
}

static __always_inline void count_hit(const struct pkt *p)
{
	__u32 rule = p->rule;
	__u64 *n = bpf_map_lookup_elem(&hits, &rule);

	if (n)
		*n += p->packets;
}

/* What became of a packet, once and when nothing about it can change any more. */
static __always_inline void account(const struct pkt *p, enum tn_verdict v)
{
	if (v == TN_DROP)
		count_drop(p);
	else if (p->rule && (v == TN_TRANSLATED || v == TN_TURN_BACK || v == TN_DELIVER))
		count_hit(p);
}

#endif

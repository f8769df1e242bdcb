/* SPDX-License-Identifier: GPL-2.0-only */
/* Counting: what was dropped and why, what each mapping carried. */
#ifndef TN_BPF_ACCOUNT_H
#define TN_BPF_ACCOUNT_H

#include "pkt.h"

/* `return drop(p, TN_DROP_…)`: the only way to drop. */
static __always_inline enum tn_verdict drop(const struct pkt *p, enum tn_reason reason)
{
	__u32 router = tn_router_id;
	struct tn_drops *d;

	d = bpf_map_lookup_elem(&drops, &router);
	if (d)
		d->packets[reason % TN_REASONS_MAX] += p->packets; /* for the verifier */
	return TN_DROP;
}

static __always_inline void count_in(const struct pkt *p, __u32 slot)
{
	struct tn_counters *c = bpf_map_lookup_elem(&counters, &slot);

	if (c) {
		c->in_packets += p->packets;
		c->in_bytes += p->ip_bytes;
	}
}

static __always_inline void count_out(const struct pkt *p, __u32 slot)
{
	struct tn_counters *c = bpf_map_lookup_elem(&counters, &slot);

	if (c) {
		c->out_packets += p->packets;
		c->out_bytes += p->ip_bytes;
	}
}

#endif

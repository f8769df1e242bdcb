/* SPDX-License-Identifier: GPL-2.0-only */
/* What a mapping may carry: a token bucket in each direction. */
#ifndef TN_BPF_LIMITS_H
#define TN_BPF_LIMITS_H

#include "account.h"
#include "bucket.h"
#include "lookup.h"

enum limit_direction { LIMIT_IN, LIMIT_OUT };

/*
 * Whether the mapping of scratch.endpoints.shared may carry `packets` of `bytes` more in all. What
 * one bucket refuses is not taken from the other.
 */
__noinline int tn_limit_allows(__u32 direction, __u32 packets, __u32 bytes)
{
	struct scratch *w = scratch_get();
	__u64 now, cost = 0;
	struct tn_limit *l;

	if (!w)
		return 0;
	w->limited = w->endpoints.shared;
	name_mapping(&w->limited, w->endpoints.flags);
	l = bpf_map_lookup_elem(&limits, &w->limited);
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

static __always_inline enum tn_verdict limit(struct pkt *p, const struct endpoints *e,
					     enum limit_direction direction, enum tn_verdict v)
{
	if (v != TN_TRANSLATED || !(e->flags & TN_SHARED_LIMITED))
		return v;
	return tn_limit_allows(direction, p->packets, p->ip_bytes) ? v : drop(p, TN_DROP_LIMIT);
}

#endif

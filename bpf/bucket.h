/* SPDX-License-Identifier: GPL-2.0-only */
/* Token buckets, in map values that all CPUs share. */
#ifndef TN_BPF_BUCKET_H
#define TN_BPF_BUCKET_H

#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

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

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the stubs of the routers and the programs that they call have in common: see tn_abi.h,
 * enum tn_variant.
 */
#ifndef TN_BPF_PROGRAMS_H
#define TN_BPF_PROGRAMS_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "tn_abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tn_scratch);
} scratches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, TN_TC_PLACES);
	__type(key, __u32);
	__type(value, __u32);
} programs_tc SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, TN_XDP_PLACES);
	__type(key, __u32);
	__type(value, __u32);
} programs_xdp SEC(".maps");

/* Whether a frame waited for the kernel to know its sender: see hold.h. */
static __always_inline bool is_held(const struct __sk_buff *skb)
{
	return skb->mark >> 16 == TN_HELD_MARK;
}

static __always_inline bool take_mark(struct __sk_buff *skb, __u32 mark)
{
	if (skb->mark != mark)
		return false;
	skb->mark = 0;
	return true;
}

#endif

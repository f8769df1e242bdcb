/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's header, with contexts of our own: in a program's context `data` and its
 * like are pointers, which the kernel rewrites from 32-bit fields to what fits. Nobody does
 * that natively, so they are as wide as a pointer here.
 */
#ifndef TN_FUZZ_LINUX_BPF_H
#define TN_FUZZ_LINUX_BPF_H

#define xdp_md	  uapi_xdp_md
#define __sk_buff uapi_sk_buff
#include_next <linux/bpf.h>
#undef xdp_md
#undef __sk_buff

struct xdp_md {
	__u64 data;
	__u64 data_end;
	__u64 data_meta;
	__u32 ingress_ifindex;
};

struct __sk_buff {
	__u32 len;
	__u32 pkt_type;
	__u32 mark;
	__u32 priority;
	__u32 protocol;
	__u32 ingress_ifindex;
	__u32 ifindex;
	__u64 data;
	__u64 data_end;
	__u64 data_meta;
	__u32 gso_segs;
	__u32 gso_size;
	__u32 vlan_present;
	__u32 vlan_tci;
	__u32 tc_index;
	const void *sk;
};

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checksums by increment (RFC 1624, equation 3): HC' = ~(~HC + ~m + m').
 * A difference is the sum of ~m + m', a 64-bit number that is folded at the end;
 * it is zero only if nothing changed.
 */
#ifndef TN_BPF_CSUM_H
#define TN_BPF_CSUM_H

#include <linux/in.h>
#include <linux/in6.h>

#include <bpf/bpf_endian.h>

#include "maps.h"

static __always_inline __u64 csum_diff32(__be32 old, __be32 new)
{
	return old == new ? 0 : (__u64)(__u32)~old + new;
}

static __always_inline __u64 csum_diff16(__be16 old, __be16 new)
{
	return old == new ? 0 : (__u64)(__u16)~old + new;
}

static __always_inline __u64 csum_diff_addr(const struct tn_addr *old, const struct tn_addr *new)
{
	return csum_diff32(old->w[0], new->w[0]) + csum_diff32(old->w[1], new->w[1]) +
	       csum_diff32(old->w[2], new->w[2]) + csum_diff32(old->w[3], new->w[3]);
}

/* 64 bits to 32, for the kernel's helpers. */
static __always_inline __u32 csum_fold32(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	return sum;
}

static __always_inline __u16 csum_fold16(__u64 sum)
{
	sum = csum_fold32(sum);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static __always_inline __sum16 csum_apply(__sum16 old, __u64 diff)
{
	return diff ? (__sum16)~csum_fold16((__u16)~old + diff) : old;
}

/* The same of a sum of a few words, in a few instructions: it may be some more than 16 bits. */
static __always_inline __u32 csum_fold_few(__u64 sum)
{
	__u32 once = (sum >> 16) + (sum & 0xffff);

	return (once >> 16) + (once & 0xffff);
}

static __always_inline __sum16 csum_apply_few(__sum16 old, __u32 diff)
{
	__u32 sum = (__u16)~old + diff;

	sum = (sum >> 16) + (sum & 0xffff);
	return ~(sum + (sum >> 16));
}

/* Nothing changes for a sum: the difference is either zero of ones' complement. */
static __always_inline bool csum_is_neutral(__u64 diff)
{
	return !diff || csum_fold16(diff) == 0xffff;
}

/* Where the checksum that covers the pseudo-header lies in an L4 header; -1: there is none. */
static __always_inline int csum_offset(__u8 proto, bool v4)
{
	switch (proto) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_DCCP:
		return 6;
	case IPPROTO_ICMPV6:
		return v4 ? -1 : 2;
	default:
		return -1;
	}
}

/*
 * Protocols that send a checksum that comes to zero as ones, because zero means that
 * there is none (RFC 768), or is not allowed at all (RFC 3828, 3.1). Zero is left alone.
 */
static __always_inline bool csum_optional(__u8 proto)
{
	return proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE;
}

#endif

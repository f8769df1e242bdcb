/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every kind of packet that is translated, without its addresses: dnat.c sends
 * each one in, snat.c sends it out, both for IPv4 and for IPv6.
 */
#ifndef TN_TEST_KINDS_H
#define TN_TEST_KINDS_H

#include "harness.h"

enum kind_flags {
	V4 = 1 << 0,
	V6 = 1 << 1,
	BOTH = V4 | V6,
	TUNED = 1 << 2,	 /* the L4 checksum comes to zero once translated */
	GSO = 1 << 3,	 /* tc alone: a driver's XDP never sees one */
	LARGE = 1 << 4,	 /* XDP alone: tc has no test runs of that length */
	SUMMED = 1 << 5, /* also run with CHECKSUM_COMPLETE: all its checksums are right */
};

struct kind {
	const char *what;
	unsigned int flags;
	struct packet packet;
};

extern const struct kind kinds[];
extern const size_t kinds_n;

bool kind_is_for(const struct kind *kind, enum program program);

/*
 * The row of a kind: from `src` to `dst`, and with `new_src` and `new_dst` behind
 * the translation.
 */
struct row kind_row(const struct kind *kind, const char *src, const char *dst, const char *new_src,
		    const char *new_dst);

#endif

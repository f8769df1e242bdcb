/* SPDX-License-Identifier: GPL-2.0-only */
/* The largest packet that reaches a host and is answered, of many hosts at once. */
#ifndef TN_PING_SIZE_H
#define TN_PING_SIZE_H

#include "probe/ping.h"

/* `ping` has source and destination, and what was asked last. */
struct ping_size {
	struct ping ping;
	/* between the largest packet that was seen to pass and the smallest that was not */
	uint32_t passes, fails;
	uint32_t told; /* by an ICMP error about such a packet; 0: none */
};

/*
 * Each answers packets of PING_LEAST bytes, and is asked with its `passes` bytes, which come out as
 * the largest size that is answered. Takes no time if the whole size is; else some rounds of `ms`
 * milliseconds for all of them together.
 */
void ping_sizes(struct pinger *p, struct ping_size *const *v, size_t n, unsigned int ms);

#endif

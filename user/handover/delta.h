/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which flows of a router another host has yet to be told of. Pure. A host is told of what is new,
 * and of what ends a good deal later or earlier than it knows: not of each packet.
 */
#ifndef TN_DELTA_H
#define TN_DELTA_H

#include "dataplane/flows.h"
#include "lib/util.h"

/* A flow that the other host knows. */
struct told {
	uint64_t name;	  /* a hash of the flow */
	uint32_t expires; /* CLOCK_MONOTONIC of this host, seconds, as it was told */
	bool closing;
};

/* Of one router, what one host knows; all zero but for `seed`: nothing yet. */
struct delta {
	uint64_t seed;		/* random, so that nobody can make two flows look like one */
	VEC(struct told) known; /* sorted by name */
};

void delta_free(struct delta *d);

/* Flows that are to be told: indexes into those that there are. */
struct chosen {
	VEC(uint32_t) list;
	size_t left; /* that are to be told, too, and are too many for now */
};

void chosen_free(struct chosen *c);
#define _cleanup_chosen_ _cleanup_(chosen_free)

/*
 * Choose `most` of the `n` flows that are open at `now` at the most, new ones first; from then on
 * the host knows them. It forgets those that are open no more. *out is the caller's to free.
 */
void delta_choose(struct delta *d, const struct flow *v, size_t n, uint32_t now, size_t most,
		  struct chosen *out);

#endif

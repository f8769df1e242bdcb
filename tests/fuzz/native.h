/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The programs of bpf/, compiled for the host: the same source, behind a shim that does
 * what the kernel does for them. Nothing of the kernel or of libbpf is needed to call this.
 */
#ifndef TN_FUZZ_NATIVE_H
#define TN_FUZZ_NATIVE_H

#include "fixture.h"

/* What the kernel knows of the checksum of a frame (CHECKSUM_… in <linux/skbuff.h>). */
enum summed {
	SUMMED_NOT,
	SUMMED_PARTLY, /* the field holds the pseudo-header's sum, for the interface to complete */
	SUMMED_WHOLE,  /* the sum of the frame is known, and is to stay right */
};

struct native_in {
	enum program program;
	bool guards_only; /* tn_xdp_guards_only */
	uint32_t mark;
	uint16_t gso_size, gso_segs;
	size_t linear; /* bytes that lie in one piece, and can be read in place; 0: all */
	bool lost_mac; /* tc alone: the frame begins behind its MAC header, see pkt_mend_mac() */
	enum summed summed;
	const uint8_t *bytes;
	size_t len;
};

/* What the loader does: the constants of the programs, and the maps by their names. */
void native_open(uint32_t router, const uint8_t mac[ETH_ALEN], uint32_t shared_ifindex);
void native_update(const char *map, const void *key, const void *value);
/* The value in the map; NULL: there is none. */
void *native_lookup(const char *map, const void *key);
/* No element is left; or in one map alone. */
void native_clear(void);
void native_clear_map(const char *map);

void native_run(const struct native_in *in, struct result *r);
/* Of the last run, if SUMMED_WHOLE: whether the sum that the kernel knows is still the frame's. */
bool native_sum_is_right(void);

#endif

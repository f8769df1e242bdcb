/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The programs of bpf/, compiled for the host: the same source, behind a shim that does
 * what the kernel does for them. Nothing of the kernel or of libbpf is needed to call this.
 */
#ifndef TN_FUZZ_NATIVE_H
#define TN_FUZZ_NATIVE_H

#include "../bpf/fixture.h"

/* What the kernel knows of the checksum of a frame (CHECKSUM_… in <linux/skbuff.h>). */
enum summed {
	SUMMED_NOT,
	SUMMED_PARTLY, /* the field holds the pseudo-header's sum, for the interface to complete */
	SUMMED_WHOLE,  /* the sum of the frame is known, and is to stay right */
};

/* What the kernel knows of the way back to a source: bpf_fib_lookup(). */
enum way_back {
	WAY_BACK_HERE,	    /* by the interface that the frame came from; no MAC address */
	WAY_BACK_KNOWN,	    /* the same, and the frame's source has that MAC address */
	WAY_BACK_OTHER_MAC, /* or another one */
	WAY_BACK_ELSEWHERE, /* by another interface */
	WAY_BACK_NONE,
	WAY_BACK_DISABLED, /* the router does not forward */
	WAY_BACKS
};

struct native_in {
	enum program program;
	bool guards_only;   /* tn_xdp_guards_only */
	bool sources_loose; /* tn_sources_loose */
	bool fast;	    /* tn_forward_fast, to VMs on an interface of their own */
	bool settled;	    /* the tables do not change: what is found in them is kept */
	bool watched;	    /* somebody watches, for nothing that happens */
	uint32_t mark;
	uint16_t gso_size, gso_segs;
	size_t linear; /* bytes that lie in one piece, and can be read in place; 0: all */
	bool lost_mac; /* tc alone: the frame begins behind its MAC header, see pkt_mend_mac() */
	enum summed summed;
	enum way_back way_back;
	const uint8_t *bytes;
	size_t len;
};

/*
 * What the loader does: the constants of red's programs, and the maps, by their names. The
 * mappings are the fixture's; slots are counted from 1.
 */
void native_open(void);
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

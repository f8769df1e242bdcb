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

/*
 * Where the kernel's tables lead: to VMs by the inside interface, to the shared network by the
 * shared one, and what else there may be instead.
 */
enum way {
	WAY_KNOWN,   /* the next hop has a MAC address: a VM's, that of the frame that it sent */
	WAY_UNKNOWN, /* it has to be asked for */
	WAY_OTHER,   /* a VM has another one than that of the frame */
	WAY_ASIDE,   /* by another inside interface */
	WAY_BACK, /* by the interface on this side: for VMs the shared one, else the inside one */
	WAY_UPLINK,
	WAY_TUNNEL,   /* which the route names itself */
	WAY_NOWHERE,  /* no route, or one that refuses */
	WAY_GONE,     /* the same for the shared network; VMs cannot be asked for from there */
	WAY_DISABLED, /* the router does not forward */
	WAYS
};

/* By which interface a frame came that leaves by the shared one. */
enum ingress { FROM_ROUTER, FROM_INSIDE, FROM_SHARED, FROM_UPLINK };

/* Indexes of the interfaces. VMs are behind the first inside one. */
enum { IF_SHARED = 1, IF_INSIDE, IF_UPLINK, IF_ASIDE };

#define SHIM_MTU 1400 /* of every interface */

struct native_in {
	enum program program;
	bool guards_only;   /* tn_xdp_guards_only */
	bool sources_loose; /* TN_PORT_LOOSE */
	bool feasible;	    /* TN_PORT_FEASIBLE */
	bool raw;	    /* frames of VMs begin with the IP header */
	bool fast;	    /* tn_forward_fast, to VMs on an interface of their own */
	bool settled;	    /* the tables do not change: what is found in them is kept */
	bool watched;	    /* somebody watches, for nothing that happens */
	bool spent;	    /* too many neighbours have been asked for, and too many errors told */
	enum way to_vms, to_shared;
	enum ingress ingress; /* shared egress alone, and these */
	bool no_socket;	      /* the kernel has sent it for nobody of the router, */
	bool noted;	      /* or made it of what came from inside */
	uint32_t mark, priority;
	uint16_t gso_size, gso_segs;
	size_t linear; /* bytes that lie in one piece, and can be read in place; 0: all */
	bool lost_mac; /* tc alone: the frame begins behind its MAC header, see pkt_restore_mac() */
	enum summed summed;
	/* if SUMMED_PARTLY: offsets in the frame, and from there on */
	uint16_t left_start, left_field;
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
/* What caches hold of the kernel is out of date from now on. */
void native_forget(void);

/* What else is known of a run. */
struct native_out {
	uint32_t priority;
	uint32_t egress; /* the interface that it is redirected to; 0: it is not, */
	bool into;	 /* and whether it is to come in there, not to leave */
	bool sum_right;	 /* if SUMMED_WHOLE: the sum that the kernel knows is still the frame's */
	/* if SUMMED_PARTLY: it still is, with the sum to be written there; 0: it is not */
	size_t left_start, left_at;
};

void native_run(const struct native_in *in, struct result *r);
struct native_out native_out(void);
/* What the device does to the frame that the last run left to it. */
void native_finish(struct frame *f);

#endif

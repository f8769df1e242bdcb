/* SPDX-License-Identifier: GPL-2.0-only */
/* What programs.c gives: the programs, their constants and their maps. */
#ifndef TN_FUZZ_PROGRAMS_H
#define TN_FUZZ_PROGRAMS_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/bpf.h>

#include "tn_abi.h"

struct map_element {
	struct map_element *next;
	void *key, *value; /* allocations of their own: no read beyond them goes unseen */
};

struct map {
	const char *name;
	void *address; /* of its definition, by which the programs name it */
	size_t key_size, value_size;
	__u32 entries;	   /* an array's, all of which are there; 0: a hash */
	struct map *inner; /* what each element of a map of maps is; NULL: it is none */
	bool prefixes;	   /* keys are prefixes, and the longest one is found (LPM) */
	struct map_element *first;
};

/* Ends with one without a name. */
extern struct map programs_maps[];

extern const volatile __u32 tn_router_id;
extern const volatile bool tn_xdp_guards_only;
extern const volatile bool tn_forward_fast;
extern const volatile bool tn_reads_kernel;
extern const volatile __u32 tn_slots_mask;
extern const volatile __u32 tn_cache_ticks;

extern volatile __u64 table_seq;
extern struct tn_watch watch;

/* What bpf_cast_to_kern_ctx() gives: of a namespace whose routes never change. */
void *programs_kernel_xdp(bool in_pieces);
/* What the kernel has of an skb; in bytes from its data on: one MAC header can lie in front of it.
 */
struct programs_skb {
	int mac, network;
	bool left; /* its checksum, to the device: */
	int left_start;
	unsigned int left_field;
};

void *programs_kernel_skb(const struct programs_skb *s);

int tn_xdp_shared_in(struct xdp_md *xdp);
int tn_tc_shared_in(struct __sk_buff *skb);
int tn_tc_shared_out(struct __sk_buff *skb);
int tn_tc_inside_in(struct __sk_buff *skb);
int tn_tc_inside_out(struct __sk_buff *skb);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's side of a program: the frame that its context shows, and the maps. */
#ifndef TN_FUZZ_SHIM_H
#define TN_FUZZ_SHIM_H

#include "native.h"
#include "programs.h"

/*
 * A frame as a program has it. What is linear is an allocation of its own that ends
 * with the frame, and is a new one after every helper that may move data: so the address
 * sanitizer sees a read behind data_end, and a pointer that should have been forgotten.
 */
struct shim_frame {
	union { /* the context */
		struct xdp_md xdp;
		struct __sk_buff skb;
	};
	bool is_xdp;
	uint8_t *room;	 /* in front of the data, and then the data */
	uint32_t linear; /* bytes of data there */
	uint8_t *rest;	 /* what is not linear */
	uint32_t rest_len;
	uint32_t meta; /* bytes of metadata in front of the data */
	/* where these headers are, from the data on; negative: in the room in front of it */
	int32_t mac, network;
	enum summed summed;
	uint32_t sum; /* if SUMMED_WHOLE: from the network header on */
	/* if SUMMED_PARTLY: from the data on, and from there on */
	int32_t left_start;
	uint16_t left_field;
	enum way to_vms, to_shared;
	/* what the program asked for last */
	uint32_t egress;
	bool into;
};

void shim_frame_open(struct shim_frame *f, const struct native_in *in);
/* The program has run. */
void shim_frame_end(struct shim_frame *f);
void shim_frame_close(struct shim_frame *f);
const uint8_t *shim_meta(const struct shim_frame *f);
uint32_t shim_len(const struct shim_frame *f);
void shim_copy_out(const struct shim_frame *f, uint32_t offset, void *to, uint32_t len);
/* What the device does. */
void shim_finish(uint8_t *bytes, size_t len, size_t start, size_t at);
/* Whether `sum` is what the bytes come to. */
bool shim_sum_is_right(const struct shim_frame *f);

/* What caches hold of the kernel is out of date from now on. */
void shim_forget(void);
struct map *shim_map(const char *name);
void shim_map_update(struct map *map, const void *key, const void *value);
void *shim_map_lookup(struct map *map, const void *key);
void shim_map_clear(struct map *map);

#endif

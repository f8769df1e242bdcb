/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the fuzzer makes, and the corpus keeps, is a frame behind two bytes that say what
 * becomes of it:
 *
 *   byte 0, bits 0-1  the program (enum program)
 *           bit  2    XDP only guards
 *           bit  3    the skb has the mark of a hairpin
 *           bit  4    the skb is three segments in one (GSO)
 *           bits 5-7  the MAC address that the frame is sent to (enum input_to)
 *   byte 1            0, or how many bytes beyond the least are linear, where that can be said
 */
#ifndef TN_FUZZ_INPUT_H
#define TN_FUZZ_INPUT_H

#include "native.h"

#define INPUT_HEAD	2
#define INPUT_FRAME_MAX 1600
#define INPUT_MAX	(INPUT_HEAD + INPUT_FRAME_MAX)

enum input_to {
	TO_AS_IT_IS, /* the frame says */
	TO_ROUTER,
	TO_EVERYBODY,
	TO_GROUP,
	TO_GROUP_6,
	TO_OTHER,
};

struct input {
	struct native_in in; /* all linear; its frame is `frame` */
	size_t linear;	     /* how much of it might be; 0: all */
	uint8_t frame[INPUT_FRAME_MAX];
};

/* Any bytes will do: what is short is filled up with zeroes, what is long is cut off. */
void input_read(struct input *i, const uint8_t *data, size_t size);
/* The other way; 0: the frame is too long. */
size_t input_write(uint8_t data[INPUT_MAX], enum program program, bool guards_only,
		   const struct packet *p, const struct frame *f);

#endif

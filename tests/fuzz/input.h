/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the fuzzer makes, and the corpus keeps, is a frame behind six bytes that say what
 * becomes of it:
 *
 *   byte 0, bits 0-1  the program (enum program), but see byte 3
 *           bit  2    XDP only guards
 *           bit  3    the skb has the mark of a hairpin
 *           bit  4    the skb is three segments in one (GSO)
 *           bits 5-7  the MAC address that the frame is sent to (enum input_to)
 *   byte 1            0, or how many bytes beyond the least are linear, where that can be said
 *   byte 2, bits 0-3  where the kernel's tables lead to VMs (enum way)
 *           bits 4-7  and to the shared network
 *   byte 3, bits 0-1  by which interface it came that leaves (enum ingress)
 *           bit  2    the program is the one of inside egress
 *           bit  3    there are too many neighbours and errors already
 *           bit  4    inside egress: the frame was held,
 *           bit  5    and came from another MAC address than it is for now
 *           bit  6    what no interface has received is of no socket,
 *           bit  7    but of fragments from inside
 *   byte 4, byte 5    0, or the checksum that is left to the device: where it starts, from the
 *                     network header on, and where its field is from there on
 */
#ifndef TN_FUZZ_INPUT_H
#define TN_FUZZ_INPUT_H

#include "native.h"

#define INPUT_HEAD	6
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

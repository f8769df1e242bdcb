/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is pinned in bpffs. The kernel opens whatever lies there, and tells of a program what it
 * would tell of a map; and it fills a buffer by the size of the map, not by ours. So nothing is
 * used before it is known to be what it has to be.
 */
#ifndef TN_PIN_H
#define TN_PIN_H

#include <stdint.h>

enum pin_kind {
	PIN_MAP,
	PIN_PROGRAM,
	PIN_LINK,
};

/* The caller's to close. -1 with errno; EINVAL: what is there is something else. */
int pin_open(const char *path, enum pin_kind kind);

/* What a map has to be. */
struct map_shape {
	uint32_t type; /* enum bpf_map_type */
	uint32_t key_size;
	uint32_t value_size;
	uint32_t entries; /* 0: any number */
	const char *name; /* in the kernel, where it has one; NULL: any */
};

/* As pin_open(), of a map of that shape. */
int pin_open_map(const char *path, const struct map_shape *shape);

#endif

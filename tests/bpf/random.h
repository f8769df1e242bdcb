/* SPDX-License-Identifier: GPL-2.0-only */
/* Random numbers that can be had again, and packets made of them. */
#ifndef TN_TEST_RANDOM_H
#define TN_TEST_RANDOM_H

#include "packets.h"

struct random {
	uint64_t state;
};

/* From SEED in the environment, or the time; it is printed. */
struct random random_seed(void);
uint64_t draw(struct random *r);
/* One of 0 to n - 1. */
unsigned int below(struct random *r, unsigned int n);
bool one_in(struct random *r, unsigned int n);

/* A sound packet of any kind that is translated, without its addresses. */
struct packet draw_packet(struct random *r, bool v4);

#endif

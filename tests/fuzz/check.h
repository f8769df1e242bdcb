/* SPDX-License-Identifier: GPL-2.0-only */
/* What holds for every frame and every program, whatever is in the frame. */
#ifndef TN_FUZZ_CHECK_H
#define TN_FUZZ_CHECK_H

#include "input.h"

/* The maps of the fixture, for red. */
void check_open(void);
/*
 * Run an input, and the same in other guises, and say on stderr what does not hold.
 * `r` is what came out of it.
 */
bool check_input(const struct input *i, struct result *r);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How far it is, for a person who waits: one line on the terminal that stderr is, from a second
 * after the first progress_begin() on, which is written over and in the end erased. Nothing is
 * written, and no thread is made, where stderr is no terminal or a dumb one.
 */
#ifndef TN_PROGRESS_H
#define TN_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

/* Once, by main. `wanted` false: never write anything. */
void progress_setup(bool wanted);

/*
 * From now on `what` is under way, "routers joined" for example: a literal. `total` is how many
 * steps that takes; 0: nobody knows, and only `what` is shown. What was under way before is done.
 */
void progress_begin(const char *what, size_t total);
/* So many more are done. From any thread. */
void progress_step(size_t n);
/* Nothing is under way, and the line is gone. */
void progress_end(void);
/* The line is gone, and stays so until progress_resume(), while something else is written. */
void progress_pause(void);
void progress_resume(void);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* One thing while another goes on: what takes seconds with a million mappings. */
#ifndef TN_BACKGROUND_H
#define TN_BACKGROUND_H

#include <pthread.h>
#include <stdbool.h>

struct background {
	pthread_t thread;
	bool started;
};

/*
 * Run `fn` with `arg` in a thread of its own, or at once where there can be none. Both have to be
 * left alone until background_end(), which every background_begin() needs. The thread keeps the
 * namespaces that its maker had at the beginning.
 */
void background_begin(struct background *b, void (*fn)(void *arg), void *arg);
/* Wait until it is done. */
void background_end(struct background *b);

#endif

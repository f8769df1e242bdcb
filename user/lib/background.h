/* SPDX-License-Identifier: GPL-2.0-only */
/* One thing while another goes on: what takes seconds with a million mappings. */
#ifndef TN_BACKGROUND_H
#define TN_BACKGROUND_H

#include <pthread.h>
#include <stdbool.h>

struct beside {
	pthread_t thread;
	bool started;
};

/*
 * Run `fn` with `arg` in a thread of its own, or at once where there can be none. Both have to be
 * left alone until beside_end(), which every beside_begin() needs. The thread keeps the namespaces
 * that its maker had at the beginning.
 */
void beside_begin(struct beside *b, void (*fn)(void *arg), void *arg);
/* Wait until it is done. */
void beside_end(struct beside *b);

#endif

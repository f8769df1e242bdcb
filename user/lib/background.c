/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/background.h"

#include "lib/util.h"

struct call {
	void (*fn)(void *arg);
	void *arg;
};

static void *run(void *p)
{
	struct call call = *(struct call *)p;

	free(p);
	call.fn(call.arg);
	return NULL;
}

void background_begin(struct background *b, void (*fn)(void *arg), void *arg)
{
	struct call *call = xrealloc(NULL, 1, sizeof(*call));

	*call = (struct call){ fn, arg };
	b->started = pthread_create(&b->thread, NULL, run, call) == 0;
	if (!b->started)
		run(call);
}

void background_end(struct background *b)
{
	if (b->started)
		pthread_join(b->thread, NULL);
	b->started = false;
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/progress.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What takes less is over before anybody has read of it. */
#define WAIT_MS	    1000
#define INTERVAL_MS 100

static struct {
	bool enabled;
	bool started; /* there is a thread, or there can be none */
	pthread_mutex_t lock;
	/* under the lock */
	const char *what; /* NULL: nothing is under way */
	size_t total;
	bool shown;
	atomic_size_t done;
} progress = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool is_smart(const char *term)
{
	return term && *term && strcmp(term, "dumb") != 0;
}

void progress_setup(bool wanted)
{
	progress.enabled = wanted && isatty(STDERR_FILENO) && is_smart(getenv("TERM"));
}

/* In one write, so that nothing comes in between. A failure is no business of anybody's. */
static void put(const char *text, size_t n)
{
	ssize_t written = write(STDERR_FILENO, text, n);

	(void)written;
}

static void erase(void)
{
	static const char text[] = "\r\033[K";

	if (progress.shown)
		put(text, sizeof(text) - 1);
	progress.shown = false;
}

static void show(void)
{
	size_t done = atomic_load(&progress.done);
	char text[128];
	int n;

	if (!progress.what)
		return;
	if (progress.total)
		n = snprintf(text, sizeof(text), "\r\033[K%s %zu of %zu", progress.what,
			     done < progress.total ? done : progress.total, progress.total);
	else
		n = snprintf(text, sizeof(text), "\r\033[K%s …", progress.what);
	put(text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1);
	progress.shown = true;
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static void *tick(void *unused)
{
	(void)unused;
	for (sleep_ms(WAIT_MS);; sleep_ms(INTERVAL_MS)) {
		pthread_mutex_lock(&progress.lock);
		show();
		pthread_mutex_unlock(&progress.lock);
	}
	return NULL;
}

/* Signals are for the thread that works. It ends with the process. */
static void start(void)
{
	sigset_t all, before;
	pthread_t thread;

	progress.started = true;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&thread, NULL, tick, NULL) == 0)
		pthread_detach(thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void progress_begin(const char *what, size_t total)
{
	if (!progress.enabled)
		return;
	pthread_mutex_lock(&progress.lock);
	erase();
	progress.what = what;
	progress.total = total;
	atomic_store(&progress.done, 0);
	pthread_mutex_unlock(&progress.lock);
	if (!progress.started)
		start();
}

void progress_step(size_t n)
{
	atomic_fetch_add(&progress.done, n);
}

void progress_end(void)
{
	pthread_mutex_lock(&progress.lock);
	erase();
	progress.what = NULL;
	pthread_mutex_unlock(&progress.lock);
}

void progress_pause(void)
{
	pthread_mutex_lock(&progress.lock);
	erase();
}

void progress_resume(void)
{
	pthread_mutex_unlock(&progress.lock);
}

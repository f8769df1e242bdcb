/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page of metrics. To read what it says takes seconds where there are a million mappings, in
 * which the agent is to mend what breaks: so another process writes it, and this one only passes it
 * on to whoever asks.
 */
#ifndef TN_METRICS_H
#define TN_METRICS_H

#include <sys/types.h>

#include "agent/serve.h"
#include "lib/settings.h"
#include "observe/prometheus.h"

/* What a page is made of. All is borrowed, and outlives the metrics. */
struct metrics_source {
	const struct settings *settings;
	const char *version;
	const struct agent_stats *stats;
	bool mappings; /* with metrics of each mapping */
	int lock;      /* of the agent for this state: the writer does not keep it */
};

struct metrics {
	struct metrics_source source;
	struct serve *serve; /* NULL: nobody asked for metrics */
	bool has_page;	     /* the server has one; else none could be made */
	uint64_t good_until; /* milliseconds of the monotonic clock: then the page is too old */
	pid_t writer;	     /* of the next page; 0: nobody writes */
	int from_writer;     /* while it writes */
	uint64_t begun;	     /* when the writer began */
	char *text;	     /* what it has written until now */
	size_t size;
	size_t room;
};

/* Serve them at an address (see serve_parse()). Neither may be moved until metrics_close(). */
int metrics_open(struct metrics *m, const char *where, const struct metrics_source *source,
		 struct error *err);
/* Also of what is all zero. */
void metrics_close(struct metrics *m);

/* Descriptors that are readable when there is something for metrics_run(); -1: none. */
#define METRICS_FDS 2
void metrics_fds(const struct metrics *m, int fds[METRICS_FDS]);
/* Milliseconds until metrics_run() is to be called anyway; -1: only when one is readable. */
int64_t metrics_wait(const struct metrics *m);
void metrics_run(struct metrics *m);

#endif

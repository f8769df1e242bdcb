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
	bool no_page;  /* nothing for people at / */
	int lock;      /* of the agent for this state: the writer does not keep it */
};

struct metrics {
	struct metrics_source source;
	struct serve *serve; /* NULL: nobody asked for metrics */
	struct front front;
	bool has_page;	     /* the server has one; else none could be made */
	uint64_t good_until; /* milliseconds of the monotonic clock: then the page is too old */
	pid_t writer;	     /* of the next page; 0: nobody writes */
	int from_writer;     /* while it writes */
	uint64_t begun;	     /* when the writer began */
	char *text;	     /* what it has written until now */
	size_t size;
	size_t room;
};

#ifndef TN_WITHOUT_METRICS

#define METRICS_HELP ""

/* Whether they can be served at an address (see serve_parse()); NULL: nobody asks for them. */
int metrics_check(const char *where, struct error *err);
/* Serve them there. Neither struct may be moved until metrics_close(). */
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

#else /* make METRICS=no: without metrics.c, serve.c and libmicrohttpd */

#define METRICS_HELP " (not in this build: METRICS=no)"
#define METRICS_FDS  1

static inline int metrics_check(const char *where, struct error *err)
{
	if (!where)
		return 0;
	return error_usage(err,
			   "cannot serve metrics at %s: this tenantnat was built with METRICS=no; "
			   "build it without that, or leave --metrics out",
			   where);
}

static inline int metrics_open(struct metrics *m, const char *where,
			       const struct metrics_source *source, struct error *err)
{
	(void)m, (void)source;
	return metrics_check(where, err);
}

static inline void metrics_close(struct metrics *m)
{
	(void)m;
}

static inline void metrics_fds(const struct metrics *m, int fds[METRICS_FDS])
{
	(void)m;
	fds[0] = -1;
}

static inline int64_t metrics_wait(const struct metrics *m)
{
	(void)m;
	return -1;
}

static inline void metrics_run(struct metrics *m)
{
	(void)m;
}

#endif

#endif

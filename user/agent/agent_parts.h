/* SPDX-License-Identifier: GPL-2.0-only */
/* The agent as its files see it, and what each of them does for the others. */
#ifndef TN_AGENT_PARTS_H
#define TN_AGENT_PARTS_H

#include <sys/types.h>
#include <time.h>

#include "agent/agent.h"
#include "agent/announcements.h"
#include "agent/serve.h"
#include "agent/troubles.h"
#include "agent/watch.h"
#include "change/change.h"
#include "dataplane/attach.h"
#include "observe/prometheus.h"

/* Milliseconds. What cannot be mended is tried again, at twice the time each time. */
enum { RETRY_FIRST = 20 };

/* A router that is there. */
struct known {
	struct router_row row;
	struct links links;
	bool unannounced;
};

struct agent {
	struct settings settings; /* of the changes that it makes: these do not wait for the lock */
	struct agent_options options;
	struct watch *watch;
	int lock;
	int signals;
	bool stop;
	bool has_wanted;	   /* of the file, not in force yet */
	struct model wanted;	   /* that */
	VEC(struct known) routers; /* at the last look */
	struct troubles troubles;
	struct announcements announcements;
	char status[64]; /* what systemd was told */
	size_t stuck;	 /* lines of the plan that remained when it was last made */
	int64_t due;	 /* the next look */
	int64_t poll;
	int vain;     /* so many looks in a row found nothing to do, up to VAIN_MAX */
	int64_t took; /* the last look, of a CPU, and when it was over */
	int64_t over;
	int64_t retry;
	uint64_t watchdog;   /* interval, 0: none */
	int64_t alive;	     /* when systemd is to be told next */
	struct serve *serve; /* NULL: no metrics are asked for */
	struct agent_stats did;
	char *page; /* of metrics, as far as it has been read */
	size_t page_size;
	size_t page_room;
	bool has_page;	    /* the server has one; else none could be made */
	int64_t page_due;   /* from when it is too old */
	int64_t page_begun; /* the one that `writer` writes; 0: nobody does */
	pid_t writer;
	int page_fd; /* reads what it writes */
};

static inline int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* mend.c */

/* What the file says; when that cannot be, what was in force stays. */
int agent_put_in_force(struct agent *a, struct error *err);
/* How many routers could not be mended, or -1. */
ssize_t agent_mend(struct agent *a, struct error *err);
/* Look, and mend what has to be. */
void agent_check(struct agent *a);
/* Soon; but where it is in vain time and again, most of the time is for others. */
void agent_hurry(struct agent *a);
/* Links that were detached, which nobody reports. */
void agent_poll_links(struct agent *a);

/* metrics.c */
int agent_open_metrics(struct agent *a, struct error *err);
/* What the writer has written until now. */
void agent_read_page(struct agent *a);

#endif

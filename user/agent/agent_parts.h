/* SPDX-License-Identifier: GPL-2.0-only */
/* The agent as its files see it, and what each of them does for the others. */
#ifndef TN_AGENT_PARTS_H
#define TN_AGENT_PARTS_H

#include <sys/types.h>

#include "agent/agent.h"
#include "agent/announcements.h"
#include "agent/metrics.h"
#include "agent/schedule.h"
#include "agent/troubles.h"
#include "agent/watch.h"
#include "change/change.h"
#include "dataplane/attach.h"
#include "lib/clock.h"

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
	struct schedule schedule;
	uint64_t watchdog; /* interval, 0: none */
	uint64_t alive;	   /* when systemd is to be told next */
	struct agent_stats did;
	struct metrics metrics; /* all zero: nobody asked for them */
};

/* mend.c */

/* What the file says; when that cannot be, what was in force stays. */
int agent_put_in_force(struct agent *a, struct error *err);
/* How many routers could not be mended, or -1. */
ssize_t agent_mend(struct agent *a, struct error *err);
/* Look, and mend what has to be. */
void agent_check(struct agent *a);
/* Links that were detached, which nobody reports. */
void agent_poll_links(struct agent *a);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* The agent as its files see it, and what each of them does for the others. */
#ifndef TN_AGENT_PARTS_H
#define TN_AGENT_PARTS_H

#include <sys/types.h>

#include "agent/agent.h"
#include "agent/announcements.h"
#include "agent/hosts_file.h"
#include "agent/importer.h"
#include "agent/member.h"
#include "agent/metrics.h"
#include "agent/schedule.h"
#include "agent/troubles.h"
#include "agent/watch.h"
#include "change/change.h"
#include "dataplane/attach.h"
#include "lib/clock.h"
#include "observe/traffic.h"

/* A router as it was at the last look. */
struct known_router {
	struct router_row row;
	struct links links;
	bool unannounced; /* since it joined, moved, came up or became active */
	/* of one that is active by its address: what is announced when it becomes so */
	struct addr_list own;
	struct addr_list mapped;
};

/* Of a router that the definitions have here: for the log. */
struct router_name {
	char tenant[TENANT_NAME_MAX + 1];
	char *netns; /* NULL: our own */
};

struct agent {
	struct settings settings; /* once it is ready, changes do not wait for the lock */
	struct agent_options options;
	struct watch *watch;
	struct schedule schedule;
	struct troubles troubles;
	struct announcements announcements;
	struct metrics metrics; /* all zero: nobody asked for them */
	struct member member;
	struct importer importer;
	struct hosts_file hosts;
	struct agent_stats stats;
	struct traffic_log traffic; /* for `status`, what was counted at the last looks */
	VEC(struct known_router) routers;
	VEC(struct router_name) names; /* of those in the definitions that were read last */
	size_t unmended; /* lines of the plan that remained after the last attempt to mend */
	bool has_pending;
	struct model pending; /* definitions of the file that are not in force yet */
	struct error refused; /* why they are not; it is logged once */
	int lock;	      /* one agent for one state */
	int signals;
	char status[64];       /* what systemd was told */
	uint64_t watchdog_us;  /* systemd is to be told once in so long, at least; 0: never */
	uint64_t watchdog_due; /* when it is told next, in milliseconds */
};

/* mend.c */

/* The pending definitions; when they cannot be, those in force stay. -1: they remain pending. */
int agent_put_in_force(struct agent *a, struct error *err);
/* How many routers could not be mended, or -1. */
ssize_t agent_mend(struct agent *a, struct error *err);
/* Look what restore would do, do it, and decide when to look next. */
void agent_look(struct agent *a);
/*
 * After something was reported: what has become active is announced before all else, and of what
 * has become a standby nothing more is.
 */
void agent_see_active(struct agent *a);
/* Of `routers`, and what they hold. */
void agent_forget_routers(struct agent *a);
void agent_forget_names(struct agent *a);
/* For log_routers(): the namespace of a tenant's router, of the agent `arg`. */
const char *agent_router_of(const char *tenant, void *arg);
/* Links that were detached, which nobody reports. */
void agent_poll_links(struct agent *a);

#endif

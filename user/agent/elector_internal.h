/* SPDX-License-Identifier: GPL-2.0-only */
/* The elector as its files see it: elector.c is about etcd, elector_host.c about this host. */
#ifndef TN_ELECTOR_INTERNAL_H
#define TN_ELECTOR_INTERNAL_H

#include <time.h>

#include "agent/elector.h"
#include "agent/post.h"
#include "agent/watch.h"
#include "cluster/election.h"
#include "cluster/membership.h"

/*
 * Milliseconds: how soon after an event it is looked, and anyway; how long the agent has to put
 * programs back; how often it is asked whether this is still the cluster; and how long after it was
 * not.
 */
enum { LOOK = 10, LOOK_ANYWAY = 10000, MENDED_IN = 1000, CHECK = 20000, REFUSED = 5000 };

/* By which a change of the state is seen. */
struct stamp {
	struct timespec db, wal;
	off_t size;
};

struct elector {
	const struct settings *settings;
	bool json;
	struct membership m;
	char machine[MACHINE_ID];
	struct etcd *etcd;
	struct etcd_watch *heard; /* keys of active/; NULL: not now */
	struct watch *watch;	  /* what happens here */
	struct dataplane *dp;	  /* NULL: nothing is attached */
	struct election e;
	VEC(struct post) posts;	  /* by the definitions */
	VEC(struct post) started; /* what was made active, as it was then */
	struct stamp stamp;
	int64_t host_mod;   /* of this host's key */
	uint64_t look_at;   /* milliseconds of the monotonic clock */
	uint64_t mended_by; /* the same; 0: no programs are missing */
	uint64_t check_at;  /* of CLOCK_BOOTTIME */
	bool connected;	    /* the last request was answered */
	int lock, timer;    /* -1: none */
	char *told;	    /* what is in the file */
	char trouble[1024]; /* that was logged last */
};

/* elector_host.c */

/* The same is logged once. `tenant` NULL: it is about all. */
void elector_log_trouble(struct elector *x, const char *tenant, const struct error *err);
/* To the agent and to `status`: who is elected, as far as this host knows; if that has changed. */
void elector_tell(struct elector *x);
/* That of the tenant in `posts` or `started`; NULL: there is none. */
struct post *post_of(struct post *v, size_t n, const char *tenant);
#define POST(vec, tenant) post_of((vec).v, (vec).n, (tenant))
/* Forgets what each of them holds; the list is the caller's to free. */
void posts_forget(struct post *v, size_t n);
/* What was made active here is it no more; `why` is logged. */
void elector_stop_post(struct elector *x, struct seat *seat, const char *why);
/* At the definitions and routers of this host, when that is due. */
void elector_look_around(struct elector *x);

#endif

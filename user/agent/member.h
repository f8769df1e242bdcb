/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the agent of a host in a cluster has besides: a process that follows the cluster
 * (follower.h), since etcd may let one wait for seconds, in which the agent is to mend what breaks;
 * one that hands flows over to other hosts (handover/stream.h), to which others may talk, and where
 * routers are elected, one for the elections (elector.h).
 */
#ifndef TN_AGENT_MEMBER_H
#define TN_AGENT_MEMBER_H

#include <sys/types.h>

#include "lib/settings.h"
#include "observe/prometheus.h"
#include "store/store.h"

struct member_process {
	char *runs;	 /* what the member was when it began; NULL: it does not run */
	pid_t pid;	 /* of the process */
	int from;	 /* what it tells, while it runs */
	uint64_t again;	 /* milliseconds: not before */
	char text[1024]; /* that has no end of a line yet */
	size_t n;
};

enum { ELECTOR, FOLLOWER, STREAMER, MEMBER_PROCESSES };

/* All zero: of a host in no cluster. */
struct member {
	char *is;    /* what state.db has of the cluster, as text; NULL: nothing */
	bool elects; /* a router that this host has is elected */
	struct member_process processes[MEMBER_PROCESSES];
};

#ifndef TN_WITHOUT_CLUSTER

/* Look at what the state says. */
void member_look(struct member *m, struct store *store);
/* And at the definitions. */
void member_look_at(struct member *m, const struct model *model);
/* Descriptors that are readable when there is something for member_run(); -1: none. */
void member_fds(const struct member *m, int fds[MEMBER_PROCESSES]);
/* Milliseconds until it is to be called anyway; -1: only when it is readable. */
int64_t member_wait(const struct member *m);
/* Begin, end, or hear the processes. */
void member_run(struct member *m, const struct settings *settings, struct agent_stats *stats);
void member_close(struct member *m);

#else

static inline void member_look(struct member *m, struct store *store)
{
	(void)m, (void)store;
}

static inline void member_look_at(struct member *m, const struct model *model)
{
	(void)m, (void)model;
}

static inline void member_fds(const struct member *m, int fds[MEMBER_PROCESSES])
{
	(void)m;
	for (int i = 0; i < MEMBER_PROCESSES; i++)
		fds[i] = -1;
}

static inline int64_t member_wait(const struct member *m)
{
	(void)m;
	return -1;
}

static inline void member_run(struct member *m, const struct settings *settings,
			      struct agent_stats *stats)
{
	(void)m, (void)settings, (void)stats;
}

static inline void member_close(struct member *m)
{
	(void)m;
}

#endif

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the agent of a host in a cluster has besides: a process that follows the cluster
 * (follower.h), since etcd may let one wait for seconds, in which the agent is to mend what breaks;
 * and one that hands flows over to other hosts (handover/stream.h), to which others may talk.
 */
#ifndef TN_AGENT_MEMBER_H
#define TN_AGENT_MEMBER_H

#include <sys/types.h>

#include "lib/settings.h"
#include "observe/prometheus.h"
#include "store/store.h"

/* All zero: of a host in no cluster. */
struct member {
	char *is;	 /* what state.db has of the cluster, as text; NULL: nothing */
	char *runs;	 /* what that was when the process began; NULL: none runs */
	pid_t pid;	 /* of the process */
	int from;	 /* what it tells, while it runs */
	uint64_t again;	 /* milliseconds: not before */
	char text[1024]; /* that has no end of a line yet */
	size_t n;
	pid_t streamer; /* the other process; 0: none runs */
	int from_streamer;
	uint64_t stream_again;
};

#ifndef TN_WITHOUT_CLUSTER

/* Look at what the state says. */
void member_look(struct member *m, struct store *store);
/* Readable when there is something for member_run(); -1: none. */
int member_fd(const struct member *m);
/* For poll(2), which tells that the other process has ended; -1: none runs. */
int member_streamer_fd(const struct member *m);
/* Milliseconds until it is to be called anyway; -1: only when it is readable. */
int64_t member_wait(const struct member *m);
/* Begin, end, or hear the process. */
void member_run(struct member *m, const struct settings *settings, struct agent_stats *stats);
void member_close(struct member *m);

#else

static inline void member_look(struct member *m, struct store *store)
{
	(void)m, (void)store;
}

static inline int member_fd(const struct member *m)
{
	(void)m;
	return -1;
}

static inline int member_streamer_fd(const struct member *m)
{
	(void)m;
	return -1;
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

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Changes on a host that is in a cluster: the cluster's definitions are changed first, then this
 * host is made what they say, as the agents of the other hosts do with theirs.
 */
#ifndef TN_CLUSTER_CHANGE_H
#define TN_CLUSTER_CHANGE_H

#include "change/change.h"
#include "cluster/session.h"

#ifndef TN_WITHOUT_CLUSTER

/* 1: this host is in a cluster, *out is the caller's to close; 0: it is in none. */
int cluster_session(const struct settings *settings, struct session *out, struct error *err);
#else
static inline int cluster_session(const struct settings *settings, struct session *out,
				  struct error *err)
{
	(void)settings, (void)out, (void)err;
	return 0;
}
#endif

/*
 * The definitions that the cluster has: all read, complete with ids, located here and sorted. Empty
 * when there are none. Refused while somebody is at a change.
 */
int cluster_had(struct session *s, struct model *out, struct error *err);
/*
 * What is to be by the whole of a file: gets ids and addresses. Leases stay; of a cluster without
 * definitions these are what this host had before. -1: it lacks what a cluster needs to know.
 */
int cluster_complete(const struct settings *settings, const struct session *s, struct model *will,
		     const struct model *had, struct error *err);
/* The lines of the change from the one to the other. */
void cluster_describe(const struct model *had, const struct model *will, struct plan_text *out);
/* Change the cluster. 1: somebody was faster, and the error says so. */
int cluster_commit(struct session *s, const struct settings *settings, const struct entries *will,
		   bool whole, const struct plan_text *text, struct error *err);
/* How often it is tried, and some milliseconds in between, not the same for all who try again. */
#define CLUSTER_TRIES 20
void cluster_wait_a_little(int tries);

/*
 * Of a host that joins, for membership_join(): what is in force on it (merge.h) becomes the
 * cluster's. `arg` is the settings. What does not go together is named, and nothing is changed.
 */
int cluster_bring_in(void *arg, struct store *store, const struct membership *m, struct error *err);

/* Whether this host has the namespace of the router, which names one. */
bool cluster_has_netns(const struct router *r);

/*
 * Whether this host could be made what these definitions say, as `--dry-run` finds out: routers
 * that are not in order are found before the cluster is changed.
 */
int cluster_try_here(struct session *s, const struct settings *settings, const struct entries *will,
		     const struct change_how *how, struct error *err);

/*
 * Make this host what the cluster's definitions say; what it takes is read anew. `how` has no
 * scope. 1: somebody's change is under way or was cut short, and nothing was done.
 */
int cluster_converge(struct session *s, const struct settings *settings,
		     const struct change_how *how, struct outcome *out, struct error *err);

/*
 * The same for a host that follows all the time: when what has changed since is nothing to it, that
 * is found out without reading all tenants. `heard`: all that has changed since; NULL: etcd is
 * asked.
 */
struct heard;
int cluster_follow(struct session *s, const struct settings *settings, const struct change_how *how,
		   const struct heard *heard, struct outcome *out, struct error *err);

/* Add a mapping, which gets its address, or remove what `word` calls: in the cluster, and here. */
int cluster_map_add(struct session *s, const struct settings *settings, const char *tenant,
		    struct mapping *m, bool no_probe, struct error *err);
struct gone;
int cluster_map_del(struct session *s, const struct settings *settings, const char *tenant,
		    const char *word, struct gone *gone, struct error *err);

#endif

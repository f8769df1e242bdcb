/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One command's dealings with the cluster that this host is in: read the definitions at one
 * revision, and change them if nobody else has meanwhile. Keys are told without the prefix.
 */
#ifndef TN_SESSION_H
#define TN_SESSION_H

#include "cluster/commit.h"
#include "cluster/projection.h"
#include "store/member.h"

struct etcd;

struct session {
	struct membership m;
	struct etcd *etcd;
	struct entries had; /* what was read last */
	struct head head;   /* of that */
	int64_t revision;   /* of etcd, at which it was read; then that of the change */
	bool is_under_way;  /* somebody's change is in several transactions */
	bool is_forgotten;  /* what this host has is from before all that etcd's history has */
	/*
	 * The last change up to `revision`: when that was, and its key below history/; NULL: none.
	 * A host that remembers `revision` itself would take a snapshot that was restored, from
	 * between the two, for what it has seen.
	 */
	int64_t changed;
	char *change;
	int64_t read_at; /* seconds since 1970 */
};

/* 1: *out is the caller's to close; 0: this host is in no cluster. Asks nothing of etcd yet. */
int session_open(struct store *store, struct session *out, struct error *err);
/* The same for a host that is about to be a member. */
int session_open_as(const struct membership *m, struct session *out, struct error *err);
void session_close(struct session *s);
#define _cleanup_session_ _cleanup_(session_close)

/* All definitions. -1 also when etcd is another cluster, or was restored from an older snapshot. */
int session_read_all(struct session *s, struct error *err);
/* What it takes to change one mapping of the tenant (edit.h). */
int session_read_tenant(struct session *s, const char *tenant, struct error *err);
/*
 * What this host needs (projection.h), read key by key; the caller's to free, and sorted. `had` has
 * neither tenants nor blocks then. A cluster without definitions: a model without anything.
 */
int session_read_projection(struct session *s, bool (*is_here)(void *arg, const struct tenant *t),
			    void *arg, struct model *out, struct error *err);

/*
 * What has changed of the network and the tenants since this host followed last (s->m.revision), in
 * a few small requests; after session_read_ground(). With `heard`, which is then all of that, it is
 * read as it was at that revision, which becomes the session's, and etcd has not to look for it. 1:
 * *out has those tenants, the caller's to free, and as many tenants exist as `known`; 0: that is
 * not all, or too much: all has to be read.
 */
struct heard;
int session_read_changed(struct session *s, const struct heard *heard, size_t known,
			 struct model *out, struct error *err);
/* The network and all tenants, without their mappings. */
int session_read_tenants(struct session *s, struct error *err);
/* Adds to these tenants all of their mappings, which are in their pools, and addresses of routers.
 */
int session_read_mappings(struct session *s, struct model *m, struct error *err);
/* The keys that every change goes by, and the revision at which all else is read. `change` is not
 * known then: session_find_change(). */
int session_read_ground(struct session *s, struct error *err);
int session_find_change(struct session *s, struct error *err);

/* -1 with an error when somebody is at a change, or `whole` is false and one was cut short. */
int session_check_open(const struct session *s, bool whole, struct error *err);

/* What a change is called, and what it does: for `show history`. All is borrowed. */
struct session_change {
	const char *user;
	const char *command;
	bool whole; /* by `apply` */
	uint64_t added, changed, removed;
	const struct history_line *lines;
	size_t nlines;
};

/*
 * Change what was read to `will`. 0: it is so; 1: somebody was faster, nothing was changed, and the
 * error says what they changed. -1: the error says whether nothing was changed, or what is to be
 * done.
 */
int session_commit(struct session *s, const struct entries *will, const struct session_change *how,
		   struct error *err);

/*
 * The last `n` changes of the cluster, or with `id` that one alone: numbers are revisions of etcd,
 * and `user` is "root on hv1". With `lines` lines of each at most. -1 with a usage error: there is
 * none of that number. The caller's to free.
 */
int session_history(struct session *s, size_t n, uint64_t id, size_t lines, struct history *out,
		    struct error *err);

#endif

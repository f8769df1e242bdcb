/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What state.db remembers of the cluster that this host is a member of. The password is there as
 * etcd asks for it: the file is 0600.
 */
#ifndef TN_MEMBER_H
#define TN_MEMBER_H

#include "store/store.h"

/* All texts are the membership's. */
struct membership {
	char *urls;	  /* of etcd, as the client takes them */
	char *ca;	  /* absolute paths; NULL: none */
	char *cert, *key; /* both, or neither */
	char *user;	  /* NULL: none */
	char *password;	  /* with `user` */
	char *prefix;	  /* of all keys: /tenantnat, without a slash at its end */
	char *host;	  /* what this host is called in the cluster */
	char *id;	  /* of the cluster: what its key `cluster` has */
	uint64_t etcd;	  /* etcd's id of its own cluster */
	char *flows;	  /* where other hosts bring flows: ADDR[:PORT], "none"; NULL: not said */
	int64_t revision; /* of etcd, up to which this host has the definitions */
	char *change;	  /* the last one of these, its key below history/; NULL: not known */
};

void membership_free(struct membership *m);
#define _cleanup_membership_ _cleanup_(membership_free)

/* 1: *out is the caller's to free; 0: this host is in no cluster; -1: an error. */
int store_membership(struct store *store, struct membership *out, struct error *err);
/* The same of a host that has to be in one: 0, or -1 with an error. */
int store_member(struct store *store, struct membership *out, struct error *err);
/* Remember it instead of what was there; NULL: this host is in no cluster, and called
 * by its host name again. Definitions here that name it have the new name. Commits. */
int store_save_membership(struct store *store, const struct membership *m, struct error *err);
/*
 * Remember that this host has the definitions of a revision, if it is later than the last one, and
 * `change`, the last one up to it (NULL: not known). In
 * the open transaction, so that it is there if and only if that is committed; without one, at once.
 */
int store_see_revision(struct store *store, int64_t revision, const char *change,
		       struct error *err);

#endif

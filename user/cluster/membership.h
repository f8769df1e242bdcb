/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which cluster this host is in. A cluster is what hosts share below a prefix of etcd's keys:
 *
 *   PREFIX/cluster      {"format": 1, "id": UUID}; written once, by the first host that joins
 *   PREFIX/hosts/NAME   {"id": of its machine, "joined": seconds since 1970, "version"}
 *
 * A host is a member when state.db says so (store/member.h) and its key is there. A join writes the
 * key first, and a leave deletes it first: whoever is killed in between does the same again.
 */
#ifndef TN_MEMBERSHIP_H
#define TN_MEMBERSHIP_H

#include "cluster/etcd.h"
#include "store/member.h"

#ifndef TN_WITHOUT_CLUSTER

#define CLUSTER_HELP ""

/* The client for it; *out is the caller's to close. Asks nothing of the network yet. */
int membership_open(const struct membership *m, struct etcd **out, struct error *err);
/* The same, with other limits of time: see etcd_options. */
int membership_open_within(const struct membership *m, unsigned int connect_ms,
			   unsigned int request_ms, struct etcd **out, struct error *err);
/* PREFIX/KIND and NAME, the caller's to free; KIND as in "hosts/". */
char *membership_key(const struct membership *m, const char *kind, const char *name);
/*
 * Whether what was read of etcd is still the cluster that the host joined: `cluster` is the key of
 * that name, or NULL; `header` that of the answer. Another cluster, another format, and a revision
 * that lies before the last one seen (MEMBERSHIP_OLDER) are errors. Nothing may be changed then.
 */
#define MEMBERSHIP_OLDER (-2)
int membership_check(const struct membership *m, const struct etcd_kv *cluster,
		     const struct etcd_header *header, struct error *err);

/*
 * Whether etcd's history, as of a revision, still has the last change that this host has. A
 * snapshot from before that one has not, even when etcd's revision has overtaken since what this
 * host has seen: MEMBERSHIP_OLDER. *forgotten: so many changes came afterwards that it is not
 * known any more; what this host has may be anything, and all is to be read anew.
 */
int membership_check_past(struct etcd *e, const struct membership *m, int64_t revision,
			  bool *forgotten, struct error *err);

/*
 * Whether the host is still in the cluster, and is this machine, as of a revision; 0: now. *mod is
 * when its key was changed last. One that was taken out follows and changes nothing any more:
 * another machine may have its name, and its routers.
 */
int membership_check_host(struct etcd *e, const struct membership *m, int64_t revision,
			  int64_t *mod, struct error *err);

#define MACHINE_ID 33
/* What this machine is called in keys of hosts: nobody else's, and not machine-id(5) itself. */
int membership_machine(char out[MACHINE_ID], struct error *err);

/* PREFIX: /NAME or more of these; a usage error else. */
int membership_check_prefix(const char *prefix, struct error *err);

/*
 * Put what is in force on a host that joins into the cluster, which `m` is. It is registered then,
 * and after an error it is not.
 */
typedef int (*membership_bring_in)(void *arg, struct store *store, const struct membership *m,
				   struct error *err);

/*
 * Join, or join again. `m` has all but `id`, `etcd` and `revision`, which come to be there: a host
 * that joins has not yet followed any definitions. The store is open for writing. 1: it was a
 * member of that cluster already; 0: it is one now.
 */
int membership_join(struct store *store, struct membership *m, const char *version,
		    membership_bring_in bring_in, void *arg, struct error *err);
/*
 * Take a host out: its keys in etcd, and if it is this one, what state.db remembers. `forget`: the
 * latter alone. 1: it was no member.
 */
int membership_leave(struct store *store, const struct membership *m, const char *host, bool forget,
		     struct error *err);

static inline int cluster_check(struct error *err)
{
	(void)err;
	return 0;
}

#else /* make CLUSTER=no: without user/cluster/, libcurl and GnuTLS */

#define CLUSTER_HELP " (not in this build: CLUSTER=no)"

static inline int cluster_check(struct error *err)
{
	return error_usage(err, "this tenantnat knows no clusters: it was built with CLUSTER=no");
}

#endif

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How hosts of a cluster reach each other without etcd: by addresses that are in their keys, and
 * with one key of which nobody knows who cannot read etcd.
 *
 *   PREFIX/hosts/NAME  has "flows": ADDRESS:PORT, where that host takes flows
 *   PREFIX/secret      {"key": 64 hexadecimal digits}; written once
 */
#ifndef TN_REACH_H
#define TN_REACH_H

#include "cluster/membership.h"

#define REACH_KEY  32 /* bytes */
#define REACH_PORT 9117

/* What `cluster join --flows-address` takes: ADDR[:PORT], or "none". A usage error. */
int reach_check(const char *text, struct error *err);

/*
 * Where this host is to be reached: what the join has said, or else the address that it has in the
 * network of etcd, after a call. The caller's to free. NULL: nowhere; *why says so in a sentence
 * where nobody wanted that, and is NULL else.
 */
char *reach_here(const struct membership *m, const struct etcd *e, const char **why);
/* The same of another host, by the value of its key; NULL: it cannot be reached. */
char *reach_there(const char *value);
/* Write where this host is reached (NULL: nowhere) into its key, unless that has it. */
int reach_tell(struct etcd *e, const struct membership *m, const char *at, struct error *err);

/* The cluster's key, which the first host that asks makes. */
int reach_key(struct etcd *e, const struct membership *m, uint8_t key[REACH_KEY],
	      struct error *err);
/* Whether a value of that key says the same; false also of one that says nothing. */
bool reach_is_key(const char *value, const uint8_t key[REACH_KEY]);

#endif

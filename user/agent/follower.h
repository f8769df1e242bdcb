/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * This host in its cluster, for as long as the process lives: it says that it is alive, and what of
 * the definitions it has, in a key under a lease; it hears what changes, and makes this host what
 * the definitions say then. While etcd is away it tries again, less and less often.
 */
#ifndef TN_FOLLOWER_H
#define TN_FOLLOWER_H

#include "lib/error.h"
#include "lib/settings.h"

/*
 * Until a signal asks it to end, or nobody reads stdout any more: there, each change of what is
 * known is a line, as JSON or for people. -1: this host is in no cluster.
 */
int follower_run(const struct settings *settings, bool json, struct error *err);

#endif

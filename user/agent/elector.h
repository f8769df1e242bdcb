/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Elections of the cluster (cluster/election.h), for as long as the process lives: for each router
 * with `active: elected` that is in order here, it tries to be the one who is active, and is so
 * while it can tell for certain that nobody else is. A process of its own: what the agent, or who
 * follows the cluster, is busy with for seconds must not cost a renewal.
 */
#ifndef TN_ELECTOR_H
#define TN_ELECTOR_H

#include "lib/error.h"
#include "lib/settings.h"

/*
 * Until a signal asks it to end, or nobody reads stdout any more: there, each change of what is
 * known is a line, as JSON or for people. What this host is active for, it gives up at the end.
 * -1: this host is in no cluster, or another process does it already.
 */
int elector_run(const struct settings *settings, bool json, struct error *err);

#endif

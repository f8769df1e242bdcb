/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The flows of routers that several hosts of a cluster have, from the host where a router is active
 * to those where it is a standby, all the time: so that they are there before a standby forwards.
 *
 * Once a second this host tells each of the others what is new and what lives longer (delta.h),
 * over a connection of its own (link.h), and that the router is active. What it hears of its
 * standbys goes into their maps. Without etcd all that goes on with the hosts that were known last
 * (peers.h).
 */
#ifndef TN_STREAM_H
#define TN_STREAM_H

#include "lib/error.h"
#include "lib/settings.h"

/* Of one router to one host in a second; and bytes to one host. */
#define STREAM_FLOWS 4096
#define STREAM_BYTES (4 << 20)

/*
 * Until a signal asks it to end, or nobody reads stdout any more, where nothing is written. -1:
 * this host is in no cluster.
 */
int stream_run(const struct settings *settings, struct error *err);

#endif

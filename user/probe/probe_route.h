/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether packets to an address or a prefix take the way that the definitions say. */
#ifndef TN_PROBE_ROUTE_H
#define TN_PROBE_ROUTE_H

#include "probe/probe_run.h"

/*
 * True: a packet to the host goes by the interface, and by the gateway, that it has to. Else it
 * does not, or the kernel could not be asked, which is a finding about `subject`. *seen is what the
 * kernel says.
 */
bool probe_route(struct probe_run *run, const struct tn_addr *host, const char *subject,
		 struct next_hop *seen);
/* The same of both ends of a prefix: one finding. */
void probe_route_prefix(struct probe_run *run, const struct probe_prefix *p);

#endif

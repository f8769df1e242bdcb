/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether packets to an address or a prefix take the way that the definitions say. */
#ifndef TN_PROBE_ROUTE_H
#define TN_PROBE_ROUTE_H

#include "probe/probe_run.h"

/*
 * 1: a packet to the host goes by the interface, and by the gateway, that it has to. 0: it does
 * not, which is a finding about `subject`; -1: it could not be asked. *seen is what the kernel
 * says.
 */
int probe_route(struct probe_run *run, const struct tn_addr *host, const char *subject,
		struct next_hop *seen, struct error *err);
/* The same of both ends of a prefix: one finding. -1: it could not be asked. */
int probe_route_prefix(struct probe_run *run, const struct probe_prefix *p, struct error *err);

#endif

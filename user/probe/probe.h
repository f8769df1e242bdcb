/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Probes: what is tried on a router's shared network before it gets traffic, and by `check` at any
 * time. Both halves run while this process is in the router's namespace. They send packets, read
 * answers, and change nothing; an address of the router has to be there before it is probed from.
 * What each probe proves, and what it cannot: docs/architecture.md.
 */
#ifndef TN_PROBE_H
#define TN_PROBE_H

#include "probe/findings.h"
#include "probe/probe_input.h"

struct probe_run;

/*
 * Look at the interface and the routes, and ask the link for the addresses, which takes a second
 * for PACKET_RATE of them. What could not be tried is a finding, as everything that follows. The
 * run is to be given to probe_finish() or probe_cancel(), which end it. With in->asker,
 * probe_solicit() (probe_solicit.h) is to come next.
 */
struct probe_run *probe_begin(const struct probe_input *in);
/*
 * Ask again for what is not answered, an eighth of a second after the first time, and as fast. For
 * who has many runs under way, in whatever namespace; else probe_finish() does it.
 */
void probe_again(struct probe_run *run);
/*
 * Read the answers, until an eighth of a second after the last questions, and make the probes that
 * follow from them: less than a tenth of a second more while all is well, a second when a peer is
 * silent, some seconds when the MTU or checksums are at fault. `out` gets all findings, and is the
 * caller's to free. The run has ended.
 */
void probe_finish(struct probe_run *run, struct findings *out);
void probe_cancel(struct probe_run *run);

#endif

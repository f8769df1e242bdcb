/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether a peer finds the router's mapped IPv6 addresses: it solicits them by multicast, which
 * interfaces and switches hand on only to who has joined the group.
 */
#ifndef TN_PROBE_SOLICIT_H
#define TN_PROBE_SOLICIT_H

struct probe_run;

/*
 * Have in->asker solicit the addresses in->solicited, behind probe_begin(): this process is in its
 * namespace, and need not be there later. That it could not is run->solicit_error.
 */
void probe_solicit(struct probe_run *run);
/* What the peer found: one finding, if there is anything to be solicited. */
void probe_judge_solicited(struct probe_run *run);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether the shared network lets a router's mapped addresses through, seen from another router: it
 * asks for them, by ARP or by multicast, which interfaces and switches hand on only to who has
 * joined the group; and it hears what is sent from them. Filters often know the router alone.
 */
#ifndef TN_PROBE_SOLICIT_H
#define TN_PROBE_SOLICIT_H

struct probe_run;

/*
 * Have in->asker of that family ask for the addresses in->solicited of it, behind probe_begin(),
 * and listen: this process is in its namespace, and need not be there later. That it could not is
 * in run->asking.
 */
void probe_solicit(struct probe_run *run, int family);
/* Ask again for what is not answered, and read answers until then (clock_ms()). */
void probe_solicit_again(struct probe_run *run);
void probe_solicit_collect(struct probe_run *run, unsigned long long until);
/* What the peers found, and whether they hear: findings, if there is anything to be asked for. */
void probe_judge_solicited(struct probe_run *run);
void probe_sources(struct probe_run *run);
void probe_solicit_free(struct probe_run *run);

#endif

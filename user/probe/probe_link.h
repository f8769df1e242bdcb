/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who has which address on the link: whether anybody else has one of the router's, and whether its
 * peers are there.
 */
#ifndef TN_PROBE_LINK_H
#define TN_PROBE_LINK_H

#include "probe/probe_run.h"

/*
 * Look at the routes to the peers, fill in run->peers, and ask for duplicates and peers at once.
 * What is answered until it is judged counts. That they could not be asked is run->link_error.
 */
void probe_link_ask(struct probe_run *run);
void probe_judge_duplicates(struct probe_run *run);
/* Peers that do not answer are not probed any more: peer->out. */
void probe_judge_neighbours(struct probe_run *run);

#endif

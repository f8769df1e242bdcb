/* SPDX-License-Identifier: GPL-2.0-only */
/* What reaches the peers: ping, packets of the whole MTU, checksums. All peers are asked at once.
 */
#ifndef TN_PROBE_PATH_H
#define TN_PROBE_PATH_H

#include "probe/probe_run.h"

/* Those that are left; a peer that does not answer ping is not probed any more. */
void probe_path(struct probe_run *run, struct pinger *p);

#endif

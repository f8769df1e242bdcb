/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether the VMs answer behind the router: on their link, and ping. */
#ifndef TN_PROBE_VM_H
#define TN_PROBE_VM_H

#include "probe/probe_run.h"

/* One finding for each of run->in->vms, and of the prefixes that are not probed. */
void probe_vms(struct probe_run *run, struct pinger *p);

#endif

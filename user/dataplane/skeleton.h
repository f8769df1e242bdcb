/* SPDX-License-Identifier: GPL-2.0-only */
/* The programs and maps in this executable, for the files of dataplane/ that load them. */
#ifndef TN_SKELETON_H
#define TN_SKELETON_H

#include "stub.skel.h"
#include "tenantnat.skel.h"

/* The map of that name, which for one of global data is that of its section; borrowed. */
struct bpf_map *skeleton_map(const struct tenantnat *skel, const char *name);

#endif

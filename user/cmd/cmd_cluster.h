/* SPDX-License-Identifier: GPL-2.0-only */
/* What the commands of a cluster have in common. */
#ifndef TN_CMD_CLUSTER_H
#define TN_CMD_CLUSTER_H

#include "cmd/cmd.h"
#include "store/member.h"

/* The state, and the cluster that this host is in by it. Both are the caller's to end. */
int cmd_open_member(const struct invocation *inv, enum store_mode mode, struct store **store,
		    struct membership *m, struct error *err);

#endif

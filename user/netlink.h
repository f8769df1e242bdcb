/* SPDX-License-Identifier: GPL-2.0-only */
/* What the current network namespace has: interfaces and their addresses (libnl-route). */
#ifndef TN_NETLINK_H
#define TN_NETLINK_H

#include "error.h"
#include "iface.h"

/* All interfaces, by index; the caller's to free. */
int netlink_ifaces(struct ifaces *out, struct error *err);

/* Whether the interface has a clsact qdisc. */
bool netlink_has_clsact(uint32_t ifindex);

/* Whether a clsact qdisc of the interface holds any filter, in either direction. */
bool netlink_clsact_in_use(uint32_t ifindex);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether a router that is active by its address has it now, as the programs see it for themselves.
 */
#ifndef TN_STANDBY_H
#define TN_STANDBY_H

#include "model/rows.h"

/*
 * Whether it waits for its address: that is not on its shared interface. False of a router that is
 * always active, and when its namespace is not there. `subnets`: the shared ones.
 */
bool standby_now(const struct router_row *r, const struct prefix *subnets, size_t n);

#endif

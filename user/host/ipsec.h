/* SPDX-License-Identifier: GPL-2.0-only */
/* IPsec policies of the current network namespace (NETLINK_XFRM; kernel: net/xfrm/xfrm_user.c). */
#ifndef TN_IPSEC_H
#define TN_IPSEC_H

#include "lib/error.h"

/*
 * Whether there is a policy for packets that are forwarded: of the directions `out` and `fwd`,
 * those of single sockets aside. A kernel without IPsec has none.
 */
int ipsec_sees_forwarded(bool *out, struct error *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a device can do for XDP: the generic netlink family "netdev" (include/uapi/linux/netdev.h of
 * Linux, since 6.3). Older kernels do not say.
 */
#ifndef TN_NETDEV_H
#define TN_NETDEV_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether XDP programs of others can redirect frames to that device of the network namespace that
 * this process is in; of a veth, whether its peer takes them at the moment. False too where the
 * kernel does not say.
 */
bool netdev_takes_xdp(uint32_t ifindex);

#endif

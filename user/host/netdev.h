/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a device can do for XDP: the generic netlink family "netdev" (include/uapi/linux/netdev.h of
 * Linux, since 6.3). Older kernels do not say.
 */
#ifndef TN_NETDEV_H
#define TN_NETDEV_H

#include <stdbool.h>
#include <stdint.h>

/* X(ID, "name"), by the kernel's bits: NETDEV_XDP_ACT_…, and the names of its netdev.yaml. */
#define NETDEV_FEATURES(X)              \
	X(BASIC, "basic")               \
	X(REDIRECT, "redirect")         \
	X(NDO_XMIT, "ndo-xmit")         \
	X(XSK_ZEROCOPY, "xsk-zerocopy") \
	X(HW_OFFLOAD, "hw-offload")     \
	X(RX_SG, "rx-sg")               \
	X(NDO_XMIT_SG, "ndo-xmit-sg")

enum netdev_feature {
#define X(id, name) NETDEV_##id,
	NETDEV_FEATURES(X)
#undef X
		NETDEV_FEATURES_COUNT
};

const char *netdev_feature_name(enum netdev_feature feature);

struct netdev {
	bool known; /* the kernel says it */
	/*
	 * NDO_XMIT: whether XDP programs of others can redirect frames to it; of a veth, whether
	 * its peer takes them at the moment
	 */
	bool can[NETDEV_FEATURES_COUNT];
};

/* Of a device of the network namespace that this process is in. Needs no privileges. */
void netdev_read(uint32_t ifindex, struct netdev *out);

#endif

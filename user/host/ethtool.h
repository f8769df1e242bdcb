/* SPDX-License-Identifier: GPL-2.0-only */
/* What a network card, or a virtual one, does by itself (ethtool -k), by ioctl(2). */
#ifndef TN_ETHTOOL_H
#define TN_ETHTOOL_H

#include <stdbool.h>

#include "lib/error.h"

/* X(ID, "name in the kernel", "name for ethtool -K"): net/ethtool/common.c. */
#define ETHTOOL_FEATURES(X)                        \
	X(TX_CSUM_V4, "tx-checksum-ipv4", "tx")    \
	X(TX_CSUM_V6, "tx-checksum-ipv6", "tx")    \
	X(TX_CSUM, "tx-checksum-ip-generic", "tx") \
	X(RX_CSUM, "rx-checksum", "rx")            \
	X(TSO, "tx-tcp-segmentation", "tso")       \
	X(TSO_V6, "tx-tcp6-segmentation", "tso")   \
	X(GSO, "tx-generic-segmentation", "gso")   \
	X(GRO, "rx-gro", "gro")                    \
	X(GRO_HW, "rx-gro-hw", "rx-gro-hw")        \
	X(LRO, "rx-lro", "lro")                    \
	X(RX_VLAN, "rx-vlan-hw-parse", "rxvlan")   \
	X(TX_VLAN, "tx-vlan-hw-insert", "txvlan")

enum ethtool_feature {
#define X(id, name, option) ETHTOOL_##id,
	ETHTOOL_FEATURES(X)
#undef X
		ETHTOOL_FEATURES_COUNT
};

struct ethtool {
	/* what is on now; false too where this kernel has no feature of that name */
	bool on[ETHTOOL_FEATURES_COUNT];
	/* whether it can be switched at all */
	bool fixed[ETHTOOL_FEATURES_COUNT];
};

/* Room for the name of a driver, as in struct ethtool_drvinfo. */
#define ETHTOOL_DRIVER 32

/* The kernel's name of a feature. */
const char *ethtool_feature_name(enum ethtool_feature feature);
/* The driver of an interface; "": the kernel does not say. Where and by whom as below. */
void ethtool_driver(const char *interface, char out[ETHTOOL_DRIVER]);
/* Of an interface in the network namespace that this process is in. Needs no privileges. */
int ethtool_read(const char *interface, struct ethtool *out, struct error *err);

#endif

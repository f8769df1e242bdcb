/* SPDX-License-Identifier: GPL-2.0-only */
/* What the interfaces of a router are, for people: asked of the kernel where the router is. */
#ifndef TN_IFACE_INFO_H
#define TN_IFACE_INFO_H

#include "host/ethtool.h"
#include "host/netdev.h"
#include "model/iface.h"
#include "model/rows.h"

struct iface_info {
	char name[IF_NAMESIZE];
	bool shared; /* else it is an inside interface */
	bool raw;    /* it has no MAC address: see iface_is_raw() */
	uint8_t mac[6];
	uint32_t mtu;
	char driver[ETHTOOL_DRIVER];
	struct netdev xdp;
	bool offloads_known;
	struct ethtool offloads;
	struct iface_other other[IFACE_RELATIONS];
};

struct iface_infos {
	VEC(struct iface_info) list;
};

/*
 * The shared interface and the inside ones of a router that is attached; empty when its namespace
 * cannot be entered. The caller's to free.
 */
void iface_infos_read(const struct router_row *row, struct iface_infos *out);
void iface_infos_free(struct iface_infos *i);
#define _cleanup_iface_infos_ _cleanup_(iface_infos_free)

/* The bridge or switch that it is a port of, or its peer; NULL: none is seen. */
const struct iface_other *iface_info_bridge(const struct iface_info *i);

#endif

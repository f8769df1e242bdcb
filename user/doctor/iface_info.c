/* SPDX-License-Identifier: GPL-2.0-only */
#include "doctor/iface_info.h"

#include "host/netlink.h"
#include "host/netns.h"

void iface_infos_free(struct iface_infos *i)
{
	vec_free(&i->list);
}

static bool is_inside(const struct router_row *row, uint32_t index)
{
	for (size_t i = 0; i < TN_INSIDE_MAX && row->inside[i]; i++) {
		if (row->inside[i] == index)
			return true;
	}
	return false;
}

static void look_at(const struct ifaces *ifaces, const struct iface *i, struct iface_info *out)
{
	struct error ignored = { 0 };

	memcpy(out->name, i->name, sizeof(out->name));
	out->raw = iface_is_raw(i);
	memcpy(out->mac, i->mac, sizeof(out->mac));
	out->mtu = i->mtu;
	ethtool_driver(i->name, out->driver);
	out->offloads_known = ethtool_read(i->name, &out->offloads, &ignored) == 0;
	netdev_read(i->index, &out->xdp);
	netlink_others(ifaces, i, out->other);
}

void iface_infos_read(const struct router_row *row, struct iface_infos *out)
{
	_cleanup_ifaces_ struct ifaces ifaces = { 0 };
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct error ignored = { 0 };

	memset(out, 0, sizeof(*out));
	if (netns_enter_id(row->netns, row->netns_dev, row->netns_ino, &ns) ||
	    netlink_ifaces(&ifaces, &ignored))
		return;
	vec_each (i, &ifaces.list) {
		bool shared = i->index == row->ifindex;
		struct iface_info *one;

		if (!shared && !is_inside(row, i->index))
			continue;
		one = vec_push(&out->list);
		one->shared = shared;
		look_at(&ifaces, i, one);
	}
}

static bool is_bridge(const struct iface_other *o)
{
	return strcmp(o->kind, "bridge") == 0 || strcmp(o->kind, "openvswitch") == 0;
}

const struct iface_other *iface_info_bridge(const struct iface_info *i)
{
	static const enum iface_relation masters[] = { IFACE_MASTER, IFACE_PEER_MASTER };

	for (size_t k = 0; k < ARRAY_SIZE(masters); k++) {
		if (is_bridge(&i->other[masters[k]]))
			return &i->other[masters[k]];
	}
	return NULL;
}

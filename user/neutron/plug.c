/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A sidecar on this host: a namespace, and two internal ports of OVN's bridge, which ovn-controller
 * finds by the id of Neutron's port (iface-id). Done by the programs that an operator would take,
 * ovs-vsctl(8) and ip(8).
 */
#include <limits.h>
#include <net/if.h>

#include "host/netlink.h"
#include "host/netns.h"
#include "host/sysctl.h"
#include "lib/program.h"
#include "neutron/sidecar.h"

#define BRIDGE		"br-int"
#define PREFIX_OF_NETNS "tnat-"
/* As Neutron names interfaces: the beginning of the port's id. */
#define PORT_PART 11

char *sidecar_netns(const char *router)
{
	char *name;

	return asprintf(&name, PREFIX_OF_NETNS "%s", router) < 0 ? xstrdup("") : name;
}

char *sidecar_interface(const char *port, bool shared)
{
	char name[IF_NAMESIZE];

	snprintf(name, sizeof(name), "%s-%.*s", shared ? "ts" : "ti", PORT_PART, port);
	return xstrdup(name);
}

static bool is_leg_name(const char *name)
{
	return strncmp(name, "ti-", 3) == 0 || strncmp(name, "ts-", 3) == 0;
}

#define RUN(err, ...) program_run((const char *const[]){ __VA_ARGS__, NULL }, err)

/* The interfaces of the namespace; false: it is not there. */
static bool look(const char *netns, struct ifaces *out)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct error ignored = { 0 };

	return netns_enter(netns, &ns, &ignored) == 0 && netlink_ifaces(out, &ignored) == 0;
}

static const struct iface *by_name(const struct ifaces *ifaces, const char *name)
{
	vec_each (i, &ifaces->list) {
		if (strcmp(i->name, name) == 0)
			return i;
	}
	return NULL;
}

static bool has_address(const struct iface *i, const struct prefix *p)
{
	vec_each (a, &i->addrs) {
		if (a->len == p->len && addr_cmp(&a->addr, &p->addr) == 0)
			return true;
	}
	return false;
}

static bool wants_address(const struct leg *leg, const struct iface_addr *a)
{
	vec_each (p, &leg->addrs) {
		if (a->len == p->len && addr_cmp(&a->addr, &p->addr) == 0)
			return true;
	}
	return false;
}

/* What the port had before. What tenantnat or the kernel has put there is none of that. */
static bool is_stale(const struct leg *leg, const struct iface_addr *a)
{
	return !a->ours && !addr_is_special(&a->addr) && !wants_address(leg, a);
}

static bool is_right(const struct iface *i, const struct leg *leg)
{
	char mac[18];

	if (!i || !i->up || (leg->mtu && i->mtu != (uint32_t)leg->mtu))
		return false;
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", i->mac[0], i->mac[1], i->mac[2],
		 i->mac[3], i->mac[4], i->mac[5]);
	if (strcasecmp(mac, leg->mac) != 0)
		return false;
	vec_each (a, &leg->addrs) {
		if (!has_address(i, a))
			return false;
	}
	vec_each (a, &i->addrs) {
		if (is_stale(leg, a))
			return false;
	}
	return true;
}

static bool is_wanted(const char *name, const struct leg *legs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(legs[i].name, name) == 0)
			return true;
	}
	return false;
}

static bool is_complete(const struct ifaces *ifaces, const struct leg *legs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!is_right(by_name(ifaces, legs[i].name), &legs[i]))
			return false;
	}
	vec_each (i, &ifaces->list) {
		if (is_leg_name(i->name) && !is_wanted(i->name, legs, n))
			return false;
	}
	return true;
}

bool sidecar_is_plugged(const char *netns, const struct leg *legs, size_t n)
{
	_cleanup_ifaces_ struct ifaces ifaces = { 0 };

	return look(netns, &ifaces) && is_complete(&ifaces, legs, n);
}

bool sidecar_is_there(const char *netns)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct error ignored = { 0 };

	return netns_enter(netns, &ns, &ignored) == 0;
}

/* ------------------------------------------------------------ what is to be there */

/* Nobody on a network of the cloud is to lead the sidecar elsewhere. */
static int add_namespace(const char *netns, struct error *err)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;

	if (RUN(err, "ip", "netns", "add", netns) ||
	    RUN(err, "ip", "-n", netns, "link", "set", "lo", "up") || netns_enter(netns, &ns, err))
		return -1;
	if (!sysctl_exists("ipv6/conf/default/accept_ra"))
		return 0;
	return sysctl_set("ipv6/conf/default/accept_ra", "0", err);
}

static int remove_port(const char *name, struct error *err)
{
	return RUN(err, "ovs-vsctl", "--timeout=10", "--if-exists", "del-port", BRIDGE, name);
}

/* Added to the bridge, it is in our own namespace first. */
static int add_port(const char *netns, const struct leg *leg, struct error *err)
{
	char id[64], mac[64], of[96];

	snprintf(id, sizeof(id), "external_ids:iface-id=%s", leg->port);
	snprintf(mac, sizeof(mac), "external_ids:attached-mac=\"%s\"", leg->mac);
	snprintf(of, sizeof(of), "external_ids:tenantnat=%s", netns);
	if (RUN(err, "ovs-vsctl", "--timeout=10", "--may-exist", "add-port", BRIDGE, leg->name,
		"--", "set", "Interface", leg->name, "type=internal", id,
		"external_ids:iface-status=active", mac, of))
		return -1;
	return RUN(err, "ip", "link", "set", leg->name, "netns", netns);
}

static int set_leg(const char *netns, const struct leg *leg, struct error *err)
{
	char mtu[16];

	snprintf(mtu, sizeof(mtu), "%d", leg->mtu);
	if (RUN(err, "ip", "-n", netns, "link", "set", leg->name, "address", leg->mac) ||
	    (leg->mtu && RUN(err, "ip", "-n", netns, "link", "set", leg->name, "mtu", mtu)) ||
	    RUN(err, "ip", "-n", netns, "link", "set", leg->name, "up"))
		return -1;
	vec_each (a, &leg->addrs) {
		bool v4 = addr_is_v4(&a->addr);

		/* Neutron has given it to nobody else; without `nodad` it could not be used at once
		 */
		if (RUN(err, "ip", "-n", netns, "addr", "replace", PREFIX(a), "dev", leg->name,
			v4 ? NULL : "nodad"))
			return -1;
	}
	return 0;
}

static int drop_stale(const char *netns, const struct iface *i, const struct leg *leg,
		      struct error *err)
{
	for (size_t k = 0; i && k < i->addrs.n; k++) {
		const struct iface_addr *a = &i->addrs.v[k];
		const struct prefix p = { a->addr, a->len };

		if (is_stale(leg, a) &&
		    RUN(err, "ip", "-n", netns, "addr", "del", PREFIX(&p), "dev", leg->name))
			return -1;
	}
	return 0;
}

int sidecar_plug(const char *netns, const struct leg *legs, size_t n, bool *did, struct error *err)
{
	_cleanup_ifaces_ struct ifaces ifaces = { 0 };
	bool there = look(netns, &ifaces);

	*did = !there || !is_complete(&ifaces, legs, n);
	if (!there && add_namespace(netns, err))
		return -1;
	vec_each (i, &ifaces.list) {
		if (is_leg_name(i->name) && !is_wanted(i->name, legs, n) &&
		    remove_port(i->name, err))
			return -1;
	}
	for (size_t i = 0; i < n; i++) {
		const struct iface *is = by_name(&ifaces, legs[i].name);

		if (is_right(is, &legs[i]))
			continue;
		if ((!is && add_port(netns, &legs[i], err)) ||
		    drop_stale(netns, is, &legs[i], err) || set_leg(netns, &legs[i], err))
			return -1;
	}
	return 0;
}

int sidecar_unplug(const char *netns, bool *did, struct error *err)
{
	_cleanup_ifaces_ struct ifaces ifaces = { 0 };

	*did = look(netns, &ifaces);
	if (!*did)
		return 0;
	vec_each (i, &ifaces.list) {
		if (is_leg_name(i->name) && remove_port(i->name, err))
			return -1;
	}
	return RUN(err, "ip", "netns", "del", netns);
}

int sidecar_drop_leg(const char *name, struct error *err)
{
	return if_nametoindex(name) ? remove_port(name, err) : 0;
}

static int note_here(const char *name, void *arg)
{
	size_t head = strlen(PREFIX_OF_NETNS);
	neutron_id_vec *out = arg;

	if (strncmp(name, PREFIX_OF_NETNS, head) == 0 && strlen(name) == head + NEUTRON_ID - 1)
		memcpy(vec_push(out)->text, name + head, NEUTRON_ID);
	return 0;
}

void sidecars_here(neutron_id_vec *out)
{
	netns_each(note_here, out);
}

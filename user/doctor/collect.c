/* SPDX-License-Identifier: GPL-2.0-only */
#include "doctor/collect.h"

#include <limits.h>
#include <stdarg.h>

#include "dataplane/attach.h"
#include "doctor/collect_internal.h"
#include "host/host.h"
#include "host/ipsec.h"
#include "host/netdev.h"
#include "host/netlink.h"
#include "host/netns.h"
#include "host/nft.h"
#include "host/sysctl.h"
#include "lib/output.h"
#include "model/iface.h"
#include "model/join.h"

/* The value, or UNKNOWN; settings that this kernel has not are no error. */
static long setting(const char *path)
{
	struct error ignored = { 0 };
	long value;

	return sysctl_get_number(path, &value, &ignored) ? UNKNOWN : value;
}

/* ------------------------------------------------------------ the machine */

/* What dataplane_create() and dataplane_destroy() work in, and what editors of state leave. */
static bool unfinished(const char *name)
{
	const char *dot = strrchr(name, '.');

	return strcmp(name, "MAPS") == 0 ||
	       (dot && (strcmp(dot, ".tmp") == 0 || strcmp(dot, ".new") == 0));
}

static const char *leftovers(const char *const *dirs, size_t n)
{
	static char out[PATH_MAX];
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		char names[1024], *rest = names, *name;

		host_find(dirs[i], unfinished, names, sizeof(names));
		while ((name = strsep(&rest, " ")) && *name && used < sizeof(out))
			used += snprintf(out + used, sizeof(out) - used, "%s%s/%s", used ? " " : "",
					 dirs[i], name);
	}
	return out;
}

void collect_machine(const char *bpffs, const char *state, struct machine_report *out)
{
	const char *dirs[] = { bpffs, state };
	static char release[HOST_RELEASE];
	char parent[PATH_MAX];
	struct host_dir dir;
	char *slash;

	memset(out, 0, sizeof(*out));
	out->missing_privileges = host_missing_privileges();
	host_kernel(release, &out->kernel_major, &out->kernel_minor);
	out->kernel = release;
	out->btf = host_has_btf();
	snprintf(parent, sizeof(parent), "%s", bpffs);
	slash = strrchr(parent, '/');
	if (slash)
		slash[slash == parent] = '\0';
	host_check_bpffs(parent, &out->bpffs);
	out->jit = setting("core/bpf_jit_enable");
	out->jit_harden = setting("core/bpf_jit_harden");
	out->tcx = attach_has_tcx();
	out->dispatcher = out->missing_privileges[0] ? UNKNOWN : attach_has_dispatcher();
	out->neighbours[IPV4].room = setting("ipv4/neigh/default/gc_thresh3");
	out->neighbours[IPV6].room = setting("ipv6/neigh/default/gc_thresh3");
	out->leftovers = leftovers(dirs, ARRAY_SIZE(dirs));
	out->state = state;
	if (host_dir(state, &dir, &out->state_error) == 0) {
		out->state_exists = dir.exists;
		out->state_available = dir.available;
		out->state_used = dir.used;
		out->state_unwritable = dir.unwritable;
	}
}

/* ------------------------------------------------------------ interfaces */

static long conf(const char *family, const char *interface, const char *name)
{
	char path[SYSCTL_PATH];

	snprintf(path, sizeof(path), "%s/conf/%s/%s", family, interface, name);
	return setting(path);
}

static long larger(long a, long b)
{
	return a > b ? a : b;
}

/* The kernel takes the larger one of the interface's and that of `all` (ip-sysctl.rst). */
static long conf_max(const char *interface, const char *name)
{
	return larger(conf("ipv4", interface, name), conf("ipv4", "all", name));
}

static const struct iface *by_index(const struct ifaces *ifaces, uint32_t index)
{
	vec_each (i, &ifaces->list) {
		if (index && i->index == index)
			return i;
	}
	return NULL;
}

static bool has_number(int fd, const void *netnsid)
{
	return netlink_netnsid(fd) == *(const int32_t *)netnsid;
}

/* Where the peer is. That is many questions, and asked for one that is to be changed alone. */
static void find_elsewhere(const struct netns *ns, const struct iface *i, bool groups,
			   struct port *out)
{
	const struct iface_other *peer = &out->other[IFACE_PEER];
	char name[NAME_MAX + 1];

	groups &= out->other[IFACE_PEER_MASTER].snoops && !peer->takes_all;
	if (!peer->elsewhere || (peer->mtu <= i->mtu && !groups))
		return;
	if (has_number(ns->back, &i->netnsid)) {
		out->elsewhere_found = true;
	} else if (netns_find(has_number, &i->netnsid, name)) {
		out->elsewhere_found = true;
		netns_command(name, out->enter_elsewhere);
	}
}

/* Not tunnels: these make other packets of what they send. */
static bool is_stacked(const struct iface *i)
{
	static const char *const kinds[] = { "vlan", "macvlan", "macvtap", "ipvlan" };

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		if (strcmp(i->kind, kinds[k]) == 0)
			return !i->link_elsewhere;
	}
	return false;
}

/* What a VLAN device or the like stands on in the end, as far as that is in this namespace. */
static const struct iface *bottom_of(const struct ifaces *ifaces, const struct iface *i)
{
	const struct iface *below = i;

	while (below && is_stacked(below)) {
		i = below;
		below = by_index(ifaces, below->link);
	}
	return below ?: i;
}

/* `groups`: whether it matters which of them its bridge hands on. */
static void look_at_port(const struct netns *ns, const struct ifaces *ifaces, const struct iface *i,
			 bool groups, struct port *out)
{
	const struct iface *bottom = bottom_of(ifaces, i);
	const char *name = i->name;

	memset(out, 0, sizeof(*out));
	memcpy(out->name, i->name, sizeof(out->name));
	memcpy(out->kind, i->kind, sizeof(out->kind));
	out->up = i->up;
	out->carrier = i->carrier;
	out->mtu = i->mtu;
	out->stacked = bottom != i;
	netlink_others(ifaces, bottom, out->other);
	find_elsewhere(ns, bottom, groups, out);
	ethtool_read(name, &out->features, &out->features_error);
	out->forwarding = conf("ipv4", name, "forwarding");
	out->rp_filter = conf_max(name, "rp_filter");
	out->proxy_arp = conf_max(name, "proxy_arp");
	out->proxy_arp_pvlan = conf("ipv4", name, "proxy_arp_pvlan");
	out->arp_ignore = conf_max(name, "arp_ignore");
	out->disable_ipv6 = conf("ipv6", name, "disable_ipv6");
	out->accept_ra = conf("ipv6", name, "accept_ra");
	out->forwarding_v6 = conf("ipv6", name, "forwarding");
	out->proxy_ndp = conf("ipv6", name, "proxy_ndp");
}

/* ------------------------------------------------------------ routers */

/* By each pair of interfaces: marks that rules set depend on them. */
static void judge_path(const json_t *ruleset, const struct ruleset_path *path,
		       struct ruleset_hits *out)
{
	struct ruleset_path one = *path;

	vec_each (in, &path->in) {
		vec_each (to, &path->out) {
			one.in.v = in;
			one.out.v = to;
			one.in.n = one.out.n = 1;
			ruleset_judge(ruleset, &one, out);
		}
	}
}

/* A tenant without mappings is to be ready for some. */
static void look_at_vms(const json_t *ruleset, struct router_report *r, bool six)
{
	struct ruleset_path paths[2];
	bool any = doctor_paths(r, six, false, paths) || !r->tenant->mappings.n;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		if (any)
			judge_path(ruleset, &paths[i], &r->rules);
		ruleset_path_free(&paths[i]);
	}
}

/*
 * A router that filters what is for itself is as it should be: what it may refuse is asked for by
 * the services that `accept` names.
 */
static void look_at_itself(const json_t *ruleset, struct router_report *r, bool six)
{
	struct ruleset_path paths[2];
	bool any = doctor_paths(r, six, true, paths);

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct ruleset_hits hits = { 0 };

		if (any)
			ruleset_judge(ruleset, &paths[i], &hits);
		ruleset_hits_take(&r->rules, &hits);
		ruleset_hits_free(&hits);
		ruleset_path_free(&paths[i]);
	}
}

static void look_at_rules(struct router_report *r)
{
	_cleanup_json_ json_t *ruleset = NULL;
	bool families[] = { r->v4, r->v6 };

	for (size_t six = 0; six < ARRAY_SIZE(families); six++) {
		if (nft_legacy_tables(six, r->legacy[six], sizeof(r->legacy[six]), &r->rules_error))
			return;
	}
	if (nft_ruleset(&ruleset, true, &r->rules_error) ||
	    ipsec_sees_forwarded(&r->ipsec, &r->rules_error))
		return;
	r->rule = ruleset_sees_forwarded(ruleset);
	for (size_t six = 0; six < ARRAY_SIZE(families); six++) {
		if (!families[six])
			continue;
		look_at_vms(ruleset, r, six);
		look_at_itself(ruleset, r, six);
	}
	collect_services(ruleset, r);
}

static void look_at_others(uint32_t ifindex, struct router_report *r)
{
	struct others others;

	attach_others(ifindex, &others);
	vec_each (o, &others.list) {
		struct stranger *s = vec_push(&r->others);

		if (o->program)
			snprintf(s->text, sizeof(s->text), "program %u (%s, %s)", o->program,
				 via_name(o->via), o->egress ? "egress" : "ingress");
		else
			snprintf(s->text, sizeof(s->text), "a tc filter (%s, %s)", via_name(o->via),
				 o->egress ? "egress" : "ingress");
		s->before = o->before;
	}
	vec_free(&others.list);
}

/* A tenant without mappings is to be ready for those that the shared subnets allow. */
static void families_of(const struct model *m, const struct tenant *t, struct router_report *out)
{
	size_t six = 0;

	vec_each (map, &t->mappings) {
		out->v4 |= addr_is_v4(&map->fixed);
		out->v6 |= !addr_is_v4(&map->fixed);
		/* of a prefix no group is joined */
		six += addr_is_v4(&map->fixed) ? 0 : map->bits ? GROUPS_MAX + 1 : 1;
	}
	out->too_many_groups = six > GROUPS_MAX;
	vec_each (p, &m->subnets) {
		out->v4 |= !t->mappings.n && addr_is_v4(&p->addr);
		out->v6 |= !t->mappings.n && !addr_is_v4(&p->addr);
	}
}

static bool has_program(const struct router_row *row, uint32_t index)
{
	for (size_t i = 0; i < TN_INSIDE_MAX && row->inside[i]; i++) {
		if (row->inside[i] == index)
			return true;
	}
	return false;
}

/* What apply refuses; not of a standby, which may be without its addresses. */
static void look_for_gateways(const struct ifaces *ifaces, const uint32_t *inside,
			      struct router_report *out)
{
	vec_each (route, &out->tenant->router->inside_routes) {
		if (inside[0] && !join_gateway(ifaces, inside, route, &out->gateway_error))
			return;
	}
}

static void look_inside(const struct netns *ns, const struct ifaces *ifaces,
			const struct iface *shared, const struct router_row *row,
			struct router_report *out)
{
	uint32_t inside[TN_INSIDE_MAX];

	if (iface_inside(ifaces, out->tenant->router, shared, inside, &out->inside_error))
		return;
	iface_inside_doubt(ifaces, out->tenant->router, shared, &out->inside_doubt);
	on_link_find(ifaces, out->tenant, inside, &out->on_link);
	look_for_gateways(ifaces, inside, out);
	for (size_t i = 0; i < TN_INSIDE_MAX && inside[i]; i++) {
		const struct iface *port = by_index(ifaces, inside[i]);

		if (port)
			look_at_port(ns, ifaces, port, false, vec_push(&out->inside));
		if (port && row && !out->planned && !has_program(row, port->index))
			memcpy(vec_push(&out->late)->name, port->name, sizeof(port->name));
	}
}

/* The kernel that says what devices can do for XDP (6.3) is the one whose veth tells. */
static bool sees_tags(const struct router_row *row, uint32_t shared)
{
	struct netdev device;

	if (!row || !router_row_sends_from_veth(row))
		return false;
	netdev_read(shared, &device);
	return device.known && host_lets_programs_read();
}

void collect_router(const struct model *m, const struct tenant *t, const struct router_row *row,
		    bool planned, struct router_report *out)
{
	_cleanup_ifaces_ struct ifaces ifaces = { 0 };
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct router_row now = { 0 };
	const struct iface *shared;

	memset(out, 0, sizeof(*out));
	out->model = m;
	out->tenant = t;
	netns_command(t->router->netns, out->enter);
	families_of(m, t, out);
	out->planned = planned;
	out->detached = t->router->detached;
	if (out->detached)
		return;
	out->attached = row != NULL;
	out->broken = row && row->broken;
	out->fast = row && row->fast;
	out->other_build = row && row->build != dataplane_build();
	if (netns_enter(t->router->netns, &ns, &out->netns) || netlink_ifaces(&ifaces, &out->netns))
		return;
	shared = iface_shared(&ifaces, t->router, m, &out->shared_error);
	if (!shared)
		return;
	look_at_port(&ns, &ifaces, shared, out->too_many_groups, &out->shared);
	out->sees_tags = sees_tags(row, shared->index);
	look_inside(&ns, &ifaces, shared, row, out);
	vec_each (a, &shared->addrs) {
		out->own_v4 |= model_shares(m, &a->addr) && addr_is_v4(&a->addr);
		out->own_v6 |= model_shares(m, &a->addr) && !addr_is_v4(&a->addr);
		if (iface_addr_is_cut_off(a, m))
			*vec_push(&out->cut_off) = *a;
		if (a->failed && model_shares(m, &a->addr))
			out->contested = a->addr;
	}
	join_see_active(m, t->router, shared, row && row->granted, &now);
	out->by_address = now.by_address;
	out->standby = now.standby;
	out->via = row ? row->via : iface_hook(shared, t->router->hook);
	vec_each (i, &ifaces.list) {
		if (strcmp(i->kind, "vlan") == 0 && !i->link_elsewhere && i->link == shared->index)
			memcpy(vec_push(&out->vlans)->name, i->name, sizeof(i->name));
	}
	out->forwarding_v6 = setting("ipv6/conf/all/forwarding");
	look_at_others(shared->index, out);
	collect_routes(&ifaces, out);
	mark_rules_read(&out->marks, &out->marks_error);
	look_at_rules(out);
}

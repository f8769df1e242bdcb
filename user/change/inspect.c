/* SPDX-License-Identifier: GPL-2.0-only */
#include "change/inspect.h"

#include "dataplane/attach.h"
#include "dataplane/standby.h"
#include "host/ethtool.h"
#include "host/ipsec.h"
#include "host/netdev.h"
#include "host/netlink.h"
#include "host/netns.h"
#include "host/nft.h"
#include "host/ruleset.h"
#include "host/sysctl.h"
#include "lib/log.h"
#include "lib/output.h"
#include "model/iface.h"
#include "model/join.h"
#include "store/store.h"

/* ------------------------------------------------------------ the machine */

/* Where the namespace of a router is to be looked for: what the definitions say. */
static const char *netns_of(const struct model *m, const char *tenant)
{
	const struct tenant *t = model_tenant((struct model *)m, tenant);

	return t && t->router ? t->router->netns : NULL;
}

static void inspect(struct dataplane *dp, const struct model *m, const struct scope *scope,
		    struct kernel_state *have)
{
	vec_each (r, &have->routers) {
		struct attachments found;

		r->netns = netns_of(m, r->tenant);
		if (!scope_has(scope, r->tenant))
			continue;
		attach_inspect(dp, r, &found);
		r->broken = !found.complete;
		vec_free(&found.list);
		r->standby = standby_now(dp, r, have->subnets.v, have->subnets.n);
	}
}

static bool is_looked_at(const struct kernel_state *have, const struct netns *ns)
{
	vec_each (at, &have->looked) {
		if (at->netns_dev == ns->dev && at->netns_ino == ns->ino)
			return true;
	}
	return false;
}

/* Addresses, routes and groups of ours in the namespace that we are in. */
static void look(struct kernel_state *have, const struct netns *ns, const char *spec,
		 const char *tenant, const struct ifaces *ifaces)
{
	struct place at = { ns->dev, ns->ino, 0, spec, tenant, "" };

	if (is_looked_at(have, ns))
		return;
	*vec_push(&have->looked) = at;
	vec_each (r, &ifaces->routes) {
		if (r->ours && !r->ifindex)
			*vec_push(&have->routes) = (struct route_row){ .at = at, .to = r->to };
	}
	vec_each (i, &ifaces->list) {
		at.ifindex = i->index;
		memcpy(at.name, i->name, sizeof(at.name));
		vec_each (a, &i->addrs) {
			if (a->ours)
				*vec_push(&have->addrs) = (struct addr_row){ at, a->addr, a->len };
		}
		vec_each (r, &ifaces->routes) {
			if (r->ours && r->ifindex == i->index)
				*vec_push(&have->routes) =
					(struct route_row){ at, r->to, r->via, r->src };
		}
		if (i->marked)
			*vec_push(&have->groups) =
				(struct group_row){ .at = at, .on = i->allmulti };
		vec_each (p, &ifaces->proxies) {
			if (p->ours && p->ifindex == i->index)
				*vec_push(&have->groups) = (struct group_row){ at, p->addr, true };
		}
	}
}

static int look_around(struct kernel_state *have, const struct netns *ns, const char *spec,
		       const char *tenant, struct error *err)
{
	_cleanup_ifaces_ struct ifaces ifaces = { 0 };

	if (is_looked_at(have, ns))
		return 0;
	if (netlink_ifaces(&ifaces, err))
		return error_prefix(err, "tenant %s", tenant);
	look(have, ns, spec, tenant, &ifaces);
	return 0;
}

/*
 * In the namespaces of the routers that have programs, and of those that are defined: what a
 * run that was killed left is found by either. One that is gone took everything along.
 */
static int look_everywhere(const struct model *m, const struct scope *scope,
			   struct kernel_state *have, struct error *err)
{
	vec_each (r, &have->routers) {
		_cleanup_netns_ struct netns ns = NETNS_NONE;

		if (scope_has(scope, r->tenant) &&
		    netns_enter_id(r->netns, r->netns_dev, r->netns_ino, &ns) == 0 &&
		    look_around(have, &ns, r->netns, r->tenant, err))
			return -1;
	}
	vec_each (t, &m->tenants) {
		_cleanup_netns_ struct netns ns = NETNS_NONE;
		struct error gone = { 0 };

		if (t->router && scope_has(scope, t->name) &&
		    netns_enter(t->router->netns, &ns, &gone) == 0 &&
		    look_around(have, &ns, t->router->netns, t->name, err))
			return -1;
	}
	kernel_state_sort(have);
	return 0;
}

int kernel_state_load(const char *bpffs, const struct model *m, const struct scope *scope,
		      struct dataplane **dp, struct kernel_state *out, struct error *err)
{
	memset(out, 0, sizeof(*out));
	if (dataplane_open(bpffs, dp, err))
		return -1;
	if (*dp && dataplane_read(*dp, out, err))
		return -1;
	if (*dp)
		inspect(*dp, m, scope, out);
	return look_everywhere(m, scope, out, err);
}

int kernel_state_load_part(struct dataplane *dp, const struct model *m, const struct scope *scope,
			   struct kernel_state *out, struct error *err)
{
	if (dataplane_read_common(dp, out, err))
		return -1;
	inspect(dp, m, scope, out);
	return 0;
}

int view_load(const struct settings *settings, struct view *v, struct error *err)
{
	_cleanup_store_ struct store *store = NULL;

	memset(v, 0, sizeof(*v));
	if (store_open(settings->state, STORE_READ, 0, settings->command, &store, err) == 0 &&
	    store_load(store, &v->model, err) == 0 &&
	    kernel_state_load(settings->bpffs, &v->model, NULL, &v->dp, &v->kernel, err) == 0)
		return 0;
	view_free(v);
	return -1;
}

void view_free(struct view *v)
{
	kernel_state_free(&v->kernel);
	dataplane_close(v->dp);
	model_free(&v->model);
	memset(v, 0, sizeof(*v));
}

static int enter(const struct place *at, struct netns *ns)
{
	return netns_enter_id(at->netns, at->netns_dev, at->netns_ino, ns);
}

/* What is now where `was` was read. */
static int look_again(const struct kernel_state *was, struct kernel_state *now, struct error *err)
{
	vec_each (at, &was->looked) {
		_cleanup_netns_ struct netns ns = NETNS_NONE;

		if (enter(at, &ns) == 0 && look_around(now, &ns, at->netns, at->tenant, err))
			return -1;
	}
	vec_each (row, &was->settings) {
		_cleanup_netns_ struct netns ns = NETNS_NONE;
		struct setting_row is = *row;
		bool there = enter(&row->at, &ns) == 0;

		/* that of an interface went with it */
		if (there && !sysctl_exists(row->path))
			continue;
		if (there && sysctl_get_number(row->path, &is.value, err))
			return -1;
		*vec_push(&now->settings) = is;
	}
	kernel_state_sort(now);
	return 0;
}

int kernel_state_load_again(struct dataplane *dp, const struct model *m,
			    const struct kernel_state *was, const struct scope *scope,
			    const struct row_keys *keys, struct kernel_state *out,
			    struct error *err)
{
	if (keys ? dataplane_read_common(dp, out, err) || dataplane_look_up(dp, keys, out, err)
		 : dataplane_read(dp, out, err))
		return -1;
	if (look_again(was, out, err))
		return -1;
	inspect(dp, m, scope, out);
	return 0;
}

/* ------------------------------------------------------------ a router */

static void note_interface(const struct tenant *t, const struct netns *ns,
			   const struct iface *shared, struct router_facts *f)
{
	f->at = (struct place){ ns->dev, ns->ino, shared->index, t->router->netns, t->name, "" };
	memcpy(f->at.name, shared->name, sizeof(f->at.name));
	snprintf(f->row.tenant, sizeof(f->row.tenant), "%s", t->name);
	memcpy(f->row.mac, shared->mac, sizeof(f->row.mac));
	f->row.ifindex = shared->index;
	f->row.netns = t->router->netns;
	f->row.netns_dev = ns->dev;
	f->row.netns_ino = ns->ino;
	f->row.hook = t->router->hook;
	f->row.via = iface_hook(shared, t->router->hook);
	f->row.sources = t->router->sources;
	f->row.flows = t->router->flows;
	f->row.build = dataplane_build();
}

/* Then it has to be taken for one where something sees them. */
static bool could_not_ask(const char *tenant, const struct error *err)
{
	log_about(LOG_WARNING, tenant, NULL,
		  "tenant %s: %s; until the next run packets go through the stack", tenant,
		  err->text);
	return true;
}

/*
 * Whether netfilter would do anything with packets that this router forwards. Of
 * iptables-legacy it is not known what is in its tables. When it cannot be asked: yes.
 */
static bool is_ruled(const char *tenant)
{
	_cleanup_json_ json_t *ruleset = NULL;
	struct error err = { 0 };
	char legacy[2][40];

	if (nft_legacy_tables(0, legacy[0], sizeof(legacy[0]), &err) ||
	    nft_legacy_tables(1, legacy[1], sizeof(legacy[1]), &err) ||
	    (!*legacy[0] && !*legacy[1] && nft_ruleset(&ruleset, false, &err)))
		return could_not_ask(tenant, &err);
	return *legacy[0] || *legacy[1] || ruleset_sees_forwarded(ruleset);
}

static bool has_ipsec(const char *tenant)
{
	struct error err = { 0 };
	bool found;

	return ipsec_sees_forwarded(&found, &err) ? could_not_ask(tenant, &err) : found;
}

static bool is_veth(const struct ifaces *ifaces, uint32_t index)
{
	vec_each (i, &ifaces->list) {
		if (i->index == index)
			return strcmp(i->kind, "veth") == 0;
	}
	return false;
}

/*
 * Not where the device takes VLAN tags off before XDP, so that a frame of another network looks
 * like one of ours. tc sees these tags.
 */
static bool shows_tags(const char *shared)
{
	struct ethtool features;
	struct error err = { 0 };

	return !ethtool_read(shared, &features, &err) && !features.on[ETHTOOL_RX_VLAN];
}

/*
 * To which interfaces XDP sends itself. Only if asked for to a veth, because what it takes is up to
 * its other end, and from one, whose other end loses segmentation offload by it.
 */
static void note_xmit(struct router_facts *f, bool asked)
{
	struct router_row *row = &f->row;
	size_t n = 0;

	if (row->veth ? !asked : !shows_tags(f->at.name))
		return;
	for (size_t i = 0; i < TN_INSIDE_MAX && row->inside[i]; i++) {
		struct netdev device;

		if (!asked && is_veth(&f->ifaces, row->inside[i]))
			continue;
		netdev_read(row->inside[i], &device);
		if (device.can[NETDEV_NDO_XMIT])
			row->xmit[n++] = row->inside[i];
	}
}

static void note_raw(struct router_facts *f)
{
	vec_each (i, &f->ifaces.list) {
		for (size_t k = 0; k < TN_INSIDE_MAX && f->row.inside[k]; k++) {
			if (f->row.inside[k] != i->index)
				continue;
			if (iface_is_raw(i))
				f->row.raw |= 1U << k;
			if (iface_is_vrf(i))
				f->row.raw |= TN_VRF << k;
		}
	}
}

static void note_forwarding(const struct router *r, struct router_facts *f)
{
	struct router_row *row = &f->row;

	row->veth = is_veth(&f->ifaces, row->ifindex);
	row->ruled = r->forwarding == FORWARDING_AUTO && is_ruled(row->tenant);
	row->ipsec = r->forwarding == FORWARDING_AUTO && !row->ruled && has_ipsec(row->tenant);
	row->fast = r->forwarding != FORWARDING_STACK && !row->ruled && !row->ipsec;
	if (row->fast && row->via == HOOK_XDP)
		note_xmit(f, r->forwarding == FORWARDING_FAST);
}

/* What forwarding is now; a kernel without IPv6 has no such setting. */
static int note_settings(const struct router_facts *f, struct kernel_state *have, struct error *err)
{
	size_t known = have->settings.n, n = known;

	join_touched(f, have);
	for (size_t i = known; i < have->settings.n; i++) {
		struct setting_row *row = &have->settings.v[i];

		if (!sysctl_exists(row->path))
			continue;
		if (sysctl_get_number(row->path, &row->value, err))
			return -1;
		have->settings.v[n++] = *row;
	}
	have->settings.n = n;
	return 0;
}

static bool has_own(const struct iface *shared, const struct router_row *row)
{
	for (int f = 0; f < FAMILIES; f++) {
		bool found = addr_is_unset(&row->own[f]);

		vec_each (a, &shared->addrs)
			found |= addr_cmp(&a->addr, &row->own[f]) == 0;
		if (!found)
			return false;
	}
	return true;
}

/* Programs that are there in the end were attached to the interface that is looked at before. */
int inspect_confirm(struct dataplane *dp, const struct model *m, const struct tenant *t,
		    const struct router_row *row, struct error *err)
{
	_cleanup_ifaces_ struct ifaces ifaces = { 0 };
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct router_row at = *row;
	struct attachments found;
	const struct iface *shared;
	bool same;

	if (netns_enter(t->router->netns, &ns, err) || netlink_ifaces(&ifaces, err))
		return -1;
	shared = iface_shared(&ifaces, t->router, m, err);
	if (!shared)
		return -1;
	at.netns = t->router->netns;
	same = ns.dev == row->netns_dev && ns.ino == row->netns_ino &&
	       shared->index == row->ifindex && (row->by_address || has_own(shared, row));
	attach_inspect(dp, &at, &found);
	same = same && found.complete;
	vec_free(&found.list);
	return same ? 0
		    : error_set(err,
				"its interfaces have changed meanwhile, %s or one inside; run the "
				"command again",
				shared->name);
}

/* One that is about to join is nobody's yet. */
static bool is_granted(const struct kernel_state *have, const char *tenant)
{
	vec_each (row, &have->routers) {
		if (strcmp(row->tenant, tenant) == 0)
			return row->granted;
	}
	return false;
}

/* Fills `have` too, with what is in a namespace that nobody looked into before. */
int inspect_router(const struct model *m, struct tenant *t, struct kernel_state *have,
		   struct router_facts *f, struct error *err)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	const struct iface *shared;

	if (netns_enter(t->router->netns, &ns, err) || netlink_ifaces(&f->ifaces, err))
		return -1;
	shared = iface_shared(&f->ifaces, t->router, m, err);
	if (!shared || iface_inside(&f->ifaces, t->router, shared, f->row.inside, err))
		return -1;
	iface_inside_doubt(&f->ifaces, t->router, shared, &f->doubt);
	note_raw(f);
	note_interface(t, &ns, shared, f);
	f->has_v6 = sysctl_exists("ipv6/conf/all/forwarding");
	note_forwarding(t->router, f);
	look(have, &ns, t->router->netns, t->name, &f->ifaces);
	join_see(m, t->router, shared, is_granted(have, t->name), f);
	join_want_addresses(m, shared, t);
	return note_settings(f, have, err);
}

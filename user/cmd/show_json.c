/* SPDX-License-Identifier: GPL-2.0-only */
#include "cmd/show.h"

#include "config/write.h"
#include "dataplane/attach.h"
#include "host/netns.h"
#include "lib/output.h"
#include "model/prefixes.h"
#include "model/service.h"

static json_t *programs_json(const struct view *v, const struct router_row *row)
{
	json_t *list = json_array();
	struct attachments found;

	if (!row)
		return list;
	attach_inspect(v->dp, row, &found);
	vec_each (a, &found.list)
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s, s:i}", "interface", a->interface,
						"direction", a->egress ? "egress" : "ingress",
						"via", via_name(a->via), "id", (int)a->program));
	vec_free(&found.list);
	return list;
}

/* What a router has of us besides its programs. */
static json_t *addresses_json(const struct view *v, const struct router_row *row)
{
	json_t *list = json_array();

	vec_each (a, &v->kernel.addrs) {
		if (show_is_at(row, &a->at))
			json_array_append_new(list, json_string(ADDR(&a->addr)));
	}
	return list;
}

static json_t *routes_json(const struct view *v, const struct router_row *row)
{
	json_t *list = json_array();

	vec_each (r, &v->kernel.routes) {
		if (show_is_route_of(row, r))
			json_array_append_new(list,
					      json_pack("{s:s, s:o}", "to", PREFIX(&r->to), "via",
							addr_is_unset(&r->via)
								? json_null()
								: json_string(ADDR(&r->via))));
	}
	return list;
}

static json_t *unreachable_json(const struct view *v, const struct router_row *row)
{
	json_t *list = json_array();

	vec_each (r, &v->kernel.routes) {
		if (show_is_beside(row, r))
			json_array_append_new(list, json_string(PREFIX(&r->to)));
	}
	return list;
}

json_t *show_offloads_json(const struct iface_info *one)
{
	json_t *list;

	if (!one->offloads_known)
		return json_null();
	list = json_array();
	for (int i = 0; i < ETHTOOL_FEATURES_COUNT; i++) {
		if (one->offloads.on[i])
			json_array_append_new(list, json_string(ethtool_feature_name(i)));
	}
	return list;
}

json_t *show_xdp_json(const struct netdev *xdp)
{
	json_t *list;

	if (!xdp->known)
		return json_null();
	list = json_array();
	for (int i = 0; i < NETDEV_FEATURES_COUNT; i++) {
		if (xdp->can[i])
			json_array_append_new(list, json_string(netdev_feature_name(i)));
	}
	return list;
}

static json_t *other_json(const struct iface_other *o)
{
	if (!o || !o->name[0])
		return json_null();
	return json_pack("{s:s, s:s, s:I, s:b}", "interface", o->name, "kind", o->kind, "mtu",
			 (json_int_t)o->mtu, "elsewhere", o->elsewhere);
}

static json_t *interfaces_json(const struct router_row *row)
{
	_cleanup_iface_infos_ struct iface_infos found = { 0 };
	json_t *list = json_array();

	if (row)
		iface_infos_read(row, &found);
	vec_each (i, &found.list)
		json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:o, s:o, s:I, s:o, s:o, s:o, s:o}", "interface",
				  i->name, "role", i->shared ? "shared" : "inside", "driver",
				  json_text(i->driver[0] ? i->driver : NULL), "mac",
				  json_text(i->raw ? NULL : MAC(i->mac)), "mtu", (json_int_t)i->mtu,
				  "xdp", show_xdp_json(&i->xdp), "offloads", show_offloads_json(i),
				  "peer", other_json(&i->other[IFACE_PEER]), "bridge",
				  other_json(iface_info_bridge(i))));
	return list;
}

/* What sends on packets that need no more than translation. */
static const char *sender_of(const struct router_row *row)
{
	return !row || !row->fast ? "stack" : row->xmit[0] ? "xdp" : "tc";
}

static json_t *flows_json(const struct view *v, const struct tenant *t,
			  const struct router_row *row)
{
	return json_pack("{s:I, s:I}", "open", (json_int_t)(row ? show_open_flows(v, row) : 0),
			 "room", (json_int_t)t->router->flows);
}

/* null: it is not elected. */
static json_t *elected_json(const struct elections *e, const struct tenant *t)
{
	const struct elected *one = elections_of(e, t->name);

	if (t->router->active != ACTIVE_ELECTED)
		return json_null();
	return json_pack("{s:b, s:b, s:o, s:o}", "agent", (int)e->runs, "connected",
			 (int)e->connected, "holder", json_text(one ? one->holder : NULL), "since",
			 one && one->since ? json_integer(one->since) : json_null());
}

static json_t *router_json(const struct view *v, const struct elections *e, const struct tenant *t)
{
	const struct router_row *row;
	json_t *inside;

	if (!t->router)
		return json_null();
	row = show_row(v, t);
	inside = json_array();
	vec_each (name, &t->router->inside)
		json_array_append_new(inside, json_string(*name));
	return json_pack("{s:o, s:o, s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:I, s:b, s:o, "
			 "s:o, s:o, s:o, "
			 "s:o, s:o}",
			 "netns", json_text(t->router->netns), "shared",
			 json_text(t->router->shared), "inside", inside, "active",
			 active_name(t->router->active), "hook",
			 hook_name(row ? row->via : t->router->hook), "sources",
			 sources_name(t->router->sources), "forwarding", show_forwarding(t, row),
			 "because", show_why(t, row), "by", sender_of(row), "flows",
			 flows_json(v, t, row), "state", show_state(t, row), "problems",
			 (json_int_t)show_problems(v, e, t), "passed_over", t->router->passed_over,
			 "interfaces", interfaces_json(row), "programs", programs_json(v, row),
			 "addresses", addresses_json(v, row), "routes", routes_json(v, row),
			 "unreachable", unreachable_json(v, row), "elected", elected_json(e, t));
}

/* Those that were named; null: none were. */
static json_t *named_json(const struct selection *s, const struct tenant *t)
{
	json_t *list;

	if (!selection_is_narrow(s, t))
		return json_null();
	list = json_array();
	vec_each (m, &t->mappings) {
		if (selection_has_mapping(s, t, m))
			json_array_append_new(
				list,
				json_pack("{s:o, s:s, s:s, s:o}", "name", json_text(m->name),
					  "fixed", FIXED(m), "shared", SHARED(m), "mac",
					  json_text(mac_is_unset(m->mac) ? NULL : MAC(m->mac))));
	}
	return list;
}

/* What a rule leaves out is null. */
static json_t *accept_json(const struct selection *s, const struct tenant *t)
{
	json_t *list;

	if (!t->has_accept)
		return json_null();
	list = json_array();
	vec_each (r, &t->accept) {
		if (!selection_has_rule(s, t, r))
			continue;
		json_array_append_new(
			list,
			json_pack("{s:o, s:o, s:o, s:o, s:i}", "from",
				  r->any ? json_pack("[s]", "*") : texts_json(r->from.v, r->from.n),
				  "to", r->to.n ? texts_json(r->to.v, r->to.n) : json_null(),
				  "ports", r->services.n ? services_json(r) : json_null(), "until",
				  until_json(r), "line", (int)r->pos.line));
	}
	return list;
}

static json_t *leftovers_json(const struct view *v, const struct selection *s)
{
	json_t *list = json_array();
	char name[NAME_MAX + 1];

	vec_each (row, &v->kernel.routers) {
		if (!show_is_left_over(v, s, row))
			continue;
		netns_name(row->netns_dev, row->netns_ino, name);
		json_array_append_new(
			list, json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "tenant", row->tenant,
					"netns", json_text(name[0] ? name : NULL), "programs",
					programs_json(v, row), "addresses", addresses_json(v, row),
					"routes", routes_json(v, row), "unreachable",
					unreachable_json(v, row)));
	}
	return list;
}

static json_t *tenant_json(const struct view *v, const struct selection *s,
			   const struct elections *e, const struct tenant *t)
{
	const struct router *r = tenant_router(t);

	return json_pack("{s:s, s:o, s:I, s:o, s:o, s:o, s:o}", "tenant", t->name, "pool",
			 prefixes_json(t->pools.v, t->pools.n), "mappings",
			 (json_int_t)t->mappings.n, "named", named_json(s, t), "accept",
			 accept_json(s, t), "hosts",
			 r && r->hosts.n ? texts_json(r->hosts.v, r->hosts.n) : json_null(),
			 "router", router_json(v, e, t));
}

json_t *show_json(const struct view *v, const struct selection *s, const struct shown *shown)
{
	json_t *tenants = json_array();

	vec_each (t, &shown->tenants)
		json_array_append_new(tenants, tenant_json(v, s, &shown->elections, *t));
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "file", json_text(v->model.file), "subnets",
			 prefixes_json(v->model.subnets.v, v->model.subnets.n), "zone",
			 json_text(v->model.zone), "tenants", tenants, "leftovers",
			 leftovers_json(v, s));
}

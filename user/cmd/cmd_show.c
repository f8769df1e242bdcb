/* SPDX-License-Identifier: GPL-2.0-only */
/* show: tenants, routers, and what is attached where; asked of the kernel, not remembered. */
#include <inttypes.h>
#include <time.h>

#include "change/change.h"
#include "cmd/cmd.h"
#include "cmd/show.h"
#include "dataplane/attach.h"
#include "host/netns.h"
#include "lib/host_name.h"
#include "lib/output.h"
#include "lib/typo.h"
#include "model/policy.h"
#include "model/prefixes.h"
#include "model/until.h"

static void shown_free(struct shown *s)
{
	vec_free(&s->tenants);
	elections_free(&s->elections);
}

static const char *const sort_keys[] = { "name", "mappings", NULL };
enum { BY_NAME, BY_MAPPINGS };

/* The most first, and those with as many by name. */
static int by_mappings(const void *one, const void *two)
{
	const struct tenant *a = *(const struct tenant *const *)one,
			    *b = *(const struct tenant *const *)two;

	if (a->mappings.n != b->mappings.n)
		return a->mappings.n > b->mappings.n ? -1 : 1;
	return strcmp(a->name, b->name);
}

static void choose(const struct view *v, const struct selection *s, int key, struct shown *out)
{
	vec_each (t, &v->model.tenants) {
		if (selection_has(s, t))
			*vec_push(&out->tenants) = t;
	}
	if (key == BY_MAPPINGS)
		vec_sort(&out->tenants, by_mappings);
}

static void print_elected(const struct elections *e, const struct tenant *t)
{
	const struct elected *one = elections_of(e, t->name);
	int64_t age = one ? time(NULL) - one->since : 0;

	if (t->router->active != ACTIVE_ELECTED)
		return;
	if (!e->runs || !one)
		printf("  elected: not known; no agent takes part in the election here\n");
	else if (!one->holder)
		printf("  elected: nobody%s\n", e->connected ? "" : " (etcd is not reached)");
	else
		printf("  elected: %s, for %" PRId64 " s%s\n", one->holder, age < 0 ? 0 : age,
		       e->connected ? "" : " (as of when etcd was reached last)");
}

static void print_names(const char *interface, const char *what, const json_t *names)
{
	const json_t *name;
	size_t i;

	printf("    %-15s %-7s", interface, what);
	json_array_foreach(names, i, name) printf(" %s", json_string_value(name));
	printf("%s\n", json_is_null(names) ? " unknown" : json_array_size(names) ? "" : " none");
}

static void print_other(const char *interface, const char *what, const struct iface_other *o)
{
	if (o && o->name[0])
		printf("    %-15s %-7s %s, MTU %u%s\n", interface, what, o->name, o->mtu,
		       o->elsewhere ? ", in another namespace" : "");
}

static void print_interfaces(const struct router_row *row)
{
	_cleanup_iface_infos_ struct iface_infos found = { 0 };

	iface_infos_read(row, &found);
	vec_each (i, &found.list) {
		_cleanup_json_ json_t *xdp = show_xdp_json(&i->xdp);
		_cleanup_json_ json_t *offloads = show_offloads_json(i);

		printf("    %-15s %-7s driver %s, %s, MTU %u\n", i->name,
		       i->shared ? "shared" : "inside", i->driver[0] ? i->driver : "unknown",
		       i->raw ? "no MAC address" : MAC(i->mac), i->mtu);
		print_names(i->name, "xdp", xdp);
		print_names(i->name, "offload", offloads);
		print_other(i->name, "peer", &i->other[IFACE_PEER]);
		print_other(i->name, "bridge", iface_info_bridge(i));
	}
}

/* What it takes until all is there again. */
static void print_missing(const struct view *v, const struct router_row *row)
{
	const struct tenant *t = model_tenant_sorted((struct model *)&v->model, row->tenant);
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct error err = { 0 };

	if (!t || !t->router)
		return;
	if (netns_enter(t->router->netns, &ns, &err))
		printf("    the network namespace %s is gone; when it is there again, `tenantnat "
		       "restore`\n    attaches the router, and a running agent does so by itself\n",
		       t->router->netns ?: "");
	else if (ns.dev != row->netns_dev || ns.ino != row->netns_ino)
		printf("    the network namespace was made anew; `tenantnat restore` attaches the "
		       "router\n");
	else
		printf("    something is missing; `tenantnat restore` puts it back\n");
}

static void print_programs(const struct view *v, const struct router_row *row)
{
	struct attachments found;

	attach_inspect(v->dp, row, &found);
	vec_each (a, &found.list)
		printf("    %-15s %-7s %s, program %u\n", a->interface,
		       a->egress ? "egress" : "ingress", via_name(a->via), a->program);
	if (!found.complete && router_row_is_wanted(&v->model, row))
		print_missing(v, row);
	vec_free(&found.list);
}

static void print_settled(const struct view *v, const struct router_row *row)
{
	vec_each (a, &v->kernel.addrs) {
		if (show_is_at(row, &a->at))
			printf("    %-15s address %s\n", a->at.name, ADDR(&a->addr));
	}
	vec_each (r, &v->kernel.routes) {
		bool behind = !addr_is_unset(&r->via);

		if (show_is_route_of(row, r))
			printf("    %-15s route   %s%s%s\n", r->at.name, PREFIX(&r->to),
			       behind ? " via " : "", behind ? ADDR(&r->via) : "");
		else if (show_is_beside(row, r))
			printf("    %-15s route   %s unreachable, as the last resort\n", "-",
			       PREFIX(&r->to));
	}
}

static void print_named(const struct selection *s, const struct tenant *t)
{
	if (!selection_is_narrow(s, t))
		return;
	vec_each (m, &t->mappings) {
		if (selection_has_mapping(s, t, m))
			printf("  mapping %s%s%s, shared address %s%s%s\n", m->name ? m->name : "",
			       m->name ? " " : "", FIXED(m), SHARED(m),
			       mac_is_unset(m->mac) ? "" : ", mac ",
			       mac_is_unset(m->mac) ? "" : MAC(m->mac));
	}
}

/* In a cluster no host knows the file that a rule is from. */
static void print_place(const struct view *v, const struct rule *r)
{
	if (r->pos.line)
		printf(" (%s:%u)", v->model.file ? v->model.file : "(standard input)", r->pos.line);
}

static void print_accept(const struct view *v, const struct selection *s, const struct tenant *t)
{
	bool any = false;

	vec_each (r, &t->accept) {
		_cleanup_free_ char *from = rule_from_text(r), *to = rule_to_text(r);
		_cleanup_free_ char *services = rule_services_text(r);
		bool over = rule_is_over(r, time(NULL));
		char until[RULE_UNTIL_TEXT];

		if (!selection_has_rule(s, t, r))
			continue;
		any = true;
		printf("  %s %s to %s for %s%s", over ? "accepted" : "accepts", from,
		       *to ? to : "all mappings", *services ? services : "everything",
		       rule_until_text(r, until));
		print_place(v, r);
		putchar('\n');
	}
	if (!any)
		printf("  accepts %s\n", t->router || t->has_accept
						 ? "nobody"
						 : "whom its own router says, which is elsewhere");
}

static void print_inside(const struct router *r)
{
	printf("  inside");
	vec_each (entry, &r->inside)
		printf(" %s", *entry);
	printf("%s, sources %s\n", r->inside.n ? "" : " (not named)", sources_name(r->sources));
}

static void print_elsewhere(const struct tenant *t)
{
	_cleanup_free_ char *hosts = t->remote ? router_hosts_text(t->remote) : NULL;

	if (hosts)
		printf("  router elsewhere: on %s; this host is %s\n", hosts, host_name());
	else
		printf("  router elsewhere\n");
}

static void print_tenant(const struct view *v, const struct selection *s, const struct elections *e,
			 const struct tenant *t, bool verbose)
{
	const struct router_row *row = show_row(v, t);
	size_t problems;

	printf("%s%s%s: %zu %s, pool", color_bold(), t->name, color_off(), t->mappings.n,
	       plural(t->mappings.n, "mapping", "mappings"));
	if (!t->pools.n)
		printf(" (all of the shared subnets)");
	vec_each (p, &t->pools)
		printf(" %s", PREFIX(p));
	putchar('\n');
	print_named(s, t);
	if (!t->router) {
		print_elsewhere(t);
		print_accept(v, s, t);
		return;
	}
	printf("  router in netns %s, hook %s: %s%s\n",
	       t->router->netns ? t->router->netns : "(own)",
	       hook_name(row ? row->via : t->router->hook), show_state(t, row),
	       row && row->by_address && !row->standby && !row->broken ? ", active" : "");
	if (t->router->passed_over)
		printf("  passed over by a partial apply; `tenantnat restore` or the agent tries "
		       "again, "
		       "with the probes\n");
	print_elected(e, t);
	problems = show_problems(v, e, t);
	if (problems)
		printf("  %snot well%s: %zu %s; `tenantnat status %s` says what\n", color_removed(),
		       color_off(), problems, plural(problems, "problem", "problems"), t->name);
	print_inside(t->router);
	printf("  forwarding %s (%s)%s\n", show_forwarding(t, row), show_why(t, row),
	       row && row->xmit[0] ? ", by XDP" : "");
	if (row && verbose)
		print_interfaces(row);
	if (row) {
		printf("  flows %zu of %u\n", show_open_flows(v, row), row->flows);
		print_programs(v, row);
		print_settled(v, row);
	}
	print_accept(v, s, t);
}

static void print_leftovers(const struct view *v, const struct selection *s)
{
	const char *remedy = v->model.tenants.n ? "restore" : "detach --all";
	char name[NAME_MAX + 1];

	vec_each (row, &v->kernel.routers) {
		if (!show_is_left_over(v, s, row))
			continue;
		netns_name(row->netns_dev, row->netns_ino, name);
		printf("%sleft by a run that was cut short:%s router of %s in netns %s, which no "
		       "definitions want attached; `tenantnat %s` takes it off\n",
		       color_bold(), color_off(), row->tenant, name[0] ? name : "unknown", remedy);
		print_programs(v, row);
		print_settled(v, row);
	}
}

/* `show histroy` is no tenant: the second word of a command may be the one mistyped. */
static int check(const struct invocation *inv, struct selection *s, const struct model *m,
		 struct error *err)
{
	struct error found = { 0 };

	if (!selection_check(s, m, &found))
		return 0;
	if (inv->nargs == 1 && typo_edits(inv->args[0], "history") != SIZE_MAX)
		return error_usage(err, "there is no tenant %s; did you mean `show history`?",
				   inv->args[0]);
	return error_usage(err, "%s", found.text);
}

static int run(const struct invocation *inv, struct error *err)
{
	_cleanup_selection_ struct selection selection = { 0 };
	_cleanup_(shown_free) struct shown shown = { 0 };
	_cleanup_view_ struct view v = { 0 };
	int key = cmd_sort_key(inv, sort_keys, err);

	if (key < 0 || selection_read(inv->args, inv->nargs, &selection, err) ||
	    view_load(&inv->settings, &v, err) || check(inv, &selection, &v.model, err))
		return -1;
	choose(&v, &selection, key, &shown);
	elections_read(inv->settings.state, &shown.elections);
	if (inv->json)
		return json_print(show_json(&v, &selection, &shown), err);
	printf("shared network:");
	vec_each (p, &v.model.subnets)
		printf(" %s", PREFIX(p));
	printf("%s\n", v.model.subnets.n ? "" : " not defined yet; see `tenantnat apply --help`");
	if (v.model.zone)
		printf("names in DNS: in the zone %s; `tenantnat names` lists them\n",
		       v.model.zone);
	vec_each (t, &shown.tenants)
		print_tenant(&v, &selection, &shown.elections, *t, inv->verbose);
	print_leftovers(&v, &selection);
	return 0;
}

const struct command cmd_show = {
	.name = "show",
	.synopsis = "[TENANT[/MAPPING]…] [--sort KEY]",
	.summary = "Show tenants, routers and what is attached where",
	.help = "All tenants, or those named. Of TENANT/MAPPING also the mapping is shown, and of "
		"`accept` only\n"
		"what is about it.\n"
		"\n"
		"JSON: {\"file\": of the last apply, or null, \"subnets\": […], \"zone\": of "
		"names, or null, \"tenants\": "
		"[{\"tenant\", \"pool\": […], \"mappings\": "
		"count,\n"
		"\"named\": null or, of TENANT/MAPPING, [{\"name\" or null, \"fixed\", "
		"\"shared\",\n"
		"\"mac\" or null}],\n"
		"\"accept\": null (not given) or [{\"from\": […], \"to\": null or […], "
		"\"ports\": null or […],\n"
		"\"until\": null or a date or time, as in the file, \"line\"}],\n"
		"\"hosts\": null (not given) or [that have the router], \"router\": null "
		"(elsewhere) "
		"or\n"
		"{\"netns\", \"shared\", \"inside\": [names and patterns], \"active\", \"hook\", "
		"\"sources\",\n"
		"\"forwarding\": \"fast\" or \"stack\", \"because\": why, \"by\": \"stack\", "
		"\"tc\" or \"xdp\",\n"
		"\"flows\": {\"open\": now, \"room\": as defined},\n"
		"\"state\": \"attached\", \"detached\" (by `tenantnat detach`), \"missing\" (it "
		"has "
		"to be attached,\n"
		"and is not), \"broken\" (something of it is missing) or \"standby\" (attached, "
		"and "
		"has not its\n"
		"own address: `active: address` or `elected`), \"problems\": as doctor counts "
		"them,\n"
		"\"passed_over\": true after a partial apply that could not make it what it is to "
		"be,\n"
		"\"interfaces\": [{\"interface\", \"role\": \"shared\" or \"inside\", \"driver\": "
		"null "
		"(not known) or name, \"mac\": null (it has none) or address, \"mtu\",\n"
		"\"xdp\": null (not known: Linux before 6.3) or [what its driver can], "
		"\"offloads\": null (not known) or [those that are on],\n"
		"\"peer\" (of a veth) and \"bridge\" (its own, or its peer's): null or "
		"{\"interface\", \"kind\", \"mtu\", \"elsewhere\": true\n"
		"in another namespace}}], empty while detached; with -v also in the text,\n"
		"\"programs\": [{\"interface\", \"direction\", \"via\", \"id\"}],\n"
		"\"addresses\": […], \"routes\": [{\"to\", \"via\": null or address}] and "
		"\"unreachable\": [to where, when no other route leads there] that "
		"tenantnat added,\n"
		"\"elected\": null (it is not `active: elected`) or {\"agent\": true if it takes "
		"part here, \"connected\": true\n"
		"if it reaches etcd, \"holder\": null (nobody) or host, \"since\": null or seconds "
		"since 1970}}}],\n"
		"\"leftovers\": [{\"tenant\", \"netns\": null (not known) or name, \"programs\", "
		"\"addresses\", \"routes\", \"unreachable\"}] of routers\n"
		"that no definitions want attached: a run that was cut short left them}",
	.options = { { "sort", 0, "KEY", "by name, or by mappings: the most first" } },
	.max_args = -1,
	.run = run,
};

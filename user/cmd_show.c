/* SPDX-License-Identifier: GPL-2.0-only */
/* show: tenants, routers, and what is attached where; asked of the kernel, not remembered. */
#include "attach.h"
#include "cmd.h"
#include "converge.h"
#include "output.h"

struct view {
	struct model model;
	struct dataplane *dp;
	struct machine machine;
};

static void view_free(struct view *v)
{
	machine_free(&v->machine);
	dataplane_close(v->dp);
	model_free(&v->model);
}

static int view_load(const struct invocation *inv, struct view *v, struct error *err)
{
	_cleanup_store_ struct store *store = NULL;

	if (store_open(inv->state, STORE_READ, 0, inv->command->name, &store, err) ||
	    store_load(store, &v->model, err))
		return -1;
	return machine_load(inv->bpffs, &v->model, &v->dp, &v->machine, err);
}

static const struct router_row *row_of(const struct view *v, const struct tenant *t)
{
	vec_each (r, &v->machine.routers) {
		if (strcmp(r->tenant, t->name) == 0)
			return r;
	}
	return NULL;
}

static const char *state_of(const struct router_row *row)
{
	return !row ? "detached" : row->broken ? "broken" : "attached";
}

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

static json_t *router_json(const struct view *v, const struct tenant *t)
{
	const struct router_row *row;
	json_t *inside;

	if (!t->router)
		return json_null();
	row = row_of(v, t);
	inside = json_array();
	vec_each (name, &t->router->inside)
		json_array_append_new(inside, json_string(*name));
	return json_pack("{s:o, s:o, s:o, s:s, s:s, s:o}", "netns", json_text(t->router->netns),
			 "shared", json_text(t->router->shared), "inside", inside, "hook",
			 hook_name(row ? row->via : t->router->hook), "state", state_of(row),
			 "programs", programs_json(v, row));
}

static json_t *prefixes_json(const struct prefix *v, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(PREFIX(&v[i])));
	return list;
}

static json_t *view_json(const struct view *v)
{
	json_t *tenants = json_array();

	vec_each (t, &v->model.tenants)
		json_array_append_new(
			tenants, json_pack("{s:s, s:o, s:I, s:o}", "tenant", t->name, "pool",
					   prefixes_json(t->pools.v, t->pools.n), "mappings",
					   (json_int_t)t->mappings.n, "router", router_json(v, t)));
	return json_pack("{s:o, s:o}", "subnets",
			 prefixes_json(v->model.subnets.v, v->model.subnets.n), "tenants", tenants);
}

static void print_programs(const struct view *v, const struct router_row *row)
{
	struct attachments found;

	attach_inspect(v->dp, row, &found);
	vec_each (a, &found.list)
		printf("    %-15s %-7s %s, program %u\n", a->interface,
		       a->egress ? "egress" : "ingress", via_name(a->via), a->program);
	if (!found.complete)
		printf("    something is missing; `tenantnat apply` puts it back\n");
	vec_free(&found.list);
}

static void print_tenant(const struct view *v, const struct tenant *t)
{
	const struct router_row *row = row_of(v, t);

	printf("%s%s%s: %zu %s, pool", color_bold(), t->name, color_off(), t->mappings.n,
	       t->mappings.n == 1 ? "mapping" : "mappings");
	if (!t->pools.n)
		printf(" (all of the shared subnets)");
	vec_each (p, &t->pools)
		printf(" %s", PREFIX(p));
	putchar('\n');
	if (!t->router) {
		printf("  router elsewhere\n");
		return;
	}
	printf("  router in netns %s, hook %s: %s\n", t->router->netns ? t->router->netns : "(own)",
	       hook_name(row ? row->via : t->router->hook), state_of(row));
	if (row)
		print_programs(v, row);
}

static int run(const struct invocation *inv, struct error *err)
{
	_cleanup_(view_free) struct view v = { 0 };

	if (view_load(inv, &v, err))
		return -1;
	if (inv->json)
		return json_print(view_json(&v), err);
	printf("shared network:");
	vec_each (p, &v.model.subnets)
		printf(" %s", PREFIX(p));
	printf("%s\n", v.model.subnets.n ? "" : " not defined yet; see `tenantnat apply --help`");
	vec_each (t, &v.model.tenants)
		print_tenant(&v, t);
	return 0;
}

const struct command cmd_show = {
	.name = "show",
	.synopsis = "",
	.summary = "Show tenants, routers and what is attached where",
	.help = "JSON: {\"subnets\": […], \"tenants\": [{\"tenant\", \"pool\": […], \"mappings\": "
		"count,\n"
		"\"router\": null or {\"netns\", \"shared\", \"inside\": […], \"hook\",\n"
		"\"state\": \"attached\", \"detached\" or \"broken\",\n"
		"\"programs\": [{\"interface\", \"direction\", \"via\", \"id\"}]}}]}",
	.run = run,
};

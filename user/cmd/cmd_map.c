/* SPDX-License-Identifier: GPL-2.0-only */
/* map add, map del, map list: single mappings, without a file. */
#include <inttypes.h>

#include "change/change.h"
#include "cmd/cmd.h"
#include "lib/output.h"

static struct tenant *find_tenant(struct model *m, const char *name, struct error *err)
{
	struct tenant *t = model_tenant(m, name);

	if (!t)
		error_usage(err, "there is no tenant %s; `tenantnat show` lists them", name);
	return t;
}

/* What a command does to the definitions. */
typedef int (*edit_fn)(const struct invocation *inv, struct model *m, struct error *err);

static int edit_and_make(const struct invocation *inv, struct change *c, edit_fn edit,
			 struct error *err)
{
	char *tenant = inv->args[0];
	struct scope scope = { .tenants = &tenant, .n = 1 };
	struct change_how how = { .scope = &scope, .no_probe = cmd_value(inv, "no-probe") };
	_cleanup_outcome_ struct outcome outcome = { 0 };

	if (edit(inv, &c->will, err))
		return -1;
	return change_make(c, &how, &outcome, err);
}

/* One mapping, with no more than that read; where that is not enough, with everything. */
static int change_one(const struct invocation *inv, const struct window *w, edit_fn edit,
		      struct change *c, struct error *err)
{
	int ret;

	if (change_begin_part(&inv->settings, w, c, err))
		return -1;
	ret = edit_and_make(inv, c, edit, err);
	if (ret == CHANGE_TOO_NARROW)
		ret = change_widen(c, err) ? -1 : edit_and_make(inv, c, edit, err);
	return ret;
}

static int parse_address(const char *text, struct tn_addr *out, struct error *err)
{
	struct prefix prefix;

	if (addr_parse(text, out))
		return 0;
	return strchr(text, '/') && prefix_parse(text, &prefix)
		       ? error_usage(err, "`%s` is a prefix; give one address", text)
		       : error_usage(err, "`%s` is not an IP address", text);
}

/* What the arguments ask for; the name is borrowed. */
static int parse_mapping(const struct invocation *inv, struct mapping *out, struct error *err)
{
	const char *shared = cmd_value(inv, "shared");

	*out = (struct mapping){ .name = (char *)cmd_value(inv, "name"), .pinned = shared };
	return parse_address(inv->args[1], &out->fixed, err) ||
			       (shared && parse_address(shared, &out->shared, err))
		       ? -1
		       : 0;
}

static int add(const struct invocation *inv, struct model *will, struct error *err)
{
	struct tenant *t = find_tenant(will, inv->args[0], err);
	struct mapping m;

	if (!t || parse_mapping(inv, &m, err) || model_check_mapping(will, t, &m, err))
		return -1;
	m.name = m.name ? xstrdup(m.name) : NULL;
	*vec_push(&t->mappings) = m;
	return 0;
}

static int run_add(const struct invocation *inv, struct error *err)
{
	_cleanup_change_ struct change c = { 0 };
	struct mapping m;
	struct window w;

	if (parse_mapping(inv, &m, err))
		return -1;
	w = (struct window){ inv->args[0], m.fixed, m.name, m.shared };
	if (change_one(inv, &w, add, &c, err))
		return -1;
	printf("%s\n", ADDR(&tenant_mapping(model_tenant(&c.will, w.tenant), &m.fixed)->shared));
	return 0;
}

const struct command cmd_map_add = {
	.name = "map add",
	.synopsis = "TENANT FIXED [--name NAME] [--shared ADDRESS] [--no-probe]",
	.summary = "Map a fixed address, and print its shared address",
	.help = "The shared address is allocated from the tenant's pool unless it is given.\n"
		"The next `apply` removes the mapping again if its file does not name it.",
	.options = { { "name", 'n', "NAME", "a name for the mapping" },
		     { "shared", 's', "ADDRESS", "this shared address, and no other" },
		     { "no-probe", 0, NULL, "do not probe first whether another host has it" } },
	.min_args = 2,
	.max_args = 2,
	.run = run_add,
};

/* By fixed address or by name; a name can stand for one mapping of each family. */
static bool selects(const char *text, const struct mapping *m)
{
	struct tn_addr a;

	if (addr_parse(text, &a))
		return addr_cmp(&a, &m->fixed) == 0;
	return m->name && strcmp(m->name, text) == 0;
}

static int del(const struct invocation *inv, struct model *will, struct error *err)
{
	struct tenant *t = find_tenant(will, inv->args[0], err);
	size_t kept = 0;

	if (!t)
		return -1;
	for (size_t i = 0; i < t->mappings.n; i++) {
		if (selects(inv->args[1], &t->mappings.v[i]))
			mapping_clear(&t->mappings.v[i]);
		else
			t->mappings.v[kept++] = t->mappings.v[i];
	}
	if (kept == t->mappings.n)
		return error_usage(
			err, "tenant %s has no mapping %s; `tenantnat map list %s` lists them",
			t->name, inv->args[1], t->name);
	t->mappings.n = kept;
	return 0;
}

static int run_del(const struct invocation *inv, struct error *err)
{
	const struct window w = { .tenant = inv->args[0], .name = inv->args[1] };
	_cleanup_change_ struct change c = { 0 };

	return change_one(inv, &w, del, &c, err);
}

const struct command cmd_map_del = {
	.name = "map del",
	.synopsis = "TENANT FIXED|NAME",
	.summary = "Remove a mapping, and give its lease back",
	.min_args = 2,
	.max_args = 2,
	.run = run_del,
};

static json_t *limit_json(const struct limit *l)
{
	if (!l->rate && !l->packets)
		return json_null();
	return json_pack("{s:I, s:I, s:I}", "rate", (json_int_t)l->rate, "burst",
			 (json_int_t)l->burst, "packets", (json_int_t)l->packets);
}

/* Translation changes no checksum but the IP header's. */
static bool is_neutral(const struct mapping *m)
{
	return addr_sum(&m->fixed) == addr_sum(&m->shared);
}

static void list_json(json_t *list, const struct tenant *t, bool all)
{
	vec_each (m, &t->mappings) {
		json_t *row = json_pack("{s:s, s:o, s:s, s:s}", "tenant", t->name, "name",
					json_text(m->name), "fixed", ADDR(&m->fixed), "shared",
					ADDR(&m->shared));

		if (all) {
			json_object_set_new(row, "limit", limit_json(&m->limit));
			json_object_set_new(row, "neutral", json_boolean(is_neutral(m)));
		}
		json_array_append_new(list, row);
	}
}

/* As it can be written in a definitions file, but in the smallest units. */
static void limit_cell(struct table *table, const struct limit *l)
{
	char rate[64] = "", packets[64] = "";

	if (l->rate)
		snprintf(rate, sizeof(rate), "rate: %" PRIu64 "bit, burst: %" PRIu64 "b",
			 l->rate * 8, l->burst);
	if (l->packets)
		snprintf(packets, sizeof(packets), "%spackets: %" PRIu64, l->rate ? ", " : "",
			 l->packets);
	table_cell(table, "%s%s", rate, *rate || *packets ? packets : "-");
}

static void list_table(struct table *table, const struct tenant *t, bool all)
{
	vec_each (m, &t->mappings) {
		table_cell(table, "%s", t->name);
		table_cell(table, "%s", m->name ? m->name : "-");
		table_cell(table, "%s", ADDR(&m->fixed));
		table_cell(table, "%s", ADDR(&m->shared));
		if (all) {
			limit_cell(table, &m->limit);
			table_cell(table, "%s", is_neutral(m) ? "yes" : "no");
		}
	}
}

static int run_list(const struct invocation *inv, struct error *err)
{
	_cleanup_table_ struct table table = { .columns = inv->verbose ? 6 : 4 };
	_cleanup_store_ struct store *store = NULL;
	_cleanup_model_ struct model m = { 0 };
	_cleanup_json_ json_t *list = json_array();

	if (store_open(inv->settings.state, STORE_READ, 0, inv->settings.command, &store, err) ||
	    store_load(store, &m, err))
		return -1;
	if (inv->nargs && !find_tenant(&m, inv->args[0], err))
		return -1;
	table_cell(&table, "TENANT");
	table_cell(&table, "NAME");
	table_cell(&table, "FIXED");
	table_cell(&table, "SHARED");
	if (inv->verbose) {
		table_cell(&table, "LIMIT");
		table_cell(&table, "NEUTRAL");
	}
	vec_each (t, &m.tenants) {
		if (inv->nargs && strcmp(t->name, inv->args[0]) != 0)
			continue;
		if (inv->json)
			list_json(list, t, inv->verbose);
		else
			list_table(&table, t, inv->verbose);
	}
	if (inv->json)
		return json_print(json_incref(list), err);
	table_print(&table);
	return 0;
}

const struct command cmd_map_list = {
	.name = "map list",
	.synopsis = "[TENANT]",
	.summary = "List mappings",
	.help = "JSON: [{\"tenant\", \"name\" or null, \"fixed\", \"shared\"}], by tenant and "
		"fixed address;\n"
		"with -v also \"limit\": null or {\"rate\": bytes a second, \"burst\": bytes, "
		"\"packets\": a\nsecond}, where 0 is no limit, and \"neutral\": whether "
		"translation leaves the "
		"checksums of TCP\nand UDP as they are.",
	.max_args = 1,
	.run = run_list,
};

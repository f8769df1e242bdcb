/* SPDX-License-Identifier: GPL-2.0-only */
/* map add, map del, map list: single mappings, without a file. */
#include <inttypes.h>

#include "change/change.h"
#include "change/cluster_change.h"
#include "cluster/edit.h"
#include "cmd/cmd.h"
#include "lib/output.h"
#include "model/prefixes.h"
#include "model/selection.h"

/* As `map list` has it. */
static json_t *mapping_json(const struct tenant *t, const struct mapping *m)
{
	return json_pack("{s:s, s:o, s:s, s:s}", "tenant", t->name, "name", json_text(m->name),
			 "fixed", FIXED(m), "shared", SHARED(m));
}

/*
 * What a command does to the definitions. CHANGE_TOO_NARROW: what it names is not in the window,
 * and to say what may have been meant takes all.
 */
struct edit {
	int (*make)(const struct edit *e, struct change *c, struct error *err);
	const struct invocation *inv;
	json_t *removed; /* a list, to which the mappings come that are removed */
};

static int edit_and_make(const struct edit *e, struct change *c, struct error *err)
{
	char *tenant = e->inv->args[0];
	struct scope scope = { .tenants = &tenant, .n = 1 };
	struct change_how how = { .scope = &scope, .no_probe = cmd_value(e->inv, "no-probe") };
	_cleanup_outcome_ struct outcome outcome = { 0 };
	int ret = e->make(e, c, err);

	return ret ? ret : change_make(c, &how, &outcome, err);
}

/* One mapping, with no more than that read; where that is not enough, with everything. */
static int change_one(const struct edit *e, const struct window *w, struct change *c,
		      struct error *err)
{
	int ret;

	if (change_begin_part(&e->inv->settings, w, c, err))
		return -1;
	ret = edit_and_make(e, c, err);
	if (ret == CHANGE_TOO_NARROW)
		ret = change_widen(c, err) ? -1 : edit_and_make(e, c, err);
	return ret;
}

/* 0, CHANGE_TOO_NARROW or -1, as of struct edit. */
static int find_tenant(const struct edit *e, struct change *c, struct tenant **out,
		       struct error *err)
{
	*out = model_tenant(&c->will, e->inv->args[0]);
	if (*out)
		return 0;
	if (c->window)
		return CHANGE_TOO_NARROW;
	tenant_named(&c->will, e->inv->args[0], err);
	return -1;
}

/* An address, or a prefix: its first one, and *bits. */
static int parse_side(const char *text, struct tn_addr *out, uint8_t *bits, struct error *err)
{
	struct prefix prefix;

	*bits = 0;
	if (addr_parse(text, out))
		return 0;
	if (!strchr(text, '/'))
		return error_usage(err, "`%s` is not an IP address", text);
	if (!prefix_parse(text, &prefix))
		return error_usage(
			err,
			"`%s` is not a prefix, or has bits set behind its length; write it "
			"like 10.0.0.0/24",
			text);
	*out = prefix.addr;
	*bits = (uint8_t)(128 - prefix.len);
	return 0;
}

/* "10.0.0.1,10.0.0.2"; the caller's to free. */
static int parse_except(const char *text, struct addr_list **out, struct error *err)
{
	_cleanup_free_ char *copy = text ? xstrdup(text) : NULL;
	char *save = NULL;

	if (!text)
		return 0;
	*out = xzalloc(sizeof(**out));
	for (char *one = strtok_r(copy, ",", &save); one; one = strtok_r(NULL, ",", &save)) {
		if (addr_parse(one, vec_push(&(*out)->list)))
			continue;
		vec_free(&(*out)->list);
		free(*out);
		*out = NULL;
		return error_usage(err, "--except: `%s` is not an IP address", one);
	}
	exceptions_sort(*out);
	return 0;
}

static int parse_mac(const char *text, uint8_t out[6], struct error *err)
{
	if (!text || (mac_parse(text, out) && mac_is_valid(out)))
		return 0;
	return error_usage(err,
			   "`%s` is no MAC address that a VM can have; write it like "
			   "fa:16:3e:00:00:05",
			   text);
}

/* What the arguments ask for; the name is borrowed. */
static int parse_mapping(const struct invocation *inv, struct mapping *out, struct error *err)
{
	const char *shared = cmd_value(inv, "shared");

	const char *except = cmd_value(inv, "except");
	uint8_t bits;

	*out = (struct mapping){ .name = (char *)cmd_value(inv, "name"), .pinned = shared };
	if (parse_side(inv->args[1], &out->fixed, &out->bits, err) ||
	    (shared && parse_side(shared, &out->shared, &bits, err)) ||
	    parse_mac(cmd_value(inv, "mac"), out->mac, err))
		return -1;
	if (shared && bits != out->bits)
		return error_usage(err, "%s and %s are not of the same length", inv->args[1],
				   shared);
	if (except && !out->bits)
		return error_usage(err, "--except: %s is one address, and has no exceptions",
				   inv->args[1]);
	return 0;
}

static int add(const struct edit *e, struct change *c, struct error *err)
{
	struct tenant *t;
	struct mapping m;
	int ret = find_tenant(e, c, &t, err);

	if (ret)
		return ret;
	/* whom it may not overlap takes all */
	if (strchr(e->inv->args[1], '/') && c->window)
		return CHANGE_TOO_NARROW;
	if (parse_mapping(e->inv, &m, err) || model_check_mapping(&c->will, t, &m, err) ||
	    parse_except(cmd_value(e->inv, "except"), &m.except, err))
		return -1;
	m.name = m.name ? xstrdup(m.name) : NULL;
	*vec_push(&t->mappings) = m;
	return 0;
}

/* 0: this host is in no cluster; 1: it is, and that was it. */
static int add_in_cluster(const struct invocation *inv, struct mapping *m, struct error *err)
{
#ifndef TN_WITHOUT_CLUSTER
	_cleanup_session_ struct session s;
	int ret = cluster_session(&inv->settings, &s, err);

	if (ret <= 0)
		return ret;
	return cluster_map_add(&s, &inv->settings, inv->args[0], m, cmd_value(inv, "no-probe"), err)
		       ? -1
		       : 1;
#else
	(void)inv, (void)m, (void)err;
	return 0;
#endif
}

static int print_added(const struct invocation *inv, const char *tenant, const struct mapping *m,
		       struct error *err)
{
	const struct tenant t = { .name = (char *)tenant };

	if (inv->json)
		return json_print(mapping_json(&t, m), err);
	printf("%s\n", SHARED(m));
	return 0;
}

static int run_add(const struct invocation *inv, struct error *err)
{
	const struct edit edit = { .make = add, .inv = inv };
	_cleanup_change_ struct change c = { 0 };
	struct mapping m;
	struct window w;
	int ret;

	if (parse_mapping(inv, &m, err))
		return -1;
	ret = add_in_cluster(inv, &m, err);
	if (ret)
		return ret > 0 ? print_added(inv, inv->args[0], &m, err) : -1;
	w = (struct window){ inv->args[0], m.fixed, m.name, m.shared };
	if (change_one(&edit, &w, &c, err))
		return -1;
	return print_added(inv, w.tenant, tenant_mapping(model_tenant(&c.will, w.tenant), &m.fixed),
			   err);
}

const struct command cmd_map_add = {
	.name = "map add",
	.synopsis =
		"TENANT FIXED [--name NAME] [--shared ADDRESS] [--except ADDRESS,…] [--mac MAC] "
		"[--no-probe]",
	.summary = "Map a fixed address, and print its shared address",
	.help = "The shared address is allocated from the tenant's pool unless it is given. FIXED "
		"can "
		"be a prefix, and\n"
		"the shared address then is one of the same length.\n"
		"The next `apply` removes the mapping again if its file does not name it. On a "
		"host of a cluster,\n"
		"with --wait SECONDS, it waits for the hosts that it concerns.\n"
		"\n"
		"JSON: {\"tenant\", \"name\" or null, \"fixed\", \"shared\"}",
	.options = { { "name", 'n', "NAME", "a name for the mapping" },
		     { "shared", 's', "ADDRESS", "this shared address, and no other" },
		     { "except", 0, "ADDRESS,…", "addresses of the prefix that are not mapped" },
		     { "mac", 0, "MAC", "only for the VM that has this MAC address" },
		     { "no-probe", 0, NULL, "do not probe first whether another host has it" } },
	.min_args = 2,
	.max_args = 2,
	.run = run_add,
};

static int del(const struct edit *e, struct change *c, struct error *err)
{
	const struct called by = called(e->inv->args[1]);
	struct tenant *t;
	size_t kept = 0;
	int ret = find_tenant(e, c, &t, err);

	if (ret)
		return ret;
	json_array_clear(e->removed);
	for (size_t i = 0; i < t->mappings.n; i++) {
		struct mapping *m = &t->mappings.v[i];

		if (!is_called(m, &by)) {
			t->mappings.v[kept++] = *m;
			continue;
		}
		json_array_append_new(e->removed, mapping_json(t, m));
		mapping_clear(m);
	}
	if (kept == t->mappings.n)
		return c->window ? CHANGE_TOO_NARROW : no_mapping(t, e->inv->args[1], err);
	t->mappings.n = kept;
	return 0;
}

/* The same as of add_in_cluster(). */
static int del_in_cluster(const struct invocation *inv, json_t *removed, struct error *err)
{
#ifndef TN_WITHOUT_CLUSTER
	const struct tenant t = { .name = inv->args[0] };
	_cleanup_gone_ struct gone gone = { 0 };
	_cleanup_session_ struct session s;
	int ret = cluster_session(&inv->settings, &s, err);

	if (ret <= 0)
		return ret;
	if (cluster_map_del(&s, &inv->settings, t.name, inv->args[1], &gone, err))
		return -1;
	vec_each (m, &gone.list)
		json_array_append_new(removed, mapping_json(&t, m));
	return 1;
#else
	(void)inv, (void)removed, (void)err;
	return 0;
#endif
}

static int run_del(const struct invocation *inv, struct error *err)
{
	const struct window w = { .tenant = inv->args[0], .name = inv->args[1] };
	_cleanup_json_ json_t *removed = json_array();
	const struct edit edit = { .make = del, .inv = inv, .removed = removed };
	_cleanup_change_ struct change c = { 0 };
	int ret = del_in_cluster(inv, removed, err);

	if (ret < 0 || (!ret && change_one(&edit, &w, &c, err)))
		return -1;
	return inv->json ? json_print(json_incref(removed), err) : 0;
}

const struct command cmd_map_del = {
	.name = "map del",
	.synopsis = "TENANT FIXED|NAME",
	.summary = "Remove a mapping, and give its lease back",
	.help = "A name can stand for one mapping of each address family. --wait is as of `map "
		"add`.\n"
		"\n"
		"JSON, what was removed: [{\"tenant\", \"name\" or null, \"fixed\", \"shared\"}]",
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

/* ------------------------------------------------------------ map list */

struct row {
	const struct tenant *tenant;
	const struct mapping *mapping;
};

struct rows {
	VEC(struct row) list;
};

static void rows_free(struct rows *rows)
{
	vec_free(&rows->list);
}

/* The order of the model: by tenant, then by fixed address. */
static int by_tenant(const void *one, const void *two)
{
	const struct row *a = one, *b = two;

	if (a->tenant != b->tenant)
		return a->tenant < b->tenant ? -1 : 1;
	return a->mapping < b->mapping ? -1 : a->mapping > b->mapping;
}

/* What has no name comes last. */
static int by_name(const void *one, const void *two)
{
	const struct row *a = one, *b = two;
	const char *x = a->mapping->name, *y = b->mapping->name;
	int order = x && y ? strcmp(x, y) : !x - !y;

	return order ? order : by_tenant(one, two);
}

static int by_fixed(const void *one, const void *two)
{
	const struct row *a = one, *b = two;
	int order = addr_cmp(&a->mapping->fixed, &b->mapping->fixed);

	return order ? order : by_tenant(one, two);
}

static int by_shared(const void *one, const void *two)
{
	const struct row *a = one, *b = two;

	return addr_cmp(&a->mapping->shared, &b->mapping->shared);
}

static const char *const sort_keys[] = { "tenant", "name", "fixed", "shared", NULL };
static int (*const sorts[])(const void *, const void *) = { by_tenant, by_name, by_fixed,
							    by_shared };

static void collect(const struct model *m, const struct selection *s, int key, struct rows *out)
{
	vec_each (t, &m->tenants) {
		if (!selection_has(s, t))
			continue;
		vec_each (mapping, &t->mappings) {
			if (selection_has_mapping(s, t, mapping))
				*vec_push(&out->list) = (struct row){ t, mapping };
		}
	}
	vec_sort(&out->list, sorts[key]);
}

static json_t *mac_json(const struct mapping *m)
{
	return json_text(mac_is_unset(m->mac) ? NULL : MAC(m->mac));
}

static json_t *rows_json(const struct rows *rows, bool all)
{
	json_t *list = json_array();

	vec_each (row, &rows->list) {
		const struct mapping *m = row->mapping;
		json_t *one = mapping_json(row->tenant, m);

		if (all) {
			json_object_set_new(one, "mac", mac_json(m));
			json_object_set_new(one, "limit", limit_json(&m->limit));
			json_object_set_new(one, "neutral", json_boolean(is_neutral(m)));
		}
		json_array_append_new(list, one);
	}
	return list;
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

static void print_rows(const struct rows *rows, bool all)
{
	static const char *const head[] = { "TENANT", "NAME",  "FIXED",	 "SHARED",
					    "MAC",    "LIMIT", "NEUTRAL" };
	_cleanup_table_ struct table table = { .columns = all ? 7 : 4 };

	for (int i = 0; i < table.columns; i++)
		table_cell(&table, "%s", head[i]);
	vec_each (row, &rows->list) {
		const struct mapping *m = row->mapping;

		table_cell(&table, "%s", row->tenant->name);
		table_cell(&table, "%s", m->name ? m->name : "-");
		table_cell(&table, "%s", FIXED(m));
		table_cell(&table, "%s", SHARED(m));
		if (all) {
			table_cell(&table, "%s", mac_is_unset(m->mac) ? "-" : MAC(m->mac));
			limit_cell(&table, &m->limit);
			table_cell(&table, "%s", is_neutral(m) ? "yes" : "no");
		}
	}
	table_print(&table);
}

static int run_list(const struct invocation *inv, struct error *err)
{
	_cleanup_selection_ struct selection selection = { 0 };
	_cleanup_store_ struct store *store = NULL;
	_cleanup_(rows_free) struct rows rows = { 0 };
	_cleanup_model_ struct model m = { 0 };
	int key = cmd_sort_key(inv, sort_keys, err);

	if (key < 0 || selection_read(inv->args, inv->nargs, &selection, err))
		return -1;
	if (store_open(inv->settings.state, STORE_READ, 0, inv->settings.command, &store, err) ||
	    store_load(store, &m, err) || selection_check(&selection, &m, err))
		return -1;
	collect(&m, &selection, key, &rows);
	if (inv->json)
		return json_print(rows_json(&rows, inv->verbose), err);
	print_rows(&rows, inv->verbose);
	return 0;
}

const struct command cmd_map_list = {
	.name = "map list",
	.synopsis = "[TENANT[/MAPPING]…] [--sort KEY]",
	.summary = "List mappings",
	.help = "All of them, or those named: of a tenant, or TENANT/NAME and TENANT/FIXED. The "
		"order "
		"is by\n"
		"tenant, then fixed address, unless --sort says another.\n"
		"\n"
		"JSON: [{\"tenant\", \"name\" or null, \"fixed\", \"shared\"}], in the same "
		"order;\n"
		"with -v also \"mac\": null or the VM's MAC address, \"limit\": null or {\"rate\": "
		"bytes a second, \"burst\": bytes, "
		"\"packets\": a\nsecond}, where 0 is no limit, and \"neutral\": whether "
		"translation leaves the "
		"checksums of TCP\nand UDP as they are.",
	.options = { { "sort", 0, "KEY", "by tenant, name, fixed or shared" } },
	.max_args = -1,
	.run = run_list,
};

/* SPDX-License-Identifier: GPL-2.0-only */
/* stats: what each mapping carried, and what was dropped for which reason. */
#include <inttypes.h>

#include "cmd.h"
#include "converge.h"
#include "output.h"

static const struct reason {
	const char *name;
	const char *meaning;
} reasons[] = {
#define X(id, name, meaning) { name, meaning },
	TN_REASONS(X)
#undef X
};

/* What one mapping carried; all zero while its router is not attached. */
static struct tn_counters counters_of(const struct view *r, const struct mapping *m)
{
	struct shared_row key = { .shared = m->shared };
	struct tn_counters c = { 0 };
	const struct shared_row *row = NULL;

	if (r->machine.shared.n)
		row = bsearch(&key, r->machine.shared.v, r->machine.shared.n, sizeof(key),
			      shared_row_cmp);
	if (row && row->slot && dataplane_counters(r->dp, row->slot, &c))
		memset(&c, 0, sizeof(c));
	return c;
}

static json_t *direction_json(uint64_t packets, uint64_t bytes)
{
	return json_pack("{s:I, s:I}", "packets", (json_int_t)packets, "bytes", (json_int_t)bytes);
}

static json_t *report_json(const struct view *r)
{
	json_t *mappings = json_array(), *drops = json_array();

	vec_each (t, &r->model.tenants) {
		vec_each (m, &t->mappings) {
			struct tn_counters c = counters_of(r, m);

			json_array_append_new(
				mappings,
				json_pack("{s:s, s:s, s:s, s:o, s:o}", "tenant", t->name, "fixed",
					  ADDR(&m->fixed), "shared", ADDR(&m->shared), "in",
					  direction_json(c.in_packets, c.in_bytes), "out",
					  direction_json(c.out_packets, c.out_bytes)));
		}
	}
	vec_each (row, &r->machine.routers) {
		struct tn_drops d = { 0 };

		dataplane_drops(r->dp, row->id, &d);
		for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
			if (d.packets[i])
				json_array_append_new(drops, json_pack("{s:s, s:s, s:I}", "tenant",
								       row->tenant, "reason",
								       reasons[i].name, "packets",
								       (json_int_t)d.packets[i]));
		}
	}
	return json_pack("{s:o, s:o}", "mappings", mappings, "drops", drops);
}

static void print_mappings(const struct view *r)
{
	static const char *const header[] = { "TENANT",	  "FIXED",	 "SHARED",   "IN PACKETS",
					      "IN BYTES", "OUT PACKETS", "OUT BYTES" };
	_cleanup_table_ struct table table = { .columns = ARRAY_SIZE(header) };

	for (size_t i = 0; i < ARRAY_SIZE(header); i++)
		table_cell(&table, "%s", header[i]);
	vec_each (t, &r->model.tenants) {
		vec_each (m, &t->mappings) {
			struct tn_counters c = counters_of(r, m);

			table_cell(&table, "%s", t->name);
			table_cell(&table, "%s", ADDR(&m->fixed));
			table_cell(&table, "%s", ADDR(&m->shared));
			table_cell(&table, "%" PRIu64, (uint64_t)c.in_packets);
			table_cell(&table, "%" PRIu64, (uint64_t)c.in_bytes);
			table_cell(&table, "%" PRIu64, (uint64_t)c.out_packets);
			table_cell(&table, "%" PRIu64, (uint64_t)c.out_bytes);
		}
	}
	table_print(&table);
}

static void print_drops(const struct view *r)
{
	_cleanup_table_ struct table table = { .columns = 4 };

	table_cell(&table, "TENANT");
	table_cell(&table, "DROPPED");
	table_cell(&table, "REASON");
	table_cell(&table, "MEANING");
	vec_each (row, &r->machine.routers) {
		struct tn_drops d = { 0 };

		dataplane_drops(r->dp, row->id, &d);
		for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
			if (!d.packets[i])
				continue;
			table_cell(&table, "%s", row->tenant);
			table_cell(&table, "%" PRIu64, (uint64_t)d.packets[i]);
			table_cell(&table, "%s", reasons[i].name);
			table_cell(&table, "%s", reasons[i].meaning);
		}
	}
	if (table.cells.n > (size_t)table.columns) {
		putchar('\n');
		table_print(&table);
	}
}

static int run(const struct invocation *inv, struct error *err)
{
	_cleanup_view_ struct view r = { 0 };

	if (view_load(inv, &r, err))
		return -1;
	if (inv->json)
		return json_print(report_json(&r), err);
	print_mappings(&r);
	print_drops(&r);
	return 0;
}

const struct command cmd_stats = {
	.name = "stats",
	.synopsis = "",
	.summary = "Show what each mapping carried and what was dropped",
	.help = "Packets are counted as they are on the wire, bytes are those of the IP packets. "
		"`in` is\n"
		"from the shared network to the VM. Counters start when a mapping is added to an\n"
		"attached router.\n\n"
		"JSON: {\"mappings\": [{\"tenant\", \"fixed\", \"shared\", \"in\": {\"packets\", "
		"\"bytes\"},\n"
		"\"out\": {…}}], \"drops\": [{\"tenant\", \"reason\", \"packets\"}]}",
	.run = run,
};

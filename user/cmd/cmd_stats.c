/* SPDX-License-Identifier: GPL-2.0-only */
/* stats: what mappings carried, rules accepted, and what was dropped for which reason. */
#include <inttypes.h>

#include "cmd/cmd.h"
#include "config/write.h"
#include "lib/clock.h"
#include "lib/output.h"
#include "model/prefixes.h"
#include "model/until.h"
#include "observe/prometheus.h"
#include "observe/sheet.h"

static const struct reason {
	const char *name;
	const char *meaning;
} reasons[] = {
#define X(id, name, meaning) { name, meaning },
	TN_REASONS(X)
#undef X
};

/* What was read at one moment. */
struct moment {
	struct view view;
	struct stats stats;
	uint64_t at; /* clock_ms() */
};

static void moment_free(struct moment *m)
{
	stats_free(&m->stats);
	view_free(&m->view);
	memset(m, 0, sizeof(*m));
}
#define _cleanup_moment_ _cleanup_(moment_free)

static int moment_read(const struct invocation *inv, struct moment *m, struct error *err)
{
	memset(m, 0, sizeof(*m));
	if (view_load(&inv->settings, &m->view, err))
		return -1;
	m->at = clock_ms();
	stats_read(&m->view, &m->stats);
	return 0;
}

static const char *const sort_keys[] = {
#define X(id, name) name,
	SHEET_KEYS(X)
#undef X
		NULL
};

/* What one call of the command is about. */
struct request {
	const struct invocation *inv;
	struct selection selection;
	enum sheet_key key;
};

static void totals(const struct request *q, const struct moment *m, struct sheet *out)
{
	sheet_totals(&m->stats, &q->selection, out);
	sheet_sort(out, q->key);
}

/* ------------------------------------------------------------ JSON */

static json_t *direction_json(uint64_t packets, uint64_t bytes)
{
	return json_pack("{s:I, s:I}", "packets", (json_int_t)packets, "bytes", (json_int_t)bytes);
}

static json_t *mappings_json(const struct sheet *s)
{
	json_t *list = json_array();

	vec_each (m, &s->mappings) {
		const struct tn_counters *c = &m->counters;

		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:o, s:o}", "tenant", m->tenant->name,
					"fixed", FIXED(m->mapping), "shared", SHARED(m->mapping),
					"in", direction_json(c->in_packets, c->in_bytes), "out",
					direction_json(c->out_packets, c->out_bytes)));
	}
	return list;
}

/* What is separated by ", " in `text`, which is changed; null: nothing. */
static json_t *list_json(char *text)
{
	json_t *list = *text ? json_array() : json_null();
	char *save = NULL;

	for (char *w = strtok_r(text, ", ", &save); w; w = strtok_r(NULL, ", ", &save))
		json_array_append_new(list, json_string(w));
	return list;
}

static json_t *rules_json(const struct sheet *s)
{
	json_t *list = json_array();

	vec_each (r, &s->rules) {
		_cleanup_free_ char *from = rule_from_text(r->rule), *to = rule_to_text(r->rule);
		_cleanup_free_ char *ports = rule_services_text(r->rule);

		json_array_append_new(
			list,
			json_pack("{s:s, s:I, s:o, s:o, s:o, s:o, s:I}", "tenant", r->tenant->name,
				  "line", (json_int_t)r->rule->pos.line, "from", list_json(from),
				  "to", list_json(to), "ports", list_json(ports), "until",
				  until_json(r->rule), "packets", (json_int_t)r->packets));
	}
	return list;
}

static json_t *drops_json(const struct sheet *s)
{
	json_t *list = json_array();

	vec_each (d, &s->drops)
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:I}", "tenant", d->router->tenant,
						"reason", reasons[d->reason].name, "packets",
						(json_int_t)d->packets));
	return list;
}

static json_t *flows_json(const struct sheet *s)
{
	json_t *list = json_array();

	vec_each (f, &s->flows)
		json_array_append_new(
			list, json_pack("{s:s, s:I, s:I, s:I}", "tenant", f->router->tenant, "open",
					(json_int_t)f->open, "room", (json_int_t)f->router->flows,
					"opened", (json_int_t)f->opened));
	return list;
}

static int print_json(const struct request *q, const struct moment *m, struct error *err)
{
	_cleanup_sheet_ struct sheet s = { 0 };

	totals(q, m, &s);
	return json_print(json_pack("{s:o, s:o, s:o, s:o}", "mappings", mappings_json(&s), "rules",
				    rules_json(&s), "drops", drops_json(&s), "flows",
				    flows_json(&s)),
			  err);
}

/* ------------------------------------------------------------ tables */

static void cells(struct table *t, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		table_cell(t, "%s", names[i]);
}

static void number(struct table *t, uint64_t n)
{
	table_cell(t, "%" PRIu64, n);
}

/* With a line above, unless it has only its header. */
static void print_if_any(const struct table *t)
{
	if (t->cells.n == (size_t)t->columns)
		return;
	putchar('\n');
	table_print(t);
}

static void print_mappings(const struct sheet *s, bool rates)
{
	static const char *const header[] = { "TENANT",	  "FIXED",	 "SHARED",   "IN PACKETS",
					      "IN BYTES", "OUT PACKETS", "OUT BYTES" };
	static const char *const per_second[] = { "TENANT",	  "FIXED",	"SHARED",
						  "IN PACKETS/S", "IN BYTES/S", "OUT PACKETS/S",
						  "OUT BYTES/S" };
	_cleanup_table_ struct table table = { .columns = ARRAY_SIZE(header) };

	cells(&table, rates ? per_second : header, ARRAY_SIZE(header));
	vec_each (m, &s->mappings) {
		table_cell(&table, "%s", m->tenant->name);
		table_cell(&table, "%s", FIXED(m->mapping));
		table_cell(&table, "%s", SHARED(m->mapping));
		number(&table, m->counters.in_packets);
		number(&table, m->counters.in_bytes);
		number(&table, m->counters.out_packets);
		number(&table, m->counters.out_bytes);
	}
	table_print(&table);
}

static void print_rules(const struct sheet *s, bool rates)
{
	const char *const header[] = { "TENANT", "ACCEPTS", "TO", "PORTS",
				       rates ? "PACKETS/S" : "PACKETS" };
	_cleanup_table_ struct table table = { .columns = ARRAY_SIZE(header) };

	cells(&table, header, ARRAY_SIZE(header));
	vec_each (r, &s->rules) {
		_cleanup_free_ char *from = rule_from_text(r->rule), *to = rule_to_text(r->rule);
		_cleanup_free_ char *ports = rule_services_text(r->rule);
		char until[RULE_UNTIL_TEXT];

		table_cell(&table, "%s", r->tenant->name);
		table_cell(&table, "%s", from);
		table_cell(&table, "%s", *to ? to : "(all)");
		table_cell(&table, "%s%s", *ports ? ports : "(all)",
			   rule_until_text(r->rule, until));
		number(&table, r->packets);
	}
	print_if_any(&table);
}

static void print_drops(const struct sheet *s, bool rates, bool explain)
{
	const char *const header[] = { "TENANT", rates ? "DROPPED/S" : "DROPPED", "REASON",
				       "MEANING" };
	size_t columns = explain ? ARRAY_SIZE(header) : ARRAY_SIZE(header) - 1;
	_cleanup_table_ struct table table = { .columns = columns };

	cells(&table, header, columns);
	vec_each (d, &s->drops) {
		table_cell(&table, "%s", d->router->tenant);
		number(&table, d->packets);
		table_cell(&table, "%s", reasons[d->reason].name);
		if (explain)
			table_cell(&table, "%s", reasons[d->reason].meaning);
	}
	print_if_any(&table);
}

static void print_flows(const struct sheet *s)
{
	static const char *const header[] = { "TENANT", "OPEN FLOWS", "ROOM", "OPENED" };
	_cleanup_table_ struct table table = { .columns = ARRAY_SIZE(header) };

	cells(&table, header, ARRAY_SIZE(header));
	vec_each (f, &s->flows) {
		if (!f->open && !f->opened)
			continue;
		table_cell(&table, "%s", f->router->tenant);
		number(&table, f->open);
		number(&table, f->router->flows);
		number(&table, f->opened);
	}
	print_if_any(&table);
}

static void print_totals(const struct request *q, const struct moment *m)
{
	_cleanup_sheet_ struct sheet s = { 0 };

	totals(q, m, &s);
	print_mappings(&s, false);
	print_rules(&s, false);
	print_drops(&s, false, cmd_value(q->inv, "explain"));
	print_flows(&s);
}

/* ------------------------------------------------------------ live */

static void print_rates(const struct request *q, const struct moment *now,
			const struct moment *then)
{
	_cleanup_sheet_ struct sheet s = { 0 };

	sheet_rates(&now->stats, &then->stats, now->at - then->at, &q->selection, &s);
	sheet_sort(&s, q->key);
	fputs(screen_clear(), stdout);
	print_mappings(&s, true);
	print_rules(&s, true);
	print_drops(&s, true, false);
	if (!*screen_clear())
		putchar('\n');
}

/* Until it is interrupted, or nobody reads any more. */
static int watch_live(struct request *q, struct error *err)
{
	_cleanup_moment_ struct moment then = { 0 };

	if (moment_read(q->inv, &then, err) ||
	    selection_check(&q->selection, &then.view.model, err))
		return -1;
	for (;;) {
		struct moment now;

		clock_sleep(1000);
		if (moment_read(q->inv, &now, err))
			return -1;
		if (q->inv->json && print_json(q, &now, err)) {
			moment_free(&now);
			return -1;
		}
		if (!q->inv->json)
			print_rates(q, &now, &then);
		moment_free(&then);
		then = now;
		if (fflush(stdout))
			return error_set(err, "cannot write to stdout");
	}
}

static int print_metrics(const struct invocation *inv, struct error *err)
{
	_cleanup_moment_ struct moment now = { 0 };
	_cleanup_imported_ struct imported imported = { 0 };
	uint64_t start = clock_ms();
	struct page page = { .version = tenantnat_version,
			     .model = &now.view.model,
			     .kernel = &now.view.kernel,
			     .stats = &now.stats,
			     .now = (double)time(NULL) };

	if (moment_read(inv, &now, err))
		return -1;
	if (imported_read(inv->settings.state, &imported))
		page.imported = &imported;
	page.seconds = (double)(clock_ms() - start) / 1000;
	prometheus_write(&page, stdout);
	return fflush(stdout) ? error_set(err, "cannot write to stdout: %m") : 0;
}

/* The page has everything, in an order of its own. */
static int check_metrics(const struct invocation *inv, struct error *err)
{
	const char *other = inv->json			? "--json"
			    : cmd_value(inv, "watch")	? "--watch"
			    : cmd_value(inv, "explain") ? "--explain"
			    : cmd_value(inv, "sort")	? "--sort"
			    : inv->nargs		? inv->args[0]
							: NULL;

	return other ? error_usage(err, "--prometheus is a format of its own: leave out %s", other)
		     : 0;
}

static int show(struct request *q, struct error *err)
{
	_cleanup_moment_ struct moment now = { 0 };

	if (moment_read(q->inv, &now, err) || selection_check(&q->selection, &now.view.model, err))
		return -1;
	if (q->inv->json)
		return print_json(q, &now, err);
	print_totals(q, &now);
	return 0;
}

static int run(const struct invocation *inv, struct error *err)
{
	struct request q = { .inv = inv };
	int key = cmd_sort_key(inv, sort_keys, err), ret = -1;

	if (key < 0)
		return -1;
	if (cmd_value(inv, "prometheus"))
		return check_metrics(inv, err) ? -1 : print_metrics(inv, err);
	q.key = key;
	if (!selection_read(inv->args, inv->nargs, &q.selection, err))
		ret = cmd_value(inv, "watch") ? watch_live(&q, err) : show(&q, err);
	selection_free(&q.selection);
	return ret;
}

const struct command cmd_stats = {
	.name = "stats",
	.synopsis = "[TENANT[/MAPPING]…] [--sort KEY]",
	.summary = "Show what mappings carried, what rules accepted and what was dropped",
	.help = "Packets are counted as they are on the wire; bytes are those of the IP packets. "
		"`in` is\n"
		"from the shared network to the VM. Counters of a mapping start when it is added "
		"to an\n"
		"attached router, those of a rule when it is added. A flow is what a VM has opened "
		"to a\n"
		"peer. With --watch only what changed within the second is shown, and -j prints a "
		"JSON\n"
		"object every second.\n"
		"\n"
		"With arguments only what is of these tenants or mappings. Drops and flows are "
		"counted for a\n"
		"router: with TENANT/MAPPING they are those of the tenant. --sort orders the "
		"tables "
		"that have\n"
		"the key: mappings by bytes and rules by packets (traffic), drops by packets, "
		"flows "
		"by those\n"
		"that are open.\n"
		"\n"
		"JSON: {\"mappings\": [{\"tenant\", \"fixed\", \"shared\", \"in\": {\"packets\", "
		"\"bytes\"},\n"
		"\"out\": {…}}], \"rules\": [{\"tenant\", \"line\", \"from\", \"to\", \"ports\", "
		"\"until\": null or text,\n"
		"\"packets\"}], "
		"\"drops\": [{\"tenant\", \"reason\", \"packets\"}], \"flows\": [{\"tenant\", "
		"\"open\", \"room\", \"opened\"}]}",
	.options = { { "explain", 0, NULL, "with each reason, what it means and what to do" },
		     { "watch", 'w', NULL, "live: rates per second, every second" },
		     { "sort", 0, "KEY", "by name; or the most first, by traffic, drops or flows" },
		     { "prometheus", 0, NULL,
		       "a page of metrics, for node_exporter's textfile collector" } },
	.max_args = -1,
	.run = run,
};

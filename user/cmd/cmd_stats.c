/* SPDX-License-Identifier: GPL-2.0-only */
/* stats: what mappings carried, rules accepted, and what was dropped for which reason. */
#include <inttypes.h>

#include "cmd/cmd.h"
#include "lib/clock.h"
#include "lib/output.h"
#include "observe/prometheus.h"
#include "observe/stats.h"

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

/* ------------------------------------------------------------ JSON */

static json_t *direction_json(uint64_t packets, uint64_t bytes)
{
	return json_pack("{s:I, s:I}", "packets", (json_int_t)packets, "bytes", (json_int_t)bytes);
}

static json_t *mappings_json(const struct stats *s)
{
	json_t *list = json_array();

	vec_each (m, &s->mappings) {
		const struct tn_counters *c = &m->counters;

		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s, s:o, s:o}", "tenant",
						m->tenant->name, "fixed", ADDR(&m->mapping->fixed),
						"shared", ADDR(&m->mapping->shared), "in",
						direction_json(c->in_packets, c->in_bytes), "out",
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

static json_t *rules_json(const struct stats *s)
{
	json_t *list = json_array();

	vec_each (r, &s->rules) {
		_cleanup_free_ char *from = rule_from_text(r->rule), *to = rule_to_text(r->rule);
		_cleanup_free_ char *ports = rule_services_text(r->rule);

		json_array_append_new(
			list, json_pack("{s:s, s:I, s:o, s:o, s:o, s:I}", "tenant", r->tenant->name,
					"line", (json_int_t)r->rule->pos.line, "from",
					list_json(from), "to", list_json(to), "ports",
					list_json(ports), "packets", (json_int_t)r->packets));
	}
	return list;
}

static json_t *drops_json(const struct stats *s)
{
	json_t *list = json_array();

	vec_each (r, &s->routers) {
		for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
			if (r->drops.packets[i])
				json_array_append_new(
					list, json_pack("{s:s, s:s, s:I}", "tenant", r->row->tenant,
							"reason", reasons[i].name, "packets",
							(json_int_t)r->drops.packets[i]));
		}
	}
	return list;
}

static json_t *flows_json(const struct stats *s)
{
	json_t *list = json_array();

	vec_each (r, &s->routers)
		json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "tenant", r->row->tenant,
						      "open", (json_int_t)r->flows, "opened",
						      (json_int_t)r->drops.flows_opened));
	return list;
}

static json_t *stats_json(const struct stats *s)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "mappings", mappings_json(s), "rules",
			 rules_json(s), "drops", drops_json(s), "flows", flows_json(s));
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

static void print_mappings(const struct stats *s)
{
	static const char *const header[] = { "TENANT",	  "FIXED",	 "SHARED",   "IN PACKETS",
					      "IN BYTES", "OUT PACKETS", "OUT BYTES" };
	_cleanup_table_ struct table table = { .columns = ARRAY_SIZE(header) };

	cells(&table, header, ARRAY_SIZE(header));
	vec_each (m, &s->mappings) {
		table_cell(&table, "%s", m->tenant->name);
		table_cell(&table, "%s", ADDR(&m->mapping->fixed));
		table_cell(&table, "%s", ADDR(&m->mapping->shared));
		number(&table, m->counters.in_packets);
		number(&table, m->counters.in_bytes);
		number(&table, m->counters.out_packets);
		number(&table, m->counters.out_bytes);
	}
	table_print(&table);
}

/* Whose rule it is and what it says: the first four cells of its row. */
static void rule_cells(struct table *t, const struct rule_stats *r)
{
	_cleanup_free_ char *from = rule_from_text(r->rule), *to = rule_to_text(r->rule);
	_cleanup_free_ char *ports = rule_services_text(r->rule);

	table_cell(t, "%s", r->tenant->name);
	table_cell(t, "%s", from);
	table_cell(t, "%s", *to ? to : "(all)");
	table_cell(t, "%s", *ports ? ports : "(all)");
}

static void print_rules(const struct stats *s)
{
	static const char *const header[] = { "TENANT", "ACCEPTS", "TO", "PORTS", "PACKETS" };
	_cleanup_table_ struct table table = { .columns = ARRAY_SIZE(header) };

	cells(&table, header, ARRAY_SIZE(header));
	vec_each (r, &s->rules) {
		rule_cells(&table, r);
		number(&table, r->packets);
	}
	print_if_any(&table);
}

static void print_drops(const struct stats *s, bool explain)
{
	static const char *const header[] = { "TENANT", "DROPPED", "REASON", "MEANING" };
	size_t columns = explain ? ARRAY_SIZE(header) : ARRAY_SIZE(header) - 1;
	_cleanup_table_ struct table table = { .columns = columns };

	cells(&table, header, columns);
	vec_each (r, &s->routers) {
		for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
			if (!r->drops.packets[i])
				continue;
			table_cell(&table, "%s", r->row->tenant);
			number(&table, r->drops.packets[i]);
			table_cell(&table, "%s", reasons[i].name);
			if (explain)
				table_cell(&table, "%s", reasons[i].meaning);
		}
	}
	print_if_any(&table);
}

static void print_flows(const struct stats *s)
{
	static const char *const header[] = { "TENANT", "OPEN FLOWS", "OPENED" };
	_cleanup_table_ struct table table = { .columns = ARRAY_SIZE(header) };

	cells(&table, header, ARRAY_SIZE(header));
	vec_each (r, &s->routers) {
		if (!r->flows && !r->drops.flows_opened)
			continue;
		table_cell(&table, "%s", r->row->tenant);
		number(&table, r->flows);
		number(&table, r->drops.flows_opened);
	}
	print_if_any(&table);
}

/* ------------------------------------------------------------ rates */

/* Per second, of a number that grows; one that has begun anew has grown by all of it. */
static uint64_t rate(uint64_t now, uint64_t before, uint64_t ms)
{
	uint64_t grown = now >= before ? now - before : now;

	return ms ? (grown * 1000 + ms / 2) / ms : grown;
}

/* The same thing at the moment before, by a walk through both lists; NULL: it is new. */
static const struct mapping_stats *mapping_before(const struct stats *s, size_t *at,
						  const struct mapping_stats *m)
{
	for (; *at < s->mappings.n; ++*at) {
		const struct mapping_stats *old = &s->mappings.v[*at];
		int order = strcmp(old->tenant->name, m->tenant->name);

		order = order ? order : addr_cmp(&old->mapping->fixed, &m->mapping->fixed);
		if (order >= 0)
			return order ? NULL : old;
	}
	return NULL;
}

static uint64_t hits_before(const struct stats *s, const struct rule_stats *r, size_t guess)
{
	if (guess < s->rules.n && s->rules.v[guess].rule->id == r->rule->id)
		return s->rules.v[guess].packets;
	vec_each (old, &s->rules) {
		if (old->rule->id == r->rule->id)
			return old->packets;
	}
	return 0;
}

static const struct router_stats *router_before(const struct stats *s, uint32_t id)
{
	vec_each (r, &s->routers) {
		if (r->row->id == id)
			return r;
	}
	return NULL;
}

static void mapping_rates(const struct moment *now, const struct moment *then)
{
	static const char *const header[] = { "TENANT",	      "FIXED",	    "SHARED",
					      "IN PACKETS/S", "IN BYTES/S", "OUT PACKETS/S",
					      "OUT BYTES/S" };
	_cleanup_table_ struct table table = { .columns = ARRAY_SIZE(header) };
	uint64_t ms = now->at - then->at;
	size_t at = 0;

	cells(&table, header, ARRAY_SIZE(header));
	vec_each (m, &now->stats.mappings) {
		const struct mapping_stats *old = mapping_before(&then->stats, &at, m);
		const struct tn_counters none = { 0 }, *was = old ? &old->counters : &none;

		if (memcmp(was, &m->counters, sizeof(*was)) == 0)
			continue;
		table_cell(&table, "%s", m->tenant->name);
		table_cell(&table, "%s", ADDR(&m->mapping->fixed));
		table_cell(&table, "%s", ADDR(&m->mapping->shared));
		number(&table, rate(m->counters.in_packets, was->in_packets, ms));
		number(&table, rate(m->counters.in_bytes, was->in_bytes, ms));
		number(&table, rate(m->counters.out_packets, was->out_packets, ms));
		number(&table, rate(m->counters.out_bytes, was->out_bytes, ms));
	}
	table_print(&table);
}

static void rule_rates(const struct moment *now, const struct moment *then)
{
	static const char *const header[] = { "TENANT", "ACCEPTS", "TO", "PORTS", "PACKETS/S" };
	_cleanup_table_ struct table table = { .columns = ARRAY_SIZE(header) };

	cells(&table, header, ARRAY_SIZE(header));
	vec_each (r, &now->stats.rules) {
		uint64_t was = hits_before(&then->stats, r, r - now->stats.rules.v);

		if (was == r->packets)
			continue;
		rule_cells(&table, r);
		number(&table, rate(r->packets, was, now->at - then->at));
	}
	print_if_any(&table);
}

static void drop_rates(const struct moment *now, const struct moment *then)
{
	static const char *const header[] = { "TENANT", "DROPPED/S", "REASON" };
	_cleanup_table_ struct table table = { .columns = ARRAY_SIZE(header) };

	cells(&table, header, ARRAY_SIZE(header));
	vec_each (r, &now->stats.routers) {
		const struct router_stats *old = router_before(&then->stats, r->row->id);

		for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
			uint64_t was = old ? old->drops.packets[i] : 0;

			if (was == r->drops.packets[i])
				continue;
			table_cell(&table, "%s", r->row->tenant);
			number(&table, rate(r->drops.packets[i], was, now->at - then->at));
			table_cell(&table, "%s", reasons[i].name);
		}
	}
	print_if_any(&table);
}

static void print_rates(const struct moment *now, const struct moment *then)
{
	/* home, and clear all behind it */
	if (isatty(STDOUT_FILENO))
		fputs("\033[H\033[J", stdout);
	mapping_rates(now, then);
	rule_rates(now, then);
	drop_rates(now, then);
	if (!isatty(STDOUT_FILENO))
		putchar('\n');
}

/* Until it is interrupted, or nobody reads any more. */
static int watch_live(const struct invocation *inv, struct error *err)
{
	_cleanup_moment_ struct moment then = { 0 };

	if (moment_read(inv, &then, err))
		return -1;
	for (;;) {
		struct moment now;

		clock_sleep(1000);
		if (moment_read(inv, &now, err))
			return -1;
		if (inv->json && json_print(stats_json(&now.stats), err)) {
			moment_free(&now);
			return -1;
		}
		if (!inv->json)
			print_rates(&now, &then);
		moment_free(&then);
		then = now;
		if (fflush(stdout))
			return error_set(err, "cannot write to stdout");
	}
}

static int print_metrics(const struct invocation *inv, struct error *err)
{
	_cleanup_moment_ struct moment now = { 0 };
	uint64_t start = clock_ms();
	struct page page = { .version = tenantnat_version,
			     .model = &now.view.model,
			     .kernel = &now.view.kernel,
			     .stats = &now.stats };

	if (moment_read(inv, &now, err))
		return -1;
	page.seconds = (double)(clock_ms() - start) / 1000;
	prometheus_write(&page, stdout);
	return fflush(stdout) ? error_set(err, "cannot write to stdout: %m") : 0;
}

static int run(const struct invocation *inv, struct error *err)
{
	_cleanup_moment_ struct moment now = { 0 };

	if (cmd_value(inv, "prometheus") && (inv->json || cmd_value(inv, "watch")))
		return error_usage(err, "--prometheus is a format of its own: leave out %s",
				   inv->json ? "--json" : "--watch");
	if (cmd_value(inv, "prometheus"))
		return print_metrics(inv, err);
	if (cmd_value(inv, "watch"))
		return watch_live(inv, err);
	if (moment_read(inv, &now, err))
		return -1;
	if (inv->json)
		return json_print(stats_json(&now.stats), err);
	print_mappings(&now.stats);
	print_rules(&now.stats);
	print_drops(&now.stats, cmd_value(inv, "explain"));
	print_flows(&now.stats);
	return 0;
}

const struct command cmd_stats = {
	.name = "stats",
	.synopsis = "",
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
		"JSON: {\"mappings\": [{\"tenant\", \"fixed\", \"shared\", \"in\": {\"packets\", "
		"\"bytes\"},\n"
		"\"out\": {…}}], \"rules\": [{\"tenant\", \"line\", \"from\", \"to\", \"ports\", "
		"\"packets\"}],\n"
		"\"drops\": [{\"tenant\", \"reason\", \"packets\"}], \"flows\": [{\"tenant\", "
		"\"open\", \"opened\"}]}",
	.options = { { "explain", 0, NULL, "with each reason, what it means and what to do" },
		     { "watch", 'w', NULL, "live: rates per second, every second" },
		     { "prometheus", 0, NULL,
		       "a page of metrics, for node_exporter's textfile collector" } },
	.run = run,
};

/* SPDX-License-Identifier: GPL-2.0-only */
/* status: one verdict in a screenful, by what doctor finds and what is counted. */
#include <inttypes.h>
#include <limits.h>
#include <sys/stat.h>
#include <time.h>

#include "cmd/cmd.h"
#include "config/write.h"
#include "doctor/examine.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/output.h"
#include "model/standing.h"
#include "model/until.h"
#include "observe/streamed.h"
#include "observe/traffic.h"

/* What is listed of each, when it is not asked for more: a screenful. */
enum { TENANTS_MAX = 12, PROBLEMS_MAX = 6 };

struct status {
	const struct invocation *inv;
	struct selection selection;
	struct examination e;
	pid_t agent; /* 0: none runs */
	struct traffic_log log;
	struct traffic now;
	const struct traffic *then; /* NULL: nobody has kept a moment */
	struct streamed streamed;   /* what of flows has come, and gone */
	time_t since;		    /* then: of the maps' making; 0: there are none */
};

static void status_free(struct status *s)
{
	streamed_free(&s->streamed);
	traffic_log_free(&s->log);
	traffic_free(&s->now);
	examination_free(&s->e);
	selection_free(&s->selection);
}

static const struct scope *scope_of(const struct status *s)
{
	return selection_scope(&s->selection);
}

static bool is_asked(const struct status *s, const struct tenant *t)
{
	return scope_has(scope_of(s), t->name);
}

static enum standing standing(const struct status *s, const struct tenant *t)
{
	return standing_of(t, examination_row(&s->e, t));
}

/* ------------------------------------------------------------ what is counted */

static void read_traffic(struct status *s)
{
	const struct settings *settings = &s->inv->settings;
	char path[PATH_MAX];
	struct stat st;

	traffic_read(s->e.dp, &s->e.kernel, &s->now);
	traffic_log_read(settings->state, &s->log);
	s->then = traffic_log_minute(&s->log, s->now.at);
	snprintf(path, sizeof(path), "%s/maps/counters", settings->bpffs);
	s->since = s->e.dp && stat(path, &st) == 0 ? st.st_ctime : 0;
}

/* Seconds that the figures are about; -1: nothing is counted. */
static int64_t window(const struct status *s)
{
	int64_t age = s->since ? time(NULL) - s->since : -1;

	return s->then ? (int64_t)(s->now.at - s->then->at + 500) / 1000 : age < 0 ? -1 : age;
}

static struct tenant_traffic traffic_of(const struct status *s, const struct tenant *t)
{
	return traffic_between(s->then, &s->now, t->name);
}

/* ------------------------------------------------------------ JSON */

static json_t *problems_json(const struct status *s, const char *tenant)
{
	json_t *list = json_array();

	vec_each (f, &s->e.findings.list) {
		if (f->severity == SEVERITY_PROBLEM && diagnosed_is_about(f, tenant))
			json_array_append_new(list,
					      json_pack("{s:s, s:o, s:s, s:o}", "finding",
							finding_name(f->id), "interface",
							json_text(f->interface), "seen", f->seen,
							"remedy", json_text(f->remedy)));
	}
	return list;
}

static json_t *direction_json(uint64_t packets, uint64_t bytes)
{
	return json_pack("{s:I, s:I}", "packets", (json_int_t)packets, "bytes", (json_int_t)bytes);
}

/* null: nothing is handed over to or from this host. */
static json_t *flows_json(const struct status *s, const struct tenant *t)
{
	const struct streamed_router *r = streamed_find(&s->streamed, t->name);
	bool heard = r && r->standby && r->heard;

	if (!r)
		return json_null();
	return json_pack(
		"{s:o, s:o, s:I, s:I, s:I}", "from", json_text(heard ? r->from : NULL), "age",
		heard ? json_integer((json_int_t)streamed_age(&s->streamed, r, s->now.at) / 1000)
		      : json_null(),
		"received", (json_int_t)r->received, "sent", (json_int_t)r->sent, "unsent",
		(json_int_t)r->unsent);
}

/* The rules that have ended, or end within a week. */
static json_t *ends_json(const struct tenant *t)
{
	json_t *list = json_array();
	time_t now = time(NULL);

	vec_each (r, &t->accept) {
		if (t->router && rule_ends_soon(r, now))
			json_array_append_new(list,
					      json_pack("{s:i, s:o, s:b}", "line", (int)r->pos.line,
							"until", until_json(r), "ended",
							rule_is_over(r, now)));
	}
	return list;
}

static json_t *tenant_json(const struct status *s, const struct tenant *t)
{
	struct tenant_traffic c = traffic_of(s, t);

	return json_pack("{s:s, s:s, s:b, s:I, s:o, s:o, s:I, s:o, s:o, s:o}", "tenant", t->name,
			 "router", standing_name(standing(s, t)), "well",
			 examination_is_well(&s->e, t), "mappings", (json_int_t)t->mappings.n, "in",
			 direction_json(c.counters.in_packets, c.counters.in_bytes), "out",
			 direction_json(c.counters.out_packets, c.counters.out_bytes), "dropped",
			 (json_int_t)c.dropped, "flows", flows_json(s, t), "ending", ends_json(t),
			 "problems", problems_json(s, t->name));
}

static json_t *imported_json(const struct examination *e)
{
	const struct imported *im = &e->imported;
	json_t *findings;

	if (!e->is_imported)
		return json_null();
	findings = json_array();
	vec_each (text, &im->findings)
		json_array_append_new(findings, json_string(*text));
	return json_pack("{s:o, s:I, s:o, s:o, s:o}", "source", json_text(im->source), "read",
			 (json_int_t)im->read_at, "failing_since",
			 im->failing_since ? json_integer(im->failing_since) : json_null(),
			 "failing", json_text(im->failing), "findings", findings);
}

static json_t *status_json(const struct status *s, const struct error *verdict)
{
	json_t *tenants = json_array();
	int64_t seconds = window(s);

	vec_each (t, &s->e.model.tenants) {
		if (is_asked(s, t))
			json_array_append_new(tenants, tenant_json(s, t));
	}
	return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "well", !verdict->set,
			 "why", json_text(verdict->set ? verdict->text : NULL), "agent",
			 s->agent ? json_integer(s->agent) : json_null(), "file",
			 json_text(s->e.model.file), "neutron", imported_json(&s->e), "seconds",
			 seconds < 0 ? json_null() : json_integer(seconds), "tenants", tenants,
			 "problems", problems_json(s, NULL), "warnings",
			 (json_int_t)diagnosis_count(&s->e.findings, SEVERITY_WARNING));
}

/* ------------------------------------------------------------ text */

static void print_imported(const struct examination *e)
{
	const struct imported *im = &e->imported;
	int64_t now = time(NULL);
	char text[64];

	if (!e->is_imported)
		return;
	if (im->failing_since)
		printf("neutron  not followed for %s: %s\n",
		       duration_text(now - im->failing_since, text), im->failing ?: "?");
	else
		printf("neutron  read %s ago, from %s\n", duration_text(now - im->read_at, text),
		       im->source ?: "?");
}

static void print_head(const struct status *s)
{
	int64_t seconds = window(s);
	char text[64];

	if (s->agent)
		printf("agent    running, process %d\n", (int)s->agent);
	else
		printf("agent    not running: what is lost comes back only by `tenantnat "
		       "restore`\n");
	print_imported(&s->e);
	if (seconds < 0)
		printf("traffic  nothing is counted: no router is attached\n");
	else if (s->then)
		printf("traffic  of the last %s\n", duration_text(seconds, text));
	else
		printf("traffic  of the last %s, since counting began: %s\n",
		       duration_text(seconds, text),
		       s->agent ? "the agent has kept no moment yet"
				: "without an agent nobody keeps the last minute apart");
}

static void number_cell(struct table *table, bool known, uint64_t n)
{
	if (known)
		table_cell(table, "%" PRIu64, n);
	else
		table_cell(table, "-");
}

static void print_row(struct table *table, const struct status *s, const struct tenant *t)
{
	struct tenant_traffic c = traffic_of(s, t);
	enum standing of = standing(s, t);
	size_t n = examination_problems(&s->e, t->name);
	bool counted =
		of != STANDING_ELSEWHERE && of != STANDING_DETACHED && of != STANDING_MISSING;

	table_cell(table, "%s", t->name);
	table_cell(table, "%s", standing_name(of));
	table_cell(table, "%zu", t->mappings.n);
	number_cell(table, counted, c.counters.in_packets);
	number_cell(table, counted, c.counters.out_packets);
	number_cell(table, counted, c.dropped);
	if (examination_is_well(&s->e, t))
		table_cell(table, "%s", of == STANDING_ELSEWHERE ? "-" : "well");
	else
		table_cell(table, "not well: %zu %s", n, plural(n, "problem", "problems"));
}

/* Who is not well comes first, and of the rest no more than there is room for. */
static void print_tenants(const struct status *s)
{
	_cleanup_table_ struct table table = { .columns = 7 };
	static const char *const head[] = { "TENANT", "ROUTER",	 "MAPPINGS", "IN",
					    "OUT",    "DROPPED", "VERDICT" };
	size_t shown = 0, left = 0;

	for (size_t i = 0; i < ARRAY_SIZE(head); i++)
		table_cell(&table, "%s", head[i]);
	for (int well = 0; well < 2; well++) {
		vec_each (t, &s->e.model.tenants) {
			if (!is_asked(s, t) || examination_is_well(&s->e, t) != well)
				continue;
			if (shown < TENANTS_MAX || s->inv->nargs || s->inv->verbose) {
				print_row(&table, s, t);
				shown++;
			} else {
				left++;
			}
		}
	}
	if (shown) {
		putchar('\n');
		table_print(&table);
	}
	if (left)
		printf("and %zu more; -v lists them\n", left);
}

/* Of standbys, from where their flows come; of those that are silent first. */
static void print_flows(const struct status *s)
{
	size_t n = 0;

	vec_each (f, &s->e.findings.list) {
		if (f->id == FINDING_HANDOVER)
			printf("%s%s%s: %s\n    to do: %s\n", color_removed(), f->tenant,
			       color_off(), f->seen, f->remedy);
	}
	vec_each (r, &s->streamed.list)
		n += r->standby && r->heard && scope_has(scope_of(s), r->tenant) &&
		     streamed_age(&s->streamed, r, s->now.at) < STREAMED_SILENT;
	if (n > PROBLEMS_MAX && !s->inv->nargs && !s->inv->verbose) {
		printf("flows of %zu standbys come from other hosts; -v lists them\n", n);
		return;
	}
	vec_each (r, &s->streamed.list) {
		if (r->standby && r->heard && scope_has(scope_of(s), r->tenant) &&
		    streamed_age(&s->streamed, r, s->now.at) < STREAMED_SILENT)
			printf("%s: flows come from host %s, %" PRIu64 " until now\n", r->tenant,
			       r->from, r->received);
	}
}

static void print_problems(const struct status *s)
{
	size_t n = 0, all = 0;

	vec_each (f, &s->e.findings.list)
		all += f->severity == SEVERITY_PROBLEM;
	vec_each (f, &s->e.findings.list) {
		if (f->severity != SEVERITY_PROBLEM ||
		    (n == PROBLEMS_MAX && !s->inv->verbose && all > PROBLEMS_MAX))
			continue;
		printf("%s%s%s%s%s%s: %s\n", n++ ? "" : "\n", color_removed(),
		       f->tenant ? f->tenant : "machine", f->interface ? " " : "",
		       f->interface ? f->interface : "", color_off(), f->seen);
		if (f->remedy)
			printf("    to do: %s\n", f->remedy);
	}
	if (n < all)
		printf("and %zu more %s; `tenantnat doctor` has all\n", all - n,
		       plural(all - n, "problem", "problems"));
}

/* What `accept` ends is no question of health, but of somebody's attention. */
static void print_ends(const struct status *s)
{
	size_t n = 0, all = 0;

	vec_each (f, &s->e.findings.list)
		all += f->id == FINDING_ENDS;
	vec_each (f, &s->e.findings.list) {
		if (f->id != FINDING_ENDS || (n == PROBLEMS_MAX && !s->inv->verbose))
			continue;
		printf("%s%s%s%s: %s\n", n++ ? "" : "\n", color_changed(), f->tenant, color_off(),
		       f->seen);
	}
	if (n < all)
		printf("and %zu more %s; `tenantnat doctor` has all\n", all - n,
		       plural(all - n, "rule", "rules"));
}

/* By name, once for each tenant: "2 warnings (red mtu, red routes)". */
static void print_warnings(const struct status *s, size_t all)
{
	const struct diagnosed *last = NULL;
	size_t shown = 0;

	printf("\n%zu %s (", all, plural(all, "warning", "warnings"));
	vec_each (f, &s->e.findings.list) {
		if (f->severity != SEVERITY_WARNING || shown == PROBLEMS_MAX ||
		    (last && last->id == f->id && diagnosed_is_about(last, f->tenant)))
			continue;
		printf("%s%s %s", shown++ ? ", " : "", f->tenant ?: "machine", finding_name(f->id));
		last = f;
	}
	printf("); `tenantnat doctor` has what to do\n");
}

static void print_status(const struct status *s)
{
	size_t warnings = diagnosis_count(&s->e.findings, SEVERITY_WARNING);

	print_head(s);
	print_tenants(s);
	print_flows(s);
	print_problems(s);
	print_ends(s);
	if (warnings)
		print_warnings(s, warnings);
	if (!examination_unwell(&s->e, scope_of(s)))
		printf("\nNothing was sent: `tenantnat check` asks the shared network and the "
		       "VMs. What `accept`\nlets through is no question of health: `tenantnat "
		       "trace "
		       "FROM TO:PORT` says it.\n");
}

static int run(const struct invocation *inv, struct error *err)
{
	_cleanup_(status_free) struct status s = { .inv = inv };
	struct error verdict = { 0 };
	char path[PATH_MAX];

	if (selection_read(inv->args, inv->nargs, &s.selection, err) ||
	    examine(&inv->settings, NULL, &s.selection, &s.e, err))
		return -1;
	snprintf(path, sizeof(path), "%s/agent", inv->settings.state);
	s.agent = file_holder(path);
	read_traffic(&s);
	streamed_read(inv->settings.state, &s.streamed);
	examination_judge(&s.e, scope_of(&s), &verdict);
	if (inv->json && json_print(status_json(&s, &verdict), err))
		return -1;
	if (!inv->json)
		print_status(&s);
	return verdict.set ? error_set(err, "%s", verdict.text) : 0;
}

const struct command cmd_status = {
	.name = "status",
	.synopsis = "[TENANT…]",
	.summary = "Say in a screenful whether all is well: routers, traffic, agent",
	.help = "The verdict is that of `tenantnat doctor`: a tenant is well when its router is "
		"attached, as\n"
		"the definitions in force say, and doctor has no problem of it; a standby is well. "
		"Routers that\n"
		"are detached, broken or missing are not. Nothing is sent; `tenantnat check` asks "
		"the "
		"VMs.\n"
		"\n"
		"Packets in (to VMs), out (from VMs) and dropped are those of the last minute, as "
		"near as\n"
		"the agent has kept it; else of all the time since counting began. It says which.\n"
		"\n"
		"Rules of `accept` that have ended (`until`), or end within a week, are listed. "
		"They are\n"
		"warnings: the exit status does not depend on them.\n"
		"\n"
		"Exit status 0: all is well. 1: it is not, or that cannot be told.\n"
		"\n"
		"JSON: {\"well\", \"why\": null or what is not, \"agent\": null or its process, "
		"\"file\",\n"
		"\"neutron\": null or {\"source\", \"read\" and \"failing_since\": seconds since "
		"1970 or null,\n"
		"\"failing\": null or why, \"findings\": what of it is left out}, \"seconds\": "
		"that the figures are about, or null, \"tenants\": [{\"tenant\", "
		"\"router\":\n"
		"\"attached\", \"standby\", \"detached\", \"missing\", \"broken\" or "
		"\"elsewhere\", "
		"\"well\", \"mappings\",\n"
		"\"in\", \"out\": {\"packets\", \"bytes\"}, \"dropped\", \"flows\": null, or in a "
		"cluster of a router\n"
		"that several hosts have {\"from\": the host where it is active, or null, "
		"\"age\": seconds since\n"
		"it was heard, or null, \"received\", \"sent\", \"unsent\": flows}, \"ending\": "
		"[{\"line\",\n"
		"\"until\", \"ended\": true, or within a week}], \"problems\": "
		"[{\"finding\",\n"
		"\"interface\", \"seen\", \"remedy\"}]}], \"problems\": of the machine, "
		"\"warnings\": count}",
	.min_args = 0,
	.max_args = -1,
	.run = run,
};

/* SPDX-License-Identifier: GPL-2.0-only */
#include "observe/prometheus.h"
#include "model/prefixes.h"

#include <inttypes.h>
#include <stdarg.h>

#include "model/policy.h"
#include "model/until.h"

enum metric {
#define X(id, ...) METRIC_##id,
	TN_METRICS(X)
#undef X
};

static const struct {
	const char *name;
	const char *type;
	const char *help;
} metrics[] = {
#define X(id, name, type, labels, help) { name, #type, help },
	TN_METRICS(X)
#undef X
};

static const char *const reasons[] = {
#define X(id, name, meaning) name,
	TN_REASONS(X)
#undef X
};

static void head(FILE *out, enum metric m)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", metrics[m].name, metrics[m].help,
		metrics[m].name, metrics[m].type);
}

/* The three characters that the format has an escape for. */
static void escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", out);
		else if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else
			fputc(*text, out);
	}
}

/* The name and its labels: pairs of strings, and a NULL. */
static void sample(FILE *out, enum metric m, ...) __attribute__((sentinel));
static void sample(FILE *out, enum metric m, ...)
{
	const char *label;
	bool some = false;
	va_list args;

	fputs(metrics[m].name, out);
	va_start(args, m);
	while ((label = va_arg(args, const char *))) {
		fprintf(out, "%s%s=\"", some ? "," : "{", label);
		escaped(out, va_arg(args, const char *));
		fputc('"', out);
		some = true;
	}
	va_end(args);
	fputs(some ? "} " : " ", out);
}

static void number(FILE *out, uint64_t n)
{
	fprintf(out, "%" PRIu64 "\n", n);
}

static void single(FILE *out, enum metric m, uint64_t n)
{
	head(out, m);
	sample(out, m, NULL);
	number(out, n);
}

/* ------------------------------------------------------------ of tenants */

static const char *state_of(const struct kernel_state *machine, const struct tenant *t)
{
	vec_each (r, &machine->routers) {
		if (strcmp(r->tenant, t->name) == 0)
			return r->broken ? "broken" : r->standby ? "standby" : "attached";
	}
	return "detached";
}

static void write_states(const struct page *p, FILE *out)
{
	static const char *const states[] = { "attached", "broken", "detached", "standby" };

	head(out, METRIC_STATE);
	vec_each (t, &p->model->tenants) {
		const char *state = state_of(p->kernel, t);

		for (size_t i = 0; t->router && i < ARRAY_SIZE(states); i++) {
			sample(out, METRIC_STATE, "tenant", t->name, "state", states[i], NULL);
			number(out, strcmp(states[i], state) == 0);
		}
	}
}

static void write_mappings(const struct page *p, FILE *out)
{
	head(out, METRIC_MAPPINGS);
	vec_each (t, &p->model->tenants) {
		sample(out, METRIC_MAPPINGS, "tenant", t->name, NULL);
		number(out, t->mappings.n);
	}
}

/* Of one tenant, in the order of the model as the stats are; `at` goes on from call to call. */
static struct tn_counters sum_of(const struct stats *s, const struct tenant *t, size_t *at)
{
	struct tn_counters sum = { 0 };

	for (; *at < s->mappings.n && s->mappings.v[*at].tenant == t; (*at)++) {
		const struct tn_counters *c = &s->mappings.v[*at].counters;

		sum.in_packets += c->in_packets;
		sum.in_bytes += c->in_bytes;
		sum.out_packets += c->out_packets;
		sum.out_bytes += c->out_bytes;
	}
	return sum;
}

static void write_sums(const struct page *p, enum metric m, FILE *out)
{
	bool bytes = m == METRIC_BYTES;
	size_t at = 0;

	head(out, m);
	vec_each (t, &p->model->tenants) {
		struct tn_counters sum = sum_of(p->stats, t, &at);

		if (!t->router)
			continue;
		sample(out, m, "tenant", t->name, "direction", "in", NULL);
		number(out, bytes ? sum.in_bytes : sum.in_packets);
		sample(out, m, "tenant", t->name, "direction", "out", NULL);
		number(out, bytes ? sum.out_bytes : sum.out_packets);
	}
}

static void write_each(const struct page *p, enum metric m, FILE *out)
{
	bool bytes = m == METRIC_MAPPING_BYTES;

	head(out, m);
	vec_each (row, &p->stats->mappings) {
		const struct tn_counters *c = &row->counters;
		const char *name = row->mapping->name ?: "";
		const char *fixed = FIXED(row->mapping);
		const char *shared = SHARED(row->mapping);

		sample(out, m, "tenant", row->tenant->name, "name", name, "fixed", fixed, "shared",
		       shared, "direction", "in", NULL);
		number(out, bytes ? c->in_bytes : c->in_packets);
		sample(out, m, "tenant", row->tenant->name, "name", name, "fixed", fixed, "shared",
		       shared, "direction", "out", NULL);
		number(out, bytes ? c->out_bytes : c->out_packets);
	}
}

static void write_accepted(const struct page *p, FILE *out)
{
	size_t at = 0;

	head(out, METRIC_ACCEPTED);
	vec_each (t, &p->model->tenants) {
		uint64_t packets = 0;

		for (; at < p->stats->rules.n && p->stats->rules.v[at].tenant == t; at++)
			packets += p->stats->rules.v[at].packets;
		sample(out, METRIC_ACCEPTED, "tenant", t->name, NULL);
		number(out, packets);
	}
}

/* By its place in the list, from 1: what two rules say may be the same. */
static void write_rule(const struct rule_stats *r, FILE *out)
{
	_cleanup_free_ char *from = rule_from_text(r->rule), *to = rule_to_text(r->rule);
	_cleanup_free_ char *ports = rule_services_text(r->rule);
	char place[24];

	snprintf(place, sizeof(place), "%td", r->rule - r->tenant->accept.v + 1);
	sample(out, METRIC_RULE, "tenant", r->tenant->name, "rule", place, "from", from, "to", to,
	       "ports", ports, NULL);
	number(out, r->packets);
}

static void write_rules(const struct page *p, FILE *out)
{
	head(out, METRIC_RULE);
	vec_each (r, &p->stats->rules) {
		if (!rule_is_over(r->rule, (time_t)p->now))
			write_rule(r, out);
	}
}

/* Of the routers that are here. */
static void write_rule_ends(const struct page *p, FILE *out)
{
	head(out, METRIC_RULE_ENDS);
	vec_each (t, &p->model->tenants) {
		uint32_t next = 0;

		vec_each (r, &t->accept) {
			if (r->until && !rule_is_over(r, (time_t)p->now) &&
			    (!next || r->until < next))
				next = r->until;
		}
		if (!t->router || !next)
			continue;
		sample(out, METRIC_RULE_ENDS, "tenant", t->name, NULL);
		number(out, next);
	}
}

static void write_rules_ended(const struct page *p, FILE *out)
{
	head(out, METRIC_RULES_ENDED);
	vec_each (t, &p->model->tenants) {
		size_t n = 0;

		vec_each (r, &t->accept)
			n += rule_is_over(r, (time_t)p->now);
		if (!t->router)
			continue;
		sample(out, METRIC_RULES_ENDED, "tenant", t->name, NULL);
		number(out, n);
	}
}

/* ------------------------------------------------------------ of routers and maps */

/* Those at zero too: only what was there before has a rate. */
static void write_drops(const struct page *p, FILE *out)
{
	head(out, METRIC_DROPPED);
	vec_each (r, &p->stats->routers) {
		for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
			sample(out, METRIC_DROPPED, "tenant", r->row->tenant, "reason", reasons[i],
			       NULL);
			number(out, r->drops.packets[i]);
		}
	}
}

static void write_routers(const struct page *p, enum metric m, FILE *out)
{
	head(out, m);
	vec_each (r, &p->stats->routers) {
		sample(out, m, "tenant", r->row->tenant, NULL);
		number(out, m == METRIC_FLOWS	    ? r->flows
			    : m == METRIC_FLOWS_MAX ? r->row->flows
			    : m == METRIC_OPENED    ? r->drops.flows_opened
						    : r->drops.events_lost);
	}
}

static void write_maps(const struct page *p, enum metric m, FILE *out)
{
	head(out, m);
	vec_each (room, &p->stats->rooms) {
		sample(out, m, "map", room->map, NULL);
		number(out, m == METRIC_ENTRIES ? room->used : room->room);
	}
}

static void write_agent(const struct agent_stats *a, FILE *out)
{
	single(out, METRIC_LOOKS, a->looks);
	single(out, METRIC_MENDS, a->mends);
	single(out, METRIC_FAILURES, a->failures);
	head(out, METRIC_LOOKED);
	sample(out, METRIC_LOOKED, NULL);
	fprintf(out, "%.3f\n", a->looked);
}

static void write_cluster(const struct page *p, FILE *out)
{
	const struct agent_stats *a = p->agent;
	double behind = a->behind_since ? p->now - a->behind_since : 0;

	single(out, METRIC_CONNECTED, a->connected);
	single(out, METRIC_OLDER, a->older);
	single(out, METRIC_REVISION, (uint64_t)a->revision);
	head(out, METRIC_BEHIND);
	sample(out, METRIC_BEHIND, NULL);
	fprintf(out, "%.3f\n", behind > 0 ? behind : 0);
	if (!a->elects)
		return;
	single(out, METRIC_ELECTED, (uint64_t)a->active);
	single(out, METRIC_UNHELD, (uint64_t)a->unheld);
}

static void write_imported(const struct imported *im, FILE *out)
{
	single(out, METRIC_IMPORTED, (uint64_t)im->read_at);
	head(out, METRIC_IMPORT_FAILURES);
	for (int i = 0; i < IMPORT_FAULTS_COUNT; i++) {
		sample(out, METRIC_IMPORT_FAILURES, "reason", import_fault_name(i), NULL);
		number(out, im->failures[i]);
	}
	single(out, METRIC_IMPORT_FINDINGS, im->findings.n);
}

static void write_streamed(const struct page *p, enum metric m, FILE *out)
{
	head(out, m);
	vec_each (r, &p->streamed->list) {
		if (m == METRIC_SILENT && !r->standby)
			continue;
		sample(out, m, "tenant", r->tenant, NULL);
		number(out, m == METRIC_RECEIVED ? r->received
			    : m == METRIC_SENT	 ? r->sent
			    : m == METRIC_UNSENT ? r->unsent
						 : streamed_age(p->streamed, r, p->clock) / 1000);
	}
}

static void write_handover(const struct page *p, FILE *out)
{
	write_streamed(p, METRIC_RECEIVED, out);
	write_streamed(p, METRIC_SENT, out);
	write_streamed(p, METRIC_UNSENT, out);
	write_streamed(p, METRIC_SILENT, out);
	single(out, METRIC_REFUSED, p->streamed->refused);
}

void prometheus_write(const struct page *p, FILE *out)
{
	head(out, METRIC_BUILD);
	sample(out, METRIC_BUILD, "version", p->version, NULL);
	number(out, 1);
	write_states(p, out);
	write_mappings(p, out);
	write_sums(p, METRIC_PACKETS, out);
	write_sums(p, METRIC_BYTES, out);
	if (p->mappings) {
		write_each(p, METRIC_MAPPING_PACKETS, out);
		write_each(p, METRIC_MAPPING_BYTES, out);
	}
	write_drops(p, out);
	write_accepted(p, out);
	write_rules(p, out);
	write_rule_ends(p, out);
	write_rules_ended(p, out);
	write_routers(p, METRIC_FLOWS, out);
	write_routers(p, METRIC_FLOWS_MAX, out);
	write_routers(p, METRIC_OPENED, out);
	write_maps(p, METRIC_ENTRIES, out);
	write_maps(p, METRIC_MAX_ENTRIES, out);
	write_routers(p, METRIC_LOST, out);
	head(out, METRIC_DURATION);
	sample(out, METRIC_DURATION, NULL);
	fprintf(out, "%.6f\n", p->seconds);
	if (p->agent)
		write_agent(p->agent, out);
	if (p->agent && p->agent->member)
		write_cluster(p, out);
	if (p->imported)
		write_imported(p->imported, out);
	if (p->agent && p->agent->member && p->streamed)
		write_handover(p, out);
}

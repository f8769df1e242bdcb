/* SPDX-License-Identifier: GPL-2.0-only */
#include "observe/graph.h"

#include <inttypes.h>
#include <stdlib.h>

#include "model/policy.h"
#include "model/until.h"

/* A place that a tenant has not. */
#define NO_BOX SIZE_MAX

void graph_free(struct graph *g)
{
	vec_each (a, &g->arrows) {
		vec_each (line, &a->lines)
			free(*line);
		vec_free(&a->lines);
	}
	vec_free(&g->arrows);
	vec_free(&g->boxes);
}

/* ------------------------------------------------------------ which tenants */

struct building {
	const struct model *model;
	const struct graph_facts *facts;
	const struct selection *selection;
	time_t now;
	bool *wanted;  /* by tenant: it is to be seen, with a place of its own or without */
	size_t *box;   /* by tenant: its own, or that of all others */
	size_t *order; /* tenants, by who gets a place first */
	struct graph *out;
};

/* SIZE_MAX: the definitions have no such tenant. */
static size_t index_of(const struct model *m, const char *name)
{
	const struct tenant *t = model_tenant_sorted((struct model *)m, name);

	return t ? (size_t)(t - m->tenants.v) : SIZE_MAX;
}

static bool is_named(const struct building *b, size_t i)
{
	return selection_has(b->selection, &b->model->tenants.v[i]);
}

static size_t sender_of(const struct building *b, const char *text, struct sender *out)
{
	return sender_parse(text, out) ? index_of(b->model, out->tenant) : SIZE_MAX;
}

/* Whoever accepts a tenant that was named, or is accepted by one. */
static void want_neighbours(const struct building *b, size_t i)
{
	const struct tenant *t = &b->model->tenants.v[i];

	vec_each (r, &t->accept) {
		if (rule_is_over(r, b->now))
			continue;
		if (r->any)
			b->wanted[i] = true;
		vec_each (from, &r->from) {
			struct sender who;
			size_t sender = sender_of(b, *from, &who);

			if (sender == SIZE_MAX)
				continue;
			b->wanted[sender] |= is_named(b, i);
			b->wanted[i] |= is_named(b, sender);
		}
	}
}

static void want(const struct building *b)
{
	for (size_t i = 0; i < b->model->tenants.n; i++)
		b->wanted[i] |= is_named(b, i);
	for (size_t i = 0; b->selection->list.n && i < b->model->tenants.n; i++)
		want_neighbours(b, i);
}

static uint64_t packets_of(const struct graph_facts *f)
{
	return f->traffic.counters.in_packets + f->traffic.counters.out_packets +
	       f->traffic.dropped;
}

static int by_rank(const void *one, const void *two, void *arg)
{
	const struct building *b = arg;
	size_t i = *(const size_t *)one, j = *(const size_t *)two;
	uint64_t x = packets_of(&b->facts[i]), y = packets_of(&b->facts[j]);
	bool named = b->selection->list.n;

	if (named && is_named(b, i) != is_named(b, j))
		return is_named(b, i) ? -1 : 1;
	if (x != y)
		return x > y ? -1 : 1;
	if (!b->model->tenants.v[i].router != !b->model->tenants.v[j].router)
		return b->model->tenants.v[i].router ? -1 : 1;
	return i < j ? -1 : i > j;
}

static size_t add_box(const struct building *b, enum graph_kind kind)
{
	*vec_push(&b->out->boxes) = (struct graph_box){ .kind = kind };
	return b->out->boxes.n - 1;
}

static void place(const struct building *b)
{
	size_t n = 0, others;

	for (size_t i = 0; i < b->model->tenants.n; i++) {
		b->box[i] = NO_BOX;
		if (b->wanted[i])
			b->order[n++] = i;
	}
	qsort_r(b->order, n, sizeof(*b->order), by_rank, (void *)b);
	for (size_t k = 0; k < n && k < GRAPH_TENANTS; k++)
		b->box[b->order[k]] = 0;
	for (size_t i = 0; i < b->model->tenants.n; i++) {
		if (b->box[i] == NO_BOX)
			continue;
		b->box[i] = add_box(b, GRAPH_TENANT);
		b->out->boxes.v[b->box[i]].tenant = &b->model->tenants.v[i];
		b->out->boxes.v[b->box[i]].facts = b->facts[i];
	}
	if (n <= GRAPH_TENANTS)
		return;
	b->out->others = n - GRAPH_TENANTS;
	others = add_box(b, GRAPH_OTHERS);
	for (size_t k = GRAPH_TENANTS; k < n; k++)
		b->box[b->order[k]] = others;
}

/* ------------------------------------------------------------ arrows */

static int by_ends(const void *one, const void *two)
{
	const struct graph_arrow *a = one, *b = two;

	if (a->from != b->from)
		return a->from < b->from ? -1 : 1;
	return a->to < b->to ? -1 : a->to > b->to;
}

static int by_ends_and_rule(const void *one, const void *two)
{
	const struct graph_arrow *a = one, *b = two;
	int diff = by_ends(one, two);

	return diff ? diff : a->first < b->first ? -1 : a->first > b->first;
}

/*
 * "db to web: tcp/80", "web: tcp/80", "tcp/80" or "everything", and " until 2027-03-31" behind it.
 * The caller's to free.
 */
static char *line_of(const struct rule *r, const char *sender)
{
	_cleanup_free_ char *to = rule_to_text(r), *services = rule_services_text(r);
	const char *what = *services ? services : "everything";
	char *text;
	char until[RULE_UNTIL_TEXT];
	int n;

	rule_until_text(r, until);
	if (sender)
		n = asprintf(&text, "%s to %s: %s%s", sender, *to ? to : "all", what, until);
	else
		n = asprintf(&text, "%s%s%s%s", to, *to ? ": " : "", what, until);
	return n < 0 ? xstrdup(what) : text;
}

static void add_arrow(const struct building *b, size_t from, size_t to, const struct rule *r,
		      const char *sender)
{
	struct graph_arrow *a;

	if (from == NO_BOX || to == NO_BOX ||
	    (from == to && b->out->boxes.v[to].kind == GRAPH_OTHERS))
		return;
	a = vec_push(&b->out->arrows);
	*a = (struct graph_arrow){ .from = from, .to = to, .rules = 1, .first = b->out->arrows.n };
	*vec_push(&a->lines) = line_of(r, sender);
}

static void add_rule(const struct building *b, size_t i, const struct rule *r, size_t *any)
{
	if (rule_is_over(r, b->now))
		return;
	if (r->any && b->box[i] != NO_BOX) {
		*any = *any == NO_BOX ? add_box(b, GRAPH_ANY) : *any;
		add_arrow(b, *any, b->box[i], r, NULL);
	}
	vec_each (from, &r->from) {
		struct sender who;
		size_t sender = sender_of(b, *from, &who);

		/* what neighbours have with each other was not asked for */
		if (sender != SIZE_MAX && (is_named(b, i) || is_named(b, sender)))
			add_arrow(b, b->box[sender], b->box[i], r, who.mapping);
	}
}

static int by_ends_and_line(const void *one, const void *two)
{
	const struct graph_arrow *a = one, *b = two;
	int diff = by_ends(one, two);

	if (!diff)
		diff = strcmp(a->lines.v[0], b->lines.v[0]);
	return diff ? diff : a->first < b->first ? -1 : a->first > b->first;
}

static bool is_same_line(const struct graph_arrow *a, const struct graph_arrow *b)
{
	return by_ends(a, b) == 0 && strcmp(a->lines.v[0], b->lines.v[0]) == 0;
}

/* One for each line of each pair of boxes: all that come in have one line. */
static void merge_lines(struct graph *g)
{
	size_t n = 0;

	vec_sort(&g->arrows, by_ends_and_line);
	vec_each (a, &g->arrows) {
		struct graph_arrow *last = n ? &g->arrows.v[n - 1] : NULL;

		if (!last || !is_same_line(last, a)) {
			g->arrows.v[n++] = *a;
			continue;
		}
		last->rules += a->rules;
		free(a->lines.v[0]);
		vec_free(&a->lines);
	}
	g->arrows.n = n;
}

/* One for each pair of boxes. */
static void merge(struct graph *g)
{
	size_t n = 0;

	merge_lines(g);
	vec_sort(&g->arrows, by_ends_and_rule);
	vec_each (a, &g->arrows) {
		struct graph_arrow *last = n ? &g->arrows.v[n - 1] : NULL;

		if (!last || by_ends(last, a) != 0) {
			g->arrows.v[n++] = *a;
			continue;
		}
		last->rules += a->rules;
		*vec_push(&last->lines) = a->lines.v[0];
		vec_free(&a->lines);
	}
	g->arrows.n = n;
}

void graph_build(const struct model *m, const struct graph_facts *facts, int64_t seconds, time_t at,
		 const struct selection *selection, struct graph *out)
{
	size_t n = m->tenants.n + 1, any = NO_BOX;
	_cleanup_free_ bool *wanted = xzalloc(n * sizeof(*wanted));
	_cleanup_free_ size_t *box = xzalloc(n * sizeof(*box));
	_cleanup_free_ size_t *order = xzalloc(n * sizeof(*order));
	const struct building b = { m, facts, selection, at, wanted, box, order, out };

	*out = (struct graph){ .seconds = seconds };
	want(&b);
	place(&b);
	for (size_t i = 0; i < m->tenants.n; i++) {
		vec_each (r, &m->tenants.v[i].accept)
			add_rule(&b, i, r, &any);
	}
	merge(out);
}

/* ------------------------------------------------------------ what is said of them */

/* X(ID, "name", "fill"): the last minute of a tenant. */
#define LOOKS(X)                         \
	X(PLAIN, "plain", "#ffffff")     \
	X(AWAY, "away", "#e6e6e6")       \
	X(CARRIES, "carries", "#c9e7c5") \
	X(DROPS, "drops", "#fbe3a1")     \
	X(LOSES, "loses", "#f3b5ae")

enum look {
#define X(id, name, fill) LOOK_##id,
	LOOKS(X)
#undef X
		LOOKS_COUNT
};

static const struct {
	const char *name;
	const char *fill;
} looks[] = {
#define X(id, name, fill) { name, fill },
	LOOKS(X)
#undef X
};

static bool is_counted(const struct graph_box *b)
{
	return b->kind == GRAPH_TENANT &&
	       (b->facts.standing == STANDING_ATTACHED || b->facts.standing == STANDING_STANDBY ||
		b->facts.standing == STANDING_BROKEN);
}

static enum look look_of(const struct graph *g, const struct graph_box *b)
{
	const struct tenant_traffic *t = &b->facts.traffic;
	uint64_t packets = t->counters.in_packets + t->counters.out_packets;

	if (b->kind == GRAPH_TENANT && b->facts.standing == STANDING_ELSEWHERE)
		return LOOK_AWAY;
	if (g->seconds < 0 || !is_counted(b))
		return LOOK_PLAIN;
	if (t->dropped)
		return t->dropped * 100 > packets + t->dropped ? LOOK_LOSES : LOOK_DROPS;
	return packets ? LOOK_CARRIES : LOOK_PLAIN;
}

/* Lines, each with '\n' behind it but the last. */
static char *box_text(const struct graph *g, const struct graph_box *b)
{
	const struct tenant_traffic *t = &b->facts.traffic;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return xstrdup("");
	if (b->kind == GRAPH_ANY) {
		fputs("every tenant", f);
	} else if (b->kind == GRAPH_OTHERS) {
		fprintf(f, "%zu other %s", g->others, plural(g->others, "tenant", "tenants"));
	} else {
		fprintf(f, "%s\nrouter %s\n%zu %s", b->tenant->name,
			standing_name(b->facts.standing), b->tenant->mappings.n,
			plural(b->tenant->mappings.n, "mapping", "mappings"));
		if (g->seconds >= 0 && is_counted(b))
			fprintf(f, "\nin %" PRIu64 ", out %" PRIu64 ", dropped %" PRIu64,
				(uint64_t)t->counters.in_packets, (uint64_t)t->counters.out_packets,
				t->dropped);
	}
	fclose(f);
	return text;
}

static char *arrow_text(const struct graph *g, const struct graph_arrow *a)
{
	bool grouped =
		g->boxes.v[a->from].kind == GRAPH_OTHERS || g->boxes.v[a->to].kind == GRAPH_OTHERS;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return xstrdup("");
	if (grouped)
		fprintf(f, "%zu %s", a->rules, plural(a->rules, "rule", "rules"));
	for (size_t i = 0; !grouped && i < a->lines.n && i < GRAPH_LINES; i++)
		fprintf(f, "%s%s", i ? "\n" : "", a->lines.v[i]);
	if (!grouped && a->lines.n > GRAPH_LINES)
		fprintf(f, "\nand %zu more", a->lines.n - GRAPH_LINES);
	fclose(f);
	return text;
}

static char *caption(const struct graph *g)
{
	char *text;

	if (g->seconds < 0)
		return xstrdup("No colours: no agent keeps the traffic of the last minute.");
	if (asprintf(&text,
		     "Packets of the last %" PRId64
		     " seconds. Green: traffic; yellow: at most 1 of "
		     "100 packets dropped; red: more.\nWhite: no traffic; grey: the router is on "
		     "another host.",
		     g->seconds) < 0)
		return xstrdup("");
	return text;
}

/* ------------------------------------------------------------ dot */

/* In quotes: what Graphviz takes for an escape or an entity stands for itself. */
static void dot_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", out);
		else if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else if (*text == '&')
			fputs("&amp;", out);
		else
			fputc(*text, out);
	}
	fputc('"', out);
}

/* What is not as it has to be. */
static bool is_bad(const struct graph_box *b)
{
	return b->kind == GRAPH_TENANT &&
	       (b->facts.standing == STANDING_BROKEN || b->facts.standing == STANDING_DETACHED ||
		b->facts.standing == STANDING_MISSING);
}

static void dot_box(const struct graph *g, size_t i, FILE *out)
{
	const struct graph_box *b = &g->boxes.v[i];
	_cleanup_free_ char *text = box_text(g, b);

	fprintf(out, "\tb%zu [label=", i);
	dot_text(out, text);
	fprintf(out, ", fillcolor=\"%s\"", looks[look_of(g, b)].fill);
	if (b->kind != GRAPH_TENANT)
		fputs(", style=\"filled,dashed\"", out);
	if (is_bad(b))
		fputs(", color=\"#b3261e\", penwidth=3", out);
	fputs("];\n", out);
}

void graph_write_dot(const struct graph *g, FILE *out)
{
	_cleanup_free_ char *below = caption(g);

	fputs("digraph tenantnat {\n\tlabel=", out);
	dot_text(out, below);
	fputs(";\n\trankdir=LR;\n\tfontname=\"sans-serif\";\n"
	      "\tnode [shape=box, style=\"filled,rounded\", fontname=\"sans-serif\"];\n"
	      "\tedge [fontname=\"sans-serif\", fontsize=10];\n",
	      out);
	for (size_t i = 0; i < g->boxes.n; i++)
		dot_box(g, i, out);
	vec_each (a, &g->arrows) {
		_cleanup_free_ char *text = arrow_text(g, a);

		fprintf(out, "\tb%zu -> b%zu [label=", a->from, a->to);
		dot_text(out, text);
		fputs("];\n", out);
	}
	fputs("}\n", out);
}

/* ------------------------------------------------------------ mermaid */

/* In quotes; everything that Mermaid or HTML could take for more than a letter, by its number. */
static void mermaid_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '\n')
			fputs("<br/>", out);
		else if (c < 0x20 || strchr("\"#&;<>\\`{}|[]*_~", c))
			fprintf(out, "#%u;", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

void graph_write_mermaid(const struct graph *g, FILE *out)
{
	_cleanup_free_ char *below = caption(g);

	fputs("flowchart LR\n", out);
	for (int look = 0; look < LOOKS_COUNT; look++)
		fprintf(out, "\tclassDef %s fill:%s,stroke:#555555,color:#000000\n",
			looks[look].name, looks[look].fill);
	fputs("\tclassDef bad stroke:#b3261e,stroke-width:3px\n", out);
	for (size_t i = 0; i < g->boxes.n; i++) {
		const struct graph_box *b = &g->boxes.v[i];
		_cleanup_free_ char *text = box_text(g, b);

		fprintf(out, "\tb%zu[", i);
		mermaid_text(out, text);
		fprintf(out, "]\n\tclass b%zu %s\n", i, looks[look_of(g, b)].name);
		if (is_bad(b))
			fprintf(out, "\tclass b%zu bad\n", i);
	}
	vec_each (a, &g->arrows) {
		_cleanup_free_ char *text = arrow_text(g, a);

		fprintf(out, "\tb%zu -->|", a->from);
		mermaid_text(out, text);
		fprintf(out, "| b%zu\n", a->to);
	}
	fputs("\tcaption[", out);
	mermaid_text(out, below);
	fputs("]\n\tclass caption plain\n", out);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* Which rows stats shows, and in which order. */
#include "../fixture.h"
#include "observe/sheet.h"

#define DEFINITIONS                                                                           \
	"net 100.64.0.0/16; tenant blue id=2; router id=2; map 10.0.0.5 pin=100.64.2.5;"      \
	"accept id=3 from=red;"                                                               \
	"tenant red id=1; router id=1; map 10.0.0.5 web pin=100.64.1.5;"                      \
	"map 10.0.0.6 db pin=100.64.1.6; accept id=1 from=blue to=db; accept id=2 from=blue " \
	"to=web;"

static struct model m;
static struct kernel_state kernel;
static struct stats now, then;

static void count(const char *tenant, size_t i, struct tn_counters counters, struct stats *out)
{
	struct tenant *t = model_tenant(&m, tenant);

	*vec_push(&out->mappings) = (struct mapping_stats){ t, &t->mappings.v[i], counters };
}

static void accepted(const char *tenant, size_t i, uint64_t packets, struct stats *out)
{
	struct tenant *t = model_tenant(&m, tenant);

	*vec_push(&out->rules) = (struct rule_stats){ t, &t->accept.v[i], packets };
}

static void drop(size_t router, uint64_t malformed, uint64_t unmapped, size_t flows,
		 struct stats *out)
{
	struct router_stats *r = vec_push(&out->routers);

	r->row = &kernel.routers.v[router];
	r->drops.packets[TN_DROP_MALFORMED] = malformed;
	r->drops.packets[TN_DROP_UNMAPPED] = unmapped;
	r->drops.flows_opened = 10 * flows;
	r->flows = flows;
}

static void setup(void)
{
	m = model_of(DEFINITIONS);
	model_sort(&m);
	kernel = kernel_state_of("router 1 red; router 2 blue;");
	count("blue", 0, (struct tn_counters){ 5, 500, 5, 500 }, &now);
	count("red", 0, (struct tn_counters){ 1, 2000, 1, 2000 }, &now);
	count("red", 1, (struct tn_counters){ 9, 500, 9, 500 }, &now);
	accepted("blue", 0, 7, &now);
	accepted("red", 0, 3, &now);
	accepted("red", 1, 8, &now);
	drop(0, 4, 6, 1, &now);
	drop(1, 6, 0, 2, &now);

	count("blue", 0, (struct tn_counters){ 5, 500, 5, 500 }, &then);
	count("red", 0, (struct tn_counters){ 1, 1000, 1, 2000 }, &then);
	accepted("blue", 0, 5, &then);
	accepted("red", 0, 3, &then);
	accepted("red", 1, 9, &then);
	drop(0, 4, 1, 1, &then);
}

static void teardown(void)
{
	stats_free(&now);
	stats_free(&then);
	kernel_state_free(&kernel);
	model_free(&m);
}

TestSuite(sheet, .init = setup, .fini = teardown);

static char *text_of(const struct sheet *s)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	vec_each (one, &s->mappings)
		fprintf(f, "%s/%s %ju,%ju ", one->tenant->name, ADDR(&one->mapping->fixed),
			(uintmax_t)one->counters.in_bytes, (uintmax_t)one->counters.out_packets);
	fputs("| ", f);
	vec_each (r, &s->rules)
		fprintf(f, "%u:%ju ", r->rule->id, (uintmax_t)r->packets);
	fputs("|", f);
	vec_each (d, &s->drops)
		fprintf(f, " %s %s:%ju", d->router->tenant,
			d->reason == TN_DROP_MALFORMED ? "malformed" : "unmapped",
			(uintmax_t)d->packets);
	fputs(" |", f);
	vec_each (r, &s->flows)
		fprintf(f, " %s %ju/%ju", r->router->tenant, (uintmax_t)r->open,
			(uintmax_t)r->opened);
	fclose(f);
	return text;
}

static void is(const char *word, enum sheet_key key, bool rates, const char *expected)
{
	_cleanup_selection_ struct selection selection = { 0 };
	_cleanup_sheet_ struct sheet s = { 0 };
	char *words[] = { (char *)word };
	struct error err = { 0 };

	cr_assert_eq(selection_read(words, word != NULL, &selection, &err), 0, "%s", err.text);
	if (rates)
		sheet_rates(&now, &then, 500, &selection, &s);
	else
		sheet_totals(&now, &selection, &s);
	sheet_sort(&s, key);
	expect_text(text_of(&s), expected, word ? word : "all");
}

Test(sheet, totals_by_name)
{
	is(NULL, SHEET_NAME, false,
	   "blue/10.0.0.5 500,5 red/10.0.0.5 2000,1 red/10.0.0.6 500,9 | 3:7 1:3 2:8 | "
	   "red malformed:4 red unmapped:6 blue malformed:6 | red 1/10 blue 2/20");
}

Test(sheet, what_is_selected)
{
	is("blue", SHEET_NAME, false, "blue/10.0.0.5 500,5 | 3:7 | blue malformed:6 | blue 2/20");
	/* what a router dropped, it did not for one mapping */
	is("red/db", SHEET_NAME, false,
	   "red/10.0.0.6 500,9 | 1:3 | red malformed:4 red unmapped:6 | red 1/10");
}

/* What is equal stays in the order of the definitions, and so do the other tables. */
Test(sheet, order)
{
	is(NULL, SHEET_TRAFFIC, false,
	   "red/10.0.0.5 2000,1 blue/10.0.0.5 500,5 red/10.0.0.6 500,9 | 2:8 3:7 1:3 | "
	   "red malformed:4 red unmapped:6 blue malformed:6 | red 1/10 blue 2/20");
	is(NULL, SHEET_DROPS, false,
	   "blue/10.0.0.5 500,5 red/10.0.0.5 2000,1 red/10.0.0.6 500,9 | 3:7 1:3 2:8 | "
	   "red unmapped:6 blue malformed:6 red malformed:4 | red 1/10 blue 2/20");
	is(NULL, SHEET_FLOWS, false,
	   "blue/10.0.0.5 500,5 red/10.0.0.5 2000,1 red/10.0.0.6 500,9 | 3:7 1:3 2:8 | "
	   "red malformed:4 red unmapped:6 blue malformed:6 | blue 2/20 red 1/10");
}

/* In half a second. What is new has come to all it has, and what fell began anew. */
Test(sheet, rates)
{
	is(NULL, SHEET_NAME, true,
	   "red/10.0.0.5 2000,0 red/10.0.0.6 1000,18 | 3:4 2:16 | "
	   "red unmapped:10 blue malformed:12 |");
	is(NULL, SHEET_DROPS, true,
	   "red/10.0.0.5 2000,0 red/10.0.0.6 1000,18 | 3:4 2:16 | "
	   "blue malformed:12 red unmapped:10 |");
	is("red/db", SHEET_NAME, true, "red/10.0.0.6 1000,18 | | red unmapped:10 |");
	is("blue", SHEET_NAME, true, "| 3:4 | blue malformed:12 |");
	is("red", SHEET_TRAFFIC, true,
	   "red/10.0.0.5 2000,0 red/10.0.0.6 1000,18 | 2:16 | red unmapped:10 |");
}

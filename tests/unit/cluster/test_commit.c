/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Changes as transactions. An etcd in memory plays clients that change the definitions at the same
 * time, in random order and cut short anywhere; a ledger has what each of them was told.
 */
#include <criterion/criterion.h>

#include "../fixture.h"
#include "cluster/commit.h"
#include "cluster/edit.h"

/* ------------------------------------------------------------ an etcd in memory */

struct etcd_double {
	struct entries e;
	int64_t revision;
	size_t ops; /* of one transaction at most */
};

static bool holds(const struct etcd_double *etcd, const struct compare *c)
{
	const struct entry *is = entries_find(&etcd->e, c->key);

	if (c->value)
		return is && strcmp(is->value, c->value) == 0;
	return c->revision == (is ? is->revision : 0);
}

static void etcd_write(struct etcd_double *etcd, const char *key, const char *value)
{
	struct entry *is = entries_find(&etcd->e, key);

	if (is) {
		free(is->key);
		free(is->value);
		memmove(is, is + 1, (size_t)(etcd->e.list.v + --etcd->e.list.n - is) * sizeof(*is));
	}
	if (value) {
		entries_add(&etcd->e, key, value, etcd->revision);
		entries_sort(&etcd->e);
	}
}

static bool etcd_do(struct etcd_double *etcd, const struct step *s)
{
	cr_assert_leq(s->compares.n, etcd->ops);
	cr_assert_leq(s->writes.n, etcd->ops);
	for (size_t i = 0; i < s->writes.n; i++) {
		for (size_t k = 0; k < i; k++)
			cr_assert_str_neq(s->writes.v[i].key, s->writes.v[k].key);
	}
	vec_each (c, &s->compares) {
		if (!holds(etcd, c))
			return false;
	}
	etcd->revision += s->writes.n > 0;
	vec_each (w, &s->writes)
		etcd_write(etcd, w->key, w->value);
	return true;
}

static struct entries etcd_read(const struct etcd_double *etcd)
{
	struct entries e = { 0 };

	vec_each (entry, &etcd->e.list)
		entries_add(&e, entry->key, entry->value, entry->revision);
	return e;
}

static void put(struct etcd_double *etcd, const char *key, const char *value)
{
	etcd->revision++;
	etcd_write(etcd, key, value);
}

static struct etcd_double etcd_of(struct model m)
{
	struct etcd_double etcd = { .ops = 128 };
	struct entries e;
	struct error err = { 0 };

	model_sort(&m);
	cr_assert_eq(keys_write(&m, &e, &err), 0, "%s", err.text);
	put(&etcd, KEY_CLUSTER, "{\"format\":1}");
	vec_each (entry, &e.list)
		put(&etcd, entry->key, entry->value);
	entries_free(&e);
	model_free(&m);
	return etcd;
}

/* ------------------------------------------------------------ plans */

/* "if KEY=REVISION…; put KEY VALUE; del KEY" of each step. */
static char *commit_text(const struct commit *c)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	vec_each (s, &c->steps) {
		fprintf(f, s < c->steps.v + c->checks ? "check" : "do");
		vec_each (cmp, &s->compares) {
			if (cmp->value)
				fprintf(f, " %s=ours", cmp->key);
			else
				fprintf(f, " %s=%ld", cmp->key, (long)cmp->revision);
		}
		fputc('\n', f);
		vec_each (w, &s->writes)
			fprintf(f, "  %s %s%s%s\n", w->value ? "put" : "del", w->key,
				w->leased ? " leased" : "",
				strcmp(w->key, KEY_HEAD) == 0 ? w->value : "");
	}
	fclose(f);
	return text;
}

static struct commit_what what_of(const struct entries *had, const struct entries *will)
{
	return (struct commit_what){
		.had = had,
		.will = will,
		.whole = true,
		.by = { "hv1", "root", "tenantnat apply", 5, "1" },
		.history = "{}",
	};
}

#define BEFORE                                                            \
	"net 100.64.0.0/16; tenant red pool=100.64.1.0/24; map 10.0.0.5 " \
	"lease=100.64.1.5; tenant blue; map 10.0.0.5 lease=100.64.2.5;"
#define AFTER                                                                              \
	"net 100.64.0.0/16; tenant red pool=100.64.1.0/24; map 10.0.0.6 lease=100.64.1.6;" \
	"tenant green; map 10.0.0.5 lease=100.64.3.5;"

static void expect_plan(const char *definitions, size_t ops, const char *want)
{
	struct etcd_double etcd = etcd_of(model_of(BEFORE));
	_cleanup_model_ struct model m = model_of(definitions);
	_cleanup_entries_ struct entries had = etcd_read(&etcd), will;
	_cleanup_commit_ struct commit c;
	struct commit_what what = what_of(&had, &will);
	struct error err = { 0 };

	model_sort(&m);
	what.ops = ops;
	cr_assert_eq(keys_write(&m, &will, &err), 0);
	cr_assert_eq(commit_plan(&what, &c, &err), 0, "%s", err.text);
	expect_text(commit_text(&c), want, definitions);
	entries_free(&etcd.e);
}

Test(commit, nothing_to_do)
{
	expect_plan(BEFORE, 0, "");
}

/* Revisions: cluster 1, the two blocks 2 and 3, the network 4, blue 5, red 6. */
Test(commit, one_transaction)
{
	expect_plan(AFTER, 0,
		    "do cluster=1 head=0 network=4 changing=0 history/1=0 tenants/green=0 "
		    "tenants/red=6 blocks/4/64400100=2 blocks/4/64400300=0 blocks/4/64400200=3 "
		    "tenants/blue=5\n"
		    "  put tenants/green\n  put tenants/red\n  put blocks/4/64400100\n"
		    "  put blocks/4/64400300\n  del blocks/4/64400200\n  del tenants/blue\n"
		    "  put head{\"changes\":1}\n  put history/1\n");
}

Test(commit, several_transactions)
{
	expect_plan(AFTER, 5,
		    "check cluster=1 head=0 network=4 changing=0\n"
		    "  put changing leased\n"
		    "  put head{\"changes\":0,\"open\":{\"at\":5,\"command\":\"tenantnat apply\","
		    "\"host\":\"hv1\",\"user\":\"root\"}}\n"
		    "check changing=ours history/1=0 tenants/green=0 tenants/red=6 "
		    "blocks/4/64400100=2\n"
		    "check changing=ours blocks/4/64400300=0 blocks/4/64400200=3 tenants/blue=5\n"
		    "do changing=ours tenants/green=0 tenants/red=6 blocks/4/64400100=2 "
		    "blocks/4/64400300=0\n"
		    "  put tenants/green\n  put tenants/red\n  put blocks/4/64400100\n"
		    "  put blocks/4/64400300\n"
		    "do changing=ours blocks/4/64400200=3 tenants/blue=5\n"
		    "  del blocks/4/64400200\n  del tenants/blue\n"
		    "do changing=ours\n"
		    "  put head{\"changes\":1}\n  put history/1\n  del changing\n");
}

/* Also with the longest prefix no step is larger than what etcd takes, and few are much smaller. */
Test(commit, steps_are_of_a_size)
{
	_cleanup_model_ struct model m = model_of("net 100.64.0.0/10; tenant red;");
	struct tn_addr fixed = addr_of("10.0.0.0"), shared = addr_of("100.64.0.0");
	_cleanup_entries_ struct entries had = { 0 }, will;
	_cleanup_commit_ struct commit c;
	struct commit_what what = what_of(&had, &will);
	struct error err = { 0 };
	size_t full = 0;

	for (uint32_t i = 1; i < 60000; i++) {
		struct mapping *added = vec_push(&m.tenants.v[0].mappings);

		added->fixed = addr_add(&fixed, i);
		added->shared = addr_add(&shared, i * (i < 30000 ? 1 : 256));
	}
	cr_assert_eq(keys_write(&m, &will, &err), 0, "%s", err.text);
	cr_assert_eq(commit_plan(&what, &c, &err), 0, "%s", err.text);
	vec_each (s, &c.steps) {
		size_t bytes = 0;

		/* 200 of the prefix, and what the client has for each (etcd_message.c) */
		vec_each (cmp, &s->compares)
			bytes += strlen(cmp->key) + (cmp->value ? strlen(cmp->value) : 0) + 264;
		vec_each (w, &s->writes)
			bytes += strlen(w->key) + (w->value ? strlen(w->value) : 0) + 264;
		cr_expect_leq(bytes, 1U << 20);
		cr_expect_leq(s->compares.n, 128);
		full += s->compares.n > 120 || bytes > 900000;
	}
	cr_expect_geq(full, c.steps.n - 6, "%zu of %zu", full, c.steps.n);
}

/* A key in the way of another one: what is said of it, when it has changed. */
static void expect_conflict(const char *key, const char *value, const char *words)
{
	struct etcd_double etcd = etcd_of(model_of(BEFORE));
	_cleanup_model_ struct model m = model_of(AFTER);
	_cleanup_entries_ struct entries had = etcd_read(&etcd), will, now;
	_cleanup_commit_ struct commit c;
	struct commit_what what = what_of(&had, &will);
	struct error err = { 0 };

	model_sort(&m);
	cr_assert_eq(keys_write(&m, &will, &err), 0);
	cr_assert_eq(commit_plan(&what, &c, &err), 0, "%s", err.text);
	put(&etcd, key, value);
	now = etcd_read(&etcd);
	cr_expect_eq(etcd_do(&etcd, &c.steps.v[0]), !*words, "%s", key);
	expect_text(commit_conflict(&c, &now), words, key);
	entries_free(&etcd.e);
}

Test(commit, conflicts_in_words)
{
	expect_conflict("tenants/red", "{}", "tenant red");
	expect_conflict("tenants/red", NULL, "tenant red");
	expect_conflict("tenants/green", "{}", "tenant green");
	expect_conflict("blocks/4/64400100", "{}", "addresses 100.64.1.0 to 100.64.1.255");
	expect_conflict("network", "{}", "the shared network");
	expect_conflict("head", "{}", "the definitions");
	expect_conflict("cluster", "{}", "the cluster itself");
	/* what others do is their business */
	expect_conflict("blocks/4/64400400", "{}", "");
	expect_conflict("tenants/pink", "{}", "");
}

Test(commit, who_is_at_it)
{
	static const struct {
		const char *head, *changing, *text;
	} rows[] = {
		{ NULL, NULL, NULL },
		{ "{\"changes\":7}", NULL, NULL },
		{ "{\"changes\":7,\"open\":{\"at\":5,\"command\":\"apply\",\"host\":\"hv1\","
		  "\"user\":\"root\"}}",
		  "{}",
		  "root on hv1 is changing the definitions (apply); wait until that is done" },
		{ "{\"changes\":7,\"open\":{\"at\":5,\"command\":\"apply\",\"host\":\"hv1\","
		  "\"user\":\"root\"}}",
		  NULL,
		  "a change by root on hv1 was cut short (apply), and is done by half; apply "
		  "again" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_entries_ struct entries e = { 0 };
		_cleanup_head_ struct head h = { 0 };
		_cleanup_free_ char *text = NULL;
		struct error err = { 0 };

		if (rows[i].changing)
			entries_add(&e, KEY_CHANGING, rows[i].changing, 1);
		if (rows[i].head)
			entries_add(&e, KEY_HEAD, rows[i].head, 1);
		cr_assert_eq(head_read(&e, &h, &err), 0, "%s", err.text);
		text = head_open_text(&e, &h);
		cr_expect_eq(!text, !rows[i].text);
		if (text && rows[i].text)
			cr_expect_str_eq(text, rows[i].text);
	}
}

Test(commit, heads_of_others)
{
	static const char *const rows[][2] = {
		{ "[]", "no JSON object" },
		{ "{}", "no number of changes" },
		{ "{\"changes\":-1}", "no number of changes" },
		{ "{\"changes\":1,\"open\":1}", "`open`" },
		{ "{\"changes\":1,\"epoch\":1}", "`epoch`, which this version" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_entries_ struct entries e = { 0 };
		_cleanup_head_ struct head h = { 0 };
		struct error err = { 0 };

		entries_add(&e, KEY_HEAD, rows[i][0], 1);
		cr_expect_eq(head_read(&e, &h, &err), -1);
		cr_expect(strstr(err.text, rows[i][1]), "%s", err.text);
	}
}

/* ------------------------------------------------------------ single mappings */

static void expect_edit(const char *definitions,
			int (*edit)(const struct entries *, struct entries *, struct error *),
			const char *leases)
{
	struct etcd_double etcd = etcd_of(model_of(definitions));
	_cleanup_entries_ struct entries had = etcd_read(&etcd), will;
	_cleanup_commit_ struct commit c = { 0 };
	_cleanup_model_ struct model m = { 0 };
	_cleanup_entries_ struct entries now = { 0 };
	struct commit_what what = what_of(&had, &will);
	struct error err = { 0 };

	what.whole = false;
	if (edit(&had, &will, &err)) {
		cr_expect(strstr(err.text, leases), "`%s` is not in: %s", leases, err.text);
	} else {
		cr_assert_eq(commit_plan(&what, &c, &err), 0, "%s", err.text);
		cr_assert_eq(c.steps.n, 1);
		cr_assert(etcd_do(&etcd, &c.steps.v[0]));
		now = etcd_read(&etcd);
		cr_expect_null(entries_find(&now, KEY_HEAD));
		cr_assert_eq(keys_read(&now, false, &m, &err), 0, "%s", err.text);
		expect_text(leases_text(&m), leases, definitions);
	}
	entries_free(&etcd.e);
}

static int add_text(const struct entries *had, const char *fixed, const char *shared,
		    const char *name, struct entries *will, struct error *err)
{
	struct mapping m = { .fixed = addr_of(fixed), .name = (char *)name, .pinned = shared };

	if (shared)
		m.shared = addr_of(shared);
	return edit_add(had, "red", &m, will, err);
}

static int add_one(const struct entries *had, struct entries *will, struct error *err)
{
	return add_text(had, "10.0.0.6", NULL, "db", will, err);
}

static int add_pinned(const struct entries *had, struct entries *will, struct error *err)
{
	return add_text(had, "10.0.0.6", "100.64.1.6", NULL, will, err);
}

static int del_db(const struct entries *had, struct entries *will, struct error *err)
{
	_cleanup_gone_ struct gone gone = { 0 };

	return edit_del(had, "red", "db", &gone, will, err);
}

Test(commit, one_mapping)
{
	expect_edit("net 100.64.0.0/16; tenant red pool=100.64.1.0/29; map 10.0.0.5 "
		    "lease=100.64.1.6;",
		    add_one, "red 10.0.0.5 100.64.1.6\nred 10.0.0.6 100.64.1.7\n");
	/* nobody's address is given to another: a mapping's, a router's */
	expect_edit("net 100.64.0.0/16; tenant blue pool=100.64.1.0/29; map 10.0.0.5 "
		    "lease=100.64.1.6; tenant green; router lease=100.64.1.7; tenant pink; router "
		    "pin=100.64.1.0; tenant red pool=100.64.1.0/29;",
		    add_one,
		    "blue 10.0.0.5 100.64.1.6\ngreen router 100.64.1.7\npink router 100.64.1.0\n"
		    "red 10.0.0.6 100.64.1.1\n");
	/* without a pool it is of no other's */
	expect_edit("net 100.64.0.0/28; tenant blue pool=100.64.0.0/29; tenant red;", add_one,
		    "red 10.0.0.6 100.64.0.8\n");
	expect_edit(BEFORE, add_pinned,
		    "blue 10.0.0.5 100.64.2.5\nred 10.0.0.5 100.64.1.5\nred 10.0.0.6 100.64.1.6\n");
	expect_edit("net 100.64.0.0/16; tenant red; map 10.0.0.5 db lease=100.64.1.6;", del_db, "");
	expect_edit("net 100.64.0.0/16 fd64::/64; tenant red; map 10.0.0.5 db lease=100.64.1.6;"
		    "map fd00::5 db lease=fd64::5; map 10.0.0.6 lease=100.64.1.7;",
		    del_db, "red 10.0.0.6 100.64.1.7\n");
}

Test(commit, one_mapping_that_cannot_be)
{
	expect_edit("net 100.64.0.0/16; tenant blue;", add_one, "no tenant");
	expect_edit("net 100.64.0.0/16; tenant red; map 10.0.0.6 lease=100.64.1.6;", add_one,
		    "has a mapping of 10.0.0.6 already");
	expect_edit("net 100.64.0.0/16; tenant red; map 10.0.0.7 db lease=100.64.1.6;", add_one,
		    "has a mapping named db already");
	expect_edit("net 100.64.0.0/16; tenant red; tenant blue; map 10.0.0.7 lease=100.64.1.6;",
		    add_pinned, "100.64.1.6 is the shared address of another tenant");
	expect_edit("net 100.64.0.0/16; tenant red; tenant blue; router pin=100.64.1.6;",
		    add_pinned, "or of a router");
	expect_edit("net 100.64.0.0/16; tenant red pool=100.64.2.0/24;", add_pinned,
		    "outside the pool");
	expect_edit("net 100.64.0.0/16; tenant red pool=100.64.1.4/31; map 10.0.0.7 "
		    "lease=100.64.1.4; map 10.0.0.8 lease=100.64.1.5;",
		    add_one, "no free address is left");
	expect_edit(BEFORE, del_db, "tenant red has no mapping db");
}

/* A router's address is taken at the end of its pool, and once. */
Test(commit, an_address_for_a_router)
{
	struct etcd_double etcd = etcd_of(
		model_of("net 100.64.0.0/16; tenant blue pool=100.64.1.0/29; router pin=100.64.1.5;"
			 "tenant red pool=100.64.1.0/29; router; map 10.0.0.5 lease=100.64.1.6;"));
	struct addr_list taken = addrs_of("100.64.1.4");
	struct tn_addr got[2];
	struct error err = { 0 };

	for (int i = 0; i < 2; i++) {
		_cleanup_entries_ struct entries had = etcd_read(&etcd), will;
		_cleanup_commit_ struct commit c;
		struct commit_what what = what_of(&had, &will);

		what.whole = false;
		cr_assert_eq(edit_own(&had, "red", IPV4, &taken, &got[i], &will, &err), 0, "%s",
			     err.text);
		cr_assert_eq(commit_plan(&what, &c, &err), 0, "%s", err.text);
		cr_expect_eq(c.steps.n, i ? 0 : 1);
		cr_assert(i || etcd_do(&etcd, &c.steps.v[0]));
	}
	cr_expect_str_eq(ADDR(&got[0]), "100.64.1.7");
	cr_expect_eq(addr_cmp(&got[0], &got[1]), 0);
	vec_free(&taken.list);
	entries_free(&etcd.e);
}

/* A file says nothing of what was leased to a router; who has one by its definition keeps that. */
Test(commit, routers_keep_their_leases)
{
	_cleanup_model_ struct model had = model_of(
		"net 100.64.0.0/16 fd64::/64; tenant blue; router lease=100.64.1.1 pin=fd64::1;"
		"tenant green; router lease=100.64.1.2; tenant red; router lease=100.64.1.3;");
	_cleanup_model_ struct model will =
		model_of("net 100.64.0.0/16 fd64::/64; tenant blue; router; tenant green; router "
			 "pin=100.64.9.9; tenant pink; router; tenant red;");

	edit_keep_own(&will, &had);
	expect_text(leases_text(&will), "blue router 100.64.1.1\ngreen router 100.64.9.9\n",
		    "will");
}

/* ------------------------------------------------------------ many clients at once */

enum kind { ADD, DEL, APPLY };

struct client {
	enum kind kind;
	bool busy;
	size_t at; /* of the steps */
	struct entries had, will;
	struct model before, after; /* of APPLY */
	struct commit commit;
	/* of ADD and DEL */
	const char *tenant;
	struct mapping mapping;
	struct gone gone;
};

/* What was promised: "TENANT FIXED" → the shared address. */
struct world {
	struct etcd_double etcd;
	struct dice d;
	struct entries ledger;
	struct entries doubtful; /* in what a change that was cut short would have changed */
	unsigned int done, lost, cut, several;
	unsigned int run;
};

static void client_reset(struct client *c)
{
	commit_free(&c->commit);
	entries_free(&c->had);
	entries_free(&c->will);
	model_free(&c->before);
	model_free(&c->after);
	gone_free(&c->gone);
	memset(c, 0, sizeof(*c));
}

static void ledger_set(struct entries *ledger, const char *tenant, const struct mapping *m,
		       bool is_there)
{
	struct etcd_double as_etcd = { .e = *ledger };
	char key[128];

	snprintf(key, sizeof(key), "%s %s", tenant, ADDR(&m->fixed));
	etcd_write(&as_etcd, key, is_there ? ADDR(&m->shared) : NULL);
	*ledger = as_etcd.e;
}

static struct entries ledger_of(const struct model *m)
{
	struct entries ledger = { 0 };

	vec_each (t, &m->tenants) {
		vec_each (mapping, &t->mappings)
			ledger_set(&ledger, t->name, mapping, true);
		if (t->router) {
			/* it stands for its router */
			struct mapping own = { .fixed = addr_of("0.0.0.0"),
					       .shared = t->router->own[IPV4].addr };

			ledger_set(&ledger, t->name, &own, !addr_is_unset(&own.shared));
		}
	}
	return ledger;
}

static void expect_same_ledger(const struct entries *a, const struct entries *b,
			       const struct entries *but, const char *what)
{
	vec_each (entry, &a->list) {
		const struct entry *is = entries_find(b, entry->key);

		if (!entries_find(but, entry->key))
			cr_assert(is && strcmp(is->value, entry->value) == 0,
				  "%s: %s has %s, not %s", what, entry->key,
				  is ? is->value : "nothing", entry->value);
	}
}

/* Everything that anybody was told is so, and nothing else is. */
static void check_world(const struct world *w)
{
	_cleanup_entries_ struct entries e = etcd_read(&w->etcd), is = { 0 };
	_cleanup_model_ struct model m = { 0 };
	_cleanup_head_ struct head head;
	struct error err = { 0 };

	cr_assert_eq(head_read(&e, &head, &err), 0, "%s", err.text);
	if (keys_read(&e, head.host, &m, &err))
		cr_assert_fail("%s", err.text);
	if (head.host)
		return;
	is = ledger_of(&m);
	expect_same_ledger(&w->ledger, &is, &w->doubtful, "lost");
	expect_same_ledger(&is, &w->ledger, &w->doubtful, "of nobody");
}

/* ---- what clients want */

static const char *const tenants[] = { "blue", "green", "red" };

static struct tn_addr any_fixed(struct dice *d)
{
	struct tn_addr first = addr_of("10.0.0.1");

	return addr_add(&first, roll(d, 12));
}

static struct tn_addr any_shared(struct dice *d)
{
	struct tn_addr first = addr_of("100.64.1.1");

	return addr_add(&first, 64 * roll(d, 8) + roll(d, 6));
}

/* Only what a client of one mapping reads. */
static void read_part(struct client *c, const char *tenant)
{
	_cleanup_entries_ struct entries all = c->had;
	_cleanup_key_ranges_ struct key_ranges ranges;
	struct error err = { 0 };

	c->had = (struct entries){ 0 };
	if (edit_ranges(&all, tenant, &ranges, &err)) {
		key_ranges_free(&ranges);
		return;
	}
	vec_each (entry, &all.list) {
		if (strncmp(entry->key, KEY_BLOCKS, strlen(KEY_BLOCKS)) != 0 ||
		    key_ranges_have(&ranges, entry->key))
			entries_add(&c->had, entry->key, entry->value, entry->revision);
	}
}

static int want_add(struct world *w, struct client *c, struct error *err)
{
	c->tenant = tenants[roll(&w->d, ARRAY_SIZE(tenants))];
	c->mapping = (struct mapping){ .fixed = any_fixed(&w->d), .pinned = chance(&w->d, 40) };
	if (c->mapping.pinned)
		c->mapping.shared = any_shared(&w->d);
	read_part(c, c->tenant);
	return edit_add(&c->had, c->tenant, &c->mapping, &c->will, err);
}

static int want_del(struct world *w, struct client *c, struct error *err)
{
	struct tn_addr fixed = any_fixed(&w->d);

	c->tenant = tenants[roll(&w->d, ARRAY_SIZE(tenants))];
	read_part(c, c->tenant);
	return edit_del(&c->had, c->tenant, ADDR(&fixed), &c->gone, &c->will, err);
}

static void random_edit(struct dice *d, struct tenant *t)
{
	struct tn_addr fixed = any_fixed(d);
	struct mapping *m = NULL;

	vec_each (has, &t->mappings) {
		if (addr_cmp(&has->fixed, &fixed) == 0)
			m = has;
	}
	if (m && chance(d, 60)) {
		*m = t->mappings.v[--t->mappings.n];
	} else if (!m) {
		m = vec_push(&t->mappings);
		*m = (struct mapping){ .fixed = fixed };
		if (chance(d, 20)) {
			m->pinned = true;
			m->shared = any_shared(d);
		}
	} else if (!m->pinned) {
		m->shared = any_shared(d);
		m->pinned = true;
	}
	if (chance(d, 10)) {
		t->pools.n = 0;
		if (chance(d, 70))
			*vec_push(&t->pools) =
				prefix_of(chance(d, 50) ? "100.64.1.0/24" : "100.64.2.0/23");
	}
}

static int want_apply(struct world *w, struct client *c, struct error *err)
{
	static const struct addr_list none;
	_cleanup_head_ struct head head;

	if (head_read(&c->had, &head, err) || keys_read(&c->had, head.host, &c->before, err) ||
	    keys_read(&c->had, head.host, &c->after, err))
		return -1;
	for (uint32_t n = 1 + roll(&w->d, 5); n > 0; n--)
		random_edit(&w->d, &c->after.tenants.v[roll(&w->d, c->after.tenants.n)]);
	/* as a file has them */
	model_forget_given(&c->after);
	edit_keep_own(&c->after, &c->before);
	vec_each (t, &c->after.tenants) {
		vec_each (m, &t->mappings) {
			if (m->pinned && !tenant_may_have(&c->after, t, &m->shared))
				return -1;
		}
	}
	return ipam_assign(&c->after, &c->before, &none, err) ||
			       keys_write(&c->after, &c->will, err)
		       ? -1
		       : 0;
}

/* It may find that it cannot be, or that nothing is to be done. */
static void client_begin(struct world *w, struct client *c)
{
	_cleanup_head_ struct head head = { 0 };
	_cleanup_free_ char *open = NULL;
	struct commit_what what;
	struct error err = { 0 };
	char run[16];
	int ret;

	c->kind = roll(&w->d, 3);
	c->had = etcd_read(&w->etcd);
	cr_assert_eq(head_read(&c->had, &head, &err), 0, "%s", err.text);
	if (head.host && (c->kind != APPLY || entries_find(&c->had, KEY_CHANGING))) {
		client_reset(c);
		return;
	}
	ret = c->kind == ADD   ? want_add(w, c, &err)
	      : c->kind == DEL ? want_del(w, c, &err)
			       : want_apply(w, c, &err);
	if (ret) {
		client_reset(c);
		return;
	}
	snprintf(run, sizeof(run), "%08x", w->run++);
	what = what_of(&c->had, &c->will);
	what.whole = c->kind == APPLY;
	what.by.run = run;
	what.ops = w->etcd.ops;
	cr_assert_eq(commit_plan(&what, &c->commit, &err), 0, "%s", err.text);
	c->busy = c->commit.steps.n;
	if (!c->busy)
		client_reset(c);
}

/* ---- what becomes of it */

/* The keys in which both differ, or are only in one. */
static void differences(const struct entries *a, const struct entries *b, struct entries *out)
{
	for (int i = 0; i < 2; i++) {
		vec_each (entry, &(i ? b : a)->list) {
			const struct entry *other = entries_find(i ? a : b, entry->key);

			if ((!other || strcmp(other->value, entry->value) != 0) &&
			    !entries_find(out, entry->key)) {
				entries_add(out, entry->key, entry->value, 0);
				entries_sort(out);
			}
		}
	}
}

static void client_done(struct world *w, struct client *c)
{
	_cleanup_entries_ struct entries before = { 0 };

	w->done++;
	w->several += c->commit.steps.n > 1;
	if (c->kind == ADD) {
		ledger_set(&w->ledger, c->tenant, &c->mapping, true);
	} else if (c->kind == DEL) {
		vec_each (m, &c->gone.list)
			ledger_set(&w->ledger, c->tenant, m, false);
	} else {
		_cleanup_entries_ struct entries after = ledger_of(&c->after), mine = { 0 };

		/* what it had not to do with is as everybody was told */
		before = ledger_of(&c->before);
		differences(&before, &after, &mine);
		vec_each (entry, &mine.list) {
			struct etcd_double as_etcd = { .e = w->ledger };
			const struct entry *is = entries_find(&after, entry->key);

			etcd_write(&as_etcd, entry->key, is ? is->value : NULL);
			w->ledger = as_etcd.e;
		}
		if (w->doubtful.list.n) {
			expect_same_ledger(&w->ledger, &after, &w->doubtful, "lost");
			entries_free(&w->ledger);
			w->ledger = ledger_of(&c->after);
		}
		entries_free(&w->doubtful);
	}
	client_reset(c);
}

/* Its host dies. */
static void client_dies(struct world *w, struct client *c)
{
	if (c->at && c->commit.changing) {
		_cleanup_entries_ struct entries a = ledger_of(&c->before);
		_cleanup_entries_ struct entries b = ledger_of(&c->after);
		const struct entry *changing = entries_find(&w->etcd.e, KEY_CHANGING);

		differences(&a, &b, &w->doubtful);
		if (changing && strcmp(changing->value, c->commit.changing) == 0)
			etcd_write(&w->etcd, KEY_CHANGING, NULL);
		w->cut++;
	}
	client_reset(c);
}

static void client_goes_on(struct world *w, struct client *c)
{
	if (!c->busy) {
		client_begin(w, c);
		return;
	}
	if (chance(&w->d, c->at ? 6 : 2)) {
		client_dies(w, c);
		return;
	}
	if (etcd_do(&w->etcd, &c->commit.steps.v[c->at])) {
		if (++c->at == c->commit.steps.n)
			client_done(w, c);
		return;
	}
	w->lost++;
	cr_assert_leq(c->at, c->commit.checks);
	cr_assert(c->at == 0 || c->at < c->commit.checks, "lost after it had begun to write");
	if (c->at)
		cr_assert(etcd_do(&w->etcd, &c->commit.undo));
	client_reset(c);
}

#define CLIENTS 6

static void play(uint64_t seed, unsigned int moves, struct world *w)
{
	struct client clients[CLIENTS] = { 0 };

	*w = (struct world){ .etcd = etcd_of(model_of(
				     "net 100.64.0.0/16;"
				     "tenant blue pool=100.64.1.0/24; router pin=100.64.1.250;"
				     "tenant green; tenant red pool=100.64.2.0/23;"
				     "router lease=100.64.2.254;")),
			     .d = { seed } };
	w->etcd.ops = 9;
	{
		_cleanup_entries_ struct entries e = etcd_read(&w->etcd);
		_cleanup_model_ struct model m;
		struct error err = { 0 };

		cr_assert_eq(keys_read(&e, false, &m, &err), 0, "%s", err.text);
		w->ledger = ledger_of(&m);
	}
	for (unsigned int i = 0; i < moves; i++) {
		client_goes_on(w, &clients[roll(&w->d, CLIENTS)]);
		check_world(w);
	}
	for (int i = 0; i < CLIENTS; i++)
		client_reset(&clients[i]);
	entries_free(&w->etcd.e);
	entries_free(&w->ledger);
	entries_free(&w->doubtful);
}

/* SEEDS=1000 build/unit-tests --filter commit/clients_at_once plays others, too. */
Test(commit, clients_at_once)
{
	const char *asked = getenv("SEEDS");
	unsigned int seeds = asked ? (unsigned int)atoi(asked) : 20, done = 0, lost = 0, cut = 0,
		     several = 0;

	for (unsigned int seed = 0; seed < seeds; seed++) {
		struct world w;

		if (asked)
			fprintf(stderr, "seed %u\n", seed);
		play(seed, 600, &w);
		done += w.done;
		lost += w.lost;
		cut += w.cut;
		several += w.several;
	}
	cr_expect(done && lost && cut && several);
	printf("%u done, %u of them in several transactions, %u lost, %u cut short\n", done,
	       several, lost, cut);
}

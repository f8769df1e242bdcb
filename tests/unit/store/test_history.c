/* SPDX-License-Identifier: GPL-2.0-only */
#include <zlib.h>

#include "store/record.h"
#include "store_fixture.h"

/* From one to the other, as a command does it. */
static void change(struct store *s, const struct model *had, const struct model *will, int64_t at,
		   const char *command, size_t lines)
{
	struct history_change c = { .at = at, .uid = 7, .user = xstrdup("root (sudo alice)") };
	struct error err = { 0 };

	save(s, had, will);
	c.command = xstrdup(command);
	for (size_t i = 0; i < lines; i++)
		*vec_push(&c.lines) = (struct history_line){ "+~-"[i % 3], xstrdup("a line") };
	c.added = (lines + 2) / 3;
	c.changed = (lines + 1) / 3;
	c.removed = lines / 3;
	must(store_note(s, &c, had, will, &err) == 0, err);
	history_change_clear(&c);
}

static void note_change(struct store *s, int64_t at, const char *command, size_t lines)
{
	change(s, &empty, &empty, at, command, lines);
}

Test(store, history_is_of_what_was_committed)
{
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);
	_cleanup_history_ struct history h = { 0 };
	struct error err = { 0 };

	note_change(s, 100, "apply", 4);
	store_rollback(s);
	note_change(s, 200, "map add red 10.0.0.5", 2);
	note_change(s, 300, "detach it's", HISTORY_LINES_MAX + 5);
	commit(s);
	must(store_history(s, 5, SIZE_MAX >> 1, &h, &err) == 0, err);
	cr_assert_eq(h.list.n, 2, "%zu changes", h.list.n);
	cr_expect_eq(h.list.v[0].id, 1);
	cr_expect_eq(h.list.v[0].at, 200);
	cr_expect_eq(h.list.v[0].uid, 7);
	cr_expect_str_eq(h.list.v[0].user, "root (sudo alice)");
	cr_expect_str_eq(h.list.v[0].command, "map add red 10.0.0.5");
	cr_expect_eq(h.list.v[0].lines.n, 2);
	cr_expect_eq(h.list.v[0].lines.v[1].sign, '~');
	cr_expect_str_eq(h.list.v[0].lines.v[1].text, "a line");
	cr_expect_eq(h.list.v[0].kept, 2);
	cr_expect_eq(history_change_all(&h.list.v[0]), 2);
	cr_expect_eq(h.list.v[1].lines.n, HISTORY_LINES_MAX);
	cr_expect_eq(history_change_all(&h.list.v[1]), HISTORY_LINES_MAX + 5);
	cr_expect_eq(h.list.v[1].removed, (HISTORY_LINES_MAX + 5) / 3);
	history_free(&h);
	must(store_history(s, 1, 3, &h, &err) == 0, err);
	cr_assert_eq(h.list.n, 1);
	cr_expect_str_eq(h.list.v[0].command, "detach it's");
	cr_expect_eq(h.list.v[0].lines.n, 3);
	cr_expect_eq(h.list.v[0].kept, HISTORY_LINES_MAX);
	history_free(&h);
	must(store_history_one(s, 1, 9, &h, &err) == 0, err);
	cr_assert_eq(h.list.n, 1);
	cr_expect_str_eq(h.list.v[0].command, "map add red 10.0.0.5");
	cr_expect_eq(h.list.v[0].lines.n, 2);
	history_free(&h);
	cr_expect_eq(store_history_one(s, 3, 9, &h, &err), -1);
	cr_expect(err.usage);
	cr_expect(strstr(err.text, "no change 3"), "%s", err.text);
}

Test(store, history_does_not_grow_without_end)
{
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);
	_cleanup_history_ struct history h = { 0 };
	struct error err = { 0 };

	for (int i = 1; i <= HISTORY_MAX + 3; i++)
		note_change(s, i, "apply", 1);
	commit(s);
	must(store_history(s, HISTORY_MAX + 10, 10, &h, &err) == 0, err);
	cr_assert_eq(h.list.n, HISTORY_MAX, "%zu changes", h.list.n);
	cr_expect_eq(h.list.v[0].at, 4);
	cr_expect_eq(h.list.v[HISTORY_MAX - 1].at, HISTORY_MAX + 3);
	cr_expect_eq(sql("SELECT count(*) FROM history_line"), HISTORY_MAX);
}

/* The oldest lines go, and what is said of the changes stays. */
Test(store, history_keeps_so_many_lines_of_all_changes)
{
	const size_t changes = HISTORY_LINES_ALL / HISTORY_LINES_MAX;
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);
	_cleanup_history_ struct history h = { 0 };
	struct error err = { 0 };

	note_change(s, 1, "apply", 7);
	for (size_t i = 0; i < changes; i++)
		note_change(s, 2, "apply", HISTORY_LINES_MAX);
	note_change(s, 3, "apply", 0);
	commit(s);
	must(store_history(s, 100, 10, &h, &err) == 0, err);
	cr_assert_eq(h.list.n, changes + 2);
	cr_expect_eq(h.list.v[0].lines.n, 0);
	cr_expect_eq(h.list.v[0].kept, 0);
	cr_expect_eq(history_change_all(&h.list.v[0]), 7);
	cr_expect_eq(h.list.v[1].lines.n, 10);
	cr_expect_eq(sql("SELECT count(*) FROM history_line"), HISTORY_LINES_ALL);
}

/* ------------------------------------------------------------ what was before */

static void apply_record(const struct model *had, const struct model *will, struct model *m)
{
	_cleanup_record_ struct record r = { 0 };
	struct error err = { 0 };

	must(record_make(had, will, &r, &err) == 0, err);
	cr_assert(record_apply(&r, m));
}

Test(store, record_of_any_change)
{
	for (random_state = 1; random_state < 400; random_state++) {
		_cleanup_model_ struct model had = { 0 }, will = { 0 }, m = { 0 };
		uint64_t seed = random_state;

		random_model(&had);
		random_model(&will);
		random_state = seed;
		random_model(&m);
		model_free(&m);
		random_model(&m); /* another `will` */
		assert_same(&m, &will);
		apply_record(&had, &will, &m);
		assert_same(&m, &had);
		random_state = seed;
	}
}

/* All that a file can say, to nothing and back; and in both directions between that and less. */
Test(store, record_of_everything)
{
	_cleanup_model_ struct model all = { 0 }, m = { 0 }, less = { 0 };
	struct tenant *red;

	rich(&all);
	apply_record(&all, &empty, &m);
	assert_same(&m, &all);
	apply_record(&empty, &all, &m);
	assert_same(&m, &empty);

	rich(&less);
	red = model_tenant(&less, "red");
	rule_clear(&red->accept.v[1]);
	red->accept.v[1] = red->accept.v[--red->accept.n];
	red->mappings.v[0].limit.packets = 7;
	red->router->own[IPV6].addr.w[3]++;
	mapping_clear(&red->mappings.v[--red->mappings.n]);
	less.subnets.n--;
	apply_record(&all, &less, &less);
	assert_same(&less, &all);
}

Test(store, record_of_nothing)
{
	_cleanup_model_ struct model all = { 0 };
	_cleanup_record_ struct record r = { 0 };
	struct error err = { 0 };

	rich(&all);
	must(record_make(&all, &all, &r, &err) == 0, err);
	cr_expect_eq(r.bytes.n, 0);
	cr_expect(record_apply(&r, &all));
}

/* A tenant with many mappings. */
static void large(struct model *m, size_t n)
{
	struct tn_addr fixed = addr("10.0.0.0"), shared = addr("100.64.0.0");
	struct tenant *t;

	memset(m, 0, sizeof(*m));
	add_prefix(&m->subnets, "100.64.0.0/10");
	t = add_tenant(m, 1, "red");
	for (size_t i = 1; i <= n; i++) {
		struct mapping *p = vec_push(&t->mappings);

		p->fixed = addr_add(&fixed, i);
		p->shared = addr_add(&shared, i);
	}
}

/* What is new needs no more than to be named, so a first apply of a million takes nothing. */
Test(store, record_of_many)
{
	_cleanup_model_ struct model few = { 0 }, many = { 0 };
	_cleanup_record_ struct record come = { 0 }, more = { 0 }, go = { 0 };
	struct error err = { 0 };

	large(&few, 10);
	large(&many, 100000);
	must(record_make(&empty, &many, &come, &err) == 0, err);
	must(record_make(&few, &many, &more, &err) == 0, err);
	must(record_make(&many, &few, &go, &err) == 0, err);
	cr_expect_lt(come.bytes.n, 100);
	cr_expect_lt(more.bytes.n, 100000 * 4, "%zu", more.bytes.n);
	cr_expect_lt(go.bytes.n, 100000 * 8, "%zu", go.bytes.n);
	cr_assert(record_apply(&go, &few));
	assert_same(&few, &many);
}

/* Cut off anywhere, with any byte changed: refused, or a model of some kind. */
Test(store, record_that_is_damaged)
{
	_cleanup_model_ struct model all = { 0 };
	_cleanup_record_ struct record r = { 0 };
	struct error err = { 0 };

	rich(&all);
	must(record_make(&all, &empty, &r, &err) == 0, err);
	for (size_t n = 1; n < r.bytes.n; n++) {
		_cleanup_model_ struct model m = { 0 };
		struct record cut = { .bytes = { .v = r.bytes.v, .n = n } };

		cr_expect_not(record_apply(&cut, &m), "%zu of %zu bytes", n, r.bytes.n);
	}
	for (size_t i = 0; i < r.bytes.n; i++) {
		_cleanup_model_ struct model m = { 0 };

		r.bytes.v[i] ^= 0x15;
		record_apply(&r, &m);
		r.bytes.v[i] ^= 0x15;
	}
}

/* ------------------------------------------------------------ back */

static void expect_back(struct store *s, uint64_t asked, uint64_t found, const struct model *was)
{
	_cleanup_model_ struct model m = { 0 };
	struct error err = { 0 };

	load(s, &m);
	must(store_go_back(s, &asked, &m, &err) == 0, err);
	cr_expect_eq(asked, found);
	assert_same(&m, was);
}

static void expect_no_way(struct store *s, uint64_t asked, const char *why)
{
	_cleanup_model_ struct model m = { 0 };
	struct error err = { 0 };

	load(s, &m);
	cr_assert_eq(store_go_back(s, &asked, &m, &err), -1);
	cr_expect(err.usage);
	cr_expect(strstr(err.text, why), "%s", err.text);
}

/* random_model(), as the state may be. */
static void valid_model(struct model *m)
{
	char buf[MODEL_FAULT];

	do {
		model_free(m);
		random_model(m);
	} while (model_fault(m, buf));
}

Test(store, back_to_before_each_change)
{
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);
	struct model was[8] = { 0 };

	random_state = 5;
	rich(&was[1]);
	for (size_t i = 2; i < ARRAY_SIZE(was); i++)
		valid_model(&was[i]);
	for (size_t i = 1; i < ARRAY_SIZE(was); i++) {
		change(s, &was[i - 1], &was[i], 1, "apply", 1);
		commit(s);
	}
	for (size_t i = 1; i < ARRAY_SIZE(was); i++)
		expect_back(s, i, i, &was[i - 1]);
	expect_back(s, 0, 7, &was[6]);
	/* a repair of the machine was no change of the definitions */
	change(s, &was[7], &was[7], 1, "apply", 1);
	commit(s);
	expect_back(s, 0, 7, &was[6]);
	expect_back(s, 8, 8, &was[7]);
	expect_no_way(s, 9, "no change 9");
	for (size_t i = 0; i < ARRAY_SIZE(was); i++)
		model_free(&was[i]);
}

Test(store, nothing_to_go_back_to)
{
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);

	expect_no_way(s, 0, "nothing to undo");
	expect_no_way(s, 1, "no change 1");
	change(s, &empty, &empty, 1, "apply", 1);
	commit(s);
	expect_no_way(s, 0, "nothing to undo");
}

/* The oldest goes first, and with it the way back past it. */
Test(store, too_old_to_go_back_to)
{
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);
	_cleanup_history_ struct history h = { 0 };
	_cleanup_model_ struct model all = { 0 };
	struct error err = { 0 };

	rich(&all);
	for (int i = 0; i < 2; i++) {
		change(s, &empty, &all, 1, "apply", 1);
		change(s, &all, &empty, 1, "apply", 1);
	}
	commit(s);
	/* as if it had taken all the room */
	sql("UPDATE history SET bytes = 33554432 - (SELECT sum(bytes) FROM history WHERE id = 4) "
	    "WHERE id = 3");
	change(s, &empty, &all, 1, "apply", 1);
	commit(s);
	cr_expect_eq(sql("SELECT count(*) FROM history_before WHERE change <= 3"), 0);
	expect_back(s, 5, 5, &empty);
	expect_back(s, 4, 4, &all);
	expect_no_way(s, 3, "change 3 is too old");
	expect_no_way(s, 1, "before change 3 is not kept");
	must(store_history(s, 9, 9, &h, &err) == 0, err);
	for (size_t i = 0; i < h.list.n; i++)
		cr_expect_eq(h.list.v[i].undoable, i >= 3, "change %zu", i + 1);
}

/* It is no model, or no record. */
Test(store, before_that_is_damaged)
{
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);
	_cleanup_model_ struct model all = { 0 }, m = { 0 };
	struct error err = { 0 };
	uint64_t id = 0;

	rich(&all);
	change(s, &empty, &all, 1, "apply", 1);
	change(s, &all, &empty, 1, "apply", 1);
	commit(s);
	sql("UPDATE history_before SET data = CAST(x'05' || data AS BLOB) WHERE change = 2");
	load(s, &m);
	cr_assert_eq(store_go_back(s, &id, &m, &err), -1);
	cr_expect_not(err.usage);
	cr_expect(strstr(err.text, "before change 2 cannot be read"), "%s", err.text);
}

/* The record, as if version `version` had written it: without `cut` bytes of what ends at `end`. */
static void rewrite(struct record *r, uint8_t version, size_t end, size_t cut)
{
	uint8_t raw[256];
	uLongf n = sizeof(raw), packed;

	cr_assert_eq(uncompress(raw, &n, r->bytes.v + 1, r->bytes.n - 1), Z_OK);
	cr_assert_eq(r->bytes.v[0], n); /* which takes one byte */
	memmove(raw + n - end - cut, raw + n - end, end);
	n -= cut;
	raw[0] = version;
	packed = compressBound(n);
	r->bytes.v = xrealloc(r->bytes.v, 1 + packed, 1);
	cr_assert_eq(compress(r->bytes.v + 1, &packed, raw, n), Z_OK);
	r->bytes.v[0] = n;
	r->bytes.n = packed + 1;
}

/* Behind the version, that there is a network, no file, and one subnet of IPv4: no zone. */
#define BEFORE_ZONE 10

static void forget_zone(struct record *r)
{
	rewrite(r, 3, r->bytes.v[0] - BEFORE_ZONE - 1, 1);
}

/* A record of one router ends with its hosts, active, flows (of 3 bytes), inside routes, and 4
 * zeros.
 */
#define BEHIND_ROUTER	      4
#define SIZE_OF_INSIDE_ROUTES 1 /* none */
#define SIZE_OF_FLOWS	      4 /* and of the grace */
#define SIZE_OF_HOSTS	      2 /* none, and active */

/* What a version before wrote says nothing of a zone, of flows, or hosts. */
Test(store, records_of_versions_before)
{
	_cleanup_record_ struct record r = { 0 };
	_cleanup_model_ struct model had = { 0 };
	struct error err = { 0 };

	add_prefix(&had.subnets, "100.64.0.0/16");
	add_own(add_router(add_tenant(&had, 7, "red"), 3, "red", "shared0"), "100.64.0.2", true);
	must(record_make(&had, &empty, &r, &err) == 0, err);
	for (uint8_t version = 4; version > 0; version--) {
		static const size_t gone[] = {
			[3] = SIZE_OF_INSIDE_ROUTES, [2] = SIZE_OF_FLOWS, [1] = SIZE_OF_HOSTS
		};
		_cleanup_model_ struct model back = { 0 };

		if (version == 3)
			forget_zone(&r);
		if (version < 4)
			rewrite(&r, version, BEHIND_ROUTER, gone[version]);
		cr_assert(record_apply(&r, &back), "%u", version);
		assert_same(&back, &had);
	}
}

/* Nor does one of a version to come say what we know. */
Test(store, records_of_versions_to_come)
{
	_cleanup_record_ struct record r = { 0 };
	_cleanup_model_ struct model had = { 0 }, back = { 0 };
	struct error err = { 0 };

	add_prefix(&had.subnets, "100.64.0.0/16");
	must(record_make(&had, &empty, &r, &err) == 0, err);
	rewrite(&r, 5, 0, 0);
	cr_expect_not(record_apply(&r, &back));
}

/* Nor of the ends of rules, of which the same is so. */
Test(store, records_of_rules_of_versions_before)
{
	_cleanup_record_ struct record r = { 0 };
	_cleanup_model_ struct model had = { 0 }, back = { 0 };
	struct error err = { 0 };

	add_prefix(&had.subnets, "100.64.0.0/16");
	add_rule(add_tenant(&had, 7, "red"), 3, 4, "blue", NULL, "tcp/80");
	must(record_make(&had, &empty, &r, &err) == 0, err);
	forget_zone(&r);
	rewrite(&r, 3, 2, 1);
	cr_assert(record_apply(&r, &back));
	assert_same(&back, &had);
}

/* Nor of MAC addresses and prefixes, which are the last but the two zeros at the end of a mapping.
 */
Test(store, records_of_mappings_of_versions_before)
{
	_cleanup_record_ struct record r = { 0 };
	_cleanup_model_ struct model had = { 0 }, back = { 0 };
	struct error err = { 0 };

	add_prefix(&had.subnets, "100.64.0.0/16");
	add_mapping(add_tenant(&had, 7, "red"), "10.0.0.5", "100.64.1.5", NULL, false);
	must(record_make(&had, &empty, &r, &err) == 0, err);
	forget_zone(&r);
	rewrite(&r, 2, 2, 2);
	cr_assert(record_apply(&r, &back));
	assert_same(&back, &had);
}

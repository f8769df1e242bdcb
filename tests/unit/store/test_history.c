/* SPDX-License-Identifier: GPL-2.0-only */
#include "store_fixture.h"

static void note_change(struct store *s, int64_t at, const char *command, size_t lines)
{
	struct history_change c = { .at = at, .uid = 7, .user = xstrdup("root (sudo alice)") };
	struct error err = { 0 };

	c.command = xstrdup(command);
	for (size_t i = 0; i < lines; i++)
		*vec_push(&c.lines) = (struct history_line){ "+~-"[i % 3], xstrdup("a line") };
	must(store_note(s, &c, &err) == 0, err);
	history_change_clear(&c);
}

Test(store, history_is_of_what_was_committed)
{
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);
	_cleanup_history_ struct history h = { 0 };
	struct error err = { 0 };

	save(s, &empty, &empty);
	note_change(s, 100, "apply", 4);
	store_rollback(s);
	save(s, &empty, &empty);
	note_change(s, 200, "map add red 10.0.0.5", 2);
	note_change(s, 300, "detach it's", HISTORY_LINES_MAX + 5);
	commit(s);
	must(store_history(s, 5, &h, &err) == 0, err);
	cr_assert_eq(h.list.n, 2, "%zu changes", h.list.n);
	cr_expect_eq(h.list.v[0].at, 200);
	cr_expect_eq(h.list.v[0].uid, 7);
	cr_expect_str_eq(h.list.v[0].user, "root (sudo alice)");
	cr_expect_str_eq(h.list.v[0].command, "map add red 10.0.0.5");
	cr_expect_eq(h.list.v[0].lines.n, 2);
	cr_expect_eq(h.list.v[0].lines.v[1].sign, '~');
	cr_expect_str_eq(h.list.v[0].lines.v[1].text, "a line");
	cr_assert_eq(h.list.v[1].lines.n, HISTORY_LINES_MAX + 1);
	cr_expect_str_eq(h.list.v[1].lines.v[HISTORY_LINES_MAX].text, "and 5 more");
	history_free(&h);
	must(store_history(s, 1, &h, &err) == 0, err);
	cr_assert_eq(h.list.n, 1);
	cr_expect_str_eq(h.list.v[0].command, "detach it's");
}

Test(store, history_does_not_grow_without_end)
{
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);
	_cleanup_history_ struct history h = { 0 };
	struct error err = { 0 };

	save(s, &empty, &empty);
	for (int i = 1; i <= HISTORY_MAX + 3; i++)
		note_change(s, i, "apply", 1);
	commit(s);
	must(store_history(s, HISTORY_MAX + 10, &h, &err) == 0, err);
	cr_assert_eq(h.list.n, HISTORY_MAX, "%zu changes", h.list.n);
	cr_expect_eq(h.list.v[0].at, 4);
	cr_expect_eq(h.list.v[HISTORY_MAX - 1].at, HISTORY_MAX + 3);
	cr_expect_eq(sql("SELECT count(*) FROM history_line"), HISTORY_MAX);
}

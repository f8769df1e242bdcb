/* SPDX-License-Identifier: GPL-2.0-only */
/* Who changed what of the definitions, and when. */
#include "store/store_internal.h"

void history_change_clear(struct history_change *c)
{
	vec_each (line, &c->lines)
		free(line->text);
	vec_free(&c->lines);
	free(c->user);
	free(c->command);
	memset(c, 0, sizeof(*c));
}

void history_free(struct history *h)
{
	vec_each (c, &h->list)
		history_change_clear(c);
	vec_free(&h->list);
}

static int last_change(struct store *s, uint64_t *id, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LAST_CHANGE, err, "");

	if (!stmt || query_next(s, stmt, err) < 0)
		return -1;
	*id = (uint64_t)sqlite3_column_int64(stmt, 0);
	return 0;
}

/* Not by query_run(): it does not matter how many rows there are. */
static int forget_changes(struct store *s, uint64_t up_to, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, FORGET_CHANGES, err, "l", up_to);

	return stmt && query_next(s, stmt, err) == 0 ? 0 : -1;
}

static int add_change_line(struct store *s, uint64_t change, size_t ord, char sign,
			   const char *text, struct error *err)
{
	char signs[] = { sign, '\0' };

	return query_run(s, ADD_CHANGE_LINE, 1, err, "lutt", change, (unsigned int)ord, signs,
			 text);
}

static int add_change(struct store *s, const struct history_change *c, struct error *err)
{
	size_t n = c->lines.n < HISTORY_LINES_MAX ? c->lines.n : HISTORY_LINES_MAX;
	char more[64];
	uint64_t id;

	if (query_run(s, ADD_CHANGE, 1, err, "lutt", (uint64_t)c->at, c->uid, c->user,
		      c->command) ||
	    last_change(s, &id, err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (add_change_line(s, id, i, c->lines.v[i].sign, c->lines.v[i].text, err))
			return -1;
	}
	snprintf(more, sizeof(more), "and %zu more", c->lines.n - n + c->more);
	if (c->lines.n - n + c->more && add_change_line(s, id, n, '~', more, err))
		return -1;
	return id > HISTORY_MAX ? forget_changes(s, id - HISTORY_MAX, err) : 0;
}

int store_note(struct store *s, const struct history_change *c, struct error *err)
{
	if (add_change(s, c, err) == 0)
		return 0;
	store_rollback(s);
	return -1;
}

static int load_change_lines(struct store *s, uint64_t id, struct history_change *c,
			     struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_CHANGE_LINES, err, "l", id);
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		const char *sign = (const char *)sqlite3_column_text(stmt, 0);
		struct history_line *line = vec_push(&c->lines);

		line->sign = sign ? *sign : '?';
		line->text = column_string(stmt, 1);
		if (!line->text)
			return damaged(s, err, "a line of the history is none");
	}
	return more;
}

static int load_changes(struct store *s, size_t n, struct history *out, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_CHANGES, err, "l", (uint64_t)n);
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		struct history_change *c = vec_push(&out->list);

		c->at = sqlite3_column_int64(stmt, 1);
		c->uid = (uint32_t)sqlite3_column_int64(stmt, 2);
		c->user = column_string(stmt, 3);
		c->command = column_string(stmt, 4);
		if (!c->user || !c->command)
			return damaged(s, err, "a change of the history is none");
		if (load_change_lines(s, (uint64_t)sqlite3_column_int64(stmt, 0), c, err))
			return -1;
	}
	return more;
}

int store_history(struct store *s, size_t n, struct history *out, struct error *err)
{
	memset(out, 0, sizeof(*out));
	if (!s->db || load_changes(s, n, out, err) == 0)
		return 0;
	history_free(out);
	return -1;
}

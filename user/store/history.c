/* SPDX-License-Identifier: GPL-2.0-only */
/* Who changed what of the definitions, and when; and what was in force before. */
#include "store/record.h"
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

uint64_t history_change_all(const struct history_change *c)
{
	return c->added + c->changed + c->removed;
}

void history_free(struct history *h)
{
	vec_each (c, &h->list)
		history_change_clear(c);
	vec_free(&h->list);
}

/* ------------------------------------------------------------ to rows */

static int last_change(struct store *s, uint64_t *id, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LAST_CHANGE, err, "");

	if (!stmt || query_next(s, stmt, err) < 0)
		return -1;
	*id = (uint64_t)sqlite3_column_int64(stmt, 0);
	return 0;
}

/* Not by query_run(): it does not matter how many rows there are. */
static int run_up_to(struct store *s, enum query query, uint64_t id, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, query, err, "l", id);

	return stmt && query_next(s, stmt, err) == 0 ? 0 : -1;
}

/* The newest changes of which there is too much. Ids; 0: none. */
struct excess {
	uint64_t lines;
	uint64_t bytes;
};

static int find_excess(struct store *s, struct excess *out, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_KEPT, err, "");
	uint64_t lines = 0, bytes = 0;
	int more = -1;

	*out = (struct excess){ 0 };
	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		uint64_t id = (uint64_t)sqlite3_column_int64(stmt, 0);
		int64_t size = sqlite3_column_int64(stmt, 2);

		lines += (uint64_t)sqlite3_column_int64(stmt, 1);
		bytes += size > 0 ? (uint64_t)size : 0;
		if (lines > HISTORY_LINES_ALL && !out->lines)
			out->lines = id;
		if (bytes > HISTORY_BYTES_MAX && !out->bytes)
			out->bytes = id;
	}
	return more;
}

static int drop_excess(struct store *s, uint64_t newest, struct error *err)
{
	struct excess over;

	if (newest > HISTORY_MAX && run_up_to(s, FORGET_CHANGES, newest - HISTORY_MAX, err))
		return -1;
	if (find_excess(s, &over, err))
		return -1;
	if (over.lines && (run_up_to(s, FORGET_LINES, over.lines, err) ||
			   run_up_to(s, NOTE_NO_LINES, over.lines, err)))
		return -1;
	if (over.bytes && (run_up_to(s, FORGET_BEFORE, over.bytes, err) ||
			   run_up_to(s, NOTE_NO_BEFORE, over.bytes, err)))
		return -1;
	return 0;
}

static int add_lines(struct store *s, uint64_t change, const struct history_change *c, size_t n,
		     struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		char signs[] = { c->lines.v[i].sign, '\0' };

		if (query_run(s, ADD_CHANGE_LINE, 1, err, "lutt", change, (unsigned int)i, signs,
			      c->lines.v[i].text))
			return -1;
	}
	return 0;
}

/* A row is no longer than this, which store.c allows it to be. */
#define PART (512 << 10)

static int add_before(struct store *s, uint64_t change, const struct record *r, struct error *err)
{
	for (size_t at = 0, i = 0; at < r->bytes.n; at += PART, i++) {
		size_t n = r->bytes.n - at < PART ? r->bytes.n - at : PART;

		if (query_run(s, ADD_BEFORE, 1, err, "lub", change, (unsigned int)i,
			      r->bytes.v + at, n))
			return -1;
	}
	return 0;
}

static int add_change(struct store *s, const struct history_change *c, const struct record *r,
		      struct error *err)
{
	size_t lines = c->lines.n < HISTORY_LINES_MAX ? c->lines.n : HISTORY_LINES_MAX;
	uint64_t id;

	if (query_run(s, ADD_CHANGE, 1, err, "luttlllll", (uint64_t)c->at, c->uid, c->user,
		      c->command, c->added, c->changed, c->removed, (uint64_t)lines,
		      (uint64_t)r->bytes.n) ||
	    last_change(s, &id, err) || add_lines(s, id, c, lines, err) ||
	    add_before(s, id, r, err))
		return -1;
	return drop_excess(s, id, err);
}

int history_forget_before(struct store *s, struct error *err)
{
	uint64_t id;

	return last_change(s, &id, err) || run_up_to(s, FORGET_BEFORE, id, err) ||
			       run_up_to(s, NOTE_NO_BEFORE, id, err)
		       ? -1
		       : 0;
}

int store_note(struct store *s, const struct history_change *c, const struct model *had,
	       const struct model *will, struct error *err)
{
	_cleanup_record_ struct record before = { 0 };

	if (record_make(had, will, &before, err) == 0 && add_change(s, c, &before, err) == 0)
		return 0;
	store_rollback(s);
	return -1;
}

/* ------------------------------------------------------------ from rows */

static int load_lines(struct store *s, struct history_change *c, size_t most, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt =
		query_begin(s, LIST_CHANGE_LINES, err, "ll", c->id, (uint64_t)most);
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

/* The changes that a statement finds. */
static int load_changes(struct store *s, sqlite3_stmt *found, size_t lines, struct history *out,
			struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = found;
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		struct history_change *c = vec_push(&out->list);

		c->id = (uint64_t)sqlite3_column_int64(stmt, 0);
		c->at = sqlite3_column_int64(stmt, 1);
		c->uid = (uint32_t)sqlite3_column_int64(stmt, 2);
		c->user = column_string(stmt, 3);
		c->command = column_string(stmt, 4);
		c->added = (uint64_t)sqlite3_column_int64(stmt, 5);
		c->changed = (uint64_t)sqlite3_column_int64(stmt, 6);
		c->removed = (uint64_t)sqlite3_column_int64(stmt, 7);
		c->kept = (uint64_t)sqlite3_column_int64(stmt, 8);
		if (!c->user || !c->command)
			return damaged(s, err, "a change of the history is none");
		if (load_lines(s, c, lines, err))
			return -1;
	}
	return more;
}

/* One that is kept behind one that is not cannot be gone back to. */
static int note_undoable(struct store *s, struct history *h, struct error *err)
{
	uint64_t oldest = h->list.n ? h->list.v[0].id : 0, lost = 0;
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_BYTES, err, "l", oldest);
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		if (sqlite3_column_int64(stmt, 1) < 0 && !lost)
			lost = (uint64_t)sqlite3_column_int64(stmt, 0);
	}
	vec_each (c, &h->list)
		c->undoable = c->id > lost;
	return more;
}

int store_history(struct store *s, size_t n, size_t lines, struct history *out, struct error *err)
{
	memset(out, 0, sizeof(*out));
	if (!s->db || (load_changes(s, query_begin(s, LIST_CHANGES, err, "l", (uint64_t)n), lines,
				    out, err) == 0 &&
		       note_undoable(s, out, err) == 0))
		return 0;
	history_free(out);
	return -1;
}

static int no_change(uint64_t id, struct error *err)
{
	return error_usage(err, "there is no change %llu; `tenantnat show history` lists them",
			   (unsigned long long)id);
}

int store_history_one(struct store *s, uint64_t id, size_t lines, struct history *out,
		      struct error *err)
{
	memset(out, 0, sizeof(*out));
	if (!s->db)
		return no_change(id, err);
	if (load_changes(s, query_begin(s, FIND_CHANGE, err, "l", id), lines, out, err) == 0 &&
	    note_undoable(s, out, err) == 0)
		return out->list.n ? 0 : no_change(id, err);
	history_free(out);
	return -1;
}

/* ------------------------------------------------------------ back */

/* Changes to be taken back, the newest first. */
struct way_back {
	VEC(uint64_t) ids;
};

static int too_old(uint64_t asked, uint64_t lost, struct error *err)
{
	if (!asked)
		return error_usage(err,
				   "what was in force before change %llu is not kept; apply a "
				   "definitions file instead",
				   (unsigned long long)lost);
	return error_usage(err,
			   "change %llu is too old to be undone: what was in force before change "
			   "%llu is not kept any more; `tenantnat show history -v` says which can "
			   "be undone",
			   (unsigned long long)asked, (unsigned long long)lost);
}

/* `asked` 0: to the newest one with anything to take back. */
static int find_way_back(struct store *s, uint64_t asked, struct way_back *out, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_BYTES, err, "l", asked);
	uint64_t id = 0;
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		int64_t bytes = sqlite3_column_int64(stmt, 1);

		id = (uint64_t)sqlite3_column_int64(stmt, 0);
		if (bytes < 0)
			return too_old(asked, id, err);
		if (bytes > 0)
			*vec_push(&out->ids) = id;
		if (!asked && bytes > 0)
			return 0;
	}
	if (more < 0)
		return -1;
	if (!asked)
		return error_usage(err, "no change of the definitions is known, so there is "
					"nothing to undo");
	return id == asked ? 0 : no_change(asked, err);
}

static int load_before(struct store *s, uint64_t change, struct record *out, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_BEFORE, err, "l", change);
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		const void *data = sqlite3_column_blob(stmt, 0);
		size_t n = (size_t)sqlite3_column_bytes(stmt, 0);

		out->bytes.v = xrealloc(out->bytes.v, out->bytes.n + n, 1);
		if (n)
			memcpy(out->bytes.v + out->bytes.n, data, n);
		out->bytes.n += n;
	}
	return more;
}

static int go_back(struct store *s, const struct way_back *way, struct model *m, struct error *err)
{
	char buf[MODEL_FAULT];
	const char *fault;

	vec_each (id, &way->ids) {
		_cleanup_record_ struct record before = { 0 };

		if (load_before(s, *id, &before, err))
			return -1;
		if (!record_apply(&before, m))
			return error_set(err,
					 "what was in force before change %llu cannot be read; it "
					 "is damaged, or was written by another tenantnat: apply a "
					 "definitions file instead",
					 (unsigned long long)*id);
	}
	fault = model_fault(m, buf);
	return fault ? damaged(s, err, fault) : 0;
}

int store_go_back(struct store *s, uint64_t *id, struct model *m, struct error *err)
{
	struct way_back way = { 0 };
	int ret;

	if (!s->db)
		return *id ? no_change(*id, err)
			   : error_usage(err, "nothing was changed yet, so there is nothing to "
					      "undo");
	ret = find_way_back(s, *id, &way, err);
	if (!ret)
		ret = go_back(s, &way, m, err);
	if (!ret && !*id && way.ids.n)
		*id = way.ids.v[0];
	vec_free(&way.ids);
	return ret;
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include "store/query.h"

#include <stdarg.h>

#include "lib/interrupt.h"
#include "store/store_internal.h"

static const char *const queries[] = {
#define X(id, sql) [id] = sql,
	/* NOLINTNEXTLINE(bugprone-suspicious-missing-comma): long queries are joined literals */
	QUERIES(X)
#undef X
};

int sql_exec(struct store *s, const char *sql, struct error *err)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : sql_error(s, err);
}

/* 4 or 16 bytes. */
static void bind_addr(sqlite3_stmt *stmt, int i, const struct tn_addr *a)
{
	if (addr_is_v4(a))
		sqlite3_bind_blob(stmt, i, &a->w[3], 4, SQLITE_STATIC);
	else
		sqlite3_bind_blob(stmt, i, a->w, 16, SQLITE_STATIC);
}

static sqlite3_stmt *query_args(struct store *s, enum query query, struct error *err,
				const char *types, va_list args)
{
	sqlite3_stmt **stmt = &s->statements[query];

	if (!*stmt && sqlite3_prepare_v3(s->db, queries[query], -1, SQLITE_PREPARE_PERSISTENT, stmt,
					 NULL) != SQLITE_OK) {
		sql_error(s, err);
		return NULL;
	}
	for (int i = 1; types[i - 1]; i++) {
		const void *bytes;

		if (types[i - 1] == 'u')
			sqlite3_bind_int64(*stmt, i, va_arg(args, unsigned int));
		else if (types[i - 1] == 'l')
			sqlite3_bind_int64(*stmt, i, (int64_t)va_arg(args, uint64_t));
		else if (types[i - 1] == 't')
			sqlite3_bind_text(*stmt, i, va_arg(args, const char *), -1, SQLITE_STATIC);
		else if (types[i - 1] == 'a')
			bind_addr(*stmt, i, va_arg(args, const struct tn_addr *));
		else {
			bytes = va_arg(args, const void *);
			sqlite3_bind_blob64(*stmt, i, bytes, va_arg(args, size_t), SQLITE_STATIC);
		}
	}
	return *stmt;
}

sqlite3_stmt *query_begin(struct store *s, enum query query, struct error *err, const char *types,
			  ...)
{
	sqlite3_stmt *stmt;
	va_list args;

	va_start(args, types);
	stmt = query_args(s, query, err, types, args);
	va_end(args);
	return stmt;
}

int query_next(struct store *s, sqlite3_stmt *stmt, struct error *err)
{
	switch (sqlite3_step(stmt)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		return sql_error(s, err);
	}
}

int query_run(struct store *s, enum query query, size_t changes, struct error *err,
	      const char *types, ...)
{
	_cleanup_reset_ sqlite3_stmt *stmt = NULL;
	va_list args;

	va_start(args, types);
	stmt = query_args(s, query, err, types, args);
	va_end(args);
	if (!stmt || query_next(s, stmt, err) < 0 || interrupt_check(err))
		return -1;
	if ((size_t)sqlite3_changes64(s->db) != changes)
		return error_set(err,
				 "%s was changed by another program while it was in use; "
				 "run the command again",
				 s->file);
	return 0;
}

char *column_text(sqlite3_stmt *stmt, int i, bool *bad)
{
	const char *text = (const char *)sqlite3_column_text(stmt, i);

	if (text && strlen(text) != (size_t)sqlite3_column_bytes(stmt, i))
		*bad = true;
	return text ? xstrdup(text) : NULL;
}

char *column_string(sqlite3_stmt *stmt, int i)
{
	bool bad = false;
	char *text = column_text(stmt, i, &bad);

	if (!bad)
		return text;
	free(text);
	return NULL;
}

uint32_t column_id(sqlite3_stmt *stmt, int i)
{
	int64_t id = sqlite3_column_int64(stmt, i);

	return id < 0 || id > UINT32_MAX ? 0 : id;
}

bool column_prefix(sqlite3_stmt *stmt, int i, struct prefix *out)
{
	const char *text = (const char *)sqlite3_column_text(stmt, i);

	return text && prefix_parse(text, out);
}

bool column_addr(sqlite3_stmt *stmt, int i, struct tn_addr *out)
{
	const void *bytes = sqlite3_column_blob(stmt, i);
	int n = sqlite3_column_bytes(stmt, i);

	*out = addr_from_bytes(bytes, n);
	return !addr_is_unset(out) && addr_is_v4(out) == (n == 4);
}

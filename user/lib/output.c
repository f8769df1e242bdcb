/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/output.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <unistd.h>

void table_free(struct table *t)
{
	vec_each (cell, &t->cells)
		free(*cell);
	vec_free(&t->cells);
}

void table_cell(struct table *t, const char *format, ...)
{
	char **cell = vec_push(&t->cells);
	va_list args;

	va_start(args, format);
	if (vasprintf(cell, format, args) < 0)
		*cell = xstrdup("");
	va_end(args);
}

void table_print(const struct table *t)
{
	_cleanup_free_ size_t *width = xzalloc(t->columns * sizeof(*width));

	for (size_t i = 0; i < t->cells.n; i++) {
		size_t n = strlen(t->cells.v[i]);

		if (n > width[i % t->columns])
			width[i % t->columns] = n;
	}
	for (size_t i = 0; i < t->cells.n; i++) {
		bool header = i < (size_t)t->columns, last = (i + 1) % t->columns == 0;

		printf("%s%-*s%s%s", header ? color_bold() : "",
		       last ? 0 : (int)width[i % t->columns], t->cells.v[i],
		       header ? color_off() : "", last ? "\n" : "  ");
	}
}

int json_print(json_t *json, struct error *err)
{
	size_t flags = isatty(STDOUT_FILENO) ? JSON_INDENT(2) : JSON_COMPACT;
	int ret = json ? json_dumpf(json, stdout, flags | JSON_ENSURE_ASCII) : -1;

	json_decref(json);
	if (ret)
		return error_set(err, "cannot write JSON");
	putchar('\n');
	return 0;
}

json_t *json_text(const char *text)
{
	return text ? json_string(text) : json_null();
}

static bool knows_sequences(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

bool output_has_nobody(void)
{
	struct pollfd out = { .fd = STDOUT_FILENO };

	return poll(&out, 1, 0) > 0 && (out.revents & (POLLERR | POLLNVAL));
}

const char *screen_clear(void)
{
	/* home, and clear all behind it */
	return knows_sequences() ? "\033[H\033[J" : "";
}

/* https://no-color.org */
static const char *color(const char *sequence)
{
	const char *none = getenv("NO_COLOR");

	return knows_sequences() && !(none && *none) ? sequence : "";
}

const char *color_added(void)
{
	return color("\033[32m");
}

const char *color_changed(void)
{
	return color("\033[33m");
}

const char *color_removed(void)
{
	return color("\033[31m");
}

const char *color_bold(void)
{
	return color("\033[1m");
}

const char *color_off(void)
{
	return color("\033[0m");
}

const char *duration_text(int64_t s, char buf[DURATION_TEXT])
{
	if (s < 120)
		snprintf(buf, DURATION_TEXT, s == 1 ? "second" : "%" PRId64 " seconds", s);
	else if (s < 7200)
		snprintf(buf, DURATION_TEXT, "%" PRId64 " minutes", s / 60);
	else if (s < 172800)
		snprintf(buf, DURATION_TEXT, "%" PRId64 " hours", s / 3600);
	else
		snprintf(buf, DURATION_TEXT, "%" PRId64 " days", s / 86400);
	return buf;
}

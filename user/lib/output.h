/* SPDX-License-Identifier: GPL-2.0-only */
/* What goes to stdout: tables for people, JSON for programs (jansson). */
#ifndef TN_OUTPUT_H
#define TN_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/error.h"
#include "lib/util.h"

/* A table: the first row is its header, all cells are strings, columns are aligned. */
struct table {
	int columns;
	VEC(char *) cells;
};

#define _cleanup_table_ _cleanup_(table_free)
void table_free(struct table *t);
/* One more cell, row by row; the text is formatted and copied. */
void table_cell(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_print(const struct table *t);

/* Print and free; one line, or indented on a terminal. */
int json_print(json_t *json, struct error *err);
static inline void json_cleanup(json_t **json)
{
	json_decref(*json);
}
#define _cleanup_json_ _cleanup_(json_cleanup)
/* NULL becomes JSON's null. */
json_t *json_text(const char *text);

/* Whether nobody reads stdout any more; a file has no end. */
bool output_has_nobody(void);

/* So many seconds behind "for" or "of the last": "second", "59 seconds", "3 days"; returns `buf`.
 */
#define DURATION_TEXT 64
const char *duration_text(int64_t s, char buf[DURATION_TEXT]);

/* What empties the screen; "" when stdout is no terminal, or one that TERM calls dumb or nothing.
 */
const char *screen_clear(void);

/* Escape sequences, or "" where that is "", or when NO_COLOR is set and not empty. */
const char *color_added(void);
const char *color_changed(void);
const char *color_removed(void);
const char *color_bold(void);
const char *color_off(void);

#endif

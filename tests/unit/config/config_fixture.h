/* SPDX-License-Identifier: GPL-2.0-only */
/* Definitions files for the tests, and what config_parse() makes of them. */
#ifndef TN_CONFIG_FIXTURE_H
#define TN_CONFIG_FIXTURE_H

#include <stdint.h>

#include "config/config.h"
#include "lib/util.h"

/* The two lines that most of them begin with. */
#define NETWORK                                                       \
	"shared-network: {subnets: [100.64.0.0/16, \"fd64::/64\"]}\n" \
	"tenants:\n"

/* Everything that a definitions file can say. */
extern const char everything[];

/* A file that is being written. */
struct text {
	char *v;
	size_t n;
	size_t cap;
};
void text_free(struct text *t);
#define _cleanup_text_ _cleanup_(text_free)

/* Append at most 511 bytes. */
void __attribute__((format(printf, 2, 3))) text_add(struct text *t, const char *format, ...);

/* Parse without an error; the model is the caller's to free. */
struct model good_bytes(const char *bytes, size_t len);
struct model good(const char *yaml);

/* Parse, and check what is promised of every answer, whatever the file. */
int parse_any(const char *bytes, size_t len, struct config_errors *errors);

/* The errors of a file, one a line, without its name. */
struct text errors_of(const char *bytes, size_t len);

/*
 * Any definitions, with all that YAML could take for something else, as in a file: without ids, and
 * nothing is leased. `escaped`: also characters that a file has only as escapes. In test_write.c.
 */
struct dice;
void make_model(struct dice *d, struct model *m, bool escaped);

void expect_pos(struct pos at, uint32_t line, uint32_t col);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Manuals and completions, written from what the executable itself knows: the table of commands,
 * and the schema of the definitions file. Run by the build; nothing of it is in the executable.
 */
#ifndef TN_REFERENCE_H
#define TN_REFERENCE_H

#include <jansson.h>
#include <stdio.h>

#include "cmd/table.h"

/* A command's name as one word, "map-add". */
const char *dashed(const struct command *c, char out[64]);

/* Manuals, for man(7). `date` is YYYY-MM-DD. */
void man_overview(FILE *out, const char *date);
void man_command(FILE *out, const char *date, const struct command *c);
/* `example`: a whole definitions file. */
void man_definitions(FILE *out, const char *date, const json_t *schema, const char *example);

/* Completions of three shells. Names of tenants and mappings come from `tenantnat map list`. */
void complete_bash(FILE *out);
void complete_zsh(FILE *out);
void complete_fish(FILE *out);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* A definitions file to begin with, as a person would write it: with comments. Pure. */
#ifndef TN_EXAMPLE_H
#define TN_EXAMPLE_H

#include <jansson.h>
#include <stdio.h>

#include "model/outline.h"

/*
 * config_parse() takes it as it is. A router of which not enough is known is there as a comment;
 * without any router there is one to be filled in, as a comment too.
 */
void example_write(const struct outline *o, FILE *to);
/* What was found: {"subnets", "routers": [{"tenant", "netns", "shared" or null, "inside"}]}. */
json_t *example_json(const struct outline *o);

#endif

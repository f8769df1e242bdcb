/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The inverse of config.h: a model to a definitions file, so that config_parse() makes the same
 * model of it. Left out is what no file has: ids, leases, what is detached. Pure.
 */
#ifndef TN_CONFIG_WRITE_H
#define TN_CONFIG_WRITE_H

#include <jansson.h>
#include <stdio.h>

#include "model/model.h"

/*
 * As YAML, by libyaml's emitter. What YAML, or some reader of it, takes for something else than
 * text is in quotes. A burst that is the default, or that no file may say any more, is left out.
 * -1: a name in the model is no UTF-8, or `to` cannot be written to.
 */
int definitions_write(const struct model *m, FILE *to, struct error *err);

/* The same keys and values as JSON; NULL: a name is no UTF-8. The caller's to free. */
json_t *definitions_json(const struct model *m, struct error *err);

/*
 * Such JSON as YAML, also of others, who may have put anything into it. -1: it has something that
 * no definitions file has.
 */
int definitions_json_write(const json_t *definitions, FILE *to, struct error *err);

/* Whether every reader of YAML takes it for text when it stands without quotes. */
bool text_is_plain(const char *text);

/* Lists as such files have them: of texts, of prefixes, and the services of a rule. */
json_t *texts_json(char *const *v, size_t n);
json_t *prefixes_json(const struct prefix *v, size_t n);
json_t *services_json(const struct rule *r);
/* When it ends, as such files have it; null: it does not. */
json_t *until_json(const struct rule *r);

#endif

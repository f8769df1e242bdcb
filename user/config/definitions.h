/* SPDX-License-Identifier: GPL-2.0-only */
/* The definitions file, from where the user says that it is. */
#ifndef TN_DEFINITIONS_H
#define TN_DEFINITIONS_H

#include "config/config.h"
#include "lib/error.h"
#include "model/kernel_state.h"

/*
 * Read and parse the file at `path` ("-": stdin): a regular one or a pipe, and no more than
 * CONFIG_SIZE_MAX of it. *out is located (model_locate) on this host, the caller's to free, and
 * empty after an error. Every error in the file is a line on stderr, and `err` says how many.
 */
int definitions_read(const char *path, struct model *out, struct error *err);

/*
 * The same, but nobody prints the errors in the file: `errors` has them, which is the caller's to
 * free, also on failure. It is empty when the file cannot be read.
 */
int definitions_parse(const char *path, struct model *out, struct config_errors *errors,
		      struct error *err);

/*
 * What the file says of a tenant is not what is usually meant: one sentence after the other, from
 * 0 on; NULL: there is none of that number. The caller's to free.
 */
char *definitions_warning(const struct tenant *t, unsigned int number);

/* The rule has ended already, as a sentence; NULL: it has not. The caller's to free. */
char *definitions_rule_warning(const struct rule *r);

/* Warn if all routers of the file have other hosts: this one may be called otherwise than meant. */
void definitions_warn_host(const char *path, const struct model *m);

/*
 * On a host that is in no cluster: -1 with a usage error if a router of the scope is elected, which
 * takes one.
 */
int definitions_check_alone(const char *path, const struct model *m, const struct scope *only,
			    struct error *err);

/* Warn of each tenant in the scope, and of its rules: a line for each warning, in their order. */
void definitions_warn(const char *path, const struct model *m, const struct scope *only);

#endif

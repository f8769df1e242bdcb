/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The definitions file: YAML (libyaml's events) to a model, or every error of
 * the file at once. Pure: works on bytes, touches nothing.
 */
#ifndef TN_CONFIG_H
#define TN_CONFIG_H

#include <stddef.h>

#include "model/model.h"

/*
 * Each one "FILE:LINE:COL: what, and what to do", in the order of the file; columns
 * count characters, from 1. Owned by the list.
 */
struct config_errors {
	VEC(char *) list;
	size_t dropped; /* errors after the first CONFIG_ERRORS_MAX, counted only */
};
#define CONFIG_ERRORS_MAX 100

void config_errors_free(struct config_errors *errors);

/* In bytes: a million mappings with all that can be said of them are half of it. */
#define CONFIG_SIZE_MAX ((size_t)512 << 20)

/*
 * Parse `len` bytes, of which none is read if there are more than CONFIG_SIZE_MAX; `file` names
 * them in errors. On success 0, and *out is the caller's to free. On failure -1, at least one
 * error, and *out is empty. What *out and *errors held before is overwritten.
 *
 * The model is in the order of the file, without ids. The place of a tenant or a
 * mapping is its first key, that of a router the key `router`.
 *
 * Everything that the file alone can tell is checked here: unknown and duplicate
 * keys, aliases and anchors, types, names, families, host bits, duplicate
 * fixed or shared addresses, a shared address outside its pool or on a network
 * or broadcast address, pools outside the shared subnets, a pool that overlaps
 * another tenant's while one of the two has an address pinned in the other's.
 */
int config_parse(const char *bytes, size_t len, const char *file, struct model *out,
		 struct config_errors *errors);

/*
 * The same of a part of the definitions, such as one tenant of them: what rules name may be
 * elsewhere. `err` says what is wrong first, and what to do, without a place.
 */
int config_parse_part(const char *bytes, size_t len, struct model *out, struct error *err);

#endif

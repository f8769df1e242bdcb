/* SPDX-License-Identifier: GPL-2.0-only */
/* Between two definitions: some tenants of the one in the other, and how much is lost. Pure. */
#ifndef TN_SELECT_H
#define TN_SELECT_H

#include "lib/error.h"
#include "model/model.h"

/*
 * Put the tenants with these names as they are in `from` into `into`, from which those go that
 * `from` does not have. They are moved: `from` is good for nothing but to be freed. -1 with a usage
 * error: neither has one of that name, the shared subnets differ, or what comes does not go with
 * what stays.
 */
int model_take(struct model *into, struct model *from, const char *const *names, size_t n,
	       struct error *err);

/* Mappings of `had` that are not in `will` any more, neither by tenant and fixed nor by shared
 * address. Both are sorted. */
size_t model_lost(const struct model *had, const struct model *will);
size_t model_mappings(const struct model *m);

#endif

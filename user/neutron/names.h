/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names of tenants and mappings, made of those that people have given to routers and ports: these
 * may be anything, and may be there twice. Pure.
 */
#ifndef TN_NEUTRON_NAMES_H
#define TN_NEUTRON_NAMES_H

#include <stdbool.h>

#include "neutron/inventory.h"

/*
 * Fit for a name: what is not of [a-z0-9-] (`lower`: letters become small ones) or [A-Za-z0-9._-]
 * becomes a dash, one for many, and none at the ends; cut to what a name may have. NULL: nothing is
 * left. The caller's to free.
 */
char *name_slug(const char *text, bool lower);

struct name_entry;
/* Names that are taken. Zeroed is empty. */
struct name_set {
	struct name_entry *head;
};

void name_set_free(struct name_set *set);
#define _cleanup_name_set_ _cleanup_(name_set_free)

/*
 * The name, if it is free; else with the beginning of the id behind it, or all of the id. So it
 * depends on those who came before, and on nobody else. It is taken from now on. The caller's to
 * free.
 */
char *name_take(struct name_set *set, const char *slug, const char id[NEUTRON_ID]);

#endif

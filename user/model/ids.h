/* SPDX-License-Identifier: GPL-2.0-only */
/* Ids of tenants, routers and rules, by which maps and state.db name them. Pure. */
#ifndef TN_IDS_H
#define TN_IDS_H

#include "lib/error.h"
#include "model/model.h"

/*
 * What `have` has keeps its id: a tenant and its router by name, a rule by what it says. What is
 * new keeps an id that is filled in, if nobody in `have` has it; else it gets the smallest that
 * neither of them uses. -1: more than TN_ROUTERS_MAX - 1 routers on this machine.
 */
int ids_assign(struct model *want, const struct model *have, struct error *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether a tenant's router is attached: one word for all who say it. Pure. */
#ifndef TN_STANDING_H
#define TN_STANDING_H

#include "model/model.h"
#include "model/rows.h"

/* X(ID, "name") */
#define STANDINGS(X)                                             \
	X(ELSEWHERE, "elsewhere") /* none is defined here */     \
	X(ATTACHED, "attached")                                  \
	X(DETACHED, "detached") /* by `tenantnat detach` */      \
	X(MISSING, "missing")	/* it has to be, and is not */   \
	X(BROKEN, "broken")	/* something of it is missing */ \
	X(STANDBY, "standby")	/* attached; another host has its address now, or none has */

enum standing {
#define X(id, name) STANDING_##id,
	STANDINGS(X)
#undef X
};

const char *standing_name(enum standing standing);
/* `row`: what the maps have of the router, as it was read; NULL: nothing. */
enum standing standing_of(const struct tenant *t, const struct router_row *row);

#endif

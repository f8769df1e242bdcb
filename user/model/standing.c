/* SPDX-License-Identifier: GPL-2.0-only */
#include "model/standing.h"

static const char *const names[] = {
#define X(id, name) name,
	STANDINGS(X)
#undef X
};

const char *standing_name(enum standing standing)
{
	return names[standing];
}

enum standing standing_of(const struct tenant *t, const struct router_row *row)
{
	if (!t->router)
		return STANDING_ELSEWHERE;
	if (t->router->detached)
		return STANDING_DETACHED;
	return !row	      ? STANDING_MISSING
	       : row->broken  ? STANDING_BROKEN
	       : row->standby ? STANDING_STANDBY
			      : STANDING_ATTACHED;
}

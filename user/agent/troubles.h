/* SPDX-License-Identifier: GPL-2.0-only */
/* What is not as it is to be, for as long as it lasts: logged once, and once more when it is over.
 */
#ifndef TN_TROUBLES_H
#define TN_TROUBLES_H

#include "change/execute.h"

struct trouble {
	char tenant[TENANT_NAME_MAX + 1]; /* "": everybody's */
	char *text;
	uint64_t since; /* milliseconds of the monotonic clock */
	bool logged;
};

struct troubles {
	VEC(struct trouble) list;
};

/* These there are now, and no others. What is over within a moment is not logged. */
void troubles_update(struct troubles *t, const struct failures *failed, uint64_t now);
/* The same, of one that is about no single router. */
void troubles_update_error(struct troubles *t, const struct error *err, uint64_t now);
void troubles_free(struct troubles *t);

#endif

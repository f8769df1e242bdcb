/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of a session share: keys with the cluster's prefix, and ranges of them. */
#ifndef TN_SESSION_INTERNAL_H
#define TN_SESSION_INTERNAL_H

#include "cluster/session.h"

/* With the prefix; the caller's to free. */
char *session_key(const struct session *s, const char *key);

/* For each key of a range, without the prefix; `value` is text. -1 ends the reading. */
struct session_taking {
	const struct session *s;
	int (*each)(void *arg, const char *key, char *value, int64_t revision, struct error *err);
	void *arg;
};

/* Keys from `from` on that are before `to` (NULL: that one alone), as they were at s->revision. */
int session_read_range(struct session *s, const char *from, const char *to,
		       struct session_taking *taking, struct error *err);
/* All that was read. */
void session_forget(struct session *s);

/* The first key behind all of the history. */
#define BEHIND_HISTORY "history0"

#endif

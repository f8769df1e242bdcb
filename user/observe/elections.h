/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the process that elects (`tenantnat cluster elect`) knows of the elected routers that this
 * host may have, for others to show: it writes a file of the state whenever that changes.
 */
#ifndef TN_ELECTIONS_H
#define TN_ELECTIONS_H

#include <limits.h>

#include "lib/error.h"
#include "lib/util.h"

struct elected {
	char *tenant;
	char *holder;  /* the host that is elected; NULL: none, or not known */
	int64_t since; /* seconds since 1970, by that host's clock; 0: not known */
	bool here;     /* and it is active, here */
};

struct elections {
	bool runs;	/* the process; only in what was read */
	bool connected; /* etcd answers; else the rest is as it was before */
	VEC(struct elected) list;
};

void elections_free(struct elections *e);
#define _cleanup_elections_ _cleanup_(elections_free)
/* NULL: nothing is known of that tenant. */
const struct elected *elections_of(const struct elections *e, const char *tenant);

/* The file that the process has (lib/file.h) while it runs. */
void elections_lock(const char *state, char path[PATH_MAX]);
/* As it is in the file; the caller's to free. */
char *elections_text(const struct elections *e);
int elections_write(const char *state, const char *text, struct error *err);
/* The caller's to free. What cannot be read is empty. */
void elections_read(const char *state, struct elections *out);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entries with fields in systemd's journal, by its native protocol (sd_journal_sendv(3)). In a
 * build with SYSTEMD=no there are none.
 */
#ifndef TN_JOURNAL_H
#define TN_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/error.h"

/* Whether stderr leads to the journal, as JOURNAL_STREAM says (systemd.exec(5)). */
bool journal_is_stderr(void);

/* -1 with an error: there is no journal here, or this build cannot write to it. */
int journal_check(struct error *err);

struct journal_field {
	const char *name;  /* A-Z and _ */
	const char *value; /* NULL: the entry has no such field */
};
#define JOURNAL_FIELDS_MAX 16

/*
 * One entry, with the priority of syslog(3); SYSLOG_IDENTIFIER comes by itself, and it says nothing
 * of the source code. -1: it could not be sent.
 */
int journal_send(int priority, const char *message, const struct journal_field *fields, size_t n);

#endif

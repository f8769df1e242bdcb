/* SPDX-License-Identifier: GPL-2.0-only */
/* What this host is called where definitions name hosts. */
#ifndef TN_HOST_NAME_H
#define TN_HOST_NAME_H

/* What host_name_set() said last; else gethostname(2). */
const char *host_name(void);
/* gethostname(2), whatever was set. */
const char *host_name_of_machine(void);
/* The text outlives all calls of host_name(). NULL: gethostname(2) again. */
void host_name_set(const char *name);

#endif

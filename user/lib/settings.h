/* SPDX-License-Identifier: GPL-2.0-only */
/* What one run of the program goes by, whatever it does. */
#ifndef TN_SETTINGS_H
#define TN_SETTINGS_H

#include <stdbool.h>

/* The texts outlive whoever is given the settings. */
struct settings {
	const char *state;     /* the directory of state.db */
	const char *bpffs;     /* the directory of the pins */
	const char *command;   /* its name, one or two words: whoever waits for the lock is told */
	const char *line;      /* the call as it can be typed in again, for the history */
	unsigned int wait;     /* seconds for the lock */
	bool waits_for_hosts;  /* they were given: in a cluster a change waits for hosts, too */
	unsigned int patience; /* probes wait this many times as long for answers; from 1 */
	bool quiet;	       /* say what went wrong, and nothing else */
	bool all_lines;	       /* of a plan all are printed: else the history's are enough */
};

#endif

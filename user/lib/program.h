/* SPDX-License-Identifier: GPL-2.0-only */
/* Programs of others that are run and waited for. */
#ifndef TN_PROGRAM_H
#define TN_PROGRAM_H

#include "lib/error.h"

/*
 * Run argv[0], found in PATH, without a shell, and wait until it ends: give it a time limit of its
 * own where it can wait for somebody. `argv` ends with NULL. -1: it cannot be run, or did not exit
 * with 0; the error has the first line of what it wrote to stderr.
 */
int program_run(const char *const argv[], struct error *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* The definitions file, from where the user says that it is. */
#ifndef TN_DEFINITIONS_H
#define TN_DEFINITIONS_H

#include "lib/error.h"
#include "model/model.h"

/*
 * Read and parse the file at `path` ("-": stdin). *out is the caller's to free, and empty after an
 * error. Every error in the file is a line on stderr, and `err` says how many.
 */
int definitions_read(const char *path, struct model *out, struct error *err);

#endif

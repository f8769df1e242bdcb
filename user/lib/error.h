/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One error, as one sentence for a person: what is wrong, where, and what to do.
 * Functions that can fail take a `struct error *` last and return 0 or -1; only
 * main prints. The first error set stays: an undo that fails too does not hide it.
 */
#ifndef TN_ERROR_H
#define TN_ERROR_H

#include <stdbool.h>

struct error {
	bool set;
	bool usage; /* the request or the input was wrong: exit 2, not 1 */
	char text[1024];
};

/* Both return -1, so that callers can `return error_set(…)`. */
int error_set(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
int error_usage(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Put "PREFIX: " before the text of an error that is set; returns -1. */
int error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

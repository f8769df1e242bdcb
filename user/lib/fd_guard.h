/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Descriptors that a library leaves open, for a process that stays. libxdp 1.3.1 of Debian 12
 * keeps one of every program that it looks at (xdp-tools issue 343, mended later), and with
 * it the program. For one thread:
 *
 *	_cleanup_fd_guard_ struct fd_guard guard = fd_guard_begin();
 *
 * comes first in a scope, so that it ends last, and closes what was opened since and is still
 * open. Nothing that is to stay may be opened in that scope.
 */
#ifndef TN_FD_GUARD_H
#define TN_FD_GUARD_H

#include <stdint.h>

#include "lib/util.h"

struct fd_guard {
	int first;	 /* the lowest descriptor that was free; -1: not known */
	uint64_t before; /* which of the 64 from there on were not */
};

struct fd_guard fd_guard_begin(void);
void fd_guard_end(const struct fd_guard *s);
#define _cleanup_fd_guard_ _cleanup_(fd_guard_end)

#endif

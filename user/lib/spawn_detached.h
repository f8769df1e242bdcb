/* SPDX-License-Identifier: GPL-2.0-only */
/* What takes longer than anybody wants to wait for, and that nothing depends on. */
#ifndef TN_SPAWN_DETACHED_H
#define TN_SPAWN_DETACHED_H

#include <stddef.h>

#include <sys/types.h>

#include "lib/error.h"
#include "lib/settings.h"

/*
 * Have another process of this executable run `command` with `n` arguments, for the state and the
 * bpffs of `settings`. It is in a session of its own, has none of our descriptors, reads nothing
 * and says nothing; nobody waits for it.
 */
int spawn_detached(const struct settings *settings, const char *command, char *const *args,
		   size_t n, struct error *err);

/*
 * Run ourselves with these words (command, arguments and options) and the same state and bpffs, as
 * a child. *out, the caller's to close, is what it writes to stdout (not to be waited for:
 * O_NONBLOCK); stderr is ours.
 */
int spawn_child(const struct settings *settings, char *const *words, size_t n, pid_t *pid, int *out,
		struct error *err);

#endif

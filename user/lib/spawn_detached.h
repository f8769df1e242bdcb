/* SPDX-License-Identifier: GPL-2.0-only */
/* What takes longer than anybody wants to wait for, and that nothing depends on. */
#ifndef TN_SPAWN_DETACHED_H
#define TN_SPAWN_DETACHED_H

#include <stddef.h>

#include "lib/error.h"
#include "lib/settings.h"

/*
 * Have another process of this executable run `command` with `n` arguments, for the state and the
 * bpffs of `settings`. It is in a session of its own, has none of our descriptors, reads nothing
 * and says nothing; nobody waits for it.
 */
int spawn_detached(const struct settings *settings, const char *command, char *const *args,
		   size_t n, struct error *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Routing rules of the current network namespace that go by a packet's mark (RTM_GETRULE; kernel:
 * net/core/fib_rules.c).
 */
#ifndef TN_MARK_RULES_H
#define TN_MARK_RULES_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/util.h"

struct mark_rule {
	bool six;
	uint32_t priority; /* "pref" of ip(8) */
	uint32_t mark, mask;
	char iif[IF_NAMESIZE]; /* of what comes in there alone; "": by any interface */
};

struct mark_rules {
	VEC(struct mark_rule) list;
};

/* Those that lead somewhere: not those that refuse, nor those of the tables that all packets use.
 */
int mark_rules_read(struct mark_rules *out, struct error *err);

#endif

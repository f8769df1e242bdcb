/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which events several readers want. The programs know one request (struct tn_watch), so they are
 * told what all readers want together, and each reader takes from that what is its own. Pure.
 */
#ifndef TN_WANTED_H
#define TN_WANTED_H

#include <stdbool.h>
#include <stdint.h>

#include "tn_abi.h"

/* Make `sum` ask for what `want` asks for, too. `sum` is zero before the first. */
void wanted_add(struct tn_watch *sum, const struct tn_watch *want);

/*
 * Whether an event that was told because of `sum` is one of `want`'s. Of packets that pass, `sum`
 * has one in so many: `chance`, any number, decides which of these are taken.
 */
bool wanted_has(const struct tn_watch *want, const struct tn_watch *sum, const struct tn_event *e,
		uint32_t chance);

#endif

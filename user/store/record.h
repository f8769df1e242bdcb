/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a change has to remember to be taken back: of each thing in which two models differ, what it
 * was before. A tenant or mapping that is new takes a few bytes, however large it is; one that goes
 * takes all of itself. Pure.
 */
#ifndef TN_RECORD_H
#define TN_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/util.h"
#include "model/model.h"

struct record {
	VEC(uint8_t) bytes; /* compressed (zlib); empty: nothing differs */
};

void record_free(struct record *r);
#define _cleanup_record_ _cleanup_(record_free)

/* Both are sorted, and complete: with ids and leases. `out` is the caller's to free, also on
 * failure. */
int record_make(const struct model *had, const struct model *will, struct record *out,
		struct error *err);

/*
 * Put back into `m` (sorted, and so again then) what the record says. False: it is damaged, or of
 * another version of this program; `m` is good for nothing then but to be freed. What comes out of
 * a record that another has written may still be nonsense: see model_fault().
 */
bool record_apply(const struct record *r, struct model *m);

#endif

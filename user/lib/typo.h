/* SPDX-License-Identifier: GPL-2.0-only */
/* What somebody may have meant who typed something else. */
#ifndef TN_TYPO_H
#define TN_TYPO_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Edits from `typed` to `meant`, both in any case: a character more, less, another, or two swapped.
 * SIZE_MAX: so many that it is another word, or one has more than 63 bytes.
 */
size_t typo_edits(const char *typed, const char *meant);

/* The name that is nearest to what was typed, of those that were tried. */
struct typo {
	const char *typed;
	char meant[64]; /* "": nothing is near */
	size_t edits;	/* of `meant` */
};

/* The name is the first `n` bytes; of names that are equally near, the first stays. */
void typo_try(struct typo *t, const char *name, size_t n);

#endif

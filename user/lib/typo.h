/* SPDX-License-Identifier: GPL-2.0-only */
/* What somebody may have meant who typed something else. */
#ifndef TN_TYPO_H
#define TN_TYPO_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Edits from `typed` (in any case) to `meant` (in lower case): a character more, less, another, or
 * two swapped. SIZE_MAX: so many that it is another word.
 */
size_t typo_edits(const char *typed, const char *meant);

#endif

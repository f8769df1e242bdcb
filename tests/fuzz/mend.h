/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames that say what is true of them. Most of what is changed at random is dropped at
 * the first wrong length or checksum; mended, it gets to what lies behind.
 */
#ifndef TN_FUZZ_MEND_H
#define TN_FUZZ_MEND_H

#include <stddef.h>
#include <stdint.h>

/* Change some of the addresses in the frame to ones of the fixture. */
void mend_addresses(uint8_t *frame, size_t len, uint32_t random);
/* Make lengths and checksums right, or some of them. */
void mend_sums(uint8_t *frame, size_t len, uint32_t random);

#endif

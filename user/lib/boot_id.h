/* SPDX-License-Identifier: GPL-2.0-only */
/* Which boot of the machine this is: for files with times of the monotonic clock. */
#ifndef TN_BOOT_ID_H
#define TN_BOOT_ID_H

#define BOOT_ID_SIZE 40

/* "" when the kernel does not say. */
void boot_id(char out[BOOT_ID_SIZE]);

#endif

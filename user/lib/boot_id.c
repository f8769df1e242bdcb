/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/boot_id.h"

#include <string.h>

#include "lib/util.h"

void boot_id(char out[BOOT_ID_SIZE])
{
	_cleanup_fclose_ FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!f || !fgets(out, BOOT_ID_SIZE, f))
		out[0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

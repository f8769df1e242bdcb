/* SPDX-License-Identifier: GPL-2.0-only */
#include "cmd.h"

#include <string.h>

#ifndef VERSION
#define VERSION unknown
#endif
#define TEXT_OF(token) #token
#define TEXT(macro)    TEXT_OF(macro)

const char tenantnat_version[] = TEXT(VERSION);

const char *cmd_value(const struct invocation *inv, const char *option)
{
	for (int i = 0; i < CMD_OPTIONS_MAX && inv->command->options[i].name; i++) {
		if (strcmp(inv->command->options[i].name, option) == 0)
			return inv->values[i];
	}
	return NULL;
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include "cmd.h"

#include <stdio.h>
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

char *cmd_text(const struct invocation *inv)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs(inv->command->name, f);
	for (int i = 0; i < inv->nargs; i++)
		fprintf(f, " %s", inv->args[i]);
	for (int i = 0; i < CMD_OPTIONS_MAX && inv->command->options[i].name; i++) {
		const char *value = inv->values[i];

		if (value)
			fprintf(f, " --%s%s%s", inv->command->options[i].name, *value ? " " : "",
				value);
	}
	fclose(f);
	return text;
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include "cmd/cmd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "change/change.h"
#include "lib/output.h"
#include "lib/util.h"

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

const char *cmd_file(const struct invocation *inv, const char *argument, struct error *err)
{
	const char *option = cmd_value(inv, "file");

	if (option && argument) {
		error_usage(err, "there are two files, %s and %s; give one of them", option,
			    argument);
		return NULL;
	}
	if (option || argument)
		return option ? option : argument;
	/* one that cannot be looked at is there: reading it says why it cannot be */
	if (access(DEFAULT_FILE, F_OK) == 0 || errno != ENOENT)
		return DEFAULT_FILE;
	error_usage(err,
		    "there is no %s; put the definitions there, or give their file with -f FILE",
		    DEFAULT_FILE);
	return NULL;
}

int cmd_sort_key(const struct invocation *inv, const char *const *keys, struct error *err)
{
	const char *word = cmd_value(inv, "sort");
	char known[128] = "";

	for (int i = 0; keys[i]; i++) {
		size_t n = strlen(known);

		if (!word || strcmp(keys[i], word) == 0)
			return i;
		snprintf(known + n, sizeof(known) - n, "%s%s",
			 !n	       ? ""
			 : keys[i + 1] ? ", "
				       : " or ",
			 keys[i]);
	}
	return error_usage(err, "--sort %s: there is no such key; sort by %s", word, known);
}

int cmd_print_outcome(const struct invocation *inv, const struct outcome *out, bool dry_run,
		      struct error *err)
{
	json_t *json;

	if (!inv->json) {
		if (!inv->settings.quiet)
			outcome_print(out, dry_run);
		return 0;
	}
	json = outcome_json(out);
	return json ? json_print(json, err)
		    : error_set(err,
				"%s, but a name in it is not UTF-8, as JSON has to be; without -j "
				"it is said",
				dry_run ? "it is known what would be done" : "it was done");
}

/* A word as a shell would take it; no byte of it can be taken for more than a part of the word. */
static void put_word(FILE *f, const char *word)
{
	bool plain = *word && strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					   "0123456789_@%+=:,./-") == strlen(word);

	if (plain) {
		fputs(word, f);
		return;
	}
	fputs("$'", f);
	for (; *word; word++) {
		unsigned char c = (unsigned char)*word;

		if (c < 0x20 || c > 0x7e)
			fprintf(f, "\\x%02x", c);
		else if (c == '\'' || c == '\\')
			fprintf(f, "\\%c", c);
		else
			fputc(c, f);
	}
	fputc('\'', f);
}

char *cmd_text(const struct invocation *inv)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return xstrdup(inv->command->name);
	fputs(inv->command->name, f);
	for (int i = 0; i < CMD_OPTIONS_MAX && inv->command->options[i].name; i++) {
		if (!inv->values[i])
			continue;
		fprintf(f, " --%s", inv->command->options[i].name);
		if (inv->command->options[i].arg) {
			fputc(' ', f);
			put_word(f, inv->values[i]);
		}
	}
	for (int i = 0; i < inv->nargs; i++) {
		fputc(' ', f);
		put_word(f, inv->args[i]);
	}
	fclose(f);
	return text;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * reference DIR SCHEMA EXAMPLE: write manuals to DIR/man8 and DIR/man5, completions to DIR/bash,
 * DIR/zsh and DIR/fish. Their date is that of SOURCE_DATE_EPOCH (seconds), or today.
 */
#include "reference.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/util.h"

static const char *directory;

static void die(const char *what)
{
	fprintf(stderr, "reference: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* A new file below the directory; both are made. */
static FILE *create(const char *below, const char *name)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", directory, below);
	if (mkdir(path, 0777) && errno != EEXIST)
		die(path);
	snprintf(path, sizeof(path), "%s/%s/%s", directory, below, name);
	f = fopen(path, "w");
	if (!f)
		die(path);
	return f;
}

static void finish(FILE *f)
{
	if (ferror(f) | fclose(f))
		die("cannot write");
}

static void read_date(char out[16])
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	time_t at = epoch ? (time_t)strtoll(epoch, NULL, 10) : time(NULL);
	struct tm tm;

	strftime(out, 16, "%Y-%m-%d", gmtime_r(&at, &tm));
}

static char *read_text(const char *path)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = fopen(path, "r");

	if (!f || getdelim(&text, &size, '\0', f) < 0)
		die(path);
	fclose(f);
	return text;
}

static void write_manuals(const char *date, const json_t *schema, const char *example)
{
	char word[64], name[96];
	FILE *f;

	f = create("man8", "tenantnat.8");
	man_overview(f, date);
	finish(f);
	for (size_t i = 0; i < CMD_COMMANDS; i++) {
		snprintf(name, sizeof(name), "tenantnat-%s.8", dashed(cmd_table[i], word));
		f = create("man8", name);
		man_command(f, date, cmd_table[i]);
		finish(f);
	}
	f = create("man5", "tenantnat.yaml.5");
	man_definitions(f, date, schema, example);
	finish(f);
}

static void write_completions(void)
{
	static const struct {
		const char *shell, *name;
		void (*write)(FILE *out);
	} all[] = {
		{ "bash", "tenantnat", complete_bash },
		{ "zsh", "_tenantnat", complete_zsh },
		{ "fish", "tenantnat.fish", complete_fish },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		FILE *f = create(all[i].shell, all[i].name);

		all[i].write(f);
		finish(f);
	}
}

int main(int argc, char **argv)
{
	_cleanup_free_ char *example = NULL;
	json_error_t error;
	json_t *schema;
	char date[16];

	if (argc != 4) {
		fputs("usage: reference DIR SCHEMA EXAMPLE\n", stderr);
		return 2;
	}
	directory = argv[1];
	if (mkdir(directory, 0777) && errno != EEXIST)
		die(directory);
	schema = json_load_file(argv[2], 0, &error);
	if (!schema) {
		fprintf(stderr, "reference: %s:%d: %s\n", argv[2], error.line, error.text);
		return 1;
	}
	example = read_text(argv[3]);
	read_date(date);
	write_manuals(date, schema, example);
	write_completions();
	json_decref(schema);
	return 0;
}

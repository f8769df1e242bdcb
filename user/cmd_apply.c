/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <fcntl.h>

#include "cmd.h"
#include "config.h"
#include "converge.h"
#include "output.h"

/* A whole file; "-" is stdin. NUL-terminated, the caller's to free. */
static char *read_file(const char *path, size_t *len, struct error *err)
{
	_cleanup_fclose_ FILE *f = strcmp(path, "-") ? fopen(path, "re") : fdopen(dup(0), "r");
	VEC(char) text = { 0 };
	size_t n;

	if (!f) {
		error_usage(err, "cannot read %s: %s", path, strerror(errno));
		return NULL;
	}
	do {
		text.cap += 1 << 20;
		text.v = xrealloc(text.v, text.cap, 1);
		n = fread(text.v + text.n, 1, text.cap - text.n - 1, f);
		text.n += n;
	} while (n);
	if (ferror(f)) {
		error_usage(err, "cannot read %s: %s", path, strerror(errno));
		free(text.v);
		return NULL;
	}
	text.v[text.n] = '\0';
	*len = text.n;
	return text.v;
}

static int read_definitions(const char *path, struct model *out, struct error *err)
{
	struct config_errors errors = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t len, n;

	text = read_file(path, &len, err);
	if (!text)
		return -1;
	if (config_parse(text, len, strcmp(path, "-") ? path : "<stdin>", out, &errors) == 0)
		return 0;
	vec_each (line, &errors.list)
		fprintf(stderr, "%s\n", *line);
	n = errors.list.n + errors.dropped;
	config_errors_free(&errors);
	return error_usage(err, "%zu %s in the definitions; nothing was changed", n,
			   n == 1 ? "error" : "errors");
}

static void print_outcome(const struct outcome *o, bool dry_run)
{
	const char *to = dry_run ? "to " : "";

	vec_each (line, &o->text.lines)
		printf("%s%c %s%s\n",
		       line->sign == '+'   ? color_added()
		       : line->sign == '-' ? color_removed()
					   : color_changed(),
		       line->sign, line->text, color_off());
	if (!o->text.lines.n)
		printf("nothing to be done\n");
	else
		printf("%zu %s%s, %zu %s%s, %zu %s%s\n", o->added, to, dry_run ? "add" : "added",
		       o->changed, to, dry_run ? "change" : "changed", o->removed, to,
		       dry_run ? "remove" : "removed");
}

static int run(const struct invocation *inv, struct error *err)
{
	const char *file = cmd_value(inv, "file");
	bool dry_run = cmd_value(inv, "dry-run");
	_cleanup_change_ struct change c = { 0 };
	_cleanup_model_ struct model wanted = { 0 };
	struct outcome outcome = { 0 };
	int ret;

	if (!file)
		return error_usage(err, "give the definitions with -f FILE");
	if (read_definitions(file, &wanted, err) ||
	    change_begin(inv, dry_run ? STORE_READ : STORE_WRITE, &c, err))
		return -1;
	model_free(&c.will);
	c.will = wanted;
	wanted = (struct model){ 0 };
	ret = change_make(
		&c,
		&(struct change_how){ .dry_run = dry_run, .no_probe = cmd_value(inv, "no-probe") },
		&outcome, err);
	if (!ret && !inv->quiet)
		print_outcome(&outcome, dry_run);
	plan_text_free(&outcome.text);
	return ret;
}

const struct command cmd_apply = {
	.name = "apply",
	.synopsis = "-f FILE [--dry-run] [--no-probe]",
	.summary = "Make the machine what a definitions file says",
	.help = "Prints what it does: `+` is added, `~` changed, `-` removed. What the file no "
		"longer\n"
		"names is removed. A router that joins is probed before it gets traffic: see\n"
		"`tenantnat check --help`. If anything fails, everything is as it was before.",
	.options = { { "file", 'f', "FILE", "the definitions (YAML); `-` is stdin" },
		     { "dry-run", 'n', NULL, "print what would be done, and do nothing" },
		     { "no-probe", 0, NULL, "let traffic through without the probes" } },
	.run = run,
};

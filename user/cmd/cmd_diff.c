/* SPDX-License-Identifier: GPL-2.0-only */
/* diff: what apply would change with a file. */
#include "change/change.h"
#include "change/cluster_change.h"
#include "cmd/cmd.h"
#include "config/definitions.h"
#include "lib/output.h"

/* 0: this host is in no cluster; 1: it is, and these are the differences to that one. */
static int compare_with_cluster(const struct invocation *inv, struct model *wanted,
				struct outcome *out, struct error *err)
{
#ifndef TN_WITHOUT_CLUSTER
	_cleanup_model_ struct model had = { 0 };
	_cleanup_session_ struct session s;
	int ret = cluster_session(&inv->settings, &s, err);

	if (ret <= 0)
		return ret;
	if (cluster_had(&s, &had, err) || cluster_complete(&inv->settings, &s, wanted, &had, err))
		return -1;
	cluster_describe(&had, wanted, &out->text);
	return 1;
#else
	(void)inv, (void)wanted, (void)out, (void)err;
	return 0;
#endif
}

static int compare(const struct invocation *inv, struct outcome *out, struct error *err)
{
	const char *file = cmd_file(inv, inv->nargs ? inv->args[0] : NULL, err);
	const struct change_how how = { .dry_run = true };
	_cleanup_change_ struct change c = { 0 };
	_cleanup_model_ struct model wanted = { 0 };

	int ret;

	if (!file || definitions_read(file, &wanted, err))
		return -1;
	ret = compare_with_cluster(inv, &wanted, out, err);
	if (ret)
		return ret > 0 ? 0 : -1;
	if (change_begin(&inv->settings, STORE_READ, &wanted, &c, err))
		return -1;
	definitions_warn(file, &c.will, NULL);
	model_sort(&c.will);
	return change_make(&c, &how, out, err);
}

static int print(const struct invocation *inv, const struct outcome *out, struct error *err)
{
	if (cmd_print_outcome(inv, out, true, err))
		return -1;
	return fflush(stdout) || ferror(stdout) ? error_set(err, "cannot write to stdout: %m") : 0;
}

static int run(const struct invocation *inv, struct error *err)
{
	_cleanup_outcome_ struct outcome out = { 0 };

	if (compare(inv, &out, err) || print(inv, &out, err)) {
		err->usage = true; /* 1 is for differences */
		return -1;
	}
	return out.text.lines.n ? 1 : 0;
}

const struct command cmd_diff = {
	.name = "diff",
	.synopsis = "[FILE]",
	.summary = "Say what `apply` would change with a file",
	.help = "Prints the plan of `apply --dry-run`: `+` is added, `~` changed, `-` removed. It "
		"changes\n"
		"nothing, and waits for nobody. Also what is missing of the definitions in force, "
		"and would\n"
		"be put back, is a difference. Exit status, as of diff(1): 0 there is nothing to "
		"be "
		"done,\n"
		"1 there are differences, 2 an error. With -q only the exit status says it.\n"
		"\n" OUTCOME_HELP,
	.options = { { "file", 'f', "FILE", FILE_HELP } },
	.max_args = 1,
	.run = run,
};

/* SPDX-License-Identifier: GPL-2.0-only */
#include "cmd.h"
#include "converge.h"
#include "definitions.h"

static int run(const struct invocation *inv, struct error *err)
{
	const char *file = cmd_value(inv, "file");
	struct change_how how = { .dry_run = cmd_value(inv, "dry-run"),
				  .no_probe = cmd_value(inv, "no-probe") };
	_cleanup_change_ struct change c = { 0 };
	_cleanup_model_ struct model wanted = { 0 };
	_cleanup_outcome_ struct outcome outcome = { 0 };
	int ret;

	if (!file)
		return error_usage(err, "give the definitions with -f FILE");
	if (definitions_read(file, &wanted, err) ||
	    change_begin(inv, how.dry_run ? STORE_READ : STORE_WRITE, &wanted, &c, err))
		return -1;
	ret = change_make(&c, &how, &outcome, err);
	if (!ret && !inv->quiet)
		outcome_print(&outcome, how.dry_run);
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

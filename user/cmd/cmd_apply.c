/* SPDX-License-Identifier: GPL-2.0-only */
#include <sys/stat.h>

#include "change/change.h"
#include "cmd/cmd.h"
#include "config/definitions.h"
#include "lib/background.h"

struct reading {
	const char *file;
	struct model wanted;
	struct error err;
	int ret;
};

static void read_file(void *arg)
{
	struct reading *r = arg;

	r->ret = definitions_read(r->file, &r->wanted, &r->err);
}

/* A file from this size on is read while what is in force is: that takes as long. */
#define READ_BESIDE (4 << 20)

/* Where nothing is in force, a file with errors is to leave nothing behind. */
static bool is_read_beside(const struct invocation *inv, const char *file)
{
	struct stat st;

	return stat(file, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= READ_BESIDE &&
	       store_exists(inv->settings.state);
}

static int begin(const struct invocation *inv, enum store_mode mode, struct reading *r,
		 struct change *c, struct error *err)
{
	struct model later = { 0 };
	struct background beside;
	int ret;

	if (!is_read_beside(inv, r->file)) {
		read_file(r);
		*err = r->err;
		return r->ret ? -1 : change_begin(&inv->settings, mode, &r->wanted, c, err);
	}
	background_begin(&beside, read_file, r);
	ret = change_begin(&inv->settings, mode, &later, c, err);
	background_end(&beside);
	if (!ret && r->ret)
		*err = r->err;
	if (ret || r->ret)
		return -1;
	c->will = r->wanted;
	r->wanted = later;
	return 0;
}

static int run(const struct invocation *inv, struct error *err)
{
	struct reading reading = { .file = cmd_value(inv, "file") };
	struct change_how how = { .dry_run = cmd_value(inv, "dry-run"),
				  .no_probe = cmd_value(inv, "no-probe") };
	enum store_mode mode = how.dry_run ? STORE_READ : STORE_WRITE;
	_cleanup_change_ struct change c = { 0 };
	_cleanup_outcome_ struct outcome outcome = { 0 };
	int ret;

	if (!reading.file)
		return error_usage(err, "give the definitions with -f FILE");
	ret = begin(inv, mode, &reading, &c, err);
	if (!ret)
		ret = change_make(&c, &how, &outcome, err);
	if (!ret && !inv->settings.quiet)
		outcome_print(&outcome, how.dry_run);
	model_free(&reading.wanted);
	return ret;
}

const struct command cmd_apply = {
	.name = "apply",
	.synopsis = "-f FILE [--dry-run] [--no-probe]",
	.summary = "Make the machine what a definitions file says",
	.help = "Prints what it does: `+` is added, `~` changed, `-` removed. What the file no "
		"longer\n"
		"names is removed. If anything fails, or after Ctrl-C, everything is as it was "
		"before.\n"
		"\n"
		"A router that joins is probed before it gets traffic: carrier, routes, duplicate\n"
		"addresses, neighbours, ping, MTU and checksums (`tenantnat check --help` has "
		"more).\n"
		"If the shared interface has addresses in no shared subnet, a warning says so "
		"before\n"
		"anything is changed: they stop working when the router joins.",
	.options = { { "file", 'f', "FILE", "the definitions (YAML); `-` is stdin" },
		     { "dry-run", 'n', NULL, "print what would be done, and do nothing" },
		     { "no-probe", 0, NULL, "let traffic through without the probes" } },
	.run = run,
};

/* SPDX-License-Identifier: GPL-2.0-only */
/* cluster sync: this host becomes what the cluster's definitions say, now. */
#include "change/cluster_change.h"
#include "cluster/membership.h"
#include "cmd/cmd.h"

#ifndef TN_WITHOUT_CLUSTER

static int run(const struct invocation *inv, struct error *err)
{
	struct change_how how = { .partial = true,
				  .dry_run = cmd_value(inv, "dry-run"),
				  .no_probe = cmd_value(inv, "no-probe") };
	_cleanup_outcome_ struct outcome outcome = { 0 };
	_cleanup_session_ struct session s;
	int ret = cluster_session(&inv->settings, &s, err);

	if (ret == 0)
		return error_set(err,
				 "this host is in no cluster; `tenantnat cluster join` joins one");
	if (ret < 0 || cluster_converge(&s, &inv->settings, &how, &outcome, err))
		return -1;
	if (cmd_print_outcome(inv, &outcome, how.dry_run, err))
		return -1;
	return outcome_failed(&outcome, "joined", err);
}

#else

static int run(const struct invocation *inv, struct error *err)
{
	(void)inv;
	return cluster_check(err);
}

#endif

const struct command cmd_cluster_sync = {
	.name = "cluster sync",
	.synopsis = "[--dry-run] [--no-probe]",
	.summary = "Make this host what the cluster's definitions say" CLUSTER_HELP,
	.help = "Reads from etcd what this host needs: the tenants whose router it has, and by "
		"what "
		"it knows the\n"
		"others. Prints what it does as `apply` does. If a router is missing or cannot be "
		"attached, an\n"
		"error names it, the others are made, and the exit status is 1. The agent does the "
		"same by itself\n"
		"whenever the definitions change.\n"
		"\n" OUTCOME_HELP,
	.options = { { "dry-run", 'n', NULL, "print what would be done, and do nothing" },
		     { "no-probe", 0, NULL, "let traffic through without the probes" } },
	.run = run,
};

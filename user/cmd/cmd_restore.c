/* SPDX-License-Identifier: GPL-2.0-only */
/* restore: what the definitions in force say, once; as far as the machine is there. */
#include "change/change.h"
#include "cmd/cmd.h"

static int run(const struct invocation *inv, struct error *err)
{
	struct change_how how = { .partial = true, .restore = true };
	_cleanup_change_ struct change c = { 0 };
	_cleanup_outcome_ struct outcome outcome = { 0 };

	if (change_begin(&inv->settings, STORE_WRITE, NULL, &c, err) ||
	    change_make(&c, &how, &outcome, err))
		return -1;
	if (cmd_print_outcome(inv, &outcome, false, err))
		return -1;
	return outcome_failed(&outcome, "restored", err);
}

const struct command cmd_restore = {
	.name = "restore",
	.synopsis = "",
	.summary = "Make the machine what the definitions in force say",
	.help = "For the time after a reboot, or when somebody changed what tenantnat had made. "
		"Prints what\n"
		"it does as `apply` does. If a router is missing or cannot be attached, an error "
		"names it,\n"
		"the others are restored, and the exit status is 1. A router that `detach` took "
		"off stays\n"
		"detached until the next `apply`. One that `apply --partial` has passed over is "
		"joined, with\n"
		"the probes.\n"
		"\n" OUTCOME_HELP,
	.run = run,
};

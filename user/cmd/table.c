/* SPDX-License-Identifier: GPL-2.0-only */
#include "cmd/table.h"

#include <stddef.h>

const struct command *const cmd_table[] = {
#define X(symbol) &cmd_##symbol,
	COMMANDS(X)
#undef X
};

const struct cmd_global cmd_globals[] = {
	{ { "state", 0, "DIR", "where state.db is (default /var/lib/tenantnat)" }, OPT_STATE },
	{ { "bpffs", 0, "DIR",
	    "where programs and maps are pinned (default /sys/fs/bpf/tenantnat)" },
	  OPT_BPFFS },
	{ { "wait", 0, "SECONDS",
	    "how long to wait for another tenantnat (default 30), and for hosts" },
	  OPT_WAIT },
	{ { "patience", 0, "N", "probes wait N times as long for answers (default 1)" },
	  OPT_PATIENCE },
	{ { "json", 'j', NULL, "print JSON" }, 'j' },
	{ { "quiet", 'q', NULL, "print nothing but errors and what was asked for" }, 'q' },
	{ { "verbose", 'v', NULL, "say more, also what the kernel's verifier says" }, 'v' },
	{ { "help", 'h', NULL, "print this help" }, 'h' },
	{ { "version", 0, NULL, "print the version" }, OPT_VERSION },
};

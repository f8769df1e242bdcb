/* SPDX-License-Identifier: GPL-2.0-only */
/* agent: keeps what the definitions in force say true, until it is ended. */
#include <stddef.h>

#include "agent/agent.h"
#include "cmd/cmd.h"

static int run(const struct invocation *inv, struct error *err)
{
	const struct agent_options options = {
		.version = tenantnat_version,
		.file = cmd_value(inv, "file"),
		.metrics = cmd_value(inv, "metrics"),
		.metrics_mappings = cmd_value(inv, "metrics-mappings"),
	};

	return agent_run(&inv->settings, &options, err);
}

const struct command cmd_agent = {
	.name = "agent",
	.synopsis = "[-f FILE] [--metrics ADDRESS:PORT]",
	.summary = "Keep the machine as the definitions in force say, until ended",
	.help = "Stays in the foreground, for systemd (Type=notify), and does what `restore` does "
		"whenever\n"
		"an interface, a namespace or a program went away or came back, or `apply` changed "
		"the\n"
		"definitions. SIGHUP reads the file again, SIGTERM ends it; traffic needs no "
		"agent, "
		"and\n"
		"goes on.\n\n"
		"Metrics can be read by everybody who reaches that address; it is one of this "
		"host, not\n"
		"a name, as 127.0.0.1:9876 or [::1]:9876.",
	.options = { { "file", 'f', "FILE", "apply these definitions first, and on SIGHUP" },
		     { "metrics", 0, "ADDRESS:PORT",
		       "serve metrics for Prometheus there, at /metrics; docs/metrics.md" },
		     { "metrics-mappings", 0, NULL, "and metrics of each mapping" } },
	.run = run,
};

/* SPDX-License-Identifier: GPL-2.0-only */
/* agent: keeps what the definitions in force say true, until it is ended. */
#include <stddef.h>

#include "agent/agent.h"
#include "agent/metrics.h"
#include "cmd/cmd.h"
#include "lib/systemd.h"

static int run(const struct invocation *inv, struct error *err)
{
	const struct agent_options options = {
		.version = tenantnat_version,
		.file = cmd_value(inv, "file"),
		.metrics = cmd_value(inv, "metrics"),
		.metrics_mappings = cmd_value(inv, "metrics-mappings"),
	};

	if (inv->json)
		return error_usage(err, "an agent prints nothing but its log: leave out --json; "
					"`tenantnat status -j` says how it and the routers are");
	return agent_run(&inv->settings, &options, err);
}

const struct command cmd_agent = {
	.name = "agent",
	.synopsis = "[-f FILE] [--metrics ADDRESS:PORT]",
	.summary = "Keep the machine as the definitions in force say, until ended",
	.help = "Runs in the foreground, for systemd (" SYSTEMD_HELP
		"). It does what `restore` does whenever an\n"
		"interface, a namespace or a program has gone or come back, or `apply` has changed "
		"the\n"
		"definitions. SIGHUP reads FILE again. SIGTERM ends the agent, and takes back what "
		"it is about\n"
		"to change; traffic goes on without it.\n"
		"\n"
		"Without -f it reads no file, not " DEFAULT_FILE " either: it keeps what\n"
		"is in force.\n"
		"\n"
		"--metrics takes an IP address of this host and a port, as in 127.0.0.1:9876 or\n"
		"[::1]:9876. Everybody who reaches that address can read the metrics.",
	.options = { { "file", 'f', "FILE", "apply these definitions first, and on SIGHUP" },
		     { "metrics", 0, "ADDRESS:PORT",
		       "serve metrics for Prometheus there, at /metrics; see "
		       "docs/metrics.md" METRICS_HELP },
		     { "metrics-mappings", 0, NULL, "with metrics of each mapping too" } },
	.run = run,
};

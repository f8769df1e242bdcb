/* SPDX-License-Identifier: GPL-2.0-only */
/* agent: keeps what the definitions in force say true, until it is ended. */
#include <stddef.h>

#include "agent/agent.h"
#include "agent/metrics.h"
#include "cmd/cmd.h"
#include "lib/systemd.h"

/* What is said of Neutron has to make sense with the rest. */
static int check_neutron(const struct invocation *inv, struct error *err)
{
	static const char *const of[] = { "cloud", "url", "host", "ovn" };

	if (cmd_value(inv, "neutron"))
		return cmd_value(inv, "file")
			       ? error_usage(err, "give --neutron or -f FILE, not both: each has "
						  "all definitions")
			       : 0;
	for (size_t i = 0; i < ARRAY_SIZE(of); i++) {
		if (cmd_value(inv, of[i]))
			return error_usage(err, "--%s says which Neutron is meant: add --neutron",
					   of[i]);
	}
	return 0;
}

static int run(const struct invocation *inv, struct error *err)
{
	const struct neutron_source neutron = { .cloud = cmd_value(inv, "cloud"),
						.url = cmd_value(inv, "url"),
						.host = cmd_value(inv, "host"),
						.ovn = cmd_value(inv, "ovn") };
	const struct agent_options options = {
		.neutron = cmd_value(inv, "neutron") ? &neutron : NULL,
		.version = tenantnat_version,
		.file = cmd_value(inv, "file"),
		.metrics = cmd_value(inv, "metrics"),
		.metrics_mappings = cmd_value(inv, "metrics-mappings"),
		.no_page = cmd_value(inv, "no-page"),
		.names = cmd_value(inv, "names"),
	};

	if (inv->json)
		return error_usage(err, "an agent prints nothing but its log: leave out --json; "
					"`tenantnat status -j` says how it and the routers are");
	if (options.no_page && !options.metrics)
		return error_usage(err, "--no-page is about the page that --metrics serves: add "
					"--metrics ADDRESS:PORT, or leave it out");
	if (options.names && !*options.names)
		return error_usage(err, "--names: give the hosts file to keep, or leave it out");
	if (check_neutron(inv, err))
		return -1;
	return agent_run(&inv->settings, &options, err);
}

const struct command cmd_agent = {
	.name = "agent",
	.synopsis = "[-f FILE | --neutron [--cloud CLOUD | --url URL] [--host HOST]] [--metrics "
		    "ADDRESS:PORT] [--names FILE]",
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
		"--neutron follows OpenStack's Neutron, as `tenantnat neutron` does, in a process "
		"of its own.\n"
		"SIGHUP reads clouds.yaml again." NEUTRON_HELP "\n"
		"\n"
		"With `names` in the definitions it keeps a hosts file of them for a DNS server: "
		"that of --names,\n"
		"or else names/hosts in the unit's RuntimeDirectory=, or below --state. "
		"docs/names.md has more.\n"
		"\n"
		"Where stderr is the journal, each line is an entry with TENANT=, ROUTER= and "
		"REASON=, as in\n"
		"`journalctl -t tenantnat TENANT=blue`.\n"
		"\n"
		"--metrics takes an IP address of this host and a port, as in 127.0.0.1:9876 or\n"
		"[::1]:9876. Everybody who reaches that address can read the metrics. For people "
		"there "
		"is a page\n"
		"at /, with nothing that the metrics do not have: http://127.0.0.1:9876/ in a "
		"browser.",
	.options = { { "file", 'f', "FILE", "apply these definitions first, and on SIGHUP" },
		     { "neutron", 0, NULL,
		       "follow Neutron: the definitions are those that it has" },
		     { "cloud", 0, "CLOUD",
		       "its name in clouds.yaml (default: as `neutron` has it)" },
		     { "url", 0, "URL", "of a Neutron that asks for no token" },
		     { "host", 0, "HOST", "what Neutron calls this host (default: its name)" },
		     { "ovn", 0, NULL, "with sidecars, as `neutron` makes them" },
		     { "metrics", 0, "ADDRESS:PORT",
		       "serve metrics for Prometheus there, at /metrics; see "
		       "docs/metrics.md" METRICS_HELP },
		     { "metrics-mappings", 0, NULL, "with metrics of each mapping too" },
		     { "no-page", 0, NULL, "without the page for people at /" },
		     { "names", 0, "FILE", "keep the names of mappings there, as a hosts file" } },
	.run = run,
};

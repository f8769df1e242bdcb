/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keeps what the definitions in force say true. After something changed the agent looks, without a
 * lock, what restore would do, and does it if there is anything. It holds nothing that traffic
 * needs.
 */
#ifndef TN_AGENT_H
#define TN_AGENT_H

#include <stdbool.h>

#include "lib/error.h"
#include "lib/settings.h"
#include "neutron/neutron.h"

/* The texts outlive the agent. */
struct agent_options {
	const char *version;   /* of the program, for the metrics */
	const char *file;      /* definitions that come in force first, and on SIGHUP; NULL: none */
	const char *metrics;   /* where they are served: see serve_parse(); NULL: nowhere */
	bool metrics_mappings; /* with metrics of each mapping */
	bool no_page;	       /* without the page for people there */
	const char *names;     /* the hosts file; NULL: see hosts_file_init() */
	const struct neutron_source *neutron; /* what is followed; NULL: none */
};

/*
 * Until SIGTERM or SIGINT; systemd is told when it is ready. Errors that are about no single router
 * end it before that.
 */
int agent_run(const struct settings *settings, const struct agent_options *options,
	      struct error *err);

#endif

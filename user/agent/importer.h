/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the agent of a host that reads Neutron has besides: a process that follows it
 * (neutron_follow()), since Neutron may let one wait for a minute, in which the agent is to mend
 * what breaks. What it has to say it notes in the state (imported.h).
 */
#ifndef TN_AGENT_IMPORTER_H
#define TN_AGENT_IMPORTER_H

#include <sys/types.h>

#include "lib/settings.h"
#include "neutron/neutron.h"

/* All zero: of a host that reads none. */
struct importer {
	const struct neutron_source *source; /* NULL: none; borrowed */
	pid_t pid;			     /* of the process; 0: none runs */
	int from;			     /* what it prints, while it runs */
	uint64_t begun;			     /* milliseconds: when it was started */
	uint64_t again;			     /* the same: not before */
	uint64_t pause;			     /* until the next one after this */
	char text[1024];		     /* that has no end of a line yet */
	size_t n;
};

/* Whether it can begin, by what it is told and clouds.yaml: -1 with an error. Nothing is sent. */
int importer_check(const struct neutron_source *source, const struct settings *settings,
		   struct error *err);
/* Readable when there is something for importer_run(); -1: none. */
int importer_fd(const struct importer *im);
/* Milliseconds until it is to be called anyway; -1: only when it is readable. */
int64_t importer_wait(const struct importer *im);
/* Begin the process, or hear it. */
void importer_run(struct importer *im, const struct settings *settings);
/* Read clouds.yaml again: another process does that when this one has ended. */
void importer_reload(struct importer *im, const struct settings *settings);
void importer_close(struct importer *im);

#endif

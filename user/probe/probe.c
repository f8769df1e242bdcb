/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/probe.h"

#include "lib/clock.h"
#include "probe/probe_interface.h"
#include "probe/probe_link.h"
#include "probe/probe_path.h"
#include "probe/probe_route.h"
#include "probe/probe_run.h"
#include "probe/probe_solicit.h"
#include "probe/probe_vm.h"

void probe_cancel(struct probe_run *run)
{
	if (!run)
		return;
	neigh_queries_free(&run->queries);
	probe_solicit_free(run);
	findings_free(&run->found);
	vec_free(&run->peers);
	free(run);
}

struct probe_run *probe_begin(const struct probe_input *in)
{
	struct probe_run *run = xzalloc(sizeof(*run));

	run->in = in;
	run->queries = NEIGH_QUERIES_NONE;
	for (int family = 0; family < FAMILIES; family++)
		run->asking[family].queries = NEIGH_QUERIES_NONE;
	probe_carrier(run);
	if (run->down)
		return run;
	vec_each (p, &in->prefixes)
		probe_route_prefix(run, p);
	probe_link_ask(run);
	run->repeat = clock_ms() + patient(in, PROBE_ASK_MS);
	return run;
}

static void skip_from(struct probe_run *run, enum probe first, const char *why)
{
	for (enum probe probe = first; probe <= PROBE_CHECKSUM; probe++) {
		if ((probe == PROBE_SOLICITATION || probe == PROBE_SOURCE) && !run->in->solicited.n)
			continue;
		findings_add(&run->found, probe, PROBE_SKIPPED, run->in->name, "%s", why);
	}
}

void probe_again(struct probe_run *run)
{
	struct error err = { 0 };

	if (run->down || run->link_error.set || run->end || run->in->brief)
		return;
	if (neigh_queries_collect(&run->queries, clock_left(run->repeat), &err) ||
	    neigh_queries_send(&run->queries, &err))
		run->link_error = err;
	probe_solicit_collect(run, run->repeat);
	probe_solicit_again(run);
	run->end = clock_ms() + patient(run->in, PROBE_ASK_MS);
}

/* The answers to what was asked of the link. */
static void collect_answers(struct probe_run *run)
{
	unsigned int ms = run->in->brief ? patient(run->in, PROBE_BRIEF_MS)
					 : (unsigned int)clock_left(run->end);
	struct error err = { 0 };

	if (!run->link_error.set && neigh_queries_collect(&run->queries, ms, &err))
		run->link_error = err;
	if (!run->in->brief)
		probe_solicit_collect(run, run->end);
}

static void probe_all(struct probe_run *run, struct pinger *p)
{
	probe_again(run);
	collect_answers(run);
	if (run->link_error.set) {
		findings_add_error(&run->found, PROBE_DUPLICATE, run->in->name, &run->link_error);
		if (!run->in->brief)
			skip_from(run, PROBE_NEIGHBOUR, "the link could not be asked");
		return;
	}
	probe_judge_duplicates(run);
	if (run->in->brief)
		return;
	if (!run->peers.n) {
		skip_from(run, PROBE_NEIGHBOUR,
			  "no other router of this machine is attached, and there is no "
			  "gateway: no host can be asked");
		return;
	}
	probe_judge_neighbours(run);
	probe_judge_solicited(run);
	probe_sources(run);
	probe_path(run, p);
}

void probe_finish(struct probe_run *run, struct findings *out)
{
	struct error err = { 0 };
	_cleanup_pinger_ struct pinger *p = pinger_open(&err);

	if (!p)
		findings_add_error(&run->found, PROBE_PING, run->in->name, &err);
	else if (run->down)
		skip_from(run, PROBE_ROUTE, "the interface is down");
	else
		probe_all(run, p);
	if (p)
		probe_vms(run, p);
	*out = run->found;
	run->found = (struct findings){ 0 };
	probe_cancel(run);
}

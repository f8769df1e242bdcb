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
	neigh_queries_free(&run->solicits);
	findings_free(&run->found);
	vec_free(&run->peers);
	free(run);
}

int probe_begin(const struct probe_input *in, struct probe_run **out, struct error *err)
{
	struct probe_run *run = xzalloc(sizeof(*run));

	run->in = in;
	run->queries = NEIGH_QUERIES_NONE;
	run->solicits = NEIGH_QUERIES_NONE;
	*out = run;
	probe_carrier(run);
	if (run->down)
		return 0;
	vec_each (p, &in->prefixes) {
		if (probe_route_prefix(run, p, err))
			goto failed;
	}
	if (probe_link_ask(run, err))
		goto failed;
	run->repeat = clock_ms() + patient(in, PROBE_ASK_MS);
	return 0;
failed:
	probe_cancel(run);
	*out = NULL;
	return -1;
}

static void skip_from(struct probe_run *run, enum probe first, const char *why)
{
	for (enum probe probe = first; probe <= PROBE_CHECKSUM; probe++) {
		if (probe == PROBE_SOLICITATION && !run->in->solicited.n)
			continue;
		findings_add(&run->found, probe, PROBE_SKIPPED, run->in->name, "%s", why);
	}
}

static int collect_solicits(struct probe_run *run, uint64_t until, struct error *err)
{
	return run->solicits.list.n ? neigh_queries_collect(&run->solicits, clock_left(until), err)
				    : 0;
}

int probe_again(struct probe_run *run, struct error *err)
{
	if (run->down || run->end || run->in->brief)
		return 0;
	if (neigh_queries_collect(&run->queries, clock_left(run->repeat), err) ||
	    collect_solicits(run, run->repeat, err) || neigh_queries_send(&run->queries, err) ||
	    neigh_queries_send(&run->solicits, err))
		return -1;
	run->end = clock_ms() + patient(run->in, PROBE_ASK_MS);
	return 0;
}

static int probe_all(struct probe_run *run, struct pinger *p, struct error *err)
{
	unsigned int ms;

	if (probe_again(run, err))
		return -1;
	ms = run->in->brief ? patient(run->in, PROBE_BRIEF_MS) : (unsigned int)clock_left(run->end);
	if (neigh_queries_collect(&run->queries, ms, err))
		return -1;
	probe_judge_duplicates(run);
	if (run->in->brief)
		return 0;
	if (collect_solicits(run, run->end, err))
		return -1;
	if (!run->peers.n) {
		skip_from(run, PROBE_NEIGHBOUR,
			  "no other router of this machine is attached, and there is no "
			  "gateway: no host can be asked");
		return 0;
	}
	probe_judge_neighbours(run);
	probe_judge_solicited(run);
	probe_path(run, p);
	return 0;
}

int probe_finish(struct probe_run *run, struct findings *out, struct error *err)
{
	_cleanup_pinger_ struct pinger *p = pinger_open(err);
	int ret = p ? 0 : -1;

	if (!ret && !run->down)
		ret = probe_all(run, p, err);
	else if (!ret)
		skip_from(run, PROBE_ROUTE, "the interface is down");
	if (!ret)
		ret = probe_vms(run, p, err);
	*out = run->found;
	run->found = (struct findings){ 0 };
	probe_cancel(run);
	return ret;
}

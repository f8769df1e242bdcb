/* SPDX-License-Identifier: GPL-2.0-only */
#include "dataplane/wanted.h"

#include "lib/addr.h"

static bool is_tracing(const struct tn_watch *w)
{
	return !addr_is_unset(&w->trace_src);
}

void wanted_add(struct tn_watch *sum, const struct tn_watch *want)
{
	sum->router = !sum->expires || sum->router == want->router ? want->router : 0;
	sum->reasons |= want->reasons;
	if (want->sample && (!sum->sample || want->sample < sum->sample))
		sum->sample = want->sample;
	if (want->rate > sum->rate)
		sum->rate = want->rate;
	if (want->expires > sum->expires)
		sum->expires = want->expires;
	if (is_tracing(want)) {
		sum->trace_src = want->trace_src;
		sum->trace_dst = want->trace_dst;
	}
}

bool wanted_has(const struct tn_watch *want, const struct tn_watch *sum, const struct tn_event *e,
		uint32_t chance)
{
	if (is_tracing(want) && addr_cmp(&e->src, &want->trace_src) == 0 &&
	    addr_cmp(&e->dst, &want->trace_dst) == 0)
		return true;
	if (want->router && want->router != e->router)
		return false;
	if (e->verdict == TN_EVENT_DROP)
		return want->reasons >> (e->reason & 63) & 1;
	if (e->verdict != TN_EVENT_TRANSLATED && e->verdict != TN_EVENT_TURNED)
		return false;
	return want->sample && chance % want->sample < (sum->sample ? sum->sample : 1);
}

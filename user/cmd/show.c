/* SPDX-License-Identifier: GPL-2.0-only */
#include "cmd/show.h"

#include "dataplane/flows.h"
#include "doctor/examine.h"
#include "model/standing.h"

const struct router_row *show_row(const struct view *v, const struct tenant *t)
{
	vec_each (r, &v->kernel.routers) {
		if (strcmp(r->tenant, t->name) == 0)
			return r;
	}
	return NULL;
}

const char *show_state(const struct tenant *t, const struct router_row *row)
{
	return standing_name(standing_of(t, row));
}

/* As `status` and `doctor` count them. */
size_t show_problems(const struct view *v, const struct elections *e, const struct tenant *t)
{
	_cleanup_diagnosis_ struct diagnosis found = { 0 };

	examine_router(&v->model, t, show_row(v, t), false, &found);
	examine_elected(e, t, show_row(v, t), &found);
	return diagnosis_count(&found, SEVERITY_PROBLEM);
}

bool show_is_at(const struct router_row *row, const struct place *at)
{
	return row && row->netns_dev == at->netns_dev && row->netns_ino == at->netns_ino &&
	       row->ifindex == at->ifindex;
}

bool show_is_route_of(const struct router_row *row, const struct route_row *route)
{
	return show_is_at(row, &route->at) || (row && router_row_has_inside(row, &route->at));
}

/* An unreachable route is bound to no interface. */
bool show_is_beside(const struct router_row *row, const struct route_row *route)
{
	return row && route_is_unreachable(route) && row->netns_dev == route->at.netns_dev &&
	       row->netns_ino == route->at.netns_ino;
}

/* What it is, or before it is known, what it is to be. */
const char *show_forwarding(const struct tenant *t, const struct router_row *row)
{
	return !row ? forwarding_name(t->router->forwarding)
		    : forwarding_name(row->fast ? FORWARDING_FAST : FORWARDING_STACK);
}

const char *show_why(const struct tenant *t, const struct router_row *row)
{
	if (t->router->forwarding != FORWARDING_AUTO)
		return "it is defined so";
	if (!row)
		return "not attached";
	return row->ruled   ? "netfilter has rules there"
	       : row->ipsec ? "IPsec has policies there"
			    : "netfilter has no rules there";
}

size_t show_open_flows(const struct view *v, const struct router_row *row)
{
	size_t open;

	dataplane_count_flows(v->dp, row->id, &open);
	return open;
}

/* Programs at routers that no definitions want attached, as a run that was killed leaves them. */
bool show_is_left_over(const struct view *v, const struct selection *s,
		       const struct router_row *row)
{
	return !router_row_is_wanted(&v->model, row) && scope_has(selection_scope(s), row->tenant);
}

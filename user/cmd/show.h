/* SPDX-License-Identifier: GPL-2.0-only */
/* show: what its text (cmd_show.c) and its JSON (show_json.c) say of a router in the same words. */
#ifndef TN_SHOW_H
#define TN_SHOW_H

#include <jansson.h>

#include "change/change.h"
#include "doctor/iface_info.h"
#include "model/selection.h"
#include "observe/elections.h"

/* What is shown, and in which order. */
struct shown {
	VEC(const struct tenant *) tenants;
	struct elections elections;
};

/* NULL: the tenant's router is not attached. All below take that for `row`, too. */
const struct router_row *show_row(const struct view *v, const struct tenant *t);
const char *show_state(const struct tenant *t, const struct router_row *row);
/* How many: as `status` and `doctor` count them. */
size_t show_problems(const struct view *v, const struct elections *e, const struct tenant *t);
/* "fast" or "stack"; before it is known, what it is to be. And why. */
const char *show_forwarding(const struct tenant *t, const struct router_row *row);
const char *show_why(const struct tenant *t, const struct router_row *row);
/* Of a router that is attached. */
size_t show_open_flows(const struct view *v, const struct router_row *row);

/* Whether that is the router's shared interface; a route of it; an unreachable one beside it. */
bool show_is_at(const struct router_row *row, const struct place *at);
bool show_is_route_of(const struct router_row *row, const struct route_row *route);
bool show_is_beside(const struct router_row *row, const struct route_row *route);
/* No definitions want it attached: a run that was killed has left it. */
bool show_is_left_over(const struct view *v, const struct selection *s,
		       const struct router_row *row);

/* Lists of names, or null if they are not known. The caller's to free, as all JSON. */
json_t *show_offloads_json(const struct iface_info *one);
json_t *show_xdp_json(const struct netdev *xdp);
json_t *show_json(const struct view *v, const struct selection *s, const struct shown *shown);

#endif

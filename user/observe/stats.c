/* SPDX-License-Identifier: GPL-2.0-only */
#include "observe/stats.h"

#include "dataplane/flows.h"

/* What a map has, by slot and by rule id. */
struct counted {
	struct tn_counters *counters;
	uint64_t *hits;
	size_t slots;
	size_t ids;
};

static void counted_free(struct counted *c)
{
	free(c->counters);
	free(c->hits);
}
#define _cleanup_counted_ _cleanup_(counted_free)

/* All at once, up to the last that is in use: one by one they take much longer. */
static void read_counted(const struct view *v, struct counted *out)
{
	size_t slots = v->dp ? dataplane_capacity(v->dp) : 0;
	size_t ids = v->dp ? dataplane_rules(v->dp) : 0;

	vec_each (row, &v->kernel.shared) {
		if (row->slot >= out->slots && row->slot < slots)
			out->slots = row->slot + 1;
	}
	vec_each (t, &v->model.tenants) {
		vec_each (r, &t->accept) {
			if (r->id >= out->ids && r->id < ids)
				out->ids = r->id + 1;
		}
	}
	out->counters = xzalloc((out->slots + 1) * sizeof(*out->counters));
	out->hits = xzalloc((out->ids + 1) * sizeof(*out->hits));
	if (!v->dp)
		return;
	dataplane_counters(v->dp, out->slots, out->counters);
	dataplane_hits(v->dp, out->ids, out->hits);
}

static struct tn_counters counters_of(const struct view *v, const struct counted *counted,
				      const struct mapping *m)
{
	struct shared_row key = { .shared = m->shared };
	const struct shared_row *row = NULL;

	if (v->kernel.shared.n)
		row = bsearch(&key, v->kernel.shared.v, v->kernel.shared.n, sizeof(key),
			      shared_row_cmp);
	return row && row->slot && row->slot < counted->slots ? counted->counters[row->slot]
							      : (struct tn_counters){ 0 };
}

static void read_tenant(const struct view *v, const struct counted *counted, const struct tenant *t,
			struct stats *out)
{
	vec_each (m, &t->mappings)
		*vec_push(&out->mappings) =
			(struct mapping_stats){ t, m, counters_of(v, counted, m) };
	vec_each (r, &t->accept)
		*vec_push(&out->rules) =
			(struct rule_stats){ t, r,
					     r->id < counted->ids ? counted->hits[r->id] : 0 };
}

static void read_router(const struct view *v, const struct router_row *row, struct stats *out)
{
	struct router_stats *r = vec_push(&out->routers);

	r->row = row;
	if (dataplane_drops(v->dp, row->id, &r->drops))
		memset(&r->drops, 0, sizeof(r->drops));
	dataplane_count_flows(v->dp, row->id, &r->flows);
}

static void read_rooms(const struct view *v, struct stats *out)
{
	const struct policy *p = &v->kernel.policy;
	size_t mappings = dataplane_capacity(v->dp), rules = dataplane_rules(v->dp);

	*vec_push(&out->rooms) = (struct room){ "by_shared", v->kernel.shared.n, mappings };
	*vec_push(&out->rooms) = (struct room){ "by_fixed", v->kernel.fixed.n, mappings };
	*vec_push(&out->rooms) = (struct room){ "limits", p->limits.n, mappings };
	*vec_push(&out->rooms) = (struct room){ "accepts", p->accepts.n, rules };
	*vec_push(&out->rooms) = (struct room){ "services", p->services.n, rules };
	*vec_push(&out->rooms) = (struct room){ "hits", policy_rule_max(p) + 1, rules };
	*vec_push(&out->rooms) = (struct room){ "pools", p->pools.n, TN_POOLS_MAX };
}

void stats_read(const struct view *v, struct stats *out)
{
	_cleanup_counted_ struct counted counted = { 0 };

	memset(out, 0, sizeof(*out));
	read_counted(v, &counted);
	vec_each (t, &v->model.tenants)
		read_tenant(v, &counted, t, out);
	vec_each (row, &v->kernel.routers)
		read_router(v, row, out);
	if (v->dp)
		read_rooms(v, out);
}

void stats_free(struct stats *s)
{
	vec_free(&s->mappings);
	vec_free(&s->rules);
	vec_free(&s->routers);
	vec_free(&s->rooms);
}

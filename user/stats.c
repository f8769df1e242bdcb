/* SPDX-License-Identifier: GPL-2.0-only */
#include "stats.h"

static struct tn_counters counters_of(const struct view *v, const struct mapping *m)
{
	struct shared_row key = { .shared = m->shared };
	const struct shared_row *row = NULL;
	struct tn_counters c = { 0 };

	if (v->machine.shared.n)
		row = bsearch(&key, v->machine.shared.v, v->machine.shared.n, sizeof(key),
			      shared_row_cmp);
	if (row && row->slot && dataplane_counters(v->dp, row->slot, &c))
		memset(&c, 0, sizeof(c));
	return c;
}

static uint64_t hits_of(const struct view *v, const struct rule *r)
{
	uint64_t packets = 0;

	return !v->dp || dataplane_hits(v->dp, r->id, &packets) ? 0 : packets;
}

static void read_tenant(const struct view *v, const struct tenant *t, struct stats *out)
{
	vec_each (m, &t->mappings)
		*vec_push(&out->mappings) = (struct mapping_stats){ t, m, counters_of(v, m) };
	vec_each (r, &t->accept)
		*vec_push(&out->rules) = (struct rule_stats){ t, r, hits_of(v, r) };
}

static void read_router(const struct view *v, const struct router_row *row, struct stats *out)
{
	struct router_stats *r = vec_push(&out->routers);

	r->row = row;
	if (dataplane_drops(v->dp, row->id, &r->drops))
		memset(&r->drops, 0, sizeof(r->drops));
	if (dataplane_flows(v->dp, row->id, &r->flows))
		r->flows = 0;
}

static void read_rooms(const struct view *v, struct stats *out)
{
	const struct policy *p = &v->machine.policy;
	size_t mappings = dataplane_capacity(v->dp), rules = dataplane_rules(v->dp);

	*vec_push(&out->rooms) = (struct room){ "by_shared", v->machine.shared.n, mappings };
	*vec_push(&out->rooms) = (struct room){ "by_fixed", v->machine.fixed.n, mappings };
	*vec_push(&out->rooms) = (struct room){ "limits", p->limits.n, mappings };
	*vec_push(&out->rooms) = (struct room){ "accepts", p->accepts.n, rules };
	*vec_push(&out->rooms) = (struct room){ "services", p->services.n, rules };
	*vec_push(&out->rooms) = (struct room){ "pools", p->pools.n, TN_POOLS_MAX };
}

void stats_read(const struct view *v, struct stats *out)
{
	memset(out, 0, sizeof(*out));
	vec_each (t, &v->model.tenants)
		read_tenant(v, t, out);
	vec_each (row, &v->machine.routers)
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

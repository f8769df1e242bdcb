/* SPDX-License-Identifier: GPL-2.0-only */
#include "cluster/projection.h"

void projection_free(struct projection *p)
{
	policy_free(&p->pools);
	vec_each (named, &p->named)
		vec_free(&named->list);
	vec_free(&p->named);
}

/* What is left of a tenant whose router is elsewhere. */
static void strip(struct tenant *t)
{
	struct tenant gone = { .router = t->router };

	t->router = NULL;
	vec_each (rule, &t->accept)
		rule_clear(rule);
	vec_free(&t->accept);
	t->has_accept = false;
	tenant_clear(&gone);
}

/* The names are the rules', which stay. */
static void note_named(struct projection *p, struct model *m, const struct rule *r)
{
	vec_each (text, &r->from) {
		const struct tenant *t;
		struct sender sender;

		if (!sender_parse(*text, &sender) || !sender.mapping)
			continue;
		t = model_tenant_sorted(m, sender.tenant);
		if (p->named.v && t && !t->router)
			*vec_push(&p->named.v[t - m->tenants.v].list) = called(sender.mapping);
	}
}

void projection_strip(struct tenant *t, bool (*is_here)(void *arg, const struct tenant *t),
		      void *arg)
{
	if (!t->router || !is_here(arg, t))
		strip(t);
}

void projection_begin(struct projection *p, struct model *m,
		      bool (*is_here)(void *arg, const struct tenant *t), void *arg)
{
	uint32_t id = 0;

	memset(p, 0, sizeof(*p));
	vec_each (t, &m->tenants) {
		vec_push(&p->named);
		projection_strip(t, is_here, arg);
		p->has_poolless |= !t->router && !t->pools.n;
		id++;
		if (!t->id)
			t->id = id;
	}
	vec_each (t, &m->tenants) {
		vec_each (rule, &t->accept)
			note_named(p, m, rule);
	}
	policy_make_pools(m, &p->pools);
}

static bool is_named(const struct named *named, const struct mapping *m)
{
	vec_each (by, &named->list) {
		if (is_called(m, by))
			return true;
	}
	return false;
}

bool projection_wants(const struct projection *p, const struct model *m, const struct tenant *t,
		      const struct mapping *mapping)
{
	if (t->router)
		return true;
	return policy_pool_of(&p->pools, &mapping->shared) != t->id ||
	       is_named(&p->named.v[t - m->tenants.v], mapping);
}

bool projection_takes(const struct projection *p, const struct model *m, const struct tenant *t,
		      const struct owner *o)
{
	return t && (o->is_router ? t->router != NULL : projection_wants(p, m, t, &o->mapping));
}

static void add_pools(const struct model *m, const struct tenant *t, struct key_ranges *out)
{
	vec_each (pool, &t->pools)
		key_ranges_add(out, pool);
	for (size_t i = 0; !t->pools.n && i < m->subnets.n; i++)
		key_ranges_add(out, &m->subnets.v[i]);
}

void projection_ranges(const struct projection *p, const struct model *m, struct key_ranges *out)
{
	memset(out, 0, sizeof(*out));
	/* somebody's, but nobody's by the pool alone */
	vec_each (row, &p->pools.pools) {
		struct prefix pool = { row->key.prefix, (uint8_t)row->key.len };

		if (!row->tenant)
			key_ranges_add(out, &pool);
	}
	vec_each (t, &m->tenants) {
		if (t->router || p->named.v[t - m->tenants.v].list.n)
			add_pools(m, t, out);
	}
	for (size_t i = 0; p->has_poolless && i < m->subnets.n; i++)
		key_ranges_add(out, &m->subnets.v[i]);
	key_ranges_merge(out);
}

void projection_make(struct model *m, bool (*is_here)(void *arg, const struct tenant *t), void *arg)
{
	_cleanup_projection_ struct projection p;

	projection_begin(&p, m, is_here, arg);
	vec_each (t, &m->tenants) {
		size_t n = 0;

		for (size_t i = 0; i < t->mappings.n; i++) {
			struct mapping *mapping = &t->mappings.v[i];

			if (projection_wants(&p, m, t, mapping))
				t->mappings.v[n++] = *mapping;
			else
				mapping_clear(mapping);
		}
		t->mappings.n = n;
	}
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include "model/kernel_state.h"

#include "model/prefixes.h"

void kernel_state_free(struct kernel_state *m)
{
	vec_free(&m->subnets);
	vec_free(&m->shared);
	vec_free(&m->fixed);
	vec_free(&m->prefixes);
	vec_free(&m->routers);
	vec_free(&m->addrs);
	vec_free(&m->routes);
	vec_free(&m->groups);
	vec_free(&m->settings);
	vec_free(&m->looked);
	policy_free(&m->policy);
}

void kernel_state_sort(struct kernel_state *m)
{
	vec_sort(&m->groups, group_row_cmp);
	vec_sort(&m->addrs, addr_row_cmp);
	vec_sort(&m->routes, route_row_cmp);
	vec_sort(&m->shared, shared_row_cmp);
	vec_sort(&m->fixed, fixed_row_cmp);
	vec_sort(&m->prefixes, prefix_row_cmp);
	vec_sort(&m->routers, router_row_cmp);
	policy_sort(&m->policy);
}

void router_facts_free(struct router_facts *f)
{
	ifaces_free(&f->ifaces);
	vec_free(&f->own);
	vec_free(&f->addrs);
	vec_free(&f->routes);
	vec_free(&f->groups);
	vec_free(&f->settings);
}

const struct router_row *kernel_state_router(const struct kernel_state *m, uint32_t id)
{
	vec_each (r, &m->routers) {
		if (r->id == id)
			return r;
	}
	return NULL;
}

bool router_row_is_wanted(const struct model *m, const struct router_row *r)
{
	vec_each (t, &m->tenants) {
		if (t->router && t->router->id == r->id)
			return !t->router->detached;
	}
	return false;
}

const struct shared_row *kernel_state_shared(const struct kernel_state *m,
					     const struct tn_addr *shared)
{
	const struct shared_row key = { .shared = *shared };

	return m->shared.n ? bsearch(&key, m->shared.v, m->shared.n, sizeof(key), shared_row_cmp)
			   : NULL;
}

void facts_free(struct facts *f)
{
	vec_each (r, &f->list)
		router_facts_free(r);
	vec_free(&f->list);
}

static const struct router_facts *facts_of(const struct facts *facts, const struct tenant *t)
{
	vec_each (f, &facts->list) {
		if (strcmp(f->row.tenant, t->name) == 0)
			return f;
	}
	return NULL;
}

static void want_router(const struct tenant *t, const struct router_facts *f,
			const struct kernel_state *have, struct kernel_state *out)
{
	struct router_row *r = vec_push(&out->routers);
	const struct router_row *was = have ? kernel_state_router(have, t->router->id) : NULL;

	*r = f->row;
	/* in scope alone, perhaps not all of its mappings are known */
	if (!r->out_of_scope)
		r->binds = tenant_binds(t) || (was && was->binds);
	vec_each (a, &f->own)
		*vec_push(&out->shared) = (struct shared_row){ .shared = *a,
							       .tenant = t->id,
							       .router = t->router->id,
							       .flags = TN_SHARED_OWN };
	vec_each (row, &f->addrs)
		*vec_push(&out->addrs) = *row;
	vec_each (row, &f->routes)
		*vec_push(&out->routes) = *row;
	vec_each (row, &f->groups)
		*vec_push(&out->groups) = *row;
	vec_each (row, &f->settings)
		*vec_push(&out->settings) = *row;
}

static void want_fixed(const struct mapping *m, const struct tenant *t, uint32_t flags,
		       uint32_t pair, struct kernel_state *out)
{
	struct fixed_row *row = vec_push(&out->fixed);

	*row = (struct fixed_row){ .router = t->router->id,
				   .fixed = m->fixed,
				   .shared = m->shared,
				   .tenant = t->id,
				   .flags = flags,
				   .pair = pair };
	memcpy(row->mac, m->mac, sizeof(row->mac));
}

static void want_prefix_row(uint32_t router, const struct tn_addr *a, uint8_t bits,
			    const struct tn_addr *first, struct kernel_state *out)
{
	struct prefix_row *row = vec_push(&out->prefixes);

	row->key.len = TN_PREFIX_LEN(128U - bits);
	row->key.router = router;
	row->key.addr = *a;
	if (first)
		row->first = *first;
}

/* `router`: whose fixed addresses are looked for; 0: nobody's here. */
static void want_prefix(const struct mapping *m, uint32_t router, struct kernel_state *out)
{
	want_prefix_row(0, &m->shared, m->bits, &m->shared, out);
	if (router)
		want_prefix_row(router, &m->fixed, m->bits, &m->fixed, out);
	for (size_t i = 0; m->except && i < m->except->list.n; i++) {
		const struct tn_addr *fixed = &m->except->list.v[i];
		const struct tn_addr shared = mapping_shared_of(m, fixed);

		want_prefix_row(0, &shared, 0, NULL, out);
		if (router)
			want_prefix_row(router, fixed, 0, NULL, out);
	}
}

static uint32_t prefix_flags(const struct mapping *m)
{
	return m->bits ? TN_SHARED_PREFIX | (uint32_t)m->bits << TN_PREFIX_BITS : 0;
}

/*
 * A tenant whose router is not attached here is known by its addresses alone. `have` NULL: all
 * mappings are known.
 */
static void want_tenant(const struct tenant *t, const struct facts *facts,
			const struct policy *policy, const struct kernel_state *have,
			struct kernel_state *out)
{
	const struct router_facts *f = t->router ? facts_of(facts, t) : NULL;
	uint32_t router = f ? t->router->id : TN_ROUTER_ELSEWHERE;

	if (f)
		want_router(t, f, have, out);
	vec_each (m, &t->mappings) {
		uint32_t flags = TN_SHARED_MAPPED | policy_flags(policy, t, m) | prefix_flags(m) |
				 (mac_is_unset(m->mac) ? 0 : TN_SHARED_BOUND);
		uint32_t pair = out->fixed.n + 1;

		*vec_push(&out->shared) = (struct shared_row){ .shared = m->shared,
							       .fixed = m->fixed,
							       .tenant = t->id,
							       .router = router,
							       .flags = flags,
							       .pair = f ? pair : 0 };
		if (f)
			want_fixed(m, t, flags, pair, out);
		if (m->bits)
			want_prefix(m, router, out);
	}
}

void kernel_state_addrs(const struct kernel_state *m, uint32_t router, bool own,
			struct addr_list *out)
{
	vec_each (row, &m->shared) {
		if (row->router == router && !(row->flags & TN_SHARED_OWN) != own &&
		    !(row->flags & TN_SHARED_PREFIX))
			*vec_push(&out->list) = row->shared;
	}
}

bool scope_has(const struct scope *scope, const char *tenant)
{
	for (int i = 0; scope && i < scope->n; i++) {
		if (strcmp(scope->tenants[i], tenant) == 0)
			return true;
	}
	return !scope;
}

bool router_row_has_inside(const struct router_row *r, const struct place *at)
{
	for (size_t i = 0; i < TN_INSIDE_MAX && r->inside[i]; i++) {
		if (r->inside[i] == at->ifindex)
			return r->netns_dev == at->netns_dev && r->netns_ino == at->netns_ino;
	}
	return false;
}

/* Tenant and router ids of those in scope. */
struct ids {
	VEC(uint32_t) tenants;
	VEC(uint32_t) routers;
};

static bool has_id(const uint32_t *v, size_t n, uint32_t id)
{
	for (size_t i = 0; i < n; i++) {
		if (v[i] == id)
			return true;
	}
	return false;
}

/*
 * Whether a place is somebody's out of scope: the shared interface of such a router, an inside one
 * that none in scope has, no interface but the namespace of such a router, or in a namespace where
 * none in scope is or was.
 */
static bool is_others(const struct place *at, const struct facts *facts,
		      const struct kernel_state *have, const struct ids *in)
{
	bool mine = false, inside = false, theirs = false;

	vec_each (r, &have->routers) {
		bool scoped = has_id(in->routers.v, in->routers.n, r->id);

		if (r->netns_dev != at->netns_dev || r->netns_ino != at->netns_ino)
			continue;
		if (!scoped && (!at->ifindex || r->ifindex == at->ifindex))
			return true;
		mine |= scoped;
		inside |= scoped && router_row_has_inside(r, at);
		theirs |= !scoped && router_row_has_inside(r, at);
	}
	vec_each (f, &facts->list) {
		mine |= f->at.netns_dev == at->netns_dev && f->at.netns_ino == at->netns_ino;
		inside |= router_row_has_inside(&f->row, at);
	}
	return !mine || (theirs && !inside);
}

static void keep_settled(const struct kernel_state *have, const struct facts *facts,
			 const struct ids *in, struct kernel_state *out)
{
	vec_each (row, &have->addrs) {
		if (is_others(&row->at, facts, have, in))
			*vec_push(&out->addrs) = *row;
	}
	vec_each (row, &have->routes) {
		if (is_others(&row->at, facts, have, in))
			*vec_push(&out->routes) = *row;
	}
	vec_each (row, &have->groups) {
		if (is_others(&row->at, facts, have, in))
			*vec_push(&out->groups) = *row;
	}
}

/* A shared address by the definitions, and whose it is. */
struct owned {
	struct tn_addr shared;
	struct tn_addr fixed;
	uint32_t tenant;
	uint32_t router; /* 0: none is defined here */
};

struct owners {
	VEC(struct owned) list; /* sorted by shared */
};

static int owned_cmp(const void *a, const void *b)
{
	const struct owned *x = a, *y = b;

	return addr_cmp(&x->shared, &y->shared);
}

static void owners_make(const struct model *m, struct owners *out)
{
	memset(out, 0, sizeof(*out));
	vec_each (t, &m->tenants) {
		vec_each (mapping, &t->mappings)
			*vec_push(&out->list) =
				(struct owned){ .shared = mapping->shared,
						.fixed = mapping->fixed,
						.tenant = t->id,
						.router = t->router ? t->router->id : 0 };
	}
	vec_sort(&out->list, owned_cmp);
}

static const struct owned *owner_of(const struct owners *owners, const struct tn_addr *shared,
				    const struct tn_addr *fixed)
{
	const struct owned key = { .shared = *shared }, *found = NULL;

	if (owners->list.n)
		found = bsearch(&key, owners->list.v, owners->list.n, sizeof(key), owned_cmp);
	return found && addr_cmp(&found->fixed, fixed) == 0 ? found : NULL;
}

/*
 * Only what the definitions say: a run that was killed may have left more, and the addresses of
 * that may be given to somebody in scope now.
 */
static void keep_rows(const struct model *m, const struct kernel_state *have, const struct ids *in,
		      struct kernel_state *out)
{
	struct owners owners;

	owners_make(m, &owners);
	vec_each (row, &have->shared) {
		const struct owned *o = owner_of(&owners, &row->shared, &row->fixed);

		if (!has_id(in->tenants.v, in->tenants.n, row->tenant) &&
		    (row->flags & TN_SHARED_OWN || (o && o->tenant == row->tenant)))
			*vec_push(&out->shared) = *row;
	}
	vec_each (row, &have->fixed) {
		const struct owned *o = owner_of(&owners, &row->shared, &row->fixed);

		if (!has_id(in->routers.v, in->routers.n, row->router) && o &&
		    o->router == row->router)
			*vec_push(&out->fixed) = *row;
	}
	vec_free(&owners.list);
}

/* The same of prefixes, all of which are known. */
static void keep_prefixes(const struct model *m, const struct kernel_state *have,
			  const struct ids *in, struct kernel_state *out)
{
	struct kernel_state all = { 0 };

	vec_each (t, &m->tenants) {
		vec_each (mapping, &t->mappings) {
			if (mapping->bits && !has_id(in->tenants.v, in->tenants.n, t->id))
				want_prefix(mapping, t->router ? t->router->id : 0, &all);
		}
	}
	vec_each (row, &all.prefixes) {
		const struct prefix_row *is =
			have->prefixes.n ? bsearch(row, have->prefixes.v, have->prefixes.n,
						   sizeof(*row), prefix_row_cmp)
					 : NULL;

		if (is && memcmp(&is->first, &row->first, sizeof(row->first)) == 0)
			*vec_push(&out->prefixes) = *row;
	}
	vec_free(&all.prefixes);
}

static void keep_others(const struct model *m, const struct kernel_state *have,
			const struct ids *in, struct kernel_state *out)
{
	keep_rows(m, have, in, out);
	keep_prefixes(m, have, in, out);
	vec_each (row, &have->routers) {
		if (has_id(in->routers.v, in->routers.n, row->id))
			continue;
		*vec_push(&out->routers) = *row;
		/* broken or not, it is not this change's to mend */
		out->routers.v[out->routers.n - 1].out_of_scope = true;
	}
}

/* The tenant whose mapping has that address, 0: none. The rows are sorted. */
static uint32_t tenant_of(const struct kernel_state *m, const struct tn_addr *shared)
{
	const struct shared_row *row = kernel_state_shared(m, shared);

	return row ? row->tenant : 0;
}

static bool has_tenant(const struct ids *in, uint32_t tenant)
{
	return has_id(in->tenants.v, in->tenants.n, tenant);
}

/* Of either end: a mapping that comes or goes takes the rows along that are from it. */
static bool is_in_scope(const struct ids *in, const struct tn_accept_key *key)
{
	return has_tenant(in, key->tenant) ||
	       (!addr_is_unset(&key->sender) && has_tenant(in, key->from));
}

/*
 * Of the tenants out of scope, what is there already, with the value that the definitions give it.
 * Pools are everybody's: each is what it is because others have theirs.
 */
static void keep_policy(const struct kernel_state *have, const struct ids *in,
			struct kernel_state *out)
{
	struct policy *p = &out->policy;
	size_t n = 0;

	vec_each (row, &p->accepts) {
		if (is_in_scope(in, &row->key) || policy_accept(&have->policy, &row->key))
			p->accepts.v[n++] = *row;
	}
	p->accepts.n = n;
	n = 0;
	vec_each (row, &p->services) {
		if (is_in_scope(in, &row->key.accept) ||
		    policy_accept(&have->policy, &row->key.accept))
			p->services.v[n++] = *row;
	}
	p->services.n = n;
	n = 0;
	vec_each (row, &p->limits) {
		if (has_tenant(in, tenant_of(out, &row->shared)) ||
		    policy_limit(&have->policy, &row->shared))
			p->limits.v[n++] = *row;
	}
	p->limits.n = n;
	policy_find_senders(p);
}

static uint32_t flags_as_sender(const struct policy *p, const struct tn_addr *shared,
				uint32_t flags)
{
	if (!(flags & TN_SHARED_MAPPED) || !policy_is_sender(p, shared))
		return flags & ~TN_SHARED_SENDER;
	return flags | TN_SHARED_SENDER;
}

/* Whose rules are from a mapping is in its own row, also if its tenant is out of scope. */
static void keep_senders(struct kernel_state *out)
{
	vec_each (row, &out->shared)
		row->flags = flags_as_sender(&out->policy, &row->shared, row->flags);
	vec_each (row, &out->fixed)
		row->flags = flags_as_sender(&out->policy, &row->shared, row->flags);
}

void kernel_state_wanted(const struct model *m, const struct facts *facts,
			 const struct kernel_state *have, const struct scope *scope,
			 struct kernel_state *out)
{
	struct ids in = { 0 };

	memset(out, 0, sizeof(*out));
	vec_each (p, &m->subnets)
		*vec_push(&out->subnets) = *p;
	policy_make(m, &out->policy);
	vec_each (t, &m->tenants) {
		if (!scope_has(scope, t->name))
			continue;
		*vec_push(&in.tenants) = t->id;
		if (t->router)
			*vec_push(&in.routers) = t->router->id;
		want_tenant(t, facts, &out->policy, scope ? have : NULL, out);
	}
	if (scope) {
		keep_others(m, have, &in, out);
		keep_settled(have, facts, &in, out);
	}
	kernel_state_sort(out);
	/* routers of one namespace want the same unreachable routes */
	vec_sort_once(&out->routes, route_row_cmp);
	if (scope) {
		keep_policy(have, &in, out);
		keep_senders(out);
	}
	vec_free(&in.tenants);
	vec_free(&in.routers);
}

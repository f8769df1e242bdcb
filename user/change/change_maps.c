/* SPDX-License-Identifier: GPL-2.0-only */
/* The maps of a change: whether they have room for it, their beginning and their end. */
#include "change/change_parts.h"

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

static int check_rules(const struct change *c, const struct plan *p,
		       const struct kernel_state *want, struct error *err)
{
	size_t accepts = c->have.policy.accepts.n + p->accept_grow.n;
	size_t services = c->have.policy.services.n + p->service_put.n;
	size_t need = larger(larger(accepts, services), policy_rule_max(&want->policy) + 1);

	if (need <= dataplane_rules(c->dp))
		return 0;
	return error_set(
		err,
		"the maps have room for %zu rules and services, and this needs up to %zu; "
		"`tenantnat detach --all` and then apply makes larger ones, but interrupts traffic",
		dataplane_rules(c->dp), need);
}

/* Additions come before removals, so for a moment the maps hold both. */
int change_maps_check(const struct change *c, const struct plan *p, const struct kernel_state *want,
		      struct error *err)
{
	size_t need = c->have.shared.n + p->own_put.n + p->shared_put.n + 1;

	if (!c->dp)
		return 0;
	if (need <= dataplane_capacity(c->dp))
		return check_rules(c, p, want, err);
	return error_set(
		err,
		"the maps have room for %zu addresses, and this needs up to %zu; `tenantnat "
		"detach --all` and then apply makes larger ones, but interrupts traffic",
		dataplane_capacity(c->dp), need);
}

/* With room for twice as much: to make larger ones interrupts traffic. */
int change_maps_make(struct change *c, const struct kernel_state *want, struct error *err)
{
	const struct policy *p = &want->policy;
	size_t rules = larger(larger(p->accepts.n, p->services.n), policy_rule_max(p) + 1);

	return dataplane_create(c->settings->bpffs, 2 * want->shared.n, 2 * rules, &c->dp, err);
}

int change_maps_drop(struct change *c, struct error *err)
{
	dataplane_close(c->dp);
	c->dp = NULL;
	return dataplane_destroy(c->settings->bpffs, err);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* In a cluster addresses are the cluster's to give: what this host has of them it does not change.
 */
#include "change/change_parts.h"
#include "model/prefixes.h"
#include "store/member.h"

/* The addresses of everybody here, in the order of the model. */
static void note_addresses(struct model *m, struct addr_list *out)
{
	model_sort(m);
	vec_each (t, &m->tenants) {
		for (int f = 0; t->router && f < FAMILIES; f++)
			*vec_push(&out->list) = t->router->own[f].addr;
		vec_each (mapping, &t->mappings)
			*vec_push(&out->list) = mapping->shared;
	}
}

static int not_given(const struct tenant *t, const char *what, const struct tn_addr *given,
		     struct error *err)
{
	if (addr_is_unset(given))
		return error_set(err,
				 "tenant %s: %s needs an address, which only the cluster can give; "
				 "`tenantnat cluster sync` asks for it",
				 t->name, what);
	return error_set(
		err,
		"tenant %s: the cluster gave %s to %s, but a router on this host has that "
		"address, or the shared subnets do not; take it off the interface, or remove "
		"and add that mapping",
		t->name, ADDR(given), what);
}

static int check_addresses(const struct model *m, const struct addr_list *given, struct error *err)
{
	const struct tn_addr *at = given->list.v;

	vec_each (t, &m->tenants) {
		for (int f = 0; t->router && f < FAMILIES; f++, at++) {
			if (addr_cmp(at, &t->router->own[f].addr) != 0)
				return not_given(t, "its router", at, err);
		}
		vec_each (mapping, &t->mappings) {
			if (addr_cmp(at, &mapping->shared) != 0)
				return not_given(t, FIXED(mapping), at, err);
			at++;
		}
	}
	return 0;
}

int change_assign_given(struct change *c, const struct change_how *how, struct addr_list *reserved,
			struct error *err)
{
	_cleanup_membership_ struct membership member = { 0 };
	int is_member = store_membership(c->store, &member, err), ret;
	struct addr_list given = { 0 };

	if (is_member < 0)
		return -1;
	if (!is_member)
		return change_assign(c, reserved, err);
	if (how->give && !how->dry_run && how->give(how->arg, &c->will, reserved, err))
		return -1;
	note_addresses(&c->will, &given);
	ret = change_assign(c, reserved, err);
	if (!ret && !how->dry_run)
		ret = check_addresses(&c->will, &given, err);
	vec_free(&given.list);
	return ret;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* What of two models is stored in the same rows. */
#include "model/prefixes.h"
#include "store/store_internal.h"

bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_lease(const struct own_address *a, const struct own_address *b)
{
	return a->pinned == b->pinned && memcmp(&a->addr, &b->addr, sizeof(a->addr)) == 0;
}

bool same_router(const struct router *a, const struct router *b)
{
	if (!a || !b)
		return a == b;
	return a->id == b->id && a->passed_over == b->passed_over && router_same(a, b) &&
	       same_lease(&a->own[IPV4], &b->own[IPV4]) && same_lease(&a->own[IPV6], &b->own[IPV6]);
}

bool same_mapping(const struct mapping *a, const struct mapping *b)
{
	return addr_cmp(&a->fixed, &b->fixed) == 0 && addr_cmp(&a->shared, &b->shared) == 0 &&
	       a->pinned == b->pinned && same_text(a->name, b->name) && a->bits == b->bits &&
	       same_exceptions(a->except, b->except) &&
	       memcmp(a->mac, b->mac, sizeof(a->mac)) == 0 &&
	       memcmp(&a->limit, &b->limit, sizeof(a->limit)) == 0;
}

bool same_accept(const struct tenant *a, const struct tenant *b)
{
	if (a->has_accept != b->has_accept || a->accept.n != b->accept.n)
		return false;
	for (size_t i = 0; i < a->accept.n; i++) {
		const struct rule *r = &a->accept.v[i], *q = &b->accept.v[i];

		if (r->id != q->id || r->pos.line != q->pos.line || r->pos.col != q->pos.col ||
		    !rule_same(r, q))
			return false;
	}
	return true;
}

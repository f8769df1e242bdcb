/* SPDX-License-Identifier: GPL-2.0-only */
#include "handover/delta.h"

#include <string.h>

void delta_free(struct delta *d)
{
	vec_free(&d->known);
}

void chosen_free(struct chosen *c)
{
	vec_free(&c->list);
}

/* A flow as it is now. */
struct named {
	uint64_t name;
	uint32_t index;
};

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15;
	return hash ^ hash >> 32;
}

/* With the tenants: when an address changes hands, it is another flow. */
static uint64_t name_of(const struct flow *f, uint64_t seed)
{
	uint64_t words[sizeof(f->key) / sizeof(uint64_t)], hash = seed;

	_Static_assert(sizeof(words) == sizeof(f->key), "the key is whole words");
	memcpy(words, &f->key, sizeof(words));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		hash = mix(hash, words[i]);
	return mix(hash, (uint64_t)f->value.tenant << 32 | f->value.owner);
}

static int by_name(const void *one, const void *two)
{
	const struct named *a = one, *b = two;

	return a->name < b->name ? -1 : a->name > b->name;
}

/* Whether what is left of a flow is, by more than a quarter, not what the host believes. */
static bool has_changed(const struct told *t, const struct tn_flow *f, uint32_t now)
{
	uint64_t left = f->expires - now, told = t->expires > now ? t->expires - now : 0;

	return t->closing != (bool)(f->flags & TN_FLOW_CLOSING) || told * 4 < left * 3 ||
	       left * 4 < told * 3;
}

static struct told told_of(const struct named *n, const struct flow *f)
{
	return (struct told){ n->name, f->value.expires, f->value.flags & TN_FLOW_CLOSING };
}

/* What is open now, and what was known of it (NULL: nothing). */
struct pair {
	const struct named *now;
	const struct told *known;
};

static void pair_up(const struct delta *d, const struct named *all, size_t n, struct pair *out)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		while (at < d->known.n && d->known.v[at].name < all[i].name)
			at++;
		out[i].now = &all[i];
		out[i].known = at < d->known.n && d->known.v[at].name == all[i].name
				       ? &d->known.v[at]
				       : NULL;
	}
}

void delta_choose(struct delta *d, const struct flow *v, size_t n, uint32_t now, size_t most,
		  struct chosen *out)
{
	_cleanup_free_ struct named *all = xrealloc(NULL, n, sizeof(*all));
	_cleanup_free_ struct pair *pairs = xrealloc(NULL, n, sizeof(*pairs));
	__typeof__(d->known) known = { 0 };
	size_t fresh = 0, room;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < n; i++)
		all[i] = (struct named){ name_of(&v[i], d->seed), i };
	sort_rows(all, n, sizeof(*all), by_name);
	pair_up(d, all, n, pairs);
	for (size_t i = 0; i < n; i++)
		fresh += !pairs[i].known;
	/* what is left for those that are known already */
	room = fresh < most ? most - fresh : 0;
	for (size_t i = 0; i < n; i++) {
		const struct told *before = pairs[i].known;
		const struct flow *f = &v[pairs[i].now->index];
		bool due =
			f->value.expires > now && (!before || has_changed(before, &f->value, now));
		size_t *left = before ? &room : &most;

		if (due && *left) {
			(*left)--;
			*vec_push(&out->list) = pairs[i].now->index;
			*vec_push(&known) = told_of(pairs[i].now, f);
			continue;
		}
		out->left += due;
		if (before)
			*vec_push(&known) = *before;
	}
	vec_free(&d->known);
	d->known.v = known.v;
	d->known.n = known.n;
	d->known.cap = known.cap;
}

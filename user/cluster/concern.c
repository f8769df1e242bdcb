// SPDX-License-Identifier: GPL-2.0-only
#include "cluster/concern.h"

/* With more tenants it does not matter who is not concerned. */
#define TENANTS_MAX 1000

void concern_free(struct concern *c)
{
	names_free(&c->tenants);
	names_free(&c->hosts);
}

static bool has_name(const struct names *n, const char *name)
{
	size_t low = 0, high = n->list.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(n->list.v[mid], name);

		if (!order)
			return true;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

bool concern_has(const struct concern *c, const char *host)
{
	return c->everybody || has_name(&c->hosts, host);
}

/* ------------------------------------------------------------ the change */

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* What every host stores of a tenant. */
static bool same_pools(const struct entry *a, const struct entry *b)
{
	json_t *x = json_loads(a->value, 0, NULL), *y = json_loads(b->value, 0, NULL);
	json_t *one = json_object_get(x, "pool"), *other = json_object_get(y, "pool");
	bool same = one && other ? json_equal(one, other) : one == other;

	json_decref(x);
	json_decref(y);
	return same;
}

static int note_change(void *arg, const struct entry *was, const struct entry *is,
		       struct error *err)
{
	const char *key = was ? was->key : is->key;
	struct concern *c = arg;

	if (strcmp(key, KEY_NETWORK) == 0)
		c->everybody = true;
	if (begins(key, KEY_BLOCKS))
		return block_touches(key, was ? was->value : NULL, is ? is->value : NULL,
				     &c->tenants, err);
	if (begins(key, KEY_TENANTS)) {
		c->everybody |= !was || !is || !same_pools(was, is);
		*vec_push(&c->tenants.list) = xstrdup(key + strlen(KEY_TENANTS));
	}
	return 0;
}

int concern_of_change(const struct entries *had, const struct entries *will, struct concern *c,
		      struct error *err)
{
	memset(c, 0, sizeof(*c));
	if (entries_differ(had, will, note_change, c, err))
		return -1;
	names_sort(&c->tenants);
	c->everybody |= !c->tenants.list.n || c->tenants.list.n > TENANTS_MAX;
	return 0;
}

/* ------------------------------------------------------------ hosts */

static void add_hosts(struct concern *c, const struct tenant *t)
{
	const struct router *r = tenant_router(t);

	if (r && !r->hosts.n)
		c->everybody = true; /* whoever has the namespace */
	for (size_t i = 0; r && i < r->hosts.n; i++)
		*vec_push(&c->hosts.list) = xstrdup(r->hosts.v[i]);
}

static bool overlap(const struct prefix *a, const struct prefix *b)
{
	return prefix_has(a, &b->addr) || prefix_has(b, &a->addr);
}

/* Whether a pool tells whose its VMs are; else every host has all of its mappings. */
static bool has_pool_of_its_own(const struct model *m, const struct tenant *t)
{
	vec_each (pool, &t->pools) {
		vec_each (other, &m->tenants) {
			vec_each (theirs, &other->pools) {
				if (other != t && overlap(pool, theirs))
					return false;
			}
		}
	}
	return t->pools.n;
}

/* Whether it names mappings of a tenant that changes. */
static bool names_changed(const struct concern *c, const struct tenant *t)
{
	vec_each (rule, &t->accept) {
		vec_each (from, &rule->from) {
			struct sender sender;

			if (sender_parse(*from, &sender) && sender.mapping &&
			    has_name(&c->tenants, sender.tenant))
				return true;
		}
	}
	return false;
}

/* ------------------------------------------------------------ of one host */

static bool names_it(const struct model *mine, const char *tenant)
{
	struct concern c = { 0 };
	bool named = false;

	*vec_push(&c.tenants.list) = (char *)tenant;
	vec_each (t, &mine->tenants)
		named |= names_changed(&c, t);
	vec_free(&c.tenants.list);
	return named;
}

static bool names_mappings(const struct tenant *t)
{
	vec_each (rule, &t->accept) {
		vec_each (from, &rule->from) {
			struct sender sender;

			if (sender_parse(*from, &sender) && sender.mapping)
				return true;
		}
	}
	return false;
}

static bool same_rules(const struct tenant *a, const struct tenant *b)
{
	if (a->accept.n != b->accept.n)
		return false;
	for (size_t i = 0; i < a->accept.n; i++) {
		if (!rule_same(&a->accept.v[i], &b->accept.v[i]))
			return false;
	}
	return true;
}

enum concern_of concern_of_tenant(const struct model *mine, const struct tenant *t,
				  bool (*is_here)(void *arg, const struct tenant *t), void *arg)
{
	const struct tenant *had = model_tenant_sorted((struct model *)mine, t->name);
	bool here = tenant_router(t) && is_here(arg, t);

	if (!had || !prefixes_equal(had->pools.v, had->pools.n, t->pools.v, t->pools.n) ||
	    !has_pool_of_its_own(mine, had))
		return CONCERN_ALL;
	/* mappings of others that it names are here already if it has named them before */
	if (had->router && here)
		return !names_mappings(t) || same_rules(had, t) ? CONCERN_OWN : CONCERN_ALL;
	/* with mappings here, a rule names some */
	return had->router || here || had->mappings.n || names_it(mine, t->name) ? CONCERN_ALL
										 : CONCERN_NONE;
}

enum concern_of concern_of_host(const struct model *mine, const struct model *changed,
				bool (*is_here)(void *arg, const struct tenant *t), void *arg)
{
	enum concern_of all = CONCERN_NONE;

	vec_each (t, &changed->tenants) {
		enum concern_of one = concern_of_tenant(mine, t, is_here, arg);

		all = one > all ? one : all;
	}
	return all;
}

static int read_tenants(const struct entries *now, struct reader *r, struct error *err)
{
	const struct entry *network = entries_find(now, KEY_NETWORK);

	if (!network)
		return 0;
	if (reader_network(r, network->value, err))
		return -1;
	vec_each (entry, &now->list) {
		if (begins(entry->key, KEY_TENANTS) &&
		    reader_tenant(r, entry->key, entry->value, err))
			return -1;
	}
	return 0;
}

int concern_find_hosts(const struct entries *now, struct concern *c, struct error *err)
{
	_cleanup_reader_ struct reader r = { 0 };

	if (c->everybody)
		return 0;
	if (read_tenants(now, &r, err))
		return -1;
	vec_each (t, &r.m.tenants) {
		bool changes = has_name(&c->tenants, t->name);

		if (changes || names_changed(c, t))
			add_hosts(c, t);
		if (changes && !has_pool_of_its_own(&r.m, t))
			c->everybody = true;
	}
	names_sort(&c->hosts);
	return 0;
}

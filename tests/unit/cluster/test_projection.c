/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>

#include "../fixture.h"
#include "../store/store_fixture.h"
#include "cluster/projection.h"

/* Tenants whose router is here; the others have theirs elsewhere. */
static bool is_here(void *arg, const struct tenant *t)
{
	return strstr(arg, t->name);
}

static struct model copy_of(const struct model *m)
{
	_cleanup_entries_ struct entries e;
	struct error err = { 0 };
	struct model copy;

	cr_assert_eq(keys_write(m, &e, &err), 0, "%s", err.text);
	cr_assert_eq(keys_read(&e, false, &copy, &err), 0, "%s", err.text);
	for (size_t i = 0; i < m->tenants.n; i++) {
		copy.tenants.v[i].id = m->tenants.v[i].id;
		for (size_t k = 0; k < m->tenants.v[i].accept.n; k++)
			copy.tenants.v[i].accept.v[k].id = m->tenants.v[i].accept.v[k].id;
	}
	return copy;
}

static void expect_projection(const char *definitions, const char *here, const char *leases)
{
	_cleanup_model_ struct model m = model_of(definitions);

	model_sort(&m);
	projection_make(&m, is_here, (void *)here);
	expect_text(leases_text(&m), leases, definitions);
}

#define NET "net 100.64.0.0/16 fd64::/64;"

Test(projection, what_is_here_is_whole)
{
	expect_projection(NET
			  "tenant red pool=100.64.1.0/24; router pin=100.64.1.1; map 10.0.0.5 db "
			  "lease=100.64.1.5; map 10.0.0.6 lease=100.64.1.6;"
			  "tenant blue pool=100.64.2.0/24; router pin=100.64.2.1; map 10.0.0.5 "
			  "lease=100.64.2.5; accept from=*;",
			  "red",
			  "red router 100.64.1.1\n"
			  "red 10.0.0.5 100.64.1.5\n"
			  "red 10.0.0.6 100.64.1.6\n");
}

Test(projection, what_no_pool_tells_of)
{
	/* no pool; one that is shared; a part of another's; one around a router's that is here */
	expect_projection(NET "tenant a; map 10.0.0.5 lease=100.64.9.5;"
			      "tenant b pool=100.64.2.0/24; map 10.0.0.5 lease=100.64.2.5;"
			      "tenant c pool=100.64.2.0/24; map 10.0.0.5 lease=100.64.2.6;"
			      "tenant d pool=100.64.4.0/22; map 10.0.0.5 lease=100.64.4.5; map "
			      "10.0.0.6 lease=100.64.5.6;"
			      "tenant e pool=100.64.5.0/24; map 10.0.0.5 lease=100.64.5.5;"
			      "tenant f pool=100.64.8.0/23; map 10.0.0.5 lease=100.64.8.5; map "
			      "10.0.0.6 lease=100.64.9.6;"
			      "tenant red pool=100.64.8.0/24; router;",
			  "red",
			  "a 10.0.0.5 100.64.9.5\n"
			  "b 10.0.0.5 100.64.2.5\n"
			  "c 10.0.0.5 100.64.2.6\n"
			  "d 10.0.0.6 100.64.5.6\n"
			  "e 10.0.0.5 100.64.5.5\n"
			  "f 10.0.0.5 100.64.8.5\n");
}

Test(projection, what_rules_here_name)
{
	expect_projection(
		NET "tenant blue pool=100.64.2.0/24 pool=fd64::2:0/112; router;"
		    "map 10.0.0.5 db lease=100.64.2.5; map fd00::5 db lease=fd64::2:5;"
		    "map 10.0.0.6 lease=100.64.2.6; map 10.0.0.7 lease=100.64.2.7;"
		    "tenant green pool=100.64.3.0/24; router; map 10.0.0.5 lease=100.64.3.5;"
		    "accept from=blue/10.0.0.7;"
		    "tenant red pool=100.64.1.0/24; router;"
		    "accept from=blue/db; accept from=blue/10.0.0.6 from=green from=nobody/x;",
		"red",
		"blue 10.0.0.5 100.64.2.5\n"
		"blue 10.0.0.6 100.64.2.6\n"
		"blue fd00::5 fd64::2:5\n");
}

/* ------------------------------------------------------------ what a host has to read */

static char *ranges_text(const char *definitions, const char *here)
{
	_cleanup_model_ struct model m = model_of(definitions);
	_cleanup_projection_ struct projection p;
	_cleanup_key_ranges_ struct key_ranges ranges;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	model_sort(&m);
	projection_begin(&p, &m, is_here, (void *)here);
	projection_ranges(&p, &m, &ranges);
	vec_each (range, &ranges.list)
		fprintf(f, "%s-%s\n", range->from, range->to);
	fclose(f);
	return text;
}

Test(projection, no_more_is_read_than_that)
{
	expect_text(ranges_text(NET "tenant red pool=100.64.1.0/24; router;"
				    "tenant blue pool=100.64.2.0/24; router;"
				    "tenant green pool=100.64.4.0/24; router;"
				    "tenant pink pool=100.64.4.128/25; router;"
				    "tenant gray pool=100.64.6.0/24; router; map 10.0.0.5 db;",
				"red"),
		    "blocks/4/64400100-blocks/4/64400101\nblocks/4/64400400-blocks/4/64400401\n",
		    "shared pools");
	expect_text(ranges_text(NET "tenant red pool=100.64.1.0/24; router; accept from=gray/db;"
				    "tenant gray pool=100.64.6.0/24; router;",
				"red"),
		    "blocks/4/64400100-blocks/4/64400101\nblocks/4/64400600-blocks/4/64400601\n",
		    "named");
	expect_text(ranges_text("net 100.64.0.0/16; tenant red pool=100.64.1.0/24; router;"
				"tenant gray; router;",
				"red"),
		    "blocks/4/64400000-blocks/4/6440ff01\n", "without a pool");
}

/* ------------------------------------------------------------ at random */

/* Pools that are disjoint, nested and the same, or none. */
static void random_pools(struct dice *d, struct tenant *t)
{
	static const char *const pools[] = { "100.64.1.0/24",  "100.64.2.0/24",	  "100.64.2.0/25",
					     "100.64.65.0/24", "100.64.66.0/28",  "fd64::9:0/112",
					     "100.64.2.8/29",  "100.64.0.0/18",	  "100.64.3.0/26",
					     "fd64::1:0/112",  "fd64::1:ff00/120" };
	uint32_t from = roll(d, ARRAY_SIZE(pools));

	for (uint32_t n = roll(d, 4); n > 0; n--) {
		struct prefix p = prefix_of(pools[(from + n) % ARRAY_SIZE(pools)]);
		bool overlaps = false;

		vec_each (q, &t->pools)
			overlaps |= prefix_overlap(q, &p);
		if (!overlaps)
			*vec_push(&t->pools) = p;
	}
}

static const char *const names[] = { "a", "b", "c", "d", "e", "f" };

static void random_sender(struct dice *d, struct rule *r)
{
	const char *name = names[roll(d, ARRAY_SIZE(names))];
	char text[64];

	if (chance(d, 40))
		snprintf(text, sizeof(text), "%s", name);
	else if (chance(d, 50))
		snprintf(text, sizeof(text), "%s/vm-%u", name, roll(d, 8));
	else
		snprintf(text, sizeof(text), "%s/10.0.0.%u", name, 1 + roll(d, 8));
	vec_each (other, &r->from) {
		if (strcmp(*other, text) == 0)
			return;
	}
	*vec_push(&r->from) = xstrdup(text);
}

/* Whether the tenant's pools have addresses of the family. */
static bool has_pool(const struct tenant *t, int family)
{
	vec_each (p, &t->pools) {
		if (addr_family(&p->addr) == family)
			return true;
	}
	return !t->pools.n;
}

static void random_tenant(struct dice *d, struct tenant *t, uint32_t *rule)
{
	char name[16];

	random_pools(d, t);
	if (chance(d, 70)) {
		t->router = router_new();
		t->router->netns = xstrdup(t->name);
		t->router->own[IPV4].wanted = has_pool(t, IPV4) && chance(d, 50);
	}
	for (uint32_t i = 1; i <= 8; i++) {
		struct tn_addr fixed = addr_of(chance(d, 70) ? "10.0.0.0" : "fd00::");
		struct mapping *m;

		if (chance(d, 40) || !has_pool(t, addr_family(&fixed)))
			continue;
		m = vec_push(&t->mappings);
		m->fixed = addr_add(&fixed, i);
		m->limit.packets = chance(d, 20);
		snprintf(name, sizeof(name), "vm-%u", i);
		m->name = chance(d, 60) ? xstrdup(name) : NULL;
	}
	t->has_accept = chance(d, 70);
	for (uint32_t n = t->has_accept ? roll(d, 4) : 0; n > 0; n--) {
		struct rule *r = vec_push(&t->accept);

		r->id = ++*rule;
		r->any = chance(d, 20);
		for (uint32_t k = r->any ? 0 : 1 + roll(d, 4); k > 0; k--)
			random_sender(d, r);
		if (chance(d, 40) && t->mappings.n)
			*vec_push(&r->to) = xstrdup(ADDR(&t->mappings.v[0].fixed));
	}
}

/* False: a pool has too little room, or nothing of a family. */
static bool random_definitions(struct dice *d, struct model *m)
{
	static const struct model nothing;
	static const struct addr_list none;
	struct error err = { 0 };
	uint32_t rule = 0;

	memset(m, 0, sizeof(*m));
	*vec_push(&m->subnets) = prefix_of("100.64.0.0/16");
	*vec_push(&m->subnets) = prefix_of("fd64::/64");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct tenant *t = vec_push(&m->tenants);

		t->name = xstrdup(names[i]);
		random_tenant(d, t, &rule);
	}
	if (ipam_assign(m, &nothing, &none, &err))
		return false;
	vec_each (t, &m->tenants) {
		if (t->router)
			t->router->own[IPV4].wanted = false;
	}
	return true;
}

/* Who a sender is to the programs: by its row, or by its pool. */
struct identity {
	uint32_t tenant;
	uint32_t flags;
};

static struct identity identity_of(const struct model *m, const struct policy *p,
				   const struct tn_addr *a)
{
	struct identity who = { .tenant = policy_pool_of(p, a) };

	vec_each (t, &m->tenants) {
		vec_each (mapping, &t->mappings) {
			if (addr_cmp(&mapping->shared, a) != 0)
				continue;
			who.tenant = t->id;
			who.flags = policy_flags(p, t, mapping);
			/* of a peer nobody asks for its limit */
			if (!t->router)
				who.flags &= ~TN_SHARED_LIMITED;
		}
	}
	return who;
}

static void expect_same_rows(const struct policy *whole, const struct policy *part)
{
	_cleanup_free_ char *a, *b;

	/* limits are those of VMs here */
	((struct policy *)whole)->limits.n = ((struct policy *)part)->limits.n = 0;
	a = policy_text(whole);
	b = policy_text(part);
	cr_assert_str_eq(a, b, "\n%s\n%s", a, b);
	cr_assert_eq(whole->accepts.n, part->accepts.n);
	for (size_t i = 0; i < whole->accepts.n; i++)
		cr_assert_eq(accept_row_cmp(&whole->accepts.v[i], &part->accepts.v[i]), 0);
	cr_assert_eq(whole->pools.n, part->pools.n);
	for (size_t i = 0; i < whole->pools.n; i++)
		cr_assert_eq(pool_row_cmp(&whole->pools.v[i], &part->pools.v[i]), 0);
}

/* The whole, as a host would have it that judges nobody else's VMs. */
static void locate(struct model *m, const char *here)
{
	struct projection p;

	projection_begin(&p, m, is_here, (void *)here);
	projection_free(&p);
}

static void expect_same_answers(const struct model *whole, const struct model *part)
{
	_cleanup_policy_ struct policy a, b;

	policy_make(whole, &a);
	policy_make(part, &b);
	expect_same_rows(&a, &b);
	vec_each (t, &whole->tenants) {
		vec_each (m, &t->mappings) {
			struct identity x = identity_of(whole, &a, &m->shared);
			struct identity y = identity_of(part, &b, &m->shared);

			cr_assert_eq(x.tenant, y.tenant, "%s %s", t->name, ADDR(&m->shared));
			cr_assert_eq(x.flags, y.flags, "%s %s", t->name, ADDR(&m->shared));
		}
	}
}

static size_t mappings_of(const struct model *m)
{
	size_t n = 0;

	vec_each (t, &m->tenants)
		n += t->mappings.n;
	return n;
}

/* It need not read more than its ranges. */
struct host {
	struct projection p;
	struct model *m;
};

static bool wants(void *arg, const struct tenant *t, const struct owner *o)
{
	const struct host *host = arg;

	return projection_takes(&host->p, host->m, t, o);
}

static void read_projection(const struct model *whole, const char *here, struct model *out)
{
	struct reader r = { .wants = wants };
	struct host host = { .m = &r.m };
	_cleanup_key_ranges_ struct key_ranges ranges;
	_cleanup_entries_ struct entries e;
	struct error err = { 0 };

	r.arg = &host;
	cr_assert_eq(keys_write(whole, &e, &err), 0, "%s", err.text);
	cr_assert_eq(reader_network(&r, entries_find(&e, KEY_NETWORK)->value, &err), 0);
	vec_each (entry, &e.list) {
		if (strncmp(entry->key, KEY_TENANTS, strlen(KEY_TENANTS)) == 0)
			cr_assert_eq(reader_tenant(&r, entry->key, entry->value, &err), 0, "%s",
				     err.text);
	}
	for (size_t i = 0; i < whole->tenants.n; i++) {
		struct tenant *t = &r.m.tenants.v[i];

		t->id = whole->tenants.v[i].id;
		for (size_t k = 0; k < t->accept.n; k++)
			t->accept.v[k].id = whole->tenants.v[i].accept.v[k].id;
	}
	projection_begin(&host.p, &r.m, is_here, (void *)here);
	projection_ranges(&host.p, &r.m, &ranges);
	vec_each (entry, &e.list) {
		if (key_ranges_have(&ranges, entry->key))
			cr_assert_eq(reader_block(&r, entry->key, entry->value, &err), 0, "%s",
				     err.text);
	}
	cr_assert_eq(reader_end(&r, &err), 0, "%s", err.text);
	*out = r.m;
	r.m = (struct model){ 0 };
	projection_free(&host.p);
	reader_free(&r);
}

Test(projection, answers_as_the_whole_does)
{
	static const char *const hosts[] = { "a", "abc", "bdf", "", "f", "abcdef" };
	struct dice d = { 23 };
	size_t all = 0, kept = 0, rounds = 0;

	for (int round = 0; round < 1500; round++) {
		const char *here = hosts[roll(&d, ARRAY_SIZE(hosts))];
		_cleanup_model_ struct model m = { 0 }, part = { 0 }, whole = { 0 }, read = { 0 };

		if (!random_definitions(&d, &m))
			continue;
		rounds++;
		part = copy_of(&m);
		whole = copy_of(&m);
		projection_make(&part, is_here, (void *)here);
		locate(&whole, here);
		expect_same_answers(&whole, &part);
		read_projection(&m, here, &read);
		assert_same(&read, &part);
		all += mappings_of(&whole);
		kept += mappings_of(&part);
	}
	cr_expect_gt(rounds, 300);
	cr_expect_lt(kept, all);
	printf("%zu rounds, %zu of %zu mappings\n", rounds, kept, all);
}

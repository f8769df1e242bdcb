/* SPDX-License-Identifier: GPL-2.0-only */
#include "store_fixture.h"

Test(store, round_trip)
{
	_cleanup_model_ struct model want = { 0 };

	rich(&want);
	put(&want);
	assert_stored(&want);
	put(&want);
	assert_stored(&want);
}

Test(store, back_to_nothing)
{
	_cleanup_model_ struct model want = { 0 };

	rich(&want);
	put(&want);
	put(&empty);
	assert_stored(&empty);
	cr_assert_eq(sql("SELECT (SELECT count(*) FROM subnet) + (SELECT count(*) FROM tenant) + "
			 "(SELECT count(*) FROM pool) + (SELECT count(*) FROM router) + "
			 "(SELECT count(*) FROM inside) + (SELECT count(*) FROM mapping)"),
		     0);
}

Test(store, a_hundred_thousand_mappings)
{
	_cleanup_model_ struct model want = { 0 };
	struct tn_addr fixed = addr("10.0.0.1"), shared = addr("100.64.0.1"), v6 = addr("fd64::1");
	char name[32];

	add_prefix(&want.subnets, "100.64.0.0/10");
	add_prefix(&want.subnets, "fd64::/64");
	for (unsigned int i = 0; i < 10; i++) {
		struct tenant *t;

		snprintf(name, sizeof(name), "t%u", i);
		t = add_tenant(&want, i + 1, name);
		for (unsigned int j = 0; j < 10000; j++) {
			struct mapping *m = vec_push(&t->mappings);
			bool six = j % 5 == 0;
			struct tn_addr from = addr("fd00::1");

			m->fixed = addr_add(six ? &from : &fixed, j);
			m->shared = addr_add(six ? &v6 : &shared, j * 10 + (i + 3) % 10);
			m->pinned = j % 3 == 0;
			if (j % 2) {
				snprintf(name, sizeof(name), "vm-%u", j);
				m->name = xstrdup(name);
			}
		}
	}
	model_sort(&want);
	put(&want);
	assert_stored(&want);
}

/* --- differences --- */

/* Have every row that is written from now on noted in the table `log`. */
static void log_rows(void)
{
	static const char *const tables[] = { "subnet", "tenant",  "pool",
					      "router", "inside",  "router_address",
					      "route",	"mapping", "inside_route" };
	static const char *const events[] = { "INSERT", "DELETE", "UPDATE" };
	char text[256];

	sql("CREATE TABLE log (event TEXT, tab TEXT)");
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(events); j++) {
			snprintf(text, sizeof(text),
				 "CREATE TRIGGER log_%s_%s AFTER %s ON %s BEGIN "
				 "INSERT INTO log VALUES ('%s', '%s'); END",
				 tables[i], events[j], events[j], tables[i], events[j], tables[i]);
			sql(text);
		}
	}
}

/* "mapping -1 +2, …" since the last call, tables by name; removed rows and added ones. */
static const char *logged(void)
{
	static const char *const tables[] = { "inside",		"inside_route", "mapping",
					      "pool",		"route",	"router",
					      "router_address", "subnet",	"tenant" };
	static char text[256];
	char query[128];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		int counts[3];
		static const char *const events[] = { "DELETE", "INSERT", "UPDATE" };

		for (size_t j = 0; j < ARRAY_SIZE(events); j++) {
			snprintf(query, sizeof(query),
				 "SELECT count(*) FROM log WHERE tab = '%s' AND event = '%s'",
				 tables[i], events[j]);
			counts[j] = sql(query);
		}
		cr_expect_eq(counts[2], 0, "%s updated", tables[i]);
		if (counts[0] || counts[1])
			n += snprintf(text + n, sizeof(text) - n, "%s%s -%d +%d", n ? ", " : "",
				      tables[i], counts[0], counts[1]);
	}
	sql("DELETE FROM log");
	return text;
}

#define ROUTER_PARTS "inside_route -2 +2, route -2 +2, router -1 +1, router_address -2 +2"

Test(store, only_what_differs_is_written)
{
	_cleanup_model_ struct model want = { 0 };
	struct tenant *red, *blue;
	struct mapping *m;

	rich(&want);
	put(&want);
	log_rows();
	put(&want);
	cr_expect_str_eq(logged(), "");

	red = model_tenant(&want, "red");
	m = &red->mappings.v[1];
	free(m->name);
	m->name = NULL;
	put(&want);
	cr_expect_str_eq(logged(), "mapping -1 +1");
	m->name = xstrdup("db2");
	put(&want);
	cr_expect_str_eq(logged(), "mapping -1 +1");
	m->pinned = !m->pinned;
	put(&want);
	cr_expect_str_eq(logged(), "mapping -1 +1");
	m->shared = addr("100.64.9.9");
	put(&want);
	cr_expect_str_eq(logged(), "mapping -1 +1");
	m->pos.line = 99;
	put(&want);
	cr_expect_str_eq(logged(), "", "where in the file it was is no difference");

	add_mapping(red, "10.0.0.1", "100.64.9.8", NULL, false);
	model_sort(&want);
	red = model_tenant(&want, "red");
	put(&want);
	cr_expect_str_eq(logged(), "mapping -0 +1");
	mapping_clear(&red->mappings.v[--red->mappings.n]);
	put(&want);
	cr_expect_str_eq(logged(), "mapping -1 +0");

	red->pools.v[1].len++;
	put(&want);
	cr_expect_str_eq(logged(), "pool -3 +3");
	red->pools.n = 0;
	put(&want);
	cr_expect_str_eq(logged(), "pool -3 +0");

	red->router->detached = true;
	put(&want);
	cr_expect_str_eq(logged(), "inside -2 +2, " ROUTER_PARTS);
	red->router->hook = HOOK_XDP;
	put(&want);
	cr_expect_str_eq(logged(), "inside -2 +2, " ROUTER_PARTS);
	red->router->own[IPV6].addr = addr("fd64::1:fffe");
	put(&want);
	cr_expect_str_eq(logged(), "inside -2 +2, " ROUTER_PARTS);
	red->router->own[IPV6].pinned = true;
	put(&want);
	cr_expect_str_eq(logged(), "inside -2 +2, " ROUTER_PARTS);
	red->router->routes.v[1].to.len++;
	put(&want);
	cr_expect_str_eq(logged(), "inside -2 +2, " ROUTER_PARTS);
	red->router->inside_routes.v[1].to.len++;
	put(&want);
	cr_expect_str_eq(logged(), "inside -2 +2, " ROUTER_PARTS);
	red->router->sources = SOURCES_STRICT;
	put(&want);
	cr_expect_str_eq(logged(), "inside -2 +2, " ROUTER_PARTS);
	red->router->id = 4000;
	put(&want);
	cr_expect_str_eq(logged(), "inside -2 +2, " ROUTER_PARTS);
	free(red->router->inside.v[--red->router->inside.n]);
	put(&want);
	cr_expect_str_eq(logged(), "inside -2 +1, " ROUTER_PARTS);
	free(red->router->netns);
	red->router->netns = NULL;
	put(&want);
	cr_expect_str_eq(logged(), "inside -1 +1, " ROUTER_PARTS);

	add_router(model_tenant(&want, "away"), 9, NULL, NULL);
	put(&want);
	cr_expect_str_eq(logged(), "router -0 +1");

	add_prefix(&want.subnets, "100.67.0.0/16");
	put(&want);
	cr_expect_str_eq(logged(), "subnet -3 +4");
	want.subnets.n--;
	put(&want);
	cr_expect_str_eq(logged(), "subnet -4 +3");

	blue = model_tenant(&want, "blue");
	blue->id = 77;
	put(&want);
	cr_expect_str_eq(logged(),
			 "mapping -3 +3, router -1 +1, router_address -1 +1, tenant -1 +1");

	add_tenant(&want, 78, "zebra");
	put(&want);
	cr_expect_str_eq(logged(), "tenant -0 +1");
	tenant_clear(&want.tenants.v[--want.tenants.n]);
	put(&want);
	cr_expect_str_eq(logged(), "tenant -1 +0");
	assert_stored(&want);
}

Test(store, shared_addresses_change_hands)
{
	_cleanup_model_ struct model a = { 0 }, b = { 0 };
	struct tenant *t;

	add_prefix(&a.subnets, "100.64.0.0/16");
	add_prefix(&b.subnets, "100.64.0.0/16");
	t = add_tenant(&a, 1, "blue");
	add_mapping(t, "10.0.0.5", "100.64.1.1", "one", false);
	add_mapping(t, "10.0.0.6", "100.64.1.2", "two", false);
	t = add_tenant(&a, 2, "red");
	add_mapping(t, "10.0.0.5", "100.64.2.1", NULL, false);

	/* a swap of addresses and names, one to another tenant, and a round through all */
	t = add_tenant(&b, 1, "blue");
	add_mapping(t, "10.0.0.5", "100.64.1.2", "two", false);
	add_mapping(t, "10.0.0.6", "100.64.2.1", "one", false);
	t = add_tenant(&b, 2, "red");
	add_mapping(t, "10.0.0.5", "100.64.1.1", NULL, false);

	for (int i = 0; i < 2; i++) {
		put(&a);
		assert_stored(&a);
		put(&b);
		assert_stored(&b);
	}
}

Test(store, tenants_change_ids_names_and_routers)
{
	_cleanup_model_ struct model a = { 0 }, b = { 0 };
	struct tenant *t;

	add_prefix(&a.subnets, "100.64.0.0/16");
	add_prefix(&b.subnets, "100.64.0.0/16");
	t = add_tenant(&a, 1, "blue");
	add_inside(add_router(t, 1, "x", NULL), "lan0");
	add_mapping(t, "10.0.0.5", "100.64.1.1", "one", false);
	t = add_tenant(&a, 2, "red");
	add_inside(add_router(t, 2, "y", NULL), "lan1");
	add_mapping(t, "10.0.0.5", "100.64.2.1", NULL, false);

	/* ids of tenants and routers swapped; and a third takes over what is another's */
	t = add_tenant(&b, 2, "blue");
	add_router(t, 2, "x", NULL);
	add_mapping(t, "10.0.0.5", "100.64.2.1", "one", false);
	t = add_tenant(&b, 1, "green");
	add_router(t, 1, "y", NULL);
	add_mapping(t, "10.0.0.5", "100.64.1.1", "one", false);
	for (int i = 0; i < 2; i++) {
		put(&a);
		assert_stored(&a);
		put(&b);
		assert_stored(&b);
	}
}

Test(store, random_models)
{
	for (unsigned int seed = 1; seed <= 200; seed++) {
		_cleanup_model_ struct model a = { 0 }, b = { 0 }, between = { 0 }, got = { 0 };
		_cleanup_store_ struct store *s = NULL;

		random_state = seed;
		random_model(&a);
		random_model(&b);
		/* over what the last seed left */
		put(&a);
		s = open_store(STORE_WRITE);
		load(s, &between);
		assert_same(&between, &a);
		save(s, &between, &b);
		load(s, &got);
		assert_same(&got, &b);
		commit(s);
		assert_stored(&b);
	}
}

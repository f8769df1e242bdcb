/* SPDX-License-Identifier: GPL-2.0-only */
#include <sys/stat.h>

#include "store_fixture.h"

/* To be raised with each migration, and as a text, with the one that there is not yet. */
#define NEWEST	   12
#define SQL_NEWEST "12"
#define SQL_NEXT   "13"

#define INTO_ROUTER                                                                            \
	"INSERT INTO router (tenant, id, netns, shared, hook, detached, sources, forwarding, " \
	"passed_over, active) "

Test(store, stamps)
{
	put(&empty);
	cr_expect_eq(sql("PRAGMA user_version"), NEWEST);
	cr_expect_eq(sql("PRAGMA application_id"), 0x746e6174);
	cr_expect_eq(sql("SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
}

/*
 * Before rules could end, mappings could be of prefixes, routers had inside routes, names a zone,
 * and a host of a cluster knew its last change.
 */
static void back_to_schema_11(void)
{
	sql("DROP VIEW mapping_text; DROP TABLE mapping_except; DROP INDEX mapping_prefix");
	sql("CREATE VIEW mapping_text AS SELECT 1");
	sql("ALTER TABLE mapping DROP COLUMN bits");
	sql("ALTER TABLE rule DROP COLUMN until");
	sql("ALTER TABLE cluster DROP COLUMN change");
	sql("DROP TABLE names");
	sql("DROP TABLE inside_route; PRAGMA user_version = 11");
}

static void forget_prefix(struct mapping *m)
{
	m->bits = 0;
	if (m->except)
		vec_free(&m->except->list);
	free(m->except);
	m->except = NULL;
}

static void forget_what_12_brought(struct model *m)
{
	free(m->zone);
	m->zone = NULL;
	vec_each (t, &m->tenants) {
		if (tenant_router(t))
			vec_free(&tenant_router(t)->inside_routes);
		vec_each (mapping, &t->mappings)
			forget_prefix(mapping);
		vec_each (r, &t->accept)
			r->until = 0;
	}
}

/*
 * Before a router said for how many flows it has room, and for how long there is grace, mappings
 * had MAC addresses, and hosts of a cluster handed flows over.
 */
static void back_to_schema_10(void)
{
	back_to_schema_11();
	sql("ALTER TABLE cluster DROP COLUMN flows");
	sql("ALTER TABLE router DROP COLUMN flows");
	sql("ALTER TABLE router DROP COLUMN grace");
	sql("ALTER TABLE mapping DROP COLUMN mac; PRAGMA user_version = 10");
}

static void forget_flows_and_macs(struct model *m)
{
	forget_what_12_brought(m);
	vec_each (t, &m->tenants) {
		if (tenant_router(t)) {
			tenant_router(t)->flows = TN_FLOWS;
			tenant_router(t)->grace = 0;
		}
		vec_each (mapping, &t->mappings)
			memset(mapping->mac, 0, sizeof(mapping->mac));
	}
}

/* Before there were clusters. */
static void back_to_schema_9(void)
{
	back_to_schema_10();
	sql("DROP TABLE cluster; PRAGMA user_version = 9");
}

/* Before routers had hosts. */
static void back_to_schema_8(void)
{
	back_to_schema_9();
	sql("DROP TABLE router_host; UPDATE router SET id = 9 WHERE id = 4096");
	sql("ALTER TABLE router DROP COLUMN active; PRAGMA user_version = 8");
}

/* All routers are on this host then. */
static void forget_hosts(struct model *m)
{
	forget_flows_and_macs(m);
	model_locate(m, NULL);
	vec_each (t, &m->tenants) {
		if (!t->router)
			continue;
		vec_each (host, &t->router->hosts)
			free(*host);
		vec_free(&t->router->hosts);
		t->router->id = t->router->id == TN_ROUTERS_MAX ? 9 : t->router->id;
		t->router->active = ACTIVE_ALWAYS;
	}
}

/* Before the history had what was in force before a change. */
static void back_to_schema_7(void)
{
	back_to_schema_8();
	sql("DROP TABLE history_before");
	sql("ALTER TABLE history DROP COLUMN added");
	sql("ALTER TABLE history DROP COLUMN changed");
	sql("ALTER TABLE history DROP COLUMN removed");
	sql("ALTER TABLE history DROP COLUMN kept");
	sql("ALTER TABLE history DROP COLUMN bytes; PRAGMA user_version = 7");
}

/* Before names of tenants could be as those of mappings. */
static void back_to_schema_6(void)
{
	back_to_schema_7();
	sql("PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON; CREATE TABLE older (\n"
	    "  id INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 4294967295),\n"
	    "  name TEXT NOT NULL UNIQUE CHECK (length(name) <= 63 AND name GLOB '[a-z0-9]*'\n"
	    "    AND name NOT GLOB '*[^a-z0-9-]*')\n"
	    ") STRICT; INSERT INTO older SELECT * FROM tenant; DROP TABLE tenant; "
	    "ALTER TABLE older RENAME TO tenant; PRAGMA user_version = 6");
}

/* Before a router could be passed over. */
static void back_to_schema_5(void)
{
	back_to_schema_6();
	sql("ALTER TABLE router DROP COLUMN passed_over; PRAGMA user_version = 5");
}

static void forget_passed_over(struct model *m)
{
	forget_hosts(m);
	vec_each (t, &m->tenants) {
		if (t->router)
			t->router->passed_over = false;
	}
}

/* Before there was `forwarding`. */
static void back_to_schema_4(void)
{
	back_to_schema_5();
	sql("ALTER TABLE router DROP COLUMN forwarding; PRAGMA user_version = 4");
}

static void forget_forwarding(struct model *m)
{
	forget_passed_over(m);
	vec_each (t, &m->tenants) {
		if (t->router)
			t->router->forwarding = FORWARDING_AUTO;
	}
}

/* Before there were rules, limits and the history. */
static void back_to_schema_3(void)
{
	back_to_schema_4();
	sql("DROP TABLE history_line; DROP TABLE history; DROP TABLE rule_item; DROP TABLE rule; "
	    "DROP TABLE accept; DROP TABLE origin");
	sql("ALTER TABLE mapping DROP COLUMN rate");
	sql("ALTER TABLE mapping DROP COLUMN burst");
	sql("ALTER TABLE mapping DROP COLUMN packets");
	sql("PRAGMA user_version = 3");
}

static void forget_rules(struct model *m)
{
	free(m->file);
	m->file = NULL;
	forget_forwarding(m);
	vec_each (t, &m->tenants) {
		vec_each (r, &t->accept)
			rule_clear(r);
		vec_free(&t->accept);
		t->has_accept = false;
		vec_each (mapping, &t->mappings)
			memset(&mapping->limit, 0, sizeof(mapping->limit));
	}
}

/* Before there were routers' addresses and routes. */
static void back_to_schema_2(void)
{
	back_to_schema_3();
	sql("DROP TABLE router_address; DROP TABLE route; PRAGMA user_version = 2");
}

static void forget_own(struct model *m)
{
	vec_each (t, &m->tenants) {
		if (!t->router)
			continue;
		memset(t->router->own, 0, sizeof(t->router->own));
		vec_free(&t->router->routes);
	}
}

Test(store, schema_11_is_brought_up_to_date)
{
	_cleanup_model_ struct model want = { 0 };

	rich(&want);
	put(&want);
	back_to_schema_11();
	store_close(open_store(STORE_WRITE));
	cr_expect_eq(sql("PRAGMA user_version"), NEWEST);
	cr_expect_eq(sql("SELECT count(change) FROM cluster"), 0);
	forget_what_12_brought(&want);
	assert_stored(&want);
}

Test(store, schema_10_is_brought_up_to_date)
{
	_cleanup_model_ struct model want = { 0 };

	rich(&want);
	put(&want);
	back_to_schema_10();
	store_close(open_store(STORE_WRITE));
	cr_expect_eq(sql("PRAGMA user_version"), NEWEST);
	forget_flows_and_macs(&want);
	cr_expect_eq(sql("SELECT count(flows) FROM cluster"), 0);
	assert_stored(&want);
}

Test(store, schema_9_is_brought_up_to_date)
{
	_cleanup_model_ struct model want = { 0 };

	rich(&want);
	put(&want);
	back_to_schema_9();
	store_close(open_store(STORE_WRITE));
	cr_expect_eq(sql("PRAGMA user_version"), NEWEST);
	cr_expect_eq(sql("SELECT count(*) FROM cluster"), 0);
	forget_flows_and_macs(&want);
	assert_stored(&want);
}

Test(store, schema_8_is_brought_up_to_date)
{
	_cleanup_model_ struct model want = { 0 };

	rich(&want);
	put(&want);
	back_to_schema_8();
	store_close(open_store(STORE_WRITE));
	cr_expect_eq(sql("PRAGMA user_version"), NEWEST);
	forget_hosts(&want);
	assert_stored(&want);
}

/* The changes of then are still known, with all that was kept of them. */
Test(store, schema_7_is_brought_up_to_date)
{
	_cleanup_history_ struct history h = { 0 };
	_cleanup_model_ struct model want = { 0 }, m = { 0 };
	_cleanup_store_ struct store *s = NULL;
	struct error err = { 0 };
	uint64_t id = 0;

	rich(&want);
	put(&want);
	back_to_schema_7();
	sql("INSERT INTO history VALUES (1, 100, 0, 'root', 'apply -f one.yaml')");
	sql("INSERT INTO history_line VALUES (1, 0, '+', 'tenant red')");
	sql("INSERT INTO history_line VALUES (1, 1, '-', 'mapping red 10.0.0.5')");
	sql("INSERT INTO history_line VALUES (1, 2, '~', 'tenant blue: pool')");
	sql("INSERT INTO history_line VALUES (1, 3, '~', 'and 998 more')");
	sql("INSERT INTO history VALUES (2, 200, 0, 'root', 'map add red 10.0.0.5')");
	s = open_store(STORE_WRITE);
	cr_expect_eq(sql("PRAGMA user_version"), NEWEST);
	forget_hosts(&want);
	assert_stored(&want);
	must(store_history(s, 9, 9, &h, &err) == 0, err);
	cr_assert_eq(h.list.n, 2);
	cr_expect_str_eq(h.list.v[0].command, "apply -f one.yaml");
	cr_expect_eq(h.list.v[0].added, 1);
	cr_expect_eq(h.list.v[0].changed, 999);
	cr_expect_eq(h.list.v[0].removed, 1);
	cr_expect_eq(h.list.v[0].lines.n, 3);
	cr_expect_eq(h.list.v[0].kept, 3);
	cr_expect_eq(history_change_all(&h.list.v[0]), 1001);
	cr_expect_not(h.list.v[0].undoable);
	cr_expect_not(h.list.v[1].undoable);
	load(s, &m);
	cr_expect_eq(store_go_back(s, &id, &m, &err), -1);
	cr_expect(err.usage);
	cr_expect(strstr(err.text, "change 2 is not kept"), "%s", err.text);
}

Test(store, schema_6_is_brought_up_to_date)
{
	_cleanup_model_ struct model want = { 0 };

	rich(&want);
	put(&want);
	back_to_schema_6();
	store_close(open_store(STORE_WRITE));
	cr_expect_eq(sql("PRAGMA user_version"), NEWEST);
	cr_expect_eq(sql("SELECT count(*) FROM pragma_foreign_key_check"), 0);
	forget_hosts(&want);
	assert_stored(&want);
	cr_expect_eq(sql("SELECT count(*) FROM mapping_text WHERE tenant = 'red'"), 5);
	free(want.tenants.v[0].name);
	want.tenants.v[0].name = xstrdup("9_The.Tenant-B");
	put(&want);
	assert_stored(&want);
}

Test(store, schema_5_is_brought_up_to_date)
{
	_cleanup_model_ struct model want = { 0 };

	rich(&want);
	put(&want);
	back_to_schema_5();
	store_close(open_store(STORE_WRITE));
	cr_expect_eq(sql("PRAGMA user_version"), NEWEST);
	forget_passed_over(&want);
	assert_stored(&want);
}

Test(store, schema_4_is_brought_up_to_date)
{
	_cleanup_model_ struct model want = { 0 };

	rich(&want);
	put(&want);
	back_to_schema_4();
	store_close(open_store(STORE_WRITE));
	cr_expect_eq(sql("PRAGMA user_version"), NEWEST);
	forget_forwarding(&want);
	assert_stored(&want);
}

Test(store, schema_3_is_brought_up_to_date)
{
	_cleanup_model_ struct model want = { 0 };

	rich(&want);
	put(&want);
	back_to_schema_3();
	store_close(open_store(STORE_WRITE));
	cr_expect_eq(sql("PRAGMA user_version"), NEWEST);
	forget_rules(&want);
	assert_stored(&want);
	rich(&want);
	put(&want);
	assert_stored(&want);
}

Test(store, schema_2_is_brought_up_to_date)
{
	_cleanup_model_ struct model want = { 0 };

	rich(&want);
	put(&want);
	back_to_schema_2();
	store_close(open_store(STORE_WRITE));
	cr_expect_eq(sql("PRAGMA user_version"), NEWEST);
	forget_rules(&want);
	forget_own(&want);
	assert_stored(&want);
	rich(&want);
	put(&want);
	assert_stored(&want);
}

/* Before there was `sources`. */
Test(store, schema_1_is_brought_up_to_date)
{
	_cleanup_model_ struct model want = { 0 };

	rich(&want);
	put(&want);
	back_to_schema_2();
	sql("ALTER TABLE router DROP COLUMN sources");
	sql("PRAGMA user_version = 1");
	assert_refused(STORE_READ, "state.db was written by an older tenantnat", "apply", NULL);
	cr_expect_eq(sql("PRAGMA user_version"), 1);

	store_close(open_store(STORE_WRITE));
	cr_expect_eq(sql("PRAGMA user_version"), NEWEST);
	model_tenant(&want, "red")->router->sources = SOURCES_STRICT;
	model_tenant(&want, "green-2")->router->sources = SOURCES_STRICT;
	forget_rules(&want);
	forget_own(&want);
	assert_stored(&want);
}

Test(store, newer_schema)
{
	_cleanup_free_ uint8_t *before = NULL, *after = NULL;
	size_t n, m;

	put(&empty);
	sql("PRAGMA user_version = " SQL_NEXT);
	before = read_file("state.db", &n);
	assert_refused(STORE_WRITE, in_dir("state.db"), "schema " SQL_NEXT,
		       "none after " SQL_NEWEST, "newer", NULL);
	assert_refused(STORE_READ, in_dir("state.db"), "schema " SQL_NEXT, "none after " SQL_NEWEST,
		       "newer", NULL);
	after = read_file("state.db", &m);
	cr_assert_eq(n, m);
	cr_assert_arr_eq(before, after, n);
}

Test(store, another_programs_database)
{
	_cleanup_free_ uint8_t *before = NULL, *after = NULL;
	size_t n, m;

	mkdir(dir, 0700);
	write_file("state.db", "", 0);
	sql("CREATE TABLE cookies (a)");
	before = read_file("state.db", &n);
	assert_refused(STORE_WRITE, in_dir("state.db"), "not one of tenantnat", "move it away",
		       NULL);
	assert_refused(STORE_READ, in_dir("state.db"), "not one of tenantnat", "move it away",
		       NULL);
	after = read_file("state.db", &m);
	cr_assert_eq(n, m);
	cr_assert_arr_eq(before, after, n);
	sql("PRAGMA application_id = 77; PRAGMA user_version = 1");
	assert_refused(STORE_WRITE, in_dir("state.db"), "not one of tenantnat", NULL);
	sql("PRAGMA application_id = 1953390964; PRAGMA user_version = 0");
	assert_refused(STORE_WRITE, in_dir("state.db"), "not one of tenantnat", NULL);
}

Test(store, a_person_can_read_it)
{
	_cleanup_model_ struct model want = { 0 };

	rich(&want);
	put(&want);
	cr_expect_eq(
		sql("SELECT count(*) FROM mapping_text WHERE tenant = 'red' AND name = 'db' AND "
		    "fixed = '10.0.0.5' AND shared = '100.64.1.9' AND pinned = 1"),
		1);
	cr_expect_eq(sql("SELECT count(*) FROM mapping_text WHERE tenant = 'green-2' AND "
			 "fixed = '223.255.255.254'"),
		     1);
	cr_expect_eq(sql("SELECT count(*) FROM mapping_text WHERE tenant = 'red' AND "
			 "fixed = 'fd00:0010:0000:0000:0000:0000:0000:0005' AND "
			 "shared = 'fd64:0000:0000:0000:0000:0000:0001:0005'"),
		     1);
	cr_expect_eq(sql("SELECT count(*) FROM mapping_text"), 10);
}

/* every one of these would be a wrong state */
Test(store, wrong_rows_cannot_be_stored)
{
	static const char *const wrong[] = {
		"INSERT INTO subnet VALUES (9, 'x')",
		"INSERT INTO subnet VALUES (9, NULL)",
		"INSERT INTO tenant VALUES (0, 'new')",
		"INSERT INTO tenant VALUES (-1, 'new')",
		"INSERT INTO tenant VALUES (4294967296, 'new')",
		"INSERT INTO tenant VALUES ('x', 'new')",
		"INSERT INTO tenant VALUES (7, 'new')",
		"INSERT INTO tenant VALUES (9, 'red')",
		"INSERT INTO tenant VALUES (9, NULL)",
		"INSERT INTO tenant VALUES (9, '')",
		"INSERT INTO tenant VALUES (9, '-new')",
		"INSERT INTO tenant VALUES (9, '.new')",
		"INSERT INTO tenant VALUES (9, 'n w')",
		"INSERT INTO tenant VALUES (9, printf('%064d', 1))",
		"DELETE FROM tenant WHERE name = 'red'",
		"INSERT INTO pool VALUES (9, 0, '100.64.0.0/16')",
		"INSERT INTO pool VALUES (7, 0, '100.64.0.0/16')",
		"INSERT INTO pool VALUES (7, 9, '100.64.0.0')",
		INTO_ROUTER "VALUES (9, 9, NULL, NULL, 'tc', 0, 'strict', 'auto', 0, "
			    "'always')",
		INTO_ROUTER "VALUES (7, 9, NULL, NULL, 'tc', 0, 'strict', 'auto', 0, "
			    "'always')",
		INTO_ROUTER "VALUES (2, 1, NULL, NULL, 'tc', 0, 'strict', 'auto', 0, "
			    "'always')",
		INTO_ROUTER "VALUES (2, 0, NULL, NULL, 'tc', 0, 'strict', 'auto', 0, "
			    "'always')",
		INTO_ROUTER "VALUES (2, NULL, NULL, NULL, 'tc', 0, 'strict', 'auto', 0, "
			    "'always')",
		INTO_ROUTER "VALUES (2, 9, '', NULL, 'tc', 0, 'strict', 'auto', 0, "
			    "'always')",
		INTO_ROUTER "VALUES (2, 9, NULL, '', 'tc', 0, 'strict', 'auto', 0, "
			    "'always')",
		INTO_ROUTER "VALUES (2, 9, NULL, NULL, NULL, 0, 'strict', 'auto', 0, "
			    "'always')",
		INTO_ROUTER "VALUES (2, 9, NULL, NULL, 'tc', 2, 'strict', 'auto', 0, "
			    "'always')",
		INTO_ROUTER "VALUES (2, 9, NULL, NULL, 'tc', NULL, 'strict', 'auto', 0, "
			    "'always')",
		INTO_ROUTER "VALUES (2, 9, NULL, NULL, 'tc', 0, '', 'auto', 0, 'always')",
		INTO_ROUTER "VALUES (2, 9, NULL, NULL, 'tc', 0, NULL, 'auto', 0, 'always')",
		INTO_ROUTER "VALUES (2, 9, NULL, NULL, 'tc', 0, 'strict', '', 0, 'always')",
		INTO_ROUTER "VALUES (2, 9, NULL, NULL, 'tc', 0, 'strict', NULL, 0, "
			    "'always')",
		INTO_ROUTER "VALUES (1, 9, NULL, NULL, 'tc', 0, 'strict', 'auto', 0, '')",
		INTO_ROUTER "VALUES (1, 9, NULL, NULL, 'tc', 0, 'strict', 'auto', 0, NULL)",
		"UPDATE router SET flows = 1023",
		"UPDATE router SET flows = 4194305",
		"UPDATE router SET flows = NULL",
		"UPDATE router SET grace = 61",
		"UPDATE router SET grace = NULL",
		"INSERT INTO router_host VALUES (77, 0, 'hv1')",
		"INSERT INTO router_host VALUES (7, 0, 'hv1')",
		"INSERT INTO router_host VALUES (7, 9, 'HV0')",
		"INSERT INTO router_host VALUES (7, 9, 'h_v')",
		"INSERT INTO router_host VALUES (7, 9, '.hv')",
		"INSERT INTO router_host VALUES (7, 9, '')",
		"INSERT INTO router_host VALUES (7, 9, NULL)",
		"INSERT INTO router_host VALUES (7, 9, printf('%064d', 1))",
		"DELETE FROM router WHERE tenant = 7",
		"INSERT INTO inside VALUES (2, 0, 'lan0')",
		"INSERT INTO inside VALUES (7, 0, 'lan9')",
		"INSERT INTO inside VALUES (7, 9, '')",
		"INSERT INTO mapping VALUES (9, 4, x'0a000001', x'64400901', NULL, 0, 0, 0, 0, 0, "
		"0)",
		"INSERT INTO mapping VALUES (7, 4, x'0a000005', x'64400901', NULL, 0, 0, 0, 0, 0, "
		"0)",
		"INSERT INTO mapping VALUES (7, 4, x'0a000001', x'64400109', NULL, 0, 0, 0, 0, 0, "
		"0)",
		"INSERT INTO mapping VALUES (7, 4, x'0a000001', x'64400901', 'db', 0, 0, 0, 0, 0, "
		"0)",
		"INSERT INTO mapping VALUES (7, 4, x'0a000001', x'64400901', '', 0, 0, 0, 0, 0, 0)",
		"INSERT INTO mapping VALUES (7, 4, x'0a000001', x'64400901', NULL, 2, 0, 0, 0, 0, "
		"0)",
		"INSERT INTO mapping VALUES (7, 4, x'0a0001', x'644009', NULL, 0, 0, 0, 0, 0, 0)",
		"INSERT INTO mapping VALUES (7, 4, '10.0.0.1', x'64400901', NULL, 0, 0, 0, 0, 0, "
		"0)",
		"INSERT INTO mapping VALUES (7, 4, x'0a000001', '100.64.9.1', NULL, 0, 0, 0, 0, 0, "
		"0)",
		"INSERT INTO mapping VALUES (7, 4, x'0a000001', zeroblob(16), NULL, 0, 0, 0, 0, 0, "
		"0)",
		"INSERT INTO mapping VALUES (7, 6, x'0a000001', x'64400901', NULL, 0, 0, 0, 0, 0, "
		"0)",
		"INSERT INTO mapping VALUES (7, 6, randomblob(16), zeroblob(16), NULL, 0, 0, 0, 0, "
		"0, 0)",
		"INSERT INTO mapping VALUES (7, 6, randomblob(16), randomblob(4), NULL, 0, 0, 0, "
		"0, 0, 0)",
		"INSERT INTO mapping VALUES (7, 5, x'0a000001', x'64400901', NULL, 0, 0, 0, 0, 0, "
		"0)",
		"INSERT INTO mapping VALUES (7, 4, NULL, x'64400901', NULL, 0, 0, 0, 0, 0, 0)",
		"INSERT INTO mapping VALUES (7, 4, x'0a000001', NULL, NULL, 0, 0, 0, 0, 0, 0)",
		"INSERT INTO mapping VALUES (7, 4, x'0a000001', x'64400901', NULL, 0, 0, 0, 0, "
		"1 << 48, 0)",
	};
	static const char *const right[] = {
		"INSERT INTO subnet VALUES (9, '100.66.0.0/16')",
		"INSERT INTO tenant VALUES (9, 'N.e_w-')",
		"INSERT INTO tenant VALUES (10, printf('%063d', 1))",
		"INSERT INTO pool VALUES (7, 9, '100.64.0.0/16')",
		INTO_ROUTER "VALUES (9, 9, NULL, NULL, 'tc', 0, 'strict', 'auto', 0, "
			    "'always')",
		"INSERT INTO router_host VALUES (9, 0, '9.h-V')",
		"INSERT INTO inside VALUES (9, 0, 'lan0')",
		"INSERT INTO mapping VALUES (7, 4, x'0a000001', x'64400901', NULL, 0, 0, 0, 0, 0, "
		"0)",
		"INSERT INTO mapping VALUES (9, 4, x'0a000001', x'64400902', 'db', 1, 0, 0, 0, 0, "
		"0)",
		"INSERT INTO mapping VALUES (9, 6, randomblob(16), randomblob(16), 'db', 1, 0, 0, "
		"0, 0, 0)",
	};
	_cleanup_model_ struct model want = { 0 };
	sqlite3_int64 none;

	rich(&want);
	put(&want);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		int rc = sql_try(wrong[i], &none);

		cr_expect(rc == SQLITE_CONSTRAINT || rc == SQLITE_MISMATCH, "%s: %s", wrong[i],
			  sqlite3_errstr(rc));
	}
	assert_stored(&want);
	for (size_t i = 0; i < ARRAY_SIZE(right); i++)
		sql(right[i]);
}

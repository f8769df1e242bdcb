/* SPDX-License-Identifier: GPL-2.0-only */
#include "store_fixture.h"

Test(store, load_is_sorted)
{
	_cleanup_store_ struct store *s = NULL;
	_cleanup_model_ struct model got = { 0 }, want = { 0 };
	static const char *const names[] = { "aa", "a-", "a", "0", "a0", "b", "a-b" };

	add_prefix(&want.subnets, "100.64.0.0/16");
	add_prefix(&want.subnets, "fd64::/64");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct tenant *t = add_tenant(&want, i + 1, names[i]);
		char shared[32];

		for (size_t j = 0; j < 5; j++) {
			snprintf(shared, sizeof(shared), "100.64.%zu.%zu", i, j + 1);
			add_mapping(t,
				    (const char *[]){ "10.0.0.10", "9.0.0.1", "200.0.0.1",
						      "10.0.0.9", "10.0.1.0" }[j],
				    shared, NULL, false);
			snprintf(shared, sizeof(shared), "fd64::%zu:%zu", i, j + 1);
			add_mapping(t,
				    (const char *[]){ "fd00::10", "::1:0:0:9", "2001:db8::1",
						      "fd00::9", "::1:0:0:10" }[j],
				    shared, NULL, false);
		}
	}
	model_sort(&want);
	put(&want);
	s = open_store(STORE_READ);
	load(s, &got);
	assert_same(&got, &want);
	model_sort(&got);
	assert_same(&got, &want);
}

/* --- damaged files --- */

/* Loading fails, whether at opening or after, with an error that names the file. */
static void assert_damaged(const char *what)
{
	struct error err = { 0 };
	struct store *s = NULL;
	struct model m = { 0 };

	if (store_open(dir, STORE_READ, 0, "test", &s, &err) == 0)
		cr_assert_eq(store_load(s, &m, &err), -1, "loaded: %s", what);
	store_close(s);
	cr_expect_eq(m.tenants.n + m.subnets.n, 0);
	cr_expect_not_null(strstr(err.text, in_dir("state.db")), "%s", err.text);
	cr_expect_not_null(strstr(err.text, " is damaged ("), "%s", err.text);
	cr_expect_not_null(strstr(err.text, what), "%s: %s", what, err.text);
}

Test(store, truncated)
{
	_cleanup_model_ struct model m = { 0 };
	_cleanup_free_ uint8_t *bytes = NULL;
	size_t n;

	rich(&m);
	put(&m);
	bytes = read_file("state.db", &n);
	write_file("state.db", bytes, n / 2);
	assert_damaged("malformed");
	write_file("state.db", bytes, 50);
	assert_damaged("");
}

Test(store, zeroed_pages)
{
	_cleanup_model_ struct model m = { 0 };
	_cleanup_free_ uint8_t *bytes = NULL;
	size_t n;

	rich(&m);
	put(&m);
	bytes = read_file("state.db", &n);
	memset(bytes + 4096, 0, n - 4096);
	write_file("state.db", bytes, n);
	assert_damaged("malformed");
}

#define UNCHECKED "PRAGMA ignore_check_constraints = ON; "

/* what neither SQLite nor a constraint sees, or somebody put there around them */
Test(store, wrong_rows_are_not_believed)
{
	static const struct {
		const char *sql, *what;
	} cases[] = {
		{ "DROP TABLE inside", "no such table: inside" },
		{ "UPDATE subnet SET prefix = '100.64.0.1/16' WHERE ord = 0", "subnet" },
		{ "UPDATE pool SET prefix = 'x/1' WHERE ord = 0", "pool" },
		{ "UPDATE router SET hook = 'tcx' WHERE id = 1", "hook" },
		{ "UPDATE router SET id = 4097 WHERE id = 1", "router's id" },
		{ "UPDATE router SET id = 16777217 WHERE id = 4096", "router's id" },
		{ "UPDATE router SET active = 'chosen' WHERE id = 1", "active" },
		{ UNCHECKED "UPDATE router_host SET name = 'h_v' WHERE ord = 0", "host" },
		{ UNCHECKED "UPDATE router_host SET name = 'h' || char(0) WHERE ord = 0", "host" },
		{ "INSERT INTO tenant VALUES (4294967295, 'new')", "tenant's id" },
		{ "INSERT INTO tenant VALUES (16777217, 'new')", "tenant's id" },
		{ UNCHECKED "INSERT INTO tenant VALUES (0, 'new')", "tenant's id" },
		{ UNCHECKED "INSERT INTO tenant VALUES (4294967298, 'new')", "tenant's id" },
		{ UNCHECKED "INSERT INTO tenant VALUES (9, printf('%064d', 1))", "tenant's name" },
		{ UNCHECKED "INSERT INTO tenant VALUES (9, 'new./x')", "tenant's name" },
		{ UNCHECKED "INSERT INTO tenant VALUES (9, '')", "tenant's name" },
		{ UNCHECKED "INSERT INTO tenant VALUES (9, 'n' || char(0) || 'w')",
		  "tenant's name" },
		{ "PRAGMA foreign_keys = OFF; UPDATE rule SET id = 4294967295 WHERE id = 12",
		  "rule's id" },
		{ "DROP VIEW mapping_text; PRAGMA foreign_keys = OFF; DROP TABLE subnet; "
		  "CREATE VIEW subnet AS WITH RECURSIVE n(ord, prefix) AS (SELECT 1, '10.0.0.0/8' "
		  "UNION ALL SELECT ord + 1, prefix FROM n) SELECT * FROM n",
		  "no table" },
		{ "UPDATE router SET netns = 'a/b' WHERE id = 1", "namespace" },
		{ "UPDATE router SET netns = '/' || printf('%04096d', 1) WHERE id = 1",
		  "namespace" },
		{ "UPDATE router SET netns = char(27) || '[2J' WHERE id = 1", "namespace" },
		{ "UPDATE router SET netns = 'a' || char(0) || 'b' WHERE id = 1", "namespace" },
		{ "UPDATE router SET shared = 'a-name-too-long0' WHERE id = 1", "interface" },
		{ "UPDATE router SET shared = '..' WHERE id = 1", "interface" },
		{ "UPDATE inside SET interface = printf('%064d', 1) WHERE ord = 0", "inside" },
		{ "UPDATE router_address SET address = x'0a000001' WHERE address = x'64400002'",
		  "router's address" },
		{ "UPDATE route SET prefix = '10.0.0.0/8' WHERE ord = 0", "route" },
		{ "UPDATE route SET via = x'0a000001' WHERE ord = 0", "route" },
		{ "UPDATE route SET via = x'fd640000000000000000000000000009' WHERE ord = 0",
		  "route" },
		{ "UPDATE subnet SET prefix = '0.0.0.0/0' WHERE ord = 0", "subnet" },
		{ "UPDATE subnet SET prefix = '100.64.0.0/15' WHERE ord = 0", "subnets" },
		{ "WITH RECURSIVE n(i) AS (SELECT 20 UNION ALL SELECT i + 1 FROM n WHERE i < 40) "
		  "INSERT INTO subnet SELECT i, printf('100.%d.0.0/16', 50 + i) FROM n",
		  "subnets" },
		{ "UPDATE pool SET prefix = '10.0.0.0/8' WHERE ord = 0", "pool" },
		{ "UPDATE mapping SET shared = x'0a090909' WHERE shared = x'64400109'", "address" },
		{ "UPDATE mapping SET fixed = x'7f000001' WHERE shared = x'64400109'", "address" },
		{ "UPDATE mapping SET fixed = x'64400901' WHERE shared = x'64400109'", "address" },
		{ UNCHECKED "UPDATE mapping SET shared = x'64400901' WHERE shared = "
			    "x'fd640000000000000000000000010006'",
		  "address" },
		{ "UPDATE mapping SET name = printf('%064d', 1) WHERE shared = x'64400109'",
		  "mapping" },
		{ "UPDATE mapping SET name = '10.0.0.1' WHERE shared = x'64400109'", "mapping" },
		{ "UPDATE mapping SET name = 'a' || char(0) WHERE shared = x'64400109'",
		  "mapping" },
		{ "UPDATE mapping SET rate = 9223372036854775807, burst = 131072 WHERE shared = "
		  "x'64400109'",
		  "limit" },
		{ "UPDATE mapping SET burst = 1 WHERE shared = x'64400109'", "limit" },
		{ UNCHECKED "UPDATE mapping SET packets = -1 WHERE shared = x'64400109'", "limit" },
		{ "UPDATE rule_item SET text = 'a b' WHERE kind = 'from'", "rule" },
		{ "UPDATE rule_item SET text = 'a/b' WHERE kind = 'to'", "rule" },
		{ "UPDATE origin SET file = printf('%05000d', 1)", "file" },
		{ "UPDATE origin SET file = printf('%02000000d', 1)", "too big" },
		{ UNCHECKED "UPDATE mapping SET shared = x'0102' "
			    "WHERE shared = x'64400109'",
		  "address" },
		{ UNCHECKED
		  "UPDATE mapping SET "
		  "shared = x'00000000000000000000ffff64400109' WHERE shared = x'64400109'",
		  "address" },
		{ UNCHECKED "UPDATE mapping SET shared = zeroblob(16) "
			    "WHERE shared = x'64400109'",
		  "address" },
		{ UNCHECKED
		  "UPDATE mapping SET family = 3 "
		  "WHERE fixed = x'fd001000000000000000000000000005' OR length(fixed) = 16",
		  "order" },
	};
	_cleanup_model_ struct model m = { 0 };

	rich(&m);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		put(&m);
		assert_stored(&m);
		sql(cases[i].sql);
		assert_damaged(cases[i].what);
		remove_state();
	}
}

/* whatever the bytes: a model or an error, and no crash; saving it neither */
Test(store, flipped_bytes)
{
	_cleanup_model_ struct model m = { 0 };
	_cleanup_free_ uint8_t *bytes = NULL;
	unsigned int failed = 0;
	size_t n;

	rich(&m);
	put(&m);
	bytes = read_file("state.db", &n);
	for (unsigned int seed = 1; seed <= 400; seed++) {
		_cleanup_model_ struct model got = { 0 };
		_cleanup_free_ uint8_t *copy = xzalloc(n);
		_cleanup_store_ struct store *s = NULL;
		struct error err = { 0 };

		random_state = seed;
		memcpy(copy, bytes, n);
		for (unsigned int i = 0; i <= seed % 20; i++) {
			/* where there is something */
			size_t at = rnd(n);

			for (unsigned int tries = 0; tries < 50 && !copy[at]; tries++)
				at = rnd(n);
			copy[at] ^= 1 << rnd(8);
		}
		write_file("state.db", copy, n);
		if (store_open(dir, STORE_WRITE, 0, "test", &s, &err) ||
		    store_load(s, &got, &err) || store_save(s, &got, &m, &err) ||
		    store_commit(s, &err)) {
			failed++;
			cr_assert(err.set);
			cr_expect_not_null(strstr(err.text, in_dir("state.db")), "%s", err.text);
		}
	}
	cr_assert(failed > 50 && failed < 400, "%u", failed);
}

/* --- a window --- */

/* red has ten of each family, named by their number; rules name some mappings. */
static struct model many_mappings(void)
{
	struct model m = { 0 };
	struct tenant *blue, *red;
	char fixed[32], shared[32], name[32];

	add_tenant(&m, 2, "blue");
	red = add_tenant(&m, 1, "red");
	blue = &m.tenants.v[0];
	add_prefix(&m.subnets, "100.64.0.0/16");
	add_prefix(&m.subnets, "6440:103::/32");
	for (int i = 0; i < 10; i++) {
		snprintf(fixed, sizeof(fixed), "10.0.0.%d", i);
		snprintf(shared, sizeof(shared), "100.64.1.%d", i < 7 ? i : i + 10);
		snprintf(name, sizeof(name), "vm%d", i);
		add_mapping(red, fixed, shared, name, false);
	}
	for (int i = 0; i < 10; i++) {
		snprintf(fixed, sizeof(fixed), "fd00::%d", i);
		/* its first four bytes lie between two IPv4 addresses */
		snprintf(shared, sizeof(shared), "6440:103:%d::", i);
		snprintf(name, sizeof(name), "vm%d", i);
		add_mapping(red, fixed, shared, name, false);
	}
	add_mapping(blue, "10.0.0.5", "100.64.2.5", "db", true);
	add_mapping(blue, "10.0.0.6", "100.64.2.6", NULL, false);
	add_mapping(blue, "10.0.0.7", "100.64.2.7", "web", false);
	add_mapping(blue, "10.0.0.8", "100.64.2.8", NULL, false);
	add_rule(red, 1, 1, "blue/web", "vm8", NULL);
	add_rule(blue, 2, 2, NULL, "10.0.0.6", NULL);
	red->has_accept = blue->has_accept = true;
	return m;
}

/* "red 10.0.0.5", a space behind each. */
static char *seen_by(struct store *s, const struct window *w)
{
	_cleanup_model_ struct model m = { 0 };
	struct error err = { 0 };
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	must(store_load_part(s, w, &m, &err) == 0, err);
	vec_each (t, &m.tenants) {
		vec_each (mapping, &t->mappings)
			fprintf(f, "%s %s ", t->name, ADDR(&mapping->fixed));
	}
	fclose(f);
	return text;
}

static void expect_seen(struct store *s, struct window w, const char *want)
{
	_cleanup_free_ char *got = seen_by(s, &w);

	cr_expect_str_eq(got, want);
}

#define SIX                                                                                   \
	"red fd00:: red fd00::1 red fd00::2 red fd00::3 red fd00::4 red fd00::5 red fd00::6 " \
	"red fd00::7 red fd00::8 red fd00::9 "

/* The first of each family of its tenant, and what rules name, are always there. */
Test(store, a_window)
{
	_cleanup_model_ struct model m = many_mappings(), part = { 0 };
	_cleanup_store_ struct store *s = NULL;
	struct window w = { .tenant = "red" };
	struct error err = { 0 };

	put(&m);
	s = open_store(STORE_READ);
	expect_seen(s, w,
		    "blue 10.0.0.6 blue 10.0.0.7 red 10.0.0.0 red 10.0.0.1 red 10.0.0.8 " SIX);
	w.fixed = addr("10.0.0.5");
	expect_seen(s, w,
		    "blue 10.0.0.6 blue 10.0.0.7 red 10.0.0.0 red 10.0.0.1 red 10.0.0.5 red "
		    "10.0.0.8 " SIX);
	w = (struct window){ .tenant = "red", .name = "vm4" };
	expect_seen(s, w,
		    "blue 10.0.0.6 blue 10.0.0.7 red 10.0.0.0 red 10.0.0.1 red 10.0.0.4 red "
		    "10.0.0.8 " SIX);
	w.name = "fd00::7";
	expect_seen(s, w,
		    "blue 10.0.0.6 blue 10.0.0.7 red 10.0.0.0 red 10.0.0.1 red 10.0.0.8 " SIX);
	/* of whoever has it, and once */
	w = (struct window){ .tenant = "red", .shared = addr("100.64.2.5"), .name = "vm8" };
	expect_seen(s, w,
		    "blue 10.0.0.5 blue 10.0.0.6 blue 10.0.0.7 red 10.0.0.0 red 10.0.0.1 red "
		    "10.0.0.8 " SIX);
	w = (struct window){ .tenant = "nobody", .fixed = addr("10.0.0.5"), .name = "db" };
	expect_seen(s, w, "blue 10.0.0.6 blue 10.0.0.7 red 10.0.0.8 red fd00::8 ");

	/* all else is what store_load() gives */
	must(store_load_part(s, &w, &part, &err) == 0, err);
	vec_each (t, &m.tenants) {
		vec_each (mapping, &t->mappings)
			mapping_clear(mapping);
		t->mappings.n = 0;
	}
	vec_each (t, &part.tenants) {
		vec_each (mapping, &t->mappings)
			mapping_clear(mapping);
		t->mappings.n = 0;
	}
	assert_same(&part, &m);
}

/* With a zone, also what may have the name in DNS that the new mapping gets, in whatever case. */
Test(store, a_window_of_names)
{
	_cleanup_model_ struct model m = many_mappings();
	_cleanup_store_ struct store *s = NULL;
	struct window w = { .tenant = "blue", .fixed = addr("10.9.9.9"), .name = "a-b" };

	m.zone = xstrdup("shared.internal");
	add_mapping(add_tenant(&m, 3, "Blue-a"), "10.0.0.1", "100.64.3.1", "B", false);
	add_mapping(model_tenant(&m, "Blue-a"), "10.0.0.2", "100.64.3.2", "c", false);
	add_mapping(model_tenant(&m, "blue"), "10.0.0.9", "100.64.2.9", "A-b", false);
	model_sort(&m);
	put(&m);
	s = open_store(STORE_READ);
	expect_seen(s, w,
		    "Blue-a 10.0.0.1 blue 10.0.0.5 blue 10.0.0.6 blue 10.0.0.7 blue 10.0.0.9 "
		    "red 10.0.0.8 red fd00::8 ");
}

/* Of IPv6 so many that it is known whether there are more than GROUPS_MAX, also when one goes. */
Test(store, a_window_of_very_many)
{
	_cleanup_model_ struct model m = { 0 }, part = { 0 };
	struct tenant *red = add_tenant(&m, 1, "red");
	const struct window w = { .tenant = "red" };
	_cleanup_store_ struct store *s = NULL;
	struct error err = { 0 };
	char fixed[32], shared[32];

	add_prefix(&m.subnets, "fd64::/64");
	for (int i = 0; i < GROUPS_MAX + 10; i++) {
		snprintf(fixed, sizeof(fixed), "fd00::%04x", i + 1);
		snprintf(shared, sizeof(shared), "fd64::%04x", i + 1);
		add_mapping(red, fixed, shared, NULL, false);
	}
	put(&m);
	s = open_store(STORE_READ);
	must(store_load_part(s, &w, &part, &err) == 0, err);
	cr_expect_eq(part.tenants.v[0].mappings.n, GROUPS_MAX + 2);
}

static void expect_leases(struct store *s, const char *from, size_t n, const char *last,
			  size_t want)
{
	struct addr_list got = { 0 };
	struct tn_addr a = addr(from);
	struct error err = { 0 };

	must(store_leases(s, &a, n, &got, &err) == 0, err);
	cr_assert_eq(got.list.n, want, "%s: %zu", from, got.list.n);
	if (want)
		cr_expect_str_eq(ADDR(&got.list.v[want - 1]), last);
	vec_free(&got.list);
}

Test(store, leases_without_a_gap)
{
	_cleanup_model_ struct model m = many_mappings();
	_cleanup_store_ struct store *s = NULL;

	put(&m);
	s = open_store(STORE_READ);
	expect_leases(s, "100.64.1.0", 100, "100.64.1.6", 7);
	expect_leases(s, "100.64.1.2", 100, "100.64.1.6", 5);
	expect_leases(s, "100.64.1.2", 3, "100.64.1.4", 3);
	expect_leases(s, "100.64.1.7", 100, NULL, 0);
	expect_leases(s, "100.64.1.18", 100, "100.64.1.19", 2);
	expect_leases(s, "100.64.3.0", 100, NULL, 0);
	expect_leases(s, "6440:103::", 100, "6440:103::", 1);
	expect_leases(s, "6440:103::1", 100, NULL, 0);
}

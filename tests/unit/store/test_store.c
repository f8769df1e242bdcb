/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "model/service.h"
#include "store/store.h"

/* --- a directory of its own for every test --- */

static char top[256], dir[512];

static void make_top(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(top, sizeof(top), "%s/tn-store-XXXXXX", tmp ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(top));
	snprintf(dir, sizeof(dir), "%s/state", top);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void remove_top(void)
{
	umount2(dir, MNT_DETACH);
	nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Criterion does not come to remove_top() then. */
#define skip(...)                          \
	do {                               \
		remove_top();              \
		cr_skip_test(__VA_ARGS__); \
	} while (0)

TestSuite(store, .init = make_top, .fini = remove_top, .timeout = 120);

static const char *in_dir(const char *name)
{
	static char path[600];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static bool exists(const char *name)
{
	return access(in_dir(name), F_OK) == 0;
}

static void write_file(const char *name, const void *bytes, size_t n)
{
	_cleanup_close_ int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
}

/* The caller's to free. */
static uint8_t *read_file(const char *name, size_t *n)
{
	_cleanup_close_ int fd = open(in_dir(name), O_RDONLY);
	uint8_t *bytes;
	struct stat st;

	cr_assert_geq(fd, 0);
	fstat(fd, &st);
	bytes = xzalloc(st.st_size + 1);
	*n = st.st_size;
	cr_assert_eq(read(fd, bytes, *n), (ssize_t)*n);
	return bytes;
}

static void sleep_ms(int ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L }, NULL);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* --- the database from outside --- */

/* SQLite's result code; *value is the first column of the last row. */
static int sql_try(const char *sql, sqlite3_int64 *value)
{
	const char *rest = sql;
	sqlite3 *db = NULL;
	int rc;

	rc = sqlite3_open_v2(in_dir("state.db"), &db, SQLITE_OPEN_READWRITE, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "PRAGMA foreign_keys = ON", NULL, NULL, NULL);
	while (rc == SQLITE_OK && *rest) {
		sqlite3_stmt *stmt = NULL;

		rc = sqlite3_prepare_v2(db, rest, -1, &stmt, &rest);
		if (rc != SQLITE_OK || !stmt)
			break;
		while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
			*value = sqlite3_column_int64(stmt, 0);
		rc = sqlite3_finalize(stmt);
	}
	sqlite3_close(db);
	return rc;
}

static sqlite3_int64 sql(const char *text)
{
	sqlite3_int64 value = -1;
	int rc = sql_try(text, &value);

	cr_assert_eq(rc, SQLITE_OK, "%s: %s", text, sqlite3_errstr(rc));
	return value;
}

/* Have every row that is written from now on noted in the table `log`. */
static void log_rows(void)
{
	static const char *const tables[] = { "subnet", "tenant",	  "pool",  "router",
					      "inside", "router_address", "route", "mapping" };
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
	static const char *const tables[] = { "inside", "mapping",	  "pool",   "route",
					      "router", "router_address", "subnet", "tenant" };
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

/* --- models --- */

static struct tn_addr addr(const char *text)
{
	struct tn_addr a;

	cr_assert(addr_parse(text, &a), "%s", text);
	return a;
}

static struct tenant *add_tenant(struct model *m, uint32_t id, const char *name)
{
	struct tenant *t = vec_push(&m->tenants);

	t->id = id;
	t->name = xstrdup(name);
	return t;
}

static struct mapping *add_mapping(struct tenant *t, const char *fixed, const char *shared,
				   const char *name, bool pinned)
{
	struct mapping *m = vec_push(&t->mappings);

	m->fixed = addr(fixed);
	m->shared = addr(shared);
	m->name = name ? xstrdup(name) : NULL;
	m->pinned = pinned;
	return m;
}

static struct router *add_router(struct tenant *t, uint32_t id, const char *netns,
				 const char *shared)
{
	struct router *r = t->router = xzalloc(sizeof(*r));

	r->id = id;
	r->netns = netns ? xstrdup(netns) : NULL;
	r->shared = shared ? xstrdup(shared) : NULL;
	return r;
}

static void add_inside(struct router *r, const char *name)
{
	*vec_push(&r->inside) = xstrdup(name);
}

static void add_own(struct router *r, const char *text, bool pinned)
{
	struct tn_addr a = addr(text);

	r->own[addr_family(&a)] = (struct own_address){ .addr = a, .pinned = pinned };
}

static void add_route(struct router *r, const char *to, const char *via)
{
	struct route *route = vec_push(&r->routes);

	cr_assert(prefix_parse(to, &route->to), "%s", to);
	route->via = addr(via);
}

#define add_prefix(vec, text) cr_assert(prefix_parse(text, vec_push(vec)), "%s", text)

static void dump_rule(FILE *f, const struct rule *r)
{
	char text[SERVICE_TEXT];

	fprintf(f, "    rule %u at %u:%u from%s", r->id, r->pos.line, r->pos.col,
		r->any ? " *" : "");
	vec_each (name, &r->from)
		fprintf(f, " %s", *name);
	fprintf(f, " to");
	vec_each (name, &r->to)
		fprintf(f, " %s", *name);
	fprintf(f, " ports");
	for (size_t i = 0; i < r->services.n;) {
		i += service_text(&r->services.v[i], r->services.n - i, text);
		fprintf(f, " %s", text);
	}
	fprintf(f, "\n");
}

/* Everything that is stored, as text: what a failed comparison then shows. The caller's to free. */
static char *dump(const struct model *m)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fprintf(f, "file %s\n", m->file ? m->file : "-");
	for (size_t i = 0; i < m->subnets.n; i++)
		fprintf(f, "subnet %s\n", PREFIX(&m->subnets.v[i]));
	for (size_t i = 0; i < m->tenants.n; i++) {
		const struct tenant *t = &m->tenants.v[i];
		const struct router *r = t->router;

		fprintf(f, "tenant %u %s\n", t->id, t->name);
		for (size_t j = 0; j < t->pools.n; j++)
			fprintf(f, "  pool %s\n", PREFIX(&t->pools.v[j]));
		if (r) {
			fprintf(f, "  router %u netns %s shared %s hook %s detached %d\n", r->id,
				r->netns ? r->netns : "-", r->shared ? r->shared : "-",
				hook_name(r->hook), r->detached);
			for (size_t j = 0; j < r->inside.n; j++)
				fprintf(f, "    inside %s\n", r->inside.v[j]);
			for (int j = 0; j < FAMILIES; j++)
				fprintf(f, "    own %s pinned %d\n", ADDR(&r->own[j].addr),
					r->own[j].pinned);
			for (size_t j = 0; j < r->routes.n; j++)
				fprintf(f, "    route %s via %s\n", PREFIX(&r->routes.v[j].to),
					ADDR(&r->routes.v[j].via));
		}
		for (size_t j = 0; j < t->mappings.n; j++) {
			const struct mapping *p = &t->mappings.v[j];

			fprintf(f, "  mapping %s -> %s name %s pinned %d limit %lu %lu %lu\n",
				ADDR(&p->fixed), ADDR(&p->shared), p->name ? p->name : "-",
				p->pinned, p->limit.rate, p->limit.burst, p->limit.packets);
		}
		if (t->has_accept)
			fprintf(f, "  accept\n");
		for (size_t j = 0; j < t->accept.n; j++)
			dump_rule(f, &t->accept.v[j]);
	}
	fclose(f);
	return text;
}

#define assert_same(got, want)                                                                     \
	do {                                                                                       \
		_cleanup_free_ char *_got = dump(got), *_want = dump(want);                        \
		cr_assert(strcmp(_got, _want) == 0, "got:\n%.4000s\nwant:\n%.4000s", _got, _want); \
	} while (0)

static const struct model empty;

/* From one tenant, or with NULL from any; `to` and `ports` may be NULL. */
static void add_rule(struct tenant *t, uint32_t id, uint32_t line, const char *from, const char *to,
		     const char *ports)
{
	struct service parts[SERVICE_PARTS];
	struct rule *r = vec_push(&t->accept);
	struct error err = { 0 };
	size_t n = ports ? service_parse(ports, parts, &err) : 0;

	t->has_accept = true;
	*r = (struct rule){ .id = id, .any = !from, .pos = { line, 9 } };
	if (from)
		*vec_push(&r->from) = xstrdup(from);
	if (to)
		*vec_push(&r->to) = xstrdup(to);
	cr_assert_not(err.set, "%s", err.text);
	for (size_t i = 0; i < n; i++)
		*vec_push(&r->services) = parts[i];
}

/* Two tenants with all that a definitions file can say. */
static void rich(struct model *m)
{
	struct tenant *t;
	struct router *r;

	memset(m, 0, sizeof(*m));
	m->file = xstrdup("/etc/tenant's.yaml");
	add_prefix(&m->subnets, "100.64.0.0/16");
	add_prefix(&m->subnets, "fd64::/64");
	add_prefix(&m->subnets, "100.65.0.0/16"); /* in the order of the file, not sorted */

	t = add_tenant(m, 7, "red");
	add_prefix(&t->pools, "100.64.2.0/24");
	add_prefix(&t->pools, "100.64.1.0/24");
	add_prefix(&t->pools, "fd64::1:0/112");
	r = add_router(t, 4095, "red", "shared0");
	r->hook = HOOK_XDP_GENERIC;
	r->sources = SOURCES_LOOSE;
	r->forwarding = FORWARDING_STACK;
	add_inside(r, "qr-[0-9a-f]*");
	add_inside(r, "lan0");
	add_own(r, "100.64.0.2", true);
	add_own(r, "fd64::1:ffff", false);
	add_route(r, "100.65.0.0/16", "100.64.0.1");
	add_route(r, "100.64.9.0/24", "100.64.0.3");
	add_mapping(t, "fd00:10::5", "fd64::1:5", "db", true);
	add_mapping(t, "10.0.0.5", "100.64.1.9", "db", true);
	add_mapping(t, "10.0.0.10", "100.64.1.1", NULL, false);
	add_mapping(t, "10.0.0.9", "100.64.1.2", "it.s_odd-NAME", false);
	add_mapping(t, "fd00:10::6", "fd64::1:6", NULL, false)->limit =
		(struct limit){ .rate = 12500000, .burst = 1048576, .packets = 10000 };
	add_rule(t, 9, 4, "blue", "db", "tcp/8000-8099");
	add_rule(t, 3, 5, NULL, NULL, "icmp/echo-request");
	add_rule(t, 12, 6, "green-2", "10.0.0.9", NULL);

	t = add_tenant(m, MODEL_ID_MAX, "blue");
	r = add_router(t, 1, NULL, NULL);
	r->detached = true;
	add_own(r, "fd64::2", true);
	add_mapping(t, "10.0.0.5", "100.64.2.5", "db", false);

	t = add_tenant(m, 1, "green-2");
	r = add_router(t, 2, "/run/elsewhere/net ns", NULL);
	r->hook = HOOK_TC;
	r->sources = SOURCES_FEASIBLE;
	/* in bytes below every IPv4 address */
	add_mapping(t, "::1:0:0:5", "fd64::5", NULL, false);
	add_mapping(t, "223.255.255.254", "100.64.3.1", NULL, false);

	/* `accept: []` */
	add_tenant(m, 2, "away")->has_accept = true;
	model_sort(m);
}

/* --- store --- */

/* In a child an assertion would report to Criterion a second time, so it just ends. */
static bool is_child;

#define must(ok, err)                             \
	do {                                      \
		bool _ok = (ok);                  \
		if (!_ok && is_child)             \
			_exit(1);                 \
		cr_assert(_ok, "%s", (err).text); \
	} while (0)

static struct store *open_store(enum store_mode mode)
{
	struct store *s = NULL;
	struct error err = { 0 };

	must(store_open(dir, mode, 0, "test", &s, &err) == 0, err);
	return s;
}

static void load(struct store *s, struct model *m)
{
	struct error err = { 0 };

	must(store_load(s, m, &err) == 0, err);
}

static void save(struct store *s, const struct model *have, const struct model *want)
{
	struct error err = { 0 };

	must(store_save(s, have, want, &err) == 0, err);
}

static void commit(struct store *s)
{
	struct error err = { 0 };

	must(store_commit(s, &err) == 0, err);
}

/* Save over whatever is stored. */
static void put(const struct model *want)
{
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);
	_cleanup_model_ struct model have = { 0 };

	load(s, &have);
	save(s, &have, want);
	commit(s);
}

static void assert_stored(const struct model *want)
{
	_cleanup_store_ struct store *s = open_store(STORE_READ);
	_cleanup_model_ struct model got = { 0 };

	load(s, &got);
	assert_same(&got, want);
}

/* That opening fails, and the error has all of these in it. */
static void assert_refused(enum store_mode mode, ...)
{
	struct store *s = (struct store *)1;
	struct error err = { 0 };
	const char *part;
	va_list parts;

	cr_assert_eq(store_open(dir, mode, 0, "test", &s, &err), -1, "opened");
	cr_expect_null(s);
	cr_expect(err.set);
	cr_expect_not(err.usage);
	va_start(parts, mode);
	while ((part = va_arg(parts, const char *)))
		cr_expect_not_null(strstr(err.text, part), "no '%s' in: %s", part, err.text);
	va_end(parts);
}

/* --- no state --- */

Test(store, no_directory_is_an_empty_model)
{
	assert_stored(&empty);
	cr_assert_neq(access(dir, F_OK), 0);
}

Test(store, no_file_is_an_empty_model)
{
	mkdir(dir, 0700);
	assert_stored(&empty);
	cr_assert_eq(rmdir(dir), 0, "something was made in it");
}

/* a writer was killed before it made the tables */
Test(store, empty_file_is_an_empty_model)
{
	_cleanup_model_ struct model want = { 0 };
	struct stat st;

	rich(&want);
	mkdir(dir, 0700);
	write_file("state.db", "", 0);
	assert_stored(&empty);
	stat(in_dir("state.db"), &st);
	cr_assert_eq(st.st_size, 0);
	put(&want);
	assert_stored(&want);
}

Test(store, close_of_nothing)
{
	store_close(NULL);
}

Test(store, commit_and_rollback_of_nothing)
{
	_cleanup_store_ struct store *r = open_store(STORE_READ);
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);

	commit(r);
	store_rollback(r);
	commit(s);
	store_rollback(s);
}

/* --- round trips --- */

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

/* --- what is on disk --- */

Test(store, modes)
{
	_cleanup_model_ struct model want = { 0 };
	static const char *const files[] = { "state.db", "state.db-wal", "state.db-shm", "lock" };
	struct store *s;
	struct stat st;

	umask(0);
	rich(&want);
	s = open_store(STORE_WRITE);
	save(s, &empty, &want);
	cr_assert_eq(stat(dir, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0700);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		cr_assert_eq(stat(in_dir(files[i]), &st), 0, "%s", files[i]);
		cr_expect_eq(st.st_mode & 07777, 0600, "%s: %o", files[i], st.st_mode);
	}
	store_close(s);
}

Test(store, a_file_open_to_others_is_closed_to_them)
{
	struct stat st;

	put(&empty);
	cr_assert_eq(chmod(in_dir("state.db"), 0664), 0);
	put(&empty);
	stat(in_dir("state.db"), &st);
	cr_assert_eq(st.st_mode & 07777, 0600);
}

Test(store, stamps)
{
	put(&empty);
	cr_expect_eq(sql("PRAGMA user_version"), 5);
	cr_expect_eq(sql("PRAGMA application_id"), 0x746e6174);
	cr_expect_eq(sql("SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
}

/* Before there was `forwarding`. */
static void back_to_schema_4(void)
{
	sql("ALTER TABLE router DROP COLUMN forwarding; PRAGMA user_version = 4");
}

static void forget_forwarding(struct model *m)
{
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

Test(store, schema_4_is_brought_up_to_date)
{
	_cleanup_model_ struct model want = { 0 };

	rich(&want);
	put(&want);
	back_to_schema_4();
	store_close(open_store(STORE_WRITE));
	cr_expect_eq(sql("PRAGMA user_version"), 5);
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
	cr_expect_eq(sql("PRAGMA user_version"), 5);
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
	cr_expect_eq(sql("PRAGMA user_version"), 5);
	forget_own(&want);
	forget_rules(&want);
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
	cr_expect_eq(sql("PRAGMA user_version"), 5);
	model_tenant(&want, "red")->router->sources = SOURCES_STRICT;
	model_tenant(&want, "green-2")->router->sources = SOURCES_STRICT;
	forget_own(&want);
	forget_rules(&want);
	assert_stored(&want);
}

Test(store, nothing_is_left_beside_the_file)
{
	_cleanup_model_ struct model want = { 0 };

	rich(&want);
	put(&want);
	cr_expect_not(exists("state.db-wal"));
	cr_expect_not(exists("state.db-shm"));
	assert_stored(&want);
	cr_expect_not(exists("state.db-wal"));
	cr_expect_not(exists("state.db-shm"));
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
	cr_expect_eq(sql("SELECT count(*) FROM mapping_text"), 8);
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
		"INSERT INTO tenant VALUES (9, 'New')",
		"INSERT INTO tenant VALUES (9, 'n_w')",
		"INSERT INTO tenant VALUES (9, printf('%064d', 1))",
		"DELETE FROM tenant WHERE name = 'red'",
		"INSERT INTO pool VALUES (9, 0, '100.64.0.0/16')",
		"INSERT INTO pool VALUES (7, 0, '100.64.0.0/16')",
		"INSERT INTO pool VALUES (7, 9, '100.64.0.0')",
		"INSERT INTO router VALUES (9, 9, NULL, NULL, 'tc', 0, 'strict', 'auto')",
		"INSERT INTO router VALUES (7, 9, NULL, NULL, 'tc', 0, 'strict', 'auto')",
		"INSERT INTO router VALUES (2, 1, NULL, NULL, 'tc', 0, 'strict', 'auto')",
		"INSERT INTO router VALUES (2, 0, NULL, NULL, 'tc', 0, 'strict', 'auto')",
		"INSERT INTO router VALUES (2, NULL, NULL, NULL, 'tc', 0, 'strict', 'auto')",
		"INSERT INTO router VALUES (2, 9, '', NULL, 'tc', 0, 'strict', 'auto')",
		"INSERT INTO router VALUES (2, 9, NULL, '', 'tc', 0, 'strict', 'auto')",
		"INSERT INTO router VALUES (2, 9, NULL, NULL, NULL, 0, 'strict', 'auto')",
		"INSERT INTO router VALUES (2, 9, NULL, NULL, 'tc', 2, 'strict', 'auto')",
		"INSERT INTO router VALUES (2, 9, NULL, NULL, 'tc', NULL, 'strict', 'auto')",
		"INSERT INTO router VALUES (2, 9, NULL, NULL, 'tc', 0, '', 'auto')",
		"INSERT INTO router VALUES (2, 9, NULL, NULL, 'tc', 0, NULL, 'auto')",
		"INSERT INTO router VALUES (2, 9, NULL, NULL, 'tc', 0, 'strict', '')",
		"INSERT INTO router VALUES (2, 9, NULL, NULL, 'tc', 0, 'strict', NULL)",
		"DELETE FROM router WHERE tenant = 7",
		"INSERT INTO inside VALUES (2, 0, 'lan0')",
		"INSERT INTO inside VALUES (7, 0, 'lan9')",
		"INSERT INTO inside VALUES (7, 9, '')",
		"INSERT INTO mapping VALUES (9, 4, x'0a000001', x'64400901', NULL, 0, 0, 0, 0)",
		"INSERT INTO mapping VALUES (7, 4, x'0a000005', x'64400901', NULL, 0, 0, 0, 0)",
		"INSERT INTO mapping VALUES (7, 4, x'0a000001', x'64400109', NULL, 0, 0, 0, 0)",
		"INSERT INTO mapping VALUES (7, 4, x'0a000001', x'64400901', 'db', 0, 0, 0, 0)",
		"INSERT INTO mapping VALUES (7, 4, x'0a000001', x'64400901', '', 0, 0, 0, 0)",
		"INSERT INTO mapping VALUES (7, 4, x'0a000001', x'64400901', NULL, 2, 0, 0, 0)",
		"INSERT INTO mapping VALUES (7, 4, x'0a0001', x'644009', NULL, 0, 0, 0, 0)",
		"INSERT INTO mapping VALUES (7, 4, '10.0.0.1', x'64400901', NULL, 0, 0, 0, 0)",
		"INSERT INTO mapping VALUES (7, 4, x'0a000001', '100.64.9.1', NULL, 0, 0, 0, 0)",
		"INSERT INTO mapping VALUES (7, 4, x'0a000001', zeroblob(16), NULL, 0, 0, 0, 0)",
		"INSERT INTO mapping VALUES (7, 6, x'0a000001', x'64400901', NULL, 0, 0, 0, 0)",
		"INSERT INTO mapping VALUES (7, 6, randomblob(16), zeroblob(16), NULL, 0, 0, 0, 0)",
		"INSERT INTO mapping VALUES (7, 6, randomblob(16), randomblob(4), NULL, 0, 0, 0, "
		"0)",
		"INSERT INTO mapping VALUES (7, 5, x'0a000001', x'64400901', NULL, 0, 0, 0, 0)",
		"INSERT INTO mapping VALUES (7, 4, NULL, x'64400901', NULL, 0, 0, 0, 0)",
		"INSERT INTO mapping VALUES (7, 4, x'0a000001', NULL, NULL, 0, 0, 0, 0)",
	};
	static const char *const right[] = {
		"INSERT INTO subnet VALUES (9, '100.66.0.0/16')",
		"INSERT INTO tenant VALUES (9, 'new')",
		"INSERT INTO tenant VALUES (10, printf('%063d', 1))",
		"INSERT INTO pool VALUES (7, 9, '100.64.0.0/16')",
		"INSERT INTO router VALUES (9, 9, NULL, NULL, 'tc', 0, 'strict', 'auto')",
		"INSERT INTO inside VALUES (9, 0, 'lan0')",
		"INSERT INTO mapping VALUES (7, 4, x'0a000001', x'64400901', NULL, 0, 0, 0, 0)",
		"INSERT INTO mapping VALUES (9, 4, x'0a000001', x'64400902', 'db', 1, 0, 0, 0)",
		"INSERT INTO mapping VALUES (9, 6, randomblob(16), randomblob(16), 'db', 1, 0, 0, "
		"0)",
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

/* --- differences --- */

#define ROUTER_PARTS "route -2 +2, router -1 +1, router_address -2 +2"

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
			 "mapping -1 +1, router -1 +1, router_address -1 +1, tenant -1 +1");

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

/* --- random models --- */

static uint64_t random_state;

static unsigned int rnd(unsigned int n)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (random_state >> 33) % n;
}

/* Few names and addresses, so that two of them have much in common, and much swapped. */
static void random_model(struct model *m)
{
	static const char *const names[] = { "a", "a-", "a0", "b", "blue", "red", "red-2", "z" };
	static const char *const subnets[] = { "100.64.0.0/16", "fd64::/64", "100.65.0.0/16",
					       "100.66.0.0/16" };
	unsigned int ids[ARRAY_SIZE(names)], shared[64], used = 0;
	struct tn_addr fixed4 = addr("10.0.0.0"), fixed6 = addr("fd00::");
	struct tn_addr shared4 = addr("100.64.1.0"), shared6 = addr("fd64::1:0");
	char name[32];

	memset(m, 0, sizeof(*m));
	for (unsigned int i = 0; i < ARRAY_SIZE(ids); i++)
		ids[i] = i + 1;
	/* mostly the same ids, some exchanged */
	for (unsigned int i = rnd(3); i > 0; i--) {
		unsigned int x = rnd(ARRAY_SIZE(ids)), y = rnd(ARRAY_SIZE(ids)), id = ids[x];

		ids[x] = ids[y];
		ids[y] = id;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(shared); i++) {
		unsigned int j = rnd(i + 1);

		shared[i] = shared[j];
		shared[j] = i;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(subnets); i++) {
		if (i < 3 || rnd(2))
			add_prefix(&m->subnets, subnets[i]);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		struct tenant *t;

		if (rnd(3) == 0)
			continue;
		t = add_tenant(m, ids[i], names[i]);
		for (unsigned int j = rnd(3); j > 0; j--)
			add_prefix(&t->pools, subnets[rnd(3)]);
		if (rnd(2)) {
			struct router *r = add_router(t, ids[(i + 1) % ARRAY_SIZE(ids)],
						      rnd(2) ? names[rnd(4)] : NULL,
						      rnd(2) ? "shared0" : NULL);

			r->hook = rnd(HOOKS_COUNT);
			r->detached = rnd(2);
			for (unsigned int j = rnd(3); j > 0; j--)
				add_inside(r, names[rnd(4)]);
		}
		for (unsigned int j = 0; j < 8; j++) {
			struct mapping *p;
			bool six = rnd(3) == 0;
			unsigned int slot;

			if (rnd(2))
				continue;
			slot = shared[used++];
			p = vec_push(&t->mappings);
			p->fixed = addr_add(six ? &fixed6 : &fixed4, j);
			p->shared = addr_add(six ? &shared6 : &shared4, slot);
			p->pinned = rnd(2);
			if (rnd(2)) {
				snprintf(name, sizeof(name), "vm-%u", (j + rnd(2) * 4) % 8);
				p->name = xstrdup(name);
				for (struct mapping *o = t->mappings.v; o < p; o++) {
					if (p->name && o->name && strcmp(o->name, p->name) == 0) {
						free(p->name);
						p->name = NULL;
					}
				}
			}
		}
	}
	model_sort(m);
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

/* --- transactions --- */

Test(store, rollback_leaves_the_old)
{
	_cleanup_model_ struct model old = { 0 }, got = { 0 };
	_cleanup_store_ struct store *s = NULL;

	rich(&old);
	put(&old);
	s = open_store(STORE_WRITE);
	save(s, &old, &empty);
	store_rollback(s);
	load(s, &got);
	assert_same(&got, &old);
	/* and it goes on */
	save(s, &old, &empty);
	commit(s);
	assert_stored(&empty);
}

Test(store, close_leaves_the_old)
{
	_cleanup_model_ struct model old = { 0 };
	struct store *s;

	rich(&old);
	put(&old);
	s = open_store(STORE_WRITE);
	save(s, &old, &empty);
	store_close(s);
	assert_stored(&old);
}

Test(store, two_saves_in_one_transaction)
{
	_cleanup_model_ struct model a = { 0 }, b = { 0 }, got = { 0 };
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);

	rich(&a);
	random_state = 7;
	random_model(&b);
	save(s, &empty, &a);
	save(s, &a, &b);
	load(s, &got);
	assert_same(&got, &b);
	assert_stored(&empty);
	commit(s);
	assert_stored(&b);
}

Test(store, a_refused_row_is_named_and_rolled_back)
{
	_cleanup_model_ struct model old = { 0 }, want = { 0 }, got = { 0 };
	_cleanup_store_ struct store *s = NULL;
	struct error err = { 0 };

	rich(&old);
	put(&old);
	rich(&want);
	model_tenant(&want, "blue")->mappings.v[0].shared = addr("100.64.1.9");
	s = open_store(STORE_WRITE);
	cr_assert_eq(store_save(s, &old, &want, &err), -1);
	cr_expect_not_null(strstr(err.text, "tenant blue: mapping 10.0.0.5 -> 100.64.1.9: "), "%s",
			   err.text);
	cr_expect_not_null(strstr(err.text, "mapping.shared"), "%s", err.text);
	load(s, &got);
	assert_same(&got, &old);
	commit(s);
	assert_stored(&old);
}

Test(store, what_was_read_has_to_be_there)
{
	_cleanup_model_ struct model old = { 0 }, have = { 0 };
	_cleanup_store_ struct store *s = NULL;
	struct error err = { 0 };

	rich(&old);
	put(&old);
	rich(&have);
	add_mapping(model_tenant(&have, "red"), "fd00:10::7", "fd64::77", NULL, false);
	s = open_store(STORE_WRITE);
	cr_assert_eq(store_save(s, &have, &empty, &err), -1);
	cr_expect_not_null(strstr(err.text, "changed by another program"), "%s", err.text);
	assert_stored(&old);
}

Test(store, a_reader_cannot_save)
{
	_cleanup_store_ struct store *none = open_store(STORE_READ), *s = NULL;
	_cleanup_model_ struct model want = { 0 };
	struct error err = { 0 };

	rich(&want);
	cr_assert_eq(store_save(none, &empty, &want, &err), -1);
	cr_expect(err.set);
	put(&empty);
	s = open_store(STORE_READ);
	cr_assert_eq(store_save(s, &empty, &want, &err), -1);
	assert_stored(&empty);
}

Test(store, a_reader_sees_what_is_committed)
{
	_cleanup_model_ struct model old = { 0 }, got = { 0 };
	_cleanup_store_ struct store *writer = NULL, *reader = NULL;

	rich(&old);
	put(&old);
	writer = open_store(STORE_WRITE);
	save(writer, &old, &empty);
	reader = open_store(STORE_READ);
	load(reader, &got);
	assert_same(&got, &old);
	model_free(&got);
	commit(writer);
	load(reader, &got);
	assert_same(&got, &empty);
}

Test(store, a_reader_keeps_no_writer_waiting)
{
	_cleanup_model_ struct model want = { 0 }, got = { 0 };
	_cleanup_store_ struct store *reader = NULL;

	rich(&want);
	put(&want);
	reader = open_store(STORE_READ);
	load(reader, &got);
	put(&empty);
	put(&want);
	model_free(&got);
	load(reader, &got);
	assert_same(&got, &want);
}

/* --- processes --- */

/* fork(2), and the child does not outlive a test that failed. */
static pid_t fork_child(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		is_child = true;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	}
	return pid;
}

/* Run `child` in a process that then stays, until it is killed; returns when it got there. */
static pid_t spawn(void (*child)(void))
{
	int ready[2];
	char byte;
	pid_t pid;

	cr_assert_eq(pipe(ready), 0);
	pid = fork_child();
	if (pid == 0) {
		close(ready[0]);
		child();
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void kill_child(pid_t pid)
{
	kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

static void half_a_transaction(void)
{
	struct model old, want;
	struct store *s = open_store(STORE_WRITE);

	load(s, &old);
	random_state = 3;
	random_model(&want);
	save(s, &old, &want);
}

Test(store, kill_within_a_transaction_leaves_the_old_and_frees_the_lock)
{
	_cleanup_model_ struct model old = { 0 };

	rich(&old);
	put(&old);
	kill_child(spawn(half_a_transaction));
	assert_stored(&old);
	put(&old);
	assert_stored(&old);
	cr_expect_not(exists("state.db-wal"));
}

static void a_transaction_too_large_for_memory(void)
{
	struct tn_addr fixed = addr("fd00::1"), shared = addr("fd64::1");
	struct store *s = open_store(STORE_WRITE);
	struct model old, want;
	struct tenant *t;

	load(s, &old);
	load(s, &want);
	t = add_tenant(&want, 99, "zebra");
	for (unsigned int i = 0; i < 700000; i++) {
		struct mapping *m = vec_push(&t->mappings);

		m->fixed = addr_add(&fixed, i);
		m->shared = addr_add(&shared, (uint64_t)i * 2654435761U);
	}
	save(s, &old, &want);
}

/* SQLite has then written much of what never was committed */
Test(store, kill_after_much_was_written_leaves_the_old)
{
	_cleanup_model_ struct model old = { 0 };
	struct stat st;

	random_state = 4;
	random_model(&old);
	put(&old);
	kill_child(spawn(a_transaction_too_large_for_memory));
	cr_assert_eq(stat(in_dir("state.db-wal"), &st), 0);
	cr_assert_gt(st.st_size, 1 << 20, "nothing was written: the test tests nothing");
	assert_stored(&old);
}

Test(store, kill_at_any_time_leaves_one_or_the_other)
{
	_cleanup_model_ struct model a = { 0 }, b = { 0 };
	_cleanup_free_ char *text_a = NULL, *text_b = NULL;

	rich(&a);
	random_state = 5;
	random_model(&b);
	text_a = dump(&a);
	text_b = dump(&b);
	put(&b);
	for (int i = 0; i < 30; i++) {
		_cleanup_model_ struct model got = { 0 };
		_cleanup_free_ char *text = NULL;
		_cleanup_store_ struct store *s = NULL;
		pid_t pid = fork_child();

		if (pid == 0) {
			for (;;) {
				put(&a);
				put(&b);
			}
		}
		sleep_ms(5 + i);
		kill_child(pid);
		s = open_store(i % 2 ? STORE_WRITE : STORE_READ);
		load(s, &got);
		text = dump(&got);
		cr_assert(strcmp(text, text_a) == 0 || strcmp(text, text_b) == 0, "%s", text);
	}
}

/* readers never see a mixture, and never an error */
Test(store, readers_beside_a_writer)
{
	_cleanup_model_ struct model a = { 0 }, b = { 0 };
	_cleanup_free_ char *text_a = NULL, *text_b = NULL;
	unsigned int seen[2] = { 0 };
	double end = now() + 1;
	pid_t pid;

	rich(&a);
	random_state = 5;
	random_model(&b);
	text_a = dump(&a);
	text_b = dump(&b);
	put(&b);
	pid = fork_child();
	if (pid == 0) {
		for (;;) {
			put(&a);
			put(&b);
		}
	}
	while (now() < end) {
		_cleanup_model_ struct model got = { 0 };
		_cleanup_free_ char *text = NULL;
		_cleanup_store_ struct store *s = open_store(STORE_READ);

		load(s, &got);
		text = dump(&got);
		cr_assert(strcmp(text, text_a) == 0 || strcmp(text, text_b) == 0, "%s", text);
		seen[strcmp(text, text_a) == 0]++;
	}
	kill_child(pid);
	cr_assert(seen[0] && seen[1], "%u %u", seen[0], seen[1]);
}

/* the very first writer, too */
Test(store, readers_beside_the_first_writer)
{
	_cleanup_model_ struct model a = { 0 };
	_cleanup_free_ char *text_a = NULL;

	rich(&a);
	text_a = dump(&a);
	for (int i = 0; i < 20; i++) {
		double end = now() + 20;
		bool done = false;
		pid_t pid = fork_child();

		if (pid == 0) {
			put(&a);
			_exit(0);
		}
		while (!done) {
			_cleanup_model_ struct model got = { 0 };
			_cleanup_free_ char *text = NULL;
			_cleanup_store_ struct store *s = open_store(STORE_READ);

			load(s, &got);
			text = dump(&got);
			done = got.subnets.n;
			cr_assert(!done || strcmp(text, text_a) == 0, "%s", text);
			cr_assert(now() < end, "the writer never came");
		}
		cr_assert_eq(waitpid(pid, NULL, 0), pid);
		cr_assert_eq(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	}
}

/* --- the lock --- */

static void hold(void)
{
	struct error err = { 0 };
	struct store *s;

	if (store_open(dir, STORE_WRITE, 0, "apply", &s, &err))
		_exit(1);
}

Test(store, the_lock_is_free_after_close)
{
	struct stat st;

	store_close(open_store(STORE_WRITE));
	store_close(open_store(STORE_WRITE));
	stat(in_dir("lock"), &st);
	cr_assert_eq(st.st_size, 0);
}

Test(store, the_lock_is_kept_until_close)
{
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);

	commit(s);
	assert_refused(STORE_WRITE, "state in ", dir, " is held by ", NULL);
	save(s, &empty, &empty);
	commit(s);
	assert_refused(STORE_WRITE, "state in ", dir, " is held by ", NULL);
}

Test(store, the_holder_is_in_the_file)
{
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);
	_cleanup_free_ uint8_t *text = NULL;
	char want[64];
	size_t n;

	snprintf(want, sizeof(want), "%d test\n", getpid());
	text = read_file("lock", &n);
	cr_assert_str_eq((char *)text, want);
}

Test(store, the_error_names_the_holder)
{
	pid_t pid = spawn(hold);
	char want[700];

	snprintf(want, sizeof(want),
		 "state in %s is held by process %d (apply); wait for it to end, or use --wait "
		 "SECONDS",
		 dir, pid);
	assert_refused(STORE_WRITE, want, NULL);
	/* and a reader does not care */
	assert_stored(&empty);
	kill_child(pid);
	put(&empty);
}

Test(store, waiting_ends)
{
	pid_t pid = spawn(hold);
	struct error err = { 0 };
	double began = now(), took;
	struct store *s;

	cr_assert_eq(store_open(dir, STORE_WRITE, 1, "test", &s, &err), -1);
	took = now() - began;
	/* the clock of the wait has milliseconds */
	cr_expect(took >= 0.99 && took < 10, "%f", took);
	cr_expect_not_null(strstr(err.text, "(apply)"), "%s", err.text);
	kill_child(pid);
}

Test(store, waiting_gets_the_lock)
{
	struct error err = { 0 };
	double began = now(), took;
	struct store *s, *held = open_store(STORE_WRITE);
	pid_t pid = fork_child();

	/* the lock is let go of when the last process that has the descriptor closes it */
	if (pid == 0) {
		sleep_ms(400);
		_exit(0);
	}
	store_close(held);
	cr_assert_eq(store_open(dir, STORE_WRITE, 20, "test", &s, &err), 0, "%s", err.text);
	took = now() - began;
	cr_expect(took >= 0.3 && took < 15, "%f", took);
	store_close(s);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

static const char *stale;

/* Another process, that took the lock and did not come to say who it is. */
static void hold_silently(void)
{
	int fd = open(in_dir("lock"), O_RDWR | O_CREAT, 0600);

	if (flock(fd, LOCK_EX) || write(fd, stale, strlen(stale)) < 0)
		_exit(1);
}

Test(store, a_stale_name_is_not_the_holder)
{
	static const char *const texts[] = { "", "1 init\n", "999999 ghost\n", "rubbish", "\n" };
	char parent[64];

	mkdir(dir, 0700);
	snprintf(parent, sizeof(parent), "%d ghost\n", getppid());
	for (size_t i = 0; i <= ARRAY_SIZE(texts); i++) {
		pid_t pid;

		stale = i < ARRAY_SIZE(texts) ? texts[i] : parent;
		unlink(in_dir("lock"));
		pid = spawn(hold_silently);
		assert_refused(STORE_WRITE, " is held by another process; ", NULL);
		kill_child(pid);
	}
}

/* the process that holds it is known, but the name is that of one before it */
Test(store, a_stale_name_is_not_given_to_the_holder)
{
	pid_t pid = spawn(hold);
	char want[64];

	write_file("lock", "999999 ghost\n", 13);
	snprintf(want, sizeof(want), " is held by process %d; ", pid);
	assert_refused(STORE_WRITE, want, NULL);
	write_file("lock", "", 0);
	assert_refused(STORE_WRITE, want, NULL);
	kill_child(pid);
}

Test(store, the_lock_is_not_inherited_by_programs)
{
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);

	cr_assert_not_null(s);
	for (int fd = 3; fd < 64; fd++) {
		char link[64], target[600] = "";

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if (readlink(link, target, sizeof(target) - 1) > 0 && strstr(target, top))
			cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC, "%s", target);
	}
}

/* many at once, each of which adds one mapping to what it finds */
Test(store, writers_take_turns)
{
	_cleanup_model_ struct model m = { 0 }, got = { 0 };
	_cleanup_store_ struct store *s = NULL;
	pid_t pids[8];

	add_prefix(&m.subnets, "100.64.0.0/16");
	add_tenant(&m, 1, "red");
	put(&m);
	for (int i = 0; i < 8; i++) {
		pids[i] = fork_child();
		if (pids[i])
			continue;
		for (int j = 0; j < 5; j++) {
			struct model have = { 0 }, want = { 0 };
			struct error err = { 0 };
			struct store *w;
			char fixed[32], shared[32];

			if (store_open(dir, STORE_WRITE, 60, "turn", &w, &err) ||
			    store_load(w, &have, &err) || store_load(w, &want, &err))
				_exit(1);
			snprintf(fixed, sizeof(fixed), "10.0.%d.%d", i, j);
			snprintf(shared, sizeof(shared), "100.64.0.%zu",
				 have.tenants.v[0].mappings.n);
			add_mapping(&want.tenants.v[0], fixed, shared, NULL, false);
			model_sort(&want);
			if (store_save(w, &have, &want, &err) || store_commit(w, &err))
				_exit(1);
			store_close(w);
		}
		_exit(0);
	}
	for (int i = 0; i < 8; i++) {
		int status;

		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		cr_expect_eq(status, 0);
	}
	s = open_store(STORE_READ);
	load(s, &got);
	cr_assert_eq(got.tenants.v[0].mappings.n, 40);
}

/* --- bad directories --- */

Test(store, missing_parent)
{
	snprintf(dir, sizeof(dir), "%s/no/state", top);
	assert_refused(STORE_WRITE, "cannot create the directory ", dir, "No such file",
		       "--state DIR", NULL);
	assert_stored(&empty);
}

Test(store, directory_is_a_file)
{
	_cleanup_close_ int fd = open(dir, O_WRONLY | O_CREAT, 0600);

	cr_assert_geq(fd, 0);
	assert_refused(STORE_WRITE, dir, "Not a directory", "--state DIR", NULL);
	assert_refused(STORE_READ, dir, "Not a directory", "--state DIR", NULL);
	snprintf(dir + strlen(dir), sizeof(dir) - strlen(dir), "/below");
	assert_refused(STORE_WRITE, dir, "Not a directory", "--state DIR", NULL);
	assert_refused(STORE_READ, dir, "Not a directory", "--state DIR", NULL);
}

Test(store, directory_writable_by_others)
{
	static const mode_t bad[] = { 0777, 0770, 0720, 0702, 01777 },
			    good[] = { 0700, 0755, 0750, 0711 };
	char text[16];

	put(&empty);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		chmod(dir, bad[i]);
		snprintf(text, sizeof(text), "(mode %04o)", bad[i]);
		assert_refused(STORE_WRITE, dir, text, "chmod go-w ", NULL);
		assert_refused(STORE_READ, dir, text, "chmod go-w ", NULL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		chmod(dir, good[i]);
		assert_stored(&empty);
	}
}

Test(store, directory_of_somebody_else)
{
	if (geteuid() != 0)
		skip("needs root");
	put(&empty);
	cr_assert_eq(chown(dir, 65534, 65534), 0);
	assert_refused(STORE_WRITE, dir, "user 65534", "chown root ", NULL);
	assert_refused(STORE_READ, dir, "user 65534", "chown root ", NULL);
}

Test(store, not_root)
{
	if (geteuid() != 0)
		skip("needs root");
	put(&empty);
	chmod(top, 0755);
	cr_assert_eq(seteuid(65534), 0);
	assert_refused(STORE_READ, in_dir("state.db"), "Permission denied", "run as root", NULL);
	assert_refused(STORE_WRITE, in_dir("lock"), "Permission denied", "run as root", NULL);
	snprintf(dir, sizeof(dir), "%s/other", top);
	assert_refused(STORE_WRITE, "create", dir, "Permission denied", "run as root", NULL);
	cr_assert_eq(seteuid(0), 0);
}

/* --- bad files --- */

Test(store, newer_schema)
{
	_cleanup_free_ uint8_t *before = NULL, *after = NULL;
	size_t n, m;

	put(&empty);
	sql("PRAGMA user_version = 6");
	before = read_file("state.db", &n);
	assert_refused(STORE_WRITE, in_dir("state.db"), "schema 6", "none after 5", "newer", NULL);
	assert_refused(STORE_READ, in_dir("state.db"), "schema 6", "none after 5", "newer", NULL);
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

Test(store, no_database)
{
	static const char text[] = "shared-network:\n  subnets: [100.64.0.0/16]\n";
	_cleanup_free_ uint8_t *after = NULL;
	size_t n;

	mkdir(dir, 0700);
	write_file("state.db", text, sizeof(text));
	assert_refused(STORE_WRITE, in_dir("state.db"), "is damaged (", "backup", NULL);
	assert_refused(STORE_READ, in_dir("state.db"), "is damaged (", "backup", NULL);
	after = read_file("state.db", &n);
	cr_assert_eq(n, sizeof(text));
	cr_assert_arr_eq(after, text, n);
}

Test(store, file_is_a_directory)
{
	mkdir(dir, 0700);
	mkdir(in_dir("state.db"), 0700);
	assert_refused(STORE_WRITE, in_dir("state.db"), NULL);
	assert_refused(STORE_READ, in_dir("state.db"), NULL);
}

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
		{ "UPDATE router SET id = 4096 WHERE id = 1", "router's id" },
		{ "INSERT INTO tenant VALUES (4294967295, 'new')", "tenant's id" },
		{ "INSERT INTO tenant VALUES (16777217, 'new')", "tenant's id" },
		{ UNCHECKED "INSERT INTO tenant VALUES (0, 'new')", "tenant's id" },
		{ UNCHECKED "INSERT INTO tenant VALUES (4294967298, 'new')", "tenant's id" },
		{ UNCHECKED "INSERT INTO tenant VALUES (9, printf('%064d', 1))", "tenant's name" },
		{ UNCHECKED "INSERT INTO tenant VALUES (9, 'New')", "tenant's name" },
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
		{ "UPDATE router_address SET address = x'0a000001' WHERE family = 4",
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
		cr_assert_eq(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
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

/* --- other things in the place of its files --- */

static void make_fifo(const char *path)
{
	cr_assert_eq(mkfifo(path, 0600), 0);
}

static void make_dir(const char *path)
{
	cr_assert_eq(mkdir(path, 0700), 0);
}

static void make_link(const char *path)
{
	cr_assert_eq(symlink("/dev/null", path), 0);
}

static void make_loose(const char *path)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT, 0600);

	cr_assert_eq(fchmod(fd, 0602), 0);
}

static void make_strange(const char *path)
{
	make_loose(path);
	cr_assert_eq(chmod(path, 0600), 0);
	cr_assert_eq(chown(path, 65534, 65534), 0);
}

/* None of them is waited for, followed, or believed. */
Test(store, other_things_in_the_place_of_files)
{
	static const char *const files[] = { "lock", "state.db", "state.db-wal", "state.db-shm",
					     "state.db-journal" };
	static const struct {
		void (*make)(const char *path);
		const char *what, *remedy;
	} things[] = { { make_fifo, "a FIFO", "move it away" },
		       { make_dir, "a directory", "move it away" },
		       { make_link, "a symbolic link", "move it away" },
		       { make_loose, "(mode 0602)", "chmod go-w" },
		       { make_strange, "user 65534", "chown root" } };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(things); k++) {
			if (things[k].make == make_strange && geteuid() != 0)
				continue;
			put(&empty);
			remove(in_dir(files[i]));
			things[k].make(in_dir(files[i]));
			assert_refused(STORE_WRITE, in_dir(files[i]), things[k].what,
				       things[k].remedy, NULL);
			/* a reader takes no lock, and nobody is taken for its holder */
			cr_expect_eq(store_holder(dir), 0);
			if (i > 0)
				assert_refused(STORE_READ, in_dir(files[i]), things[k].what,
					       things[k].remedy, NULL);
			cr_assert_eq(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
		}
	}
}

/* --- bad filesystems --- */

/* A filesystem of its own at `dir`, seen by this process only. */
static void mount_at_dir(const char *options)
{
	mkdir(dir, 0700);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", dir, "tmpfs", 0, options))
		skip("cannot mount: %s", strerror(errno));
}

static void remount(unsigned long flags, const char *options)
{
	cr_assert_eq(mount(NULL, dir, NULL, MS_REMOUNT | flags, options), 0, "%s", strerror(errno));
}

Test(store, read_only_filesystem)
{
	_cleanup_model_ struct model m = { 0 };

	rich(&m);
	mount_at_dir("mode=0700");
	put(&m);
	remount(MS_RDONLY, "mode=0700");
	assert_refused(STORE_WRITE, dir, "Read-only file system", "read-write", "--state DIR",
		       NULL);
	assert_stored(&m);
}

Test(store, read_only_filesystem_before_there_is_a_state)
{
	mount_at_dir("mode=0700");
	remount(MS_RDONLY, "mode=0700");
	assert_refused(STORE_WRITE, dir, "Read-only file system", "read-write", NULL);
	assert_stored(&empty);
	snprintf(dir + strlen(dir), sizeof(dir) - strlen(dir), "/new");
	assert_refused(STORE_WRITE, dir, "Read-only file system", "read-write", NULL);
	*strrchr(dir, '/') = '\0';
}

/* the odd characters are those that a URI would take for its own */
Test(store, odd_directory_names)
{
	_cleanup_model_ struct model m = { 0 };

	rich(&m);
	snprintf(dir, sizeof(dir), "%s/a b%%41?mode=memory#'\"\xc3\xb6", top);
	mount_at_dir("mode=0700");
	put(&m);
	assert_stored(&m);
	remount(MS_RDONLY, "mode=0700");
	assert_stored(&m);
}

static void commit_and_stay(void)
{
	struct model m;
	struct store *s = open_store(STORE_WRITE);

	rich(&m);
	save(s, &empty, &m);
	commit(s);
}

/* what was committed last is still in the log */
Test(store, read_only_filesystem_after_a_crash)
{
	_cleanup_model_ struct model m = { 0 };

	rich(&m);
	mount_at_dir("mode=0700");
	put(&empty);
	kill_child(spawn(commit_and_stay));
	cr_assert(exists("state.db-wal"));
	remount(MS_RDONLY, "mode=0700");
	assert_stored(&m);
}

Test(store, full_filesystem)
{
	struct tn_addr fixed = addr("10.0.0.1"), shared = addr("100.64.0.1");
	_cleanup_model_ struct model old = { 0 }, want = { 0 }, got = { 0 };
	struct error err = { 0 };
	struct store *s;
	struct tenant *t;

	rich(&old);
	add_prefix(&want.subnets, "100.64.0.0/16");
	t = add_tenant(&want, 1, "red");
	for (unsigned int i = 0; i < 50000; i++) {
		struct mapping *m = vec_push(&t->mappings);

		m->fixed = addr_add(&fixed, i);
		m->shared = addr_add(&shared, i);
	}
	mount_at_dir("mode=0700,size=512k");
	put(&old);
	s = open_store(STORE_WRITE);
	if (store_save(s, &old, &want, &err) == 0)
		cr_assert_eq(store_commit(s, &err), -1);
	cr_expect_not_null(strstr(err.text, in_dir("state.db")), "%s", err.text);
	cr_expect_not_null(strstr(err.text, "no space left"), "%s", err.text);
	cr_expect_not_null(strstr(err.text, "make room"), "%s", err.text);
	/* in the same store, and in one opened after it */
	load(s, &got);
	assert_same(&got, &old);
	store_close(s);
	assert_stored(&old);

	remount(0, "size=64m");
	put(&want);
	assert_stored(&want);
}

Test(store, full_filesystem_from_the_start)
{
	_cleanup_model_ struct model m = { 0 };
	char page[4096] = { 0 };
	int fd;

	rich(&m);
	mount_at_dir("mode=0700,size=64k");
	fd = open(in_dir("ballast"), O_WRONLY | O_CREAT, 0600);
	while (write(fd, page, sizeof(page)) > 0)
		;
	close(fd);
	assert_refused(STORE_WRITE, dir, "no space left", "make room", NULL);
	assert_stored(&empty);
	unlink(in_dir("ballast"));
	remount(0, "size=1m");
	put(&m);
	assert_stored(&m);
}

/* --- history --- */

static void note_change(struct store *s, int64_t at, const char *command, size_t lines)
{
	struct history_change c = { .at = at, .uid = 7, .user = xstrdup("root (sudo alice)") };
	struct error err = { 0 };

	c.command = xstrdup(command);
	for (size_t i = 0; i < lines; i++)
		*vec_push(&c.lines) = (struct history_line){ "+~-"[i % 3], xstrdup("a line") };
	must(store_note(s, &c, &err) == 0, err);
	history_change_clear(&c);
}

Test(store, history_is_of_what_was_committed)
{
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);
	_cleanup_history_ struct history h = { 0 };
	struct error err = { 0 };

	save(s, &empty, &empty);
	note_change(s, 100, "apply", 4);
	store_rollback(s);
	save(s, &empty, &empty);
	note_change(s, 200, "map add red 10.0.0.5", 2);
	note_change(s, 300, "detach it's", HISTORY_LINES_MAX + 5);
	commit(s);
	must(store_history(s, 5, &h, &err) == 0, err);
	cr_assert_eq(h.list.n, 2, "%zu changes", h.list.n);
	cr_expect_eq(h.list.v[0].at, 200);
	cr_expect_eq(h.list.v[0].uid, 7);
	cr_expect_str_eq(h.list.v[0].user, "root (sudo alice)");
	cr_expect_str_eq(h.list.v[0].command, "map add red 10.0.0.5");
	cr_expect_eq(h.list.v[0].lines.n, 2);
	cr_expect_eq(h.list.v[0].lines.v[1].sign, '~');
	cr_expect_str_eq(h.list.v[0].lines.v[1].text, "a line");
	cr_assert_eq(h.list.v[1].lines.n, HISTORY_LINES_MAX + 1);
	cr_expect_str_eq(h.list.v[1].lines.v[HISTORY_LINES_MAX].text, "and 5 more");
	history_free(&h);
	must(store_history(s, 1, &h, &err) == 0, err);
	cr_assert_eq(h.list.n, 1);
	cr_expect_str_eq(h.list.v[0].command, "detach it's");
}

Test(store, history_does_not_grow_without_end)
{
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);
	_cleanup_history_ struct history h = { 0 };
	struct error err = { 0 };

	save(s, &empty, &empty);
	for (int i = 1; i <= HISTORY_MAX + 3; i++)
		note_change(s, i, "apply", 1);
	commit(s);
	must(store_history(s, HISTORY_MAX + 10, &h, &err) == 0, err);
	cr_assert_eq(h.list.n, HISTORY_MAX, "%zu changes", h.list.n);
	cr_expect_eq(h.list.v[0].at, 4);
	cr_expect_eq(h.list.v[HISTORY_MAX - 1].at, HISTORY_MAX + 3);
	cr_expect_eq(sql("SELECT count(*) FROM history_line"), HISTORY_MAX);
}

/* --- a window --- */

/* red has ten of each family, named by their number; two rules name some of them. */
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
	add_rule(red, 1, 1, NULL, "vm8", NULL);
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
	expect_seen(s, w, "blue 10.0.0.6 red 10.0.0.0 red 10.0.0.1 red 10.0.0.8 " SIX);
	w.fixed = addr("10.0.0.5");
	expect_seen(s, w, "blue 10.0.0.6 red 10.0.0.0 red 10.0.0.1 red 10.0.0.5 red 10.0.0.8 " SIX);
	w = (struct window){ .tenant = "red", .name = "vm4" };
	expect_seen(s, w, "blue 10.0.0.6 red 10.0.0.0 red 10.0.0.1 red 10.0.0.4 red 10.0.0.8 " SIX);
	w.name = "fd00::7";
	expect_seen(s, w, "blue 10.0.0.6 red 10.0.0.0 red 10.0.0.1 red 10.0.0.8 " SIX);
	/* of whoever has it, and once */
	w = (struct window){ .tenant = "red", .shared = addr("100.64.2.5"), .name = "vm8" };
	expect_seen(s, w,
		    "blue 10.0.0.5 blue 10.0.0.6 red 10.0.0.0 red 10.0.0.1 red 10.0.0.8 " SIX);
	w = (struct window){ .tenant = "nobody", .fixed = addr("10.0.0.5"), .name = "db" };
	expect_seen(s, w, "blue 10.0.0.6 red 10.0.0.8 red fd00::8 ");

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

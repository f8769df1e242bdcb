/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/host_name.h"
#include "model/prefixes.h"
#include "model/service.h"

#define HERE "HV0" /* what this host is called */

char top[256], dir[512];

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

void remove_state(void)
{
	cr_assert_eq(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void remove_top(void)
{
	umount2(dir, MNT_DETACH);
	nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(store, .init = make_top, .fini = remove_top, .timeout = 120);

const char *in_dir(const char *name)
{
	static char path[600];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

bool exists(const char *name)
{
	return access(in_dir(name), F_OK) == 0;
}

void write_file(const char *name, const void *bytes, size_t n)
{
	_cleanup_close_ int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
}

uint8_t *read_file(const char *name, size_t *n)
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

void sleep_ms(int ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L }, NULL);
}

double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* --- the database from outside --- */

int sql_try(const char *sql, sqlite3_int64 *value)
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

sqlite3_int64 sql(const char *text)
{
	sqlite3_int64 value = -1;
	int rc = sql_try(text, &value);

	cr_assert_eq(rc, SQLITE_OK, "%s: %s", text, sqlite3_errstr(rc));
	return value;
}

/* --- models --- */

struct tn_addr addr(const char *text)
{
	struct tn_addr a;

	cr_assert(addr_parse(text, &a), "%s", text);
	return a;
}

struct tenant *add_tenant(struct model *m, uint32_t id, const char *name)
{
	struct tenant *t = vec_push(&m->tenants);

	t->id = id;
	t->name = xstrdup(name);
	return t;
}

struct mapping *add_mapping(struct tenant *t, const char *fixed, const char *shared,
			    const char *name, bool pinned)
{
	struct mapping *m = vec_push(&t->mappings);

	m->fixed = addr(fixed);
	m->shared = addr(shared);
	m->name = name ? xstrdup(name) : NULL;
	m->pinned = pinned;
	return m;
}

struct router *add_router(struct tenant *t, uint32_t id, const char *netns, const char *shared)
{
	struct router *r = t->router = router_new();

	r->id = id;
	r->netns = netns ? xstrdup(netns) : NULL;
	r->shared = shared ? xstrdup(shared) : NULL;
	return r;
}

void add_inside(struct router *r, const char *name)
{
	*vec_push(&r->inside) = xstrdup(name);
}

void add_own(struct router *r, const char *text, bool pinned)
{
	struct tn_addr a = addr(text);

	r->own[addr_family(&a)] = (struct own_address){ .addr = a, .pinned = pinned };
}

void add_route(struct router *r, const char *to, const char *via)
{
	struct route *route = vec_push(&r->routes);

	cr_assert(prefix_parse(to, &route->to), "%s", to);
	route->via = addr(via);
}

void add_inside_route(struct router *r, const char *to, const char *via)
{
	struct route *route = vec_push(&r->inside_routes);

	cr_assert(prefix_parse(to, &route->to), "%s", to);
	route->via = addr(via);
}

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
	fprintf(f, " until %u\n", r->until);
}

char *dump(const struct model *m)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fprintf(f, "file %s\n", m->file ? m->file : "-");
	fprintf(f, "zone %s\n", m->zone ? m->zone : "-");
	for (size_t i = 0; i < m->subnets.n; i++)
		fprintf(f, "subnet %s\n", PREFIX(&m->subnets.v[i]));
	for (size_t i = 0; i < m->tenants.n; i++) {
		const struct tenant *t = &m->tenants.v[i];
		const struct router *r = tenant_router(t);

		fprintf(f, "tenant %u %s\n", t->id, t->name);
		for (size_t j = 0; j < t->pools.n; j++)
			fprintf(f, "  pool %s\n", PREFIX(&t->pools.v[j]));
		if (r) {
			fprintf(f,
				"  %s %u active %s netns %s shared %s hook %s sources %s "
				"forwarding %s detached %d grace %u%s\n",
				t->router ? "router" : "remote", r->id, active_name(r->active),
				r->netns ? r->netns : "-", r->shared ? r->shared : "-",
				hook_name(r->hook), sources_name(r->sources),
				forwarding_name(r->forwarding), r->detached, r->grace,
				r->passed_over ? " passed over" : "");
			for (size_t j = 0; j < r->hosts.n; j++)
				fprintf(f, "    host %s\n", r->hosts.v[j]);
			for (size_t j = 0; j < r->inside.n; j++)
				fprintf(f, "    inside %s\n", r->inside.v[j]);
			for (int j = 0; j < FAMILIES; j++)
				fprintf(f, "    own %s pinned %d\n", ADDR(&r->own[j].addr),
					r->own[j].pinned);
			for (size_t j = 0; j < r->routes.n; j++)
				fprintf(f, "    route %s via %s\n", PREFIX(&r->routes.v[j].to),
					ADDR(&r->routes.v[j].via));
			vec_each (route, &r->inside_routes)
				fprintf(f, "    inside route %s via %s\n", PREFIX(&route->to),
					ADDR(&route->via));
		}
		for (size_t j = 0; j < t->mappings.n; j++) {
			const struct mapping *p = &t->mappings.v[j];

			fprintf(f, "  mapping %s -> %s name %s pinned %d limit %lu %lu %lu\n",
				FIXED(p), SHARED(p), p->name ? p->name : "-", p->pinned,
				p->limit.rate, p->limit.burst, p->limit.packets);
			for (size_t k = 0; p->except && k < p->except->list.n; k++)
				fprintf(f, "    except %s\n", ADDR(&p->except->list.v[k]));
		}
		if (t->has_accept)
			fprintf(f, "  accept\n");
		for (size_t j = 0; j < t->accept.n; j++)
			dump_rule(f, &t->accept.v[j]);
	}
	fclose(f);
	return text;
}

const struct model empty;

void add_rule(struct tenant *t, uint32_t id, uint32_t line, const char *from, const char *to,
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

static void except(struct mapping *m, uint8_t bits, const char *first, const char *second)
{
	m->bits = bits;
	m->except = xzalloc(sizeof(*m->except));
	*vec_push(&m->except->list) = addr(first);
	*vec_push(&m->except->list) = addr(second);
}

void rich(struct model *m)
{
	struct tenant *t;
	struct router *r;

	host_name_set(HERE);
	memset(m, 0, sizeof(*m));
	m->file = xstrdup("/etc/tenant's.yaml");
	m->zone = xstrdup("shared.internal");
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
	r->flows = TN_FLOWS_MAX;
	r->active = ACTIVE_ADDRESS;
	r->grace = 7;
	*vec_push(&r->hosts) = xstrdup("hv-1.example.org");
	*vec_push(&r->hosts) = xstrdup(HERE);
	r->passed_over = true;
	add_inside(r, "qr-[0-9a-f]*");
	add_inside(r, "lan0");
	add_own(r, "100.64.0.2", true);
	add_own(r, "fd64::1:ffff", false);
	add_route(r, "100.65.0.0/16", "100.64.0.1");
	add_route(r, "100.64.9.0/24", "100.64.0.3");
	add_inside_route(r, "10.9.0.0/24", "192.0.2.1");
	add_inside_route(r, "fd10::/64", "fd00::1");
	add_mapping(t, "fd00:10::5", "fd64::1:5", "db", true);
	add_mapping(t, "10.0.0.5", "100.64.1.9", "db", true);
	mac_from_number(0xfa163e8090a0,
			add_mapping(t, "10.0.0.10", "100.64.1.1", NULL, false)->mac);
	add_mapping(t, "10.0.0.9", "100.64.1.2", "it.s_odd-NAME", false);
	add_mapping(t, "fd00:10::6", "fd64::1:6", NULL, false)->limit =
		(struct limit){ .rate = 12500000, .burst = 1048576, .packets = 10000 };
	add_rule(t, 9, 4, "blue", "db", "tcp/8000-8099");
	add_rule(t, 3, 5, NULL, NULL, "icmp/echo-request");
	add_rule(t, 12, 6, "green-2", "10.0.0.9", NULL);
	t->accept.v[t->accept.n - 1].until = 1806451200;

	t = add_tenant(m, MODEL_ID_MAX, "blue");
	r = add_router(t, 1, NULL, NULL);
	r->detached = true;
	add_own(r, "fd64::2", true);
	add_mapping(t, "10.0.0.5", "100.64.2.5", "db", false);
	except(add_mapping(t, "10.1.0.0", "100.64.5.0", "lan", true), 8, "10.1.0.1", "10.1.0.99");
	add_mapping(t, "fd00:10:1::", "fd64::100:0", "lan", false)->bits = 20;

	t = add_tenant(m, 1, "green-2");
	r = add_router(t, 2, "/run/elsewhere/net ns", NULL);
	r->hook = HOOK_TC;
	r->sources = SOURCES_FEASIBLE;
	r->flows = TN_FLOWS_MIN;
	/* in bytes below every IPv4 address */
	add_mapping(t, "::1:0:0:5", "fd64::5", NULL, false);
	add_mapping(t, "223.255.255.254", "100.64.3.1", NULL, false);

	/* `accept: []` */
	add_tenant(m, 2, "away")->has_accept = true;

	/* a router of another host */
	t = add_tenant(m, 3, "far");
	r = add_router(t, TN_ROUTERS_MAX, "far", NULL);
	*vec_push(&r->hosts) = xstrdup("hv9");
	add_own(r, "100.64.0.9", true);
	t->remote = t->router;
	t->router = NULL;
	model_sort(m);
}

uint64_t random_state;

unsigned int rnd(unsigned int n)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (random_state >> 33) % n;
}

void random_model(struct model *m)
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
			r->sources = rnd(SOURCES_COUNT);
			r->forwarding = rnd(FORWARDINGS_COUNT);
			r->active = rnd(ACTIVES_COUNT);
			r->flows = TN_FLOWS_MIN + rnd(3);
			r->grace = rnd(TN_GRACE_MAX + 1);
			if (rnd(3) == 0)
				*vec_push(&r->hosts) = xstrdup("hv1");
			if (rnd(3) == 0)
				*vec_push(&r->hosts) = xstrdup(HERE);
			r->detached = rnd(2);
			r->passed_over = rnd(2);
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
	host_name_set(HERE);
	model_locate(m, HERE);
}

/* --- a store --- */

bool is_child;

struct store *open_store(enum store_mode mode)
{
	struct store *s = NULL;
	struct error err = { 0 };

	must(store_open(dir, mode, 0, "test", &s, &err) == 0, err);
	return s;
}

void load(struct store *s, struct model *m)
{
	struct error err = { 0 };

	must(store_load(s, m, &err) == 0, err);
}

void save(struct store *s, const struct model *have, const struct model *want)
{
	struct error err = { 0 };

	must(store_save(s, have, want, &err) == 0, err);
}

void commit(struct store *s)
{
	struct error err = { 0 };

	must(store_commit(s, &err) == 0, err);
}

void put(const struct model *want)
{
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);
	_cleanup_model_ struct model have = { 0 };

	load(s, &have);
	save(s, &have, want);
	commit(s);
}

void assert_stored(const struct model *want)
{
	_cleanup_store_ struct store *s = open_store(STORE_READ);
	_cleanup_model_ struct model got = { 0 };

	load(s, &got);
	assert_same(&got, want);
}

void assert_refused(enum store_mode mode, ...)
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

/* --- processes --- */

pid_t fork_child(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		is_child = true;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	}
	return pid;
}

pid_t spawn(void (*child)(void))
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

void kill_child(pid_t pid)
{
	kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "lib/file.h"
#include "model/service.h"

#define APPLICATION_ID 0x746e6174 /* "tnat" */

/* Bytes of a value or a row: what is longer is nobody's of ours. */
#define VALUE_MAX (1 << 20)

/* Only a checkpoint, a recovery or somebody's sqlite3 can make us wait: `lock` does the rest. */
#define BUSY_MS 5000

/*
 * The text of an address in SQL, for people. Octet or group `i` from 0; a hex
 * digit that instr() does not find is 0. Laid out by hand from here to the
 * queries: the formatter does not know SQL.
 */
/* clang-format off */
#define SQL_DIGIT(col, i) "instr('123456789ABCDEF', substr(hex(" col "), " #i ", 1))"
#define SQL_OCTET(col, i, j) SQL_DIGIT(col, i) " * 16 + " SQL_DIGIT(col, j)
#define SQL_GROUP(col, i) "substr(hex(" col "), " #i ", 4)"
#define SQL_TEXT(col)                                                                              \
	"CASE family WHEN 4 THEN printf('%d.%d.%d.%d', "                                           \
	SQL_OCTET(col, 1, 2) ", " SQL_OCTET(col, 3, 4) ", "                                        \
	SQL_OCTET(col, 5, 6) ", " SQL_OCTET(col, 7, 8) ") "                                        \
	"ELSE lower(printf('%s:%s:%s:%s:%s:%s:%s:%s', "                                            \
	SQL_GROUP(col, 1) ", " SQL_GROUP(col, 5) ", " SQL_GROUP(col, 9) ", "                       \
	SQL_GROUP(col, 13) ", " SQL_GROUP(col, 17) ", " SQL_GROUP(col, 21) ", "                    \
	SQL_GROUP(col, 25) ", " SQL_GROUP(col, 29) ")) END"

/*
 * migrations[n] makes schema n + 1 of schema n; never edit one that was released.
 *
 * Addresses are BLOBs of 4 or 16 bytes: unlike text they have one form only, so
 * that UNIQUE means what it says, CHECK can tell a wrong one, and (family, fixed)
 * is the order of addr_cmp(). Prefixes are few, and text. Everything that can
 * change hands between two rows in one save is in a row that is deleted and
 * inserted, never updated: that is why a router is not a part of `tenant`.
 */
static const char *const migrations[] = {
	"CREATE TABLE subnet (\n"
	"  ord INTEGER PRIMARY KEY,\n"
	"  prefix TEXT NOT NULL CHECK (prefix GLOB '?*/[0-9]*')\n"
	") STRICT;\n"
	"CREATE TABLE tenant (\n"
	"  id INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 4294967295),\n"
	"  name TEXT NOT NULL UNIQUE CHECK (length(name) <= 63 AND name GLOB '[a-z0-9]*'\n"
	"    AND name NOT GLOB '*[^a-z0-9-]*')\n"
	") STRICT;\n"
	"CREATE TABLE pool (\n"
	"  tenant INTEGER NOT NULL REFERENCES tenant,\n"
	"  ord INTEGER NOT NULL,\n"
	"  prefix TEXT NOT NULL CHECK (prefix GLOB '?*/[0-9]*'),\n"
	"  PRIMARY KEY (tenant, ord)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE router (\n"
	"  tenant INTEGER PRIMARY KEY REFERENCES tenant,\n"
	"  id INTEGER NOT NULL UNIQUE CHECK (id BETWEEN 1 AND 4294967295),\n"
	"  netns TEXT CHECK (netns <> ''),\n"
	"  shared TEXT CHECK (shared <> ''),\n"
	"  hook TEXT NOT NULL CHECK (hook <> ''),\n"
	"  detached INTEGER NOT NULL CHECK (detached IN (0, 1))\n"
	") STRICT;\n"
	"CREATE TABLE inside (\n"
	"  tenant INTEGER NOT NULL REFERENCES router,\n"
	"  ord INTEGER NOT NULL,\n"
	"  interface TEXT NOT NULL CHECK (interface <> ''),\n"
	"  PRIMARY KEY (tenant, ord)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE mapping (\n"
	"  tenant INTEGER NOT NULL REFERENCES tenant,\n"
	"  family INTEGER NOT NULL CHECK (family IN (4, 6)),\n"
	"  fixed BLOB NOT NULL CHECK (length(fixed) = CASE family WHEN 4 THEN 4 ELSE 16 END),\n"
	"  shared BLOB NOT NULL UNIQUE CHECK (length(shared) = length(fixed)\n"
	"    AND shared <> x'00000000000000000000000000000000'),\n"
	"  name TEXT CHECK (name <> ''),\n"
	"  pinned INTEGER NOT NULL CHECK (pinned IN (0, 1)),\n"
	"  PRIMARY KEY (tenant, family, fixed)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE UNIQUE INDEX mapping_name ON mapping (tenant, family, name)\n"
	"  WHERE name IS NOT NULL;\n"
	"CREATE VIEW mapping_text AS SELECT tenant.name AS tenant, mapping.name AS name, "
	SQL_TEXT("fixed") " AS fixed, " SQL_TEXT("shared") " AS shared, pinned"
	"  FROM tenant JOIN mapping ON mapping.tenant = tenant.id"
	"  ORDER BY tenant.name, family, mapping.fixed;",

	"ALTER TABLE router ADD COLUMN sources TEXT NOT NULL DEFAULT 'strict'\n"
	"  CHECK (sources <> '');",

	"CREATE TABLE router_address (\n"
	"  tenant INTEGER NOT NULL REFERENCES router,\n"
	"  family INTEGER NOT NULL CHECK (family IN (4, 6)),\n"
	"  address BLOB NOT NULL UNIQUE\n"
	"    CHECK (length(address) = CASE family WHEN 4 THEN 4 ELSE 16 END),\n"
	"  pinned INTEGER NOT NULL CHECK (pinned IN (0, 1)),\n"
	"  PRIMARY KEY (tenant, family)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE route (\n"
	"  tenant INTEGER NOT NULL REFERENCES router,\n"
	"  ord INTEGER NOT NULL,\n"
	"  prefix TEXT NOT NULL CHECK (prefix GLOB '?*/[0-9]*'),\n"
	"  via BLOB NOT NULL CHECK (length(via) IN (4, 16)),\n"
	"  PRIMARY KEY (tenant, ord)\n"
	") STRICT, WITHOUT ROWID;",

	/* `at` in seconds since 1970; `sign` and `text` are lines of the plan */
	"CREATE TABLE origin (\n"
	"  one INTEGER PRIMARY KEY CHECK (one = 1),\n"
	"  file TEXT NOT NULL CHECK (file <> '')\n"
	") STRICT;\n"
	"CREATE TABLE accept (\n"
	"  tenant INTEGER PRIMARY KEY REFERENCES tenant\n"
	") STRICT;\n"
	"CREATE TABLE rule (\n"
	"  id INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 4294967295),\n"
	"  tenant INTEGER NOT NULL REFERENCES accept,\n"
	"  ord INTEGER NOT NULL,\n"
	"  any INTEGER NOT NULL CHECK (any IN (0, 1)),\n"
	"  line INTEGER NOT NULL,\n"
	"  col INTEGER NOT NULL,\n"
	"  UNIQUE (tenant, ord)\n"
	") STRICT;\n"
	"CREATE TABLE rule_item (\n"
	"  rule INTEGER NOT NULL REFERENCES rule ON DELETE CASCADE,\n"
	"  kind TEXT NOT NULL CHECK (kind IN ('from', 'to', 'ports')),\n"
	"  ord INTEGER NOT NULL,\n"
	"  text TEXT NOT NULL CHECK (text <> ''),\n"
	"  PRIMARY KEY (rule, kind, ord)\n"
	") STRICT, WITHOUT ROWID;\n"
	"ALTER TABLE mapping ADD COLUMN rate INTEGER NOT NULL DEFAULT 0 CHECK (rate >= 0);\n"
	"ALTER TABLE mapping ADD COLUMN burst INTEGER NOT NULL DEFAULT 0 CHECK (burst >= 0);\n"
	"ALTER TABLE mapping ADD COLUMN packets INTEGER NOT NULL DEFAULT 0 CHECK (packets >= 0);\n"
	"CREATE TABLE history (\n"
	"  id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
	"  at INTEGER NOT NULL,\n"
	"  uid INTEGER NOT NULL,\n"
	"  user TEXT NOT NULL,\n"
	"  command TEXT NOT NULL\n"
	") STRICT;\n"
	"CREATE TABLE history_line (\n"
	"  change INTEGER NOT NULL REFERENCES history ON DELETE CASCADE,\n"
	"  ord INTEGER NOT NULL,\n"
	"  sign TEXT NOT NULL CHECK (sign IN ('+', '~', '-')),\n"
	"  text TEXT NOT NULL,\n"
	"  PRIMARY KEY (change, ord)\n"
	") STRICT, WITHOUT ROWID;",

	"ALTER TABLE router ADD COLUMN forwarding TEXT NOT NULL DEFAULT 'auto'\n"
	"  CHECK (forwarding <> '');",
};
#define SCHEMA ((int)ARRAY_SIZE(migrations))

#define SQL_MAPPINGS                                                                               \
	"SELECT fixed, shared, name, pinned, rate, burst, packets FROM mapping WHERE tenant = ? "

#define QUERIES(X)                                                                                 \
	X(LIST_SUBNETS, "SELECT prefix FROM subnet ORDER BY ord")                                  \
	X(LIST_TENANTS,                                                                            \
	  "SELECT tenant.id, name, router.id, netns, shared, hook, detached, sources, forwarding FROM tenant " \
	  "LEFT JOIN router ON router.tenant = tenant.id ORDER BY name")                           \
	X(LIST_POOLS, "SELECT prefix FROM pool WHERE tenant = ? ORDER BY ord")                     \
	X(LIST_INSIDE, "SELECT interface FROM inside WHERE tenant = ? ORDER BY ord")               \
	X(LIST_ADDRESSES, "SELECT address, pinned FROM router_address WHERE tenant = ?")           \
	X(LIST_ROUTES, "SELECT prefix, via FROM route WHERE tenant = ? ORDER BY ord")              \
	X(LIST_MAPPINGS, SQL_MAPPINGS "ORDER BY family, fixed")                                    \
	X(FIND_FIXED, SQL_MAPPINGS "AND family = ? AND fixed = ?")                                 \
	X(FIND_NAME, SQL_MAPPINGS "AND family IN (4, 6) AND name = ?")                             \
	X(FIND_SHARED, SQL_MAPPINGS "AND shared = ?")                                              \
	X(FIND_FIRST, SQL_MAPPINGS "AND family = ? ORDER BY fixed LIMIT ?")                        \
	X(LIST_LEASES,                                                                             \
	  "SELECT shared FROM mapping WHERE shared >= ?1 AND length(shared) = length(?1) "         \
	  "ORDER BY shared LIMIT ?2")                                                              \
	X(SHOW_ORIGIN, "SELECT file FROM origin")                                                  \
	X(SHOW_ACCEPT, "SELECT 1 FROM accept WHERE tenant = ?")                                    \
	X(LIST_RULES, "SELECT id, any, line, col FROM rule WHERE tenant = ? ORDER BY ord")         \
	X(LIST_ITEMS, "SELECT kind, text FROM rule_item WHERE rule = ? ORDER BY kind, ord")        \
	X(ADD_ORIGIN, "INSERT INTO origin (one, file) VALUES (1, ?)")                              \
	X(REMOVE_ORIGIN, "DELETE FROM origin")                                                     \
	X(ADD_ACCEPT, "INSERT INTO accept (tenant) VALUES (?)")                                    \
	X(REMOVE_ACCEPT, "DELETE FROM accept WHERE tenant = ?")                                    \
	X(ADD_RULE,                                                                                \
	  "INSERT INTO rule (id, tenant, ord, any, line, col) VALUES (?, ?, ?, ?, ?, ?)")          \
	X(REMOVE_RULES, "DELETE FROM rule WHERE tenant = ?")                                       \
	X(ADD_ITEM, "INSERT INTO rule_item (rule, kind, ord, text) VALUES (?, ?, ?, ?)")           \
	X(ADD_CHANGE, "INSERT INTO history (at, uid, user, command) VALUES (?, ?, ?, ?)")          \
	X(ADD_CHANGE_LINE,                                                                         \
	  "INSERT INTO history_line (change, ord, sign, text) VALUES (?, ?, ?, ?)")                \
	X(LAST_CHANGE, "SELECT max(id) FROM history")                                              \
	X(FORGET_CHANGES, "DELETE FROM history WHERE id <= ?")                                     \
	X(LIST_CHANGES,                                                                            \
	  "SELECT id, at, uid, user, command FROM (SELECT * FROM history ORDER BY id DESC "        \
	  "LIMIT ?) ORDER BY id")                                                                  \
	X(LIST_CHANGE_LINES, "SELECT sign, text FROM history_line WHERE change = ? ORDER BY ord")  \
	X(ADD_SUBNET, "INSERT INTO subnet (ord, prefix) VALUES (?, ?)")                            \
	X(ADD_TENANT, "INSERT INTO tenant (id, name) VALUES (?, ?)")                               \
	X(ADD_POOL, "INSERT INTO pool (tenant, ord, prefix) VALUES (?, ?, ?)")                     \
	X(ADD_ROUTER,                                                                              \
	  "INSERT INTO router (tenant, id, netns, shared, hook, detached, sources, forwarding) "               \
	  "VALUES (?, ?, ?, ?, ?, ?, ?, ?)")                                                          \
	X(ADD_INSIDE, "INSERT INTO inside (tenant, ord, interface) VALUES (?, ?, ?)")              \
	X(ADD_ADDRESS,                                                                             \
	  "INSERT INTO router_address (tenant, family, address, pinned) VALUES (?, ?, ?, ?)")      \
	X(ADD_ROUTE, "INSERT INTO route (tenant, ord, prefix, via) VALUES (?, ?, ?, ?)")           \
	X(ADD_MAPPING,                                                                             \
	  "INSERT INTO mapping (tenant, family, fixed, shared, name, pinned, rate, burst, "        \
	  "packets) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")                                           \
	X(REMOVE_SUBNETS, "DELETE FROM subnet")                                                    \
	X(REMOVE_TENANT, "DELETE FROM tenant WHERE id = ?")                                        \
	X(REMOVE_POOLS, "DELETE FROM pool WHERE tenant = ?")                                       \
	X(REMOVE_ROUTER, "DELETE FROM router WHERE tenant = ?")                                    \
	X(REMOVE_INSIDE, "DELETE FROM inside WHERE tenant = ?")                                    \
	X(REMOVE_ADDRESSES, "DELETE FROM router_address WHERE tenant = ?")                         \
	X(REMOVE_ROUTES, "DELETE FROM route WHERE tenant = ?")                                     \
	X(REMOVE_MAPPING, "DELETE FROM mapping WHERE tenant = ? AND family = ? AND fixed = ?")
/* clang-format on */

enum query {
#define X(id, sql) id,
	QUERIES(X)
#undef X
		QUERIES_COUNT
};

static const char *const queries[] = {
#define X(id, sql) [id] = sql,
	/* NOLINTNEXTLINE(bugprone-suspicious-missing-comma): long queries are joined literals */
	QUERIES(X)
#undef X
};

struct store {
	sqlite3 *db; /* NULL: there is no state yet */
	sqlite3_stmt *statements[QUERIES_COUNT];
	char *dir;
	char *file;
	int lock; /* -1: a reader */
};

/* --- errors --- */

static const char *remedy(int number)
{
	switch (number) {
	case EROFS:
		return "mount its filesystem read-write, or use --state DIR";
	case EACCES:
	case EPERM:
		return "run as root, or use --state DIR";
	case ENOSPC:
	case EDQUOT:
		return "make room on its filesystem";
	case ENOENT:
		return "create the directory that it is in, or use --state DIR";
	case ENOTDIR:
	case EEXIST:
	case ELOOP:
		return "move away what is in its place, or use --state DIR";
	default:
		return "see the kernel's log, or use --state DIR";
	}
}

/* Of errno. */
static int system_error(struct error *err, const char *doing, const char *path)
{
	int number = errno;

	return error_set(err, "cannot %s %s: %s; %s", doing, path, strerror(number),
			 remedy(number));
}

static int damaged(const struct store *s, struct error *err, const char *what)
{
	return error_set(err,
			 "%s is damaged (%s); put a backup in its place, or move it away and apply "
			 "the definitions again (addresses that are not pinned may change)",
			 s->file, what);
}

/* Of the last call into SQLite that failed. */
static int sql_error(const struct store *s, struct error *err)
{
	int number = sqlite3_system_errno(s->db);
	int code = sqlite3_errcode(s->db) & 0xff;

	if (code == SQLITE_IOERR && (number == ENOSPC || number == EDQUOT))
		code = SQLITE_FULL;
	switch (code) {
	case SQLITE_FULL:
		return error_set(err, "%s cannot grow: no space left; %s; the state is as before",
				 s->file, remedy(ENOSPC));
	case SQLITE_READONLY:
		return error_set(err, "%s cannot be written: it is read-only; %s", s->file,
				 remedy(EROFS));
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return error_set(err, "%s cannot be opened: %s; %s", s->file, strerror(EACCES),
				 remedy(EACCES));
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
		return error_set(err, "%s: %s (%s); %s", s->file, sqlite3_errmsg(s->db),
				 number ? strerror(number) : "no reason given", remedy(number));
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return error_set(err,
				 "%s is locked by a program other than tenantnat; end it (fuser %s "
				 "names it) and try again",
				 s->file, s->file);
	case SQLITE_CONSTRAINT:
		return error_set(err, "%s refuses it (%s); please report this", s->file,
				 sqlite3_errmsg(s->db));
	case SQLITE_NOMEM:
		return error_set(err, "%s: out of memory", s->file);
	default:
		return damaged(s, err, sqlite3_errmsg(s->db));
	}
}

/* --- statements --- */

static int exec(struct store *s, const char *sql, struct error *err)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : sql_error(s, err);
}

static void reset_cleanup(sqlite3_stmt **stmt)
{
	if (*stmt)
		sqlite3_reset(*stmt);
}
#define _cleanup_reset_ _cleanup_(reset_cleanup)

/* 4 or 16 bytes. */
static void bind_addr(sqlite3_stmt *stmt, int i, const struct tn_addr *a)
{
	if (addr_is_v4(a))
		sqlite3_bind_blob(stmt, i, &a->w[3], 4, SQLITE_STATIC);
	else
		sqlite3_bind_blob(stmt, i, a->w, 16, SQLITE_STATIC);
}

/*
 * The statement with its arguments bound: for each letter of `types` an
 * unsigned int (u), a uint64_t (l), a text or NULL (t), or a struct tn_addr * (a), all
 * of which have to live until it is reset. NULL with an error set.
 */
static sqlite3_stmt *query_args(struct store *s, enum query query, struct error *err,
				const char *types, va_list args)
{
	sqlite3_stmt **stmt = &s->statements[query];

	if (!*stmt && sqlite3_prepare_v3(s->db, queries[query], -1, SQLITE_PREPARE_PERSISTENT, stmt,
					 NULL) != SQLITE_OK) {
		sql_error(s, err);
		return NULL;
	}
	for (int i = 1; types[i - 1]; i++) {
		if (types[i - 1] == 'u')
			sqlite3_bind_int64(*stmt, i, va_arg(args, unsigned int));
		else if (types[i - 1] == 'l')
			sqlite3_bind_int64(*stmt, i, (int64_t)va_arg(args, uint64_t));
		else if (types[i - 1] == 't')
			sqlite3_bind_text(*stmt, i, va_arg(args, const char *), -1, SQLITE_STATIC);
		else
			bind_addr(*stmt, i, va_arg(args, const struct tn_addr *));
	}
	return *stmt;
}

static sqlite3_stmt *query_begin(struct store *s, enum query query, struct error *err,
				 const char *types, ...)
{
	sqlite3_stmt *stmt;
	va_list args;

	va_start(args, types);
	stmt = query_args(s, query, err, types, args);
	va_end(args);
	return stmt;
}

/* 1: a row, 0: no more, -1: an error. */
static int query_next(struct store *s, sqlite3_stmt *stmt, struct error *err)
{
	switch (sqlite3_step(stmt)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		return sql_error(s, err);
	}
}

/* A statement without rows, which has to change `changes` of them. */
static int run(struct store *s, enum query query, size_t changes, struct error *err,
	       const char *types, ...)
{
	_cleanup_reset_ sqlite3_stmt *stmt = NULL;
	va_list args;

	va_start(args, types);
	stmt = query_args(s, query, err, types, args);
	va_end(args);
	if (!stmt || query_next(s, stmt, err) < 0)
		return -1;
	if ((size_t)sqlite3_changes64(s->db) != changes)
		return error_set(err,
				 "%s was changed by another program while it was in use; "
				 "run the command again",
				 s->file);
	return 0;
}

/* Say which row it was, but only where that has to do with the error; returns -1. */
#define refused(s, err, ...)                                                                     \
	((sqlite3_errcode((s)->db) & 0xff) == SQLITE_CONSTRAINT ? error_prefix(err, __VA_ARGS__) \
								: -1)

/* --- the directory and the lock --- */

static char *path_in(const char *dir, const char *name)
{
	size_t size = strlen(dir) + strlen(name) + 2;
	char *path = xrealloc(NULL, size, 1);

	snprintf(path, size, "%s/%s", dir, name);
	return path;
}

static int dir_create(const char *dir, struct error *err)
{
	if (mkdir(dir, 0700) == 0 || errno == EEXIST)
		return 0;
	return system_error(err, "create the directory", dir);
}

/* Whoever can write there can make us rewrite packets: 1 when it is there, 0 when not. */
static int dir_check(const char *dir, struct error *err)
{
	struct stat st;

	if (stat(dir, &st)) {
		if (errno == ENOENT)
			return 0;
		return system_error(err, "use the directory", dir);
	}
	if (!S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		return system_error(err, "use the directory", dir);
	}
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return error_set(err,
				 "the state directory %s belongs to user %u, who could change it; "
				 "run `chown root %s`, or use --state DIR",
				 dir, (unsigned int)st.st_uid, dir);
	if (st.st_mode & 022)
		return error_set(err,
				 "the state directory %s can be written by others (mode %04o); "
				 "run `chmod go-w %s`, or use --state DIR",
				 dir, (unsigned int)st.st_mode & 07777, dir);
	return 1;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void sleep_ms(int64_t ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/*
 * The process that holds the lock, 0 when it cannot be told. The text in the
 * file may be that of a process that died. So the holder also has a record lock
 * on the file, for nothing else but that the kernel tells us here whose it is.
 */
static pid_t lock_holder(int fd)
{
	struct flock record = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_GETLK, &record) || record.l_type == F_UNLCK || record.l_pid <= 0)
		return 0;
	return record.l_pid;
}

pid_t store_holder(const char *dir)
{
	_cleanup_free_ char *path = path_in(dir, "lock");
	struct error ignored = { 0 };
	_cleanup_close_ int fd = file_open(path, O_RDONLY, &ignored);

	return fd < 0 ? 0 : lock_holder(fd);
}

bool store_exists(const char *dir)
{
	_cleanup_free_ char *path = path_in(dir, "state.db");

	return access(path, F_OK) == 0;
}

static int lock_held(const struct store *s, int fd, struct error *err)
{
	char text[128] = "", who[128] = "another process";
	pid_t pid = lock_holder(fd);
	long named;
	int used;

	/* it may have taken the lock only just now */
	if (!pid) {
		sleep_ms(20);
		pid = lock_holder(fd);
	}
	if (pid) {
		snprintf(who, sizeof(who), "process %d", (int)pid);
		if (pread(fd, text, sizeof(text) - 1, 0) > 0 &&
		    sscanf(text, "%ld %n", &named, &used) == 1 && named == pid) {
			text[strcspn(text, "\n")] = '\0';
			snprintf(who, sizeof(who), "process %d (%.64s)", (int)pid, text + used);
		}
	}
	return error_set(err,
			 "state in %s is held by %s; wait for it to end, or use --wait SECONDS",
			 s->dir, who);
}

/* For the error of others only: that it fails is no reason not to work. */
static void lock_name(int fd, const char *holder)
{
	struct flock record = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char text[96];
	int n = snprintf(text, sizeof(text), "%d %.64s\n", (int)getpid(), holder);

	fcntl(fd, F_SETLK, &record);
	if (ftruncate(fd, 0) == 0 && pwrite(fd, text, n, 0) != n)
		(void)!ftruncate(fd, 0);
}

static int lock_take(struct store *s, unsigned int wait, const char *holder, struct error *err)
{
	_cleanup_free_ char *path = path_in(s->dir, "lock");
	_cleanup_close_ int fd = file_open(path, O_RDWR | O_CREAT, err);
	int64_t deadline = now_ms() + 1000LL * wait;
	int64_t step = 1, left;

	if (fd < 0)
		return -1;
	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return system_error(err, "lock", path);
		left = deadline - now_ms();
		if (left <= 0)
			return lock_held(s, fd, err);
		sleep_ms(step < left ? step : left);
		step = step < 50 ? 2 * step : 100;
	}
	lock_name(fd, holder);
	s->lock = fd;
	fd = -1; /* NOLINT(clang-analyzer-deadcode.DeadStores): read by its cleanup */
	return 0;
}

/* --- the file --- */

/* With those that SQLite has beside it: 1 when there is a state, 0 when not. */
static int files_check(const struct store *s, struct error *err)
{
	static const char *const beside[] = { "state.db-wal", "state.db-shm", "state.db-journal" };

	for (size_t i = 0; i < ARRAY_SIZE(beside); i++) {
		_cleanup_free_ char *path = path_in(s->dir, beside[i]);

		if (file_check(path, err) < 0)
			return -1;
	}
	return file_check(s->file, err);
}

/* With 0600, which SQLite gives to its other files too. */
static int file_create(const char *file, struct error *err)
{
	int fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct stat st;

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (errno != EEXIST)
		return system_error(err, "create", file);
	/* by its name: to close a file gives up the locks that SQLite has on it in this process */
	if (stat(file, &st) == 0 && (st.st_mode & 077) && chmod(file, st.st_mode & 0700))
		return system_error(err, "take away from others", file);
	return 0;
}

/*
 * Without a way to make SQLite's other files, it reads a state in WAL mode only
 * when told that nobody can change it: true of a read-only filesystem where no
 * log was left to be read as well.
 */
static bool file_immutable(const struct store *s)
{
	_cleanup_free_ char *log = path_in(s->dir, "state.db-wal");
	struct statvfs fs;
	struct stat st;

	return statvfs(s->dir, &fs) == 0 && (fs.f_flag & ST_RDONLY) &&
	       (stat(log, &st) || st.st_size == 0);
}

static char *immutable_uri(const char *file)
{
	static const char head[] = "file:", tail[] = "?immutable=1";
	char *uri = xrealloc(NULL, sizeof(head) + sizeof(tail) + 3 * strlen(file), 1);
	char *p = stpcpy(uri, head);

	for (; *file; file++) {
		if (strchr("%?#", *file))
			p += sprintf(p, "%%%02x", *file);
		else
			*p++ = *file;
	}
	stpcpy(p, tail);
	return uri;
}

/* A reader too opens for writing, so that SQLite's other files are gone when it closes. */
static int db_open(struct store *s, bool reader, struct error *err)
{
	bool immutable = reader && file_immutable(s);
	_cleanup_free_ char *name = immutable ? immutable_uri(s->file) : xstrdup(s->file);
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;

	flags |= immutable ? SQLITE_OPEN_READONLY | SQLITE_OPEN_URI : SQLITE_OPEN_READWRITE;
	if (sqlite3_open_v2(name, &s->db, flags, NULL) != SQLITE_OK)
		return sql_error(s, err);
	sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, VALUE_MAX);
	sqlite3_extended_result_codes(s->db, 1);
	sqlite3_busy_timeout(s->db, BUSY_MS);
	return exec(s, "PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL;", err);
}

/* A view has no end where it does not want to. */
#define SQL_NO_TABLES                                                                      \
	"SELECT count(*) FROM sqlite_schema WHERE rootpage = 0 AND type <> 'trigger' AND " \
	"name IN ('subnet', 'tenant', 'pool', 'router', 'inside', 'mapping', "             \
	"'router_address', 'route', 'origin', 'accept', 'rule', 'rule_item', 'history', "  \
	"'history_line')"

/* Whose file it is, and of which schema (0: nobody's yet). */
static int file_schema(struct store *s, int *schema, struct error *err)
{
	int application, version, objects, no_tables, ret;
	sqlite3_stmt *stmt;

	if (sqlite3_prepare_v2(s->db,
			       "SELECT application_id, user_version, "
			       "(SELECT count(*) FROM sqlite_schema), (" SQL_NO_TABLES ") "
			       "FROM pragma_application_id, pragma_user_version",
			       -1, &stmt, NULL) != SQLITE_OK)
		return sql_error(s, err);
	ret = query_next(s, stmt, err);
	application = sqlite3_column_int(stmt, 0);
	version = sqlite3_column_int(stmt, 1);
	objects = sqlite3_column_int(stmt, 2);
	no_tables = sqlite3_column_int(stmt, 3);
	sqlite3_finalize(stmt);
	if (ret < 0)
		return -1;

	*schema = version;
	if (application == 0 && version == 0 && objects == 0)
		return 0;
	if (application != APPLICATION_ID || version < 1)
		return error_set(err,
				 "%s is a database, but not one of tenantnat; move it away, or use "
				 "--state DIR",
				 s->file);
	if (no_tables)
		return damaged(s, err, "something that is no table has the name of one");
	if (version > SCHEMA)
		return error_set(err,
				 "%s is of schema %d, and this tenantnat knows none after %d; use "
				 "the tenantnat that wrote it, or a newer one",
				 s->file, version, SCHEMA);
	return 0;
}

static int migrate(struct store *s, int schema, struct error *err)
{
	char stamp[96];
	int ret;

	snprintf(stamp, sizeof(stamp), "PRAGMA application_id = %d; PRAGMA user_version = %d;",
		 APPLICATION_ID, SCHEMA);
	ret = exec(s, "BEGIN IMMEDIATE", err);
	for (; ret == 0 && schema < SCHEMA; schema++)
		ret = exec(s, migrations[schema], err);
	if (ret == 0)
		ret = exec(s, stamp, err);
	if (ret == 0)
		ret = exec(s, "COMMIT", err);
	if (ret)
		store_rollback(s);
	return ret;
}

static int open_writer(struct store *s, unsigned int wait, const char *holder, struct error *err)
{
	int schema = 0;

	if (dir_create(s->dir, err) || dir_check(s->dir, err) < 0 ||
	    lock_take(s, wait, holder, err) || files_check(s, err) < 0 ||
	    file_create(s->file, err) || db_open(s, false, err) || file_schema(s, &schema, err))
		return -1;
	/* 64 MiB: the index of shared addresses is written in any order */
	if (exec(s, "PRAGMA journal_mode = WAL; PRAGMA cache_size = -65536;", err))
		return -1;
	return schema < SCHEMA ? migrate(s, schema, err) : 0;
}

static int open_reader(struct store *s, struct error *err)
{
	int there = dir_check(s->dir, err), schema = 0;

	if (there > 0)
		there = files_check(s, err);
	if (there <= 0)
		return there;
	if (db_open(s, true, err) || exec(s, "PRAGMA query_only = ON", err) ||
	    file_schema(s, &schema, err))
		return -1;
	/* a writer is about to make it */
	if (schema == 0) {
		sqlite3_close(s->db);
		s->db = NULL;
	} else if (schema < SCHEMA) {
		return error_set(
			err,
			"%s was written by an older tenantnat; `tenantnat apply` with your "
			"definitions file brings it up to date",
			s->file);
	}
	return 0;
}

int store_open(const char *dir, enum store_mode mode, unsigned int wait, const char *holder,
	       struct store **out, struct error *err)
{
	struct store *s = xzalloc(sizeof(*s));

	*out = NULL;
	s->lock = -1;
	s->dir = xstrdup(dir);
	s->file = path_in(dir, "state.db");
	if (mode == STORE_WRITE ? open_writer(s, wait, holder, err) : open_reader(s, err)) {
		store_close(s);
		return -1;
	}
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	store_rollback(s);
	for (size_t i = 0; i < QUERIES_COUNT; i++)
		sqlite3_finalize(s->statements[i]);
	sqlite3_close(s->db);
	if (s->lock >= 0) {
		(void)!ftruncate(s->lock, 0);
		close(s->lock);
	}
	free(s->dir);
	free(s->file);
	free(s);
}

/* --- load --- */

/* NULL is none; *bad is set where there is a NUL in it, behind which it would not be seen. */
static char *column_text(sqlite3_stmt *stmt, int i, bool *bad)
{
	const char *text = (const char *)sqlite3_column_text(stmt, i);

	if (text && strlen(text) != (size_t)sqlite3_column_bytes(stmt, i))
		*bad = true;
	return text ? xstrdup(text) : NULL;
}

static char *column_string(sqlite3_stmt *stmt, int i)
{
	bool bad = false;
	char *text = column_text(stmt, i, &bad);

	if (!bad)
		return text;
	free(text);
	return NULL;
}

/* What is in no uint32_t is 0, which is no id. */
static uint32_t column_id(sqlite3_stmt *stmt, int i)
{
	int64_t id = sqlite3_column_int64(stmt, i);

	return id < 0 || id > UINT32_MAX ? 0 : id;
}

static bool column_prefix(sqlite3_stmt *stmt, int i, struct prefix *out)
{
	const char *text = (const char *)sqlite3_column_text(stmt, i);

	return text && prefix_parse(text, out);
}

static bool column_addr(sqlite3_stmt *stmt, int i, struct tn_addr *out)
{
	const void *bytes = sqlite3_column_blob(stmt, i);
	int n = sqlite3_column_bytes(stmt, i);

	*out = addr_from_bytes(bytes, n);
	return !addr_is_unset(out) && addr_is_v4(out) == (n == 4);
}

static int load_subnets(struct store *s, struct model *m, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_SUBNETS, err, "");
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		if (!column_prefix(stmt, 0, vec_push(&m->subnets)))
			return damaged(s, err, "a subnet is no prefix");
	}
	return more;
}

static int load_pools(struct store *s, struct tenant *t, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_POOLS, err, "u", t->id);
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		if (!column_prefix(stmt, 0, vec_push(&t->pools)))
			return damaged(s, err, "a pool is no prefix");
	}
	return more;
}

static int load_inside(struct store *s, struct tenant *t, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_INSIDE, err, "u", t->id);
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		char *name = column_string(stmt, 0);

		if (!name)
			return damaged(s, err, "an inside interface has no name");
		*vec_push(&t->router->inside) = name;
	}
	return more;
}

static int load_addresses(struct store *s, struct tenant *t, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_ADDRESSES, err, "u", t->id);
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		struct own_address own = { .pinned = sqlite3_column_int(stmt, 1) };

		if (!column_addr(stmt, 0, &own.addr))
			return damaged(s, err, "a router's address is none");
		t->router->own[addr_family(&own.addr)] = own;
	}
	return more;
}

static int load_routes(struct store *s, struct tenant *t, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_ROUTES, err, "u", t->id);
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		struct route *r = vec_push(&t->router->routes);

		if (!column_prefix(stmt, 0, &r->to) || !column_addr(stmt, 1, &r->via))
			return damaged(s, err, "a route is none");
	}
	return more;
}

/* The mappings that a statement finds, which is reset. */
static int take_mappings(struct store *s, sqlite3_stmt *found, struct tenant *t, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = found;
	bool bad = false;
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		struct mapping *m = vec_push(&t->mappings);

		if (!column_addr(stmt, 0, &m->fixed) || !column_addr(stmt, 1, &m->shared))
			return damaged(s, err, "a mapping's address is none");
		m->name = column_text(stmt, 2, &bad);
		if (bad)
			return damaged(s, err, "a mapping's name is none");
		m->pinned = sqlite3_column_int(stmt, 3);
		m->limit.rate = sqlite3_column_int64(stmt, 4);
		m->limit.burst = sqlite3_column_int64(stmt, 5);
		m->limit.packets = sqlite3_column_int64(stmt, 6);
	}
	return more;
}

static int load_mappings(struct store *s, struct tenant *t, struct error *err)
{
	if (take_mappings(s, query_begin(s, LIST_MAPPINGS, err, "u", t->id), t, err))
		return -1;
	for (size_t i = 1; i < t->mappings.n; i++) {
		if (addr_cmp(&t->mappings.v[i - 1].fixed, &t->mappings.v[i].fixed) >= 0)
			return damaged(s, err, "mappings are out of order");
	}
	return 0;
}

static int take_fixed(struct store *s, const struct tn_addr *fixed, struct tenant *t,
		      struct error *err)
{
	unsigned int family = addr_is_v4(fixed) ? 4 : 6;

	return take_mappings(s, query_begin(s, FIND_FIXED, err, "uua", t->id, family, fixed), t,
			     err);
}

/* By fixed address or by name, as a rule may have it. */
static int take_named(struct store *s, const char *text, struct tenant *t, struct error *err)
{
	struct tn_addr a;

	if (addr_parse(text, &a))
		return take_fixed(s, &a, t, err);
	return take_mappings(s, query_begin(s, FIND_NAME, err, "ut", t->id, text), t, err);
}

static int take_first(struct store *s, unsigned int family, unsigned int n, struct tenant *t,
		      struct error *err)
{
	return take_mappings(s, query_begin(s, FIND_FIRST, err, "uuu", t->id, family, n), t, err);
}

static int take_one(struct store *s, const struct window *w, struct tenant *t, struct error *err)
{
	if (!addr_is_unset(&w->fixed) && take_fixed(s, &w->fixed, t, err))
		return -1;
	if (w->name && take_named(s, w->name, t, err))
		return -1;
	return take_first(s, 4, 2, t, err) || take_first(s, 6, GROUPS_MAX + 2, t, err) ? -1 : 0;
}

static void drop_doubles(struct tenant *t)
{
	size_t n = 0;

	tenant_sort(t);
	vec_each (m, &t->mappings) {
		if (n && addr_cmp(&t->mappings.v[n - 1].fixed, &m->fixed) == 0)
			mapping_clear(m);
		else
			t->mappings.v[n++] = *m;
	}
	t->mappings.n = n;
}

/* The rules are loaded. */
static int load_some_mappings(struct store *s, const struct window *w, struct tenant *t,
			      struct error *err)
{
	if (strcmp(w->tenant, t->name) == 0 && take_one(s, w, t, err))
		return -1;
	if (!addr_is_unset(&w->shared) &&
	    take_mappings(s, query_begin(s, FIND_SHARED, err, "ua", t->id, &w->shared), t, err))
		return -1;
	vec_each (r, &t->accept) {
		vec_each (to, &r->to) {
			if (take_named(s, *to, t, err))
				return -1;
		}
	}
	drop_doubles(t);
	return 0;
}

static int load_items(struct store *s, struct rule *r, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_ITEMS, err, "u", r->id);
	struct service parts[SERVICE_PARTS];
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		const char *kind = (const char *)sqlite3_column_text(stmt, 0);
		_cleanup_free_ char *text = column_string(stmt, 1);
		struct error ignored = { 0 };
		size_t n;

		if (!kind || !text)
			return damaged(s, err, "an item of a rule is none");
		if (strcmp(kind, "from") == 0) {
			*vec_push(&r->from) = xstrdup(text);
		} else if (strcmp(kind, "to") == 0) {
			*vec_push(&r->to) = xstrdup(text);
		} else {
			n = service_parse(text, parts, &ignored);
			if (!n)
				return damaged(s, err, "a service of a rule is unknown");
			for (size_t i = 0; i < n; i++)
				*vec_push(&r->services) = parts[i];
		}
	}
	return more;
}

static int load_accept(struct store *s, struct tenant *t, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *accept = query_begin(s, SHOW_ACCEPT, err, "u", t->id);
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_RULES, err, "u", t->id);
	int more = accept ? query_next(s, accept, err) : -1;

	if (more < 0)
		return -1;
	t->has_accept = more;
	more = -1;
	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		struct rule *r = vec_push(&t->accept);

		r->id = column_id(stmt, 0);
		r->any = sqlite3_column_int(stmt, 1);
		r->pos.line = column_id(stmt, 2);
		r->pos.col = column_id(stmt, 3);
		if (load_items(s, r, err))
			return -1;
	}
	return more;
}

static int load_origin(struct store *s, struct model *m, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, SHOW_ORIGIN, err, "");
	int more = stmt ? query_next(s, stmt, err) : -1;

	if (more > 0) {
		m->file = column_string(stmt, 0);
		if (!m->file || !*m->file || strlen(m->file) >= PATH_MAX)
			return damaged(s, err, "the definitions' file has no name");
	}
	return more < 0 ? -1 : 0;
}

static int load_router(struct store *s, sqlite3_stmt *stmt, struct tenant *t, struct error *err)
{
	const char *hook = (const char *)sqlite3_column_text(stmt, 5);
	const char *sources = (const char *)sqlite3_column_text(stmt, 7);
	const char *forwarding = (const char *)sqlite3_column_text(stmt, 8);
	struct router *r = xzalloc(sizeof(*r));
	bool bad = false;

	t->router = r;
	r->id = column_id(stmt, 2);
	r->netns = column_text(stmt, 3, &bad);
	r->shared = column_text(stmt, 4, &bad);
	r->detached = sqlite3_column_int(stmt, 6);
	if (bad)
		return damaged(s, err, "a router's namespace or interface has no name");
	if (!hook || !hook_parse(hook, &r->hook))
		return damaged(s, err, "a router's hook is unknown");
	if (!sources || !sources_parse(sources, &r->sources))
		return damaged(s, err, "a router's sources are unknown");
	if (!forwarding || !forwarding_parse(forwarding, &r->forwarding))
		return damaged(s, err, "a router's forwarding is unknown");
	return load_inside(s, t, err) || load_addresses(s, t, err) || load_routes(s, t, err) ? -1
											     : 0;
}

static int load_tenants(struct store *s, const struct window *w, struct model *m, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_TENANTS, err, "");
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		struct tenant *t = vec_push(&m->tenants);

		t->id = column_id(stmt, 0);
		t->name = column_string(stmt, 1);
		if (!t->name)
			return damaged(s, err, "a tenant's name is none");
		if ((t > m->tenants.v && strcmp(t[-1].name, t->name) >= 0))
			return damaged(s, err, "tenants are out of order");
		if (sqlite3_column_type(stmt, 2) != SQLITE_NULL && load_router(s, stmt, t, err))
			return -1;
		if (load_pools(s, t, err) || load_accept(s, t, err) ||
		    (w ? load_some_mappings(s, w, t, err) : load_mappings(s, t, err)))
			return -1;
	}
	return more;
}

/* Constraints of the file can be got around, and a file can have come from elsewhere. */
static int check_model(struct store *s, const struct model *m, struct error *err)
{
	char buf[MODEL_FAULT];
	const char *fault = model_fault(m, buf);

	return fault ? damaged(s, err, fault) : 0;
}

static int load(struct store *s, const struct window *w, struct model *out, struct error *err)
{
	bool begun = s->db && sqlite3_get_autocommit(s->db);
	int ret = 0;

	memset(out, 0, sizeof(*out));
	if (!s->db)
		return 0;
	if (begun)
		ret = exec(s, "BEGIN", err);
	if (ret == 0 && (load_origin(s, out, err) || load_subnets(s, out, err) ||
			 load_tenants(s, w, out, err) || check_model(s, out, err)))
		ret = -1;
	if (begun)
		store_rollback(s);
	if (ret)
		model_free(out);
	return ret;
}

int store_load(struct store *s, struct model *out, struct error *err)
{
	return load(s, NULL, out, err);
}

int store_load_part(struct store *s, const struct window *w, struct model *out, struct error *err)
{
	return load(s, w, out, err);
}

int store_leases(struct store *s, const struct tn_addr *from, size_t n, struct addr_list *out,
		 struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt =
		query_begin(s, LIST_LEASES, err, "al", from, (uint64_t)n);
	struct tn_addr next = *from, a;
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		if (!column_addr(stmt, 0, &a))
			return damaged(s, err, "a mapping's address is none");
		if (addr_cmp(&a, &next) != 0)
			return 0;
		*vec_push(&out->list) = a;
		next = addr_add(&a, 1);
	}
	return more;
}

/* --- save --- */

/*
 * Everything that goes away, goes before anything comes: what is unique may
 * change hands between two rows, and even between two tenants.
 */
enum phase {
	REMOVE,
	ADD,
};

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_prefixes(const struct prefix *a, size_t na, const struct prefix *b, size_t nb)
{
	if (na != nb)
		return false;
	for (size_t i = 0; i < na; i++) {
		if (a[i].len != b[i].len || addr_cmp(&a[i].addr, &b[i].addr))
			return false;
	}
	return true;
}

static bool same_lease(const struct own_address *a, const struct own_address *b)
{
	return a->pinned == b->pinned && memcmp(&a->addr, &b->addr, sizeof(a->addr)) == 0;
}

static bool same_router(const struct router *a, const struct router *b)
{
	if (!a || !b)
		return a == b;
	return a->id == b->id && router_same(a, b) && same_lease(&a->own[IPV4], &b->own[IPV4]) &&
	       same_lease(&a->own[IPV6], &b->own[IPV6]);
}

static bool same_mapping(const struct mapping *a, const struct mapping *b)
{
	return addr_cmp(&a->fixed, &b->fixed) == 0 && addr_cmp(&a->shared, &b->shared) == 0 &&
	       a->pinned == b->pinned && same_text(a->name, b->name) &&
	       memcmp(&a->limit, &b->limit, sizeof(a->limit)) == 0;
}

static bool same_accept(const struct tenant *a, const struct tenant *b)
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

static int save_origin(struct store *s, const struct model *have, const struct model *want,
		       enum phase phase, struct error *err)
{
	if (same_text(have->file, want->file))
		return 0;
	if (phase == REMOVE)
		return have->file ? run(s, REMOVE_ORIGIN, 1, err, "") : 0;
	return want->file ? run(s, ADD_ORIGIN, 1, err, "t", want->file) : 0;
}

static int save_subnets(struct store *s, const struct model *have, const struct model *want,
			enum phase phase, struct error *err)
{
	if (same_prefixes(have->subnets.v, have->subnets.n, want->subnets.v, want->subnets.n))
		return 0;
	if (phase == REMOVE)
		return run(s, REMOVE_SUBNETS, have->subnets.n, err, "");
	for (size_t i = 0; i < want->subnets.n; i++) {
		if (run(s, ADD_SUBNET, 1, err, "ut", (unsigned int)i, PREFIX(&want->subnets.v[i])))
			return refused(s, err, "subnet %s", PREFIX(&want->subnets.v[i]));
	}
	return 0;
}

static int save_pools(struct store *s, const struct tenant *old, const struct tenant *new,
		      enum phase phase, struct error *err)
{
	static const struct tenant none;

	old = old ? old : &none;
	new = new ? new : &none;
	if (same_prefixes(old->pools.v, old->pools.n, new->pools.v, new->pools.n))
		return 0;
	if (phase == REMOVE)
		return run(s, REMOVE_POOLS, old->pools.n, err, "u", old->id);
	for (size_t i = 0; i < new->pools.n; i++) {
		if (run(s, ADD_POOL, 1, err, "uut", new->id, (unsigned int)i,
			PREFIX(&new->pools.v[i])))
			return refused(s, err, "pool %s", PREFIX(&new->pools.v[i]));
	}
	return 0;
}

static int add_item(struct store *s, const struct rule *r, const char *kind, unsigned int ord,
		    const char *text, struct error *err)
{
	return run(s, ADD_ITEM, 1, err, "utut", r->id, kind, ord, text);
}

static int add_rule(struct store *s, unsigned int tenant, unsigned int ord, const struct rule *r,
		    struct error *err)
{
	char text[SERVICE_TEXT];
	unsigned int n = 0;

	if (run(s, ADD_RULE, 1, err, "uuuuuu", r->id, tenant, ord, (unsigned int)r->any,
		r->pos.line, r->pos.col))
		return -1;
	vec_each (name, &r->from) {
		if (add_item(s, r, "from", n++, *name, err))
			return -1;
	}
	vec_each (name, &r->to) {
		if (add_item(s, r, "to", n++, *name, err))
			return -1;
	}
	for (size_t i = 0; i < r->services.n;) {
		i += service_text(&r->services.v[i], r->services.n - i, text);
		if (add_item(s, r, "ports", n++, text, err))
			return -1;
	}
	return 0;
}

/* All of a tenant's rules at once: they are few, and their order counts. */
static int save_accept(struct store *s, const struct tenant *old, const struct tenant *new,
		       enum phase phase, struct error *err)
{
	static const struct tenant none;

	old = old ? old : &none;
	new = new ? new : &none;
	if (same_accept(old, new))
		return 0;
	if (phase == REMOVE)
		return old->has_accept && (run(s, REMOVE_RULES, old->accept.n, err, "u", old->id) ||
					   run(s, REMOVE_ACCEPT, 1, err, "u", old->id))
			       ? -1
			       : 0;
	if (new->has_accept && run(s, ADD_ACCEPT, 1, err, "u", new->id))
		return -1;
	for (size_t i = 0; i < new->accept.n; i++) {
		if (add_rule(s, new->id, (unsigned int)i, &new->accept.v[i], err))
			return refused(s, err, "rule %u of accept", new->accept.v[i].id);
	}
	return 0;
}

static size_t own_addresses(const struct router *r)
{
	return !addr_is_unset(&r->own[IPV4].addr) + !addr_is_unset(&r->own[IPV6].addr);
}

static int remove_router(struct store *s, unsigned int tenant, const struct router *r,
			 struct error *err)
{
	if (run(s, REMOVE_INSIDE, r->inside.n, err, "u", tenant) ||
	    run(s, REMOVE_ADDRESSES, own_addresses(r), err, "u", tenant) ||
	    run(s, REMOVE_ROUTES, r->routes.n, err, "u", tenant))
		return -1;
	return run(s, REMOVE_ROUTER, 1, err, "u", tenant);
}

static int add_router_parts(struct store *s, unsigned int tenant, const struct router *r,
			    struct error *err)
{
	for (size_t i = 0; i < r->inside.n; i++) {
		if (run(s, ADD_INSIDE, 1, err, "uut", tenant, (unsigned int)i, r->inside.v[i]))
			return refused(s, err, "inside %s", r->inside.v[i]);
	}
	for (int i = 0; i < FAMILIES; i++) {
		const struct own_address *own = &r->own[i];

		if (!addr_is_unset(&own->addr) &&
		    run(s, ADD_ADDRESS, 1, err, "uuau", tenant, i == IPV4 ? 4U : 6U, &own->addr,
			(unsigned int)own->pinned))
			return refused(s, err, "router address %s", ADDR(&own->addr));
	}
	for (size_t i = 0; i < r->routes.n; i++) {
		if (run(s, ADD_ROUTE, 1, err, "uuta", tenant, (unsigned int)i,
			PREFIX(&r->routes.v[i].to), &r->routes.v[i].via))
			return refused(s, err, "route %s", PREFIX(&r->routes.v[i].to));
	}
	return 0;
}

static int save_router(struct store *s, const struct tenant *old, const struct tenant *new,
		       enum phase phase, struct error *err)
{
	const struct router *was = old ? old->router : NULL;
	const struct router *r = new ? new->router : NULL;

	if (same_router(was, r))
		return 0;
	if (phase == REMOVE)
		return was ? remove_router(s, old->id, was, err) : 0;
	if (!r)
		return 0;
	if (run(s, ADD_ROUTER, 1, err, "uutttutt", new->id, r->id, r->netns, r->shared,
		hook_name(r->hook), (unsigned int)r->detached, sources_name(r->sources),
		forwarding_name(r->forwarding)))
		return refused(s, err, "router");
	return add_router_parts(s, new->id, r, err);
}

static int save_mapping(struct store *s, unsigned int tenant, enum query query,
			const struct mapping *m, struct error *err)
{
	unsigned int family = addr_is_v4(&m->fixed) ? 4 : 6;

	if (query == REMOVE_MAPPING)
		return run(s, query, 1, err, "uua", tenant, family, &m->fixed);
	if (run(s, query, 1, err, "uuaatulll", tenant, family, &m->fixed, &m->shared, m->name,
		(unsigned int)m->pinned, m->limit.rate, m->limit.burst, m->limit.packets))
		return refused(s, err, "mapping %s -> %s", ADDR(&m->fixed), ADDR(&m->shared));
	return 0;
}

static int save_mappings(struct store *s, const struct tenant *old, const struct tenant *new,
			 enum phase phase, struct error *err)
{
	size_t i = 0, j = 0, n = old ? old->mappings.n : 0, m = new ? new->mappings.n : 0;
	int ret = 0;

	while (ret == 0 && (i < n || j < m)) {
		const struct mapping *was = i < n ? &old->mappings.v[i] : NULL;
		const struct mapping *is = j < m ? &new->mappings.v[j] : NULL;
		int cmp = !was ? 1 : !is ? -1 : addr_cmp(&was->fixed, &is->fixed);

		i += cmp <= 0;
		j += cmp >= 0;
		if (cmp == 0 && same_mapping(was, is))
			continue;
		if (phase == REMOVE && cmp <= 0)
			ret = save_mapping(s, old->id, REMOVE_MAPPING, was, err);
		else if (phase == ADD && cmp >= 0)
			ret = save_mapping(s, new->id, ADD_MAPPING, is, err);
	}
	return ret;
}

/* Either may be NULL. */
static int save_tenant(struct store *s, const struct tenant *old, const struct tenant *new,
		       enum phase phase, struct error *err)
{
	int ret = 0;

	if (old && new && old->id != new->id) {
		old = phase == REMOVE ? old : NULL;
		new = phase == ADD ? new : NULL;
	}
	if (phase == ADD && !old)
		ret = run(s, ADD_TENANT, 1, err, "ut", new->id, new->name);
	if (ret || save_pools(s, old, new, phase, err) || save_router(s, old, new, phase, err) ||
	    save_mappings(s, old, new, phase, err) || save_accept(s, old, new, phase, err))
		ret = -1;
	if (phase == REMOVE && !new &&ret == 0)
		ret = run(s, REMOVE_TENANT, 1, err, "u", old->id);
	return ret ? refused(s, err, "tenant %s", (new ? new : old)->name) : 0;
}

static int save_tenants(struct store *s, const struct model *have, const struct model *want,
			enum phase phase, struct error *err)
{
	size_t i = 0, j = 0;

	while (i < have->tenants.n || j < want->tenants.n) {
		const struct tenant *old = i < have->tenants.n ? &have->tenants.v[i] : NULL;
		const struct tenant *new = j < want->tenants.n ? &want->tenants.v[j] : NULL;
		int cmp = !old ? 1 : !new ? -1 : strcmp(old->name, new->name);

		i += cmp <= 0;
		j += cmp >= 0;
		old = cmp <= 0 ? old : NULL;
		new = cmp >= 0 ? new : NULL;
		if ((phase == REMOVE ? old : new) || (old && new)) {
			if (save_tenant(s, old, new, phase, err))
				return -1;
		}
	}
	return 0;
}

int store_save(struct store *s, const struct model *have, const struct model *want,
	       struct error *err)
{
	if (s->lock < 0)
		return error_set(err, "%s was opened to be read only; please report this", s->file);
	if (sqlite3_get_autocommit(s->db) && exec(s, "BEGIN IMMEDIATE", err))
		return -1;
	for (enum phase phase = REMOVE; phase <= ADD; phase++) {
		if (save_origin(s, have, want, phase, err) ||
		    save_subnets(s, have, want, phase, err) ||
		    save_tenants(s, have, want, phase, err)) {
			store_rollback(s);
			return -1;
		}
	}
	return 0;
}

/* --- history --- */

void history_change_clear(struct history_change *c)
{
	vec_each (line, &c->lines)
		free(line->text);
	vec_free(&c->lines);
	free(c->user);
	free(c->command);
	memset(c, 0, sizeof(*c));
}

void history_free(struct history *h)
{
	vec_each (c, &h->list)
		history_change_clear(c);
	vec_free(&h->list);
}

static int last_change(struct store *s, uint64_t *id, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LAST_CHANGE, err, "");

	if (!stmt || query_next(s, stmt, err) < 0)
		return -1;
	*id = (uint64_t)sqlite3_column_int64(stmt, 0);
	return 0;
}

/* However many rows there are of them. */
static int forget_changes(struct store *s, uint64_t up_to, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, FORGET_CHANGES, err, "l", up_to);

	return stmt && query_next(s, stmt, err) == 0 ? 0 : -1;
}

static int add_change_line(struct store *s, uint64_t change, size_t ord, char sign,
			   const char *text, struct error *err)
{
	char signs[] = { sign, '\0' };

	return run(s, ADD_CHANGE_LINE, 1, err, "lutt", change, (unsigned int)ord, signs, text);
}

static int note(struct store *s, const struct history_change *c, struct error *err)
{
	size_t n = c->lines.n < HISTORY_LINES_MAX ? c->lines.n : HISTORY_LINES_MAX;
	char more[64];
	uint64_t id;

	if (run(s, ADD_CHANGE, 1, err, "lutt", (uint64_t)c->at, c->uid, c->user, c->command) ||
	    last_change(s, &id, err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (add_change_line(s, id, i, c->lines.v[i].sign, c->lines.v[i].text, err))
			return -1;
	}
	snprintf(more, sizeof(more), "and %zu more", c->lines.n - n + c->more);
	if (c->lines.n - n + c->more && add_change_line(s, id, n, '~', more, err))
		return -1;
	return id > HISTORY_MAX ? forget_changes(s, id - HISTORY_MAX, err) : 0;
}

int store_note(struct store *s, const struct history_change *c, struct error *err)
{
	if (note(s, c, err) == 0)
		return 0;
	store_rollback(s);
	return -1;
}

static int load_change_lines(struct store *s, uint64_t id, struct history_change *c,
			     struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_CHANGE_LINES, err, "l", id);
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		const char *sign = (const char *)sqlite3_column_text(stmt, 0);
		struct history_line *line = vec_push(&c->lines);

		line->sign = sign ? *sign : '?';
		line->text = column_string(stmt, 1);
		if (!line->text)
			return damaged(s, err, "a line of the history is none");
	}
	return more;
}

static int load_changes(struct store *s, size_t n, struct history *out, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_CHANGES, err, "l", (uint64_t)n);
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		struct history_change *c = vec_push(&out->list);

		c->at = sqlite3_column_int64(stmt, 1);
		c->uid = (uint32_t)sqlite3_column_int64(stmt, 2);
		c->user = column_string(stmt, 3);
		c->command = column_string(stmt, 4);
		if (!c->user || !c->command)
			return damaged(s, err, "a change of the history is none");
		if (load_change_lines(s, (uint64_t)sqlite3_column_int64(stmt, 0), c, err))
			return -1;
	}
	return more;
}

int store_history(struct store *s, size_t n, struct history *out, struct error *err)
{
	memset(out, 0, sizeof(*out));
	if (!s->db || load_changes(s, n, out, err) == 0)
		return 0;
	history_free(out);
	return -1;
}

int store_commit(struct store *s, struct error *err)
{
	if (!s->db || sqlite3_get_autocommit(s->db))
		return 0;
	if (exec(s, "COMMIT", err)) {
		store_rollback(s);
		return -1;
	}
	return 0;
}

void store_rollback(struct store *s)
{
	/* SQLite itself has rolled back after some errors */
	if (s->db && !sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

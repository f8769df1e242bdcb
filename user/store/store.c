/* SPDX-License-Identifier: GPL-2.0-only */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "lib/file.h"
#include "store/store_internal.h"

/* The longest value or row, in bytes. We write none that is longer, so such a file is not ours. */
#define VALUE_MAX (1 << 20)

/*
 * How long to wait for SQLite's own locks, in milliseconds. Writers of ours wait for `lock`. Only a
 * checkpoint, a recovery or another program, like sqlite3, holds SQLite's.
 */
#define BUSY_MS 5000

char *path_in(const char *dir, const char *name)
{
	size_t size = strlen(dir) + strlen(name) + 2;
	char *path = xrealloc(NULL, size, 1);

	snprintf(path, size, "%s/%s", dir, name);
	return path;
}

bool store_exists(const char *dir)
{
	_cleanup_free_ char *path = path_in(dir, "state.db");

	return access(path, F_OK) == 0;
}

static int dir_create(const char *dir, struct error *err)
{
	if (mkdir(dir, 0700) == 0 || errno == EEXIST)
		return 0;
	return system_error(err, "create the directory", dir);
}

/* 1: it is there, and only root or we can write to it; 0: it is not. It decides what we rewrite. */
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

/* The state and the files that SQLite has beside it. 1: there is a state; 0: there is none. */
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

/* With mode 0600: SQLite gives its other files the mode of this one. */
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
	/* chmod(), not fchmod(): to close a descriptor drops the locks that SQLite has on the file
	 */
	if (stat(file, &st) == 0 && (st.st_mode & 077) && chmod(file, st.st_mode & 0700))
		return system_error(err, "take away from others", file);
	return 0;
}

/*
 * Whether nobody can change the file: its filesystem is read-only, and no log (WAL) is left to be
 * read with it. SQLite can make no file beside it there, and then reads a state in WAL mode only if
 * it is told that it is immutable.
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

static int db_open_file(struct store *s, const char *file, bool immutable, struct error *err)
{
	_cleanup_free_ char *name = immutable ? immutable_uri(file) : xstrdup(file);
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;

	flags |= immutable ? SQLITE_OPEN_READONLY | SQLITE_OPEN_URI : SQLITE_OPEN_READWRITE;
	if (sqlite3_open_v2(name, &s->db, flags, NULL) != SQLITE_OK)
		return sql_error(s, err);
	sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, VALUE_MAX);
	sqlite3_extended_result_codes(s->db, 1);
	sqlite3_busy_timeout(s->db, BUSY_MS);
	return sql_exec(s, "PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL;", err);
}

/* A reader opens for writing, too: only then SQLite removes its other files when it closes. */
static int db_open(struct store *s, bool reader, struct error *err)
{
	return db_open_file(s, s->file, reader && file_immutable(s), err);
}

static int open_writer(struct store *s, unsigned int wait, const char *holder, struct error *err)
{
	int schema = 0;

	if (dir_create(s->dir, err) || dir_check(s->dir, err) < 0 ||
	    lock_take(s, wait, holder, err) || files_check(s, err) < 0 ||
	    file_create(s->file, err) || db_open(s, false, err) || schema_read(s, &schema, err))
		return -1;
	/* 64 MiB: the index of shared addresses is written in any order */
	if (sql_exec(s, "PRAGMA journal_mode = WAL; PRAGMA cache_size = -65536;", err))
		return -1;
	return schema < schema_newest ? schema_upgrade(s, schema, err) : 0;
}

static int begin_reading(struct store *s, int *schema, struct error *err)
{
	return sql_exec(s, "PRAGMA query_only = ON", err) || schema_read(s, schema, err) ? -1 : 0;
}

/* Whether it was that a file of its own, beside the state, could not be written. */
static bool is_unwritable(const struct store *s)
{
	switch (sqlite3_errcode(s->db) & 0xff) {
	case SQLITE_FULL:
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
		return true;
	default:
		return false;
	}
}

/* The state is read without writing anything there, or the first error stays. */
static int read_aside(struct store *s, int *schema, struct error *err)
{
	_cleanup_free_ char *file = NULL;
	struct error why = { 0 };
	bool immutable;

	sqlite3_close(s->db);
	s->db = NULL;
	file = aside_make(s, &immutable);
	if (!file || db_open_file(s, file, immutable, &why) || begin_reading(s, schema, &why))
		return -1;
	*err = (struct error){ 0 };
	return 0;
}

static int open_reader(struct store *s, struct error *err)
{
	int there = dir_check(s->dir, err), schema = 0;

	if (there > 0)
		there = files_check(s, err);
	if (there <= 0)
		return there;
	if ((db_open(s, true, err) || begin_reading(s, &schema, err)) &&
	    (!is_unwritable(s) || read_aside(s, &schema, err)))
		return -1;
	/* a writer has made the file, and not yet the tables */
	if (schema == 0) {
		sqlite3_close(s->db);
		s->db = NULL;
	} else if (schema < schema_newest) {
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
	s->lock = s->read_lock = -1;
	s->dir = xstrdup(dir);
	s->file = path_in(dir, "state.db");
	if ((mode == STORE_WRITE ? open_writer(s, wait, holder, err) : open_reader(s, err)) ||
	    membership_name_host(s, err)) {
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
	aside_remove(s);
	close_cleanup(&s->read_lock);
	lock_release(s);
	free(s->dir);
	free(s->file);
	free(s);
}

int store_commit(struct store *s, struct error *err)
{
	if (!s->db || sqlite3_get_autocommit(s->db))
		return 0;
	if (sql_exec(s, "COMMIT", err)) {
		store_rollback(s);
		return -1;
	}
	return 0;
}

void store_rollback(struct store *s)
{
	/* after some errors SQLite has rolled back already */
	if (s->db && !sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading a state where nothing can be written: SQLite wants a file beside one in WAL mode, and
 * finds no room for it on a full disk; on a read-only one it does not read a log that was left.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "lib/file.h"
#include "store/store_internal.h"

/* Where a copy may be, the better place first: in memory, and root's alone. */
static const char *const places[] = { "/run/tenantnat-XXXXXX", "/dev/shm/tenantnat-XXXXXX",
				      "/tmp/tenantnat-XXXXXX" };

/* No writer begins before it is released. -1: there is one, whose files are there to be read by. */
static int keep_writers_out(struct store *s)
{
	_cleanup_free_ char *path = path_in(s->dir, "lock");
	struct error ignored = { 0 };

	s->read_lock = file_open(path, O_RDONLY, &ignored);
	return s->read_lock >= 0 && flock(s->read_lock, LOCK_SH | LOCK_NB) ? -1 : 0;
}

static bool has_log(const struct store *s)
{
	_cleanup_free_ char *log = path_in(s->dir, "state.db-wal");
	struct stat st;

	return stat(log, &st) == 0 && st.st_size > 0;
}

static int copy(const struct store *s, const char *name)
{
	_cleanup_free_ char *from = path_in(s->dir, name), *to = path_in(s->aside, name);
	struct error ignored = { 0 };
	_cleanup_close_ int in = file_open(from, O_RDONLY, &ignored);
	_cleanup_close_ int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char part[1 << 16];
	ssize_t n = -1;

	while (in >= 0 && out >= 0 && (n = read(in, part, sizeof(part))) > 0) {
		if (write(out, part, n) != n)
			return -1;
	}
	return n == 0 ? 0 : -1;
}

static int copy_all(struct store *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		s->aside = xstrdup(places[i]);
		if (mkdtemp(s->aside) && copy(s, "state.db") == 0 && copy(s, "state.db-wal") == 0)
			return 0;
		aside_remove(s);
	}
	return -1;
}

char *aside_make(struct store *s, bool *immutable)
{
	if (keep_writers_out(s))
		return NULL;
	*immutable = !has_log(s);
	if (*immutable)
		return xstrdup(s->file);
	return copy_all(s) ? NULL : path_in(s->aside, "state.db");
}

void aside_remove(struct store *s)
{
	static const char *const names[] = { "state.db", "state.db-wal", "state.db-shm" };

	for (size_t i = 0; s->aside && i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = path_in(s->aside, names[i]);

		unlink(path);
	}
	if (s->aside)
		rmdir(s->aside);
	free(s->aside);
	s->aside = NULL;
}

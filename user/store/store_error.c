/* SPDX-License-Identifier: GPL-2.0-only */
/* What failed, and what to do about it. */
#include <errno.h>

#include "store/store_internal.h"

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
	case EMFILE:
	case ENFILE:
		return "raise the limit of file descriptors (ulimit -n, LimitNOFILE=)";
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

int system_error(struct error *err, const char *doing, const char *path)
{
	int number = errno;

	return error_set(err, "cannot %s %s: %s; %s", doing, path, strerror(number),
			 remedy(number));
}

int damaged(const struct store *s, struct error *err, const char *what)
{
	return error_set(err,
			 "%s is damaged (%s); put a backup in its place, or move it away and apply "
			 "the definitions again (addresses that are not pinned may change)",
			 s->file, what);
}

int sql_error(const struct store *s, struct error *err)
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

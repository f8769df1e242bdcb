/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static const char *kind_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFLNK:
		return "a symbolic link";
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	case S_IFCHR:
	case S_IFBLK:
		return "a device";
	default:
		return "a file";
	}
}

const char *file_kind(const char *path)
{
	struct stat st;

	return stat(path, &st) ? "not there" : kind_name(st.st_mode);
}

/* Whether anybody may write to it but its owner, root's group and ours. */
static bool is_open_to_others(const struct stat *st)
{
	bool group = st->st_gid != 0 && st->st_gid != getegid();

	return st->st_mode & (group ? 022 : 002);
}

static int check(const char *path, const struct stat *st, struct error *err)
{
	if (!S_ISREG(st->st_mode))
		return error_set(err,
				 "%s is %s, and not a regular file; move it away, or use --state "
				 "DIR",
				 path, kind_name(st->st_mode));
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return error_set(err,
				 "%s belongs to user %u, who could change it; see whether it is "
				 "right and run `chown root %s`, or use --state DIR",
				 path, (unsigned int)st->st_uid, path);
	if (is_open_to_others(st))
		return error_set(err,
				 "%s can be written by others (mode %04o); see whether it is right "
				 "and run `chmod go-w %s`, or use --state DIR",
				 path, (unsigned int)st->st_mode & 07777, path);
	return 0;
}

static const char *remedy(int number)
{
	return number == EACCES || number == EPERM ? "run as root, or use --state DIR"
	       : number == EROFS ? "mount its filesystem read-write, or use --state DIR"
	       : number == ENOSPC || number == EDQUOT ? "make room on its filesystem"
						      : "see the kernel's log, or use --state DIR";
}

static int cannot(const char *path, struct error *err)
{
	int number = errno;

	return error_set(err, "cannot open %s: %s; %s", path, strerror(number), remedy(number));
}

int file_check(const char *path, struct error *err)
{
	struct stat st;

	if (lstat(path, &st) == 0)
		return check(path, &st, err) ? -1 : 1;
	return errno == ENOENT ? 0 : cannot(path, err);
}

int file_open(const char *path, int flags, struct error *err)
{
	struct stat st;
	int fd;

	if (file_check(path, err) < 0)
		return -1;
	fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
	if (fd < 0)
		return cannot(path, err);
	if (fstat(fd, &st) == 0 && check(path, &st, err) == 0)
		return fd;
	close(fd);
	return -1;
}

void file_have(int fd)
{
	struct flock record = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	fcntl(fd, F_SETLK, &record);
}

pid_t file_holder(const char *path)
{
	struct flock record = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct error ignored = { 0 };
	int fd = file_open(path, O_RDONLY, &ignored);
	pid_t pid = 0;

	if (fd < 0)
		return 0;
	if (fcntl(fd, F_GETLK, &record) == 0 && record.l_type != F_UNLCK && record.l_pid > 0)
		pid = record.l_pid;
	close(fd);
	return pid;
}

/* ".NAME.new" in the same directory. False: that is too long. */
static bool beside(const char *path, char out[PATH_MAX])
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	return snprintf(out, PATH_MAX, "%.*s.%s.new", (int)(name - path), path, name) < PATH_MAX;
}

static int write_all(int fd, const char *text, size_t size)
{
	while (size) {
		ssize_t n = write(fd, text, size);

		if (n < 0)
			return -1;
		text += n;
		size -= (size_t)n;
	}
	return 0;
}

/* It can be a file that --state says nothing about. */
static int cannot_write(const char *path, struct error *err)
{
	int number = errno;
	const char *what = number == EACCES || number == EPERM ? "run as root"
			   : number == EROFS
				   ? "mount its filesystem read-write, or name its directory in "
				     "ReadWritePaths= of the unit"
			   : number == ENOENT ? "make its directory"
			   : number == ENOSPC || number == EDQUOT
				   ? "make room on its filesystem"
				   : "give another file, or see the kernel's log";

	return error_set(err, "cannot write %s: %s; %s", path, strerror(number), what);
}

int file_replace(const char *path, const char *text, size_t size, mode_t mode, struct error *err)
{
	char made[PATH_MAX];
	int fd, ret;

	if (!beside(path, made))
		return error_set(err, "cannot write %s: its name is too long", path);
	unlink(made); /* what was left by one that was killed */
	fd = open(made, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return cannot_write(path, err);
	ret = write_all(fd, text, size) || fchmod(fd, mode);
	if (close(fd) == 0 && !ret && rename(made, path) == 0)
		return 0;
	cannot_write(path, err);
	unlink(made);
	return -1;
}

static int cannot_read(const char *path, struct error *err)
{
	return error_usage(err, "cannot read %s: %s", path, strerror(errno));
}

/* Not a FIFO, for which nothing waits, but a pipe that a shell has made: `<(…)`. */
static bool is_pipe(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == PIPEFS_MAGIC;
}

static int refuse(const char *path, struct error *err)
{
	return error_usage(err,
			   "cannot read %s: it is %s; give a regular file, or `-` and the text on "
			   "stdin",
			   path, file_kind(path));
}

/* A file that has an end, the caller's to close. Others are not opened: a device may do something.
 */
static int open_with_end(const char *path, struct error *err)
{
	struct stat st;
	int fd;

	if (stat(path, &st))
		return cannot_read(path, err);
	if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
		return refuse(path, err);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return cannot_read(path, err);
	if ((fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) || is_pipe(fd)) {
		fcntl(fd, F_SETFL, 0);
		return fd;
	}
	close(fd);
	return refuse(path, err);
}

FILE *input_open(const char *path, struct error *err)
{
	int fd = strcmp(path, "-") ? open_with_end(path, err) : fcntl(0, F_DUPFD_CLOEXEC, 3);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

	if (f)
		return f;
	if (!err->set)
		cannot_read(path, err);
	if (fd >= 0)
		close(fd);
	return NULL;
}

const char *input_shown(const char *path)
{
	return strcmp(path, "-") ? path : "<stdin>";
}

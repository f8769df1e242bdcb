/* SPDX-License-Identifier: GPL-2.0-only */
#include "config/definitions.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/log.h"

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
static int open_file(const char *path, struct error *err)
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

/* Of a regular file, by what it says; a pipe's is not known before it ends. */
static bool is_too_large(int fd)
{
	struct stat st = { 0 };

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > (off_t)CONFIG_SIZE_MAX;
}

/* A whole file; "-" is stdin, whatever that is. NUL-terminated, the caller's to free. */
static char *read_file(const char *path, size_t *len, struct error *err)
{
	int fd = strcmp(path, "-") ? open_file(path, err) : fcntl(0, F_DUPFD_CLOEXEC, 3);
	_cleanup_fclose_ FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	VEC(char) text = { 0 };
	size_t n;

	if (!f) {
		if (!err->set)
			cannot_read(path, err);
		return NULL;
	}
	if (is_too_large(fd)) {
		*len = CONFIG_SIZE_MAX + 1; /* which is all that config_parse() looks at */
		return xstrdup("");
	}
	do {
		text.cap += 1 << 20;
		text.v = xrealloc(text.v, text.cap, 1);
		n = fread(text.v + text.n, 1, text.cap - text.n - 1, f);
		text.n += n;
		/* what has a NUL is no text, and stdin may have no end */
	} while (n && text.n <= CONFIG_SIZE_MAX && !memchr(text.v + text.n - n, '\0', n));
	if (ferror(f)) {
		error_usage(err, "cannot read %s: %s", path, strerror(errno));
		free(text.v);
		return NULL;
	}
	text.v[text.n] = '\0';
	*len = text.n;
	return text.v;
}

const char *definitions_shown(const char *path)
{
	return strcmp(path, "-") ? path : "<stdin>";
}

int definitions_parse(const char *path, struct model *out, struct config_errors *errors,
		      struct error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len, n;

	memset(errors, 0, sizeof(*errors));
	text = read_file(path, &len, err);
	if (!text)
		return -1;
	if (config_parse(text, len, definitions_shown(path), out, errors) == 0) {
		out->file = strcmp(path, "-") ? realpath(path, NULL) : NULL;
		return 0;
	}
	n = errors->list.n + errors->dropped;
	return error_usage(err, "%zu %s in the definitions; nothing was changed", n,
			   plural(n, "error", "errors"));
}

int definitions_read(const char *path, struct model *out, struct error *err)
{
	struct config_errors errors;
	int ret = definitions_parse(path, out, &errors, err);

	vec_each (line, &errors.list)
		fprintf(stderr, "%s\n", *line);
	config_errors_free(&errors);
	return ret;
}

void definitions_warn(const char *path, const struct model *m, const struct scope *only)
{
	vec_each (t, &m->tenants) {
		if (tenant_lacks_accept(t) && scope_has(only, t->name))
			log_warning("%s:%u:%u: " LACKS_ACCEPT, definitions_shown(path), t->pos.line,
				    t->pos.col, t->name);
	}
}

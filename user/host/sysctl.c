/* SPDX-License-Identifier: GPL-2.0-only */
#include "host/sysctl.h"

#include <errno.h>
#include <fcntl.h>

#include "lib/util.h"

#define ROOT "/proc/sys/net/"

static int sysctl_open(const char *path, int flags)
{
	char full[sizeof(ROOT) + SYSCTL_PATH];

	if (snprintf(full, sizeof(full), ROOT "%s", path) >= (int)sizeof(full)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(full, flags | O_CLOEXEC);
}

bool sysctl_exists(const char *path)
{
	_cleanup_close_ int fd = sysctl_open(path, O_PATH);

	return fd >= 0;
}

static int read_error(const char *path, int number, struct error *err)
{
	return error_set(err, "cannot read " ROOT "%s: %s%s", path, strerror(number),
			 number == EACCES || number == EPERM ? "; run as root" : "");
}

int sysctl_get(const char *path, char *value, size_t size, struct error *err)
{
	_cleanup_close_ int fd = sysctl_open(path, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return read_error(path, errno, err);
	n = read(fd, value, size);
	if (n < 0)
		return read_error(path, errno, err);
	/* a value without its newline was cut */
	if (n == 0 || value[n - 1] != '\n')
		return read_error(path, n ? EMSGSIZE : ENODATA, err);
	value[n - 1] = '\0';
	return 0;
}

int sysctl_get_number(const char *path, long *value, struct error *err)
{
	char text[SYSCTL_VALUE], *end;

	if (sysctl_get(path, text, sizeof(text), err))
		return -1;
	errno = 0;
	*value = strtol(text, &end, 10);
	if (errno || end == text || *end)
		return error_set(err, ROOT "%s is no number: `%s`", path, text);
	return 0;
}

int sysctl_set(const char *path, const char *value, struct error *err)
{
	_cleanup_close_ int fd = sysctl_open(path, O_WRONLY);
	size_t n = strlen(value);
	ssize_t done = -1;

	/* in one piece: the kernel takes each write(2) for a whole value */
	if (fd >= 0)
		done = write(fd, value, n);
	if (done >= 0 && (size_t)done != n)
		errno = EINVAL;
	if (done < 0 || (size_t)done != n)
		return error_set(
			err, "cannot set " ROOT "%s to %s: %s%s", path, value, strerror(errno),
			errno == EACCES || errno == EPERM ? "; run as root"
			: errno == EROFS ? "; mount /proc read-write, or set it from the host"
					 : "");
	return 0;
}

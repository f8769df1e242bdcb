/* SPDX-License-Identifier: GPL-2.0-only */
#include "host/netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "lib/file.h"

#define OWN "/proc/self/ns/net"

void netns_path(const char *spec, char path[PATH_MAX])
{
	if (!spec)
		snprintf(path, PATH_MAX, "%s", OWN);
	else if (spec[0] == '/')
		snprintf(path, PATH_MAX, "%s", spec);
	else
		snprintf(path, PATH_MAX, "%s/%s", NETNS_DIR, spec);
}

/*
 * Only a namespace is opened: to open a FIFO waits for its other end, and with some devices it is a
 * command. -1 with errno; EINVAL: it is something else.
 */
static int open_in(int dir, const char *path)
{
	_cleanup_close_ int place = openat(dir, path, O_PATH | O_CLOEXEC);
	char self[32];
	struct statfs fs;
	int fd;

	if (place < 0 || fstatfs(place, &fs))
		return -1;
	if ((unsigned long)fs.f_type != NSFS_MAGIC) {
		errno = EINVAL;
		return -1;
	}
	snprintf(self, sizeof(self), "/proc/self/fd/%d", place);
	fd = open(self, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET) {
		close(fd);
		errno = EINVAL;
		return -1;
	}
	return fd;
}

void netns_command(const char *spec, char text[NETNS_COMMAND])
{
	if (!spec)
		text[0] = '\0';
	else if (spec[0] == '/')
		snprintf(text, NETNS_COMMAND, "nsenter --net=%s ", spec);
	else
		snprintf(text, NETNS_COMMAND, "ip netns exec %s ", spec);
}

int netns_open(const char *path)
{
	return open_in(AT_FDCWD, path);
}

static bool is_namespace(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == NSFS_MAGIC;
}

static int enter(int fd, struct netns *ns)
{
	struct stat st;

	ns->back = -1;
	if (fstat(fd, &st))
		return -1;
	ns->dev = st.st_dev;
	ns->ino = st.st_ino;
	ns->back = open(OWN, O_RDONLY | O_CLOEXEC);
	if (ns->back < 0)
		return -1;
	if (setns(fd, CLONE_NEWNET)) {
		close(ns->back);
		ns->back = -1;
		return -1;
	}
	return 0;
}

int netns_enter(const char *spec, struct netns *ns, struct error *err)
{
	char path[PATH_MAX];
	_cleanup_close_ int fd = -1;

	*ns = NETNS_NONE;
	netns_path(spec, path);
	fd = netns_open(path);
	if (fd < 0 && errno == ENOENT)
		return error_set(err,
				 "there is no network namespace %s; %s, or correct the router's "
				 "`netns`",
				 spec,
				 strncmp(spec, "qrouter-", strlen("qrouter-")) == 0
					 ? "Neutron's L3 agent makes it: see that it runs"
					 : "create it with `ip netns add`");
	if (fd < 0 && errno == EINVAL)
		return error_set(
			err,
			"%s is %s, and not a network namespace; create one with `ip netns "
			"add`, or correct the router's `netns`",
			path, is_namespace(path) ? "a namespace of another kind" : file_kind(path));
	if (fd < 0 || enter(fd, ns))
		return error_set(err, "cannot enter the network namespace %s: %s%s", path,
				 strerror(errno), errno == EPERM ? "; run as root" : "");
	return 0;
}

/* Enter the namespace at `path` if it is the one with that id. */
static int enter_if(int dir, const char *path, uint64_t dev, uint64_t ino, struct netns *ns)
{
	_cleanup_close_ int fd = open_in(dir, path);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || st.st_dev != dev || st.st_ino != ino)
		return -1;
	return enter(fd, ns);
}

int netns_enter_id(const char *hint, uint64_t dev, uint64_t ino, struct netns *ns)
{
	char path[PATH_MAX];
	struct dirent *entry;
	int ret = -1;
	DIR *dir;

	*ns = NETNS_NONE;
	netns_path(hint, path);
	if (enter_if(AT_FDCWD, path, dev, ino, ns) == 0 ||
	    enter_if(AT_FDCWD, OWN, dev, ino, ns) == 0)
		return 0;
	dir = opendir(NETNS_DIR);
	while (dir && ret && (entry = readdir(dir)))
		ret = enter_if(dirfd(dir), entry->d_name, dev, ino, ns);
	if (dir)
		closedir(dir);
	return ret;
}

bool netns_find(bool (*is)(int fd, const void *arg), const void *arg, char name[NAME_MAX + 1])
{
	DIR *dir = opendir(NETNS_DIR);
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		_cleanup_close_ int fd = open_in(dirfd(dir), entry->d_name);

		found = fd >= 0 && is(fd, arg);
		if (found)
			snprintf(name, NAME_MAX + 1, "%s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

void netns_each(int (*each)(const char *name, void *arg), void *arg)
{
	DIR *dir = opendir(NETNS_DIR);
	struct dirent *entry;
	int ret = 0;

	while (dir && !ret && (entry = readdir(dir))) {
		_cleanup_close_ int fd = open_in(dirfd(dir), entry->d_name);

		if (fd >= 0)
			ret = each(entry->d_name, arg);
	}
	if (dir)
		closedir(dir);
}

static bool has_id(int fd, const void *arg)
{
	const struct netns *id = arg;
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_dev == id->dev && st.st_ino == id->ino;
}

void netns_name(uint64_t dev, uint64_t ino, char name[NAME_MAX + 1])
{
	const struct netns id = { .back = -1, .dev = dev, .ino = ino };

	if (!netns_find(has_id, &id, name))
		name[0] = '\0';
}

void netns_leave(struct netns *ns)
{
	if (ns->back < 0)
		return;
	if (setns(ns->back, CLONE_NEWNET)) {
		/* going on in a tenant's namespace would be worse than not going on */
		perror("tenantnat: cannot return to our own network namespace");
		abort();
	}
	close(ns->back);
	ns->back = -1;
}

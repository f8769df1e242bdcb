/* SPDX-License-Identifier: GPL-2.0-only */
#include "netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>

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
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return error_set(err,
				 "there is no network namespace %s; create it with `ip netns add`, "
				 "or correct the router's `netns`",
				 spec);
	if (fd < 0 || enter(fd, ns))
		return error_set(err, "cannot enter the network namespace %s: %s%s", path,
				 strerror(errno),
				 errno == EPERM	   ? "; run as root"
				 : errno == EINVAL ? "; that is not a network namespace"
						   : "");
	return 0;
}

/* Enter the namespace at `path` if it is the one with that id. */
static int enter_if(int dir, const char *path, uint64_t dev, uint64_t ino, struct netns *ns)
{
	_cleanup_close_ int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
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
		_cleanup_close_ int fd =
			openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

		found = fd >= 0 && is(fd, arg);
		if (found)
			snprintf(name, NAME_MAX + 1, "%s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
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

/* SPDX-License-Identifier: GPL-2.0-only */
#include "host/host.h"

#include <bpf/btf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>

#include "lib/util.h"

static bool capable(cap_value_t what)
{
	cap_t caps = cap_get_proc();
	cap_flag_value_t value = CAP_CLEAR;

	if (caps) {
		cap_get_flag(caps, what, CAP_EFFECTIVE, &value);
		cap_free(caps);
	}
	return value == CAP_SET;
}

const char *host_missing_privileges(void)
{
	bool net = capable(CAP_NET_ADMIN), sys = capable(CAP_SYS_ADMIN);

	return net && sys ? ""
	       : net	  ? "CAP_SYS_ADMIN"
	       : sys	  ? "CAP_NET_ADMIN"
			  : "CAP_NET_ADMIN and CAP_SYS_ADMIN";
}

bool host_allow_files(unsigned int n)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= n)
		return true;
	limit.rlim_cur = n < limit.rlim_max ? n : limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == n;
}

/* The coarse clock goes on by a tick at a time. */
uint32_t host_ticks(unsigned int ms)
{
	struct timespec tick;
	uint64_t ticks;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) || tick.tv_sec || tick.tv_nsec <= 0)
		return 1;
	ticks = ms * UINT64_C(1000000) / tick.tv_nsec;
	return ticks ? ticks : 1;
}

void host_kernel(char release[HOST_RELEASE], unsigned int *major, unsigned int *minor)
{
	struct utsname uts;

	*major = *minor = 0;
	uname(&uts);
	sscanf(uts.release, "%u.%u", major, minor);
	snprintf(release, HOST_RELEASE, "%s", uts.release);
}

bool host_has_btf(void)
{
	return access("/sys/kernel/btf/vmlinux", R_OK) == 0;
}

bool host_lets_programs_read(void)
{
	static bool asked, found;
	struct btf *kernel;

	if (asked || !host_has_btf())
		return found;
	asked = true;
	kernel = btf__load_vmlinux_btf();
	found = kernel &&
		btf__find_by_name_kind(kernel, "bpf_cast_to_kern_ctx", BTF_KIND_FUNC) > 0 &&
		btf__find_by_name_kind(kernel, "bpf_rdonly_cast", BTF_KIND_FUNC) > 0;
	btf__free(kernel);
	return found;
}

int host_check_bpffs(const char *dir, struct error *err)
{
	struct statfs fs;

	if (statfs(dir, &fs))
		return error_set(err, "%s: %s; run `mkdir -p %s && mount -t bpf bpf %s`", dir,
				 strerror(errno), dir, dir);
	if ((unsigned long)fs.f_type != BPF_FS_MAGIC)
		return error_set(
			err,
			"no BPF file system is mounted at %s; run `mount -t bpf bpf %s`, or "
			"leave out `ip netns exec`, which hides it",
			dir, dir);
	if (fs.f_flags & ST_RDONLY)
		return error_set(
			err, "the BPF file system at %s is read-only; run `mount -o remount,rw %s`",
			dir, dir);
	if (access(dir, W_OK))
		return error_set(err, "%s cannot be written to: %s; run as root", dir,
				 strerror(errno));
	return 0;
}

static uint64_t size_of(DIR *d)
{
	struct dirent *entry;
	uint64_t size = 0;
	struct stat st;

	while ((entry = readdir(d))) {
		if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			size += st.st_size;
	}
	return size;
}

/* The directory itself, or a file in it: what may not be changed may be one of these alone. */
static int why_unwritable(DIR *d)
{
	struct dirent *entry;

	if (faccessat(dirfd(d), ".", W_OK | X_OK, AT_EACCESS))
		return errno;
	rewinddir(d);
	while ((entry = readdir(d))) {
		if (strcmp(entry->d_name, "..") != 0 &&
		    faccessat(dirfd(d), entry->d_name, W_OK, AT_EACCESS) && errno != ENOENT)
			return errno;
	}
	return 0;
}

/* Of one that is not there: whether it could be made. */
static int why_unmakeable(const char *path)
{
	char above[PATH_MAX];
	char *slash;

	snprintf(above, sizeof(above), "%s%s", path[0] == '/' ? "" : "./", path);
	while ((slash = strrchr(above, '/'))) {
		slash[slash == above] = '\0';
		if (access(above, F_OK) == 0 || slash == above)
			break;
	}
	return faccessat(AT_FDCWD, above, W_OK | X_OK, AT_EACCESS) ? errno : 0;
}

int host_dir(const char *path, struct host_dir *out, struct error *err)
{
	struct statvfs fs;
	DIR *d;

	memset(out, 0, sizeof(*out));
	d = opendir(path);
	if (!d && errno == ENOENT) {
		out->unwritable = why_unmakeable(path);
		return 0;
	}
	if (!d || fstatvfs(dirfd(d), &fs)) {
		error_set(err, "cannot look into %s: %s", path, strerror(errno));
		if (d)
			closedir(d);
		return -1;
	}
	out->exists = true;
	out->available = (uint64_t)fs.f_bavail * fs.f_frsize;
	out->used = size_of(d);
	out->unwritable = why_unwritable(d);
	closedir(d);
	return 0;
}

void host_find(const char *dir, bool (*match)(const char *name), char *text, size_t size)
{
	struct dirent *entry;
	DIR *d = opendir(dir);
	size_t n = 0;

	text[0] = '\0';
	while (d && n < size && (entry = readdir(d))) {
		if (match(entry->d_name))
			n += snprintf(text + n, size - n, "%s%s", n ? " " : "", entry->d_name);
	}
	if (d)
		closedir(d);
}

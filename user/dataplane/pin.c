/* SPDX-License-Identifier: GPL-2.0-only */
#include "dataplane/pin.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "lib/util.h"

/* By what the kernel calls the open file, as bpftool does. */
static bool is_kind(int fd, enum pin_kind kind)
{
	static const char *const names[] = {
		[PIN_MAP] = "bpf-map",
		[PIN_PROGRAM] = "bpf-prog",
		[PIN_LINK] = "bpf-link",
	};
	char path[32], target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return strstr(target, names[kind]) || (kind == PIN_LINK && strstr(target, "bpf_link"));
}

static int refuse(int fd)
{
	close(fd);
	errno = EINVAL;
	return -1;
}

int pin_open(const char *path, enum pin_kind kind)
{
	int fd = bpf_obj_get(path);
	struct stat st;

	if (fd >= 0)
		return is_kind(fd, kind) ? fd : refuse(fd);
	if (errno == EACCES && lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
		errno = EINVAL;
	return -1;
}

/* A map can have come without a name: libbpf does without where a trial fails. */
static bool has_shape(const struct bpf_map_info *map, const struct map_shape *shape)
{
	return map->type == shape->type && map->key_size == shape->key_size &&
	       map->value_size == shape->value_size &&
	       (!shape->entries || map->max_entries == shape->entries) &&
	       (!shape->name || !map->name[0] ||
		strncmp(map->name, shape->name, sizeof(map->name) - 1) == 0);
}

int pin_open_map(const char *path, const struct map_shape *shape)
{
	int fd = pin_open(path, PIN_MAP);
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);

	if (fd < 0 || (bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && has_shape(&info, shape)))
		return fd;
	return refuse(fd);
}

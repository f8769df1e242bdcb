/* SPDX-License-Identifier: GPL-2.0-only */
#include "dataplane/router_maps.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <sys/stat.h>

#include "dataplane/attach.h"
#include "dataplane/dataplane_internal.h"

/* So many routers at a time: each has a descriptor a map until all are in their places. */
#define AT_ONCE 16

static const enum map_id places[ROUTER_MAPS_COUNT] = {
#define X(map, key, value, entries) MAP_##map,
	ROUTER_MAPS(X)
#undef X
};

static int make_directory(const struct dataplane *dp, uint32_t router, struct error *err)
{
	char path[PATH_MAX];
	struct stat st;

	attach_pins(dp->dir, router, path);
	if (mkdir(path, 0700) && errno != EEXIST)
		return error_set(err, "cannot create %s: %s", path, strerror(errno));
	if (lstat(path, &st) || !S_ISDIR(st.st_mode))
		return error_set(err, "%s is not a directory; look who made it, and remove it",
				 path);
	return 0;
}

static int create_map(const struct map_shape *m, struct error *err)
{
	int fd = bpf_map_create(m->type, m->name, m->key_size, m->value_size, m->entries, NULL);

	return fd >= 0 ? fd
		       : error_set(err, "cannot create the map %s: %s", m->name, strerror(errno));
}

/* The one that is pinned, or a new one, which is pinned then. The caller's to close; -1. */
static int make_map(struct dataplane *dp, uint32_t router, enum router_map_id id, struct error *err)
{
	int fd = router_map_open(dp, router, id);
	char path[PATH_MAX];

	if (fd >= 0)
		return fd;
	fd = create_map(&router_maps[id], err);
	router_map_path(dp, router, id, path);
	unlink(path);
	if (fd >= 0 && bpf_obj_pin(fd, path)) {
		error_set(err, "cannot pin %s: %s; remove what is there", path, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

static int put_maps(struct dataplane *dp, enum router_map_id id, const uint32_t *routers, size_t n,
		    struct error *err)
{
	int fds[AT_ONCE], ret = 0;
	uint32_t count = n;
	size_t made = 0;

	for (; !ret && made < n; made += !ret) {
		fds[made] = make_map(dp, routers[made], id, err);
		ret = fds[made] < 0 ? -1 : 0;
	}
	if (!ret && bpf_map_update_batch(dp->fd[places[id]], routers, fds, &count, NULL))
		ret = map_error(places[id], err);
	while (made > 0)
		close(fds[--made]);
	return ret;
}

int router_maps_make(struct dataplane *dp, const uint32_t *routers, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (make_directory(dp, routers[i], err))
			return -1;
	}
	for (int id = 0; id < ROUTER_MAPS_COUNT; id++) {
		for (size_t i = 0; i < n; i += AT_ONCE) {
			if (put_maps(dp, id, routers + i, n - i < AT_ONCE ? n - i : AT_ONCE, err))
				return -1;
		}
	}
	return 0;
}

bool router_maps_are_pinned(struct dataplane *dp, uint32_t router)
{
	for (int i = 0; i < ROUTER_MAPS_COUNT; i++) {
		_cleanup_close_ int there = router_map_open(dp, router, i);

		if (there < 0)
			return false;
	}
	return true;
}

/* What is not there ends a batch: it goes on behind that. */
static void drop_maps(struct dataplane *dp, enum map_id map, const uint32_t *routers, size_t n)
{
	while (n > 0) {
		uint32_t count = n, done;

		if (bpf_map_delete_batch(dp->fd[map], routers, &count, NULL) == 0)
			return;
		done = count < n ? count + 1 : n;
		routers += done;
		n -= done;
	}
}

void router_maps_drop(struct dataplane *dp, const uint32_t *routers, size_t n)
{
	for (int i = 0; i < ROUTER_MAPS_COUNT; i++)
		drop_maps(dp, places[i], routers, n);
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include "dataplane/router_maps.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <sys/stat.h>

#include "dataplane/attach.h"
#include "dataplane/dataplane_internal.h"
#include "dataplane/flows.h"

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

static uint32_t entries_wanted(const struct router_row *r, enum router_map_id id)
{
	return router_maps[id].entries ? router_maps[id].entries : r->flows;
}

static uint32_t entries_of(int fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.max_entries;
}

static int create_map(const struct router_row *r, enum router_map_id id, struct error *err)
{
	const struct map_shape *m = &router_maps[id];
	uint32_t entries = entries_wanted(r, id);
	int fd = bpf_map_create(m->type, m->name, m->key_size, m->value_size, entries, NULL);

	return fd >= 0 ? fd
		       : error_set(err, "cannot create the map %s with room for %u: %s", m->name,
				   entries, strerror(errno));
}

/* In the place of what is pinned there: a reader finds the one or the other. */
static int pin_map(int fd, const char *path, struct error *err)
{
	char beside[PATH_MAX];

	if (snprintf(beside, sizeof(beside), "%s-new", path) >= (int)sizeof(beside))
		return error_set(err, "cannot pin %s: the path is too long", path);
	unlink(beside);
	if (bpf_obj_pin(fd, beside) || rename(beside, path))
		return error_set(err, "cannot pin %s: %s; remove what is there", path,
				 strerror(errno));
	return 0;
}

/* One map of one router: what it is to be, and what it takes the place of. */
struct exchange {
	int fd;
	int former; /* -1: there is none */
};

static void exchange_end(struct exchange *x)
{
	if (x->fd >= 0)
		close(x->fd);
	if (x->former >= 0)
		close(x->former);
}

/* The one that is pinned, or a new one, which is pinned then. */
static int make_map(struct dataplane *dp, const struct router_row *r, enum router_map_id id,
		    struct exchange *x, struct error *err)
{
	char path[PATH_MAX];

	*x = (struct exchange){ .fd = router_map_open(dp, r->id, id), .former = -1 };
	if (x->fd >= 0 && entries_of(x->fd) == entries_wanted(r, id))
		return 0;
	x->former = x->fd;
	x->fd = create_map(r, id, err);
	router_map_path(dp, r->id, id, path);
	if (x->fd >= 0 && (x->former < 0 || !flows_copy(x->former, x->fd, err)) &&
	    !pin_map(x->fd, path, err))
		return 0;
	exchange_end(x);
	return -1;
}

static int put_maps(struct dataplane *dp, enum router_map_id id,
		    const struct router_row *const *rows, size_t n, struct error *err)
{
	struct exchange made[AT_ONCE];
	uint32_t ids[AT_ONCE], count = n;
	int fds[AT_ONCE], ret = 0;
	size_t i;

	for (i = 0; !ret && i < n; i += !ret) {
		ret = make_map(dp, rows[i], id, &made[i], err);
		ids[i] = rows[i]->id;
		fds[i] = ret ? -1 : made[i].fd;
	}
	if (!ret && bpf_map_update_batch(dp->fd[places[id]], ids, fds, &count, NULL))
		ret = map_error(places[id], err);
	while (i > 0) {
		/* what the programs made, or renewed, while it was copied */
		if (made[--i].former >= 0 && !ret)
			ret = flows_copy(made[i].former, made[i].fd, err);
		exchange_end(&made[i]);
	}
	return ret;
}

int router_maps_make(struct dataplane *dp, const struct router_row *const *routers, size_t n,
		     struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (make_directory(dp, routers[i]->id, err))
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

/* SPDX-License-Identifier: GPL-2.0-only */
#include "dataplane/events.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "dataplane/pin.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/util.h"

struct events {
	char watch_pin[PATH_MAX];
	uint32_t watch_id;
	int watch;
	int ring;
	int lock;
	struct ring_buffer *reader;
	events_fn each; /* of the events_read() that runs */
	void *context;
};

static const struct map_shape watch_shape = { .type = BPF_MAP_TYPE_ARRAY,
					      .key_size = sizeof(uint32_t),
					      .value_size = sizeof(struct tn_watch),
					      .entries = 1 };
static const struct map_shape events_shape = { .type = BPF_MAP_TYPE_RINGBUF,
					       .entries = TN_EVENTS_SIZE };

static int open_map(const char *bpffs, const char *name, const struct map_shape *shape,
		    char path[PATH_MAX], struct error *err)
{
	int fd;

	snprintf(path, PATH_MAX, "%s/maps/%s", bpffs, name);
	fd = pin_open_map(path, shape);
	if (fd < 0 && errno == ENOENT)
		return error_set(err, "nothing is attached (no %s); run `tenantnat apply` first",
				 path);
	if (fd < 0)
		return error_set(err, "cannot open %s: %m; run as root", path);
	return fd;
}

static uint32_t map_id(int fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

/* A record lock, unlike flock(2), tells who has it. */
static int take_lock(const char *state, struct error *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/monitor", state);
	fd = file_open(path, O_RDWR | O_CREAT, err);
	if (fd < 0)
		return -1;
	if (fcntl(fd, F_SETLK, &lock) == 0)
		return fd;
	if (fcntl(fd, F_GETLK, &lock) || lock.l_type == F_UNLCK || lock.l_pid <= 0)
		error_set(err, "somebody else reads the events (lock %s); end that first", path);
	else
		error_set(err, "somebody else reads the events: process %d; end it first (kill %d)",
			  (int)lock.l_pid, (int)lock.l_pid);
	close(fd);
	return -1;
}

static int on_event(void *context, void *data, size_t size)
{
	struct events *e = context;

	if (size < sizeof(struct tn_event))
		return -EPROTO;
	if (!e->each)
		return 0;
	return e->each(data, e->context) ? 0 : -ECANCELED;
}

static int open_all(struct events *e, const char *bpffs, const char *state, struct error *err)
{
	char path[PATH_MAX];

	e->watch = open_map(bpffs, "watch", &watch_shape, e->watch_pin, err);
	if (e->watch < 0)
		return -1;
	e->watch_id = map_id(e->watch);
	e->ring = open_map(bpffs, "events", &events_shape, path, err);
	if (e->ring < 0)
		return -1;
	e->lock = take_lock(state, err);
	if (e->lock < 0)
		return -1;
	e->reader = ring_buffer__new(e->ring, on_event, e, NULL);
	if (!e->reader)
		return error_set(err, "cannot map %s: %m", path);
	return events_read(e, NULL, NULL, err);
}

int events_open(const char *bpffs, const char *state, struct events **out, struct error *err)
{
	struct events *e = xzalloc(sizeof(*e));

	e->watch = e->ring = e->lock = -1;
	*out = NULL;
	if (open_all(e, bpffs, state, err)) {
		events_close(e);
		return -1;
	}
	*out = e;
	return 0;
}

void events_stop(struct events *e)
{
	static const struct tn_watch nobody;
	uint32_t zero = 0;

	bpf_map_update_elem(e->watch, &zero, &nobody, BPF_ANY);
}

void events_close(struct events *e)
{
	if (!e)
		return;
	/* without the lock, it is another's request */
	if (e->lock >= 0)
		events_stop(e);
	ring_buffer__free(e->reader);
	close_cleanup(&e->ring);
	close_cleanup(&e->watch);
	close_cleanup(&e->lock);
	free(e);
}

int events_watch(struct events *e, const struct tn_watch *want, struct error *err)
{
	_cleanup_close_ int pinned = pin_open_map(e->watch_pin, &watch_shape);
	struct tn_watch w = *want;
	uint32_t zero = 0;

	if (pinned < 0 || map_id(pinned) != e->watch_id)
		return error_set(err, "the maps that were looked at are no longer in use, because "
				      "all was detached; start again after `tenantnat apply`");
	w.expires = (clock_ms() + EVENTS_LAPSE) * 1000000;
	w.rate = EVENTS_RATE;
	if (bpf_map_update_elem(e->watch, &zero, &w, BPF_ANY))
		return error_set(err, "cannot write the map watch: %m");
	return 0;
}

int events_read(struct events *e, events_fn each, void *context, struct error *err)
{
	int got;

	e->each = each;
	e->context = context;
	got = ring_buffer__consume(e->reader);
	if (got < 0 && got != -ECANCELED)
		return error_set(err,
				 "cannot read the events: %s; is this the tenantnat that "
				 "attached the programs?",
				 strerror(-got));
	return 0;
}

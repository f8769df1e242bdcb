/* SPDX-License-Identifier: GPL-2.0-only */
#include "dataplane/events.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "dataplane/pin.h"
#include "dataplane/wanted.h"
#include "lib/clock.h"
#include "lib/util.h"

/* So long is waited for whoever changes the request; it takes him a millisecond. */
#define LOCK_WAIT_MS 2000

/* A row of the map `readers`. */
struct reader {
	struct tn_watch want;
	uint64_t position; /* bytes of the ring buffer, as its producer counts them */
};

/* The ring buffer as the kernel maps it (Documentation/bpf/ringbuf.rst). */
struct ring {
	unsigned long *consumer;
	const unsigned long *producer;
	const uint8_t *data; /* twice in a row, so that no record is in two parts */
};

struct events {
	char dir[PATH_MAX]; /* where the maps are pinned */
	int lock;	    /* that directory, for flock(2) */
	int watch;
	int ring_fd;
	int readers;
	uint32_t watch_id;
	uint64_t key; /* of our row in `readers` */
	struct reader row;
	bool has_row;
	struct tn_watch want; /* what we take; the row's is empty after events_stop() */
	struct ring ring;
	uint64_t missed;
};

static const struct map_shape watch_shape = { .type = BPF_MAP_TYPE_ARRAY,
					      .key_size = sizeof(uint32_t),
					      .value_size = sizeof(struct tn_watch),
					      .entries = 1 };
static const struct map_shape events_shape = { .type = BPF_MAP_TYPE_RINGBUF,
					       .entries = TN_EVENTS_SIZE };
static const struct map_shape readers_shape = { .type = BPF_MAP_TYPE_HASH,
						.key_size = sizeof(uint64_t),
						.value_size = sizeof(struct reader),
						.entries = EVENTS_READERS };

/* ------------------------------------------------------------ maps */

static const char *pin_of(const struct events *e, const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%.*s/%s", PATH_MAX - 16, e->dir, name);
	return path;
}

static int open_map(const struct events *e, const char *name, const struct map_shape *shape,
		    struct error *err)
{
	char path[PATH_MAX];
	int fd = pin_open_map(pin_of(e, name, path), shape);

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

static bool is_pinned(const struct events *e, const char *name, const struct map_shape *shape,
		      uint32_t id)
{
	char path[PATH_MAX];
	_cleanup_close_ int fd = pin_open_map(pin_of(e, name, path), shape);

	return fd >= 0 && map_id(fd) == id;
}

static int map_ring(struct events *e, struct error *err)
{
	long page = sysconf(_SC_PAGESIZE);
	void *consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, e->ring_fd, 0);
	void *rest = mmap(NULL, page + 2 * TN_EVENTS_SIZE, PROT_READ, MAP_SHARED, e->ring_fd, page);

	if (consumer != MAP_FAILED)
		e->ring.consumer = consumer;
	if (rest != MAP_FAILED) {
		e->ring.producer = rest;
		e->ring.data = (const uint8_t *)rest + page;
	}
	return e->ring.consumer && e->ring.producer
		       ? 0
		       : error_set(err, "cannot map the events of the programs: %m");
}

static void unmap_ring(struct events *e)
{
	long page = sysconf(_SC_PAGESIZE);

	if (e->ring.consumer)
		munmap(e->ring.consumer, page);
	if (e->ring.producer)
		munmap((void *)e->ring.producer, page + 2 * TN_EVENTS_SIZE);
}

/* ------------------------------------------------------------ readers */

static uint64_t now_ns(void)
{
	return clock_ms() * 1000000;
}

static int lock(struct events *e, struct error *err)
{
	uint64_t end = clock_ms() + LOCK_WAIT_MS;

	while (flock(e->lock, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_set(err, "cannot lock %s: %m", e->dir);
		if (!clock_left(end))
			return error_set(err,
					 "another `tenantnat trace` or `monitor` keeps %s locked; "
					 "is it stopped? end it",
					 e->dir);
		clock_sleep(1);
	}
	return 0;
}

static void unlock(struct events *e)
{
	flock(e->lock, LOCK_UN);
}

/* Called for each row but ours that counts; rows that do not are taken away with `prune`. */
typedef void reader_fn(const struct reader *r, void *context);

static size_t each_reader(struct events *e, bool prune, reader_fn *each, void *context)
{
	uint64_t key, next, *at = NULL, now = now_ns();
	uint64_t stale[EVENTS_READERS];
	size_t nstale = 0, n = 0;
	struct reader r;

	for (int i = 0; i < 2 * EVENTS_READERS && !bpf_map_get_next_key(e->readers, at, &next);
	     i++) {
		key = next;
		at = &key;
		if (key == e->key || bpf_map_lookup_elem(e->readers, &key, &r))
			continue;
		if (r.want.expires > now) {
			n++;
			each(&r, context);
		} else if (nstale < EVENTS_READERS) {
			stale[nstale++] = key;
		}
	}
	while (prune && nstale)
		bpf_map_delete_elem(e->readers, &stale[--nstale]);
	return n;
}

static void put_row(struct events *e)
{
	e->has_row = !bpf_map_update_elem(e->readers, &e->key, &e->row, BPF_ANY);
}

static void add_want(const struct reader *r, void *sum)
{
	wanted_add(sum, &r->want);
}

/* With the lock. What is wanted of programs: what all readers want. Gives how many others look. */
static size_t tell_programs(struct events *e)
{
	struct tn_watch sum = { 0 };
	uint32_t zero = 0;
	size_t others = each_reader(e, true, add_want, &sum);

	if (e->has_row)
		wanted_add(&sum, &e->row.want);
	bpf_map_update_elem(e->watch, &zero, &sum, BPF_ANY);
	return others;
}

static void keep_least(const struct reader *r, void *least)
{
	if (r->position < *(uint64_t *)least)
		*(uint64_t *)least = r->position;
}

/* What all have read, the kernel may write over. Others do the same at the same time. */
static void give_back(struct events *e)
{
	uint64_t least = e->row.position;
	unsigned long was = __atomic_load_n(e->ring.consumer, __ATOMIC_ACQUIRE);

	each_reader(e, false, keep_least, &least);
	while (was < least && !__atomic_compare_exchange_n(e->ring.consumer, &was, least, false,
							   __ATOMIC_RELEASE, __ATOMIC_ACQUIRE))
		;
}

/* With the lock, under which the last one takes it away. */
static int open_readers(struct events *e, struct error *err)
{
	char path[PATH_MAX];

	e->readers = pin_open_map(pin_of(e, "readers", path), &readers_shape);
	if (e->readers >= 0)
		return 0;
	if (errno != ENOENT)
		return error_set(err, "cannot open %s: %m; run as root", path);
	e->readers = bpf_map_create(BPF_MAP_TYPE_HASH, "readers", sizeof(uint64_t),
				    sizeof(struct reader), EVENTS_READERS, NULL);
	if (e->readers < 0 || bpf_obj_pin(e->readers, path))
		return error_set(err, "cannot make %s: %m", path);
	return 0;
}

/* Where the next event will be. The row is there first: from then on nobody gives that back. */
static int enrol(struct events *e, struct error *err)
{
	if (getrandom(&e->key, sizeof(e->key), 0) != sizeof(e->key))
		return error_set(err, "cannot get random bytes: %m");
	if (open_readers(e, err))
		return -1;
	e->row.want.expires = now_ns() + EVENTS_LAPSE * UINT64_C(1000000);
	e->row.position = __atomic_load_n(e->ring.producer, __ATOMIC_ACQUIRE);
	tell_programs(e);
	put_row(e);
	if (!e->has_row)
		return error_set(err,
				 "%d processes look at the events already; end one of these "
				 "`tenantnat monitor`",
				 EVENTS_READERS);
	e->row.position = __atomic_load_n(e->ring.producer, __ATOMIC_ACQUIRE);
	return 0;
}

/* ------------------------------------------------------------ beginning and end */

static int open_all(struct events *e, struct error *err)
{
	int ret;

	e->watch = open_map(e, "watch", &watch_shape, err);
	if (e->watch < 0)
		return -1;
	e->watch_id = map_id(e->watch);
	e->ring_fd = open_map(e, "events", &events_shape, err);
	if (e->ring_fd < 0 || map_ring(e, err))
		return -1;
	e->lock = open(e->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e->lock < 0)
		return error_set(err, "cannot open %s: %m", e->dir);
	if (lock(e, err))
		return -1;
	ret = enrol(e, err);
	unlock(e);
	return ret;
}

int events_open(const char *bpffs, struct events **out, struct error *err)
{
	struct events *e = xzalloc(sizeof(*e));

	e->watch = e->ring_fd = e->readers = e->lock = -1;
	snprintf(e->dir, sizeof(e->dir), "%s/maps", bpffs);
	*out = NULL;
	if (open_all(e, err)) {
		events_close(e);
		return -1;
	}
	*out = e;
	return 0;
}

void events_stop(struct events *e)
{
	struct error ignored = { 0 };

	/* the row stays: what was told is not read yet */
	e->row.want = (struct tn_watch){ .expires = e->row.want.expires };
	lock(e, &ignored);
	put_row(e);
	tell_programs(e);
	unlock(e);
}

/* Our row, and with the last one the map of them. */
static void leave(struct events *e)
{
	struct error ignored = { 0 };
	char path[PATH_MAX];

	lock(e, &ignored);
	bpf_map_delete_elem(e->readers, &e->key);
	e->has_row = false;
	if (!tell_programs(e) && is_pinned(e, "readers", &readers_shape, map_id(e->readers)))
		unlink(pin_of(e, "readers", path));
	unlock(e);
}

void events_close(struct events *e)
{
	if (!e)
		return;
	if (e->readers >= 0)
		leave(e);
	unmap_ring(e);
	close_cleanup(&e->readers);
	close_cleanup(&e->ring_fd);
	close_cleanup(&e->watch);
	close_cleanup(&e->lock);
	free(e);
}

/* ------------------------------------------------------------ asking */

int events_trace(struct events *e, const struct tn_watch *want, struct error *err)
{
	if (!is_pinned(e, "watch", &watch_shape, e->watch_id))
		return error_set(err, "the maps that were looked at are no longer in use, because "
				      "all was detached; start again after `tenantnat apply`");
	if (lock(e, err))
		return -1;
	e->row.want = *want;
	e->row.want.expires = now_ns() + EVENTS_LAPSE * UINT64_C(1000000);
	e->row.want.rate = EVENTS_RATE;
	e->want = e->row.want;
	put_row(e);
	tell_programs(e);
	return 0;
}

int events_watch(struct events *e, const struct tn_watch *want, struct error *err)
{
	if (events_trace(e, want, err))
		return -1;
	unlock(e);
	return 0;
}

/* ------------------------------------------------------------ reading */

/* What a record takes: its header, and all of it to a multiple of 8. */
static uint64_t record_size(uint32_t len)
{
	return (len + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
}

/* The place that is read was given back, because we had not been seen for long. */
static bool was_overtaken(struct events *e)
{
	uint64_t consumer;

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	consumer = __atomic_load_n(e->ring.consumer, __ATOMIC_ACQUIRE);
	if (consumer <= e->row.position)
		return false;
	e->missed += (consumer - e->row.position) / record_size(sizeof(struct tn_event));
	e->row.position = consumer;
	return true;
}

/* The record at our position to *out. 1: there is one; 0: none, or nothing of one; -1: an error. */
static int take_record(struct events *e, struct tn_event *out, bool *more, struct error *err)
{
	const uint8_t *record = e->ring.data + e->row.position % TN_EVENTS_SIZE;
	uint32_t len = __atomic_load_n((const uint32_t *)record, __ATOMIC_ACQUIRE);
	uint32_t size = len & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

	*more = !(len & BPF_RINGBUF_BUSY_BIT);
	if (*more)
		memcpy(out, record + BPF_RINGBUF_HDR_SZ, sizeof(*out));
	if (was_overtaken(e)) {
		*more = true;
		return 0;
	}
	if (!*more)
		return 0;
	if (size < sizeof(*out) || size >= TN_EVENTS_SIZE)
		return error_set(err, "cannot read the events: they have another size; is this "
				      "the tenantnat that attached the programs?");
	e->row.position += record_size(size);
	return !(len & BPF_RINGBUF_DISCARD_BIT);
}

static void read_request(const struct events *e, struct tn_watch *out)
{
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(e->watch, &zero, out))
		memset(out, 0, sizeof(*out));
}

/* Any number, where one in so many is wanted. */
static uint32_t chance_of(const struct tn_watch *want)
{
	uint32_t chance = 0;

	if (want->sample > 1 && getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
		return 0;
	return chance;
}

int events_read(struct events *e, events_fn each, void *context, struct error *err)
{
	uint64_t end = __atomic_load_n(e->ring.producer, __ATOMIC_ACQUIRE), from = e->row.position;
	struct tn_event event;
	struct tn_watch sum;
	bool more = true;
	int got = 0;

	read_request(e, &sum);
	while (more && e->row.position < end) {
		got = take_record(e, &event, &more, err);
		if (got < 0)
			break;
		if (got && wanted_has(&e->want, &sum, &event, chance_of(&e->want)))
			more = each(&event, context);
	}
	if (e->row.position != from)
		put_row(e);
	give_back(e);
	return got < 0 ? -1 : 0;
}

uint64_t events_missed(struct events *e)
{
	uint64_t n = e->missed;

	e->missed = 0;
	return n;
}

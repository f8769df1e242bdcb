/* SPDX-License-Identifier: GPL-2.0-only */
#include "dataplane/flows.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "dataplane/dataplane_internal.h"

void flows_free(struct flows *f)
{
	vec_free(&f->list);
}

uint32_t flows_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* Entries that are read at once. The kernel gives a bucket whole, and none is that long. */
#define AT_ONCE 4096

/* All that are open now, one by one. -1 with errno. */
static int walk(int fd, void (*each)(const struct flow *f, void *arg), void *arg)
{
	_cleanup_free_ struct tn_flow_key *keys = xrealloc(NULL, AT_ONCE, sizeof(*keys));
	_cleanup_free_ struct tn_flow *values = xrealloc(NULL, AT_ONCE, sizeof(*values));
	uint32_t now = flows_now();
	uint64_t cursor[4]; /* as in read_map() */
	bool first = true;
	int ret;

	do {
		uint32_t n = AT_ONCE;

		ret = bpf_map_lookup_batch(fd, first ? NULL : cursor, cursor, keys, values, &n,
					   NULL);
		if (ret && errno != ENOENT)
			return -1;
		for (uint32_t i = 0; i < n; i++) {
			if (values[i].expires > now)
				each(&(struct flow){ keys[i], values[i] }, arg);
		}
		first = false;
	} while (!ret);
	return 0;
}

static void take(const struct flow *f, void *arg)
{
	struct flows *out = arg;

	*vec_push(&out->list) = *f;
}

static void count(const struct flow *f, void *arg)
{
	(void)f;
	++*(size_t *)arg;
}

int dataplane_flows(struct dataplane *dp, uint32_t router, struct flows *out)
{
	_cleanup_close_ int fd = router_map_open(dp, router, ROUTER_MAP_flows);

	memset(out, 0, sizeof(*out));
	return fd < 0 ? -1 : walk(fd, take, out);
}

int dataplane_count_flows(struct dataplane *dp, uint32_t router, size_t *out)
{
	_cleanup_close_ int fd = router_map_open(dp, router, ROUTER_MAP_flows);

	*out = 0;
	return fd < 0 ? -1 : walk(fd, count, out);
}

/* No batch: the router may be active, and its programs know better when a flow ends. */
static int put(int fd, const struct flow *f)
{
	struct tn_flow there;

	if (bpf_map_lookup_elem(fd, &f->key, &there) == 0 && there.tenant == f->value.tenant &&
	    there.owner == f->value.owner && there.expires >= f->value.expires)
		return 0;
	return bpf_map_update_elem(fd, &f->key, &f->value, BPF_ANY);
}

static int by_end(const void *one, const void *two)
{
	const struct flow *a = one, *b = two;

	return a->value.expires < b->value.expires ? -1 : a->value.expires > b->value.expires;
}

int flows_copy(int from, int to, struct error *err)
{
	_cleanup_flows_ struct flows flows = { 0 };
	int ret = walk(from, take, &flows);

	vec_sort(&flows.list, by_end);
	for (size_t i = 0; !ret && i < flows.list.n; i++)
		ret = put(to, &flows.list.v[i]);
	return ret ? error_set(err, "cannot copy the flows of a router: %s", strerror(errno)) : 0;
}

static int open_flows(struct dataplane *dp, uint32_t router, struct error *err)
{
	int fd = router_map_open(dp, router, ROUTER_MAP_flows);

	if (fd < 0)
		error_set(err, "router %u has no map of flows; run `tenantnat restore`", router);
	return fd;
}

int dataplane_put_flows(struct dataplane *dp, uint32_t router, const struct flow *v, size_t n,
			struct error *err)
{
	_cleanup_close_ int fd = open_flows(dp, router, err);

	if (fd < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (put(fd, &v[i]))
			return error_set(err, "cannot write a flow of router %u: %s", router,
					 strerror(errno));
	}
	return 0;
}

int dataplane_end_flows(struct dataplane *dp, uint32_t router, const struct tn_addr *fixed,
			const struct tn_addr *shared, struct error *err)
{
	_cleanup_close_ int fd = router_map_open(dp, router, ROUTER_MAP_flows);
	_cleanup_flows_ struct flows all = { 0 };

	if (fd < 0) /* it is not attached, and comes with an empty one */
		return 0;
	if (dataplane_flows(dp, router, &all))
		return error_set(err, "cannot read the flows of router %u: %s", router,
				 strerror(errno));
	vec_each (f, &all.list) {
		if (memcmp(&f->key.fixed, fixed, sizeof(*fixed)) == 0 &&
		    memcmp(&f->key.shared, shared, sizeof(*shared)) == 0 &&
		    bpf_map_delete_elem(fd, &f->key) && errno != ENOENT)
			return error_set(err, "cannot end a flow of router %u: %s", router,
					 strerror(errno));
	}
	return 0;
}

int dataplane_mirror_flows(struct dataplane *dp, uint32_t router, const struct flow *v, size_t n,
			   struct error *err)
{
	_cleanup_free_ struct tn_flow_key *keys = xrealloc(NULL, n, sizeof(*keys));
	_cleanup_free_ struct tn_flow *values = xrealloc(NULL, n, sizeof(*values));
	_cleanup_close_ int fd = open_flows(dp, router, err);
	uint32_t count = n;

	if (fd < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		keys[i] = v[i].key;
		values[i] = v[i].value;
	}
	if (n && bpf_map_update_batch(fd, keys, values, &count, NULL))
		return error_set(err, "cannot write flows of router %u: %s", router,
				 strerror(errno));
	return 0;
}

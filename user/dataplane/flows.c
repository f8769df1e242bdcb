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

int dataplane_flows(struct dataplane *dp, uint32_t router, struct flows *out)
{
	_cleanup_free_ struct tn_flow_key *keys = xrealloc(NULL, TN_FLOWS, sizeof(*keys));
	_cleanup_free_ struct tn_flow *values = xrealloc(NULL, TN_FLOWS, sizeof(*values));
	_cleanup_close_ int fd = router_map_open(dp, router, ROUTER_MAP_flows);
	uint32_t now = flows_now();
	uint64_t cursor[4]; /* as in read_map() */
	bool first = true;
	int ret;

	memset(out, 0, sizeof(*out));
	if (fd < 0)
		return -1;
	do {
		uint32_t n = TN_FLOWS;

		ret = bpf_map_lookup_batch(fd, first ? NULL : cursor, cursor, keys, values, &n,
					   NULL);
		if (ret && errno != ENOENT)
			return -1;
		for (uint32_t i = 0; i < n; i++) {
			if (values[i].expires > now)
				*vec_push(&out->list) = (struct flow){ keys[i], values[i] };
		}
		first = false;
	} while (!ret);
	return 0;
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

int dataplane_put_flows(struct dataplane *dp, uint32_t router, const struct flow *v, size_t n,
			struct error *err)
{
	_cleanup_close_ int fd = router_map_open(dp, router, ROUTER_MAP_flows);

	if (fd < 0)
		return error_set(err, "router %u has no map of flows; run `tenantnat restore`",
				 router);
	for (size_t i = 0; i < n; i++) {
		if (put(fd, &v[i]))
			return error_set(err, "cannot write a flow of router %u: %s", router,
					 strerror(errno));
	}
	return 0;
}

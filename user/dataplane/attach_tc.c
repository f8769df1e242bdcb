/* SPDX-License-Identifier: GPL-2.0-only */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "dataplane/attach_internal.h"
#include "host/netlink.h"

static int tcx_type(const struct point *p)
{
	return p->egress ? TCX_EGRESS : TCX_INGRESS;
}

static enum bpf_tc_attach_point clsact_point(const struct point *p)
{
	return p->egress ? BPF_TC_EGRESS : BPF_TC_INGRESS;
}
/* That the qdisc is ours is written down before it is: a run that is killed leaves no stray one. */
static int clsact_hook(struct dataplane *dp, struct router_row *r, const struct point *p,
		       struct bpf_tc_hook *hook, struct error *err)
{
	int ret;

	r->flags |= TN_ROUTER_CLSACT;
	if (!netlink_has_clsact(p->ifindex))
		r->flags |= p->clsact_ours;
	if (dataplane_put_router_unfinished(dp, r, err))
		return -1;
	ret = bpf_tc_hook_create(hook);
	if (ret && ret != -EEXIST)
		return error_set(err, "cannot create a clsact qdisc: %s", strerror(-ret));
	return 0;
}

static int clsact_attach(struct dataplane *dp, struct router_row *r, const struct point *p, int fd,
			 struct error *err)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = p->ifindex,
			    .attach_point = clsact_point(p));
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .handle = CLSACT_HANDLE, .priority = CLSACT_PRIORITY,
			    .prog_fd = fd, .flags = BPF_TC_F_REPLACE);
	int ret;

	if (clsact_hook(dp, r, p, &hook, err))
		return -1;
	ret = bpf_tc_attach(&hook, &opts);
	if (ret)
		return error_set(err, "cannot attach a tc filter: %s", strerror(-ret));
	return 0;
}

uint32_t clsact_program(struct dataplane *dp, const struct router_row *r, const struct point *p)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = p->ifindex,
			    .attach_point = clsact_point(p));
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .handle = CLSACT_HANDLE,
			    .priority = CLSACT_PRIORITY);
	_cleanup_close_ int fd = program_open(dp, r, p->program);

	if (bpf_tc_query(&hook, &opts) || opts.prog_id != program_id(fd))
		return 0;
	return opts.prog_id;
}

void clsact_remove(const struct router_row *r, const struct point *p)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = p->ifindex,
			    .attach_point = clsact_point(p));
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, both, .ifindex = p->ifindex,
			    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .handle = CLSACT_HANDLE,
			    .priority = CLSACT_PRIORITY);

	if (bpf_tc_query(&hook, &opts) == 0) {
		_cleanup_close_ int fd = bpf_prog_get_fd_by_id(opts.prog_id);

		opts.prog_fd = opts.prog_id = opts.flags = 0;
		if (dataplane_program_router(fd) == r->id)
			bpf_tc_detach(&hook, &opts);
	}
	if (r->flags & p->clsact_ours && !netlink_clsact_in_use(p->ifindex))
		bpf_tc_hook_destroy(&both);
}

uint32_t link_ifindex(int fd, struct bpf_link_info *info)
{
	uint32_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	/* tcx.ifindex lies where xdp.ifindex does */
	return fd >= 0 && bpf_obj_get_info_by_fd(fd, info, &len) == 0 ? info->xdp.ifindex : 0;
}

/* The program of the pinned link, when that is to an interface of this index, in any namespace. */
static uint32_t tcx_linked(struct dataplane *dp, const struct router_row *r, const struct point *p)
{
	_cleanup_close_ int fd = link_open(dp, r, p->link);
	struct bpf_link_info info;

	return link_ifindex(fd, &info) == p->ifindex ? info.prog_id : 0;
}

/* The caller is in the namespace: links move with their interface, and another gets its index. */
uint32_t tcx_program(struct dataplane *dp, const struct router_row *r, const struct point *p)
{
	uint32_t id = tcx_linked(dp, r, p), ids[TCX_MAX], n = TCX_MAX;

	if (!id || bpf_prog_query(p->ifindex, tcx_type(p), 0, NULL, ids, &n))
		return 0;
	for (uint32_t i = 0; i < n && i < TCX_MAX; i++) {
		if (ids[i] == id)
			return id;
	}
	return 0;
}

int tc_attach(struct dataplane *dp, struct router_row *r, const struct point *p, int fd, bool renew,
	      struct error *err)
{
	_cleanup_close_ int old = -1;
	_cleanup_close_ int link = -1;

	if (renew && tcx_program(dp, r, p))
		old = link_open(dp, r, p->link);
	if (old >= 0 && bpf_link_update(old, fd, NULL) == 0)
		return pin_put(dp, r, p->program, fd, err);
	if (!getenv(NO_TCX))
		link = bpf_link_create(fd, p->ifindex, tcx_type(p), NULL);
	if (link >= 0)
		return pin_put(dp, r, p->program, fd, err) || pin_put(dp, r, p->link, link, err);
	/* a kernel without tcx does not know the attach type */
	if (!getenv(NO_TCX) && errno != EINVAL)
		return error_set(err, "cannot attach to tc: %s", strerror(errno));
	return clsact_attach(dp, r, p, fd, err) || pin_put(dp, r, p->program, fd, err);
}
int attach_has_tcx(void)
{
	uint32_t n = 0;

	if (getenv(NO_TCX))
		return 0;
	/* of the loopback interface, which every namespace has: a question alone */
	if (bpf_prog_query(1, TCX_INGRESS, 0, NULL, NULL, &n) == 0)
		return 1;
	return errno == EINVAL ? 0 : -1;
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include "dataplane/attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <xdp/libxdp.h>

#include "dataplane/pin.h"
#include "host/netlink.h"
#include "host/netns.h"
#include "lib/fd_guard.h"

/*
 * From <linux/bpf.h> of kernel 6.6; Debian 12's is older. libbpf passes an attach
 * type that it does not know through to the kernel.
 */
#define TCX_INGRESS 46
#define TCX_EGRESS  47

/* Our own handle and priority of a clsact filter: "tn". */
#define CLSACT_HANDLE	0x746e
#define CLSACT_PRIORITY 0x746e

/* Set to anything: filters of a clsact qdisc also where the kernel has tcx. */
#define NO_TCX "TENANTNAT_NO_TCX"

static const char *const via_names[] = {
#define X(id, name) [VIA_##id] = name,
	VIAS(X)
#undef X
};

const char *via_name(enum via via)
{
	return via < VIAS_COUNT ? via_names[via] : "unknown";
}

static bool via_xdp(enum hook via)
{
	return via == HOOK_XDP || via == HOOK_XDP_GENERIC;
}

/* ------------------------------------------------------------ pins */

/* One place where a tc program of the router is attached. */
struct point {
	uint32_t ifindex;
	bool egress;
	uint32_t clsact_ours; /* the flag of the router for the qdisc of this interface */
	int (*fd)(const struct instance *in);
	const char *program; /* the names of its pins */
	char link[32];
};

struct points {
	struct point v[ATTACH_POINTS];
	size_t n;
};

/* In the order of attaching: egress first, so that from then on nothing private leaves. */
static struct points points_of(const struct router_row *r)
{
	struct points p = {
		.v = { { r->ifindex, true, TN_ROUTER_CLSACT_OURS, instance_fd_out, "tc_out",
			 "link_out" },
		       { r->ifindex, false, TN_ROUTER_CLSACT_OURS, instance_fd_in, "tc_in",
			 "link_in" } },
		.n = 2,
	};

	for (size_t i = 0; i < TN_INSIDE_MAX && r->inside[i]; i++) {
		uint32_t clsact_ours = TN_ROUTER_CLSACT_OURS << (i + 1), ifindex = r->inside[i];
		struct point out = { ifindex,	      true, clsact_ours, instance_fd_inside_out,
				     "tc_inside_out", "" };
		struct point in = {
			ifindex, false, clsact_ours, instance_fd_inside, "tc_inside", ""
		};

		snprintf(out.link, sizeof(out.link), "link_inside_out_%u", ifindex);
		snprintf(in.link, sizeof(in.link), "link_inside_%u", ifindex);
		/* no sender there has a MAC address to wait for */
		if (!(r->raw & 1U << i))
			p.v[p.n++] = out;
		p.v[p.n++] = in;
	}
	return p;
}

static int tcx_type(const struct point *p)
{
	return p->egress ? TCX_EGRESS : TCX_INGRESS;
}

static enum bpf_tc_attach_point clsact_point(const struct point *p)
{
	return p->egress ? BPF_TC_EGRESS : BPF_TC_INGRESS;
}

#define XDP_PIN	      "xdp"
#define NO_DISPATCHER "LIBXDP_SKIP_DISPATCHER" /* libxdp's */

/* By id: a tenant can be renamed, and a router can change hands. */
void attach_pins(const char *bpffs, uint32_t router, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/routers/%u", bpffs, router);
}

static void pin_path(struct dataplane *dp, const struct router_row *r, const char *pin,
		     char path[PATH_MAX])
{
	size_t n;

	attach_pins(dataplane_dir(dp), r->id, path);
	n = strlen(path);
	if (pin)
		snprintf(path + n, PATH_MAX - n, "/%s", pin);
}

static int program_open(struct dataplane *dp, const struct router_row *r, const char *pin)
{
	char path[PATH_MAX];

	pin_path(dp, r, pin, path);
	return pin_open(path, PIN_PROGRAM);
}

static int link_open(struct dataplane *dp, const struct router_row *r, const char *pin)
{
	char path[PATH_MAX];

	pin_path(dp, r, pin, path);
	return pin_open(path, PIN_LINK);
}

static void pin_remove(struct dataplane *dp, const struct router_row *r, const char *pin)
{
	char path[PATH_MAX];

	pin_path(dp, r, pin, path);
	unlink(path);
}

/* In the place of what may be pinned there. */
static int pin_put(struct dataplane *dp, const struct router_row *r, const char *pin, int fd,
		   struct error *err)
{
	char path[PATH_MAX];

	pin_remove(dp, r, pin);
	pin_path(dp, r, pin, path);
	if (bpf_obj_pin(fd, path))
		return error_set(err, "cannot pin %s: %s; remove what is there", path,
				 strerror(errno));
	return 0;
}

static uint32_t program_id(int fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 ? info.id : 0;
}

/*
 * While programs are put in the place of others, the row says that they are of no build: whatever
 * a run that is killed has left, the next one renews all of them.
 */
static int put_unfinished(struct dataplane *dp, const struct router_row *r, struct error *err)
{
	struct router_row row = *r;

	row.build = 0;
	return dataplane_put_router(dp, &row, err);
}

/* ------------------------------------------------------------ tc */

/* That the qdisc is ours is written down before it is: a run that is killed leaves no stray one. */
static int clsact_hook(struct dataplane *dp, struct router_row *r, const struct point *p,
		       struct bpf_tc_hook *hook, struct error *err)
{
	int ret;

	r->flags |= TN_ROUTER_CLSACT;
	if (!netlink_has_clsact(p->ifindex))
		r->flags |= p->clsact_ours;
	if (put_unfinished(dp, r, err))
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

static uint32_t clsact_program(struct dataplane *dp, const struct router_row *r,
			       const struct point *p)
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

/*
 * The filter, if it is still this router's and not its successor's on the interface, and
 * the qdisc if we created it and nobody else uses it.
 */
static void clsact_remove(const struct router_row *r, const struct point *p)
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

/* The interface that a link is to, also in another namespace; 0 when it was detached. */
static uint32_t link_ifindex(int fd, struct bpf_link_info *info)
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

#define TCX_MAX 64 /* programs at one point: BPF_MPROG_MAX of <linux/bpf_mprog.h> */

/* The caller is in the namespace: links move with their interface, and another gets its index. */
static uint32_t tcx_program(struct dataplane *dp, const struct router_row *r, const struct point *p)
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

/*
 * Put the program in the place of what this router has there, or newly; a link of before
 * goes when the new one is there.
 */
static int tc_attach(struct dataplane *dp, struct router_row *r, const struct point *p, int fd,
		     bool renew, struct error *err)
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

/* ------------------------------------------------------------ XDP */

/* libxdp gives NULL or an error in the place of a pointer. */
static bool usable(const struct xdp_multiprog *mp)
{
	return mp && libxdp_get_error(mp) == 0;
}

static void multiprog_cleanup(struct xdp_multiprog **mp)
{
	if (usable(*mp))
		xdp_multiprog__close(*mp);
}
#define _cleanup_multiprog_ _cleanup_(multiprog_cleanup)

/* Our program among those on the interface, by itself or in libxdp's dispatcher; NULL: none. */
static struct xdp_program *xdp_find(struct xdp_multiprog *mp)
{
	struct xdp_program *prog = NULL;

	if (!usable(mp))
		return NULL;
	if (xdp_multiprog__is_legacy(mp)) {
		prog = xdp_multiprog__main_prog(mp);
		return prog && dataplane_program_router(xdp_program__fd(prog)) ? prog : NULL;
	}
	while ((prog = xdp_multiprog__next_prog(prog, mp))) {
		if (dataplane_program_router(xdp_program__fd(prog)))
			return prog;
	}
	return NULL;
}

static void xdp_detach(struct xdp_multiprog *mp, struct xdp_program *prog, uint32_t ifindex)
{
	if (prog)
		xdp_program__detach(prog, ifindex, xdp_multiprog__attach_mode(mp), 0);
}

/* Whatever is of ours there: what an interrupted run left, or one before bpffs was emptied. */
static void xdp_clear(uint32_t ifindex)
{
	_cleanup_fd_guard_ struct fd_guard guard = fd_guard_begin();
	_cleanup_multiprog_ struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex(ifindex);

	xdp_detach(mp, xdp_find(mp), ifindex);
}

/* The program that this router's row is about, not its successor's on the interface. */
static void xdp_remove(const struct router_row *r)
{
	_cleanup_fd_guard_ struct fd_guard guard = fd_guard_begin();
	_cleanup_multiprog_ struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex(r->ifindex);
	struct xdp_program *ours = xdp_find(mp);

	if (ours && dataplane_program_router(xdp_program__fd(ours)) == r->id)
		xdp_detach(mp, ours, r->ifindex);
}

static int xdp_error(const struct router_row *r, int ret, struct error *err)
{
	switch (ret) {
	case -EOPNOTSUPP:
		return error_set(err, "the driver of the shared interface has no native XDP; use "
				      "`hook: tc` or `hook: xdp-generic`");
	case -EBUSY:
	case -EEXIST:
		return error_set(err,
				 "another XDP program is on the shared interface already and this "
				 "kernel cannot share it; remove that, or use `hook: tc`");
	default:
		return error_set(err, "cannot attach XDP (%s): %s; `hook: tc` does without",
				 hook_name(r->via), strerror(-ret));
	}
}

/* 0 or what libxdp says; what goes wrong elsewhere is in `err`. */
static int xdp_try(struct dataplane *dp, struct instance *in, const struct router_row *r,
		   struct error *err)
{
	enum xdp_attach_mode mode = r->via == HOOK_XDP ? XDP_MODE_NATIVE : XDP_MODE_SKB;
	struct xdp_program *prog;
	int ret;

	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .prog_name = INSTANCE_XDP_PROGRAM);
	opts.obj = instance_xdp_object(in, err);
	if (!opts.obj)
		return -1;
	prog = xdp_program__create(&opts);
	ret = libxdp_get_error(prog);
	if (ret)
		return error_set(err, "cannot prepare the XDP program: %s", strerror(-ret));
	ret = xdp_program__attach(prog, r->ifindex, mode, 0);
	if (!ret)
		pin_put(dp, r, XDP_PIN, xdp_program__fd(prog), err);
	xdp_program__close(prog);
	return ret;
}

static int xdp_attach(struct dataplane *dp, struct instance *in, struct router_row *r,
		      struct error *err)
{
	int ret;

	xdp_clear(r->ifindex);
	ret = xdp_try(dp, in, r, err);
	/*
	 * Newer kernels (seen in 6.12) put no program that moves packet data into the dispatcher of
	 * an older libxdp (1.3.1 of Debian 12): then ours is there alone, or not at all.
	 */
	if (ret == -EINVAL && !err->set && !getenv(NO_DISPATCHER)) {
		setenv(NO_DISPATCHER, "1", 1);
		ret = xdp_try(dp, in, r, err);
		unsetenv(NO_DISPATCHER);
	}
	if (ret && !err->set) {
		if (r->hook == HOOK_AUTO)
			r->via = HOOK_TC;
		else
			xdp_error(r, ret, err);
	}
	return err->set ? -1 : 0;
}

/* ------------------------------------------------------------ routers */

static int make_router_dir(struct dataplane *dp, const struct router_row *r, struct error *err)
{
	char path[PATH_MAX];
	struct stat st;

	pin_path(dp, r, NULL, path);
	if (mkdir(path, 0700) && errno != EEXIST)
		return error_set(err, "cannot create %s: %s", path, strerror(errno));
	if (lstat(path, &st) || !S_ISDIR(st.st_mode))
		return error_set(err, "%s is not a directory; look who made it, and remove it",
				 path);
	return 0;
}

static int attach_points(struct dataplane *dp, struct instance *in, struct router_row *r,
			 bool renew, struct error *err)
{
	struct points points = points_of(r);
	int ret = make_router_dir(dp, r, err);

	if (!ret)
		ret = instance_pin(in, err);
	for (size_t i = 0; !ret && i < points.n; i++)
		ret = tc_attach(dp, r, &points.v[i], points.v[i].fd(in), renew, err);
	return ret;
}

int attach_router(struct dataplane *dp, struct instance *in, struct router_row *r,
		  struct error *err)
{
	int ret = attach_points(dp, in, r, false, err);

	if (!ret && via_xdp(r->via))
		ret = xdp_attach(dp, in, r, err);
	if (ret) {
		struct error ignored = { 0 };

		attach_remove(dp, r, &ignored);
	}
	return ret;
}

static bool same_netns(const struct router_row *a, const struct router_row *b)
{
	return a->netns_dev == b->netns_dev && a->netns_ino == b->netns_ino;
}

static bool has_point(const struct points *points, const struct point *p)
{
	for (size_t i = 0; i < points->n; i++) {
		if (points->v[i].ifindex == p->ifindex && points->v[i].egress == p->egress)
			return true;
	}
	return false;
}

/* Interfaces that were the router's, and are not any more. Their programs go last. */
static void remove_stale(struct dataplane *dp, const struct router_row *have,
			 const struct router_row *want)
{
	struct points old = points_of(have), new = points_of(want);

	for (size_t i = 0; i < old.n; i++) {
		const struct point *p = &old.v[i];

		if (has_point(&new, p))
			continue;
		clsact_remove(have, p);
		/* the shared interface's links have names of their own: these are the successor's
		 */
		if (strncmp(p->link, "link_inside_", strlen("link_inside_")) == 0)
			pin_remove(dp, have, p->link);
	}
}

void attach_inherit(const struct router_row *have, struct router_row *want)
{
	struct points old = points_of(have), new = points_of(want);

	for (size_t i = 0; same_netns(have, want) && i < new.n; i++) {
		for (size_t k = 0; k < old.n; k++) {
			if (old.v[k].ifindex == new.v[i].ifindex &&
			    have->flags &old.v[k].clsact_ours)
				want->flags |= new.v[i].clsact_ours;
		}
	}
}

int attach_renew(struct dataplane *dp, struct instance *in, const struct router_row *have,
		 struct router_row *r, struct error *err)
{
	if (!same_netns(have, r)) {
		if (attach_remove(dp, have, err))
			return -1;
		return attach_router(dp, in, r, err);
	}
	if (put_unfinished(dp, have, err))
		return -1;
	/* while XDP is off, the tc program behind it does its work */
	if (via_xdp(have->via))
		xdp_remove(have);
	if (attach_points(dp, in, r, true, err))
		return -1;
	remove_stale(dp, have, r);
	return via_xdp(r->via) ? xdp_attach(dp, in, r, err) : 0;
}

int attach_remove(struct dataplane *dp, const struct router_row *r, struct error *err)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct points points = points_of(r);
	char path[PATH_MAX];
	bool there;

	there = netns_enter_id(r->netns, r->netns_dev, r->netns_ino, &ns) == 0;
	if (there)
		xdp_remove(r);
	for (size_t i = points.n; i-- > 0;) {
		if (there)
			clsact_remove(r, &points.v[i]);
		pin_remove(dp, r, points.v[i].link);
	}
	/* and what a run that was killed left there besides */
	pin_path(dp, r, NULL, path);
	if (dataplane_unpin(path))
		return error_set(err, "cannot remove %s: %s; look what is in it, and remove it",
				 path, strerror(errno));
	return 0;
}

/* ------------------------------------------------------------ inspection */

void attach_links(struct dataplane *dp, const struct router_row *r, struct links *out)
{
	struct points points = points_of(r);
	struct bpf_link_info info;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; !(r->flags & TN_ROUTER_CLSACT) && i < points.n; i++) {
		_cleanup_close_ int fd = link_open(dp, r, points.v[i].link);

		link_ifindex(fd, &info);
		out->ids[i] = info.id;
	}
}

bool attach_is_linked(const struct router_row *r, const struct links *links)
{
	struct points points = points_of(r);
	struct bpf_link_info info;

	for (size_t i = 0; !(r->flags & TN_ROUTER_CLSACT) && i < points.n; i++) {
		_cleanup_close_ int fd = bpf_link_get_fd_by_id(links->ids[i]);

		if (link_ifindex(fd, &info) != points.v[i].ifindex)
			return false;
	}
	return true;
}

/* The caller is in the namespace. */
static void found(struct attachments *out, uint32_t ifindex, bool egress, enum via via,
		  uint32_t program)
{
	struct attachment *a;

	if (!program) {
		out->complete = false;
		return;
	}
	a = vec_push(&out->list);
	if (!if_indextoname(ifindex, a->interface))
		out->complete = false;
	a->egress = egress;
	a->via = via;
	a->program = program;
}

static void inspect_xdp(struct dataplane *dp, const struct router_row *r, struct attachments *out)
{
	_cleanup_fd_guard_ struct fd_guard guard = fd_guard_begin();
	_cleanup_close_ int pinned = program_open(dp, r, XDP_PIN);
	_cleanup_multiprog_ struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex(r->ifindex);
	struct xdp_program *ours = xdp_find(mp);
	uint32_t id = ours ? xdp_program__id(ours) : 0;
	enum via via = VIA_XDP_DISPATCHER;

	if (ours && xdp_multiprog__is_legacy(mp))
		via = xdp_multiprog__attach_mode(mp) == XDP_MODE_SKB ? VIA_XDP_GENERIC : VIA_XDP;
	found(out, r->ifindex, false, via, id == program_id(pinned) ? id : 0);
}

/* The caller is in the namespace. The programs know the shared interface by its MAC address. */
static bool has_interfaces(const struct router_row *r)
{
	char name[IF_NAMESIZE];

	for (size_t i = 0; i < TN_INSIDE_MAX && r->inside[i]; i++) {
		if (!if_indextoname(r->inside[i], name))
			return false;
	}
	return netlink_has_mac(r->ifindex, r->mac);
}

bool attach_has_place(const struct router_row *r)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;

	return netns_enter_id(r->netns, r->netns_dev, r->netns_ino, &ns) == 0 && has_interfaces(r);
}

void attach_inspect(struct dataplane *dp, const struct router_row *r, struct attachments *out)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	bool clsact = r->flags & TN_ROUTER_CLSACT;
	struct points points = points_of(r);

	memset(out, 0, sizeof(*out));
	if (netns_enter_id(r->netns, r->netns_dev, r->netns_ino, &ns))
		return;
	out->complete = instance_is_pinned(dp, r->id) && has_interfaces(r);
	if (via_xdp(r->via))
		inspect_xdp(dp, r, out);
	for (size_t i = 0; i < points.n; i++) {
		const struct point *p = &points.v[i];

		found(out, p->ifindex, p->egress, clsact ? VIA_CLSACT : VIA_TCX,
		      clsact ? clsact_program(dp, r, p) : tcx_program(dp, r, p));
	}
}

/* ------------------------------------------------------------ others */

static struct other *other_push(struct others *out, uint32_t ifindex, enum via via,
				uint32_t program)
{
	struct other *o = vec_push(&out->list);

	if (!if_indextoname(ifindex, o->interface))
		o->interface[0] = '\0';
	o->via = via;
	o->program = program;
	o->before = true;
	return o;
}

static bool program_is_ours(uint32_t id)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);

	return dataplane_program_router(fd) != 0;
}

/* tcx programs in the order in which they run; true when ours is among them. */
static bool others_tcx(uint32_t ifindex, bool egress, struct others *out)
{
	uint32_t ids[TCX_MAX], n = ARRAY_SIZE(ids);
	bool behind = false;

	if (bpf_prog_query(ifindex, egress ? TCX_EGRESS : TCX_INGRESS, 0, NULL, ids, &n))
		return false;
	for (uint32_t i = 0; i < n && i < ARRAY_SIZE(ids); i++) {
		struct other *o;

		if (program_is_ours(ids[i])) {
			behind = true;
			continue;
		}
		o = other_push(out, ifindex, VIA_TCX, ids[i]);
		o->egress = egress;
		o->before = !behind;
	}
	return behind;
}

/* Filters run when all of tcx is done, and those of a lower priority number first. */
static void others_clsact(uint32_t ifindex, bool egress, bool behind, struct others *out)
{
	uint16_t first = netlink_clsact_first(ifindex, egress);
	struct other *o;

	if (!first || first == CLSACT_PRIORITY)
		return;
	o = other_push(out, ifindex, VIA_CLSACT, 0);
	o->egress = egress;
	o->before = !behind;
}

static void others_xdp(uint32_t ifindex, struct others *out)
{
	_cleanup_fd_guard_ struct fd_guard guard = fd_guard_begin();
	_cleanup_multiprog_ struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex(ifindex);
	struct xdp_program *prog = NULL;
	bool behind = false;

	if (!usable(mp))
		return;
	if (xdp_multiprog__is_legacy(mp)) {
		prog = xdp_multiprog__main_prog(mp);
		if (prog && !dataplane_program_router(xdp_program__fd(prog)))
			other_push(out, ifindex,
				   xdp_multiprog__attach_mode(mp) == XDP_MODE_SKB ? VIA_XDP_GENERIC
										  : VIA_XDP,
				   xdp_program__id(prog));
		return;
	}
	while ((prog = xdp_multiprog__next_prog(prog, mp))) {
		if (dataplane_program_router(xdp_program__fd(prog)))
			behind = true;
		else
			other_push(out, ifindex, VIA_XDP_DISPATCHER, xdp_program__id(prog))
				->before = !behind;
	}
}

void attach_others(uint32_t ifindex, struct others *out)
{
	memset(out, 0, sizeof(*out));
	others_xdp(ifindex, out);
	for (int egress = 0; egress <= 1; egress++)
		others_clsact(ifindex, egress, others_tcx(ifindex, egress, out), out);
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

int attach_has_dispatcher(void)
{
	int ret = libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_EXT, NULL);

	return ret < 0 ? -1 : ret;
}

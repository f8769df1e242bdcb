/* SPDX-License-Identifier: GPL-2.0-only */
#include "dataplane/attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "dataplane/attach_internal.h"
#include "dataplane/pin.h"
#include "dataplane/router_maps.h"
#include "host/netlink.h"
#include "host/netns.h"
#include "lib/fd_guard.h"

static const char *const via_names[] = {
#define X(id, name) [VIA_##id] = name,
	VIAS(X)
#undef X
};

const char *via_name(enum via via)
{
	return via < VIAS_COUNT ? via_names[via] : "unknown";
}

struct points {
	struct point v[ATTACH_POINTS];
	size_t n;
};

/* In the order of attaching: egress first, so that from then on nothing private leaves. */
static struct points points_of(const struct router_row *r)
{
	struct points p = {
		.v = { { r->ifindex, true, TN_ROUTER_CLSACT_OURS, stubs_fd_out, "tc_out",
			 "link_out" },
		       { r->ifindex, false, TN_ROUTER_CLSACT_OURS, stubs_fd_in, "tc_in",
			 "link_in" } },
		.n = 2,
	};

	for (size_t i = 0; i < TN_INSIDE_MAX && r->inside[i]; i++) {
		uint32_t clsact_ours = TN_ROUTER_CLSACT_OURS << (i + 1), ifindex = r->inside[i];
		struct point out = { ifindex,	      true, clsact_ours, stubs_fd_inside_out,
				     "tc_inside_out", "" };
		struct point in = { ifindex, false, clsact_ours, stubs_fd_inside, "tc_inside", "" };

		if (r->raw & TN_VRF << i)
			continue;
		snprintf(out.link, sizeof(out.link), "link_inside_out_%u", ifindex);
		snprintf(in.link, sizeof(in.link), "link_inside_%u", ifindex);
		/* no sender there has a MAC address to wait for */
		if (!(r->raw & 1U << i))
			p.v[p.n++] = out;
		p.v[p.n++] = in;
	}
	return p;
}
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

int program_open(struct dataplane *dp, const struct router_row *r, const char *pin)
{
	char path[PATH_MAX];

	pin_path(dp, r, pin, path);
	return pin_open(path, PIN_PROGRAM);
}

int link_open(struct dataplane *dp, const struct router_row *r, const char *pin)
{
	char path[PATH_MAX];

	pin_path(dp, r, pin, path);
	return pin_open(path, PIN_LINK);
}

void pin_remove(struct dataplane *dp, const struct router_row *r, const char *pin)
{
	char path[PATH_MAX];

	pin_path(dp, r, pin, path);
	unlink(path);
}

int pin_put(struct dataplane *dp, const struct router_row *r, const char *pin, int fd,
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

uint32_t program_id(int fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 ? info.id : 0;
}

/* All that is attached, and the links; programs and the router's own maps stay pinned. */
static void take_off(struct dataplane *dp, const struct router_row *r)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct points points = points_of(r);
	bool there;

	there = netns_enter_id(r->netns, r->netns_dev, r->netns_ino, &ns) == 0;
	if (there)
		xdp_remove(r);
	for (size_t i = points.n; i-- > 0;) {
		if (there)
			clsact_remove(r, &points.v[i]);
		pin_remove(dp, r, points.v[i].link);
	}
}

int attach_remove(struct dataplane *dp, const struct router_row *r, struct error *err)
{
	char path[PATH_MAX];

	take_off(dp, r);
	/* and what a run that was killed left there besides */
	pin_path(dp, r, NULL, path);
	if (dataplane_unpin(path))
		return error_set(err, "cannot remove %s: %s; look what is in it, and remove it",
				 path, strerror(errno));
	return 0;
}

static int attach_points(struct dataplane *dp, struct stubs *s, struct router_row *r, bool renew,
			 struct error *err)
{
	struct points points = points_of(r);
	int ret = 0;

	for (size_t i = 0; !ret && i < points.n; i++)
		ret = tc_attach(dp, r, &points.v[i], points.v[i].fd(s), renew, err);
	return ret;
}

int attach_router(struct dataplane *dp, struct stubs *s, struct router_row *r, struct error *err)
{
	int ret = attach_points(dp, s, r, false, err);

	if (!ret && router_row_has_xdp(r))
		ret = xdp_attach(dp, s, r, err);
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

bool attach_stays(const struct router_row *have, struct router_row *want)
{
	if (!have->stubs_current || have->broken || !same_netns(have, want) ||
	    have->ifindex != want->ifindex || have->hook != want->hook ||
	    have->fast != want->fast || have->binds != want->binds || have->veth != want->veth ||
	    have->raw != want->raw || memcmp(have->inside, want->inside, sizeof(have->inside)) != 0)
		return false;
	want->via = have->via;
	want->flags = have->flags;
	return true;
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
	struct points old, new;

	if (!same_netns(have, want))
		return;
	old = points_of(have);
	new = points_of(want);
	for (size_t i = 0; i < new.n; i++) {
		for (size_t k = 0; k < old.n; k++) {
			if (old.v[k].ifindex == new.v[i].ifindex &&
			    have->flags &old.v[k].clsact_ours)
				want->flags |= new.v[i].clsact_ours;
		}
	}
}

int attach_renew(struct dataplane *dp, struct stubs *s, const struct router_row *have,
		 struct router_row *r, struct error *err)
{
	if (dataplane_put_router_unfinished(dp, have, err))
		return -1;
	if (!same_netns(have, r)) {
		take_off(dp, have);
		return dataplane_put_router_unfinished(dp, r, err) ? -1
								   : attach_router(dp, s, r, err);
	}
	if (dataplane_put_port(dp, r, err))
		return -1;
	/* while XDP is off, the tc program behind it does its work */
	if (router_row_has_xdp(have))
		xdp_remove(have);
	if (attach_points(dp, s, r, true, err))
		return -1;
	remove_stale(dp, have, r);
	return router_row_has_xdp(r) ? xdp_attach(dp, s, r, err) : 0;
}

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
	out->complete = router_maps_are_pinned(dp, r->id) && has_interfaces(r);
	if (router_row_has_xdp(r))
		inspect_xdp(dp, r, out);
	for (size_t i = 0; i < points.n; i++) {
		const struct point *p = &points.v[i];

		found(out, p->ifindex, p->egress, clsact ? VIA_CLSACT : VIA_TCX,
		      clsact ? clsact_program(dp, r, p) : tcx_program(dp, r, p));
	}
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include <bpf/libbpf.h>
#include <errno.h>

#include "dataplane/attach_internal.h"
#include "dataplane/programs.h"
#include "lib/fd_guard.h"

#define NO_DISPATCHER "LIBXDP_SKIP_DISPATCHER" /* libxdp's */

bool multiprog_is_usable(const struct xdp_multiprog *mp)
{
	return mp && libxdp_get_error(mp) == 0;
}

void multiprog_cleanup(struct xdp_multiprog **mp)
{
	if (multiprog_is_usable(*mp))
		xdp_multiprog__close(*mp);
}

struct xdp_program *xdp_find(struct xdp_multiprog *mp)
{
	struct xdp_program *prog = NULL;

	if (!multiprog_is_usable(mp))
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

void xdp_remove(const struct router_row *r)
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
static int xdp_try(struct dataplane *dp, struct stubs *s, const struct router_row *r, bool whole,
		   struct error *err)
{
	enum xdp_attach_mode mode = r->via == HOOK_XDP ? XDP_MODE_NATIVE : XDP_MODE_SKB;
	struct xdp_program *prog;
	int ret;

	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .prog_name = XDP_PROGRAM);
	opts.obj = stubs_xdp_object(s, whole, err);
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

int xdp_attach(struct dataplane *dp, struct stubs *s, struct router_row *r, struct error *err)
{
	bool set = getenv(NO_DISPATCHER), whole = !set && attach_has_dispatcher() == 1;
	int ret = -EINVAL;

	xdp_clear(r->ifindex);
	r->flags &= ~TN_ROUTER_XDP_WHOLE;
	if (whole) {
		ret = xdp_try(dp, s, r, true, err);
		if (!ret)
			r->flags |= TN_ROUTER_XDP_WHOLE;
	}
	/*
	 * Newer kernels (seen in 6.12) put no program that moves packet data into the dispatcher of
	 * an older libxdp (1.3.1 of Debian 12): then ours is there alone, or not at all.
	 */
	if (ret == -EINVAL && !err->set) {
		setenv(NO_DISPATCHER, "1", 1);
		ret = xdp_try(dp, s, r, false, err);
		if (!set)
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

int attach_has_dispatcher(void)
{
	static int has = -1;

	if (has < 0)
		has = libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_EXT, NULL);
	return has < 0 ? -1 : has;
}

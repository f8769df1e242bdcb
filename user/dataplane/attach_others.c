/* SPDX-License-Identifier: GPL-2.0-only */
#include <bpf/bpf.h>
#include <net/if.h>

#include "dataplane/attach_internal.h"
#include "host/netlink.h"
#include "lib/fd_guard.h"

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

	if (!multiprog_is_usable(mp))
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

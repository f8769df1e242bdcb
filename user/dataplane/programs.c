/* SPDX-License-Identifier: GPL-2.0-only */
#include "dataplane/programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "dataplane/dataplane_internal.h"
#include "dataplane/skeleton.h"
#include "host/host.h"

static enum tn_variant variant_tc(const struct router_row *r)
{
	return r->fast ? TN_VARIANT_TC_FAST : TN_VARIANT_TC_STACK;
}

static enum tn_variant variant_xdp(const struct router_row *r)
{
	if (r->via == HOOK_XDP_GENERIC)
		return TN_VARIANT_XDP_GUARD;
	if (!r->fast)
		return TN_VARIANT_XDP_STACK;
	return router_row_sends_from_veth(r) ? TN_VARIANT_XDP_VETH : TN_VARIANT_XDP_FAST;
}

static bool is_tc(enum tn_variant variant)
{
	return variant <= TN_VARIANT_TC_FAST;
}

/* The variants of tc come first, and so do they in their map. */
uint32_t programs_tc_place(const struct router_row *r, unsigned int program)
{
	return program + TN_TC_PROGRAMS * variant_tc(r);
}

uint32_t programs_xdp_place(const struct router_row *r)
{
	return variant_xdp(r) - TN_VARIANT_XDP_GUARD;
}

/* The router's variants; how many. A router whose XDP program is its own has no other. */
static size_t variants_of(const struct router_row *r, enum tn_variant out[2])
{
	size_t n = 0;

	out[n++] = variant_tc(r);
	if (router_row_has_xdp(r) && !(r->flags & TN_ROUTER_XDP_WHOLE))
		out[n++] = variant_xdp(r);
	return n;
}

bool programs_are_current(const struct dataplane *dp, const struct router_row *r)
{
	enum tn_variant variants[2];
	size_t n = variants_of(r, variants);

	for (size_t i = 0; i < n; i++) {
		if (dp->config.builds[variants[i]] != dataplane_build())
			return false;
	}
	return true;
}

static struct tenantnat *open_variant(const struct dataplane *dp, enum tn_variant variant,
				      struct error *err)
{
	struct tenantnat *skel = tenantnat__open();

	if (!skel) {
		error_set(err, "cannot open the programs: %s", strerror(errno));
		return NULL;
	}
	skel->rodata->tn_xdp_guards_only = variant == TN_VARIANT_XDP_GUARD;
	skel->rodata->tn_forward_fast = variant == TN_VARIANT_TC_FAST ||
					variant == TN_VARIANT_XDP_FAST ||
					variant == TN_VARIANT_XDP_VETH;
	skel->rodata->tn_on_veth = variant == TN_VARIANT_XDP_VETH && host_lets_programs_read();
	skel->rodata->tn_counter_slots = dp->config.capacity;
	skel->rodata->tn_slots_mask = TN_SLOTS_OWN(dp->config.capacity) - 1;
	skel->rodata->tn_cache_ticks = host_ticks(TN_CACHE_LIFE);
	skel->rodata->tn_route_gen_shift = 31 - __builtin_clz(host_ticks(TN_ROUTE_GEN_LIFE));
	skel->rodata->tn_reads_kernel = host_lets_programs_read();
	for (int i = 0; i < MAPS_COUNT; i++) {
		if (use_map(skeleton_map(skel, map_names[i]), dp->fd[i], err)) {
			tenantnat__destroy(skel);
			return NULL;
		}
	}
	return skel;
}

static int put_place(const struct dataplane *dp, enum map_id map, uint32_t place,
		     const struct bpf_program *program, struct error *err)
{
	int fd = bpf_program__fd(program);

	return bpf_map_update_elem(dp->fd[map], &place, &fd, BPF_ANY) ? map_error(map, err) : 0;
}

static int put_programs(const struct dataplane *dp, enum tn_variant variant,
			const struct tenantnat *skel, struct error *err)
{
	const struct bpf_program *const tc[TN_TC_PROGRAMS] = { skel->progs.tn_tc_shared_in,
							       skel->progs.tn_tc_shared_out,
							       skel->progs.tn_tc_inside_in,
							       skel->progs.tn_tc_inside_out };

	if (!is_tc(variant))
		return put_place(dp, MAP_programs_xdp, variant - TN_VARIANT_XDP_GUARD,
				 skel->progs.tn_xdp_shared_in, err);
	for (uint32_t i = 0; i < TN_TC_PROGRAMS; i++) {
		if (put_place(dp, MAP_programs_tc, i + TN_TC_PROGRAMS * variant, tc[i], err))
			return -1;
	}
	return 0;
}

/* While places are filled they are of no build: who comes after a run that was killed does it anew.
 */
static int keep_build(struct dataplane *dp, enum tn_variant variant, uint64_t build,
		      struct error *err)
{
	dp->config.builds[variant] = build;
	return config_write(dp) ? map_error(MAP_config, err) : 0;
}

static int load_variant(struct dataplane *dp, enum tn_variant variant, struct error *err)
{
	struct tenantnat *skel = open_variant(dp, variant, err);
	struct bpf_program *prog;
	int ret;

	if (!skel)
		return -1;
	bpf_object__for_each_program (prog, skel->obj)
		bpf_program__set_autoload(prog,
					  is_tc(variant) != (prog == skel->progs.tn_xdp_shared_in));
	ret = tenantnat__load(skel);
	if (ret)
		load_error(ret, err);
	else
		ret = keep_build(dp, variant, 0, err) || put_programs(dp, variant, skel, err) ||
		      keep_build(dp, variant, dataplane_build(), err);
	tenantnat__destroy(skel);
	return ret ? -1 : 0;
}

int programs_load(struct dataplane *dp, const struct router_row *r, struct error *err)
{
	enum tn_variant variants[2];
	size_t n = variants_of(r, variants);

	for (size_t i = 0; i < n; i++) {
		if (dp->config.builds[variants[i]] != dataplane_build() &&
		    load_variant(dp, variants[i], err))
			return -1;
	}
	return 0;
}

struct tenantnat *programs_open_xdp(struct dataplane *dp, const struct router_row *r,
				    struct error *err)
{
	struct tenantnat *skel = open_variant(dp, variant_xdp(r), err);

	if (skel)
		skel->rodata->tn_router_id = r->id;
	return skel;
}

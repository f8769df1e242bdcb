/* SPDX-License-Identifier: GPL-2.0-only */
#include "dataplane/instance.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "dataplane/dataplane_internal.h"
#include "dataplane/skeleton.h"
#include "host/host.h"

struct instance {
	struct tenantnat *tc;
	struct tenantnat *xdp;
	struct dataplane *dp;
	struct router_row router;
	int fd[ROUTER_MAPS_COUNT];
};

/* The map of the router in this object is to be this one. */
static int use_map(struct tenantnat *skel, const char *name, int fd, struct error *err)
{
	struct bpf_map *map = skeleton_map(skel, name);

	if (bpf_map__reuse_fd(map, fd))
		return error_set(err, "cannot use the pinned map %s: %s", name, strerror(errno));
	return 0;
}

static int use_maps(struct tenantnat *skel, const struct instance *in, struct error *err)
{
	for (int i = 0; i < MAPS_COUNT; i++) {
		if (use_map(skel, map_names[i], in->dp->fd[i], err))
			return -1;
	}
	for (int i = 0; i < ROUTER_MAPS_COUNT; i++) {
		if (use_map(skel, router_maps[i].name, in->fd[i], err))
			return -1;
	}
	return 0;
}

static struct tenantnat *open_for(const struct instance *in, struct error *err)
{
	const struct router_row *r = &in->router;
	struct tenantnat *skel = tenantnat__open();

	if (!skel) {
		error_set(err, "cannot open the programs: %s", strerror(errno));
		return NULL;
	}
	skel->rodata->tn_router_id = r->id;
	skel->rodata->tn_shared_ifindex = r->ifindex;
	skel->rodata->tn_xdp_guards_only = r->via == HOOK_XDP_GENERIC;
	skel->rodata->tn_sources_loose = r->sources == SOURCES_LOOSE;
	skel->rodata->tn_sources_feasible = r->sources == SOURCES_FEASIBLE;
	skel->rodata->tn_forward_fast = r->fast;
	skel->rodata->tn_counter_slots = in->dp->config.capacity;
	skel->rodata->tn_slots_mask = TN_SLOTS_OWN(in->dp->config.capacity) - 1;
	skel->rodata->tn_way_ticks = host_ticks(TN_WAY_LIFE);
	skel->rodata->tn_routes_shift = 31 - __builtin_clz(host_ticks(TN_ROUTES_LIFE));
	skel->rodata->tn_reads_kernel = host_lets_programs_read();
	skel->rodata->tn_on_veth = router_row_sends_from_veth(r) && host_lets_programs_read();
	skel->rodata->tn_inside_raw = r->raw;
	memcpy((void *)skel->rodata->tn_inside, r->inside, sizeof(r->inside));
	memcpy((void *)skel->rodata->tn_own, r->own, sizeof(r->own));
	memcpy((void *)skel->rodata->tn_mac, r->mac, sizeof(r->mac));
	if (use_maps(skel, in, err)) {
		tenantnat__destroy(skel);
		return NULL;
	}
	return skel;
}

/* An older or newer build's programs are known by it, too. */
_Static_assert(offsetof(struct tenantnat__rodata, tn_router_id) == 0,
	       "the router id comes first in .rodata, whatever comes behind it");

/* The router id among the constants of a program; 0: the map is something else. */
static uint32_t router_in_rodata(uint32_t map_id)
{
	static const char suffix[] = ".rodata";
	_cleanup_close_ int fd = bpf_map_get_fd_by_id(map_id);
	_cleanup_free_ uint32_t *value = NULL;
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info), zero = 0;
	size_t n;

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		return 0;
	n = strlen(info.name);
	if (n < strlen(suffix) || strcmp(info.name + n - strlen(suffix), suffix) != 0)
		return 0;
	value = xzalloc(info.value_size + sizeof(*value));
	return bpf_map_lookup_elem(fd, &zero, value) ? 0 : *value;
}

uint32_t dataplane_program_router(int program_fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info), router = 0;
	uint32_t ids[MAPS_COUNT + ROUTER_MAPS_COUNT + 2];

	info.nr_map_ids = ARRAY_SIZE(ids);
	info.map_ids = (uintptr_t)ids;
	if (program_fd < 0 || bpf_obj_get_info_by_fd(program_fd, &info, &len) ||
	    strncmp(info.name, "tn_", 3) != 0)
		return 0;
	for (uint32_t i = 0; !router && i < info.nr_map_ids && i < ARRAY_SIZE(ids); i++)
		router = router_in_rodata(ids[i]);
	return router;
}

/* The router's own maps: what is open there stays open when its programs are others. */
static int instance_maps(struct instance *in, struct error *err)
{
	DECLARE_LIBBPF_OPTS(bpf_map_create_opts, opts);

	for (int i = 0; i < ROUTER_MAPS_COUNT; i++)
		in->fd[i] = -1;
	for (int i = 0; i < ROUTER_MAPS_COUNT; i++) {
		const struct map_shape *m = &router_maps[i];

		in->fd[i] = router_map_open(in->dp, in->router.id, i);
		if (in->fd[i] < 0)
			in->fd[i] = bpf_map_create(BPF_MAP_TYPE_LRU_HASH, m->name, m->key_size,
						   m->value_size, m->entries, &opts);
		if (in->fd[i] < 0)
			return error_set(err, "cannot create the map %s: %s", m->name,
					 strerror(errno));
	}
	return 0;
}

int instance_pin(const struct instance *in, struct error *err)
{
	char path[PATH_MAX];

	for (int i = 0; i < ROUTER_MAPS_COUNT; i++) {
		_cleanup_close_ int there = router_map_open(in->dp, in->router.id, i);

		if (there >= 0)
			continue;
		router_map_path(in->dp, in->router.id, i, path);
		unlink(path);
		if (bpf_obj_pin(in->fd[i], path))
			return error_set(err, "cannot pin %s: %s; remove what is there", path,
					 strerror(errno));
	}
	return 0;
}

bool instance_is_pinned(struct dataplane *dp, uint32_t router)
{
	for (int i = 0; i < ROUTER_MAPS_COUNT; i++) {
		_cleanup_close_ int there = router_map_open(dp, router, i);

		if (there < 0)
			return false;
	}
	return true;
}

int instance_load(struct dataplane *dp, const struct router_row *r, struct instance **out,
		  struct error *err)
{
	struct instance *in = xzalloc(sizeof(*in));
	int ret;

	*out = NULL;
	in->dp = dp;
	in->router = *r;
	if (!instance_maps(in, err))
		in->tc = open_for(in, err);
	if (!in->tc) {
		instance_close(in);
		return -1;
	}
	bpf_program__set_autoload(in->tc->progs.tn_xdp_shared_in, false);
	ret = tenantnat__load(in->tc);
	if (ret) {
		instance_close(in);
		return error_set(err, "the kernel refused the programs: %s%s", strerror(-ret),
				 ret == -EPERM ? "; run as root"
					       : "; run again with -v for its reasons");
	}
	/* libbpf goes on without names when a trial of them fails: nobody would know them again */
	if (dataplane_program_router(instance_fd_out(in)) != r->id) {
		instance_close(in);
		return error_set(err, "the kernel did not take the programs' names; try again");
	}
	*out = in;
	return 0;
}

void instance_close(struct instance *in)
{
	if (!in)
		return;
	tenantnat__destroy(in->tc);
	tenantnat__destroy(in->xdp);
	for (int i = 0; i < ROUTER_MAPS_COUNT; i++) {
		if (in->fd[i] >= 0)
			close(in->fd[i]);
	}
	free(in);
}

int instance_fd_in(const struct instance *in)
{
	return bpf_program__fd(in->tc->progs.tn_tc_shared_in);
}

int instance_fd_out(const struct instance *in)
{
	return bpf_program__fd(in->tc->progs.tn_tc_shared_out);
}

int instance_fd_inside(const struct instance *in)
{
	return bpf_program__fd(in->tc->progs.tn_tc_inside_in);
}

int instance_fd_inside_out(const struct instance *in)
{
	return bpf_program__fd(in->tc->progs.tn_tc_inside_out);
}

struct bpf_object *instance_xdp_object(struct instance *in, struct error *err)
{
	tenantnat__destroy(in->xdp);
	in->xdp = open_for(in, err);
	return in->xdp ? in->xdp->obj : NULL;
}

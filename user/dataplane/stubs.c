/* SPDX-License-Identifier: GPL-2.0-only */
#include "dataplane/stubs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "dataplane/dataplane_internal.h"
#include "dataplane/programs.h"
#include "dataplane/skeleton.h"

struct stubs {
	struct stub *tc;
	struct stub *xdp;
	struct tenantnat *whole; /* XDP */
	struct dataplane *dp;
	struct router_row router;
};

uint64_t stubs_build(void)
{
	static uint64_t build;
	size_t size;
	const void *elf = stub__elf_bytes(&size);

	if (!build)
		build = build_of(elf, size, 0);
	return build;
}

static int share_maps(struct stub *skel, const struct dataplane *dp, struct error *err)
{
	return use_map(skel->maps.scratches, dp->fd[MAP_scratches], err) ||
			       use_map(skel->maps.programs_tc, dp->fd[MAP_programs_tc], err) ||
			       use_map(skel->maps.programs_xdp, dp->fd[MAP_programs_xdp], err)
		       ? -1
		       : 0;
}

static struct stub *open_for(const struct stubs *s, struct error *err)
{
	struct stub *skel = stub__open();

	if (!skel) {
		error_set(err, "cannot open the programs: %s", strerror(errno));
		return NULL;
	}
	skel->rodata->tn_router_id = s->router.id;
	skel->rodata->tn_forward_fast = s->router.fast;
	skel->rodata->tn_binds = s->router.binds;
	for (unsigned int i = 0; i < TN_TC_PROGRAMS; i++)
		skel->rodata->tn_places[i] = programs_tc_place(&s->router, i);
	skel->rodata->tn_places[TN_TC_PROGRAMS] = programs_xdp_place(&s->router);
	if (share_maps(skel, s->dp, err)) {
		stub__destroy(skel);
		return NULL;
	}
	return skel;
}

/* An older or newer build's programs are known by it, too. */
_Static_assert(offsetof(struct tenantnat__rodata, tn_router_id) == 0 &&
		       offsetof(struct stub__rodata, tn_router_id) == 0,
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

int stubs_load(struct dataplane *dp, const struct router_row *r, struct stubs **out,
	       struct error *err)
{
	struct stubs *s = xzalloc(sizeof(*s));
	int ret;

	*out = NULL;
	s->dp = dp;
	s->router = *r;
	s->tc = open_for(s, err);
	if (!s->tc) {
		stubs_close(s);
		return -1;
	}
	bpf_program__set_autoload(s->tc->progs.tn_xdp_shared_in, false);
	ret = stub__load(s->tc);
	if (ret) {
		stubs_close(s);
		return load_error(ret, err);
	}
	/* libbpf goes on without names when a trial of them fails: nobody would know them again */
	if (dataplane_program_router(stubs_fd_out(s)) != r->id) {
		stubs_close(s);
		return error_set(err, "the kernel did not take the programs' names; try again");
	}
	*out = s;
	return 0;
}

void stubs_close(struct stubs *s)
{
	if (!s)
		return;
	stub__destroy(s->tc);
	stub__destroy(s->xdp);
	tenantnat__destroy(s->whole);
	free(s);
}

int stubs_fd_in(const struct stubs *s)
{
	return bpf_program__fd(s->tc->progs.tn_tc_shared_in);
}

int stubs_fd_out(const struct stubs *s)
{
	return bpf_program__fd(s->tc->progs.tn_tc_shared_out);
}

int stubs_fd_inside(const struct stubs *s)
{
	return bpf_program__fd(s->tc->progs.tn_tc_inside_in);
}

int stubs_fd_inside_out(const struct stubs *s)
{
	return bpf_program__fd(s->tc->progs.tn_tc_inside_out);
}

struct bpf_object *stubs_xdp_object(struct stubs *s, bool whole, struct error *err)
{
	stub__destroy(s->xdp);
	tenantnat__destroy(s->whole);
	s->xdp = NULL;
	s->whole = NULL;
	if (whole) {
		s->whole = programs_open_xdp(s->dp, &s->router, err);
		return s->whole ? s->whole->obj : NULL;
	}
	s->xdp = open_for(s, err);
	return s->xdp ? s->xdp->obj : NULL;
}

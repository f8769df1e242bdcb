/* SPDX-License-Identifier: GPL-2.0-only */
#include "native.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shim.h"

static bool sum_right;

/*
 * The programs read their constants as volatile, because somebody else writes them before
 * they run: the loader in the kernel's case, and here we.
 */
static void constant_set(const volatile void *constant, const void *value, size_t size)
{
	uintptr_t at = (uintptr_t)constant, page = at & -(uintptr_t)sysconf(_SC_PAGESIZE);

	/* the compiler need not know what we write to: it may leave out what cannot be */
	asm volatile("" : "+r"(at));
	if (mprotect((void *)page, at + size - page, PROT_READ | PROT_WRITE)) {
		perror("making the constants of the programs writable");
		abort();
	}
	memcpy((void *)at, value, size);
}

void native_open(uint32_t router, const uint8_t mac[ETH_ALEN], uint32_t shared_ifindex)
{
	bool guards_only = false;

	native_clear();
	constant_set(&tn_router_id, &router, sizeof(router));
	constant_set(tn_mac, mac, ETH_ALEN);
	constant_set(&tn_shared_ifindex, &shared_ifindex, sizeof(shared_ifindex));
	constant_set(&tn_xdp_guards_only, &guards_only, sizeof(guards_only));
}

void native_update(const char *map, const void *key, const void *value)
{
	shim_map_update(shim_map(map), key, value);
}

void *native_lookup(const char *map, const void *key)
{
	return shim_map_lookup(shim_map(map), key);
}

void native_clear_map(const char *map)
{
	shim_map_clear(shim_map(map));
}

void native_clear(void)
{
	for (struct map *m = programs_maps; m->name; m++)
		shim_map_clear(m);
}

static int run(enum program program, struct shim_frame *f)
{
	switch (program) {
	case XDP_IN:
		return tn_xdp_shared_in(&f->xdp);
	case TC_IN:
		return tn_tc_shared_in(&f->skb);
	case TC_OUT:
		return tn_tc_shared_out(&f->skb);
	default:
		return tn_tc_inside_in(&f->skb);
	}
}

void native_run(const struct native_in *in, struct result *r)
{
	struct shim_frame f;
	int returned;

	if (tn_xdp_guards_only != in->guards_only)
		constant_set(&tn_xdp_guards_only, &in->guards_only, sizeof(in->guards_only));
	shim_frame_open(&f, in);
	returned = run(in->program, &f);
	r->marked = false;
	r->verdict = f.is_xdp ? verdict_xdp(returned) : verdict_tc(returned);
	if (f.is_xdp)
		result_meta(r, shim_meta(&f), f.meta, tn_router_id);
	r->mark = f.is_xdp ? 0 : f.skb.mark;
	r->out.len = shim_len(&f);
	shim_copy_out(&f, 0, r->out.bytes, r->out.len);
	sum_right = f.summed != SUMMED_WHOLE || shim_sum_is_right(&f);
	shim_frame_close(&f);
}

bool native_sum_is_right(void)
{
	return sum_right;
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include "native.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shim.h"

static struct native_out last;

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

static void open_constants(void)
{
	uint32_t router = RED, mask = 1, ticks = 25;

	constant_set(&tn_router_id, &router, sizeof(router));
	constant_set(&tn_cache_ticks, &ticks, sizeof(ticks));
	/* then the first slot is the own one of RED_SHARED, and no other is that of its mapping */
	constant_set(&tn_slots_mask, &mask, sizeof(mask));
}

static struct tn_router_port router_port_of(const struct native_in *in)
{
	struct tn_router_port port = {
		.self = { .router = RED, .ifindex = IF_SHARED, .raw = in->raw },
		.inside = { IF_INSIDE, IF_ASIDE },
		.xmit = { IF_INSIDE },
		.own = { addr_of(RED_OWN), addr_of(RED_OWN_6) }
	};

	port.self.flags = (in->sources_loose ? TN_PORT_LOOSE : 0) |
			  (in->feasible ? TN_PORT_FEASIBLE : 0) |
			  (in->guards_only ? TN_PORT_GUARDS : 0);
	mac_parse(MAC_ROUTER, port.mac);
	return port;
}

static void put(void *context, const char *map, const void *key, const void *value)
{
	(void)context;
	native_update(map, key, value);
}

void native_open(void)
{
	struct tn_config config = fixture_config(fixture_subnets, fixture_subnets_n);
	uint32_t zero = 0, slots = 0;

	native_clear();
	open_constants();
	native_update("config", &zero, &config);
	fixture_policy(put, NULL);
	for (size_t i = 0; i < fixture_n; i++) {
		bool mapped = fixture[i].fixed && fixture[i].router != GREEN;
		struct entry e = fixture_entry(&fixture[i], mapped ? ++slots : 0);

		native_update("by_shared", &e.shared, &e.to);
		if (mapped)
			native_update("by_fixed", &e.from, &e.back);
	}
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

void native_forget(void)
{
	shim_forget();
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
	case INSIDE_IN:
		return tn_tc_inside_in(&f->skb);
	default:
		return tn_tc_inside_out(&f->skb);
	}
}

static void switch_set(const volatile bool *constant, bool on)
{
	if (*constant != on)
		constant_set(constant, &on, sizeof(on));
}

static void tell(const struct native_in *in)
{
	/* of neighbours and of errors; in the year 1 */
	uint64_t taken[2] = { in->spent ? 1ULL << 55 : 0, in->spent ? 1ULL << 55 : 0 };
	struct tn_router_port port = router_port_of(in);
	uint32_t router = RED;

	switch_set(&tn_xdp_guards_only, in->guards_only);
	native_update("router_ports", &router, &port);
	native_update("buckets", &router, taken);
	switch_set(&tn_forward_fast, in->fast);
	switch_set(&tn_reads_kernel, in->fast || in->summed == SUMMED_PARTLY);
	table_seq = in->settled ? 2 : 0;
	watch.expires = in->watched ? UINT64_MAX : 0;
}

void native_run(const struct native_in *in, struct result *r)
{
	struct shim_frame f;
	int returned;

	tell(in);
	shim_frame_open(&f, in);
	returned = run(in->program, &f);
	r->marked = false;
	r->verdict = f.is_xdp ? verdict_xdp(returned) : verdict_tc(returned);
	if (f.is_xdp)
		result_meta(r, shim_meta(&f), f.meta, RED);
	r->mark = f.is_xdp ? 0 : f.skb.mark;
	r->out.len = shim_len(&f);
	shim_copy_out(&f, 0, r->out.bytes, r->out.len);
	shim_frame_end(&f);
	last = (struct native_out){ .priority = f.is_xdp ? 0 : f.skb.priority,
				    .egress = f.egress,
				    .into = f.into,
				    .sum_right =
					    f.summed != SUMMED_WHOLE || shim_sum_is_right(&f) };
	if (f.summed == SUMMED_PARTLY) {
		last.left_start = f.left_start;
		last.left_at = f.left_start + f.left_field;
	}
	shim_frame_close(&f);
}

struct native_out native_out(void)
{
	return last;
}

void native_finish(struct frame *f)
{
	if (last.left_at)
		shim_finish(f->bytes, f->len, last.left_start, last.left_at);
}

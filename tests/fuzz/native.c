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
	uint32_t router = RED, ifindex = IF_SHARED, mask = 1, ticks = 25;
	uint32_t inside[TN_INSIDE_MAX] = { IF_INSIDE, IF_ASIDE };
	uint8_t mac[ETH_ALEN];

	mac_parse(MAC_ROUTER, mac);
	constant_set(&tn_router_id, &router, sizeof(router));
	constant_set(tn_mac, mac, ETH_ALEN);
	constant_set(&tn_shared_ifindex, &ifindex, sizeof(ifindex));
	constant_set(tn_inside, inside, sizeof(inside));
	constant_set(&tn_way_ticks, &ticks, sizeof(ticks));
	/* then the first slot is the own one of RED_SHARED, and no other is that of its mapping */
	constant_set(&tn_slots_mask, &mask, sizeof(mask));
	for (size_t i = 0; i < fixture_n; i++) {
		struct entry e = fixture_entry(&fixture[i], 0);

		if (fixture[i].router == RED && !fixture[i].fixed)
			constant_set(&tn_own[strchr(fixture[i].shared, ':') ? 1 : 0], &e.shared,
				     sizeof(e.shared));
	}
}

static void put(void *context, const char *map, const void *key, const void *value)
{
	(void)context;
	native_update(map, key, value);
}

void native_open(void)
{
	struct tn_config config = fixture_config(fixture_subnets, fixture_subnets_n);
	struct tn_router_port port = { .xmit = { IF_INSIDE } };
	uint32_t zero = 0, slots = 0, router = RED;

	mac_parse(MAC_ROUTER, port.mac);
	native_clear();
	open_constants();
	native_update("config", &zero, &config);
	fixture_policy(put, NULL);
	native_update("router_ports", &router, &port);
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
	uint32_t zero = 0, raw = in->raw;

	switch_set(&tn_xdp_guards_only, in->guards_only);
	switch_set(&tn_sources_loose, in->sources_loose);
	switch_set(&tn_sources_feasible, in->feasible);
	if (tn_inside_raw != raw)
		constant_set(&tn_inside_raw, &raw, sizeof(raw));
	native_update("buckets", &zero, taken);
	switch_set(&tn_forward_fast, in->fast);
	switch_set(&tn_reads_kernel, in->fast || in->summed == SUMMED_PARTLY);
	changes = in->settled ? 2 : 0;
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
		result_meta(r, shim_meta(&f), f.meta, tn_router_id);
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

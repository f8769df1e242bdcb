/* SPDX-License-Identifier: GPL-2.0-only */
/* The pinned maps, and the constants of the programs. Keys and values: tn_abi.h. */
#ifndef TN_BPF_MAPS_H
#define TN_BPF_MAPS_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "programs.h"

/*
 * The constants of a variant of the programs (enum tn_variant), and of this machine. Which router a
 * packet is judged for the stub says (programs.h), unless the program is of one router alone, as in
 * libxdp's dispatcher, which calls no stubs. (With a value, so that the compiler puts it first: by
 * that, others know the program.)
 */
const volatile __u32 tn_router_id = 0;
/* That the XDP program is to drop, but to leave all translation to tc, */
const volatile bool tn_xdp_guards_only;
/* that packets go past the stack where it has nothing to add, */
const volatile bool tn_forward_fast;
/* and that the driver of a veth has XDP do so: see veth.h. */
const volatile bool tn_on_veth;
/* Counters of each CPU in the map of these. */
const volatile __u32 tn_counter_slots;
/*
 * What a shared address has in common with the slot that is its own; 0: none has one. And a fixed
 * one with its place in `slots`.
 */
const volatile __u32 tn_slots_mask;
/* TN_CACHE_LIFE in ticks of the kernel: to look at these is no call of a helper. */
const volatile __u32 tn_cache_ticks;
/* TN_ROUTE_GEN_LIFE, as a power of two of these (the exponent). */
const volatile __u32 tn_route_gen_shift;
/* Whether this kernel lets programs read what kernel.h reads. */
const volatile bool tn_reads_kernel;

#define NS_PER_S 1000000000ULL

/*
 * The loader sets max_entries of the first three by the number of mappings that
 * it has room for, and of those that have a part for each CPU by the number of these. They are
 * plain hashes, never LRU: a full map is an error that the loader reports before it changes
 * anything.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct tn_addr);
	__type(value, struct tn_shared);
} by_shared SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct tn_fixed_key);
	__type(value, struct tn_fixed);
} by_fixed SEC(".maps");

/*
 * Of a CPU after that of the other, and no map of the kernel's own for each CPU: that allocates
 * every element alone, and costs a packet one look at memory more.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tn_record);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TN_ROUTERS_MAX);
	__type(key, __u32);
	__type(value, struct tn_drops);
} drops SEC(".maps");

/* The loader sets max_entries of these three by the number of rules that it has room for. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct tn_accept_key);
	__type(value, struct tn_accept);
} accepts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct tn_service_key);
	__type(value, struct tn_service);
} services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, TN_WITHDRAWN);
	__type(key, struct tn_service_key);
	__type(value, __u32);
} withdrawn SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} hits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, TN_POOLS_MAX);
	__type(key, struct tn_pool_key);
	__type(value, __u32);
} pools SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, TN_PREFIXES_MAX);
	__type(key, struct tn_prefix_key);
	__type(value, struct tn_addr);
} prefixes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct tn_addr);
	__type(value, struct tn_limit);
} limits SEC(".maps");

/* One of these two for each router, in a map of maps: nobody can push out what is another tenant's.
 */
struct flow_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, TN_FLOWS);
	__uint(key_size, sizeof(struct tn_flow_key));
	__uint(value_size, sizeof(struct tn_flow));
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, TN_ROUTERS_MAX);
	__type(key, __u32);
	__array(values, struct flow_map);
} flows SEC(".maps");

struct fragment_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, TN_FRAGMENTS);
	__uint(key_size, sizeof(struct tn_fragment_key));
	__uint(value_size, sizeof(struct tn_fragment));
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, TN_ROUTERS_MAX);
	__type(key, __u32);
	__array(values, struct fragment_map);
} fragments SEC(".maps");

/* Global data is a map of one element, too, but to look at it is no look-up. */
volatile __u64 table_seq SEC(".data.table_seq");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE); /* begins with a page: no element is in a line more */
	__uint(max_entries, TN_PAIRS);
	__type(key, __u32);
	__type(value, struct tn_pair);
} pairs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TN_PAIRS);
	__type(key, __u32);
	__type(value, struct tn_pair_v6);
} pairs_v6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TN_HOPS);
	__type(key, __u32);
	__type(value, struct tn_hop);
} hops SEC(".maps");

struct tn_watch watch SEC(".data.watch");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, TN_EVENTS_SIZE);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, TN_ROUTERS_MAX);
	__type(key, __u32);
	__type(value, struct tn_router);
} routers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TN_ROUTERS_MAX);
	__type(key, __u32);
	__type(value, struct tn_router_port);
} router_ports SEC(".maps");

/*
 * By router id: until when an elected router may forward, in nanoseconds of CLOCK_BOOTTIME, which
 * goes on while the machine is suspended. 0: not at all. A time that has passed cannot be undone by
 * whoever writes it late.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TN_ROUTERS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} elected SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tn_config);
} config SEC(".maps");

#endif

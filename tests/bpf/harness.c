/* SPDX-License-Identifier: GPL-2.0-only */
#include "harness.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "../fuzz/input.h"
#include "host/host.h"
#include "lib/addr.h"
#include "tenantnat.skel.h"

#ifndef BPF_F_TEST_SKB_CHECKSUM_COMPLETE
#define BPF_F_TEST_SKB_CHECKSUM_COMPLETE (1U << 2)
#endif

struct mapping {
	enum lab_router router;
	struct tn_addr fixed, shared; /* of a prefix the first ones */
	uint8_t bits;		      /* host bits of a prefix; 0: it is none */
};

struct lab {
	struct tenantnat *skel;
	int cpus;
	const struct tn_record *counters; /* the map's memory: they are read very often */
	bool own_slots;
	uint32_t router;
	int flows, fragments; /* of that router */
	size_t n;
	struct mapping mappings[MAPPINGS_MAX]; /* by slot; 0 is nobody's */
};

/* ---------------------------------------------------------------- setting up */

void need(bool ok, const char *what)
{
	if (!ok)
		cr_assert_fail("%s: %s", what, strerror(errno));
}

static const char *mac_of(const struct lab_options *o)
{
	return o->mac ? o->mac : MAC_ROUTER;
}

/*
 * A test run's frame comes from loopback, and is to this host (PACKET_HOST) when
 * it has loopback's MAC address: so that has to be the router's.
 */
static void enter_netns(const char *mac)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_hwaddr.sa_family = ARPHRD_LOOPBACK };
	_cleanup_close_ int fd = -1;

	need(unshare(CLONE_NEWNET) == 0, "a network namespace (as root?)");
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	mac_parse(mac, (uint8_t *)lo.ifr_hwaddr.sa_data);
	need(fd >= 0 && ioctl(fd, SIOCSIFHWADDR, &lo) == 0, "the MAC address of loopback");
}

static void share_maps(struct lab *lab, const struct lab *with)
{
	struct bpf_map *map = NULL, *other;

	while ((map = bpf_object__next_map(lab->skel->obj, map))) {
		if (map == lab->skel->maps.rodata)
			continue;
		other = bpf_object__find_map_by_name(with->skel->obj, bpf_map__name(map));
		need(bpf_map__reuse_fd(map, bpf_map__fd(other)) == 0, "sharing the maps");
	}
}

static struct bpf_program *lab_program(const struct lab *lab, enum program program)
{
	struct bpf_program *const progs[] = { lab->skel->progs.tn_xdp_shared_in,
					      lab->skel->progs.tn_tc_shared_in,
					      lab->skel->progs.tn_tc_shared_out,
					      lab->skel->progs.tn_tc_inside_in,
					      lab->skel->progs.tn_tc_inside_out };

	return progs[program];
}

static uint64_t changes_of(const struct lab *lab)
{
	uint32_t zero = 0;
	uint64_t n;

	need(bpf_map_lookup_elem(lab_map_fd(lab, "table_seq"), &zero, &n) == 0, "table_seq");
	return n;
}

void lab_changes(struct lab *lab, bool under_way)
{
	uint64_t n = (changes_of(lab) | 1) + !under_way;
	uint32_t zero = 0;

	need(bpf_map_update_elem(lab_map_fd(lab, "table_seq"), &zero, &n, BPF_ANY) == 0,
	     "table_seq");
}

void lab_changed(struct lab *lab)
{
	if (!(changes_of(lab) & 1))
		lab_changes(lab, false);
}

static void put(void *context, const char *map, const void *key, const void *value)
{
	struct lab *lab = context;
	int fd = bpf_object__find_map_fd_by_name(lab->skel->obj, map);

	need(bpf_map_update_elem(fd, key, value, BPF_ANY) == 0, map);
	lab_changed(lab);
}

static size_t counters_size(const struct lab *lab)
{
	return MAPPINGS_MAX * lab->cpus * sizeof(*lab->counters);
}

/* The router's own map in that map of maps: one of before, or a new one. */
static int router_map(struct lab *lab, const struct bpf_map *all, size_t key_size,
		      size_t value_size, uint32_t entries)
{
	int fd;
	uint32_t id;

	if (bpf_map_lookup_elem(bpf_map__fd(all), &lab->router, &id) == 0) {
		fd = bpf_map_get_fd_by_id(id);
		need(fd >= 0, bpf_map__name(all));
		return fd;
	}
	fd = bpf_map_create(BPF_MAP_TYPE_LRU_HASH, bpf_map__name(all), key_size, value_size,
			    entries, NULL);
	need(fd >= 0 && bpf_map_update_elem(bpf_map__fd(all), &lab->router, &fd, BPF_ANY) == 0,
	     bpf_map__name(all));
	return fd;
}

static void put_self(struct lab *lab, const struct lab_options *o)
{
	struct tn_router_port port = { .own = { addr_of(RED_OWN), addr_of(RED_OWN_6) },
				       .grace = o->grace };

	port.self.router = lab->router;
	port.self.ifindex = o->shared_at ? o->shared_at : 1; /* loopback, where test runs are */
	port.self.raw = o->raw ? ~0U : 0;
	port.self.flags =
		(o->loose ? TN_PORT_LOOSE : 0) | (o->feasible ? TN_PORT_FEASIBLE : 0) |
		(o->guards_only ? TN_PORT_GUARDS : 0) | (o->by_address ? TN_PORT_BY_ADDRESS : 0) |
		(o->needs_v4 ? TN_PORT_NEEDS_V4 : 0) | (o->needs_v6 ? TN_PORT_NEEDS_V6 : 0);
	/* whatever interface a test makes is inside; the first is loopback */
	for (size_t i = 0; i < TN_INSIDE_MAX; i++)
		port.inside[i] = i + 2;
	mac_parse(mac_of(o), port.mac);
	put(lab, "router_ports", &lab->router, &port);
}

static struct lab *load(const struct lab_options *o, const struct lab *beside)
{
	struct lab *lab = xzalloc(sizeof(*lab));

	lab->own_slots = o->own_slots;
	lab->n = o->own_slots ? TN_SLOTS_OWN(MAPPINGS_MAX) : 1;
	lab->cpus = libbpf_num_possible_cpus();
	lab->skel = tenantnat__open();
	need(lab->skel, "opening the programs");
	lab->router = o->router ? o->router : RED;
	lab->skel->rodata->tn_router_id = o->by_stubs ? 0 : lab->router;
	lab->skel->rodata->tn_xdp_guards_only = o->guards_only;
	lab->skel->rodata->tn_forward_fast = o->fast;
	bpf_map__set_max_entries(lab->skel->maps.by_shared, MAPPINGS_MAX);
	bpf_map__set_max_entries(lab->skel->maps.by_fixed, MAPPINGS_MAX);
	lab->skel->rodata->tn_counter_slots = MAPPINGS_MAX;
	lab->skel->rodata->tn_slots_mask = TN_SLOTS_OWN(MAPPINGS_MAX) - 1;
	lab->skel->rodata->tn_cache_ticks = LAB_CACHE_TICKS;
	lab->skel->rodata->tn_route_gen_shift = o->routes_shift ? o->routes_shift : 31;
	lab->skel->rodata->tn_reads_kernel = !o->reads_nothing && host_lets_programs_read();
	lab->skel->rodata->tn_on_veth = o->on_veth && host_lets_programs_read();
	bpf_map__set_max_entries(lab->skel->maps.counters, MAPPINGS_MAX * lab->cpus);
	bpf_map__set_max_entries(lab->skel->maps.slots, TN_SLOTS_OWN(MAPPINGS_MAX));
	bpf_map__set_max_entries(lab->skel->maps.pairs, TN_PAIRS * lab->cpus);
	bpf_map__set_max_entries(lab->skel->maps.pairs_v6, TN_PAIRS * lab->cpus);
	bpf_map__set_max_entries(lab->skel->maps.hops, TN_HOPS * lab->cpus);
	bpf_map__set_max_entries(lab->skel->maps.accepts, RULES_MAX);
	bpf_map__set_max_entries(lab->skel->maps.services, RULES_MAX);
	bpf_map__set_max_entries(lab->skel->maps.hits, RULES_MAX);
	bpf_map__set_max_entries(lab->skel->maps.limits, MAPPINGS_MAX);
	if (beside)
		share_maps(lab, beside);
	for (int i = 0; o->programs && i < PROGRAMS; i++)
		bpf_program__set_autoload(lab_program(lab, i), o->programs & 1U << i);
	need(tenantnat__load(lab->skel) == 0, "loading the programs");
	lab->counters = mmap(NULL, counters_size(lab), PROT_READ, MAP_SHARED,
			     bpf_map__fd(lab->skel->maps.counters), 0);
	need(lab->counters != MAP_FAILED, "mapping the counters");
	lab->flows = router_map(lab, lab->skel->maps.flows, sizeof(struct tn_flow_key),
				sizeof(struct tn_flow), TN_FLOWS);
	lab->fragments = router_map(lab, lab->skel->maps.fragments, sizeof(struct tn_fragment_key),
				    sizeof(struct tn_fragment), TN_FRAGMENTS);
	put_self(lab, o);
	return lab;
}

/* Which have the mappings of the fixture in them. */
static const struct fixture prefixes[] = {
	{ RED, RED_LAN, RED_SHARED_LAN },     { BLUE, RED_LAN, "100.64.3.0/24" },
	{ GREEN, RED_LAN, "100.64.2.0/24" },  { RED, RED_LAN_6, RED_SHARED_LAN_6 },
	{ BLUE, RED_LAN_6, "fd64::3:0/112" }, { GREEN, RED_LAN_6, "fd64::2:0/112" },
};

struct lab *lab_open(const struct lab_options *o)
{
	struct lab *lab;

	enter_netns(mac_of(o));
	lab = load(o, NULL);
	lab_subnets(lab, fixture_subnets, fixture_subnets_n);
	if (!o->strict)
		fixture_policy(put, lab);
	for (size_t i = 0; !o->bare && i < fixture_n; i++) {
		if (!o->as_prefixes || !fixture[i].fixed)
			lab_map(lab, fixture[i].router, fixture[i].fixed, fixture[i].shared);
	}
	for (size_t i = 0; o->as_prefixes && i < ARRAY_SIZE(prefixes); i++)
		lab_prefix(lab, prefixes[i].router, prefixes[i].fixed, prefixes[i].shared);
	return lab;
}

struct lab *lab_open_beside(const struct lab *lab, const struct lab_options *o)
{
	return load(o, lab);
}

void lab_close(struct lab *lab)
{
	munmap((void *)lab->counters, counters_size(lab));
	close(lab->flows);
	close(lab->fragments);
	tenantnat__destroy(lab->skel);
	free(lab);
}

int lab_fd(const struct lab *lab, enum program program)
{
	return bpf_program__fd(lab_program(lab, program));
}

struct bpf_object *lab_object(const struct lab *lab)
{
	return lab->skel->obj;
}

/* As the loader gives them. */
static uint32_t free_slot(struct lab *lab, const struct tn_addr *shared)
{
	uint32_t own = ntohl(shared->w[3]) & (TN_SLOTS_OWN(MAPPINGS_MAX) - 1);

	if (lab->own_slots && own && addr_is_v4(shared) && !lab->mappings[own].router)
		return own;
	if (lab->n == MAPPINGS_MAX)
		cr_assert_fail("too many mappings");
	return lab->n++;
}

void lab_map(struct lab *lab, enum lab_router router, const char *fixed, const char *shared)
{
	struct tn_addr address = addr_of(shared);
	uint32_t slot = fixed && router ? free_slot(lab, &address) : 0;
	struct entry e = fixture_entry(&(struct fixture){ router, fixed, shared }, slot);

	if (slot) {
		lab->mappings[slot] = (struct mapping){ router, e.to.fixed, e.shared, 0 };
		need(bpf_map_update_elem(bpf_map__fd(lab->skel->maps.by_fixed), &e.from, &e.back,
					 BPF_NOEXIST) == 0,
		     fixed);
	}
	need(bpf_map_update_elem(bpf_map__fd(lab->skel->maps.by_shared), &e.shared, &e.to,
				 BPF_NOEXIST) == 0,
	     shared);
	lab_changed(lab);
}

static void put_prefix(struct lab *lab, uint32_t router, const struct tn_addr *a, uint32_t bits,
		       const struct tn_addr *first)
{
	struct tn_prefix_key key = { .len = TN_PREFIX_LEN(128 - bits),
				     .router = router,
				     .addr = *a };

	put(lab, "prefixes", &key, first);
}

void lab_prefix(struct lab *lab, enum lab_router router, const char *fixed, const char *shared)
{
	struct prefix from = prefix_of(fixed), to = prefix_of(shared);
	uint32_t slot = router ? free_slot(lab, &to.addr) : 0;
	struct entry e =
		fixture_entry(&(struct fixture){ router, ADDR(&from.addr), ADDR(&to.addr) }, slot);

	e.to.flags |= TN_SHARED_PREFIX | (128U - from.len) << TN_PREFIX_BITS;
	e.back.flags = e.to.flags;
	for (int i = 0; i < 4; i++)
		e.to.fixed.w[i] = e.back.shared.w[i] = from.addr.w[i] ^ to.addr.w[i];
	if (slot) {
		lab->mappings[slot] =
			(struct mapping){ router, from.addr, to.addr, (uint8_t)(128 - from.len) };
		put(lab, "by_fixed", &e.from, &e.back);
		put_prefix(lab, router, &from.addr, 128 - from.len, &from.addr);
	}
	put(lab, "by_shared", &to.addr, &e.to);
	put_prefix(lab, 0, &to.addr, 128 - from.len, &to.addr);
}

void lab_except(struct lab *lab, enum lab_router router, const char *fixed, const char *shared)
{
	struct tn_addr from = addr_of(fixed), to = addr_of(shared), none = { 0 };

	put_prefix(lab, router, &from, 0, &none);
	put_prefix(lab, 0, &to, 0, &none);
}

void lab_unmap(struct lab *lab, enum lab_router router, const char *fixed, const char *shared)
{
	struct entry e = fixture_entry(&(struct fixture){ router, fixed, shared }, 0);

	for (size_t i = 1; i < lab->n; i++) {
		if (!memcmp(&lab->mappings[i].shared, &e.shared, sizeof(e.shared)))
			lab->mappings[i] = (struct mapping){ 0 };
	}
	need(bpf_map_delete_elem(bpf_map__fd(lab->skel->maps.by_shared), &e.shared) == 0, shared);
	if (fixed && router)
		need(bpf_map_delete_elem(bpf_map__fd(lab->skel->maps.by_fixed), &e.from) == 0,
		     fixed);
	lab_changed(lab);
}

void lab_subnets(struct lab *lab, const char *const *subnets, size_t n)
{
	struct tn_config config = fixture_config(subnets, n);
	uint32_t zero = 0;

	need(bpf_map_update_elem(bpf_map__fd(lab->skel->maps.config), &zero, &config, BPF_ANY) == 0,
	     "writing the configuration");
	lab_changed(lab);
}

int lab_map_fd(const struct lab *lab, const char *name)
{
	int fd = bpf_object__find_map_fd_by_name(lab->skel->obj, name);
	char section[32];

	if (strcmp(name, "flows") == 0)
		return lab->flows;
	if (strcmp(name, "fragments") == 0)
		return lab->fragments;
	/* global data */
	snprintf(section, sizeof(section), ".data.%s", name);
	return fd >= 0 ? fd : bpf_object__find_map_fd_by_name(lab->skel->obj, section);
}

/* A flag of a mapping, in both of its rows. */
static void set_flag(struct lab *lab, const char *shared, uint32_t flag)
{
	int by_shared = lab_map_fd(lab, "by_shared"), by_fixed = lab_map_fd(lab, "by_fixed");
	struct tn_addr a = addr_of(shared);
	struct tn_fixed_key key;
	struct tn_shared to;
	struct tn_fixed back;

	need(bpf_map_lookup_elem(by_shared, &a, &to) == 0, shared);
	key = (struct tn_fixed_key){ .router = to.router, .fixed = to.fixed };
	for (int i = 0; to.flags & TN_SHARED_PREFIX && i < 4; i++)
		key.fixed.w[i] ^= a.w[i];
	to.flags |= flag;
	need(bpf_map_update_elem(by_shared, &a, &to, BPF_EXIST) == 0, shared);
	lab_changed(lab);
	if (bpf_map_lookup_elem(by_fixed, &key, &back))
		return;
	back.flags |= flag;
	need(bpf_map_update_elem(by_fixed, &key, &back, BPF_EXIST) == 0, shared);
	lab_changed(lab);
}

static void put_service(struct lab *lab, struct tn_service_key *key, uint8_t shift, uint16_t block,
			const struct tn_service *value)
{
	key->shift = shift;
	key->block = block;
	put(lab, "services", key, value);
}

void lab_accept(struct lab *lab, enum lab_router router, const char *to, uint32_t from,
		unsigned int class, uint16_t first, uint16_t last, uint32_t rule)
{
	lab_accept_until(lab, router, to, from, class, first, last, rule, 0);
}

void lab_accept_until(struct lab *lab, enum lab_router router, const char *to, uint32_t from,
		      unsigned int class, uint16_t first, uint16_t last, uint32_t rule,
		      uint32_t until)
{
	struct tn_service value = { .rule = rule, .until = until };
	struct tn_service_key key = { .accept = { .tenant = fixture_tenant(router), .from = from },
				      .class = class };
	int accepts = lab_map_fd(lab, "accepts");
	struct tn_accept row = { 0 };

	if (to) {
		key.accept.to = addr_of(to);
		set_flag(lab, to, TN_SHARED_NAMED);
	}
	bpf_map_lookup_elem(accepts, &key.accept, &row);
	if (class == TN_CLASSES_COUNT) {
		row.rule = rule;
		row.until = until;
	} else if (!first && last == 0xffff) {
		row.blocks[class] |= 1U << TN_SHIFT_ALL / TN_SHIFT_STEP;
		put_service(lab, &key, TN_SHIFT_ALL, 0, &value);
	} else {
		row.blocks[class] |= 1;
		for (uint32_t service = first; service <= last; service++)
			put_service(lab, &key, 0, service, &value);
	}
	put(lab, "accepts", &key.accept, &row);
}

uint32_t lab_tai(void)
{
	struct timespec now;

	clock_gettime(CLOCK_TAI, &now);
	return (uint32_t)now.tv_sec;
}

void lab_accept_nothing(struct lab *lab)
{
	int accepts = lab_map_fd(lab, "accepts");
	struct tn_accept_key key;

	while (!bpf_map_get_next_key(accepts, NULL, &key))
		need(bpf_map_delete_elem(accepts, &key) == 0, "removing a rule");
	lab_changed(lab);
}

void lab_pool(struct lab *lab, const char *prefix, uint32_t tenant)
{
	struct tn_pool_key key;
	struct prefix p;

	need(prefix_parse(prefix, &p), prefix);
	key = (struct tn_pool_key){ .len = p.len, .prefix = p.addr };
	put(lab, "pools", &key, &tenant);
}

void lab_router_port(struct lab *lab, enum lab_router router, const char *mac)
{
	lab_router_port_as(lab, router, mac, 0);
}

void lab_router_port_as(struct lab *lab, enum lab_router router, const char *mac, uint32_t flags)
{
	struct tn_router_port port = { .self = { .router = router, .flags = flags } };

	mac_parse(mac, port.mac);
	put(lab, "router_ports", &port.self.router, &port);
}

void lab_xmit(struct lab *lab, uint32_t ifindex)
{
	struct tn_router_port port;

	need(bpf_map_lookup_elem(lab_map_fd(lab, "router_ports"), &lab->router, &port) == 0,
	     "router_ports");
	port.xmit[0] = ifindex;
	need(bpf_map_update_elem(lab_map_fd(lab, "router_ports"), &lab->router, &port, BPF_ANY) ==
		     0,
	     "router_ports");
}

void lab_bind(struct lab *lab, const char *fixed, const char *shared, const char *mac)
{
	int ports = lab_map_fd(lab, "router_ports"), by_fixed = lab_map_fd(lab, "by_fixed");
	struct tn_fixed_key key = { .router = lab->router, .fixed = addr_of(fixed) };
	struct tn_router_port port;
	struct tn_fixed back;

	set_flag(lab, shared, TN_SHARED_BOUND);
	need(bpf_map_lookup_elem(by_fixed, &key, &back) == 0, fixed);
	need(mac_parse(mac, back.mac), mac);
	put(lab, "by_fixed", &key, &back);
	need(bpf_map_lookup_elem(ports, &lab->router, &port) == 0, "router_ports");
	port.self.flags |= TN_PORT_BINDS;
	put(lab, "router_ports", &lab->router, &port);
}

void lab_limit(struct lab *lab, const char *shared, const struct tn_limit *limit)
{
	struct tn_addr a = addr_of(shared);

	set_flag(lab, shared, TN_SHARED_LIMITED);
	put(lab, "limits", &a, limit);
}

/* ---------------------------------------------------------------- running */

void lab_stay_on(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	need(sched_setaffinity(0, sizeof(one), &one) == 0, "staying on a CPU");
}

uint32_t lab_own_slot(const char *shared)
{
	return ntohl(addr_of(shared).w[3]) & (TN_SLOTS_OWN(MAPPINGS_MAX) - 1);
}

struct tn_record lab_record(struct lab *lab, int cpu, uint32_t slot)
{
	return lab->counters[cpu * MAPPINGS_MAX + slot];
}

struct tn_cached lab_cached(struct lab *lab, const char *shared)
{
	return lab_record(lab, sched_getcpu(), lab_own_slot(shared)).cached;
}

void lab_put_cached(struct lab *lab, const char *shared, const struct tn_cached *cached)
{
	uint32_t at = sched_getcpu() * MAPPINGS_MAX + lab_own_slot(shared);
	struct tn_record record = lab_record(lab, sched_getcpu(), lab_own_slot(shared));

	record.cached = *cached;
	need(bpf_map_update_elem(lab_map_fd(lab, "counters"), &at, &record, BPF_ANY) == 0,
	     "counters");
}

static void read_percpu(struct lab *lab, const struct bpf_map *map, uint32_t key, __u64 *out,
			size_t words)
{
	_cleanup_free_ __u64 *values = xrealloc(NULL, lab->cpus, words * sizeof(*values));

	need(bpf_map_lookup_elem(bpf_map__fd(map), &key, values) == 0, "reading counters");
	memset(out, 0, words * sizeof(*out));
	for (size_t i = 0; i < words * lab->cpus; i++)
		out[i % words] += values[i];
}

static void read_counters(struct lab *lab, uint32_t slot, struct tn_counters *out)
{
	*out = (struct tn_counters){ 0 };
	for (int cpu = 0; cpu < lab->cpus; cpu++) {
		const struct tn_counters *c = &lab->counters[cpu * MAPPINGS_MAX + slot].counters;

		out->in_packets += c->in_packets;
		out->in_bytes += c->in_bytes;
		out->out_packets += c->out_packets;
		out->out_bytes += c->out_bytes;
	}
}

void lab_router_drops(struct lab *lab, enum lab_router router, struct tn_drops *d)
{
	read_percpu(lab, lab->skel->maps.drops, router, (__u64 *)d, sizeof(*d) / sizeof(__u64));
}

void lab_tally(struct lab *lab, struct tally *t)
{
	memset(t, 0, sizeof(*t));
	for (uint32_t i = 0; i < lab->n; i++)
		read_counters(lab, i, &t->mappings[i]);
	for (uint32_t i = 0; i < ROUTERS; i++)
		lab_router_drops(lab, i, &t->routers[i]);
}

uint64_t lab_drops_of(struct lab *lab, enum lab_router router, enum tn_reason reason)
{
	struct tn_drops d;

	lab_router_drops(lab, router, &d);
	return d.packets[reason];
}

uint64_t lab_hits(struct lab *lab, uint32_t rule)
{
	__u64 packets;

	read_percpu(lab, lab->skel->maps.hits, rule, &packets, 1);
	return packets;
}

uint64_t lab_drops(struct lab *lab)
{
	struct tn_drops d;
	uint64_t sum = 0;

	for (int r = 0; r < ROUTERS; r++) {
		lab_router_drops(lab, r, &d);
		for (int reason = 0; reason < TN_REASONS_MAX; reason++)
			sum += d.packets[reason];
	}
	return sum;
}

static struct result run_xdp(struct lab *lab, const struct frame *f)
{
	struct result r = { .verdict = NO_VERDICT, .out = *f };
	uint8_t out[FRAME_MAX + sizeof(struct tn_meta)];
	struct xdp_md in = { .data_end = f->len }, back = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->bytes, .data_size_in = f->len,
		    .data_out = out, .data_size_out = sizeof(out), .ctx_in = &in,
		    .ctx_size_in = sizeof(in), .ctx_out = &back, .ctx_size_out = sizeof(back));

	need(bpf_prog_test_run_opts(lab_fd(lab, XDP_IN), &opts) == 0, "running XDP");
	r.verdict = verdict_xdp(opts.retval);
	/* what lies before the frame is metadata, and comes out with it */
	result_meta(&r, out, back.data, lab->router);
	r.out.len = opts.data_size_out - back.data;
	memcpy(r.out.bytes, out + back.data, r.out.len);
	return r;
}

static struct result run_tc(struct lab *lab, enum program program, const struct packet *p,
			    const struct frame *f)
{
	struct result r = { .verdict = NO_VERDICT, .out = *f };
	struct __sk_buff in = { .gso_size = p->gso_size,
				.gso_segs = p->gso_segs,
				.mark = p->mark,
				.priority = p->priority,
				.ingress_ifindex = p->ingress,
				.ifindex = p->ifindex },
			 back = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->bytes, .data_size_in = f->len,
		    .data_out = r.out.bytes, .data_size_out = sizeof(r.out.bytes), .ctx_in = &in,
		    .ctx_size_in = sizeof(in), .ctx_out = &back, .ctx_size_out = sizeof(back));

	need(bpf_prog_test_run_opts(lab_fd(lab, program), &opts) == 0, "running tc");
	r.verdict = verdict_tc(opts.retval);
	r.out.len = opts.data_size_out;
	r.mark = back.mark;
	r.priority = back.priority;
	return r;
}

struct result lab_run(struct lab *lab, enum program program, const struct packet *p,
		      const struct frame *f)
{
	return program == XDP_IN ? run_xdp(lab, f) : run_tc(lab, program, p, f);
}

bool lab_run_summed(struct lab *lab, enum program program, const struct packet *p,
		    const struct frame *f)
{
	struct __sk_buff in = { .ifindex = p->ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->bytes, .data_size_in = f->len,
		    .ctx_in = &in, .ctx_size_in = sizeof(in),
		    .flags = BPF_F_TEST_SKB_CHECKSUM_COMPLETE);

	return bpf_prog_test_run_opts(lab_fd(lab, program), &opts) == 0;
}

/* ---------------------------------------------------------------- comparing */

static void diff_line(FILE *out, const char *name, const struct frame *f, const struct frame *other,
		      size_t at)
{
	fprintf(out, "  %s %04zx ", name, at);
	for (size_t i = at; i < at + 16; i++) {
		bool same = i < f->len && i < other->len && f->bytes[i] == other->bytes[i];

		if (i < f->len)
			fprintf(out, "%c%02x", same ? ' ' : '*', f->bytes[i]);
		else if (i < other->len)
			fprintf(out, "*--");
	}
	fputc('\n', out);
}

char *frame_diff(const struct frame *want, const struct frame *got)
{
	size_t size, len = want->len > got->len ? want->len : got->len;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);

	for (size_t at = 0; at < len; at += 16) {
		size_t n = len - at < 16 ? len - at : 16;

		if (at + n <= want->len && at + n <= got->len &&
		    !memcmp(want->bytes + at, got->bytes + at, n)) {
			if (at < 64)
				diff_line(out, "both", want, want, at);
			continue;
		}
		diff_line(out, "want", want, got, at);
		diff_line(out, "got ", got, want, at);
	}
	fclose(out);
	return text;
}

size_t lab_slot(struct lab *lab, const char *address, bool shared)
{
	struct tn_addr a = addr_of(address);
	size_t found = 0;

	for (size_t i = 1; i < lab->n; i++) {
		const struct mapping *m = &lab->mappings[i];
		struct prefix p = { shared ? m->shared : m->fixed, 128 - m->bits };

		if (m->router != lab->router || !prefix_has(&p, &a))
			continue;
		if (!m->bits)
			return i;
		found = i;
	}
	return found;
}

static void expect_counted(struct lab *lab, const struct row *row, const struct frame *in,
			   enum program program, struct tally *t)
{
	const struct packet *p = &row->before;
	uint64_t packets = p->gso_segs	 ? p->gso_segs
			   : p->gso_size ? (p->payload + p->gso_size - 1) / p->gso_size
					 : 1;
	bool inwards = program == XDP_IN || program == TC_IN;
	struct tn_counters *c;
	size_t slot;

	if (row->outcome == DROPPED || row->outcome == TOLD)
		t->routers[lab->router].packets[row->reason] += packets;
	if ((row->outcome != TRANSLATED && row->outcome != TURNED) || row->uncounted)
		return;
	slot = lab_slot(lab, inwards ? row->before.dst : row->before.src, inwards);
	cr_assert(slot, "%s: a translation of what is not mapped?", row->what);
	c = &t->mappings[slot];
	*(inwards ? &c->in_packets : &c->out_packets) += packets;
	*(inwards ? &c->in_bytes : &c->out_bytes) += in->ip_bytes;
}

static const char *const reason_names[TN_REASONS_MAX] = {
#define X(id, name, meaning) [TN_DROP_##id] = name,
	TN_REASONS(X)
#undef X
};

static void check_tally(struct lab *lab, const struct row *row, enum program program,
			const struct tally *want, const struct tally *got)
{
	for (int r = 0; r < ROUTERS; r++) {
		for (int i = 0; i < TN_REASONS_MAX; i++) {
			cr_expect_eq(want->routers[r].packets[i], got->routers[r].packets[i],
				     "%s, %s: %+lld drops too many of router %d as %s", row->what,
				     program_name(program),
				     (long long)(got->routers[r].packets[i] -
						 want->routers[r].packets[i]),
				     r, reason_names[i] ? reason_names[i] : "(no reason)");
		}
	}
	for (size_t i = 0; i < lab->n; i++) {
		const struct tn_counters *w = &want->mappings[i], *g = &got->mappings[i];

		cr_expect(!memcmp(w, g, sizeof(*w)),
			  "%s, %s: slot %zu: in %llu packets %llu bytes, out %llu packets %llu "
			  "bytes too many",
			  row->what, program_name(program), i, g->in_packets - w->in_packets,
			  g->in_bytes - w->in_bytes, g->out_packets - w->out_packets,
			  g->out_bytes - w->out_bytes);
	}
}

struct packet lab_error(const struct packet *about, struct packet *room)
{
	bool v4 = packet_is_v4(about);
	struct frame f;

	*room = *about;
	f = packet_build(room);
	return (struct packet){ .to = about->from ? about->from : MAC_PEER,
				.from = about->to ? about->to : MAC_ROUTER,
				.src = v4 ? RED_OWN : RED_OWN_6,
				.dst = about->src,
				.proto = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
				/* host unreachable (RFC 792), no route (RFC 4443, 3.1) */
				.type = v4 ? 3 : 1,
				.code = v4 ? 1 : 0,
				.told = true,
				.quote = room,
				.quoted = f.ip_bytes < TOLD_BYTES ? 0 : TOLD_BYTES };
}

/* Its mark and priority are the MAC address that it came from: see tn_abi.h. */
static void check_held(const struct row *row, const struct frame *in, const struct result *r)
{
	uint16_t words[3];

	memcpy(words, in->bytes + ETH_ALEN, sizeof(words));
	cr_expect_eq(r->mark, TN_HELD_MARK << 16 | words[0], "%s: mark %#x", row->what, r->mark);
	cr_expect_eq(r->priority, (uint32_t)words[1] << 16 | words[2], "%s: priority %#x",
		     row->what, r->priority);
}

static void check_result(const struct row *row, enum program program, const struct frame *in,
			 const struct result *r)
{
	static const enum verdict verdicts[] = {
		[TRANSLATED] = STACK, [ANSWERED] = BACK, [TURNED] = BACK, [TOLD] = BACK,
		[HELD] = BACK,	      [PASSED] = STACK,	 [DROPPED] = GONE
	};
	static const char *const names[] = { "to the stack", "dropped", "sent back",
					     "no verdict of ours" };
	bool changes = row->outcome <= TURNED;
	struct frame want = changes ? packet_build(&row->after) : *in;
	struct packet error, about;

	if (row->outcome == TOLD) {
		error = lab_error(&row->before, &about);
		want = packet_build(&error);
	}

	cr_expect_eq(r->verdict, verdicts[row->outcome], "%s, %s: %s instead of %s", row->what,
		     program_name(program), names[r->verdict], names[verdicts[row->outcome]]);
	if (row->outcome == DROPPED)
		return;
	cr_expect_eq(r->marked, program == XDP_IN && row->outcome == TRANSLATED,
		     "%s, %s: XDP's mark %s", row->what, program_name(program),
		     r->marked ? "must not be there" : "is missing");
	if (row->outcome == HELD)
		check_held(row, in, r);
	if (changes)
		cr_expect_eq(r->mark, row->after.mark, "%s, %s: mark %#x", row->what,
			     program_name(program), r->mark);
	if (want.len != r->out.len || memcmp(want.bytes, r->out.bytes, want.len)) {
		_cleanup_free_ char *diff = frame_diff(&want, &r->out);

		cr_expect(false, "%s, %s: another frame:\n%s", row->what, program_name(program),
			  diff);
	}
}

/*
 * With SEEDS=DIRECTORY in the environment, the frame of every row becomes an input of the
 * fuzzer there, if it is one: see tests/fuzz/input.h.
 */
static void keep_seed(struct lab *lab, enum program program, const struct row *row,
		      const struct frame *f)
{
	const char *directory = getenv("SEEDS");
	uint8_t input[INPUT_MAX];
	_cleanup_fclose_ FILE *out = NULL;
	char path[PATH_MAX];
	size_t n =
		input_write(input, program, lab->skel->rodata->tn_xdp_guards_only, &row->before, f);
	int fd;

	if (!directory || !n || program == INSIDE_OUT)
		return;
	snprintf(path, sizeof(path), "%s/XXXXXX", directory);
	fd = mkstemp(path);
	out = fd < 0 ? NULL : fdopen(fd, "wb");
	need(out && fwrite(input, n, 1, out) == 1, path);
}

void lab_check(struct lab *lab, const struct row *original, enum program program)
{
	_cleanup_free_ struct tally *want = xzalloc(sizeof(*want)), *got = xzalloc(sizeof(*got));
	struct row row = *original;
	struct frame in = packet_build(&row.before);
	struct result r;

	if (program == XDP_IN && (row.xdp_leaves || row.outcome == ANSWERED || row.outcome == TOLD))
		row.outcome = PASSED;
	lab_tally(lab, want);
	keep_seed(lab, program, &row, &in);
	r = lab_run(lab, program, &row.before, &in);
	lab_tally(lab, got);
	expect_counted(lab, &row, &in, program, want);
	check_result(&row, program, &in, &r);
	check_tally(lab, &row, program, want, got);
}

void lab_check_table(const struct row *rows, size_t n, enum program program)
{
	struct lab *lab = lab_open(&(struct lab_options){ .programs = 1U << program });
	size_t checked = 0;

	for (size_t i = 0; i < n; i++) {
		if (!(rows[i].programs & 1U << program))
			continue;
		lab_check(lab, &rows[i], program);
		checked++;
	}
	cr_assert(checked, "no row of this table is for this program");
	lab_close(lab);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What each CPU caches of a mapping: what it has carried, what the tables say of it, and the next
 * hop to its VM, as long as the routes are the same; and of a peer, the next hop to that.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/host.h"
#include "links.h"

static struct tn_hop hop_at(struct lab *lab, uint32_t place)
{
	uint32_t at = sched_getcpu() * TN_HOPS + place;
	struct tn_hop hop;

	need(bpf_map_lookup_elem(lab_map_fd(lab, "hops"), &at, &hop) == 0, "hops");
	return hop;
}

static void put_hop(struct lab *lab, uint32_t place, const struct tn_hop *hop)
{
	uint32_t at = sched_getcpu() * TN_HOPS + place;

	need(bpf_map_update_elem(lab_map_fd(lab, "hops"), &at, hop, BPF_ANY) == 0, "hops");
}

/* They are out of date, as if all had been asked for so long ago. */
static void hops_end(struct lab *lab, uint64_t ago)
{
	for (uint32_t place = 0; place < TN_HOPS; place++) {
		struct tn_hop hop = hop_at(lab, place);

		if (!hop.generation)
			continue;
		hop.expires -= ago;
		hop.src_valid_until -= ago;
		put_hop(lab, place, &hop);
	}
}

/* Of any pair. All of them are cleared very often, which as so many system calls took seconds. */
static void forget_pairs(struct lab *lab)
{
	size_t size = libbpf_num_possible_cpus() * TN_PAIRS * sizeof(struct tn_pair);
	void *pairs =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, lab_map_fd(lab, "pairs"), 0);

	need(pairs != MAP_FAILED, "pairs");
	memset(pairs, 0, size);
	munmap(pairs, size);
}

/* As if all had sent so long ago. */
static void forget_senders(struct lab *lab)
{
	struct tn_peer *nobody = calloc(libbpf_num_possible_cpus(), sizeof(*nobody));

	for (uint32_t place = 0; place < 1U << TN_PEERS_BITS; place++)
		need(bpf_map_update_elem(lab_map_fd(lab, "peers"), &place, nobody, BPF_ANY) == 0,
		     "peers");
	free(nobody);
}

/*
 * Where a packet goes: to a MAC address, written for whoever calls next; "kernel": by a next hop
 * that the kernel is told to look up; "left": to tc, or to the stack; "told": nowhere, and the
 * sender is told so.
 */
static const char *goes(struct lab *lab, enum program program, const char *from, const char *to)
{
	const struct packet p = { UDP(from, to), .from = program == INSIDE_IN ? MAC_VM : NULL,
				  .ifindex = program == INSIDE_IN ? links_inside : 0 };
	struct frame f = packet_build(&p);
	struct result r = lab_run(lab, program, &p, &f);
	static char mac[sizeof("00:00:00:00:00:00")];
	const uint8_t *m = r.out.bytes;

	if (r.verdict != BACK)
		return r.verdict == STACK ? "left" : "gone";
	if (memcmp(m, f.bytes, ETH_ALEN) == 0)
		return "kernel";
	if (memcmp(m, f.bytes + ETH_ALEN, ETH_ALEN) == 0)
		return "told";
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
		 m[5]);
	return mac;
}

/* The maps of what the programs know of earlier packets. */
static const char *const known_maps[] = {
	"pairs", "pairs_v6", "hops", "counters", "slots", "peers"
};

/* Every value of a map, in turn, for each CPU where it has them; the caller's to free. */
static void *values_of(struct lab *lab, const char *name, bool write, void *values)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(lab_object(lab), name);
	bool per_cpu = bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_ARRAY;
	uint32_t n = bpf_map__max_entries(map), at = 0, *keys = calloc(n, sizeof(*keys));
	size_t size = bpf_map__value_size(map);
	LIBBPF_OPTS(bpf_map_batch_opts, opts);

	if (per_cpu)
		size = (size + 7) / 8 * 8 * libbpf_num_possible_cpus();
	if (!values)
		values = calloc(n, size);
	for (uint32_t i = 0; i < n; i++)
		keys[i] = i;
	if (write)
		need(bpf_map_update_batch(bpf_map__fd(map), keys, values, &n, &opts) == 0, name);
	else
		need(bpf_map_lookup_batch(bpf_map__fd(map), NULL, &at, keys, values, &n, &opts) ==
				     0 ||
			     errno == ENOENT, /* that was all */
		     name);
	free(keys);
	return values;
}

/*
 * As goes(), but not in a tick in which the kernel is to have a packet of these two: whatever is
 * known, and with it the rest of a test. Then all is as it was before, and the packet comes later.
 */
static const char *goes_by_what_is_known(struct lab *lab, enum program program, const char *from,
					 const char *to, const char *wanted)
{
	void *known[ARRAY_SIZE(known_maps)];
	const char *where;

	for (size_t i = 0; i < ARRAY_SIZE(known_maps); i++)
		known[i] = values_of(lab, known_maps[i], false, NULL);
	where = goes(lab, program, from, to);
	for (int again = 0; again < 50 && strcmp(where, wanted) != 0; again++) {
		for (size_t i = 0; i < ARRAY_SIZE(known_maps); i++)
			values_of(lab, known_maps[i], true, known[i]);
		usleep(TICK_MAX);
		where = goes(lab, program, from, to);
	}
	for (size_t i = 0; i < ARRAY_SIZE(known_maps); i++)
		free(known[i]);
	return where;
}

#define GOES(program, from, to, where) \
	cr_expect_str_eq(goes_by_what_is_known(lab, program, from, to, where), where)

/* What comes when nothing is cached may be left to the kernel, for a tick of its clock. */
static void learn(struct lab *lab, enum program program, const char *from, const char *to)
{
	const struct tn_cached none = { 0 };

	forget_pairs(lab);
	lab_put_cached(lab, to, &none);
	for (int i = 0; i < 50 && !lab_cached(lab, to).generation; i++) {
		goes(lab, program, from, to);
		usleep(2000);
	}
	cr_assert(lab_cached(lab, to).generation, "nothing was cached of what %s sends", from);
	forget_pairs(lab);
}

static struct lab *open_caching(void)
{
	struct lab *lab;

	if (!host_lets_programs_read())
		cr_skip_test("this kernel's programs cannot read the generation of its routes");
	lab_stay_on(sched_getcpu());
	lab = links_open_known(ON_IN | ON_INSIDE, PAST_STACK, MAC_ROUTER);
	links_take_xdp(lab);
	lab_changed(lab);
	return lab;
}

/* The hop at that place is out of date: the kernel has the packet, and is asked for it again. */
static void expect_asked(struct lab *lab, enum program program, const char *from, const char *to,
			 uint32_t place)
{
	uint64_t until = hop_at(lab, place).expires;

	for (int i = 0; i < 50 && hop_at(lab, place).expires == until; i++) {
		usleep(i ? TICK_MAX
			 : 0); /* it is not in a tick in which it is to have one anyway */
		cr_expect_str_eq(goes(lab, program, from, to), "kernel");
		forget_pairs(lab);
	}
	cr_expect_neq(hop_at(lab, place).expires, until, "the hop to %s stays out of date", to);
}

static const enum program programs[] = { TC_IN, XDP_IN };

/* Who comes next, from wherever, goes by what is cached: nobody asks the kernel for that time. */
Test(cache, the_next_hop_is_known)
{
	struct lab *lab = open_caching();
	uint32_t hop;

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		learn(lab, programs[i], GREEN_SHARED, RED_SHARED);
		links_ip("neigh replace 10.0.0.5 lladdr " MAC_VM2 " dev lan0 nud permanent\n");
		GOES(programs[i], GREEN_SHARED, RED_SHARED, MAC_VM);
		GOES(programs[i], STRANGER, RED_SHARED, MAC_VM);
		forget_pairs(lab);
		hops_end(lab, LAB_CACHE_TICKS);
		if (programs[i] == XDP_IN)
			GOES(XDP_IN, GREEN_SHARED, RED_SHARED, "left");
		hop = lab_cached(lab, RED_SHARED).hop;
		expect_asked(lab, TC_IN, GREEN_SHARED, RED_SHARED, hop);
		GOES(programs[i], GREEN_SHARED, RED_SHARED, MAC_VM2);
		links_ip("neigh replace 10.0.0.5 lladdr " MAC_VM " dev lan0 nud permanent\n");
		hops_end(lab, LAB_CACHE_TICKS);
		expect_asked(lab, TC_IN, STRANGER, RED_SHARED, hop);
	}
	lab_close(lab);
}

/* Where nobody has asked for a hop when it was time to, whoever comes does. */
Test(cache, a_hop_that_nobody_asked_for)
{
	struct lab *lab = open_caching();
	int left = 0;

	learn(lab, XDP_IN, GREEN_SHARED, RED_SHARED);
	hops_end(lab, 3ULL * LAB_CACHE_TICKS);
	while (strcmp(goes(lab, XDP_IN, GREEN_SHARED, RED_SHARED), "left") == 0 && left < 50) {
		usleep(2000);
		left++;
	}
	cr_expect_lt(left, 20);
	forget_pairs(lab);
	GOES(XDP_IN, STRANGER, RED_SHARED, MAC_VM);
	lab_close(lab);
}

/* The same, when it is not just the tick in which XDP leaves it to tc, and tc to the kernel. */
static const char *goes_in_the_end(struct lab *lab, enum program program, const char *from,
				   const char *to)
{
	const char *where = goes(lab, program, from, to);

	for (int i = 0; i < 50; i++) {
		if (strcmp(where, program == XDP_IN ? "left" : "kernel") != 0)
			break;
		forget_pairs(lab);
		usleep(2000);
		where = goes(lab, program, from, to);
	}
	return where;
}

/* `commands` make what comes next go there. */
static void check_change(struct lab *lab, enum program program, const char *commands,
			 const char *where)
{
	const char *went;

	learn(lab, program, GREEN_SHARED, RED_SHARED);
	GOES(program, GREEN_SHARED, RED_SHARED, MAC_VM);
	forget_pairs(lab);
	links_ip(commands);
	forget_senders(lab);
	went = goes_in_the_end(lab, program, GREEN_SHARED, RED_SHARED);
	cr_expect_str_eq(went, where, "%s, not %s, after %s", went, where, commands);
}

/* A change of routes takes effect at once where no pair and no sender is known. */
Test(cache, routes_change)
{
	/* what it is, how it is undone, and where tc and XDP send packets then */
	static const char *const changes[][4] = {
		{ "route add 10.0.0.5/32 via 10.0.0.77\n", "route del 10.0.0.5/32\n", MAC_VM2,
		  MAC_VM2 },
		{ "route add unreachable 10.0.0.5/32\n", "route del unreachable 10.0.0.5/32\n",
		  "left", "left" },
		{ "route add 10.0.0.5/32 dev up0\n", "route del 10.0.0.5/32\n", "told", "left" },
		{ "link set lan0 down\n",
		  "link set lan0 up\n"
		  "neigh replace 10.0.0.5 lladdr " MAC_VM " dev lan0 nud permanent\n"
		  "neigh replace 10.0.0.77 lladdr " MAC_VM2 " dev lan0 nud permanent\n",
		  "told", "left" },
	};
	struct lab *lab = open_caching();

	links_ip("neigh replace 10.0.0.5 lladdr " MAC_VM " dev lan0 nud permanent\n");
	for (size_t i = 0; i < ARRAY_SIZE(changes) * 2; i++) {
		const char *const *change = changes[i / 2];

		check_change(lab, programs[i % 2], change[0], change[2 + i % 2]);
		links_ip(change[1]);
		forget_pairs(lab);
		hops_end(lab, LAB_CACHE_TICKS);
		goes(lab, TC_IN, STRANGER, RED_SHARED);
	}
	lab_close(lab);
}

/* The kernel does not count them as changes of the routes that use their groups. */
Test(cache, next_hop_objects_change)
{
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		struct lab *lab = open_caching();

		links_ip("neigh add 10.0.0.79 lladdr " MAC_VM " dev lan0 nud permanent\n"
			 "nexthop add id 1 via 10.0.0.79 dev lan0\nnexthop add id 9 group 1\n"
			 "route add 10.0.0.5/32 nhid 9\n");
		check_change(lab, programs[i], "nexthop replace id 1 via 10.0.0.77 dev lan0\n",
			     MAC_VM2);
		lab_close(lab);
	}
}

/* From the first one on a namespace counts as one with rules. */
Test(cache, rules_come)
{
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		struct lab *lab = open_caching();

		check_change(lab, programs[i],
			     "rule add from " GREEN_SHARED " table 9\n"
			     "route add 10.0.0.5/32 via 10.0.0.77 table 9\n",
			     MAC_VM2);
		cr_expect_str_eq(goes_in_the_end(lab, TC_IN, STRANGER, RED_SHARED), MAC_VM);
		lab_close(lab);
	}
}

static void use_pmtu(bool on)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ip_forward_use_pmtu", "w");

	need(f && fputc(on ? '1' : '0', f) != EOF && fclose(f) == 0, "ip_forward_use_pmtu");
}

/* As long as routes are not the same for all senders, or may be narrower than they say. */
Test(cache, what_is_not_cached)
{
	static const char *const never[][2] = {
		{ "", "" }, /* path MTUs that were learnt count */
		{ "route add 10.0.0.5/32 via inet6 fd00:10::5 dev lan0\n",
		  "route del 10.0.0.5/32\n" },
		{ "rule add from " STRANGER " table 9\n", "" },
	};
	struct lab *lab = open_caching();

	for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
		learn(lab, TC_IN, GREEN_SHARED, RED_SHARED);
		use_pmtu(i == 0);
		links_ip(never[i][0]);
		lab_changed(lab);
		forget_pairs(lab);
		cr_expect_str_neq(goes(lab, TC_IN, GREEN_SHARED, RED_SHARED), "left");
		cr_expect_eq(lab_cached(lab, RED_SHARED).generation, 0, "%zu", i);
		links_ip(never[i][1]);
		use_pmtu(false);
	}
	lab_close(lab);
}

static bool may_send(struct lab *lab, const char *to, const char *mac)
{
	const struct packet p = { UDP(RED_VM, to), .from = mac, .ifindex = links_inside };
	struct frame f = packet_build(&p);

	return lab_run(lab, INSIDE_IN, &p, &f).verdict != GONE;
}

/* Of several next hops a VM has one, whoever sends, and its answers may come from there. */
Test(cache, one_of_several_next_hops)
{
	struct lab *lab = open_caching();
	char first[sizeof("00:00:00:00:00:00")];

	links_ip("route add 10.0.0.5/32 nexthop via 10.0.0.77 nexthop via 10.0.0.78\n"
		 "neigh add 10.0.0.78 lladdr " MAC_NEXT " dev lan0 nud permanent\n");
	lab_pool(lab, "100.64.9.0/24", fixture_tenant(GREEN));
	learn(lab, TC_IN, GREEN_SHARED, RED_SHARED);
	snprintf(first, sizeof(first), "%s", goes(lab, TC_IN, GREEN_SHARED, RED_SHARED));
	for (int i = 1; i <= 40; i++) {
		char peer[INET_ADDRSTRLEN];
		struct tn_cached none = lab_cached(lab, RED_SHARED);
		const char *where;

		snprintf(peer, sizeof(peer), "100.64.9.%d", i);
		none.generation = 0;
		lab_put_cached(lab, RED_SHARED, &none);
		where = goes(lab, TC_IN, peer, RED_SHARED);
		if (strcmp(where, "kernel") != 0)
			cr_expect_str_eq(where, first, "%s: %s", peer, where);
		cr_expect(may_send(lab, peer, first), "to %s by %s", peer, first);
		cr_expect(!may_send(lab, peer, MAC_OTHER), "to %s by another", peer);
		/* by the other one may come what it is the kernel's choice for; but nothing goes
		 * there */
		may_send(lab, peer, strcmp(first, MAC_NEXT) == 0 ? MAC_VM2 : MAC_NEXT);
		forget_pairs(lab);
		where = goes(lab, TC_IN, peer, RED_SHARED);
		if (strcmp(where, "kernel") != 0)
			cr_expect_str_eq(where, first, "%s: %s", peer, where);
	}
	lab_close(lab);
}

/* Only what is cached of the packet's own mapping and hop, and holds, is believed. */
Test(cache, what_is_not_believed)
{
	struct lab *lab = open_caching();
	struct tn_cached right, wrong[7];
	struct tn_hop hop, hops[4];

	learn(lab, XDP_IN, GREEN_SHARED, RED_SHARED);
	right = lab_cached(lab, RED_SHARED);
	hop = hop_at(lab, right.hop);
	hop.macs[5] = 0x77; /* nobody but this hop says so */
	put_hop(lab, right.hop, &hop);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		wrong[i] = right;
	wrong[0].found -= 2 << TN_CACHED_ROUTER;
	wrong[1].found ^= RED ^ BLUE;
	wrong[2].shared = addr_of(RED_SHARED2).w[3];
	wrong[3].route_gen++;
	wrong[4].generation++;
	wrong[5].hop ^= 1;
	wrong[6].generation = 0;
	for (size_t i = 0; i < ARRAY_SIZE(hops); i++)
		hops[i] = hop;
	hops[0].expires = 1;
	hops[1].generation++;
	hops[2].mtu = 35;
	hops[3].xdp = 0; /* then tc may go by it, but not XDP */
	for (size_t n = 0; n < ARRAY_SIZE(programs); n++) {
		enum program program = programs[n];

		GOES(program, GREEN_SHARED, RED_SHARED, MAC_OTHER);
		for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
			lab_put_cached(lab, RED_SHARED, &right);
			put_hop(lab, right.hop, &hop);
			goes(lab, program, GREEN_SHARED, RED_SHARED); /* its hop is guessed now */
			forget_pairs(lab);
			lab_put_cached(lab, RED_SHARED, &wrong[i]);
			cr_expect_str_neq(goes(lab, program, GREEN_SHARED, RED_SHARED), MAC_OTHER,
					  "mapping %zu", i);
		}
		for (size_t i = 0; i < ARRAY_SIZE(hops) - (program == TC_IN); i++) {
			forget_pairs(lab);
			lab_put_cached(lab, RED_SHARED, &right);
			put_hop(lab, right.hop, &hops[i]);
			cr_expect_str_neq(goes(lab, program, GREEN_SHARED, RED_SHARED), MAC_OTHER,
					  "hop %zu", i);
		}
		forget_pairs(lab);
		lab_put_cached(lab, RED_SHARED, &right);
		put_hop(lab, right.hop, &hop);
		GOES(program, GREEN_SHARED, RED_SHARED, MAC_OTHER);
		forget_pairs(lab);
	}
	lab_close(lab);
}

/* Whoever looks takes what comes from there for forged; the programs are not told of it. */
static void make_forged(struct lab *lab, const char *peer)
{
	struct tn_addr key = addr_of(peer);
	struct tn_shared row;

	need(bpf_map_lookup_elem(lab_map_fd(lab, "by_shared"), &key, &row) == 0, peer);
	row.router = RED;
	need(bpf_map_update_elem(lab_map_fd(lab, "by_shared"), &key, &row, BPF_EXIST) == 0, peer);
}

static uint32_t sender_place(struct lab *lab, const char *peer, struct tn_peer *all)
{
	for (uint32_t place = 0; place < 1U << TN_PEERS_BITS; place++) {
		need(bpf_map_lookup_elem(lab_map_fd(lab, "peers"), &place, all) == 0, "peers");
		if (all[sched_getcpu()].peer == addr_of(peer).w[3])
			return place;
	}
	need(false, "a sender is cached");
	return 0;
}

/* Nor is a sender taken for another. */
Test(cache, who_is_not_believed)
{
	struct lab *lab = open_caching();
	struct tn_peer *all = calloc(libbpf_num_possible_cpus(), sizeof(*all)), others[7], right;
	struct tn_peer *own = &all[sched_getcpu()];
	uint32_t zero = 0, place;
	struct tn_cached cached;
	uint64_t change;

	learn(lab, XDP_IN, GREEN_SHARED, RED_SHARED);
	cached = lab_cached(lab, RED_SHARED);
	place = sender_place(lab, GREEN_SHARED, all);
	make_forged(lab, GREEN_SHARED); /* as all but the caches say */
	need(bpf_map_lookup_elem(lab_map_fd(lab, "table_seq"), &zero, &change) == 0, "table_seq");
	cached.found = change << TN_CACHED_ROUTER | RED;
	right = *own;
	right.seq = change;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		others[i] = right;
	others[0].seq -= 2;
	others[1].expires = 1;
	others[2].peer = addr_of(STRANGER).w[3];
	others[3].tenant++;
	others[4].service = TN_CLASS_TCP << 16 | 1;
	others[5].mac[5]++;
	others[6].seen++; /* the mapping was cached before */
	for (size_t i = 0; i <= ARRAY_SIZE(others); i++) {
		bool is_right = i == ARRAY_SIZE(others);

		*own = is_right ? right : others[i];
		need(bpf_map_update_elem(lab_map_fd(lab, "peers"), &place, all, BPF_ANY) == 0,
		     "peers");
		lab_put_cached(lab, RED_SHARED, &cached);
		GOES(XDP_IN, GREEN_SHARED, RED_SHARED, is_right ? MAC_VM : "gone");
	}
	cached.flags &= ~TN_CACHED_IN; /* by what the VM has sent, this is not known */
	lab_put_cached(lab, RED_SHARED, &cached);
	GOES(XDP_IN, GREEN_SHARED, RED_SHARED, "gone");
	cached.flags |= TN_CACHED_IN;
	lab_put_cached(lab, RED_SHARED, &cached);
	GOES(XDP_IN, GREEN_SHARED, RED_SHARED, MAC_VM);
	cached.flags |= TN_SHARED_NAMED; /* then rules of its own decide */
	lab_put_cached(lab, RED_SHARED, &cached);
	GOES(XDP_IN, GREEN_SHARED, RED_SHARED, "gone");
	free(all);
	lab_close(lab);
}

/* A hundred slots further on than RED_SHARED's. */
#define FAR_FIXED  "10.0.0.9"
#define FAR_SHARED "100.64.1.105"
/* Long beside what comes between what is cached and the look at it, however busy the machine is. */
#define TICKS_LOG2 9

/* What the caches of XDP alone would send: whether it goes by them. */
static bool is_gone_by(struct lab *lab, struct tn_peer *all, const char *to)
{
	uint32_t zero = 0, place = sender_place(lab, GREEN_SHARED, all);
	struct tn_cached cached = lab_cached(lab, to);
	uint64_t change;

	need(bpf_map_lookup_elem(lab_map_fd(lab, "table_seq"), &zero, &change) == 0, "table_seq");
	cached.found = change << TN_CACHED_ROUTER | RED;
	all[sched_getcpu()].seq = change;
	need(bpf_map_update_elem(lab_map_fd(lab, "peers"), &place, all, BPF_ANY) == 0, "peers");
	lab_put_cached(lab, to, &cached);
	return strcmp(goes(lab, XDP_IN, GREEN_SHARED, to), "gone") != 0;
}

/* The hops of all mappings do not end at once. */
Test(cache, each_hop_ends_at_its_time)
{
	struct tn_peer *all = calloc(libbpf_num_possible_cpus(), sizeof(*all));
	struct tn_cached near, far;
	bool by_cache = false;
	struct lab *lab;

	if (!host_lets_programs_read())
		cr_skip_test("this kernel's programs cannot read the generation of its routes");
	lab_stay_on(sched_getcpu());
	for (int i = 0; i < 20 && !by_cache; i++) {
		lab = links_open_known_as(&(struct lab_options){ .programs = ON_IN,
								 .fast = true,
								 .own_slots = true,
								 .routes_shift = TICKS_LOG2 });
		lab_map(lab, RED, FAR_FIXED, FAR_SHARED);
		links_ip("neigh add " FAR_FIXED " lladdr " MAC_VM2 " dev lan0 nud permanent\n");
		links_take_xdp(lab);
		lab_changed(lab);
		learn(lab, XDP_IN, GREEN_SHARED, RED_SHARED);
		near = lab_cached(lab, RED_SHARED);
		learn(lab, XDP_IN, GREEN_SHARED, FAR_SHARED);
		far = lab_cached(lab, FAR_SHARED);
		cr_expect_geq(far.route_gen - near.route_gen,
			      100 << TN_ROUTE_GEN_SPREAD >> TICKS_LOG2);
		make_forged(lab, GREEN_SHARED);
		by_cache = is_gone_by(lab, all, FAR_SHARED); /* unless its time was over just now */
		for (int wait = 0; by_cache && is_gone_by(lab, all, FAR_SHARED); wait++) {
			cr_assert_lt(wait, 600, "the hop does not end");
			usleep(50000);
		}
		lab_close(lab);
	}
	cr_expect(by_cache, "XDP does not know when the hop ends");
	free(all);
}

/* XDP may leave it to tc for a tick. */
static int verdict_by_xdp(struct lab *lab, const struct packet *p)
{
	struct frame f = packet_build(p);
	struct result r = lab_run(lab, XDP_IN, p, &f);

	for (int i = 0; i < 50 && r.verdict == STACK; i++) {
		forget_pairs(lab);
		usleep(2000);
		r = lab_run(lab, XDP_IN, p, &f);
	}
	return r.verdict;
}

#define TALK(s, sp, d, dp) \
	.src = s, .dst = d, .proto = IPPROTO_UDP, .payload = 8, .sport = sp, .dport = dp

/* Who may answer may not open flows: an answer makes nobody known. */
Test(cache, answers)
{
	const struct packet answer = { TALK(STRANGER, 53, RED_SHARED, 1000) };
	const struct packet other = { TALK(STRANGER, 54, RED_SHARED, 1000) };
	struct lab *lab = open_caching();
	const struct packet asks = { TALK(RED_VM, 1000, STRANGER, 53), .from = MAC_VM,
				     .ifindex = links_inside };
	struct frame f = packet_build(&asks);

	lab_accept_nothing(lab);
	cr_expect_neq(lab_run(lab, INSIDE_IN, &asks, &f).verdict, GONE);
	cr_expect_eq(verdict_by_xdp(lab, &answer), BACK);
	cr_expect_eq(verdict_by_xdp(lab, &answer), BACK);
	cr_expect_eq(verdict_by_xdp(lab, &other), GONE);
	lab_close(lab);
}

/* Nor is who may send to one mapping known to the others. */
Test(cache, rules_that_name_a_mapping)
{
	const struct packet named = { UDP(GREEN_SHARED, RED_SHARED) };
	const struct packet blues = { UDP(BLUE_SHARED, RED_SHARED2) };
	const struct packet other = { UDP(GREEN_SHARED, RED_SHARED2) };
	struct lab *lab = open_caching();

	links_ip("neigh add " RED_VM2 " lladdr " MAC_VM2 " dev lan0 nud permanent\n");
	lab_accept_nothing(lab);
	lab_accept(lab, RED, RED_SHARED, fixture_tenant(GREEN), TN_CLASSES_COUNT, 0, 0, 1);
	lab_accept(lab, RED, NULL, fixture_tenant(BLUE), TN_CLASSES_COUNT, 0, 0, 2);
	cr_expect_eq(verdict_by_xdp(lab, &blues), BACK);
	cr_expect_eq(verdict_by_xdp(lab, &named), BACK);
	cr_expect_eq(verdict_by_xdp(lab, &other), GONE);
	lab_close(lab);
}

/*
 * Nor is a rule kept that has an end: it is over at once for what goes by all that is cached, and
 * nobody tells the programs.
 */
Test(cache, rules_that_end)
{
	struct tn_accept_key key = { .tenant = fixture_tenant(RED), .from = fixture_tenant(GREEN) };
	struct lab *lab = open_caching();
	struct tn_accept row;

	lab_accept_nothing(lab);
	lab_accept_until(lab, RED, NULL, key.from, TN_CLASSES_COUNT, 0, 0, 1, lab_tai() + 1000000);
	learn(lab, XDP_IN, GREEN_SHARED, RED_SHARED);
	for (int i = 0; i < 4; i++) {
		GOES(XDP_IN, GREEN_SHARED, RED_SHARED, MAC_VM);
		GOES(TC_IN, GREEN_SHARED, RED_SHARED, MAC_VM);
		cr_expect_str_neq(goes(lab, INSIDE_IN, RED_VM, GREEN_SHARED), "gone");
	}
	need(!bpf_map_lookup_elem(lab_map_fd(lab, "accepts"), &key, &row), "accepts");
	row.until = lab_tai();
	need(!bpf_map_update_elem(lab_map_fd(lab, "accepts"), &key, &row, BPF_ANY), "accepts");
	cr_expect_str_eq(goes(lab, XDP_IN, GREEN_SHARED, RED_SHARED), "gone");
	cr_expect_str_eq(goes(lab, TC_IN, GREEN_SHARED, RED_SHARED), "gone");
	cr_expect_str_eq(goes(lab, INSIDE_IN, RED_VM, GREEN_SHARED), "gone");
	lab_close(lab);
}

/* One sender, two VMs: it is a guess that the hop is the last one's. */
Test(cache, two_vms_of_one_sender)
{
	struct lab *lab = open_caching();

	links_ip("neigh add " RED_VM2 " lladdr " MAC_VM2 " dev lan0 nud permanent\n");
	learn(lab, XDP_IN, GREEN_SHARED, RED_SHARED);
	for (int i = 0; i < 50 && !lab_cached(lab, RED_SHARED2).generation; i++) {
		goes(lab, XDP_IN, GREEN_SHARED, RED_SHARED2);
		usleep(2000);
	}
	cr_expect_eq(lab_cached(lab, RED_SHARED2).generation,
		     lab_cached(lab, RED_SHARED).generation);
	for (int i = 0; i < 4; i++) {
		forget_pairs(lab);
		GOES(XDP_IN, GREEN_SHARED, RED_SHARED, MAC_VM);
		GOES(XDP_IN, GREEN_SHARED, RED_SHARED2, MAC_VM2);
	}
	lab_close(lab);
}

/* What XDP does not send on is left to tc, be all of it cached. */
Test(cache, what_is_left_to_tc)
{
	struct lab *lab = open_caching();
	const struct packet whole = {
		.src = GREEN_SHARED, .dst = "100.64.165.200", .proto = IPPROTO_UDP, .payload = 8
	};
	struct packet partial = whole;
	struct frame f;

	/* addresses of the same sum: only that of the pseudo-header is in the field, before and
	 * after */
	partial.csum = CSUM_PARTIAL;
	lab_map(lab, RED, "10.0.0.9", "100.64.165.200");
	links_ip("neigh add 10.0.0.9 lladdr " MAC_VM " dev lan0 nud permanent\n");
	cr_expect_eq(verdict_by_xdp(lab, &whole), BACK);
	cr_expect_eq(verdict_by_xdp(lab, &whole), BACK);
	f = packet_build(&partial);
	cr_expect_eq(lab_run(lab, XDP_IN, &partial, &f).verdict, STACK);

	lab_xmit(lab, 0);
	lab_changed(lab);
	learn(lab, TC_IN, GREEN_SHARED, RED_SHARED);
	GOES(TC_IN, GREEN_SHARED, RED_SHARED, MAC_VM);
	forget_pairs(lab);
	GOES(XDP_IN, GREEN_SHARED, RED_SHARED, "left");
	GOES(XDP_IN, GREEN_SHARED, RED_SHARED, "left");
	lab_close(lab);
}

static bool has_hop(struct lab *lab, const char *peer)
{
	struct tn_peer *all = calloc(libbpf_num_possible_cpus(), sizeof(*all)), *own;
	bool found = false;

	own = &all[sched_getcpu()];
	for (uint32_t place = 0; place < 1U << TN_PEERS_BITS && !found; place++) {
		need(bpf_map_lookup_elem(lab_map_fd(lab, "peers"), &place, all) == 0, "peers");
		found = own->peer == addr_of(peer).w[3] && own->generation;
	}
	free(all);
	return found;
}

static bool is_cached_out(struct lab *lab)
{
	struct tn_cached cached = lab_cached(lab, RED_SHARED);

	return cached.flags & TN_CACHED_OUT && cached.generation && has_hop(lab, GREEN_SHARED);
}

/* A packet from RED_VM has gone out, and all is cached that is to be known of the next one. */
static void learn_out(struct lab *lab)
{
	for (int i = 0; i == 0 || (i < 50 && !is_cached_out(lab)); i++) {
		usleep(i ? TICK_MAX : 0);
		forget_pairs(lab);
		goes(lab, INSIDE_IN, RED_VM, GREEN_SHARED);
		forget_pairs(lab);
	}
	cr_assert(is_cached_out(lab), "what RED_VM sends, or the way back to it, is not cached");
}

/* A place stays whose it is until it is out of date, and then is no longer the former's. */
Test(cache, places_of_hops)
{
	struct lab *lab = open_caching();
	struct tn_hop other;
	struct tn_cached cached;

	learn(lab, TC_IN, GREEN_SHARED, RED_SHARED);
	cached = lab_cached(lab, RED_SHARED);
	other = hop_at(lab, cached.hop);
	other.gateway = addr_of("10.9.9.9").w[3];
	other.generation++;
	put_hop(lab, cached.hop, &other);
	goes(lab, TC_IN, GREEN_SHARED, RED_SHARED);
	cr_expect_eq(hop_at(lab, cached.hop).gateway, other.gateway);
	cr_expect_eq(hop_at(lab, cached.hop).generation, other.generation);
	other.expires = 1;
	put_hop(lab, cached.hop, &other);
	forget_pairs(lab);
	goes(lab, TC_IN, GREEN_SHARED, RED_SHARED);
	cr_expect_eq(hop_at(lab, cached.hop).generation, other.generation,
		     "what comes from there is known");
	other.src_valid_until = 1;
	other.expires = 2;
	put_hop(lab, cached.hop, &other);
	forget_pairs(lab);
	goes(lab, TC_IN, GREEN_SHARED, RED_SHARED);
	cr_expect_eq(hop_at(lab, cached.hop).gateway, addr_of(RED_VM).w[3]);
	cr_expect_eq(hop_at(lab, cached.hop).generation, other.generation + 1);
	cr_expect_eq(lab_cached(lab, RED_SHARED).generation, other.generation + 1);
	put_hop(lab, cached.hop, &other);
	learn_out(lab);
	cr_expect_eq(hop_at(lab, cached.hop).generation, other.generation + 1);
	cr_expect_eq(hop_at(lab, cached.hop).expires, 0, "nothing has gone there");
	lab_close(lab);
}

/* Two that counted in one place would lose some. What is watched goes another way than the rest. */
Test(cache, each_cpu_counts_for_itself)
{
	const struct {
		enum program program;
		struct packet p;
	} runs[] = {
		{ TC_IN, { UDP(GREEN_SHARED, RED_SHARED) } },
		{ XDP_IN, { UDP(GREEN_SHARED, RED_SHARED) } },
		{ TC_OUT, { UDP(RED_VM, GREEN_SHARED) } },
	};
	struct lab *lab = links_open_known(0, BY_STACK, MAC_ROUTER);
	uint32_t slot = lab_slot(lab, RED_SHARED, true);
	int last = libbpf_num_possible_cpus() - 1;

	lab_stay_on(last);
	for (size_t i = 0; i < ARRAY_SIZE(runs) * 2; i++) {
		const struct packet *p = &runs[i / 2].p;
		const struct tn_watch watch = { .expires = i % 2 ? UINT64_MAX : 0 };
		struct frame f = packet_build(p);
		uint32_t zero = 0;
		struct tn_counters c;

		need(bpf_map_update_elem(lab_map_fd(lab, "watch"), &zero, &watch, BPF_ANY) == 0,
		     "watch");
		lab_run(lab, runs[i / 2].program, p, &f);
		c = lab_record(lab, last, slot).counters;
		cr_expect_eq(c.in_packets + c.out_packets, i + 1, "run %zu", i);
	}
	lab_close(lab);
}

/* What one router has cached of its mapping lets nothing in at another. */
Test(cache, of_other_routers)
{
	struct lab *red, *blue;
	const struct packet p = { UDP(GREEN_SHARED, "100.64.3.77") };
	struct frame f = packet_build(&p);

	lab_stay_on(sched_getcpu());
	red = links_open_known(ON_TC, PAST_STACK, MAC_ROUTER);
	blue = lab_open_beside(
		red, &(struct lab_options){ .router = BLUE, .programs = ON_TC, .own_slots = true });
	lab_map(red, BLUE, RED_VM2, "100.64.3.77");
	cr_expect_neq(lab_run(blue, TC_IN, &p, &f).verdict, GONE);
	cr_expect_eq(lab_cached(red, "100.64.3.77").found & 0xffff, BLUE);
	cr_expect_eq(lab_cached(red, "100.64.3.77").fixed, addr_of(RED_VM2).w[3]);
	cr_expect_eq(lab_run(red, TC_IN, &p, &f).verdict, GONE);
	lab_close(blue);
	lab_close(red);
}

/* ---------------------------------------------------------------- what VMs send */

static uint32_t slots_place(const char *fixed)
{
	return (ntohl(addr_of(fixed).w[3]) + RED * 0x9e3779b1U) & (TN_SLOTS_OWN(MAPPINGS_MAX) - 1);
}

static void put_slot(struct lab *lab, const char *fixed, uint32_t slot)
{
	uint32_t place = slots_place(fixed);

	need(bpf_map_update_elem(lab_map_fd(lab, "slots"), &place, &slot, BPF_ANY) == 0, "slots");
}

/* Of a peer that something is cached of on this CPU; sets `place`. */
static struct tn_peer peer_at(struct lab *lab, const char *peer, uint32_t *place)
{
	struct tn_peer *all = calloc(libbpf_num_possible_cpus(), sizeof(*all)), found = { 0 };

	for (*place = 0; *place < 1U << TN_PEERS_BITS && !found.peer; ++*place) {
		need(bpf_map_lookup_elem(lab_map_fd(lab, "peers"), place, all) == 0, "peers");
		if (all[sched_getcpu()].peer == addr_of(peer).w[3])
			found = all[sched_getcpu()];
	}
	--*place;
	free(all);
	cr_assert(found.generation, "nothing was cached of what goes to %s", peer);
	return found;
}

static void put_peer(struct lab *lab, uint32_t place, const struct tn_peer *peer)
{
	struct tn_peer *all = calloc(libbpf_num_possible_cpus(), sizeof(*all));

	all[sched_getcpu()] = *peer;
	need(bpf_map_update_elem(lab_map_fd(lab, "peers"), &place, all, BPF_ANY) == 0, "peers");
	free(all);
}

/* The tables are those of before, and the programs are not told of it. */
static void forget_row(struct lab *lab, const char *map, const void *key)
{
	need(bpf_map_delete_elem(lab_map_fd(lab, map), key) == 0, map);
}

static const struct tn_fixed_key *row_out(const char *fixed)
{
	static struct tn_fixed_key key;

	key = (struct tn_fixed_key){ .router = RED, .fixed = addr_of(fixed) };
	return &key;
}

/* The peer has another MAC address now, which nobody has asked for: packets go by what is cached.
 */
static void move_peer(struct lab *lab)
{
	learn_out(lab);
	links_ip("neigh replace " GREEN_SHARED " lladdr " MAC_OTHER " dev lo nud permanent\n");
	GOES(INSIDE_IN, RED_VM, GREEN_SHARED, MAC_NEXT);
	forget_pairs(lab);
}

/* Whoever sends goes to a peer by the hop that is cached, until it is out of date. */
Test(cache, the_next_hop_out_is_known)
{
	struct lab *lab = open_caching();
	uint32_t place;

	move_peer(lab);
	/* the kernel is to send one, which keeps its neighbour alive */
	hops_end(lab, LAB_CACHE_TICKS);
	expect_asked(lab, INSIDE_IN, RED_VM, GREEN_SHARED, peer_at(lab, GREEN_SHARED, &place).hop);
	GOES(INSIDE_IN, RED_VM, GREEN_SHARED, MAC_OTHER);
	lab_close(lab);
}

Test(cache, routes_out_change)
{
	struct lab *lab = open_caching();

	move_peer(lab);
	links_ip("route add " GREEN_SHARED "/32 dev lo mtu lock " LINKS_MTU "\n");
	cr_expect_str_eq(goes_in_the_end(lab, INSIDE_IN, RED_VM, GREEN_SHARED), MAC_OTHER);
	forget_pairs(lab);
	links_ip("route replace unreachable " GREEN_SHARED "/32\n");
	GOES(INSIDE_IN, RED_VM, GREEN_SHARED, "left");
	lab_close(lab);
}

/* Of the peer's hop, its own line, and the VM's. */
Test(cache, what_is_not_believed_of_a_peer)
{
	struct lab *lab = open_caching();
	struct tn_peer right, peers[5];
	struct tn_hop hop, hops[3];
	uint32_t place;

	learn_out(lab);
	right = peer_at(lab, GREEN_SHARED, &place);
	hop = hop_at(lab, right.hop);
	memcpy(hop.macs, (const uint8_t[]){ 2, 0, 0, 0, 0, 0x99 }, ETH_ALEN); /* nobody's */
	hop.expires += 1000000; /* however busy the machine is */
	right.expires += 1000000;
	put_hop(lab, right.hop, &hop);
	for (size_t i = 0; i < ARRAY_SIZE(peers); i++)
		peers[i] = right;
	peers[0].peer = addr_of(STRANGER).w[3];
	peers[1].route_gen++;
	peers[2].generation++;
	peers[3].hop ^= 1;
	peers[4].ingress++; /* the kernel may not forward from there */
	for (size_t i = 0; i < ARRAY_SIZE(hops); i++)
		hops[i] = hop;
	hops[0].expires = 1;
	hops[1].generation++;
	hops[2].mtu = 35;
	for (size_t i = 0; i < ARRAY_SIZE(peers) + ARRAY_SIZE(hops); i++) {
		size_t j = i - ARRAY_SIZE(peers);

		put_peer(lab, place, i < ARRAY_SIZE(peers) ? &peers[i] : &right);
		put_hop(lab, right.hop, i < ARRAY_SIZE(peers) ? &hop : &hops[j]);
		cr_expect_str_neq(goes(lab, INSIDE_IN, RED_VM, GREEN_SHARED), "02:00:00:00:00:99",
				  "%zu", i);
		forget_pairs(lab);
	}
	put_peer(lab, place, &right);
	put_hop(lab, right.hop, &hop);
	GOES(INSIDE_IN, RED_VM, GREEN_SHARED, "02:00:00:00:00:99");
	lab_close(lab);
}

/* With another VM's hop cached alone, this one is asked for, and goes by the peer's. */
Test(cache, a_vm_that_is_not_cached)
{
	struct lab *lab = open_caching();
	const struct tn_cached none = { 0 };
	const char *where = "kernel";
	struct tn_peer peer;
	struct tn_hop hop;
	uint32_t place;

	links_ip("neigh add " RED_VM2 " lladdr " MAC_VM " dev lan0 nud permanent\n");
	learn_out(lab);
	learn(lab, TC_IN, GREEN_SHARED, RED_SHARED);
	cr_expect_eq(lab_cached(lab, RED_SHARED).flags & (TN_CACHED_IN | TN_CACHED_OUT),
		     TN_CACHED_IN);
	learn_out(lab);
	cr_expect_eq(lab_cached(lab, RED_SHARED).flags & (TN_CACHED_IN | TN_CACHED_OUT),
		     TN_CACHED_IN | TN_CACHED_OUT);
	peer = peer_at(lab, GREEN_SHARED, &place);
	hop = hop_at(lab, peer.hop);
	hop.expires -= 1000000;
	put_hop(lab, peer.hop, &hop);
	for (int i = 0; i < 3 && strcmp(where, "kernel") == 0; i++) {
		lab_put_cached(lab, RED_SHARED2, &none);
		forget_pairs(lab);
		usleep(20000); /* another tick, if it was just that of the kernel's packets */
		where = goes(lab, INSIDE_IN, RED_VM2, GREEN_SHARED);
		cr_expect_neq(lab_cached(lab, RED_SHARED2).generation, 0);
	}
	cr_expect_str_eq(where, MAC_NEXT);
	cr_expect_eq(hop_at(lab, peer.hop).expires, hop.expires, "then it would never be due");
	lab_close(lab);
}

/* Nor does anybody send as a VM because that has sent before. */
Test(cache, who_is_not_the_vm)
{
	struct lab *lab = open_caching();
	const struct packet others[] = {
		{ UDP(RED_VM, GREEN_SHARED), .from = MAC_OTHER, .ifindex = links_inside },
		{ UDP(RED_VM, GREEN_SHARED), .from = MAC_VM2, .ifindex = links_inside },
		{ UDP(RED_VM, GREEN_SHARED), .from = MAC_VM, .ifindex = 1 },
		{ UDP(RED_VM2, GREEN_SHARED), .from = MAC_VM, .ifindex = links_inside },
	};
	struct tn_cached cached;
	struct tn_hop hop;

	links_ip("neigh add " RED_VM2 " lladdr " MAC_VM2 " dev lan0 nud permanent\n");
	learn_out(lab);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		struct frame f = packet_build(&others[i]);

		cr_expect_eq(lab_run(lab, INSIDE_IN, &others[i], &f).verdict, GONE, "%zu", i);
		forget_pairs(lab);
	}
	/* it is at another MAC address now, which is asked for when the hop is out of date */
	links_ip("neigh replace " RED_VM " lladdr " MAC_VM2 " dev lan0 nud permanent\n");
	GOES(INSIDE_IN, RED_VM, GREEN_SHARED, MAC_NEXT);
	forget_pairs(lab);
	cached = lab_cached(lab, RED_SHARED);
	hop = hop_at(lab, cached.hop);
	hop.src_valid_until = 1;
	put_hop(lab, cached.hop, &hop);
	GOES(INSIDE_IN, RED_VM, GREEN_SHARED, "gone");
	lab_close(lab);
}

/* The pairs of what VMs send that are not out of date, and when one of them will be. */
static size_t ways_out(struct lab *lab, uint64_t *until)
{
	uint32_t end = libbpf_num_possible_cpus() * TN_PAIRS;
	struct tn_pair pair;
	size_t n = 0;

	for (uint32_t at = 0; at < end; at++) {
		need(bpf_map_lookup_elem(lab_map_fd(lab, "pairs"), &at, &pair) == 0, "pairs");
		if (!(pair.whose & TN_PAIR_OUT) || !pair.expires)
			continue;
		*until = pair.expires;
		n++;
	}
	return n;
}

/* A pair that was made by two caches is believed no longer than either of them. */
Test(cache, how_long_a_route_out_is_believed)
{
	struct lab *lab = open_caching();
	struct tn_cached cached;
	uint64_t until = 0;
	struct tn_hop hop;

	learn_out(lab);
	cached = lab_cached(lab, RED_SHARED);
	hop = hop_at(lab, cached.hop);
	hop.src_valid_until -= 1000000;
	put_hop(lab, cached.hop, &hop);
	GOES(INSIDE_IN, RED_VM, GREEN_SHARED, MAC_NEXT);
	cr_expect_eq(ways_out(lab, &until), 1);
	cr_expect_eq(until, hop.src_valid_until);
	lab_close(lab);
}

/*
 * By what a VM sends it is known where it is, but no packet goes there: those that do see to the
 * kernel's neighbour as if it had sent nothing.
 */
Test(cache, what_a_vm_sends_keeps_no_neighbour)
{
	struct lab *lab = open_caching();
	struct tn_hop hop;
	struct tn_cached cached;

	learn_out(lab);
	cached = lab_cached(lab, RED_SHARED);
	cr_expect_eq(hop_at(lab, cached.hop).expires, 0);
	cr_expect_neq(hop_at(lab, cached.hop).src_valid_until, 0);
	learn(lab, TC_IN, GREEN_SHARED, RED_SHARED);
	cached = lab_cached(lab, RED_SHARED);
	cr_expect_neq(hop_at(lab, cached.hop).expires, 0);
	hops_end(lab, LAB_CACHE_TICKS);
	hop = hop_at(lab, cached.hop);
	learn_out(lab);
	cr_expect_gt(hop_at(lab, cached.hop).src_valid_until, hop.src_valid_until);
	cr_expect_eq(hop_at(lab, cached.hop).expires, hop.expires);
	GOES(TC_IN, GREEN_SHARED, RED_SHARED, "kernel");
	lab_close(lab);
}

/* Though its packets would not fit through the route back, which errors alone take. */
Test(cache, a_vm_behind_a_narrow_route)
{
	struct lab *lab = open_caching();
	const struct packet wide = { .src = RED_VM,
				     .dst = GREEN_SHARED,
				     .proto = IPPROTO_UDP,
				     .payload = 1000,
				     .from = MAC_VM,
				     .ifindex = links_inside };
	struct frame f = packet_build(&wide);
	uint64_t until;

	links_ip("route add " RED_VM "/32 dev lan0 mtu lock 600\n");
	lab_changed(lab);
	cr_expect_eq(lab_run(lab, INSIDE_IN, &wide, &f).verdict, BACK);
	cr_expect_eq(ways_out(lab, &until), 1);
	cr_expect_eq(hop_at(lab, lab_cached(lab, RED_SHARED).hop).mtu, 600);
	lab_close(lab);
}

/* What is cached of a mapping by its row holds for that direction, and until the next change. */
Test(cache, rows_that_are_gone)
{
	static const struct {
		enum program learns, tries;
	} runs[] = { { TC_IN, TC_IN },	   { TC_IN, INSIDE_IN }, { INSIDE_IN, INSIDE_IN },
		     { INSIDE_IN, TC_IN }, { TC_IN, XDP_IN },	 { INSIDE_IN, XDP_IN } };

	for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
		bool out = runs[i].tries == INSIDE_IN, same = (runs[i].learns == INSIDE_IN) == out;
		const char *from = out ? RED_VM : GREEN_SHARED,
			   *to = out ? GREEN_SHARED : RED_SHARED;
		struct lab *lab = open_caching();
		const struct tn_addr shared = addr_of(RED_SHARED);

		if (runs[i].learns == INSIDE_IN)
			learn_out(lab);
		else
			learn(lab, runs[i].learns, GREEN_SHARED, RED_SHARED);
		if (out)
			forget_row(lab, "by_fixed", row_out(RED_VM));
		else
			forget_row(lab, "by_shared", &shared);
		if (same)
			GOES(runs[i].tries, from, to, out ? MAC_NEXT : MAC_VM);
		else
			GOES(runs[i].tries, from, to, out ? "left" : "gone");
		forget_pairs(lab);
		lab_changed(lab);
		GOES(runs[i].tries, from, to, out ? "left" : "gone");
		lab_close(lab);
	}
}

/* A place in `slots` says nothing by itself. */
Test(cache, which_slot_is_not_believed)
{
	struct lab *lab = open_caching();
	struct tn_cached right, wrong;

	lab_map(lab, RED, FAR_FIXED, FAR_SHARED);
	links_ip("neigh add " FAR_FIXED " lladdr " MAC_VM " dev lan0 nud permanent\n");
	learn_out(lab);
	right = lab_cached(lab, RED_SHARED);
	goes(lab, INSIDE_IN, FAR_FIXED, GREEN_SHARED);
	forget_row(lab, "by_fixed", row_out(RED_VM));
	for (int i = 0; i < 5; i++) {
		wrong = right;
		put_slot(lab, RED_VM, lab_own_slot(i ? RED_SHARED : FAR_SHARED));
		if (i == 1)
			wrong.found -= 2 << TN_CACHED_ROUTER;
		else if (i == 2)
			wrong.found ^= RED ^ BLUE;
		else if (i == 3)
			wrong.fixed = addr_of(FAR_FIXED).w[3];
		else if (i == 4)
			wrong.flags &= ~TN_CACHED_OUT;
		lab_put_cached(lab, RED_SHARED, &wrong);
		forget_pairs(lab);
		cr_expect_str_eq(goes(lab, INSIDE_IN, RED_VM, GREEN_SHARED), "left", "%d", i);
	}
	put_slot(lab, RED_VM, lab_own_slot(RED_SHARED));
	lab_put_cached(lab, RED_SHARED, &right);
	forget_pairs(lab);
	GOES(INSIDE_IN, RED_VM, GREEN_SHARED, MAC_NEXT);
	lab_close(lab);
}

/* Of two mappings with one place in `slots` it is one's, or each packet would write there. */
Test(cache, two_fixed_addresses_with_one_place)
{
	struct lab *lab = open_caching();
	const char *other = "10.0.0.133", *others = "100.64.1.109";
	uint32_t place = slots_place(RED_VM), slot;

	cr_assert_eq(slots_place(other), place);
	lab_map(lab, RED, other, others);
	links_ip("neigh add 10.0.0.133 lladdr " MAC_VM " dev lan0 nud permanent\n");
	for (int i = 0; i < 2; i++) {
		const char *first = i ? other : RED_VM;

		lab_changed(lab);
		for (int j = 0; j < 4; j++) {
			forget_pairs(lab);
			goes(lab, INSIDE_IN, j % 2 == i ? RED_VM : other, GREEN_SHARED);
		}
		need(bpf_map_lookup_elem(lab_map_fd(lab, "slots"), &place, &slot) == 0, "slots");
		cr_expect_eq(slot, lab_own_slot(i ? others : RED_SHARED), "%s was first", first);
	}
	lab_close(lab);
}

/* A hop that is cached for an address is not that of another VM, which has it now. */
Test(cache, whose_hop_it_is)
{
	static const char shared[] =
		"100.64.1.133"; /* its own slot is RED_SHARED's, which has it */
	struct lab *lab = open_caching();
	struct tn_cached cached;
	const char *went;

	lab_map(lab, RED, FAR_FIXED, shared);
	cr_assert_eq(lab_own_slot(shared), lab_own_slot(RED_SHARED));
	links_ip("neigh add " FAR_FIXED " lladdr " MAC_VM2 " dev lan0 nud permanent\n");
	lab_changed(lab);
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		learn(lab, XDP_IN, GREEN_SHARED, RED_SHARED);
		cached = lab_cached(lab, RED_SHARED);
		cached.shared = addr_of(shared).w[3];
		cached.flags = TN_SHARED_MAPPED | TN_CACHED_OUT;
		lab_put_cached(lab, shared, &cached);
		went = goes_in_the_end(lab, programs[i], GREEN_SHARED, shared);
		cr_expect_str_eq(went, MAC_VM2, "%s", went);
		forget_pairs(lab);
	}
	lab_close(lab);
}

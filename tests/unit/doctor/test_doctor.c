/* SPDX-License-Identifier: GPL-2.0-only */
/* What doctor makes of facts: each test starts from a machine or router where all is well. */
#include <errno.h>

#include "../fixture.h"
#include "doctor/doctor.h"

/* "problem mtu red lan0: seen > remedy\n"; what is ok is left out. */
static char *findings_text(const struct diagnosis *f)
{
	size_t size;
	char *text;
	FILE *out = open_memstream(&text, &size);

	vec_each (one, &f->list) {
		if (one->severity == SEVERITY_FINE)
			continue;
		cr_expect(one->remedy && one->remedy[0], "no remedy: %s", one->seen);
		fprintf(out, "%s %s%s%s%s%s: %s > %s\n", severity_name(one->severity),
			finding_name(one->id), one->tenant ? " " : "",
			one->tenant ? one->tenant : "", one->interface ? " " : "",
			one->interface ? one->interface : "", one->seen, one->remedy);
	}
	fclose(out);
	return text;
}

static void expect_found(struct diagnosis *f, const char *want, const char *what)
{
	cr_expect_gt(diagnosis_count(f, SEVERITY_FINE), 0);
	expect_text(findings_text(f), want, what);
	diagnosis_free(f);
}

/* ------------------------------------------------------------ the machine */

static struct machine_report well(void)
{
	return (struct machine_report){ .missing_privileges = "",
					.kernel = "6.1.0",
					.kernel_major = 6,
					.kernel_minor = 1,
					.btf = true,
					.jit = 1,
					.tcx = 1,
					.dispatcher = 1,
					.state = "/var/lib/tenantnat",
					.state_exists = true,
					.state_available = 1ULL << 30,
					.pinned = true,
					.capacity = 100,
					.leftovers = "" };
}

static void machine_has(const struct machine_report *m, const char *want)
{
	struct diagnosis f = { 0 };

	doctor_machine(m, &f);
	expect_found(&f, want, "the machine");
}

Test(doctor, a_machine_where_all_is_well)
{
	struct machine_report m = well(), fresh = well();

	machine_has(&m, "");
	fresh.state_exists = fresh.pinned = false;
	fresh.state_available = fresh.capacity = 0;
	fresh.dispatcher = fresh.tcx = 0;
	machine_has(&fresh, "");
}

Test(doctor, kernel)
{
	static const struct {
		unsigned int major, minor;
		bool old;
	} cases[] = {
		{ 5, 15, true }, { 6, 0, true }, { 6, 1, false }, { 6, 18, false }, { 7, 0, false }
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct machine_report m = well();

		m.kernel_major = cases[i].major;
		m.kernel_minor = cases[i].minor;
		machine_has(&m, cases[i].old
					? "problem kernel: Linux 6.1.0 is too old > boot Linux 6.1 "
					  "or later\n"
					: "");
	}
	struct machine_report m = well();

	m.btf = false;
	machine_has(&m, "problem btf: there is no /sys/kernel/btf/vmlinux > mount sysfs, or boot a "
			"kernel with CONFIG_DEBUG_INFO_BTF\n");
}

Test(doctor, jit)
{
	struct machine_report m = well();

	m.jit = 0;
	machine_has(&m,
		    "problem jit: the kernel does not compile BPF programs, and interpreted they "
		    "cannot call its functions > sysctl -w net.core.bpf_jit_enable=1\n");
	m.jit = 1;
	m.jit_harden = 1;
	machine_has(&m, "");
	m.jit_harden = 2;
	machine_has(&m,
		    "warning jit: net.core.bpf_jit_harden is 2: constants are blinded in root's "
		    "programs too, which makes them larger and slower > sysctl -w "
		    "net.core.bpf_jit_harden=1, if only root loads programs, and then detach and "
		    "apply\n");
	m.jit = UNKNOWN;
	machine_has(&m,
		    "not checked jit: net.core.bpf_jit_enable cannot be read > run as root in the "
		    "first network namespace\n");
}

/* the sentence of an error is taken apart; what only root can see is not wrong for others */
Test(doctor, errors)
{
	struct machine_report m = well();

	error_set(&m.bpffs, "none at /b; mount it; or not");
	error_set(&m.maps_error, "cannot read /b/maps");
	error_set(&m.state_error, "cannot open s; run as root");
	machine_has(&m, "problem bpffs: none at /b > mount it; or not\n"
			"problem state: cannot open s > run as root\n"
			"problem maps: cannot read /b/maps > see to that, and run doctor again\n");
	m.missing_privileges = "CAP_NET_ADMIN";
	m.tcx = m.dispatcher = UNKNOWN;
	machine_has(&m, "problem privileges: this process lacks CAP_NET_ADMIN; what needs them is "
			"not checked > run as root\n"
			"not checked bpffs: none at /b > mount it; or not\n"
			"not checked tc: the kernel does not tell > run as root\n"
			"not checked dispatcher: the kernel does not tell > run as root\n"
			"not checked state: cannot open s > run as root\n"
			"not checked maps: cannot read /b/maps > run as root\n");
}

Test(doctor, room)
{
	struct machine_report m = well();

	m.rows = 79;
	machine_has(&m, "");
	m.rows = 80;
	machine_has(&m,
		    "warning room: 80 of 100 places are taken (80 %) > `tenantnat detach --all` "
		    "and then apply makes larger maps, but interrupts traffic\n");
}

Test(doctor, space)
{
	struct machine_report m = well();

	m.state_available = 64 << 20;
	machine_has(&m, "");
	m.state_available--;
	machine_has(&m,
		    "warning disk-space: 63 MiB are left on the file system of "
		    "/var/lib/tenantnat, and its files take 0 MiB > make room there, at least 64 "
		    "MiB\n");
	/* a large state needs more: a change is written beside it */
	m.state_available = 299ULL << 20;
	m.state_used = 100 << 20;
	machine_has(&m,
		    "warning disk-space: 299 MiB are left on the file system of "
		    "/var/lib/tenantnat, and its files take 100 MiB > make room there, at least "
		    "300 MiB\n");
	m.state_available = 300ULL << 20;
	machine_has(&m, "");
}

#define FULL(family, mappings, need, room, size)                                        \
	"warning neighbour-table: 15 routers with " mappings " mappings may need " need \
	" entries of " family ", and all network namespaces together have " room        \
	" > `sysctl -w net." family ".neigh.default.gc_thresh3=" size                   \
	"`, and the same in /etc/sysctl.d for the next boot\n"

/* Each router may ask for 64 in vain, and each mapping is a neighbour. */
Test(doctor, neighbour_table)
{
	struct machine_report m = well();

	m.neighbours[IPV4] =
		(struct neighbour_table){ .room = 1024, .routers = 15, .mappings = 64 };
	machine_has(&m, "");
	m.neighbours[IPV4].mappings = 65;
	machine_has(&m, FULL("ipv4", "65", "1025", "1024", "2048"));
	m.neighbours[IPV4].room = 2048;
	m.neighbours[IPV6] =
		(struct neighbour_table){ .room = 1024, .routers = 15, .mappings = 1000000 };
	machine_has(&m, FULL("ipv6", "1000000", "1000960", "1024", "1048576"));
	/* another namespace than the first has no such setting; who has no routers needs none */
	m.neighbours[IPV6].room = UNKNOWN;
	m.neighbours[IPV4] = (struct neighbour_table){ .room = UNKNOWN };
	machine_has(&m,
		    "not checked neighbour-table: net.ipv6.neigh.default.gc_thresh3 cannot be read "
		    "> run doctor in the first network namespace\n");
}

Test(doctor, state_that_cannot_be_written)
{
	static const struct {
		int why;
		bool exists;
		const char *seen;
	} cases[] = {
		{ EROFS, true,
		  " can be read, but not written to, so nothing can be changed: Read-only file "
		  "system "
		  "> `mount -o remount,rw $(findmnt -n -o TARGET -T /var/lib/tenantnat)`\n" },
		{ EPERM, true,
		  " can be read, but not written to, so nothing can be changed: Operation not "
		  "permitted > `chattr -R -i /var/lib/tenantnat`\n" },
		{ EROFS, false,
		  " cannot be made, so nothing can be changed: Read-only file system > `mount -o "
		  "remount,rw $(findmnt -n -o TARGET -T /var/lib/tenantnat)`\n" },
		{ ENOTDIR, false,
		  " cannot be made, so nothing can be changed: Not a directory > make it a "
		  "directory of "
		  "root's that can be written to, or give another one with --state\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct machine_report m = well();
		_cleanup_free_ char *want = NULL;

		m.state_exists = cases[i].exists;
		m.state_unwritable = cases[i].why;
		cr_assert_gt(asprintf(&want, "problem state: /var/lib/tenantnat%s", cases[i].seen),
			     0);
		machine_has(&m, want);
	}
	struct machine_report m = well();

	m.state_available = (1 << 20) - 1;
	machine_has(&m,
		    "problem disk-space: 0 MiB are left on the file system of "
		    "/var/lib/tenantnat, and its files take 0 MiB > make room there, at least 64 "
		    "MiB\n");
}

#define RESTORE " > tenantnat restore, or run the agent, which does it whenever it is needed\n"

static void drifts(const char *lines, bool minor, const char *want)
{
	_cleanup_free_ char *copy = xstrdup(lines);
	struct machine_report m = well();
	char *rest = copy, *one;

	while ((one = strsep(&rest, ";")) && *one) {
		struct drift_line *line = vec_push(&m.drift.lines);

		line->text = xstrdup(one);
		line->minor = minor || one[0] == '~';
	}
	machine_has(&m, want);
	drift_free(&m.drift);
}

/* A line that traffic needs is a problem; many are counted. */
Test(doctor, drift)
{
	struct machine_report m = well();

	drifts("", false, "");
	drifts("~ router red", false, "warning drift: restore would do this: ~ router red" RESTORE);
	drifts("~ router red;+ mapping red 10.0.0.5", false,
	       "problem drift: restore would do this: ~ router red; + mapping red "
	       "10.0.0.5" RESTORE);
	drifts("+ a;+ b;+ c;+ d;+ e", true,
	       "warning drift: restore would do this: + a; + b; + c; and 2 more" RESTORE);
	m.drift.writer = 7;
	machine_has(&m,
		    "not checked drift: process 7 is changing it > run doctor again when it has "
		    "ended\n");
	m.drift.writer = 0;
	*vec_push(&m.drift.failed) =
		(struct drift_failure){ xstrdup("red"), xstrdup("tenant red: gone; make it") };
	machine_has(&m, "problem drift red: tenant red: gone > make it\n");
	drift_free(&m.drift);
}

Test(doctor, leftovers)
{
	struct machine_report m = well();

	m.leftovers = "/b/MAPS /s/x.tmp";
	machine_has(&m,
		    "warning leftovers: not finished by a run that was killed: /b/MAPS /s/x.tmp > "
		    "when no other tenantnat is running: rm -r /b/MAPS /s/x.tmp\n");
	m = well();
	m.defined = m.unsettled = true;
	machine_has(
		&m,
		"warning leftovers: the last change was cut short, and rows of it may be left in "
		"the maps > tenantnat restore\n");
	strcpy(m.unwanted, "red (netns r1)");
	machine_has(&m, "problem leftovers: programs are left at routers that no definitions want "
			"attached: red (netns r1) > tenantnat restore\n");
	/* restore would refuse: a state that was lost is not what somebody wants */
	m.defined = false;
	machine_has(&m, "problem leftovers: programs are left at routers that no definitions want "
			"attached: red (netns r1) > tenantnat detach --all\n");
}

/* ------------------------------------------------------------ routers */

static struct port port_of(const char *name)
{
	struct port p = { .up = true,
			  .carrier = true,
			  .mtu = 1500,
			  .forwarding = 1,
			  .forwarding_v6 = 1,
			  .accept_ra = 1 };

	snprintf(p.name, sizeof(p.name), "%s", name);
	p.features.on[ETHTOOL_GRO] = true;
	return p;
}

static struct model both;

/* A router of the tenant red, as it should be; the test changes what it is about. */
static struct router_report healthy(void)
{
	struct router_report r = { .model = &both,
				   .enter = "in-red ",
				   .via = HOOK_TC,
				   .attached = true,
				   .own_v4 = true,
				   .own_v6 = true,
				   .v4 = true,
				   .v6 = true,
				   .forwarding_v6 = 1 };

	if (!both.tenants.n)
		both = model_of(
			"net 100.64.0.0/16 fd64::/64 100.65.0.0/16; tenant red; router; map "
			"10.0.0.5 lease=100.64.1.5; map fd00::5 lease=fd64::5");
	r.tenant = &both.tenants.v[0];
	r.shared = port_of("shared0");
	*vec_push(&r.inside) = port_of("lan0");
	return r;
}

#define APPLY	     "run apply again with your definitions file"
#define NOT_ATTACHED "problem programs red shared0: nothing is attached > " APPLY "\n"

static void add_lookup(struct router_report *r, const char *to, bool shared, const char *by)
{
	struct lookup *l = vec_push(&r->lookups);

	l->to = addr_of(to);
	l->shared = shared;
	l->what = xstrdup(shared ? "the shared subnet S" : "the fixed address F");
	snprintf(l->by, sizeof(l->by), "%s", by);
	l->subnet = prefix_of(addr_is_v4(&l->to) ? "100.64.0.0/16" : "fd64::/64");
}

static void router_has(struct router_report *r, const char *want)
{
	struct diagnosis f = { .tenant = "red" };

	doctor_router(r, &f);
	expect_found(&f, want, "the router");
	router_report_free(r);
}

Test(doctor, a_router_where_all_is_well)
{
	struct router_report r = healthy();

	add_lookup(&r, "100.64.0.1", true, "shared0");
	add_lookup(&r, "10.0.0.5", false, "lan0");
	r.shared.rp_filter = r.inside.v[0].rp_filter = 1;
	router_has(&r, "");
}

/* It has no address, no routes, and does not forward: that is as it is to be. */
Test(doctor, a_standby)
{
	struct router_report r = healthy();

	r.by_address = r.standby = true;
	r.own_v4 = r.own_v6 = false;
	r.shared.forwarding = r.inside.v[0].forwarding = r.forwarding_v6 = 0;
	r.shared.rp_filter = 1;
	add_lookup(&r, "100.64.0.1", true, "up0");
	router_has(&r, "");
	r = healthy();
	r.by_address = r.standby = true;
	r.inside.v[0].up = false;
	router_has(&r, "problem link red lan0: it is down > in-red ip link set lan0 up\n");
}

Test(doctor, two_hosts_that_are_active)
{
	struct router_report r = healthy();

	r.by_address = r.standby = true;
	r.contested = addr_of("fd64::2");
	router_has(&r,
		   "problem active red shared0: another host has its address fd64::2, too: both "
		   "want to be active > see why what moves the address (keepalived, the L3 agent) "
		   "gives it to both: most often its hosts do not hear each other; `tenantnat "
		   "check red` names the other by its MAC address\n");
	r = healthy();
	r.contested = addr_of("fd64::2");
	router_has(&r, "");
}

/* What is not attached drops nothing, and leads nowhere else than before. */
Test(doctor, other_addresses)
{
	for (int attached = 0; attached < 2; attached++) {
		struct router_report r = healthy();

		r.attached = attached;
		*vec_push(&r.cut_off) =
			(struct iface_addr){ addr_of("192.0.2.1"), 120, false, false, false };
		*vec_push(&r.cut_off) =
			(struct iface_addr){ addr_of("2001:db8::1"), 64, false, false, false };
		router_has(&r, attached
				       ? "problem other-addresses red shared0: its address "
					 "192.0.2.1 is in no shared subnet: what comes to it and "
					 "what it sends there is dropped > `in-red ip addr del "
					 "192.0.2.1/24 dev shared0`, and put it on another "
					 "interface\n"
					 "problem other-addresses red shared0: its address "
					 "2001:db8::1 is in no shared subnet: what comes to it and "
					 "what it sends there is dropped > `in-red ip addr del "
					 "2001:db8::1/64 dev shared0`, and put it on another "
					 "interface\n"
				       : NOT_ATTACHED);
	}
}

Test(doctor, unreachable_routes)
{
	for (int attached = 0; attached < 2; attached++) {
		struct router_report r = healthy();

		r.attached = attached;
		*vec_push(&r.uncovered) = prefix_of("fd64::/64");
		router_has(&r, attached ? "warning routes red: there is no unreachable route to "
					  "fd64::/64: when shared0 is down, what VMs send there "
					  "leaves by the default route > in-red ip route add "
					  "unreachable fd64::/64 metric 4294967295 proto 116\n"
					: NOT_ATTACHED);
	}
}

Test(doctor, router_not_found)
{
	struct diagnosis f = { .tenant = "red" };
	struct router_report r = healthy();

	error_set(&r.netns, "there is no network namespace red; create it");
	doctor_router(&r, &f);
	expect_text(findings_text(&f),
		    "problem netns red: there is no network namespace red > create it\n", "netns");
	diagnosis_free(&f);
	r.netns.set = false;
	error_set(&r.shared_error, "there is no interface shared0; seen: lo");
	doctor_router(&r, &f);
	expect_text(findings_text(&f),
		    "problem shared-interface red: there is no interface shared0 > seen: lo\n",
		    "it");
	diagnosis_free(&f);
	router_report_free(&r);
}

Test(doctor, inside_interfaces)
{
	struct router_report r = healthy();

	error_set(&r.inside_doubt, "no interface matches `qr-*` of `inside`; seen: lo");
	router_has(&r, "warning inside-interfaces red: no interface matches `qr-*` of `inside` > "
		       "seen: lo\n");
	r = healthy();
	error_set(&r.inside_error, "there is no interface lan1; seen: lo");
	router_has(&r, "problem inside-interfaces red: there is no interface lan1 > seen: lo\n");
}

Test(doctor, programs)
{
	struct router_report gone = healthy(), broken = healthy(), old = healthy(),
			     others = healthy();

	gone.attached = false;
	gone.other_build = true;
	router_has(&gone, NOT_ATTACHED);
	broken.broken = true;
	router_has(&broken, "problem programs red shared0: a program, its link or its interface is "
			    "missing, or the interface has another MAC address > `tenantnat "
			    "restore`; `tenantnat show` lists what is there\n");
	old.other_build = true;
	router_has(&old, "warning build red shared0: the programs are of another build than this "
			 "executable > " APPLY ": that renews them\n");
	*vec_push(&others.others) = (struct stranger){ "program 7 (tcx, egress)", false };
	*vec_push(&others.others) = (struct stranger){ "program 8 (xdp, ingress)", true };
	router_has(&others,
		   "warning other-programs red shared0: program 8 (xdp, ingress) runs before "
		   "ours: what it takes or redirects is not judged > look what it is with "
		   "`in-red bpftool net show dev shared0`, and take it off if it is not meant to "
		   "be there\n");
}

Test(doctor, own_address)
{
	static const struct {
		bool v4, v6, own_v4, own_v6;
		const char *missing;
	} cases[] = {
		{ true, true, false, false, "IPv4 and no IPv6" },
		{ true, true, false, true, "IPv4" },
		{ true, true, true, false, "IPv6" },
		{ true, false, true, false, NULL },
		{ false, true, false, true, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct router_report r = healthy();
		_cleanup_free_ char *want = NULL;

		r.v4 = cases[i].v4;
		r.v6 = cases[i].v6;
		r.own_v4 = cases[i].own_v4;
		r.own_v6 = cases[i].own_v6;
		cr_assert_gt(asprintf(&want,
				      "problem address red shared0: it has no %s address in the "
				      "shared subnets: hosts there cannot reach the router, and "
				      "get no ICMP errors of it > " APPLY ": that gives it one\n",
				      cases[i].missing ?: ""),
			     0);
		router_has(&r, cases[i].missing ? want : "");
	}
}

#define SLOW                                                                                       \
	"warning hook red shared0: XDP on a veth takes segmentation offload from its peer: large " \
	"transfers are several times slower than with tc > write `hook: tc` or `hook: auto` into " \
	"the router's definition, and apply\n"

static struct router_report with_hook(enum hook via, const char *kind, bool vlan, bool rxvlan)
{
	struct router_report r = healthy();

	r.via = via;
	snprintf(r.shared.kind, sizeof(r.shared.kind), "%s", kind);
	if (vlan)
		snprintf(vec_push(&r.vlans)->name, IF_NAMESIZE, "shared0.7");
	r.shared.features.on[ETHTOOL_RX_VLAN] = rxvlan;
	return r;
}

Test(doctor, hook_and_vlan)
{
	static const struct {
		enum hook via;
		const char *kind;
		bool vlan, rxvlan, slow, lost;
	} cases[] = {
		{ HOOK_TC, "veth", true, true, false, false },
		{ HOOK_TC, "", true, true, false, false },
		{ HOOK_XDP, "veth", false, true, true, false },
		{ HOOK_XDP, "", false, true, false, false },
		{ HOOK_XDP, "", true, false, false, false },
		{ HOOK_XDP, "", true, true, false, true },
		{ HOOK_XDP_GENERIC, "", true, true, false, true },
		{ HOOK_XDP_GENERIC, "veth", false, true, false, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct router_report r =
			with_hook(cases[i].via, cases[i].kind, cases[i].vlan, cases[i].rxvlan);

		router_has(&r, cases[i].slow ? SLOW
			       : cases[i].lost
				       ? "problem vlan-offload red shared0: the VLAN device "
					 "shared0.7 stands on it, and XDP does not see tags "
					 "that the network card hands on beside the frame: "
					 "frames of that VLAN are dropped > write `hook: tc` "
					 "into the router's definition, and apply; or run "
					 "in-red ethtool -K shared0 rxvlan off\n"
				       : "");
	}
	/* there XDP asks for them */
	struct router_report asks = with_hook(HOOK_XDP, "veth", true, false);

	asks.sees_tags = true;
	router_has(&asks, SLOW);
	/* what the peer of a veth does is not seen from here */
	struct router_report r = with_hook(HOOK_XDP_GENERIC, "veth", true, false);

	router_has(&r,
		   "problem vlan-offload red shared0: the VLAN device shared0.7 stands on it, and "
		   "XDP does not see tags that the veth's peer hands on beside the frame: frames "
		   "of that VLAN are dropped > write `hook: tc` into the router's definition, and "
		   "apply; or run `ethtool -K PEER txvlan off` where the other end of shared0 "
		   "is\n");
}

Test(doctor, links_and_offloads)
{
	struct router_report r = healthy();

	r.shared.up = false;
	r.shared.carrier = false;
	r.inside.v[0].carrier = false;
	r.inside.v[0].features.on[ETHTOOL_LRO] = true;
	r.shared.features.on[ETHTOOL_GRO_HW] = true;
	router_has(&r,
		   "problem link red shared0: it is down > in-red ip link set shared0 up\n"
		   "warning offloads red shared0: rx-gro-hw is on: the card merges packets before "
		   "XDP sees them, and not every driver does that so that they can be forwarded "
		   "as they came > in-red ethtool -K shared0 rx-gro-hw off\n"
		   "problem link red lan0: it is up, but has no carrier > see to its cable, or set "
		   "the other end up: `ip link set PEER up`\n"
		   "problem offloads red lan0: LRO is on: merged packets lose their sizes, and are "
		   "dropped where they are forwarded > in-red ethtool -K lan0 lro off\n");
	r = healthy();
	error_set(&r.shared.features_error, "cannot read the offloads of shared0: no");
	router_has(&r, "not checked offloads red: cannot read the offloads of shared0: no > run as "
		       "root\n");
}

Test(doctor, mtu)
{
	struct router_report larger = healthy(), smaller = healthy();

	larger.inside.v[0].mtu = 1501;
	router_has(&larger,
		   "warning mtu red lan0: its MTU is 1501, that of shared0 only 1500: larger "
		   "packets need path MTU discovery, which fails for VMs whose firewall drops ICMP "
		   "> `in-red ip link set lan0 mtu 1500`, and the same in the VMs\n");
	smaller.inside.v[0].mtu = 1400;
	router_has(&smaller, "");
}

#define AROUND	   "problem mtu red shared0: its MTU is 1500, but that of "
#define LOST(than) ", which it is connected to, is " than ": larger packets are silently dropped > "

/* "veth p 1500;far bridge br0 1400": of the shared interface, in the order of iface_relation; "on":
 * of what it stands on. */
static void connected_to(const char *others, bool found, const char *want)
{
	_cleanup_free_ char *copy = xstrdup(others), *expected = NULL;
	struct router_report r = healthy();
	struct port *p = &r.shared;
	char *rest = copy, *one;

	p->elsewhere_found = found;
	snprintf(p->enter_elsewhere, sizeof(p->enter_elsewhere), "in-host ");
	for (int i = 0; (one = strsep(&rest, ";")); i++) {
		struct iface_other *o = &p->other[i];

		if (strncmp(one, "on ", 3) == 0) {
			p->stacked = true;
			one += 3;
		}
		o->elsewhere = strncmp(one, "far ", 4) == 0;
		one += o->elsewhere ? 4 : 0;
		cr_assert(!*one || sscanf(one, "%23s %15s %u", o->kind, o->name, &o->mtu) == 3,
			  "%s", one);
	}
	cr_assert_geq(
		asprintf(&expected, "%s%s%s", want ? AROUND : "", want ?: "", want ? "\n" : ""), 0);
	router_has(&r, expected);
}

Test(doctor, mtu_of_what_it_is_connected_to)
{
	connected_to("", false, NULL);
	connected_to("veth p 1500;bridge br0 1500;bridge br1 1500", false, NULL);
	connected_to("veth p 9000;bridge br0 1500", false,
		     "p" LOST("9000") "in-red ip link set p mtu 1500");
	connected_to("veth p 1400", false, "p" LOST("1400") "in-red ip link set shared0 mtu 1400");
	connected_to("on veth p 9000", false, NULL);
	connected_to("on veth p 1400", false,
		     "p" LOST("1400") "in-red ip link set shared0 mtu 1400");
	/* where it is, and not by whom it is seen */
	connected_to("far veth p 9000", true, "p" LOST("9000") "in-host ip link set p mtu 1500");
	connected_to(
		"far veth p 9000", false,
		"p" LOST("9000") "`ip link set p mtu 1500` in the network namespace that it is in");
	connected_to("far veth p 1400", true,
		     "p" LOST("1400") "in-red ip link set shared0 mtu 1400");
	/* a bridge that is as small for the same reason is none more, a smaller one is */
	connected_to("far veth p 1400;far bridge br0 1400", true,
		     "p" LOST("1400") "in-red ip link set shared0 mtu 1400");
	connected_to("far veth p 1500;far bridge br0 1400", true,
		     "br0" LOST("1400") "in-red ip link set shared0 mtu 1400");
	connected_to(";;bridge br1 1400", false,
		     "br1" LOST("1400") "in-red ip link set shared0 mtu 1400");
	/* and a larger one means nothing, nor what is no bridge */
	connected_to("far veth p 1500;far bridge br0 9000;bridge br1 9000", true, NULL);
	connected_to("far veth p 1500;far openvswitch ovs-system 1400;vrf v 1400", true, NULL);
}

Test(doctor, forwarding)
{
	struct router_report r = healthy();

	r.shared.forwarding = r.inside.v[0].forwarding = r.forwarding_v6 = 0;
	r.shared.disable_ipv6 = 1;
	router_has(
		&r,
		"problem forwarding red shared0: IPv4 packets that come in there are not forwarded "
		"> in-red sysctl -w net/ipv4/conf/shared0/forwarding=1\n"
		"problem forwarding red shared0: IPv6 is switched off there, and the tenant has "
		"IPv6 mappings > in-red sysctl -w net/ipv6/conf/shared0/disable_ipv6=0\n"
		"problem forwarding red lan0: IPv4 packets that come in there are not forwarded > "
		"in-red sysctl -w net/ipv4/conf/lan0/forwarding=1\n"
		"problem forwarding red: IPv6 packets are not forwarded > in-red sysctl -w "
		"net/ipv6/conf/all/forwarding=1\n");
	/* of a family that it does not need */
	r = healthy();
	r.v4 = r.v6 = false;
	r.shared.forwarding = r.forwarding_v6 = 0;
	r.shared.disable_ipv6 = 1;
	router_has(&r, "");
	/* and what the kernel has not is not off */
	r = healthy();
	r.shared.forwarding = r.forwarding_v6 = r.shared.disable_ipv6 = UNKNOWN;
	router_has(&r, "");
}

#define ASTRAY                                                                                     \
	"problem routes red shared0: the shared subnet S is reached by ext0 instead of shared0 > " \
	"`tenantnat restore`, which puts the route to 100.64.0.0/16 there\n"

Test(doctor, routes_and_rp_filter)
{
	for (long value = UNKNOWN; value <= 2; value++) {
		struct router_report r = healthy();

		add_lookup(&r, "100.64.9.9", true, "shared0");
		add_lookup(&r, "100.64.0.1", true, "ext0");
		r.shared.rp_filter = r.inside.v[0].rp_filter = value;
		router_has(&r, value == 1 ? "problem rp-filter red shared0: it is strict, and the "
					    "shared subnet S is routed to ext0: packets from "
					    "there are dropped > in-red sysctl -w "
					    "net/ipv4/conf/shared0/rp_filter=2\n" ASTRAY
					  : ASTRAY);
	}
	struct router_report r = healthy();

	/* it does not apply to IPv6; and each interface has its own addresses behind it */
	r.shared.rp_filter = r.inside.v[0].rp_filter = 1;
	add_lookup(&r, "fd64::1", true, "");
	add_lookup(&r, "10.0.0.5", false, "shared0");
	router_has(&r,
		   "problem rp-filter red lan0: it is strict, and the fixed address F is routed to "
		   "shared0: packets from there are dropped > in-red sysctl -w "
		   "net/ipv4/conf/lan0/rp_filter=2\n"
		   "problem routes red shared0: the shared subnet S is reached by no route instead "
		   "of shared0 > `tenantnat restore`, which puts the route to fd64::/64 there\n"
		   "problem routes red: the fixed address F is reached by shared0, which is no "
		   "inside interface > in-red ip route get 10.0.0.5 shows it; give the inside "
		   "interface an address in the VM's subnet, or correct the router's `inside`\n");
}

/* What the main table has decides what is to be done; and it is about the subnet. */
Test(doctor, what_mends_routes)
{
	static const struct {
		const char *culprit, *dev, *want;
		bool covered, detached;
	} cases[] = {
		{ "100.64.2.0/24", "lan0", "in-red ip route del 100.64.2.0/24 dev lan0", true,
		  false },
		{ "100.64.2.0/24", "", "in-red ip route del unreachable 100.64.2.0/24", true,
		  false },
		{ "100.64.2.0/24", "lan0",
		  "`in-red ip route del 100.64.2.0/24 dev lan0; tenantnat restore`, which puts the "
		  "route to 100.64.0.0/16 there",
		  false, false },
		{ "0.0.0.0/0", "up0", "in-red ip rule add to 100.64.0.0/16 lookup main pref 1",
		  true, false },
		{ "0.0.0.0/0", "up0",
		  "`tenantnat restore`, which puts the route to 100.64.0.0/16 there", false,
		  false },
		{ "0.0.0.0/0", "up0",
		  "`in-red ip route replace 100.64.0.0/16 dev shared0`, or `via` the gateway there",
		  false, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct router_report r = healthy();
		_cleanup_free_ char *want = NULL;
		struct lookup *l;

		r.planned = cases[i].detached;
		r.attached = !cases[i].detached;
		add_lookup(&r, "100.64.2.1", true, "lan0");
		l = &r.lookups.v[0];
		l->has_culprit = true;
		l->culprit = prefix_of(cases[i].culprit);
		l->covered = cases[i].covered;
		snprintf(l->culprit_dev, sizeof(l->culprit_dev), "%s", cases[i].dev);
		cr_assert_gt(
			asprintf(&want,
				 "problem routes red shared0: the shared subnet S is reached by "
				 "lan0 instead of shared0 > %s\n",
				 cases[i].want),
			0);
		router_has(&r, want);
	}
}

Test(doctor, routing_rules)
{
	struct router_report r = healthy();

	add_lookup(&r, "100.64.0.1", true, "up0");
	add_lookup(&r, "fd00::5", false, "up0");
	r.lookups.v[0].from = addr_of("10.0.0.5");
	r.lookups.v[1].from = addr_of("fd64::1");
	router_has(
		&r,
		"problem routes red shared0: what the shared subnet S sends to the shared subnet "
		"100.64.0.0/16 leaves by up0 instead of shared0: a routing rule leads there > "
		"in-red ip rule add to 100.64.0.0/16 lookup main pref 1\n"
		"problem routes red: what comes from the shared subnet fd64::/64 for the fixed "
		"address F leaves by up0, which is no inside interface: a routing rule leads there "
		"> in-red ip -6 rule add from fd64::/64 lookup main pref 1\n");
}

/* By a rule that names it, or ports, the router is meant; by one that opens everything, perhaps. */
Test(doctor, a_mapping_of_the_router)
{
	static const struct {
		const char *accept;
		bool open;
	} cases[] = {
		{ "", false },
		{ "; accept from=red to=web", false },
		{ "; accept from=red udp/53", false },
		{ "; accept from=red to=gw", false },
		{ "; accept from=red to=web; accept from=red", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct router_report r = healthy();
		_cleanup_free_ char *text = NULL;
		_cleanup_model_ struct model m;

		cr_assert_gt(asprintf(&text,
				      "net 100.64.0.0/16; tenant red; router; map 10.0.0.5 "
				      "web lease=100.64.1.5; map 10.0.0.1 gw "
				      "lease=100.64.1.1%s",
				      cases[i].accept),
			     0);
		m = model_of(text);
		r.model = &m;
		r.tenant = &m.tenants.v[0];
		*vec_push(&r.itself) = &r.tenant->mappings.v[1];
		router_has(&r,
			   cases[i].open
				   ? "warning router-mapped red: gw: 10.0.0.1 is an address of "
				     "the router, and `accept` opens all of its ports with those "
				     "of the VMs > write a `to` with the VMs into the rules that "
				     "have neither `to` nor `ports`, and give gw a rule of its "
				     "own; or map the address of a VM, if one was meant\n"
				   : "");
	}
}

static void add_cover(struct router_report *r, const char *network, const char *subnet,
		      const char *gate, bool answered)
{
	*vec_push(&r->covers) = (struct cover){ .name = "lan0",
						.gate = addr_of(gate),
						.network = prefix_of(network),
						.subnet = prefix_of(subnet),
						.answered = answered };
}

Test(doctor, networks_that_cover_the_shared_one)
{
	struct router_report r = healthy();

	add_cover(&r, "100.64.0.0/10", "100.64.0.0/16", "100.100.0.1", false);
	add_cover(&r, "fd64::/48", "fd64::/64", "fd64::9:1", false);
	add_cover(&r, "100.64.2.0/24", "100.64.0.0/16", "100.64.2.1", true);
	router_has(
		&r,
		"problem inside-network red lan0: its network 100.64.0.0/10 covers the shared "
		"subnet 100.64.0.0/16: VMs there ask their own link for shared addresses, and "
		"never "
		"send to the router > `in-red sysctl -w net/ipv4/conf/lan0/proxy_arp=1` has the "
		"router answer for them; or `ip route add 100.64.0.0/16 via 100.100.0.1` in each "
		"VM; better, another network\n"
		"problem inside-network red lan0: its network fd64::/48 covers the shared subnet "
		"fd64::/64: VMs there ask their own link for shared addresses, and never send to "
		"the router > `ip route add fd64::/64 via fd64::9:1` in each VM; better, give them "
		"another network\n"
		"problem inside-network red lan0: its network 100.64.2.0/24 is within the shared "
		"subnet 100.64.0.0/16: VMs there ask their own link for shared addresses, and "
		"never "
		"send to the router > give the VMs another network, or the shared network another "
		"subnet\n");
	r = healthy();
	add_cover(&r, "100.64.0.0/10", "100.64.0.0/16", "100.100.0.1", true);
	router_has(&r, "");
}

Test(doctor, sources)
{
	for (enum sources sources = 0; sources < SOURCES_COUNT; sources++) {
		struct router_report r = healthy();
		struct crossing *c = vec_push(&r.crossings);
		_cleanup_free_ char *want = NULL;

		*c = (struct crossing){ .vm = addr_of("10.0.0.5"),
					.network = prefix_of("10.0.0.0/24"),
					.one = "lan0",
					.other = "lan1" };
		both.tenants.v[0].router->sources = sources;
		cr_assert_gt(
			asprintf(&want,
				 "warning sources red lan1: 10.0.0.5 is in its network "
				 "10.0.0.0/24, but answers to it go by lan0: what it sends by lan1 "
				 "is dropped (`sources: %s`) > have one interface alone lead to "
				 "10.0.0.0/24, or write `sources: loose` into the router's "
				 "definition, and apply\n",
				 sources_name(sources)),
			0);
		router_has(&r, sources == SOURCES_LOOSE ? "" : want);
	}
	both.tenants.v[0].router->sources = SOURCES_STRICT;
}

Test(doctor, groups)
{
	static const struct {
		bool many, snoops, queries, takes_all, elsewhere;
		const char *severity, *enter;
	} cases[] = {
		{ true, true, true, false, false, "problem", "in-red " },
		{ true, true, false, false, true, "warning", "in-host " },
		{ true, true, true, true, false, NULL, "" },
		{ true, false, true, false, false, NULL, "" },
		{ false, true, true, false, false, NULL, "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct router_report r = healthy();
		_cleanup_free_ char *want = NULL;

		r.too_many_groups = cases[i].many;
		r.shared.elsewhere_found = true;
		snprintf(r.shared.enter_elsewhere, sizeof(r.shared.enter_elsewhere), "in-host ");
		r.shared.other[IFACE_PEER] =
			(struct iface_other){ .name = "pred",
					      .mtu = 1500,
					      .elsewhere = cases[i].elsewhere,
					      .takes_all = cases[i].takes_all };
		r.shared.other[IFACE_PEER_MASTER] =
			(struct iface_other){ .name = "br0",
					      .kind = "bridge",
					      .mtu = 1500,
					      .snoops = cases[i].snoops,
					      .queries = cases[i].queries };
		cr_assert_gt(
			asprintf(&want,
				 "%s groups red shared0: more than 256 IPv6 addresses are mapped, "
				 "for which no groups are joined, and br0 hands groups to members "
				 "alone (MLD snooping) > %sbridge link set dev pred mcast_router "
				 "2\n",
				 cases[i].severity ?: "", cases[i].enter),
			0);
		router_has(&r, cases[i].severity ? want : "");
	}
}

Test(doctor, late_interfaces_and_detached)
{
	struct router_report r = healthy();
	struct diagnosis f = { .tenant = "red" };

	snprintf(vec_push(&r.late)->name, IF_NAMESIZE, "lan9");
	router_has(&r,
		   "problem programs red lan9: it leads to VMs, and no program is attached to it: "
		   "it came later than the last apply > `tenantnat restore`, or run the agent, "
		   "which sees interfaces come and go\n");
	r = healthy();
	r.detached = true;
	doctor_router(&r, &f);
	expect_text(
		findings_text(&f),
		"problem programs red: it was detached: nothing is translated, and nobody reaches "
		"its VMs > " APPLY ": that attaches it\n",
		"detached");
	diagnosis_free(&f);
	router_report_free(&r);
}

/* What an apply adds is not missing before it. */
Test(doctor, before_an_apply)
{
	struct router_report r = healthy();

	r.planned = true;
	r.attached = r.own_v4 = r.own_v6 = false;
	r.shared.forwarding = r.forwarding_v6 = 0;
	*vec_push(&r.uncovered) = prefix_of("fd64::/64");
	router_has(&r, "");
	r = healthy();
	r.planned = true;
	r.attached = false;
	*vec_push(&r.cut_off) =
		(struct iface_addr){ addr_of("192.0.2.1"), 120, false, false, false };
	router_has(&r,
		   "problem other-addresses red shared0: its address 192.0.2.1 is in no shared "
		   "subnet: what comes to it and what it sends there is dropped > `in-red ip addr "
		   "del 192.0.2.1/24 dev shared0`, and put it on another interface\n");
}

Test(doctor, neighbours)
{
	struct router_report r = healthy();

	r.shared.proxy_arp_pvlan = r.shared.proxy_arp = r.shared.proxy_ndp = 1;
	r.shared.arp_ignore = 8;
	router_has(
		&r,
		"problem neighbours red shared0: proxy_arp_pvlan is on: the kernel claims every "
		"address of the shared network for this router > in-red sysctl -w "
		"net/ipv4/conf/shared0/proxy_arp_pvlan=0\n"
		"warning neighbours red shared0: proxy_arp is on: the kernel claims addresses "
		"that it has a route to by another interface > in-red sysctl -w "
		"net/ipv4/conf/shared0/proxy_arp=0\n"
		"problem neighbours red shared0: arp_ignore is 8: nobody learns the router's own "
		"address > in-red sysctl -w net/ipv4/conf/shared0/arp_ignore=1\n"
		"warning neighbours red shared0: proxy_ndp is on: the kernel claims the IPv6 "
		"addresses of `ip neigh show proxy` > in-red sysctl -w "
		"net/ipv6/conf/shared0/proxy_ndp=0\n");
	r = healthy();
	r.shared.arp_ignore = 2;
	r.shared.proxy_ndp = r.shared.disable_ipv6 = 1;
	r.v6 = false;
	router_has(&r, "");
}

Test(doctor, router_advertisements)
{
	static const struct {
		long accept_ra, forwarding, disabled;
		bool taken;
	} cases[] = {
		{ 0, 0, 0, false }, { 1, 1, 0, false }, { 1, 0, 0, true },	  { 2, 1, 0, true },
		{ 2, 1, 1, false }, { 1, 0, 1, false }, { UNKNOWN, 0, 0, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct router_report r = healthy();

		r.v6 = false;
		r.shared.accept_ra = cases[i].accept_ra;
		r.shared.forwarding_v6 = cases[i].forwarding;
		r.shared.disable_ipv6 = cases[i].disabled;
		router_has(&r, cases[i].taken
				       ? "warning accept-ra red shared0: router advertisements "
					 "from the shared network are accepted: anybody there "
					 "can become this router's default route > in-red "
					 "sysctl -w net/ipv6/conf/shared0/accept_ra=0\n"
				       : "");
	}
}

static void add_hit(struct router_report *r, enum ruleset_effect effect, bool sure,
		    const char *family, const char *table, const char *base)
{
	*vec_push(&r->rules.list) = (struct ruleset_hit){ .effect = effect,
							  .sure = sure,
							  .family = xstrdup(family),
							  .table = xstrdup(table),
							  .base = xstrdup(base),
							  .chain = xstrdup("sub"),
							  .statement = xstrdup("do"),
							  .handle = 7 };
}

Test(doctor, packets_from_where_no_answer_goes)
{
	struct router_report r = healthy();
	struct router router = *r.tenant->router;
	struct tenant tenant = *r.tenant;
	_cleanup_diagnosis_ struct diagnosis out = { 0 };

	tenant.router = &router;
	doctor_spoofed(&tenant, 0, 60, &out);
	router.sources = SOURCES_LOOSE;
	doctor_spoofed(&tenant, 3, 60, &out);
	cr_expect_eq(out.list.n, 0, "none, or nobody asks where answers go");
	router.sources = SOURCES_STRICT;
	doctor_spoofed(&tenant, 3, 58, &out);
	cr_assert_eq(out.list.n, 1);
	cr_expect_eq(out.list.v[0].id, FINDING_SOURCES);
	cr_expect_eq(out.list.v[0].severity, SEVERITY_WARNING);
	cr_expect_str_eq(out.list.v[0].tenant, "red");
	cr_expect(strstr(out.list.v[0].seen, "3 packets of the last 58 seconds"));
	router_report_free(&r);
}

Test(doctor, who_was_sent_packets_and_sent_none)
{
	struct router_report r = healthy();
	struct router router = *r.tenant->router;
	struct tenant tenant = *r.tenant;
	struct silent silent = { .n = 0 };
	_cleanup_diagnosis_ struct diagnosis out = { 0 };

	tenant.router = &router;
	doctor_silent(&tenant, 3, &silent, &out);
	silent = (struct silent){ 1, addr_of("10.0.1.5"), 4 };
	doctor_silent(&tenant, 0, &silent, &out);
	router.sources = SOURCES_LOOSE;
	doctor_silent(&tenant, 3, &silent, &out);
	cr_expect_eq(out.list.n, 0, "none of either, or nobody asks where answers go");
	router.sources = SOURCES_STRICT;
	doctor_silent(&tenant, 3, &silent, &out);
	silent.n = 3;
	doctor_silent(&tenant, 3, &silent, &out);
	cr_assert_eq(out.list.n, 2);
	cr_expect_eq(out.list.v[0].id, FINDING_SOURCES);
	cr_expect_eq(out.list.v[0].severity, SEVERITY_WARNING);
	cr_expect(strstr(out.list.v[0].seen,
			 "10.0.1.5 was sent 4 packets and sent none, while 3 packets"));
	cr_expect(strstr(out.list.v[1].seen, "sent none, and 2 other VMs alike, while"));
	router_report_free(&r);
}

Test(doctor, a_standby_to_which_no_flows_come)
{
	struct tenant tenant = { .name = "red" };
	_cleanup_diagnosis_ struct diagnosis out = { 0 };

	doctor_unheard(&tenant, 61, &out);
	doctor_unheard(&tenant, 300, &out);
	cr_assert_eq(out.list.n, 2);
	cr_expect_eq(out.list.v[0].severity, SEVERITY_WARNING);
	cr_expect_str_eq(out.list.v[0].tenant, "red");
	cr_expect(strstr(out.list.v[0].seen, "another host for 61 seconds: a takeover ends"), "%s",
		  out.list.v[0].seen);
	cr_expect(strstr(out.list.v[1].seen, "for 5 minutes:"), "%s", out.list.v[1].seen);
	cr_expect(strstr(out.list.v[1].remedy, "tenantnat cluster status"));
}

Test(doctor, who_is_elected)
{
	static const struct {
		bool runs, connected;
		const char *holder;
		bool standby;
		enum severity severity;
		const char *seen;
	} cases[] = {
		{ false, false, NULL, true, SEVERITY_PROBLEM, "no agent on this host takes part" },
		{ true, false, "hv1", true, SEVERITY_PROBLEM, "etcd is not reached" },
		{ true, false, "hv1", false, SEVERITY_FINE, "hv1 is elected" },
		{ true, true, NULL, true, SEVERITY_PROBLEM, "no host is active for it" },
		{ true, true, "hv2", true, SEVERITY_FINE, "hv2 is elected, and this host a" },
		{ true, true, "hv1", false, SEVERITY_FINE, "hv1 is elected" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tenant tenant = { .name = "red" };
		_cleanup_diagnosis_ struct diagnosis out = { 0 };
		struct elections known = { .runs = cases[i].runs, .connected = cases[i].connected };

		*vec_push(&known.list) = (struct elected){
			.tenant = xstrdup("red"),
			.holder = cases[i].holder ? xstrdup(cases[i].holder) : NULL,
		};
		doctor_elected(&tenant, &known, cases[i].standby, &out);
		cr_assert_eq(out.list.n, 1);
		cr_expect_eq(out.list.v[0].severity, cases[i].severity, "%zu", i);
		cr_expect(strstr(out.list.v[0].seen, cases[i].seen), "%s", out.list.v[0].seen);
		elections_free(&known);
	}
}

Test(doctor, rules_that_end)
{
	enum { NOW = 1806537600 };
	_cleanup_model_ struct model m = model_of(
		"net 100.64.0.0/16; tenant red id=1;"
		"accept id=1 from=blue; accept id=2 from=blue to=db until=1806537600;"
		"accept id=3 from=* until=1806796800; accept id=4 from=* until=1807142401;");
	struct diagnosis f = { 0 };

	doctor_ends(&m.tenants.v[0], "/etc/t.yaml", NOW, &f);
	expect_text(
		findings_text(&f),
		"warning rule-end red: /etc/t.yaml:0: the rule for blue to db ended 1 minute ago "
		"(until 2027-03-31) > remove it, or give it a later `until`, and apply\n"
		"warning rule-end red: /etc/t.yaml:0: the rule for * ends in 3 days (until "
		"2027-04-03) > give it a later `until` and apply, if it is to go on\n",
		"rules that end");
	diagnosis_free(&f);
	doctor_ends(&m.tenants.v[0], NULL, NOW - 700000, &f);
	cr_expect_eq(f.list.n, 0, "none within a week");
	diagnosis_free(&f);
}

static void add_service(struct router_report *r, const char *what, const char *vm,
			json_int_t handle)
{
	struct service_drop *s = vec_push(&r->services);

	*vec_push(&s->by.list) = (struct ruleset_hit){ .effect = RULESET_DROP,
						       .sure = true,
						       .family = xstrdup("inet"),
						       .table = xstrdup("t"),
						       .base = xstrdup("b"),
						       .chain = xstrdup("sub"),
						       .statement = xstrdup("do"),
						       .handle = handle };
	s->what = xstrdup(what);
	cr_assert(addr_parse(vm, &s->vm));
}

Test(doctor, services_that_netfilter_drops)
{
	struct router_report r = healthy();

	/* the warning about some of the packets says no more */
	add_hit(&r, RULESET_DROP, false, "inet", "t", "b");
	add_service(&r, "tcp/22 to 10.0.0.5", "10.0.0.5", 7);
	add_service(&r, "tcp/23 to 10.0.0.5", "10.0.0.5", 7);
	add_service(&r, "tcp/22 to fd00:10::6", "fd00:10::6", 7);
	r.too_many_services = true;
	router_has(
		&r,
		"problem filter red shared0: `do` in the chain sub of table inet t (handle 7) "
		"refuses what `accept` lets through: tcp/22 to 10.0.0.5, and 1 more of this VM > "
		"in-red nft insert rule inet t b ip saddr '{ 100.64.0.0/16, 100.65.0.0/16 }' ip "
		"daddr '{ 10.0.0.5 }' accept; in-red nft insert rule inet t b ip saddr "
		"'{ 10.0.0.5 }' ip daddr '{ 100.64.0.0/16, 100.65.0.0/16 }' accept\n"
		"problem filter red shared0: `do` in the chain sub of table inet t (handle 7) "
		"refuses what `accept` lets through: tcp/22 to fd00:10::6 > in-red nft insert rule "
		"inet t b ip6 saddr '{ fd64::/64 }' ip6 daddr '{ fd00:10::6 }' accept; in-red nft "
		"insert rule inet t b ip6 saddr '{ fd00:10::6 }' ip6 daddr '{ fd64::/64 }' "
		"accept\n");
}

Test(doctor, rules_that_are_passed_by)
{
	struct router_report r = healthy();
	struct router router = *r.tenant->router;
	struct tenant tenant = *r.tenant;

	tenant.router = &router;
	r.tenant = &tenant;
	r.rule = true;
	router_has(&r, "");
	r.fast = true;
	router_has(&r, "problem bypassed red shared0: netfilter has rules for forwarded packets, "
		       "and forwarding is fast: translated packets bypass them > "
		       "tenantnat restore, or run the agent, which sees rules come and go\n");
	router.forwarding = FORWARDING_FAST;
	router_has(&r, "warning bypassed red shared0: netfilter has rules for forwarded packets, "
		       "and forwarding is fast: translated packets bypass them > "
		       "`forwarding: auto` in the definitions, unless that is what you want\n");
	r.rule = false;
	router_has(&r, "");
	r.ipsec = true;
	router_has(&r, "warning bypassed red shared0: IPsec has policies for forwarded packets, "
		       "and forwarding is fast: translated packets bypass them > "
		       "`forwarding: auto` in the definitions, unless that is what you want\n");
	r.fast = false;
	router_has(&r, "");
}

static void add_mark(struct router_report *r, bool six, uint32_t priority, const char *iif)
{
	struct mark_rule *m = vec_push(&r->marks.list);

	*m = (struct mark_rule){ .six = six, .priority = priority, .mark = 7, .mask = 0xff };
	snprintf(m->iif, sizeof(m->iif), "%s", iif);
}

#define BY_MARK(rule, ip)                                                                          \
	"warning rules-by-mark red shared0: the routing rule " rule " goes by the mark 0x7/0xff: " \
	"packets that netfilter marks can leave by another interface, and the programs do not "    \
	"see these marks > `in-red " ip "`, unless netfilter never gives that mark to packets "    \
	"between VMs and the shared network\n"

Test(doctor, rules_by_mark)
{
	struct router_report r = healthy();

	add_mark(&r, false, 100, "");
	add_mark(&r, true, 101, "");
	add_mark(&r, false, 102, "lan0");
	add_mark(&r, false, 103, "shared0");
	add_mark(&r, false, 104, "up0");
	router_has(&r, BY_MARK("100 of IPv4", "ip rule del pref 100")
			       BY_MARK("101 of IPv6", "ip -6 rule del pref 101")
				       BY_MARK("102 of IPv4", "ip rule del pref 102")
					       BY_MARK("103 of IPv4", "ip rule del pref 103"));
	add_mark(&r, false, 100, "");
	add_mark(&r, true, 101, "");
	r.v6 = false;
	router_has(&r, BY_MARK("100 of IPv4", "ip rule del pref 100"));
	add_mark(&r, false, 100, "");
	r.fast = true;
	router_has(&r, "");
	add_mark(&r, false, 100, "");
	r.fast = r.attached = false;
	router_has(&r, NOT_ATTACHED);
	r.attached = true;
	error_set(&r.marks_error, "cannot ask for routing rules: no; do so as root");
	router_has(&r, "not checked rules-by-mark red: cannot ask for routing rules: no > do so as "
		       "root\n");
}

Test(doctor, rules)
{
	struct router_report r = healthy();

	/* a rule that asks conntrack would not know the replies */
	r.rules.of[IPV4].stateful = r.rules.of[IPV6].stateful = true;
	add_hit(&r, RULESET_NAT, true, "inet", "t", "b");
	add_hit(&r, RULESET_NAT, false, "ip6", "t", "b");
	add_hit(&r, RULESET_DROP, true, "ip", "filter", "FORWARD");
	add_hit(&r, RULESET_UNTRACKED, true, "ip", "raw", "b");
	router_has(
		&r,
		"problem nat red shared0: `do` in the chain sub of table inet t (handle 7) "
		"translates "
		"the packets between VMs and the shared network once more > in-red nft insert rule "
		"inet t b ip saddr '{ 100.64.0.0/16, 100.65.0.0/16 }' accept; in-red nft insert "
		"rule inet t b ip daddr '{ 100.64.0.0/16, 100.65.0.0/16 }' accept; in-red nft "
		"insert rule inet t b ip6 saddr '{ fd64::/64 }' accept; in-red nft insert rule "
		"inet t b ip6 daddr '{ fd64::/64 }' accept\n"
		"warning nat red shared0: `do` in the chain sub of table ip6 t (handle 7) "
		"translates "
		"some of the packets between VMs and the shared network once more > in-red nft "
		"insert rule ip6 t b ip6 saddr '{ fd64::/64 }' accept; in-red nft insert rule ip6 "
		"t "
		"b ip6 daddr '{ fd64::/64 }' accept\n"
		"problem filter red shared0: `do` in the chain sub of table ip filter (handle 7) "
		"refuses the packets between VMs and the shared network > in-red iptables -t "
		"filter "
		"-I FORWARD -s 100.64.0.0/16,100.65.0.0/16 -j ACCEPT; in-red iptables -t filter "
		"-I "
		"FORWARD -d 100.64.0.0/16,100.65.0.0/16 -j ACCEPT\n"
		"warning conntrack red shared0: `do` in the chain sub of table ip raw (handle 7): "
		"stateful rules of this router do not recognize replies > "
		"in-red "
		"nft delete rule ip raw sub handle 7, unless no rule is stateful\n");
	r = healthy();
	error_set(&r.rules_error, "cannot ask");
	snprintf(r.legacy[0], sizeof(r.legacy[0]), "nat");
	snprintf(r.legacy[1], sizeof(r.legacy[1]), "filter nat");
	router_has(
		&r,
		"not checked nat red: cannot ask > run as root\n"
		"warning iptables-legacy red: there are tables of iptables-legacy (nat), which "
		"cannot be looked into from here > look with in-red iptables-legacy-save for "
		"rules that translate or drop what is of shared0\n"
		"warning iptables-legacy red: there are tables of ip6tables-legacy (filter nat), "
		"which cannot be looked into from here > look with in-red ip6tables-legacy-save "
		"for rules that translate or drop what is of shared0\n");
}

/* Packets between VMs and the shared network alone: floating IPs are translated as ever. */
Test(doctor, nat_that_packets_are_kept_from)
{
	struct router_report r = healthy();

	*vec_push(&r.inside) = port_of("lan1");
	add_hit(&r, RULESET_NAT, true, "ip", "nat", "POSTROUTING");
	add_hit(&r, RULESET_NAT, false, "ip6", "t", "b");
	router_has(
		&r,
		"problem nat red shared0: `do` in the chain sub of table ip nat (handle 7) "
		"translates "
		"the packets between VMs and the shared network once more > in-red iptables -t raw "
		"-I "
		"PREROUTING -i shared0 -s 100.64.0.0/16,100.65.0.0/16 -j CT --notrack; in-red "
		"iptables "
		"-t raw -I PREROUTING -i lan0 -d 100.64.0.0/16,100.65.0.0/16 -j CT --notrack; "
		"in-red "
		"iptables -t raw -I PREROUTING -i lan1 -d 100.64.0.0/16,100.65.0.0/16 -j CT "
		"--notrack\n"
		"warning nat red shared0: `do` in the chain sub of table ip6 t (handle 7) "
		"translates "
		"some of the packets between VMs and the shared network once more > in-red nft add "
		"table inet tenantnat_notrack; in-red nft add chain inet tenantnat_notrack raw '{ "
		"type "
		"filter hook prerouting priority raw; }'; in-red nft add rule inet "
		"tenantnat_notrack "
		"raw iifname shared0 ip6 saddr '{ fd64::/64 }' notrack; in-red nft add rule inet "
		"tenantnat_notrack raw iifname '{ lan0, lan1 }' ip6 daddr '{ fd64::/64 }' "
		"notrack\n");
}

#define NOT_TRACKED                                                                           \
	"warning conntrack red shared0: `do` in the chain sub of table ip raw (handle 7): "   \
	"stateful rules of this router do not recognize replies > in-red nft delete rule ip " \
	"raw sub handle 7, unless no rule is stateful\n"

/* One direction alone is wrong, and so are both where somebody asks. */
Test(doctor, what_conntrack_does_not_know)
{
	for (int stateful = 0; stateful < 2; stateful++) {
		for (size_t untracked = 0; untracked <= 2; untracked++) {
			struct router_report r = healthy();

			r.rules.of[IPV4].paths = 2;
			r.rules.of[IPV4].untracked = untracked;
			r.rules.of[IPV4].stateful = stateful;
			add_hit(&r, RULESET_UNTRACKED, true, "ip", "raw", "b");
			router_has(&r, untracked == 2 && !stateful ? "" : NOT_TRACKED);
		}
	}
}

Test(doctor, ways_are_of_one_family)
{
	struct router_report r = healthy();
	struct ruleset_path paths[2];

	doctor_paths(&r, false, false, paths);
	cr_expect_str_eq(paths[0].in.v[0], "shared0");
	cr_expect_str_eq(paths[0].out.v[0], "lan0");
	cr_expect_str_eq(paths[1].in.v[0], "lan0");
	cr_expect_str_eq(paths[1].out.v[0], "shared0");
	cr_expect_eq(paths[0].src.n, 2);
	cr_expect_str_eq(PREFIX(&paths[0].src.v[0]), "100.64.0.0/16");
	cr_expect_str_eq(ADDR(&paths[0].dst.v[0].addr), "10.0.0.5");
	cr_expect_str_eq(ADDR(&paths[1].src.v[0].addr), "10.0.0.5");
	cr_expect_eq(paths[1].dst.n, 2);
	ruleset_path_free(&paths[0]);
	ruleset_path_free(&paths[1]);
	doctor_paths(&r, true, false, paths);
	cr_expect(paths[0].six && paths[1].six);
	cr_expect_eq(paths[0].src.n, 1);
	cr_expect_str_eq(ADDR(&paths[0].dst.v[0].addr), "fd00::5");
	ruleset_path_free(&paths[0]);
	ruleset_path_free(&paths[1]);
	router_report_free(&r);
}

/* What is of the router itself neither comes out of it inside, nor in. */
Test(doctor, ways_of_the_router_itself)
{
	struct router_report r = healthy();
	struct ruleset_path paths[2];

	cr_expect_not(doctor_paths(&r, false, true, paths));
	ruleset_path_free(&paths[0]);
	ruleset_path_free(&paths[1]);
	*vec_push(&r.itself) = &r.tenant->mappings.v[0];
	cr_expect(doctor_paths(&r, false, true, paths));
	cr_expect(paths[0].itself && paths[1].itself);
	cr_expect_eq(paths[0].out.n, 0);
	cr_expect_str_eq(paths[0].in.v[0], "shared0");
	cr_expect_eq(paths[1].in.n, 0);
	cr_expect_str_eq(paths[1].out.v[0], "shared0");
	cr_expect_str_eq(ADDR(&paths[0].dst.v[0].addr), "10.0.0.5");
	ruleset_path_free(&paths[0]);
	ruleset_path_free(&paths[1]);
	cr_expect_not(doctor_paths(&r, false, false, paths), "it is of no VM");
	ruleset_path_free(&paths[0]);
	ruleset_path_free(&paths[1]);
	router_report_free(&r);
}

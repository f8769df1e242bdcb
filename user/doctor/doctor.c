/* SPDX-License-Identifier: GPL-2.0-only */
#include "doctor/doctor.h"

#include <stdarg.h>

#define MIB (1024 * 1024)
/* Less than this, or than three times what it takes now, is little room for the state. */
#define SPACE_MIN (64ULL * MIB)
/* From so many percent of the maps on. */
#define ROOM_PERCENT 80

/*
 * So many neighbours that do not answer may one router ask for at once, and be known of by others
 * on the shared network.
 */
#define NEIGHBOURS_EACH 64

#define APPLY_AGAIN "run apply again with your definitions file"

static const struct {
	const char *name, *meaning;
} kinds[] = {
#define X(id, name, meaning) [FINDING_##id] = { name, meaning },
	FINDINGS(X)
#undef X
};

static const char *const severities[] = {
#define X(id, name) [SEVERITY_##id] = name,
	SEVERITIES(X)
#undef X
};

const char *finding_name(enum finding_id id)
{
	return kinds[id].name;
}

const char *finding_meaning(enum finding_id id)
{
	return kinds[id].meaning;
}

const char *severity_name(enum severity severity)
{
	return severities[severity];
}

void diagnosis_free(struct diagnosis *f)
{
	vec_each (one, &f->list) {
		free(one->tenant);
		free(one->interface);
		free(one->seen);
		free(one->remedy);
	}
	vec_free(&f->list);
}

size_t diagnosis_count(const struct diagnosis *f, enum severity severity)
{
	size_t n = 0;

	vec_each (one, &f->list)
		n += one->severity == severity;
	return n;
}

void router_report_free(struct router_report *r)
{
	vec_each (l, &r->lookups)
		free(l->what);
	vec_free(&r->lookups);
	vec_free(&r->cut_off);
	vec_free(&r->uncovered);
	vec_free(&r->inside);
	vec_free(&r->vlans);
	vec_free(&r->others);
	ruleset_hits_free(&r->rules);
}

/* ------------------------------------------------------------ findings */

static char *format(const char *text, va_list args)
{
	char *out;

	return vasprintf(&out, text, args) < 0 ? xstrdup("") : out;
}

__attribute__((format(printf, 5, 6))) static struct diagnosed *
add(struct diagnosis *out, enum finding_id id, enum severity severity, const char *interface,
    const char *seen, ...)
{
	struct diagnosed *f = vec_push(&out->list);
	va_list args;

	f->id = id;
	f->severity = severity;
	f->tenant = out->tenant ? xstrdup(out->tenant) : NULL;
	f->interface = interface ? xstrdup(interface) : NULL;
	va_start(args, seen);
	f->seen = format(seen, args);
	va_end(args);
	return f;
}

__attribute__((format(printf, 2, 3))) static void remedy(struct diagnosed *f, const char *text, ...)
{
	va_list args;

	va_start(args, text);
	f->remedy = format(text, args);
	va_end(args);
}

/* An error says what is wrong, and behind the first semicolon what to do. */
static void add_error(struct diagnosis *out, enum finding_id id, enum severity severity,
		      const struct error *err)
{
	size_t cut = strcspn(err->text, ";");
	struct diagnosed *f = add(out, id, severity, NULL, "%.*s", (int)cut, err->text);

	if (err->text[cut])
		remedy(f, "%s", err->text + cut + strspn(err->text + cut, "; "));
	else
		remedy(f, "%s",
		       severity == SEVERITY_UNCHECKED ? "run as root"
						      : "see to that, and run doctor again");
}

/* ------------------------------------------------------------ the machine */

static bool privileged(const struct machine_report *m)
{
	return !m->missing_privileges[0];
}

static void judge_privileges(const struct machine_report *m, struct diagnosis *out)
{
	if (privileged(m))
		add(out, FINDING_PRIVILEGES, SEVERITY_FINE, NULL, "all that are needed");
	else
		remedy(add(out, FINDING_PRIVILEGES, SEVERITY_PROBLEM, NULL,
			   "this process has not %s; what needs them is not checked",
			   m->missing_privileges),
		       "run as root");
}

static void judge_kernel(const struct machine_report *m, struct diagnosis *out)
{
	if (m->kernel_major < 6 || (m->kernel_major == 6 && m->kernel_minor < 1))
		remedy(add(out, FINDING_KERNEL, SEVERITY_PROBLEM, NULL, "Linux %s is too old",
			   m->kernel),
		       "boot Linux 6.1 or later");
	else
		add(out, FINDING_KERNEL, SEVERITY_FINE, NULL, "Linux %s", m->kernel);
	if (m->btf)
		add(out, FINDING_BTF, SEVERITY_FINE, NULL, "/sys/kernel/btf/vmlinux is there");
	else
		remedy(add(out, FINDING_BTF, SEVERITY_PROBLEM, NULL,
			   "there is no /sys/kernel/btf/vmlinux"),
		       "mount sysfs, or boot a kernel with CONFIG_DEBUG_INFO_BTF");
}

static void judge_bpffs(const struct machine_report *m, struct diagnosis *out)
{
	if (!m->bpffs.set)
		add(out, FINDING_BPFFS, SEVERITY_FINE, NULL, "mounted, and can be written to");
	else
		add_error(out, FINDING_BPFFS, privileged(m) ? SEVERITY_PROBLEM : SEVERITY_UNCHECKED,
			  &m->bpffs);
}

static void judge_jit(const struct machine_report *m, struct diagnosis *out)
{
	if (m->jit == UNKNOWN)
		remedy(add(out, FINDING_JIT, SEVERITY_UNCHECKED, NULL,
			   "net.core.bpf_jit_enable cannot be read"),
		       "run as root in the first network namespace");
	else if (m->jit == 0)
		remedy(add(out, FINDING_JIT, SEVERITY_PROBLEM, NULL,
			   "the kernel does not compile BPF programs, and interpreted they cannot "
			   "call its functions"),
		       "sysctl -w net.core.bpf_jit_enable=1");
	else if (m->jit_harden > 1)
		remedy(add(out, FINDING_JIT, SEVERITY_WARNING, NULL,
			   "net.core.bpf_jit_harden is %ld: constants are blinded in root's "
			   "programs too, which makes them larger and slower",
			   m->jit_harden),
		       "sysctl -w net.core.bpf_jit_harden=1, if only root loads programs, and "
		       "then detach and apply");
	else
		add(out, FINDING_JIT, SEVERITY_FINE, NULL, "BPF programs are compiled");
}

static void judge_hooks(const struct machine_report *m, struct diagnosis *out)
{
	if (m->tcx == UNKNOWN)
		remedy(add(out, FINDING_TC, SEVERITY_UNCHECKED, NULL, "the kernel does not tell"),
		       "run as root");
	else
		add(out, FINDING_TC, SEVERITY_FINE, NULL, "%s",
		    m->tcx ? "tcx" : "clsact: no tcx in this kernel, or it was switched off");
	if (m->dispatcher == UNKNOWN)
		remedy(add(out, FINDING_DISPATCHER, SEVERITY_UNCHECKED, NULL,
			   "the kernel does not tell"),
		       "run as root");
	else
		add(out, FINDING_DISPATCHER, SEVERITY_FINE, NULL, "%s",
		    m->dispatcher
			    ? "the kernel takes programs of libxdp's dispatcher"
			    : "none: the kernel refuses EXT programs, so with hook xdp ours is "
			      "alone on an interface");
}

static void judge_state(const struct machine_report *m, struct diagnosis *out)
{
	uint64_t need = 3 * m->state_used > SPACE_MIN ? 3 * m->state_used : SPACE_MIN;

	if (m->state_error.set) {
		add_error(out, FINDING_STATE, privileged(m) ? SEVERITY_PROBLEM : SEVERITY_UNCHECKED,
			  &m->state_error);
		return;
	}
	add(out, FINDING_STATE, SEVERITY_FINE, NULL, "%s%s", m->state,
	    m->state_exists ? " can be read" : " is not there yet: nothing was applied");
	if (!m->state_exists)
		return;
	if (m->state_available < need)
		remedy(add(out, FINDING_SPACE, SEVERITY_WARNING, NULL,
			   "%llu MiB are left on the file system of %s, and its files take %llu "
			   "MiB",
			   (unsigned long long)m->state_available / MIB, m->state,
			   (unsigned long long)m->state_used / MIB),
		       "make room there, at least %llu MiB", (unsigned long long)need / MIB);
	else
		add(out, FINDING_SPACE, SEVERITY_FINE, NULL, "%llu MiB are left at %s",
		    (unsigned long long)m->state_available / MIB, m->state);
}

static void judge_maps(const struct machine_report *m, struct diagnosis *out)
{
	size_t percent = m->capacity ? 100 * m->rows / m->capacity : 0;

	if (m->maps_error.set) {
		add_error(out, FINDING_MAPS, privileged(m) ? SEVERITY_PROBLEM : SEVERITY_UNCHECKED,
			  &m->maps_error);
		return;
	}
	if (!m->pinned) {
		add(out, FINDING_MAPS, SEVERITY_FINE, NULL, "none are pinned");
		return;
	}
	add(out, FINDING_MAPS, SEVERITY_FINE, NULL, "layout %d, as of this version", TN_ABI);
	if (percent >= ROOM_PERCENT)
		remedy(add(out, FINDING_ROOM, SEVERITY_WARNING, NULL,
			   "%zu of %zu places are taken (%zu %%)", m->rows, m->capacity, percent),
		       "`tenantnat detach --all` and then apply makes larger maps, but "
		       "interrupts traffic");
	else
		add(out, FINDING_ROOM, SEVERITY_FINE, NULL, "%zu of %zu places are taken", m->rows,
		    m->capacity);
}

static void judge_leftovers(const struct machine_report *m, struct diagnosis *out)
{
	if (m->leftovers[0])
		remedy(add(out, FINDING_LEFTOVERS, SEVERITY_WARNING, NULL,
			   "not finished by a run that was killed: %s", m->leftovers),
		       "when no other tenantnat is running: rm -r %s", m->leftovers);
	else
		add(out, FINDING_LEFTOVERS, SEVERITY_FINE, NULL, "none");
}

/* An entry for each VM, and so many more for each router. */
static void judge_neighbour_table(const struct neighbour_table *t, const char *family,
				  struct diagnosis *out)
{
	size_t need = NEIGHBOURS_EACH * t->routers + t->mappings, size = 1;

	if (!t->routers)
		return;
	while (size < need)
		size *= 2;
	if (t->room == UNKNOWN)
		remedy(add(out, FINDING_NEIGHBOURS, SEVERITY_UNCHECKED, NULL,
			   "net.%s.neigh.default.gc_thresh3 cannot be read", family),
		       "run doctor in the first network namespace");
	else if (need > (size_t)t->room)
		remedy(add(out, FINDING_NEIGHBOURS, SEVERITY_WARNING, NULL,
			   "%zu routers with %zu mappings may need %zu entries of %s, and all "
			   "network namespaces together have %ld",
			   t->routers, t->mappings, need, family, t->room),
		       "`sysctl -w net.%s.neigh.default.gc_thresh3=%zu`, and the same in "
		       "/etc/sysctl.d for the next boot",
		       family, size);
	else
		add(out, FINDING_NEIGHBOURS, SEVERITY_FINE, NULL,
		    "room for %ld entries of %s, and %zu may be needed", t->room, family, need);
}

void doctor_machine(const struct machine_report *m, struct diagnosis *out)
{
	judge_privileges(m, out);
	judge_kernel(m, out);
	judge_bpffs(m, out);
	judge_jit(m, out);
	judge_hooks(m, out);
	judge_state(m, out);
	judge_maps(m, out);
	judge_neighbour_table(&m->neighbours[IPV4], "ipv4", out);
	judge_neighbour_table(&m->neighbours[IPV6], "ipv6", out);
	judge_leftovers(m, out);
}

/* ------------------------------------------------------------ programs */

static bool is_xdp(const struct router_report *r)
{
	return r->via == HOOK_XDP || r->via == HOOK_XDP_GENERIC;
}

static void judge_programs(const struct router_report *r, struct diagnosis *out)
{
	if (!r->attached)
		remedy(add(out, FINDING_PROGRAMS, SEVERITY_PROBLEM, r->shared.name,
			   "nothing is attached"),
		       APPLY_AGAIN);
	else if (r->broken)
		remedy(add(out, FINDING_PROGRAMS, SEVERITY_PROBLEM, r->shared.name,
			   "a program, its link or its interface is missing, or the interface has "
			   "another MAC address"),
		       APPLY_AGAIN "; `tenantnat show` lists what is there");
	else
		add(out, FINDING_PROGRAMS, SEVERITY_FINE, r->shared.name, "all attached, hook %s",
		    hook_name(r->via));
	if (r->attached && r->other_build)
		remedy(add(out, FINDING_BUILD, SEVERITY_WARNING, r->shared.name,
			   "the programs are of another build than this executable"),
		       APPLY_AGAIN ": that renews them");
	else if (r->attached)
		add(out, FINDING_BUILD, SEVERITY_FINE, r->shared.name, "as of this executable");
}

static void judge_others(const struct router_report *r, struct diagnosis *out)
{
	vec_each (o, &r->others) {
		if (o->before)
			remedy(add(out, FINDING_OTHERS, SEVERITY_WARNING, r->shared.name,
				   "%s runs before ours: what it takes or redirects is not judged",
				   o->text),
			       "look what it is with `%sbpftool net show dev %s`, and take it off "
			       "if "
			       "it is not meant to be there",
			       r->enter, r->shared.name);
		else
			add(out, FINDING_OTHERS, SEVERITY_FINE, r->shared.name,
			    "%s runs behind ours", o->text);
	}
}

static void judge_hook(const struct router_report *r, struct diagnosis *out)
{
	if (r->via == HOOK_XDP && strcmp(r->shared.kind, "veth") == 0)
		remedy(add(out, FINDING_HOOK, SEVERITY_WARNING, r->shared.name,
			   "XDP on a veth takes segmentation offload from its peer: large "
			   "transfers are several times slower than with tc"),
		       "write `hook: tc` or `hook: auto` into the router's definition, and apply");
	else if (r->via == HOOK_XDP_GENERIC)
		add(out, FINDING_HOOK, SEVERITY_FINE, r->shared.name,
		    "xdp-generic drops early, and leaves translation to tc");
	else
		add(out, FINDING_HOOK, SEVERITY_FINE, r->shared.name, "%s", hook_name(r->via));
}

static void judge_vlan(const struct router_report *r, struct diagnosis *out)
{
	bool veth = strcmp(r->shared.kind, "veth") == 0;

	if (!is_xdp(r) || r->sees_tags || !r->vlans.n ||
	    (!veth && !r->shared.features.on[ETHTOOL_RX_VLAN]))
		return;
	remedy(add(out, FINDING_VLAN, SEVERITY_PROBLEM, r->shared.name,
		   "the VLAN device %s stands on it, and XDP does not see tags that %s beside the "
		   "frame: frames of that VLAN are dropped",
		   r->vlans.v[0].name,
		   veth ? "the veth's peer hands on" : "the network card hands on"),
	       veth ? "write `hook: tc` into the router's definition, and apply; or run `ethtool "
		      "-K "
		      "PEER txvlan off` where the other end of %s%s is"
		    : "write `hook: tc` into the router's definition, and apply; or run %sethtool "
		      "-K %s rxvlan off",
	       veth ? "" : r->enter, r->shared.name);
}

/* ------------------------------------------------------------ interfaces */

static void judge_address(const struct router_report *r, struct diagnosis *out)
{
	bool v4 = r->v4 && !r->own_v4, v6 = r->v6 && !r->own_v6;

	if (v4 || v6)
		remedy(add(out, FINDING_ADDRESS, SEVERITY_PROBLEM, r->shared.name,
			   "it has no %s address in the shared subnets: nobody there can send to "
			   "the router, nor hear of its errors",
			   v4 && v6 ? "IPv4 and no IPv6"
			   : v4	    ? "IPv4"
				    : "IPv6"),
		       APPLY_AGAIN ": that gives it one");
	else
		add(out, FINDING_ADDRESS, SEVERITY_FINE, r->shared.name, "there");
}

/* Before the join they work. */
static void judge_other_addresses(const struct router_report *r, struct diagnosis *out)
{
	vec_each (a, &r->cut_off) {
		struct prefix p = { a->addr, a->len };

		if (r->attached)
			remedy(add(out, FINDING_FOREIGN, SEVERITY_PROBLEM, r->shared.name,
				   "its address %s is in no shared subnet: what comes to it and "
				   "what it sends there is dropped",
				   ADDR(&a->addr)),
			       "`%sip addr del %s dev %s`, and put it on another interface",
			       r->enter, PREFIX(&p), r->shared.name);
	}
	if (!r->cut_off.n)
		add(out, FINDING_FOREIGN, SEVERITY_FINE, r->shared.name, "none");
}

static void judge_link(const struct router_report *r, const struct port *p, struct diagnosis *out)
{
	if (!p->up)
		remedy(add(out, FINDING_LINK, SEVERITY_PROBLEM, p->name, "it is down"),
		       "%sip link set %s up", r->enter, p->name);
	else if (!p->carrier)
		remedy(add(out, FINDING_LINK, SEVERITY_PROBLEM, p->name,
			   "it is up, but has no carrier"),
		       "see to its cable, or set the other end up: `ip link set PEER up`");
	else
		add(out, FINDING_LINK, SEVERITY_FINE, p->name, "up");
}

static void judge_offloads(const struct router_report *r, const struct port *p,
			   struct diagnosis *out)
{
	const struct ethtool *e = &p->features;

	if (p->features_error.set) {
		add_error(out, FINDING_OFFLOADS, SEVERITY_UNCHECKED, &p->features_error);
		return;
	}
	if (e->on[ETHTOOL_LRO])
		remedy(add(out, FINDING_OFFLOADS, SEVERITY_PROBLEM, p->name,
			   "LRO is on: merged packets lose their sizes, and are dropped where "
			   "they are forwarded"),
		       "%sethtool -K %s lro off", r->enter, p->name);
	if (e->on[ETHTOOL_GRO_HW])
		remedy(add(out, FINDING_OFFLOADS, SEVERITY_WARNING, p->name,
			   "rx-gro-hw is on: the card merges packets before XDP sees them, and "
			   "not every driver does that so that they can be forwarded as they came"),
		       "%sethtool -K %s rx-gro-hw off", r->enter, p->name);
	if (!e->on[ETHTOOL_LRO] && !e->on[ETHTOOL_GRO_HW])
		add(out, FINDING_OFFLOADS, SEVERITY_FINE, p->name,
		    "checksums %s, segmentation %s, gro %s",
		    e->on[ETHTOOL_TX_CSUM] || e->on[ETHTOOL_TX_CSUM_V4] ? "offloaded"
									: "not offloaded",
		    e->on[ETHTOOL_TSO] ? "offloaded" : "not offloaded",
		    e->on[ETHTOOL_GRO] ? "on" : "off");
}

/*
 * A bridge has the least MTU of its ports, unless it was given another one: a larger one says
 * nothing of them. Other masters, as that of Open vSwitch, have one that means nothing.
 */
static bool is_mismatch(const struct port *p, enum iface_relation relation, uint32_t mtu)
{
	const struct iface_other *o = &p->other[relation];
	bool peer = relation == IFACE_PEER;

	if (!o->name[0] || (!peer && strcmp(o->kind, "bridge") != 0))
		return false;
	/* what is stacked on a device may have a smaller MTU than that */
	return peer && !p->stacked ? o->mtu != mtu : o->mtu < mtu;
}

static void judge_mtu_around(const struct router_report *r, const struct port *p,
			     struct diagnosis *out)
{
	uint32_t least = p->mtu;

	for (int i = 0; i < IFACE_RELATIONS; i++) {
		const struct iface_other *o = &p->other[i];
		struct diagnosed *f;

		if (!is_mismatch(p, i, least))
			continue;
		f = add(out, FINDING_MTU, SEVERITY_PROBLEM, p->name,
			"its MTU is %u, but that of %s, which it is connected to, is %u: larger "
			"packets are lost without a word",
			p->mtu, o->name, o->mtu);
		if (o->mtu < p->mtu)
			remedy(f, "%sip link set %s mtu %u", r->enter, p->name, o->mtu);
		else if (!o->elsewhere || p->elsewhere_found)
			remedy(f, "%sip link set %s mtu %u",
			       o->elsewhere ? p->enter_elsewhere : r->enter, o->name, p->mtu);
		else
			remedy(f, "`ip link set %s mtu %u` in the network namespace that it is in",
			       o->name, p->mtu);
		least = o->mtu < least ? o->mtu : least;
	}
}

static void judge_mtu(const struct router_report *r, struct diagnosis *out)
{
	judge_mtu_around(r, &r->shared, out);
	vec_each (p, &r->inside) {
		judge_mtu_around(r, p, out);
		if (p->mtu > r->shared.mtu)
			remedy(add(out, FINDING_MTU, SEVERITY_WARNING, p->name,
				   "its MTU is %u, that of %s only %u: larger packets need path "
				   "MTU "
				   "discovery, which VMs with a firewall against ICMP have not",
				   p->mtu, r->shared.name, r->shared.mtu),
			       "%sip link set %s mtu %u, and the same in the VMs", r->enter,
			       p->name, r->shared.mtu);
		else
			add(out, FINDING_MTU, SEVERITY_FINE, p->name, "%u, and %u on %s", p->mtu,
			    r->shared.mtu, r->shared.name);
	}
}

/* ------------------------------------------------------------ settings */

static struct diagnosed *set_sysctl(const struct router_report *r, struct diagnosed *f,
				    const char *family, const struct port *p, const char *name,
				    long value)
{
	remedy(f, "%ssysctl -w net/%s/conf/%s/%s=%ld", r->enter, family, p ? p->name : "all", name,
	       value);
	return f;
}

static void judge_forwarding(const struct router_report *r, const struct port *p,
			     struct diagnosis *out)
{
	if (r->v4 && p->forwarding == 0)
		set_sysctl(r,
			   add(out, FINDING_FORWARDING, SEVERITY_PROBLEM, p->name,
			       "IPv4 packets that come in there are not forwarded"),
			   "ipv4", p, "forwarding", 1);
	else if (r->v4 && p->forwarding == 1)
		add(out, FINDING_FORWARDING, SEVERITY_FINE, p->name, "IPv4 is forwarded");
	if (r->v6 && p->disable_ipv6 == 1)
		set_sysctl(r,
			   add(out, FINDING_FORWARDING, SEVERITY_PROBLEM, p->name,
			       "IPv6 is switched off there, and the tenant has IPv6 mappings"),
			   "ipv6", p, "disable_ipv6", 0);
}

static void judge_forwarding_v6(const struct router_report *r, struct diagnosis *out)
{
	if (r->v6 && r->forwarding_v6 == 0)
		set_sysctl(r,
			   add(out, FINDING_FORWARDING, SEVERITY_PROBLEM, NULL,
			       "IPv6 packets are not forwarded"),
			   "ipv6", NULL, "forwarding", 1);
	else if (r->v6 && r->forwarding_v6 == 1)
		add(out, FINDING_FORWARDING, SEVERITY_FINE, NULL, "IPv6 is forwarded");
}

static const struct lookup *astray(const struct router_report *r, bool shared, bool v4_only)
{
	vec_each (l, &r->lookups) {
		bool right = shared && strcmp(l->by, r->shared.name) == 0;

		if (l->shared != shared || (v4_only && !addr_is_v4(&l->to)))
			continue;
		vec_each (p, &r->inside)
			right |= !shared && strcmp(l->by, p->name) == 0;
		if (!right)
			return l;
	}
	return NULL;
}

/* Strict is 1; loose, 2, asks only whether there is any route. It never applies to IPv6. */
static void judge_rp_filter(const struct router_report *r, const struct port *p, bool shared,
			    struct diagnosis *out)
{
	const struct lookup *l = astray(r, shared, true);

	if (p->rp_filter == 1 && l)
		set_sysctl(r,
			   add(out, FINDING_RP_FILTER, SEVERITY_PROBLEM, p->name,
			       "it is strict, and %s is looked for %s%s: packets from there are "
			       "dropped",
			       l->what, l->by[0] ? "behind " : "nowhere", l->by),
			   "ipv4", p, "rp_filter", 2);
	else if (p->rp_filter != UNKNOWN)
		add(out, FINDING_RP_FILTER, SEVERITY_FINE, p->name, "%s",
		    p->rp_filter == 0	? "off"
		    : p->rp_filter == 1 ? "strict, and the routes agree"
					: "loose");
}

static void judge_routes(const struct router_report *r, struct diagnosis *out)
{
	const struct lookup *shared = astray(r, true, false), *inside = astray(r, false, false);

	if (shared)
		remedy(add(out, FINDING_ROUTES, SEVERITY_PROBLEM, r->shared.name,
			   "%s is reached by %s instead of %s", shared->what,
			   shared->by[0] ? shared->by : "no route", r->shared.name),
		       "%sip route get %s shows it; %sip route replace %s dev %s is right, or "
		       "`via` the gateway there",
		       r->enter, ADDR(&shared->to), r->enter, ADDR(&shared->to), r->shared.name);
	if (inside)
		remedy(add(out, FINDING_ROUTES, SEVERITY_PROBLEM, NULL,
			   "%s is reached by %s, which is no inside interface", inside->what,
			   inside->by[0] ? inside->by : "no route"),
		       "%sip route get %s shows it; give the inside interface an address in the "
		       "VM's subnet, or correct the router's `inside`",
		       r->enter, ADDR(&inside->to));
	vec_each (p, &r->uncovered) {
		if (r->attached)
			remedy(add(out, FINDING_ROUTES, SEVERITY_WARNING, NULL,
				   "there is no unreachable route to %s: when %s is down, what VMs "
				   "send there leaves by the default route",
				   PREFIX(p), r->shared.name),
			       "%sip route add unreachable %s metric %u proto %d", r->enter,
			       PREFIX(p), TN_LAST_METRIC, TN_PROTOCOL);
	}
	if (!shared && !inside)
		add(out, FINDING_ROUTES, SEVERITY_FINE, NULL, "%zu lookups lead where they should",
		    r->lookups.n);
}

static void judge_arp(const struct router_report *r, struct diagnosis *out)
{
	const struct port *p = &r->shared;
	size_t before = out->list.n;

	if (p->proxy_arp_pvlan == 1)
		set_sysctl(
			r,
			add(out, FINDING_ARP, SEVERITY_PROBLEM, p->name,
			    "proxy_arp_pvlan is on: the kernel claims every address of the shared "
			    "network for this router"),
			"ipv4", p, "proxy_arp_pvlan", 0);
	if (p->proxy_arp == 1)
		set_sysctl(
			r,
			add(out, FINDING_ARP, SEVERITY_WARNING, p->name,
			    "proxy_arp is on: the kernel claims addresses that it has a route to "
			    "by another interface"),
			"ipv4", p, "proxy_arp", 0);
	if (p->arp_ignore >= 8)
		set_sysctl(r,
			   add(out, FINDING_ARP, SEVERITY_PROBLEM, p->name,
			       "arp_ignore is %ld: nobody learns the router's own address",
			       p->arp_ignore),
			   "ipv4", p, "arp_ignore", 1);
	if (p->proxy_ndp == 1 && p->disable_ipv6 == 0)
		set_sysctl(r,
			   add(out, FINDING_ARP, SEVERITY_WARNING, p->name,
			       "proxy_ndp is on: the kernel claims the IPv6 addresses of `ip neigh "
			       "show proxy`"),
			   "ipv6", p, "proxy_ndp", 0);
	if (out->list.n == before)
		add(out, FINDING_ARP, SEVERITY_FINE, p->name,
		    "the kernel answers for itself alone");
}

/* 2 accepts them even where packets are forwarded, 1 only elsewhere. */
static void judge_accept_ra(const struct router_report *r, struct diagnosis *out)
{
	const struct port *p = &r->shared;

	if (p->accept_ra == UNKNOWN || p->disable_ipv6 != 0)
		return;
	if (p->accept_ra == 2 || (p->accept_ra == 1 && p->forwarding_v6 == 0))
		set_sysctl(
			r,
			add(out, FINDING_ACCEPT_RA, SEVERITY_WARNING, p->name,
			    "router advertisements from the shared network are accepted: anybody "
			    "there can become this router's default route"),
			"ipv6", p, "accept_ra", 0);
	else
		add(out, FINDING_ACCEPT_RA, SEVERITY_FINE, p->name,
		    "router advertisements are not accepted");
}

/* ------------------------------------------------------------ netfilter */

/* The shared subnets of a family: "100.64.0.0/16, 100.65.0.0/16" */
static void subnets_text(const struct router_report *r, bool six, const char *between, char *text,
			 size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	vec_each (p, &r->model->subnets) {
		if (addr_is_v4(&p->addr) != six && n < size)
			n += snprintf(text + n, size - n, "%s%s", n ? between : "", PREFIX(p));
	}
}

/* Where the kernel enters it: rules of iptables-nft are changed by iptables alone. */
static bool of_iptables(const struct ruleset_hit *h)
{
	static const char *const tables[] = { "filter", "nat", "mangle", "raw" };
	static const char *const chains[] = { "PREROUTING", "FORWARD", "POSTROUTING" };
	bool table = false, chain = false;

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		table |= strcmp(h->table, tables[i]) == 0;
	for (size_t i = 0; i < ARRAY_SIZE(chains); i++)
		chain |= strcmp(h->base, chains[i]) == 0;
	return table && chain && strcmp(h->family, "inet") != 0;
}

/* Commands that let what comes from the shared network, and what goes to it, past the chain. */
static void past(const struct router_report *r, const struct ruleset_hit *h, bool six, char *text,
		 size_t size)
{
	const char *ip = six ? "ip6" : "ip";
	char subnets[200];

	subnets_text(r, six, of_iptables(h) ? "," : ", ", subnets, sizeof(subnets));
	if (of_iptables(h))
		snprintf(text, size,
			 "%s%stables -t %s -I %s -s %s -j ACCEPT; %s%stables -t %s -I %s -d "
			 "%s -j ACCEPT",
			 r->enter, ip, h->table, h->base, subnets, r->enter, ip, h->table, h->base,
			 subnets);
	else
		snprintf(
			text, size,
			"%snft insert rule %s %s %s %s saddr '{ %s }' accept; %snft insert rule %s "
			"%s %s %s daddr '{ %s }' accept",
			r->enter, h->family, h->table, h->base, ip, subnets, r->enter, h->family,
			h->table, h->base, ip, subnets);
}

static void remedy_past(const struct router_report *r, const struct ruleset_hit *h,
			struct diagnosed *f)
{
	bool v4 = r->v4 && strcmp(h->family, "ip6") != 0;
	bool v6 = r->v6 && strcmp(h->family, "ip") != 0;
	char four[2048] = "", six[2048] = "";

	if (v4)
		past(r, h, false, four, sizeof(four));
	if (v6)
		past(r, h, true, six, sizeof(six));
	remedy(f, "%s%s%s", four, v4 && v6 ? "; " : "", six);
}

static void rule_text(const struct ruleset_hit *h, char *text, size_t size)
{
	size_t n = snprintf(text, size, "`%s` in the chain %s of table %s %s", h->statement,
			    h->chain, h->family, h->table);

	if (h->handle && n < size)
		snprintf(text + n, size - n, " (handle %lld)", (long long)h->handle);
}

static void judge_rule(const struct router_report *r, const struct ruleset_hit *h,
		       struct diagnosis *out)
{
	enum severity severity = h->sure ? SEVERITY_PROBLEM : SEVERITY_WARNING;
	const char *which = h->sure ? "" : "some of ";
	char rule[300];

	rule_text(h, rule, sizeof(rule));
	switch (h->effect) {
	case RULESET_NAT:
		remedy_past(r, h,
			    add(out, FINDING_NAT, severity, r->shared.name,
				"%s translates %sthe packets between VMs and the shared network "
				"once more",
				rule, which));
		break;
	case RULESET_DROP:
		remedy_past(r, h,
			    add(out, FINDING_FILTER, severity, r->shared.name,
				"%s refuses %sthe packets between VMs and the shared network", rule,
				which));
		break;
	case RULESET_UNTRACKED:
		remedy(add(out, FINDING_CONNTRACK, SEVERITY_WARNING, r->shared.name,
			   "%s: rules of this router that ask for the state of a flow do not know "
			   "replies",
			   rule),
		       "%snft delete rule %s %s %s handle %lld, unless no rule asks for it",
		       r->enter, h->family, h->table, h->chain, (long long)h->handle);
	}
}

/* Without an agent nobody saw the rules come. */
static void judge_bypassed(const struct router_report *r, struct diagnosis *out)
{
	bool wanted = r->tenant->router->forwarding == FORWARDING_FAST;

	bool ruled = r->rule || r->legacy[0][0] || r->legacy[1][0];

	if (!r->fast || (!ruled && !r->ipsec))
		return;
	remedy(add(out, FINDING_BYPASSED, wanted ? SEVERITY_WARNING : SEVERITY_PROBLEM,
		   r->shared.name,
		   "%s for forwarded packets, and forwarding is fast: what is translated does not "
		   "come to them",
		   ruled ? "netfilter has rules" : "IPsec has policies"),
	       wanted ? "`forwarding: auto` in the definitions, unless that is what you want"
		      : "tenantnat restore, or run the agent, which sees rules come and go");
}

static void judge_rules(const struct router_report *r, struct diagnosis *out)
{
	static const char *const programs[] = { "iptables-legacy-save", "ip6tables-legacy-save" };

	if (r->rules_error.set)
		add_error(out, FINDING_NAT, SEVERITY_UNCHECKED, &r->rules_error);
	else if (!r->rules.list.n)
		add(out, FINDING_NAT, SEVERITY_FINE, NULL,
		    "no rule of netfilter touches the packets");
	vec_each (h, &r->rules.list)
		judge_rule(r, h, out);
	judge_bypassed(r, out);
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		if (r->legacy[i][0])
			remedy(add(out, FINDING_IPTABLES, SEVERITY_WARNING, NULL,
				   "there are tables of %s (%s), which cannot be looked into from "
				   "here",
				   i ? "ip6tables-legacy" : "iptables-legacy", r->legacy[i]),
			       "look with %s%s for rules that translate or drop what is of %s",
			       r->enter, programs[i], r->shared.name);
	}
}

void doctor_paths(const struct router_report *r, bool six, struct ruleset_path paths[2])
{
	struct ruleset_path *in = &paths[0], *path_out = &paths[1];

	memset(paths, 0, 2 * sizeof(*paths));
	in->six = path_out->six = six;
	*vec_push(&in->in) = r->shared.name;
	*vec_push(&path_out->out) = r->shared.name;
	vec_each (p, &r->inside) {
		*vec_push(&in->out) = p->name;
		*vec_push(&path_out->in) = p->name;
	}
	vec_each (p, &r->model->subnets) {
		if (addr_is_v4(&p->addr) == six)
			continue;
		*vec_push(&in->src) = *p;
		*vec_push(&path_out->dst) = *p;
	}
	vec_each (m, &r->tenant->mappings) {
		struct prefix fixed = { m->fixed, 128 };

		if (addr_is_v4(&m->fixed) == six)
			continue;
		*vec_push(&in->dst) = fixed;
		*vec_push(&path_out->src) = fixed;
	}
}

/* ------------------------------------------------------------ routers */

void doctor_router(const struct router_report *r, struct diagnosis *out)
{
	if (r->netns.set) {
		add_error(out, FINDING_NETNS, SEVERITY_PROBLEM, &r->netns);
		return;
	}
	if (r->shared_error.set) {
		add_error(out, FINDING_SHARED, SEVERITY_PROBLEM, &r->shared_error);
		return;
	}
	add(out, FINDING_SHARED, SEVERITY_FINE, r->shared.name, "found");
	if (r->inside_error.set)
		add_error(out, FINDING_INSIDE, SEVERITY_PROBLEM, &r->inside_error);
	if (r->inside_doubt.set)
		add_error(out, FINDING_INSIDE, SEVERITY_WARNING, &r->inside_doubt);
	judge_address(r, out);
	judge_other_addresses(r, out);
	judge_programs(r, out);
	judge_others(r, out);
	judge_hook(r, out);
	judge_vlan(r, out);
	judge_link(r, &r->shared, out);
	judge_offloads(r, &r->shared, out);
	judge_forwarding(r, &r->shared, out);
	judge_rp_filter(r, &r->shared, true, out);
	vec_each (p, &r->inside) {
		judge_link(r, p, out);
		judge_offloads(r, p, out);
		judge_forwarding(r, p, out);
		judge_rp_filter(r, p, false, out);
	}
	judge_forwarding_v6(r, out);
	judge_mtu(r, out);
	judge_routes(r, out);
	judge_arp(r, out);
	judge_accept_ra(r, out);
	judge_rules(r, out);
}

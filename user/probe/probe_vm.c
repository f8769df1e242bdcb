/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/probe_vm.h"

#include "host/netlink.h"
#include "lib/clock.h"
#include "probe/echo.h"
#include "probe/probe_interface.h"

/* So many are asked at once. */
#define VM_BATCH 1024

/* The VMs of one batch, the interfaces that lead to them, and what was asked there. */
struct vm {
	const struct probe_host *host;
	const struct probe_far *far; /* NULL: it is not asked from there */
	struct next_hop next_hop;
	struct tn_addr hop; /* the neighbour: the VM itself, or a router before it */
	long link;	    /* index of the interface; -1: there is no ARP there */
	size_t query;
	bool out;    /* there is a finding already */
	bool itself; /* it is the router */
	struct ping ping;
	uint32_t whole;	       /* bytes of a whole packet on the way to it; 0: not asked */
	struct ping_size size; /* of those */
	bool asked;	       /* `echo` was sent */
	struct echo echo;
};

struct link {
	uint32_t ifindex;
	struct error error; /* set: it could not be asked */
	struct neigh_queries queries;
};

struct vms {
	VEC(struct vm) list;
	struct link links[TN_INSIDE_MAX];
	size_t nlinks;
	struct echoes
		echoes; /* of all inside interfaces, also of those that lead to none of these */
};

static bool is_inside(const struct probe_input *in, uint32_t ifindex)
{
	for (size_t i = 0; i < TN_INSIDE_MAX && in->inside[i]; i++) {
		if (in->inside[i] == ifindex)
			return true;
	}
	return false;
}

static const char *name_of(uint32_t ifindex, char name[IF_NAMESIZE])
{
	if (!if_indextoname(ifindex, name))
		snprintf(name, IF_NAMESIZE, "?");
	return name;
}
#define NAME(ifindex) name_of((ifindex), (char[IF_NAMESIZE]){ 0 })

/* ------------------------------------------------------------ links */

static void silence(struct link *link, const char *why)
{
	error_set(&link->error, "%s cannot be asked: %s; see to %s, and start the VMs behind it",
		  NAME(link->ifindex), why, NAME(link->ifindex));
}

/* -1: there is no ARP there. */
static long link_of(struct vms *vms, uint32_t ifindex)
{
	struct link *link = &vms->links[vms->nlinks];
	const char *why;
	uint8_t mac[6];

	for (size_t i = 0; i < vms->nlinks; i++) {
		if (vms->links[i].ifindex == ifindex)
			return (long)i;
	}
	if (probe_mac(ifindex, mac))
		return -1;
	link->ifindex = ifindex;
	link->queries = NEIGH_QUERIES_NONE;
	why = probe_silence(ifindex);
	if (why)
		silence(link, why);
	else
		neigh_queries_open(&link->queries, ifindex, mac, &link->error);
	return (long)vms->nlinks++;
}

static const struct error *link_error(const struct vms *vms, const struct vm *vm)
{
	return vm->link >= 0 && vms->links[vm->link].error.set ? &vms->links[vm->link].error : NULL;
}

/* One for all VMs behind the same router. */
static size_t question(struct neigh_queries *queries, const struct vm *vm)
{
	vec_each (query, &queries->list) {
		if (addr_cmp(&query->target, &vm->hop) == 0)
			return query - queries->list.v;
	}
	*vec_push(&queries->list) =
		(struct neigh_query){ .target = vm->hop, .sender = vm->next_hop.source };
	return queries->list.n - 1;
}

/* What keeps one link from being asked does not keep the others. */
static void ask_links(const struct probe_run *run, struct vms *vms)
{
	for (int again = 0; again < 2; again++) {
		uint64_t end;

		for (size_t i = 0; i < vms->nlinks; i++) {
			if (!vms->links[i].error.set)
				neigh_queries_send(&vms->links[i].queries, &vms->links[i].error);
		}
		end = clock_ms() + patient(run->in, PROBE_ASK_MS);
		for (size_t i = 0; i < vms->nlinks; i++) {
			if (!vms->links[i].error.set)
				neigh_queries_collect(&vms->links[i].queries, clock_left(end),
						      &vms->links[i].error);
		}
	}
}

static const struct neigh_query *answer_of(const struct vms *vms, const struct vm *vm)
{
	return vm->link < 0 || vms->links[vm->link].error.set
		       ? NULL
		       : &vms->links[vm->link].queries.list.v[vm->query];
}

/* ------------------------------------------------------------ routes */

/* True: it is a finding that the kernel could not be asked. */
static bool is_error(struct probe_run *run, struct vm *vm, const struct error *err)
{
	if (err->set)
		findings_add_error(&run->found, PROBE_VM, HOST(vm->host), err);
	return vm->out = err->set;
}

/* By an interface that `inside` takes, but that came after the router was attached. */
static bool is_late(const struct probe_input *in, uint32_t ifindex)
{
	_cleanup_ifaces_ struct ifaces ifaces = { 0 };
	struct error ignored = { 0 };

	if (!in->router || netlink_ifaces(&ifaces, &ignored))
		return false;
	vec_each (i, &ifaces.list) {
		if (i->index == in->ifindex)
			return iface_is_late(&ifaces, in->router, i, in->inside, ifindex);
	}
	return false;
}

static size_t insides(const struct probe_input *in)
{
	size_t n = 0;

	while (n < TN_INSIDE_MAX && in->inside[n])
		n++;
	return n;
}

static void say_astray(struct probe_run *run, struct vm *vm)
{
	const struct probe_input *in = run->in;
	char del[IFACE_ROUTE_DEL];
	struct finding *f;

	vm->out = true;
	if (is_late(in, vm->next_hop.ifindex)) {
		f = findings_add(&run->found, PROBE_VM, PROBE_FAILED, HOST(vm->host),
				 "expected a program on the interface to it; seen: %s, which came "
				 "later than the last apply",
				 NEXT_HOP(&vm->next_hop));
		finding_remedy(f, "`tenantnat restore`, or run the agent, which sees interfaces "
				  "come and go");
		return;
	}
	f = findings_add(&run->found, PROBE_VM, PROBE_FAILED, HOST(vm->host),
			 "expected a route to it by an inside interface; seen: %s",
			 NEXT_HOP(&vm->next_hop));
	if (route_astray_del(&vm->host->addr, in->inside, insides(in), del))
		finding_remedy(f, "`%s` in the router", del);
	else
		finding_remedy(f, "give the router an address or a route where the VM is, or "
				  "correct `fixed` and `inside`");
}

/* Of a packet from the shared network, which rules may lead elsewhere than the router's own. */
static void find_route(struct probe_run *run, struct vm *vm)
{
	const struct tn_addr *to = &vm->host->addr;
	struct next_hop translated = { 0 };
	struct error err = { 0 };

	route_query(to, &vm->next_hop, &err);
	if (is_error(run, vm, &err))
		return;
	vm->itself = vm->next_hop.local;
	if (vm->itself)
		return;
	if (vm->far) {
		route_query_input(to, &vm->far->addr, run->in->ifindex, &translated, &err);
		if (is_error(run, vm, &err))
			return;
		translated.source = vm->next_hop.source;
		vm->next_hop = translated;
	}
	if (!is_inside(run->in, vm->next_hop.ifindex))
		say_astray(run, vm);
}

/*
 * Of what the VM sends to the shared network, or the router with that address. Where the router's
 * own way is wrong, that is said.
 */
static void find_way_out(struct probe_run *run, struct vm *vm)
{
	uint32_t iif = vm->itself ? 0 : vm->next_hop.ifindex;
	struct next_hop own = { 0 }, seen = { 0 };
	struct error err = { 0 };
	struct finding *f;

	if (vm->out || !vm->far)
		return;
	route_query_input(&vm->far->addr, &vm->host->addr, iif, &seen, &err);
	route_query(&vm->far->addr, &own, &err);
	if (is_error(run, vm, &err) || seen.ifindex == run->in->ifindex ||
	    own.ifindex != run->in->ifindex)
		return;
	vm->out = true;
	f = findings_add(&run->found, PROBE_VM, PROBE_FAILED, HOST(vm->host),
			 "expected what it sends to %s by %s; seen: %s", ADDR(&vm->far->addr),
			 run->in->name, NEXT_HOP(&seen));
	if (seen.ifindex)
		finding_remedy(f,
			       "`ip%s rule add to %s lookup main pref 1` in the router, where a "
			       "routing rule leads elsewhere",
			       addr_is_v4(&vm->far->addr) ? "" : " -6", PREFIX(&vm->far->subnet));
	else
		finding_remedy(f,
			       "look at `ip route get %s from %s%s%s` in the router, and correct "
			       "its routes, rules and forwarding",
			       ADDR(&vm->far->addr), ADDR(&vm->host->addr), iif ? " iif " : "",
			       iif ? NAME(iif) : "");
}

static void ask_vm(struct probe_run *run, struct vms *vms, const struct probe_host *host)
{
	const struct probe_far *far = &run->in->far[addr_family(&host->addr)];
	struct vm *vm = vec_push(&vms->list);

	vm->host = host;
	vm->far = run->down || addr_is_unset(&far->addr) ? NULL : far;
	find_route(run, vm);
	find_way_out(run, vm);
	if (vm->itself && !vm->out)
		findings_add(&run->found, PROBE_VM, PROBE_OK, HOST(host),
			     "it is an address of this router, which answers itself");
	vm->out |= vm->itself;
	if (vm->out)
		return;
	vm->hop = addr_is_unset(&vm->next_hop.gateway) ? host->addr : vm->next_hop.gateway;
	vm->link = link_of(vms, vm->next_hop.ifindex);
	if (vm->link >= 0)
		vm->query = question(&vms->links[vm->link].queries, vm);
}

/* ------------------------------------------------------------ pings */

/* Of those that may be there by what their link says. */
static void ping_vms(const struct probe_run *run, struct pinger *p, struct vms *vms)
{
	VEC(struct ping *) pings = { 0 };

	vec_each (vm, &vms->list) {
		const struct neigh_query *a = answer_of(vms, vm);

		if (vm->out || link_error(vms, vm) || (a && !a->answered))
			continue;
		vm->ping = (struct ping){ .dst = vm->host->addr, .size = PROBE_PING_SIZE };
		*vec_push(&pings) = &vm->ping;
	}
	ping_all(p, pings.v, pings.n, PROBE_PING_TRIES, patient(run->in, PROBE_PING_MS));
	vec_free(&pings);
}

/* With packets as large as the interface to them takes. */
static void ping_whole(const struct probe_run *run, struct pinger *p, struct vms *vms)
{
	VEC(struct ping_size *) sizes = { 0 };

	vec_each (vm, &vms->list) {
		uint32_t mtu = vm->ping.answered ? probe_mtu(vm->next_hop.ifindex) : 0;

		/* a route with an MTU of its own is how a smaller link is known */
		if (vm->next_hop.mtu && vm->next_hop.mtu < mtu)
			mtu = vm->next_hop.mtu;
		if (mtu <= PROBE_PING_SIZE)
			continue;
		vm->whole = mtu;
		vm->size = (struct ping_size){ .ping.dst = vm->host->addr, .passes = mtu };
		*vec_push(&sizes) = &vm->size;
	}
	ping_sizes(p, sizes.v, sizes.n, patient(run->in, PROBE_SIZE_MS));
	vec_free(&sizes);
}

static void listen_inside(const struct probe_run *run, struct vms *vms)
{
	struct error ignored = { 0 };
	uint8_t mac[6];

	for (size_t i = 0; i < TN_INSIDE_MAX && run->in->inside[i]; i++) {
		if (probe_mac(run->in->inside[i], mac) == 0)
			echoes_open(&vms->echoes, run->in->inside[i], mac, &ignored);
	}
}

static bool find_port(const struct vms *vms, uint32_t ifindex, size_t *out)
{
	vec_each (port, &vms->echoes.ports) {
		*out = port - vms->echoes.ports.v;
		if (port->ifindex == ifindex)
			return true;
	}
	return false;
}

/*
 * Those that answer the router itself are asked from the shared network, too, as if the packet had
 * been translated: a VM may know the way to its own subnet alone.
 */
static void ask_from_afar(const struct probe_run *run, struct vms *vms)
{
	VEC(struct echo *) list = { 0 };

	listen_inside(run, vms);
	vec_each (vm, &vms->list) {
		const struct neigh_query *a = answer_of(vms, vm);

		if (!run->in->guarded || !vm->ping.answered || !vm->far || !a ||
		    !find_port(vms, vm->next_hop.ifindex, &vm->echo.port))
			continue;
		vm->asked = true;
		vm->echo.src = addr_is_unset(&vm->far->as) ? vm->far->addr : vm->far->as;
		vm->echo.dst = vm->host->addr;
		memcpy(vm->echo.to, a->mac, sizeof(vm->echo.to));
		*vec_push(&list) = &vm->echo;
	}
	echoes_ask(&vms->echoes, list.v, list.n, PROBE_PING_TRIES, patient(run->in, PROBE_PING_MS));
	vec_free(&list);
}

/* ------------------------------------------------------------ saying it */

static void remedy_way_back(struct finding *f, const struct vm *vm, const char *more)
{
	finding_remedy(f, "`ip route add %s via %s` in the VM, %s", PREFIX(&vm->far->subnet),
		       ADDR(&vm->next_hop.source), more);
}

/* Its answer came: whether the programs would let it in. */
static void say_answer(struct probe_run *run, const struct vms *vms, const struct vm *vm)
{
	uint32_t by = vms->echoes.ports.v[vm->echo.by].ifindex;
	bool other_way = by != vm->next_hop.ifindex && run->in->sources != SOURCES_LOOSE;
	bool other_mac = memcmp(vm->echo.mac, vm->echo.to, sizeof(vm->echo.to)) != 0 &&
			 run->in->sources == SOURCES_STRICT;
	struct finding *f;

	if (!other_way && !other_mac) {
		findings_add(&run->found, PROBE_VM, PROBE_OK, HOST(vm->host),
			     "it answers ping, also from the shared network, %s",
			     NEXT_HOP(&vm->next_hop));
		return;
	}
	f = findings_add(&run->found, PROBE_VM, PROBE_FAILED, HOST(vm->host),
			 "expected its answers by %s from %s; seen: by %s from %s, which `sources: "
			 "%s` drops",
			 NAME(vm->next_hop.ifindex), MAC(vm->echo.to), NAME(by), MAC(vm->echo.mac),
			 sources_name(run->in->sources));
	finding_remedy(f,
		       "have it answer the way that it is asked (of two network cards, by a "
		       "routing rule in the VM), or write `sources: %s` into the router's "
		       "definition, and apply",
		       sources_name(other_way ? SOURCES_LOOSE : SOURCES_FEASIBLE));
}

/* Smaller ones are answered, and nobody says that these are too large: who sends them is not told.
 */
static bool is_hole(const struct vm *vm)
{
	return vm->whole && vm->size.passes < vm->whole && !vm->size.told;
}

static void say_hole(struct probe_run *run, const struct vm *vm)
{
	bool direct = addr_is_unset(&vm->next_hop.gateway);
	struct finding *f = findings_add(
		&run->found, PROBE_VM, PROBE_FAILED, HOST(vm->host),
		"expected an answer to a packet of %u bytes; seen: %u bytes at most, and larger "
		"ones are silently lost behind %s",
		vm->whole, vm->size.passes, NAME(vm->next_hop.ifindex));

	finding_remedy(
		f,
		"`ip%s route replace %s%s%s dev %s mtu lock %u` in the router has senders told; "
		"better, give the VM, and what is between it and %s, an MTU of %u",
		addr_is_v4(&vm->host->addr) ? "" : " -6", ADDR(&vm->host->addr),
		direct ? "" : " via ", direct ? "" : ADDR(&vm->next_hop.gateway),
		NAME(vm->next_hop.ifindex), vm->size.passes, NAME(vm->next_hop.ifindex), vm->whole);
}

static void say_pinged(struct probe_run *run, const struct vms *vms, const struct vm *vm)
{
	struct finding *f;

	if (is_hole(vm)) {
		say_hole(run, vm);
	} else if (!vm->asked) {
		findings_add(&run->found, PROBE_VM, PROBE_OK, HOST(vm->host), "it answers ping, %s",
			     NEXT_HOP(&vm->next_hop));
	} else if (vm->echo.answered) {
		say_answer(run, vms, vm);
	} else if (vm->echo.sought) {
		f = findings_add(
			&run->found, PROBE_VM, PROBE_FAILED, HOST(vm->host),
			"expected it to answer %s by the router; seen: it asks its own link "
			"for that address, because its network covers the shared subnet",
			ADDR(&vm->echo.src));
		remedy_way_back(f, vm, "or, better, give the VMs another network");
	} else {
		f = findings_add(
			&run->found, PROBE_VM, PROBE_FAILED, HOST(vm->host),
			"expected an answer to ping from %s; seen: it answers the router's "
			"address in its own network alone",
			ADDR(&vm->echo.src));
		remedy_way_back(f, vm,
				"or a default route; else a filter of the VM drops what is "
				"of the shared network");
	}
}

/* Somebody answered on the link, and nobody ping. That a gateway is there says nothing of a VM. */
static void say_seen(struct probe_run *run, const struct vm *vm, const struct neigh_query *a)
{
	if (addr_cmp(&vm->hop, &vm->host->addr) != 0)
		findings_add(&run->found, PROBE_VM, PROBE_SKIPPED, HOST(vm->host),
			     "%s, by which it is reached, answers %s from %s, but it answers no "
			     "ping: nobody can tell whether it is there",
			     ADDR(&vm->hop), probe_protocol(&vm->hop), MAC(a->mac));
	else
		findings_add(&run->found, PROBE_VM, PROBE_OK, HOST(vm->host),
			     "it answers %s from %s, but the VM no ping", probe_protocol(&vm->hop),
			     MAC(a->mac));
}

/* The programs go by the MAC address that the kernel would send to. */
static bool is_another(const struct vm *vm, const struct neigh_query *a)
{
	return a && a->answered && !mac_is_unset(vm->host->mac) &&
	       memcmp(a->mac, vm->host->mac, sizeof(a->mac)) != 0;
}

static void say_another(struct probe_run *run, const struct vm *vm, const struct neigh_query *a)
{
	bool behind = addr_cmp(&vm->hop, &vm->host->addr) != 0;
	struct finding *f = findings_add(
		&run->found, PROBE_VM, PROBE_FAILED, HOST(vm->host),
		"expected the MAC address %s of its mapping; seen: %s answers %s%s%s, so what it "
		"sends and gets is dropped (wrong-mac)",
		MAC(vm->host->mac), MAC(a->mac), probe_protocol(&vm->hop), behind ? " for " : "",
		behind ? ADDR(&vm->hop) : "");

	finding_remedy(f, "if that is the VM, correct `mac` of the mapping; else another host has "
			  "taken its address: take it from the host with that MAC address");
}

static void say_vm(struct probe_run *run, const struct vms *vms, const struct vm *vm)
{
	const struct neigh_query *a = answer_of(vms, vm);
	bool behind = addr_cmp(&vm->hop, &vm->host->addr) != 0;
	struct finding *f;

	if (link_error(vms, vm)) {
		findings_add_error(&run->found, PROBE_VM, HOST(vm->host), link_error(vms, vm));
	} else if (is_another(vm, a)) {
		say_another(run, vm, a);
	} else if (vm->ping.answered) {
		say_pinged(run, vms, vm);
	} else if (a && a->answered) {
		say_seen(run, vm, a);
	} else if (!a) {
		findings_add(&run->found, PROBE_VM, PROBE_SKIPPED, HOST(vm->host),
			     "it does not answer ping, and its link has no ARP, %s",
			     NEXT_HOP(&vm->next_hop));
	} else {
		f = findings_add(&run->found, PROBE_VM, PROBE_FAILED, HOST(vm->host),
				 "expected %s to answer %s; seen: no answer, %s",
				 behind ? ADDR(&vm->hop) : "it", probe_protocol(&vm->hop),
				 NEXT_HOP(&vm->next_hop));
		finding_remedy(f, "start the VM, and see whether it has that address");
	}
}

static void probe_batch(struct probe_run *run, struct pinger *p, struct vms *vms, size_t from)
{
	for (size_t n = from; n < run->in->vms.n && n < from + VM_BATCH; n++)
		ask_vm(run, vms, &run->in->vms.v[n]);
	ask_links(run, vms);
	ping_vms(run, p, vms);
	ping_whole(run, p, vms);
	ask_from_afar(run, vms);
	vec_each (vm, &vms->list) {
		if (!vm->out)
			say_vm(run, vms, vm);
	}
}

void probe_vms(struct probe_run *run, struct pinger *p)
{
	vec_each (prefix, &run->in->unprobed)
		findings_add(&run->found, PROBE_VM, PROBE_SKIPPED, HOST(prefix),
			     "which addresses of a prefix have a VM is not known; none is probed");
	for (size_t from = 0; from < run->in->vms.n; from += VM_BATCH) {
		struct vms vms = { 0 };

		probe_batch(run, p, &vms, from);
		for (size_t i = 0; i < vms.nlinks; i++)
			neigh_queries_free(&vms.links[i].queries);
		echoes_free(&vms.echoes);
		vec_free(&vms.list);
	}
}

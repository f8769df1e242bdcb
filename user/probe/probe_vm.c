/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/probe_vm.h"

#include "lib/clock.h"
#include "probe/probe_interface.h"

/* So many are asked at once. */
#define VM_BATCH 1024

/* The VMs of one batch, the interfaces that lead to them, and what was asked there. */
struct vm {
	const struct probe_host *host;
	struct next_hop next_hop;
	struct tn_addr hop; /* the neighbour: the VM itself, or a router before it */
	long link;	    /* index of the interface; -1: there is no ARP there */
	size_t query;
	bool out; /* there is a finding already */
	struct ping ping;
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
};

static bool is_inside(const struct probe_input *in, uint32_t ifindex)
{
	for (size_t i = 0; i < TN_INSIDE_MAX && in->inside[i]; i++) {
		if (in->inside[i] == ifindex)
			return true;
	}
	return false;
}

static void silence(struct link *link, const char *why)
{
	char name[IF_NAMESIZE] = "?";

	if_indextoname(link->ifindex, name);
	error_set(&link->error, "%s cannot be asked: %s; see to %s, and start the VMs behind it", name,
		  why, name);
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

static void ask_vm(struct probe_run *run, struct vms *vms, const struct probe_host *host)
{
	struct vm *vm = vec_push(&vms->list);
	struct error err = { 0 };
	struct finding *f;

	vm->host = host;
	if (route_query(&host->addr, &vm->next_hop, &err)) {
		vm->out = true;
		findings_add_error(&run->found, PROBE_VM, HOST(host), &err);
		return;
	}
	if (!is_inside(run->in, vm->next_hop.ifindex) || vm->next_hop.local) {
		vm->out = true;
		f = findings_add(&run->found, PROBE_VM, PROBE_FAILED, HOST(host),
				 "expected a route to it by an inside interface; seen: %s",
				 NEXT_HOP(&vm->next_hop));
		finding_remedy(f,
			       "give the router an address or a route where the VM is, or correct "
			       "`fixed` and `inside`");
		return;
	}
	vm->hop = addr_is_unset(&vm->next_hop.gateway) ? host->addr : vm->next_hop.gateway;
	vm->link = link_of(vms, vm->next_hop.ifindex);
	if (vm->link >= 0)
		vm->query = question(&vms->links[vm->link].queries, vm);
}

static const struct error *link_error(const struct vms *vms, const struct vm *vm)
{
	return vm->link >= 0 && vms->links[vm->link].error.set ? &vms->links[vm->link].error : NULL;
}

static const struct neigh_query *answer_of(const struct vms *vms, const struct vm *vm)
{
	return vm->link < 0 ? NULL : &vms->links[vm->link].queries.list.v[vm->query];
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

static void say_vm(struct probe_run *run, const struct vms *vms, const struct vm *vm)
{
	const struct neigh_query *a = answer_of(vms, vm);
	bool behind = addr_cmp(&vm->hop, &vm->host->addr) != 0;
	struct finding *f;

	if (link_error(vms, vm)) {
		findings_add_error(&run->found, PROBE_VM, HOST(vm->host), link_error(vms, vm));
	} else if (vm->ping.answered) {
		findings_add(&run->found, PROBE_VM, PROBE_OK, HOST(vm->host), "it answers ping, %s",
			     NEXT_HOP(&vm->next_hop));
	} else if (a && a->answered) {
		findings_add(&run->found, PROBE_VM, PROBE_OK, HOST(vm->host),
			     "%s answers %s from %s, but the VM no ping",
			     behind ? ADDR(&vm->hop) : "it", probe_protocol(&vm->hop), MAC(a->mac));
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

static void probe_batch(struct probe_run *run, struct pinger *p, struct vms *vms, size_t from)
{
	for (size_t n = from; n < run->in->vms.n && n < from + VM_BATCH; n++)
		ask_vm(run, vms, &run->in->vms.v[n]);
	ask_links(run, vms);
	ping_vms(run, p, vms);
	vec_each (vm, &vms->list) {
		if (!vm->out)
			say_vm(run, vms, vm);
	}
}

void probe_vms(struct probe_run *run, struct pinger *p)
{
	for (size_t from = 0; from < run->in->vms.n; from += VM_BATCH) {
		struct vms vms = { 0 };

		probe_batch(run, p, &vms, from);
		for (size_t i = 0; i < vms.nlinks; i++)
			neigh_queries_free(&vms.links[i].queries);
		vec_free(&vms.list);
	}
}

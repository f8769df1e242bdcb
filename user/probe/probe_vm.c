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
	long link;	    /* index of the interface; -1: it cannot be asked */
	size_t query;
	bool out; /* there is a finding already */
	struct ping ping;
};

struct link {
	uint32_t ifindex;
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

static int link_of(struct vms *vms, uint32_t ifindex, long *out, struct error *err)
{
	uint8_t mac[6];

	for (size_t i = 0; i < vms->nlinks; i++) {
		*out = (long)i;
		if (vms->links[i].ifindex == ifindex)
			return 0;
	}
	*out = -1;
	if (probe_mac(ifindex, mac))
		return 0; /* there is no ARP there */
	if (neigh_queries_open(&vms->links[vms->nlinks].queries, ifindex, mac, err))
		return -1;
	vms->links[vms->nlinks].ifindex = ifindex;
	*out = (long)vms->nlinks++;
	return 0;
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

static int ask_vm(struct probe_run *run, struct vms *vms, const struct probe_host *host,
		  struct error *err)
{
	struct vm *vm = vec_push(&vms->list);
	struct finding *f;

	vm->host = host;
	if (route_query(&host->addr, &vm->next_hop, err))
		return -1;
	if (!is_inside(run->in, vm->next_hop.ifindex) || vm->next_hop.local) {
		vm->out = true;
		f = findings_add(&run->found, PROBE_VM, PROBE_FAILED, HOST(host),
				 "expected a route to it by an inside interface; seen: %s",
				 NEXT_HOP(&vm->next_hop));
		finding_remedy(f,
			       "give the router an address or a route where the VM is, or correct "
			       "`fixed` and `inside`");
		return 0;
	}
	vm->hop = addr_is_unset(&vm->next_hop.gateway) ? host->addr : vm->next_hop.gateway;
	if (link_of(vms, vm->next_hop.ifindex, &vm->link, err))
		return -1;
	if (vm->link < 0)
		return 0;
	vm->query = question(&vms->links[vm->link].queries, vm);
	return 0;
}

static const struct neigh_query *answer_of(const struct vms *vms, const struct vm *vm)
{
	return vm->link < 0 ? NULL : &vms->links[vm->link].queries.list.v[vm->query];
}

static int ask_links(const struct probe_run *run, struct vms *vms, struct error *err)
{
	for (int again = 0; again < 2; again++) {
		uint64_t end;

		for (size_t i = 0; i < vms->nlinks; i++) {
			if (neigh_queries_send(&vms->links[i].queries, err))
				return -1;
		}
		end = clock_ms() + patient(run->in, PROBE_ASK_MS);
		for (size_t i = 0; i < vms->nlinks; i++) {
			if (neigh_queries_collect(&vms->links[i].queries, clock_left(end), err))
				return -1;
		}
	}
	return 0;
}

static void say_vm(struct probe_run *run, const struct vms *vms, const struct vm *vm)
{
	const struct neigh_query *a = answer_of(vms, vm);
	bool behind = addr_cmp(&vm->hop, &vm->host->addr) != 0;
	struct finding *f;

	if (vm->ping.answered) {
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

		if (vm->out || (a && !a->answered))
			continue;
		vm->ping = (struct ping){ .dst = vm->host->addr, .size = PROBE_PING_SIZE };
		*vec_push(&pings) = &vm->ping;
	}
	ping_all(p, pings.v, pings.n, PROBE_PING_TRIES, patient(run->in, PROBE_PING_MS));
	vec_free(&pings);
}

static int probe_batch(struct probe_run *run, struct pinger *p, struct vms *vms, size_t from,
		       struct error *err)
{
	for (size_t n = from; n < run->in->vms.n && n < from + VM_BATCH; n++) {
		if (ask_vm(run, vms, &run->in->vms.v[n], err))
			return -1;
	}
	if (ask_links(run, vms, err))
		return -1;
	ping_vms(run, p, vms);
	vec_each (vm, &vms->list) {
		if (!vm->out)
			say_vm(run, vms, vm);
	}
	return 0;
}

int probe_vms(struct probe_run *run, struct pinger *p, struct error *err)
{
	int ret = 0;

	for (size_t from = 0; from < run->in->vms.n && !ret; from += VM_BATCH) {
		struct vms vms = { 0 };

		ret = probe_batch(run, p, &vms, from, err);
		for (size_t i = 0; i < vms.nlinks; i++)
			neigh_queries_free(&vms.links[i].queries);
		vec_free(&vms.list);
	}
	return ret;
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/probe_one.h"

#include "probe/probe_interface.h"
#include "probe/probe_vm.h"

static void take_far(const struct kernel_state *machine, const struct router_row *row,
		     const struct tn_addr *peer, struct probe_far *out)
{
	out->as = row->own[addr_family(peer)];
	if (addr_is_unset(&out->as) || addr_cmp(&out->as, peer) == 0)
		return;
	vec_each (p, &machine->subnets) {
		if (prefix_has(p, peer)) {
			out->addr = *peer;
			out->subnet = *p;
		}
	}
}

/* That the interface is in order says nothing of the VM. */
static void keep_failures(struct findings *f)
{
	if (f->list.n && f->list.v[f->list.n - 1].result == PROBE_OK)
		findings_free(f);
}

/* The VM's, if its mapping is bound to one. */
static void take_mac(const struct kernel_state *machine, const struct router_row *row,
		     struct probe_host *vm)
{
	const struct fixed_row key = { .router = row->id, .fixed = vm->addr };
	const struct fixed_row *found = machine->fixed.n
						? bsearch(&key, machine->fixed.v, machine->fixed.n,
							  sizeof(key), fixed_row_cmp)
						: NULL;

	if (found && found->flags & TN_SHARED_BOUND)
		memcpy(vm->mac, found->mac, sizeof(vm->mac));
}

void probe_one(const struct kernel_state *machine, const struct router_row *row,
	       const struct tn_addr *fixed, const struct tn_addr *peer, unsigned int patience,
	       struct findings *out)
{
	/* what is answered to the router itself needs no programs */
	_cleanup_probe_input_ struct probe_input in = { .sources = row->sources,
							.guarded = true,
							.patience = patience };
	struct probe_run run = { .in = &in, .queries = NEIGH_QUERIES_NONE };
	struct error err = { 0 };
	_cleanup_pinger_ struct pinger *p = pinger_open(&err);

	memcpy(in.inside, row->inside, sizeof(in.inside));
	take_far(machine, row, peer, &in.far[addr_family(peer)]);
	*vec_push(&in.vms) = (struct probe_host){ .addr = *fixed, .who = row->tenant };
	take_mac(machine, row, in.vms.v);
	if (!p || probe_interface(row->ifindex, &in, &err)) {
		findings_add_error(&run.found, PROBE_VM, row->tenant, &err);
	} else {
		probe_carrier(&run);
		keep_failures(&run.found);
		probe_vms(&run, p);
	}
	*out = run.found;
}

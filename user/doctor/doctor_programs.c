/* SPDX-License-Identifier: GPL-2.0-only */
/* What is attached of a router, and beside it. */
#include "doctor/doctor_internal.h"

static bool is_xdp(const struct router_report *r)
{
	return r->via == HOOK_XDP || r->via == HOOK_XDP_GENERIC;
}

static void judge_programs(const struct router_report *r, struct diagnosis *out)
{
	if (!r->attached && r->planned)
		diagnosis_add(out, FINDING_PROGRAMS, SEVERITY_FINE, r->shared.name,
			      "nothing is attached yet");
	else if (!r->attached)
		remedy(diagnosis_add(out, FINDING_PROGRAMS, SEVERITY_PROBLEM, r->shared.name,
				     "nothing is attached"),
		       APPLY_AGAIN);
	else if (r->broken)
		remedy(diagnosis_add(out, FINDING_PROGRAMS, SEVERITY_PROBLEM, r->shared.name,
				     "a program, its link or its interface is missing, or the "
				     "interface has "
				     "another MAC address"),
		       "`tenantnat restore`; `tenantnat show` lists what is there");
	else
		diagnosis_add(out, FINDING_PROGRAMS, SEVERITY_FINE, r->shared.name,
			      "all attached, hook %s", hook_name(r->via));
	vec_each (late, &r->late)
		remedy(diagnosis_add(out, FINDING_PROGRAMS, SEVERITY_PROBLEM, late->name,
				     "it leads to VMs, and no program is attached to it: it came "
				     "later than the last apply"),
		       "`tenantnat restore`, or run the agent, which sees interfaces come and go");
	if (r->attached && r->other_build)
		remedy(diagnosis_add(out, FINDING_BUILD, SEVERITY_WARNING, r->shared.name,
				     "the programs are of another build than this executable"),
		       APPLY_AGAIN ": that renews them");
	else if (r->attached)
		diagnosis_add(out, FINDING_BUILD, SEVERITY_FINE, r->shared.name,
			      "as of this executable");
}

static void judge_others(const struct router_report *r, struct diagnosis *out)
{
	vec_each (o, &r->others) {
		if (o->before)
			remedy(diagnosis_add(out, FINDING_OTHERS, SEVERITY_WARNING, r->shared.name,
					     "%s runs before ours: what it takes or redirects is "
					     "not judged",
					     o->text),
			       "look what it is with `%sbpftool net show dev %s`, and take it off "
			       "if "
			       "it is not meant to be there",
			       r->enter, r->shared.name);
		else
			diagnosis_add(out, FINDING_OTHERS, SEVERITY_FINE, r->shared.name,
				      "%s runs behind ours", o->text);
	}
}

static void judge_hook(const struct router_report *r, struct diagnosis *out)
{
	if (r->via == HOOK_XDP && strcmp(r->shared.kind, "veth") == 0)
		remedy(diagnosis_add(
			       out, FINDING_HOOK, SEVERITY_WARNING, r->shared.name,
			       "XDP on a veth takes segmentation offload from its peer: large "
			       "transfers are several times slower than with tc"),
		       "write `hook: tc` or `hook: auto` into the router's definition, and apply");
	else if (r->via == HOOK_XDP_GENERIC)
		diagnosis_add(out, FINDING_HOOK, SEVERITY_FINE, r->shared.name,
			      "xdp-generic drops early, and leaves translation to tc");
	else
		diagnosis_add(out, FINDING_HOOK, SEVERITY_FINE, r->shared.name, "%s",
			      hook_name(r->via));
}

static void judge_vlan(const struct router_report *r, struct diagnosis *out)
{
	bool veth = strcmp(r->shared.kind, "veth") == 0;

	if (!is_xdp(r) || r->sees_tags || !r->vlans.n ||
	    (!veth && !r->shared.features.on[ETHTOOL_RX_VLAN]))
		return;
	remedy(diagnosis_add(out, FINDING_VLAN, SEVERITY_PROBLEM, r->shared.name,
			     "the VLAN device %s stands on it, and XDP does not see tags that %s "
			     "beside the "
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

void doctor_programs(const struct router_report *r, struct diagnosis *out)
{
	judge_programs(r, out);
	judge_others(r, out);
	judge_hook(r, out);
	judge_vlan(r, out);
}

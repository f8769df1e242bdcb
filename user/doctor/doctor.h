/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is wrong with a machine or a router, decided from facts about them. Pure: reports are
 * filled in elsewhere (collect.h), and a number that could not be found out is UNKNOWN.
 */
#ifndef TN_DOCTOR_H
#define TN_DOCTOR_H

#include <net/if.h>

#include "host/ethtool.h"
#include "host/mark_rules.h"
#include "host/netns.h"
#include "host/ruleset.h"
#include "lib/error.h"
#include "model/iface.h"
#include "model/model.h"
#include "model/on_link.h"
#include "observe/elections.h"
#include "observe/imported.h"
#include "observe/traffic.h"

/* X(ID, "name", "what it means when it is not in order") */
#define FINDINGS(X)                                                                                \
	X(PRIVILEGES, "privileges",                                                                \
	  "nothing can be attached, and not everything can be looked at")                          \
	X(KERNEL, "kernel", "the programs need a newer kernel")                                    \
	X(BTF, "btf", "the kernel does not describe its types, and refuses the programs")          \
	X(BPFFS, "bpffs", "programs and maps cannot be pinned")                                    \
	X(JIT, "jit", "the kernel does not compile programs, or hardening makes them slower")      \
	X(TC, "tc", "how tc programs are held: by tcx, or by filters of a clsact qdisc")           \
	X(DISPATCHER, "dispatcher", "XDP programs of others cannot be on the same interface")      \
	X(STATE, "state", "the definitions in force cannot be read")                               \
	X(SPACE, "disk-space", "changes cannot be written down")                                   \
	X(DRIFT, "drift", "what the kernel has is not what the definitions in force say")          \
	X(MAPS, "maps", "the pinned maps cannot be used by this version")                          \
	X(ROOM, "room", "there is little room left for mappings")                                  \
	X(NEUTRON, "neutron", "what Neutron says is not in force, or not all of it")               \
	X(NEIGHBOURS, "neighbour-table",                                                           \
	  "when it is full, the kernel reaches no neighbour that it does not know yet")            \
	X(LEFTOVERS, "leftovers", "a run that was killed left something behind")                   \
	X(NETNS, "netns", "the router's network namespace cannot be entered")                      \
	X(SHARED, "shared-interface", "the interface on the shared network is not found")          \
	X(ADDRESS, "address", "the router has no address of its own on the shared network")        \
	X(ACTIVE, "active", "two hosts forward for the router, or none does")                      \
	X(FOREIGN, "other-addresses",                                                              \
	  "an address of the router is not reached over the shared network")                       \
	X(INSIDE, "inside-interfaces", "some interfaces that lead to VMs are not found")           \
	X(COVERS, "inside-network", "VMs take addresses of the shared network for their own")      \
	X(LINK, "link", "an interface is down")                                                    \
	X(PROGRAMS, "programs", "the router's programs are not attached as they should be")        \
	X(BUILD, "build", "the attached programs are of another build than this executable")       \
	X(OTHERS, "other-programs", "somebody else's program gets packets before ours")            \
	X(HOOK, "hook", "XDP costs more there than it saves")                                      \
	X(VLAN, "vlan-offload", "XDP takes frames of other VLANs for the shared network's")        \
	X(OFFLOADS, "offloads", "received packets are merged in a way that cannot be forwarded")   \
	X(MTU, "mtu", "packets are too large for a part of the path")                              \
	X(FORWARDING, "forwarding", "the kernel does not forward between the interfaces")          \
	X(RP_FILTER, "rp-filter", "the kernel drops packets if their source is routed elsewhere")  \
	X(ARP, "neighbours", "the kernel gives wrong answers to ARP or ND, or none")               \
	X(ACCEPT_RA, "accept-ra", "any host on the shared network can redirect the router")        \
	X(ROUTES, "routes", "the kernel sends packets out by the wrong interface")                 \
	X(ITSELF, "router-mapped", "a mapping is of the router itself, and not of a VM")           \
	X(ENDS, "rule-end", "a rule of `accept` has ended, or ends within a week")                 \
	X(SOURCES, "sources", "what VMs send is dropped, if it comes another way than answers go") \
	X(GROUPS, "groups", "neighbours do not find mapped IPv6 addresses")                        \
	X(MARKS, "rules-by-mark",                                                                  \
	  "routing rules can send packets out by an interface that the programs do not know of")   \
	X(NAT, "nat", "netfilter translates what tenantnat translates")                            \
	X(FILTER, "filter", "netfilter refuses to forward to or from the shared network")          \
	X(CONNTRACK, "conntrack", "conntrack does not see both directions of a flow as one")       \
	X(BYPASSED, "bypassed", "packets go past rules of netfilter, or of IPsec")                 \
	X(IPTABLES, "iptables-legacy", "rules that cannot be looked into from here")               \
	X(CLUSTER, "cluster", "not every host of the cluster has what it is to have")              \
	X(HANDOVER, "handover", "a takeover ends connections that only receive")

enum finding_id {
#define X(id, name, meaning) FINDING_##id,
	FINDINGS(X)
#undef X
		FINDINGS_COUNT
};

const char *finding_name(enum finding_id id);
const char *finding_meaning(enum finding_id id);

/* X(ID, "name"), the worse ones later. UNCHECKED: what it takes to know was not to be had. */
#define SEVERITIES(X)               \
	X(FINE, "ok")               \
	X(UNCHECKED, "not checked") \
	X(WARNING, "warning")       \
	X(PROBLEM, "problem")

enum severity {
#define X(id, name) SEVERITY_##id,
	SEVERITIES(X)
#undef X
		SEVERITIES_COUNT
};

const char *severity_name(enum severity severity);

/* Texts are owned by the list. */
struct diagnosed {
	enum finding_id id;
	enum severity severity;
	char *tenant;	 /* NULL: the machine */
	char *interface; /* NULL: not about one */
	char *seen;
	char *remedy; /* NULL: nothing to be done */
};

struct diagnosis {
	VEC(struct diagnosed) list;
	const char *tenant; /* whom the findings to come are about; NULL: the machine */
};

void diagnosis_free(struct diagnosis *f);
#define _cleanup_diagnosis_ _cleanup_(diagnosis_free)
size_t diagnosis_count(const struct diagnosis *f, enum severity severity);

#define UNKNOWN (-1)

/* What `tenantnat restore` would do now. */
struct drift {
	struct error error; /* set: it cannot be told */
	pid_t writer;	    /* a command that is changing it just now; 0: none */
	VEC(struct drift_line {
		char *text;
		bool minor; /* traffic does without */
	})
	lines;
	VEC(struct drift_failure {
		char *tenant;
		char *text;
	})
	failed;
};

void drift_free(struct drift *d);

/* What the routers that are attached ask of the kernel's table of neighbours, of one family. */
struct neighbour_table {
	long room;	/* net.ipv4.neigh.default.gc_thresh3, for all namespaces of the machine */
	size_t routers; /* those with mappings of the family */
	size_t mappings;
};

struct machine_report {
	const char *missing_privileges; /* "" : none */
	const char *kernel;
	unsigned int kernel_major, kernel_minor;
	bool btf;
	struct error bpffs; /* set: cannot be used */
	long jit;	    /* net.core.bpf_jit_enable */
	long jit_harden;    /* net.core.bpf_jit_harden */
	long tcx;	    /* 0, 1 */
	long dispatcher;    /* 0, 1 */
	const char *state;  /* the directory */
	bool state_exists;
	struct error state_error; /* set: cannot be read */
	uint64_t state_available; /* bytes that its file system has left */
	uint64_t state_used;	  /* bytes that the state takes */
	int state_unwritable;	  /* why (errno); 0: it can be written */
	struct drift drift;
	struct error maps_error; /* set: cannot be read */
	bool pinned;
	size_t rows, capacity; /* of the maps */
	const char *leftovers; /* paths, "" : none */
	char unwanted[512];    /* routers with programs that no definitions want, "": none */
	bool defined;	       /* there are definitions */
	bool unsettled;	       /* the last change of the maps did not come to its end */
	struct neighbour_table neighbours[FAMILIES];
};

void doctor_machine(const struct machine_report *m, struct diagnosis *out);
/* Where Neutron is read. `now` in seconds since 1970. */
void doctor_imported(const struct imported *im, int64_t now, struct diagnosis *out);

/* One interface of a router. */
struct port {
	char name[IF_NAMESIZE];
	char kind[24];
	bool up, carrier;
	uint32_t mtu;
	bool stacked; /* on another device, which is what `other` is about */
	struct iface_other other[IFACE_RELATIONS];
	/* of the others elsewhere: what comes before a command that is to be run there */
	bool elsewhere_found;
	char enter_elsewhere[NETNS_COMMAND];
	struct error features_error;
	struct ethtool features;
	/* settings of the kernel: UNKNOWN where it has none of that name */
	long forwarding, rp_filter, accept_local, proxy_arp, proxy_arp_pvlan, arp_ignore;
	long disable_ipv6, accept_ra, forwarding_v6, proxy_ndp;
};

/* Where the kernel would send to an address that it has to send to. */
struct lookup {
	struct tn_addr to;
	char *what;	      /* "the shared subnet 100.64.0.0/16" */
	bool shared;	      /* it has to be by the shared interface; else by an inside one */
	char by[IF_NAMESIZE]; /* "": by none */
	/* of a packet that comes in: from there; unset: of the router itself. A rule decides. */
	struct tn_addr from;
	struct prefix subnet; /* the shared subnet that it is about */
	/* of the main table, what leads astray: a route of that interface, "": an unreachable one
	 */
	bool has_culprit;
	struct prefix culprit;
	char culprit_dev[IF_NAMESIZE];
	bool covered; /* without it, another route of the main table leads right */
};

/* An address of the router that one of its prefix mappings has. */
struct own_in_prefix {
	const struct mapping *mapping;
	struct tn_addr addr;
};

struct router_report {
	const struct tenant *tenant;
	const struct model *model;
	char enter[NETNS_COMMAND]; /* what comes before a command that is to be run in its namespace
				    */
	struct error netns;	   /* set: cannot be entered; nothing below is known */
	struct error
		shared_error; /* set: not found; of what is below only `inside_error` is known */
	struct error inside_error;
	struct error inside_doubt;  /* set: see iface_inside_doubt() */
	struct error gateway_error; /* set: an inside route that cannot be there */
	struct port shared;
	VEC(struct port) inside;
	enum hook via; /* what translates, or would */
	bool detached; /* by `tenantnat detach`; nothing below is known */
	bool planned;  /* by a file that is not in force yet: what an apply adds is not missing */
	bool attached; /* the maps have a row of it */
	bool broken;   /* something of it is missing */
	bool other_build;
	bool by_address;	  /* it is active while it has its own address; */
	bool standby;		  /* it is not now: what it lacks it is not to have */
	struct tn_addr contested; /* an address of it that another host has, too; unset: none */
	bool own_v4, own_v6;	  /* its shared interface has an address in the shared subnets */
	bool v4, v6;		  /* which families it has mappings of */
	long forwarding_v6;	  /* of the namespace */
	VEC(struct vlan { char name[IF_NAMESIZE]; }) vlans; /* on the shared interface */
	VEC(struct stranger {
		char text[96];
		bool before;
	})
	others; /* programs of somebody else at the shared interface */
	VEC(struct lookup) lookups;
	/* addresses of the shared interface that programs drop */
	VEC(struct iface_addr) cut_off;
	/* inside interfaces that no program is attached to */
	VEC(struct late { char name[IF_NAMESIZE]; }) late;
	/* networks of inside interfaces that overlap a shared subnet */
	VEC(struct cover {
		char name[IF_NAMESIZE];
		struct tn_addr gate; /* the router's address there */
		struct prefix network;
		struct prefix subnet;
		bool answered; /* the kernel answers there for the shared network (proxy_arp) */
	})
	covers;
	/* networks in which two inside interfaces have an address, or a VM behind another one */
	VEC(struct crossing {
		struct tn_addr vm; /* unset: of the whole network */
		struct prefix network;
		char one[IF_NAMESIZE];	 /* by which answers go, */
		char other[IF_NAMESIZE]; /* and by which VMs may send */
	})
	crossings;
	struct on_link on_link; /* VMs behind a gateway that look as if they were on the link */
	bool too_many_groups;	/* mapped IPv6 addresses, to join one for each: see GROUPS_MAX */
	VEC(const struct mapping *) itself; /* those of addresses of the router itself */
	VEC(struct own_in_prefix) in_prefix;
	/* shared subnets without an unreachable route */
	VEC(struct prefix) uncovered;
	bool sees_tags;		  /* XDP asks a veth for those beside a frame: bpf/veth.h */
	bool fast;		  /* packets go past the stack, */
	bool rule;		  /* where netfilter has rules for them */
	bool ipsec;		  /* where IPsec has policies for them */
	struct error marks_error; /* set: routing rules cannot be read */
	struct mark_rules marks;
	struct error rules_error;
	struct ruleset_hits rules;
	/* what is accepted, and netfilter drops all the same, beside what `rules` says */
	VEC(struct service_drop {
		struct ruleset_hits by; /* the rule, one */
		char *what;		/* "tcp/5432 to 10.0.0.5" */
		struct tn_addr vm;	/* the fixed address of this router's VM */
	})
	services;
	bool too_many_services; /* that not all were asked for */
	char legacy[2][120];	/* names of tables of iptables-legacy, and of ip6tables-legacy */
};

void router_report_free(struct router_report *r);
#define _cleanup_router_report_ _cleanup_(router_report_free)

void doctor_router(const struct router_report *r, struct diagnosis *out);

/*
 * Packets that the tenant's router dropped as spoofed-source in the last `seconds`, while the agent
 * runs; none: no finding.
 */
void doctor_spoofed(const struct tenant *t, uint64_t packets, unsigned int seconds,
		    struct diagnosis *out);

/*
 * The same without an agent, of all `packets` that were dropped so since the router is attached,
 * and of VMs that were sent packets and sent none: what nobody has answered may be what was
 * dropped. None of either: no finding.
 */
void doctor_silent(const struct tenant *t, uint64_t packets, const struct silent *silent,
		   struct diagnosis *out);

/* Its router is a standby that has heard of no flows of another host for so many seconds. */
void doctor_unheard(const struct tenant *t, int64_t seconds, struct diagnosis *out);
/*
 * The rules of the tenant that have ended by that time, or end within a week after it. `file`:
 * where they are from; NULL: not known.
 */
void doctor_ends(const struct tenant *t, const char *file, time_t now, struct diagnosis *out);

/* Who is elected for the tenant's router, as far as this host knows; `standby`: it is not, here. */
void doctor_elected(const struct tenant *t, const struct elections *known, bool standby,
		    struct diagnosis *out);

/*
 * The paths that packets of a family take through a router: in, and out. With `itself` those of
 * mappings of the router itself, else of VMs. False: there are none. The caller's to free.
 */
bool doctor_paths(const struct router_report *r, bool six, bool itself,
		  struct ruleset_path paths[2]);
/* Whether the mapping is of the router itself. */
bool doctor_is_itself(const struct router_report *r, const struct mapping *m);

#endif

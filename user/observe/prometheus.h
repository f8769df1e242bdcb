/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A page of metrics in Prometheus' text format, version 0.0.4, from what was read; no I/O besides.
 * Names and units are by its conventions: base units, _total for what only grows.
 */
#ifndef TN_PROMETHEUS_H
#define TN_PROMETHEUS_H

#include "observe/imported.h"
#include "observe/stats.h"
#include "observe/streamed.h"

#define PROMETHEUS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/*
 * X(ID, "name", type, "labels", "help"): the only list, in the order of the page; docs/metrics.md
 * has the same rows. Labels are what there is a bounded number of: tenants, rules, reasons, maps.
 */
/* clang-format off */
#define TN_METRICS(X) \
	X(BUILD, "tenantnat_build_info", gauge, "version", \
	  "1; the version that runs") \
	X(STATE, "tenantnat_router_state", gauge, "tenant, state", \
	  "1 for the state that the tenant's router is in: attached, broken, detached or standby") \
	X(MAPPINGS, "tenantnat_mappings", gauge, "tenant", \
	  "Mappings in the definitions in force") \
	X(PACKETS, "tenantnat_packets_total", counter, "tenant, direction", \
	  "Packets translated; in is from the shared network to a VM") \
	X(BYTES, "tenantnat_bytes_total", counter, "tenant, direction", \
	  "Bytes of the IP packets translated") \
	X(MAPPING_PACKETS, "tenantnat_mapping_packets_total", counter, \
	  "tenant, name, fixed, shared, direction", \
	  "Packets translated, of each mapping") \
	X(MAPPING_BYTES, "tenantnat_mapping_bytes_total", counter, \
	  "tenant, name, fixed, shared, direction", \
	  "Bytes of the IP packets translated, of each mapping") \
	X(DROPPED, "tenantnat_dropped_packets_total", counter, "tenant, reason", \
	  "Packets dropped by the tenant's router") \
	X(ACCEPTED, "tenantnat_accepted_packets_total", counter, "tenant", \
	  "Packets that the tenant's rules accepted, and answers to them") \
	X(RULE, "tenantnat_rule_packets_total", counter, "tenant, rule, from, to, ports", \
	  "Packets that one rule of the tenant's `accept` accepted, and answers to them; none once it has ended (until)") \
	X(RULE_ENDS, "tenantnat_rule_ends_timestamp_seconds", gauge, "tenant", \
	  "When the next of the tenant's rules ends (until), in seconds since 1970; absent when none does") \
	X(RULES_ENDED, "tenantnat_rules_ended", gauge, "tenant", \
	  "Rules of the tenant that have ended (until) and accept nothing more") \
	X(FLOWS, "tenantnat_flows", gauge, "tenant", \
	  "Flows that are open") \
	X(FLOWS_MAX, "tenantnat_flows_max", gauge, "tenant", \
	  "Flows that a router has room for; when full, the least recently used is evicted") \
	X(OPENED, "tenantnat_flows_opened_total", counter, "tenant", \
	  "Flows that VMs opened") \
	X(ENTRIES, "tenantnat_map_entries", gauge, "map", \
	  "Rows in a map that all routers share") \
	X(MAX_ENTRIES, "tenantnat_map_max_entries", gauge, "map", \
	  "Rows that the map has room for") \
	X(LOST, "tenantnat_events_lost_total", counter, "tenant", \
	  "Events lost because a monitor's buffer was full, or there were too many") \
	X(DURATION, "tenantnat_read_duration_seconds", gauge, "", \
	  "Time that it took to read the values of this page") \
	X(LOOKS, "tenantnat_agent_looks_total", counter, "", \
	  "Comparisons of the machine with the definitions by the agent") \
	X(MENDS, "tenantnat_agent_mends_total", counter, "", \
	  "Repairs by the agent, each of one or more differences") \
	X(FAILURES, "tenantnat_agent_failures_total", counter, "", \
	  "Comparisons that failed, or whose repair was not complete") \
	X(LOOKED, "tenantnat_agent_last_look_timestamp_seconds", gauge, "", \
	  "Time of the agent's last successful comparison, in seconds since 1970") \
	X(CONNECTED, "tenantnat_cluster_connected", gauge, "", \
	  "1 while the agent is told by etcd what changes; only on a host in a cluster") \
	X(OLDER, "tenantnat_cluster_older", gauge, "", \
	  "1 while etcd is one that was restored from an older snapshot, so that nothing is followed") \
	X(REVISION, "tenantnat_cluster_revision", gauge, "", \
	  "Revision of etcd up to which this host has the cluster's definitions") \
	X(BEHIND, "tenantnat_cluster_behind_seconds", gauge, "", \
	  "How long there have been definitions that this host does not have; 0 when it has all") \
	X(IMPORTED, "tenantnat_neutron_last_read_timestamp_seconds", gauge, "", \
	  "When what is in force was what Neutron says, in seconds since 1970; only where it is read") \
	X(IMPORT_FAILURES, "tenantnat_neutron_failures_total", counter, "reason", \
	  "Attempts that changed nothing: read, refused, loss of most mappings, or sidecars (OVN)") \
	X(IMPORT_FINDINGS, "tenantnat_neutron_findings", gauge, "", \
	  "What Neutron says and is left out; `tenantnat doctor` lists it") \
	X(RECEIVED, "tenantnat_flows_received_total", counter, "tenant", \
	  "Flows taken over from the host where the tenant's router is active; only on a host in a cluster") \
	X(SENT, "tenantnat_flows_sent_total", counter, "tenant", \
	  "Flows told to the hosts where the tenant's router is a standby") \
	X(UNSENT, "tenantnat_flows_unsent", gauge, "tenant", \
	  "Flows that a standby has yet to be told of") \
	X(SILENT, "tenantnat_flows_silent_seconds", gauge, "tenant", \
	  "How long a standby has not heard from the host where the router is active") \
	X(REFUSED, "tenantnat_flows_refused_total", counter, "", \
	  "Connections that were refused: of no other host of the cluster, or not understood") \
	X(ELECTED, "tenantnat_cluster_elected", gauge, "", \
	  "Elected routers that this host is active for") \
	X(UNHELD, "tenantnat_cluster_unheld", gauge, "", \
	  "Elected routers that this host may have, and that no host is active for")
/* clang-format on */

struct agent_stats {
	uint64_t looks;
	uint64_t mends;
	uint64_t failures;
	double looked; /* seconds since 1970; 0: not yet */
	/* of a host in a cluster */
	bool member;
	bool connected;
	bool older; /* etcd was restored from an older snapshot */
	int64_t revision;
	double behind_since; /* seconds since 1970; 0: it has all */
	bool elects;	     /* a router that it has is elected */
	int64_t active;	     /* elected routers that this host is active for */
	int64_t unheld;	     /* of those that it may have: no host has them */
};

/* What a page is made of; all is borrowed. */
struct page {
	const char *version;
	const struct model *model;
	const struct kernel_state *kernel;
	const struct stats *stats;
	const struct agent_stats *agent; /* NULL: no agent makes it */
	bool mappings;			 /* with metrics of each mapping */
	double seconds;			 /* that it took to read */
	double now;			 /* seconds since 1970 */
	const struct imported *imported; /* NULL: Neutron is not read here */
	const struct streamed *streamed; /* of a host in a cluster; NULL: not known */
	uint64_t clock;			 /* milliseconds of the monotonic clock */
};

/* Whether all could be written is for ferror() to say. */
void prometheus_write(const struct page *p, FILE *out);

#endif

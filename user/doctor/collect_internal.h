/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts of collect_router(), for the files collect*.c alone. */
#ifndef TN_COLLECT_INTERNAL_H
#define TN_COLLECT_INTERNAL_H

#include "doctor/doctor.h"

/*
 * Where packets of and to the router and its VMs would go, and what its networks overlap with.
 * Interfaces and settings are in the report already. The caller is in its namespace.
 */
void collect_routes(const struct ifaces *ifaces, struct router_report *r);

/*
 * The services that rules of `accept` name, of the tenant's mappings and of others to whom its VMs
 * may send, and what the router's netfilter surely drops of them. The rest of the rules is in the
 * report already. The caller is in its namespace.
 */
void collect_services(const json_t *ruleset, struct router_report *r);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What Neutron's API says, as structs: of each object the fields that definitions are made of, and
 * no more. A field that is missing, or not what the API says that it is, is an error; fields that
 * nobody asked for are ignored. Pure: JSON comes in, wherever it is from.
 */
#ifndef TN_INVENTORY_H
#define TN_INVENTORY_H

#include <jansson.h>

#include "lib/addr.h"
#include "lib/error.h"
#include "lib/util.h"

/* The tag of whatever concerns tenantnat, and what a router's tag with a pool begins with. */
#define NEUTRON_TAG	 "tenantnat"
#define NEUTRON_TAG_POOL "tenantnat:pool="
/* Of a router with OVN: the host that has its sidecar. */
#define NEUTRON_TAG_HOST "tenantnat:host="
/* The owner of a sidecar's ports, and the description of all that is made for sidecars. */
#define NEUTRON_SIDECAR "tenantnat:sidecar"

/* A UUID as text, with its NUL. */
#define NEUTRON_ID 37

struct neutron_id {
	char text[NEUTRON_ID];
};

/*
 * X(ID, "key of the list", "one of them"): the answers. HOSTED is the list of an agent's routers,
 * of which only the ids count.
 */
#define NEUTRON_LISTS(X)                               \
	X(NETWORKS, "networks", "network")             \
	X(SUBNETS, "subnets", "subnet")                \
	X(ROUTERS, "routers", "router")                \
	X(AGENTS, "agents", "agent")                   \
	X(HOSTED, "routers", "router of an agent")     \
	X(PORTS, "ports", "port")                      \
	X(GROUPS, "security_groups", "security group") \
	X(POLICIES, "rbac_policies", "RBAC policy")

enum neutron_list {
#define X(id, key, one) NEUTRON_##id,
	NEUTRON_LISTS(X)
#undef X
		NEUTRON_LISTS_COUNT
};

/* The key under which an answer has the list. */
const char *neutron_list_key(enum neutron_list list);
/* What is asked for of each object: the value of `fields`, separated by commas. */
const char *neutron_list_fields(enum neutron_list list);
/* Those of them that differ when anything of the object does, as far as Neutron says so. */
const char *neutron_poll_fields(enum neutron_list list);

struct neutron_network {
	char id[NEUTRON_ID];
	char *name;
	bool tagged; /* with NEUTRON_TAG; of a router and a group, too */
};

/* Both ends count. */
struct addr_range {
	struct tn_addr first;
	struct tn_addr last;
};

struct neutron_subnet {
	char id[NEUTRON_ID];
	char network[NEUTRON_ID];
	struct prefix cidr;
	struct tn_addr gateway;		   /* unset: none */
	VEC(struct addr_range) allocation; /* what Neutron gives to ports */
};

struct neutron_router {
	char id[NEUTRON_ID];
	char *name;
	char *project;
	char *created; /* sorts as a text; "": not known */
	bool up;       /* admin_state_up */
	bool distributed;
	bool ha;
	bool tagged;
	VEC(char *) pools; /* what stands behind NEUTRON_TAG_POOL */
	char *host;	   /* and behind NEUTRON_TAG_HOST; NULL: no such tag */
};

struct neutron_agent {
	char id[NEUTRON_ID];
	char *host;
	bool is_l3;
	bool alive;
};

struct neutron_address {
	char subnet[NEUTRON_ID];
	struct tn_addr addr;
};

struct neutron_port {
	char id[NEUTRON_ID];
	char network[NEUTRON_ID];
	char *name;
	char *dns_name; /* "": none */
	char *device;	/* device_id: of a router's port the router's id */
	char *owner;	/* device_owner */
	char *project;
	char *created;
	uint8_t mac[6];
	bool down; /* status is DOWN */
	VEC(struct neutron_address) addrs;
	VEC(struct neutron_id) groups;
};

/* A router that an agent has. */
struct neutron_hosting {
	char id[NEUTRON_ID]; /* of the router */
	char agent[NEUTRON_ID];
};

/* One that lets something in; those for the other direction are left out. */
struct neutron_rule {
	char id[NEUTRON_ID];
	int family;	      /* IPV4, IPV6 */
	char *protocol;	      /* NULL: every one; lower case */
	int first, last;      /* ports, or type and code of ICMP; -1: not given */
	bool by_group;	      /* from members of a group of Neutron's, or of a group of addresses */
	struct prefix remote; /* who may send; with `len` 0 and an unset address: everybody */
	bool has_remote;
};

struct neutron_group {
	char id[NEUTRON_ID];
	char *name;
	char *project;
	bool tagged;
	VEC(struct neutron_rule) rules;
};

/* Another project may see the object. */
struct neutron_policy {
	char object[NEUTRON_ID];
	char *target; /* a project; "*": all of them */
};

struct inventory {
	/*
	 * Said by whoever reads: routers are OVN's, and have sidecars instead of namespaces of an
	 * L3 agent; and these go, so no router is to be joined.
	 */
	bool ovn;
	bool ovn_ends;
	VEC(struct neutron_network) networks;
	VEC(struct neutron_subnet) subnets;
	VEC(struct neutron_router) routers;
	VEC(struct neutron_agent) agents;
	VEC(struct neutron_hosting) hosted; /* by the agents in question */
	const char *agent; /* whose routers HOSTED is about while that is taken; borrowed */
	VEC(struct neutron_port) ports;
	VEC(struct neutron_group) groups;
	VEC(struct neutron_policy) policies;
};

void inventory_free(struct inventory *inv);
#define _cleanup_inventory_ _cleanup_(inventory_free)

/*
 * Add what an answer has: {"networks": […], …}. Pages of one list are taken one after the other.
 * -1: the error says which object and field is not as it has to be.
 */
int inventory_take(struct inventory *inv, enum neutron_list list, const json_t *answer,
		   struct error *err);

/*
 * A number that differs, almost certainly, when the objects of an answer do by their poll fields.
 * The sum of those of all pages of all lists does not depend on the order.
 */
uint64_t neutron_answer_sum(enum neutron_list list, const json_t *answer);

/*
 * Sort each list by id, and leave one of each: an object that was moved between two pages is in
 * both, and ports may have been asked for in two ways. To be called when all is taken.
 */
void inventory_sort(struct inventory *inv);
/* Order by id: of texts, and of all structs that begin with one. */
int neutron_id_cmp(const void *a, const void *b);

/* Whether it is a router's port on a network behind it, or on the shared one; not of a distributed
 * router, which has others. */
bool neutron_is_interface(const struct neutron_port *p);
/* Whether it is a leg of a sidecar: of the router that is its device. */
bool neutron_is_sidecar(const struct neutron_port *p);

/* The text without what a terminal could take for something else; cut. `buf` is returned. */
const char *neutron_shown(const char *text, char *buf, size_t size);
#define NEUTRON_SHOWN 64
#define SHOWN(text)   neutron_shown((text), (char[NEUTRON_SHOWN]){ 0 }, NEUTRON_SHOWN)

#endif

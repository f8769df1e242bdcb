/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files about sidecars in Neutron share; nobody else includes this. */
#ifndef TN_NEUTRON_SIDECAR_INTERNAL_H
#define TN_NEUTRON_SIDECAR_INTERNAL_H

#include "neutron/client_internal.h"
#include "neutron/sidecar.h"

/* X(ID, list, "path", "one"): what is made, under these names of the API. */
#define KINDS(X)                                    \
	X(NETWORK, NETWORKS, "networks", "network") \
	X(SUBNET, SUBNETS, "subnets", "subnet")     \
	X(PORT, PORTS, "ports", "port")             \
	X(GROUP, GROUPS, "security-groups", "security_group")

enum kind {
#define X(id, list, path, one) KIND_##id,
	KINDS(X)
#undef X
		KINDS_COUNT
};

struct kind_names {
	enum neutron_list list;
	const char *path;
	const char *one;
};
extern const struct kind_names sidecar_kinds[];

/* What there is, and who it is for. */
struct sidecars {
	struct neutron_client *client;
	const struct inventory *inv;
	const char *host;
	struct sidecar_work *out;
	json_t *have[KINDS_COUNT]; /* of ours, as the API has them; what is made is added */
	const struct neutron_network *network;
	int mtu;	/* of the shared network */
	bool atomic;	/* single routes of a router can be added and removed */
	bool stateless; /* security groups can be */
};

/* --- sidecar_state.c --- */

void sidecars_free(struct sidecars *k);
/* What is ours, and what this Neutron can do. */
int sidecars_look(struct sidecars *k, struct error *err);
/* Append what is ours to an array. */
int sidecars_list(struct sidecars *k, enum kind kind, json_t *out, struct error *err);
/* Of two with one name, which a request without an answer can leave, the one with the lesser id. */
json_t *sidecar_find(const struct sidecars *k, enum kind kind, const char *name);

/* The text of an object's field, "": none; and whether it is that one. */
const char *field_text(const json_t *object, const char *field);
bool field_is(const json_t *object, const char *field, const char *text);

#define NAME_MAX_LEN 64
/* "tnat-ROUTER", and with `part` "tnat-ROUTER-PART" */
const char *sidecar_name(const char *router, const char *part, char buf[NAME_MAX_LEN]);
#define NAME(router, part) sidecar_name(router, part, (char[NAME_MAX_LEN]){ 0 })

/* Add a line of what is done, or would be, for the router of that name. */
void __attribute__((format(printf, 4, 5)))
sidecar_note(struct sidecars *k, char sign, const char *router, const char *format, ...);
/* Note that it failed for that router; the error is taken. */
void sidecar_failed(struct sidecar_work *w, const char *router, struct error *err);
/* Whether the router has a sidecar that is that host's. */
bool sidecar_is_here(const struct neutron_router *r, const char *host);

/* --- sidecar_routes.c --- */

/*
 * Make the routes of the router `id`, called `name`, that lead by the leg, a port, to be `wanted`;
 * others are left alone.
 */
int sidecar_set_routes(struct sidecars *k, const char *id, const char *name, const json_t *leg,
		       const json_t *wanted, struct error *err);
/* To each shared subnet by the leg's address of that family; NULL leg: none. The caller's to free.
 */
json_t *sidecar_routes(const struct sidecars *k, const json_t *leg);

#endif

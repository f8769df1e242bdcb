/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sidecars, for clouds with OVN, whose routers are no namespaces. The sidecar of a router is a
 * namespace with one leg on a transit network, which is an interface of the router, and one on the
 * shared network; the router leads to the shared subnets by it. All that is made for it in Neutron
 * has NEUTRON_SIDECAR as its description and is called after the router's id, so that a run that
 * was cut short is completed by the next one.
 */
#ifndef TN_NEUTRON_SIDECAR_H
#define TN_NEUTRON_SIDECAR_H

#include "neutron/client.h"

/* Its namespace and its interfaces, by the ids of the router and of the port; the caller's to free.
 */
char *sidecar_netns(const char *router);
char *sidecar_interface(const char *port, bool shared);

/* What is done, or in a dry run would be. */
struct sidecar_work {
	bool dry_run;
	bool all; /* remove all of this host */
	bool wrote;
	VEC(char *) lines;    /* "+ router red: network tnat-…": of Neutron and of this host */
	VEC(char *) failures; /* one for each router that it failed for; the others go on */
};

void sidecar_work_free(struct sidecar_work *w);

/*
 * Make what is missing of the sidecars of this host: of the routers with the tag whose
 * NEUTRON_TAG_HOST is `host`. -1: nothing could be done, with an error.
 */
int sidecars_make(struct neutron_client *client, const struct inventory *inv, const char *host,
		  struct sidecar_work *w, struct error *err);

/*
 * Remove what is left of others: in Neutron of routers that have lost the tag or are gone, as far
 * as it is of this host or of none, and here of routers that this host is not to have.
 */
int sidecars_remove(struct neutron_client *client, const struct inventory *inv, const char *host,
		    struct sidecar_work *w, struct error *err);

/* Whether a sidecar that this host is to have is not here. */
bool sidecar_is_missing(const struct inventory *inv, const char *host);

/* --- plug.c: this host's part --- */

/* One end of a sidecar, as its port says. */
struct leg {
	const char *port;
	const char *mac;
	char name[16];
	int mtu; /* of the network; 0: not known, and left alone */
	VEC(struct prefix) addrs;
};

/* Put what is missing of namespace and legs there. *did: something was. */
int sidecar_plug(const char *netns, const struct leg *legs, size_t n, bool *did, struct error *err);
/* Take the legs off the bridge, and the namespace away. *did: there was something. */
int sidecar_unplug(const char *netns, bool *did, struct error *err);
/* A leg that a run which was cut short has left in our own namespace. */
int sidecar_drop_leg(const char *name, struct error *err);
/* Whether there is a namespace of that name. */
bool sidecar_is_there(const char *netns);
/* Whether all is as sidecar_plug() would have it. */
bool sidecar_is_plugged(const char *netns, const struct leg *legs, size_t n);
/* The ids of routers whose namespaces are here. */
typedef VEC(struct neutron_id) neutron_id_vec;
void sidecars_here(neutron_id_vec *out);

#endif

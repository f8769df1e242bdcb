/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How the cluster is: etcd's members, and the hosts. What cannot be found out is a problem, and
 * keeps nothing else from being found out.
 */
#ifndef TN_OVERVIEW_H
#define TN_OVERVIEW_H

#include "cluster/membership.h"
#include "model/model.h"

struct overview_member {
	char *name; /* "": not known */
	char *url;
	char *version; /* NULL: it does not answer */
	bool leads;
	char *why; /* it is not healthy; NULL: it is */
};

enum host_state {
	HOST_CURRENT, /* has what is in force */
	HOST_BEHIND,  /* does not yet have the last change */
	HOST_FAILED,  /* has it but for some tenants */
	HOST_SILENT,  /* its agent has not been heard of */
};
const char *host_state_name(enum host_state s);

/* Times are seconds since 1970, by the clock of that host; 0: not known. */
struct overview_host {
	char *name;
	char *version; /* NULL: not known */
	char *flows;   /* where it takes flows of other hosts; NULL: it takes none */
	int64_t joined;
	int64_t revision;   /* which it has; 0: not known */
	int64_t at;	    /* when it said so */
	VEC(char *) failed; /* tenants */
	/* tenants whose router names no host, and whose namespace it has */
	VEC(char *) found;
	bool says_found;
	enum host_state state;
};

/* A router that is elected. */
struct overview_router {
	char *tenant;
	char *holder;  /* the host that is active; NULL: none */
	int64_t since; /* seconds since 1970, by the clock of that host */
};

struct overview {
	VEC(struct overview_member) members;
	VEC(struct overview_host) hosts;     /* by name */
	VEC(struct overview_router) elected; /* by tenant */
	int64_t revision;		     /* of etcd; 0: it could not be read */
	int64_t changed;		     /* when the definitions were changed last */
	VEC(char *) problems;		     /* beside those of members and hosts: sentences */
};

void overview_free(struct overview *o);
#define _cleanup_overview_ _cleanup_(overview_free)

#ifndef TN_WITHOUT_CLUSTER

/* `out` is the caller's to free. -1: the membership itself cannot be used. */
int overview_read(const struct membership *m, struct overview *out, struct error *err);
/* Only the hosts and the revisions, as of a revision; what `out` has besides stays. */
int overview_read_hosts(struct etcd *e, const struct membership *m, int64_t revision,
			struct overview *out, struct error *err);
/* The tenants that the cluster has, located nowhere, without their mappings. */
int overview_read_tenants(struct etcd *e, const struct membership *m, int64_t revision,
			  struct model *out, struct error *err);
/* Whether members, hosts and the rest are as they should be. */
bool overview_is_well(const struct overview *o);

/*
 * When definitions were changed last, as of a revision: what hosts say of themselves is none. The
 * key of the last change, below history/, goes to *change unless that is NULL; it is as it was if
 * there is none, and the caller's to free, also after an error.
 */
int membership_changed(struct etcd *e, const struct membership *m, int64_t revision, int64_t *out,
		       char **change, struct error *err);
/* Whether that key has definitions. */
bool membership_is_definition(const struct membership *m, const char *key);

/* What is in the keys of hosts, below hosts/ and alive/; pure. -1: it is none of ours. */
int overview_read_host(const char *value, struct overview_host *out);
int overview_read_alive(const char *value, struct overview_host *out);
/* Whether the router in the value of a tenant's key is elected; and who holds it, by that key. */
bool overview_is_elected(const char *tenant);
int overview_read_active(const char *value, struct overview_router *out);
/* `changed`: the revision of the last change. */
enum host_state overview_judge(const struct overview_host *h, int64_t changed);

#endif

#endif

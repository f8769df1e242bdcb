/* SPDX-License-Identifier: GPL-2.0-only */
/* What reading once and following share; nobody else includes this. */
#ifndef TN_NEUTRON_SESSION_H
#define TN_NEUTRON_SESSION_H

#include "cluster/actor.h"
#include "neutron/cloud.h"
#include "neutron/neutron.h"
#include "neutron/sidecar.h"
#include "observe/imported.h"

struct neutron_session {
	struct cloud cloud;
	struct neutron_client *client;
	const char *host;
	struct inventory known; /* what was read last */
	uint64_t sum;		/* of that */
	bool is_known;
	const struct settings *settings;
	bool ovn;		  /* routers have sidecars, */
	bool ovn_ends;		  /* which go: see struct neutron_source */
	struct sidecar_work work; /* what was done about these, and has not been said yet */
	bool together;		  /* in a cluster: what is read is for all hosts, and `host` NULL */
	struct actor actor;	  /* then: whose turn it is */
	enum import_fault fault;  /* what went wrong, if the last neutron_model() failed */
	struct imported noted; /* what the state says, or is to say next; its names are an object */
};

#endif

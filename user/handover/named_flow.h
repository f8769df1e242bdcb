/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A flow as every host understands it: by names and remaining life, where the maps have ids and a
 * clock of one host. As text it is one line of JSON. Pure.
 */
#ifndef TN_NAMED_FLOW_H
#define TN_NAMED_FLOW_H

#include <stdio.h>

#include "lib/error.h"
#include "model/model.h"

struct named_flow {
	char tenant[TENANT_NAME_MAX + 1];
	struct tn_addr fixed;  /* the VM that has opened it, */
	struct tn_addr shared; /* and its mapping */
	struct tn_addr peer;
	char peer_tenant[TENANT_NAME_MAX + 1]; /* "": of no tenant */
	uint16_t port;			       /* the VM's: see tn_flow_key */
	uint16_t service;		       /* the peer's */
	uint8_t proto;			       /* number of the protocol */
	bool closing;			       /* TCP: the VM has sent FIN or RST */
	uint32_t left;			       /* seconds, from 1 */
};

/* No line is longer, its newline included. */
#define NAMED_FLOW_LINE 640

/*
 * {"tenant", "fixed", "shared", "protocol", "port", "peer", "peer_tenant" (null: none), "service",
 * "closing", "left"}, and a newline.
 */
int named_flow_write(const struct named_flow *f, FILE *to, struct error *err);
/* The inverse; blanks do not matter. -1 with a usage error that says what is wrong with the line.
 */
int named_flow_parse(const char *line, struct named_flow *out, struct error *err);

#endif

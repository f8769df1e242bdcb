/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whom the words of a command line mean, by the definitions in force and by what is attached. Pure.
 * Where nothing else is said, what is given is borrowed from the view.
 */
#ifndef TN_NAMES_H
#define TN_NAMES_H

#include "change/inspect.h"
#include "observe/trace.h"

/*
 * FROM and TO[:PORT], each a shared address, TENANT/NAME or TENANT/ADDRESS, or a name in DNS: gives
 * t->from, t->to and the addresses and destination port of t->packet. *has_port: whether TO has
 * one. t->outside is given; at least one end has its router here. Errors are usage errors, unless a
 * router that is defined here is not attached. A port in `to` is a number from 1 to 65535.
 */
int names_resolve(struct view *v, const char *from, const char *to, struct trace *t, bool *has_port,
		  struct error *err);

/*
 * What `--proto` says, as `ports` of a rule has it, or a protocol's number; NULL: tcp with a port,
 * else an echo request. After names_resolve(): gives protocol, type and destination port of
 * t->packet, and t->services. `has_port`: TO has one.
 */
int names_service(const char *proto, bool has_port, struct trace *t, struct error *err);

/* The mapping with that shared address; NULL: there is none. */
const struct mapping *names_mapping_of(const struct model *m, const struct tn_addr *shared);
/* The name of the mapping with that shared address; "": it has none, or there is no mapping. */
const char *names_mapping(const struct model *m, const struct tn_addr *shared);

/* A decimal number up to `max`, and nothing else. -1: it is none. */
int names_number(const char *text, uint32_t max, uint32_t *out);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What rules of `accept` call `ports`: tcp, tcp/5432, udp/8000-8099, icmp, icmp/echo-request, gre,
 * protocol/47. Text and struct service (model.h) are each other's inverse. Pure.
 */
#ifndef TN_SERVICE_H
#define TN_SERVICE_H

#include "model/model.h"

#define SERVICE_LAST 0xffff /* the last one, of every class */

/* The most services that one text stands for: ICMP is two protocols, of IPv4 and of IPv6. */
#define SERVICE_PARTS 2

/*
 * The services that `text` names to `out`, and how many; 0 with a usage error, which says what is
 * wrong with it and what to write instead, but not where it is.
 */
size_t service_parse(const char *text, struct service out[SERVICE_PARTS], struct error *err);

#define SERVICE_TEXT 40
/*
 * The text of the first of `n` services, and how many of them it stands for: two for what
 * service_parse() makes two of.
 */
size_t service_text(const struct service *v, size_t n, char out[SERVICE_TEXT]);

/* Whether it is port 0 and no other, which the protocols reserve: nobody can listen there. */
bool service_is_port_zero(const struct service *s);

bool service_same(const struct service *a, const struct service *b);

#endif

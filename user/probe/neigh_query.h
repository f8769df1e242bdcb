/* SPDX-License-Identifier: GPL-2.0-only */
/* Asking a link who has which addresses, all at once: ARP and neighbour discovery. */
#ifndef TN_NEIGH_QUERY_H
#define TN_NEIGH_QUERY_H

#include "lib/error.h"
#include "lib/util.h"
#include "probe/frame.h"

struct neigh_query {
	struct tn_addr target;
	/* unset: nobody is to answer, and who probes for it himself counts as well (RFC
	 * 5227, 2.1.1) */
	struct tn_addr sender;
	bool answered; /* by another MAC address than ours */
	uint8_t mac[6];
};

/* What is asked on one interface. Zeroed by NEIGH_QUERIES_NONE, and freed by neigh_queries_free().
 */
struct neigh_queries {
	int fd;
	uint8_t mac[6]; /* of the interface */
	VEC(struct neigh_query) list;
};
#define NEIGH_QUERIES_NONE ((struct neigh_queries){ .fd = -1 })

/* Opens the interface, in the namespace that the caller is in. */
int neigh_queries_open(struct neigh_queries *a, uint32_t ifindex, const uint8_t mac[6],
		       struct error *err);
void neigh_queries_free(struct neigh_queries *a);
#define _cleanup_neigh_queries_ _cleanup_(neigh_queries_free)

/* Send all that is not answered, paced (packet.h). Of very many, answers are read in between. */
int neigh_queries_send(struct neigh_queries *a, struct error *err);
/* Read answers for `ms` milliseconds, or until all are answered. */
int neigh_queries_collect(struct neigh_queries *a, unsigned int ms, struct error *err);

#endif

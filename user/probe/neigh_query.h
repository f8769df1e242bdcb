/* SPDX-License-Identifier: GPL-2.0-only */
/* Asking a link who has which addresses, all at once: ARP and neighbour discovery. */
#ifndef TN_NEIGH_QUERY_H
#define TN_NEIGH_QUERY_H

#include "lib/error.h"
#include "lib/util.h"
#include "probe/frame.h"

struct ask {
	struct tn_addr target;
	/* unset: nobody is to answer, and who probes for it himself counts as well (RFC
	 * 5227, 2.1.1) */
	struct tn_addr sender;
	bool answered; /* by another MAC address than ours */
	uint8_t mac[6];
};

/* What is asked on one interface. Zeroed by ASKS_NONE, and freed by asks_free(). */
struct asks {
	int fd;
	uint8_t mac[6]; /* of the interface */
	VEC(struct ask) list;
};
#define ASKS_NONE ((struct asks){ .fd = -1 })

/* Opens the interface, in the namespace that the caller is in. */
int asks_open(struct asks *a, uint32_t ifindex, const uint8_t mac[6], struct error *err);
void asks_free(struct asks *a);
#define _cleanup_asks_ _cleanup_(asks_free)

/* Send all that is not answered, paced (packet.h). Of very many, answers are read in between. */
int asks_send(struct asks *a, struct error *err);
/* Read answers for `ms` milliseconds, or until all are answered. */
int asks_collect(struct asks *a, unsigned int ms, struct error *err);

#endif

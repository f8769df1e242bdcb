/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Neutron's API over HTTP, read only: tokens of Keystone, pages of lists. Every call is bounded, in
 * time and in size. Errors are one sentence, and nothing secret is in them.
 */
#ifndef TN_NEUTRON_CLIENT_H
#define TN_NEUTRON_CLIENT_H

#include "neutron/cloud.h"
#include "neutron/inventory.h"

struct neutron_client;

/* The cloud is borrowed. Nothing is sent yet. NULL: an error is set. */
struct neutron_client *neutron_open(const struct cloud *cloud, struct error *err);
void neutron_close(struct neutron_client *client);
static inline void neutron_close_cleanup(struct neutron_client **client)
{
	neutron_close(*client);
}
#define _cleanup_neutron_ _cleanup_(neutron_close_cleanup)

/*
 * What definitions take, sorted; `host` as Neutron calls it, NULL: for all hosts. A token that is
 * refused is renewed once. *sum is what neutron_poll() comes to as long as nothing changes; NULL:
 * nobody asks. On failure free what was taken, too.
 */
int neutron_read(struct neutron_client *client, const char *host, struct inventory *inv,
		 uint64_t *sum, struct error *err);

/* The same calls, for no more than it takes to see whether anything has changed since then. */
int neutron_poll(struct neutron_client *client, const char *host, const struct inventory *known,
		 uint64_t *sum, struct error *err);

#endif

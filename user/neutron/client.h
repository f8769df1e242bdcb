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
 * All pages of a list into the inventory. `path` is behind /v2.0/, `query` selects objects
 * ("tags=tenantnat"; "": all), and is encoded already. A token that is refused is renewed once.
 */
int neutron_list(struct neutron_client *client, enum neutron_list list, const char *path,
		 const char *query, struct inventory *inv, struct error *err);

/* What definitions take, sorted; `host` as Neutron calls it. On failure free what was taken, too.
 */
int neutron_read(struct neutron_client *client, const char *host, struct inventory *inv,
		 struct error *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps that each router has for itself, flows and fragments: pinned in the directory of the
 * router's pins, and in the maps of maps in which the programs look for them. The kernel waits for
 * all programs after each change of such a map (8 ms where HZ is 250), but once for many.
 */
#ifndef TN_ROUTER_MAPS_H
#define TN_ROUTER_MAPS_H

#include "dataplane/dataplane.h"

/*
 * Make them for these routers, and the directories. What is pinned already stays, with all that is
 * in it, and is put in its place again. A map of flows that has not the room of its row is
 * exchanged for one that has, with its flows; of a smaller one those that end last.
 */
int router_maps_make(struct dataplane *dp, const struct router_row *const *routers, size_t n,
		     struct error *err);
/* Whether all of the router's are pinned. */
bool router_maps_are_pinned(struct dataplane *dp, uint32_t router);
/* Take them out of the maps of maps: they end with their pins. */
void router_maps_drop(struct dataplane *dp, const uint32_t *routers, size_t n);

#endif

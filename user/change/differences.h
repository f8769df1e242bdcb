/* SPDX-License-Identifier: GPL-2.0-only */
/* What changes of a thing, in words: "hook tc → xdp, inside lan0 → lan0, lan1". Pure. */
#ifndef TN_DIFFERENCES_H
#define TN_DIFFERENCES_H

#include <stdio.h>

#include "model/kernel_state.h"

/* A list of differences, one after the other. Begun by the first, freed by differences_free(). */
struct differences {
	FILE *f; /* NULL: there are none yet */
	char *text;
	size_t size;
};

void differences_free(struct differences *d);
#define _cleanup_differences_ _cleanup_(differences_free)
/* "" when there are none. Good until the next one is added. */
const char *differences_text(struct differences *d);

/* `what` is the property. Nothing is added when both are the same; NULL is "none". */
void differ_text(struct differences *d, const char *what, const char *had, const char *will);
/* The same of lists; `empty` is what an empty one is called. */
void differ_prefixes(struct differences *d, const char *what, const char *empty,
		     const struct prefix *had, size_t nhad, const struct prefix *will,
		     size_t nwill);
/* Something that is no property with an old and a new value. */
void differ_say(struct differences *d, const char *text);

/* Of what the definitions say of a router. */
void differ_router(struct differences *d, const struct router *had, const struct router *will);
/*
 * Of a router that is attached and is renewed, what the definitions do not explain. `defined`: they
 * differ, too, so what follows from them is not said.
 */
void differ_row(struct differences *d, const struct router_row *had, const struct router_row *will,
		bool defined);
/* Of a route to the same place. */
void differ_route(struct differences *d, const struct route_row *had, const struct route_row *will);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the client share; nobody else includes this. */
#ifndef TN_NEUTRON_CLIENT_INTERNAL_H
#define TN_NEUTRON_CLIENT_INTERNAL_H

#include <curl/curl.h>

#include "neutron/client.h"

struct neutron_client {
	const struct cloud *cloud;
	CURL *curl;
	char *token; /* NULL: none yet */
	char *base;  /* of Neutron, with its version and a slash behind it; NULL: not known yet */
	char *shown; /* where requests go, for errors */
	long timeout_s;
};

/* Overwritten, freed and NULL. */
void free_secret(char **text);

/* One answer, the caller's to free; `path` and `query` are put behind the base as they are. */
int neutron_get(struct neutron_client *n, const char *path, const char *query, json_t **out,
		struct error *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the client share; nobody else includes this. */
#ifndef TN_NEUTRON_CLIENT_INTERNAL_H
#define TN_NEUTRON_CLIENT_INTERNAL_H

#include <curl/curl.h>

#include "neutron/client.h"

struct neutron_client {
	const struct cloud *cloud;
	CURL *curl;
	char *token;   /* NULL: none yet */
	char *project; /* that the token is for, as Keystone says; NULL: not known */
	char *base;    /* of Neutron, with its version and a slash behind it; NULL: not known yet */
	char *shown;   /* where requests go, for errors */
	long timeout_s;
};

/* Overwritten, freed and NULL. */
void free_secret(char **text);

/* One answer, the caller's to free; `path` and `query` are put behind the base as they are. */
int neutron_get(struct neutron_client *n, const char *path, const char *query, json_t **out,
		struct error *err);

/*
 * Change something: POST, PUT or DELETE. `body`, which may be NULL, is stolen. *out is the answer,
 * the caller's to free, NULL where that is empty; `out` may be NULL. What is gone already can be
 * deleted. When no answer comes, it is not known whether it was done.
 */
int neutron_send(struct neutron_client *n, const char *method, const char *path, json_t *body,
		 json_t **out, struct error *err);

/* Append all objects that match the query, encoded, with all of their fields, to an array. */
int neutron_list_all(struct neutron_client *n, enum neutron_list list, const char *path,
		     const char *query, json_t *out, struct error *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a cloud is and who we are there, as `clouds.yaml` of OpenStack's own clients has it. */
#ifndef TN_CLOUD_H
#define TN_CLOUD_H

#include <stdbool.h>

#include "lib/error.h"
#include "lib/util.h"

/* X(field, "key under the cloud", whether it is one of `auth`): texts; NULL: not given. */
#define CLOUD_KEYS(X)                                                \
	X(auth_type, "auth_type", false)                             \
	X(region, "region_name", false)                              \
	X(interface, "interface", false)                             \
	X(verify, "verify", false)                                   \
	X(cacert, "cacert", false)                                   \
	X(cert, "cert", false)                                       \
	X(key, "key", false)                                         \
	X(override, "network_endpoint_override", false)              \
	X(auth_url, "auth_url", true)                                \
	X(username, "username", true)                                \
	X(user_id, "user_id", true)                                  \
	X(password, "password", true)                                \
	X(user_domain_name, "user_domain_name", true)                \
	X(user_domain_id, "user_domain_id", true)                    \
	X(project_name, "project_name", true)                        \
	X(project_id, "project_id", true)                            \
	X(project_domain_name, "project_domain_name", true)          \
	X(project_domain_id, "project_domain_id", true)              \
	X(application_id, "application_credential_id", true)         \
	X(application_name, "application_credential_name", true)     \
	X(application_secret, "application_credential_secret", true) \
	X(endpoint, "endpoint", true)

struct cloud {
	char *name; /* NULL: no cloud of a file, but a URL */
#define X(field, key, auth) char *field;
	CLOUD_KEYS(X)
#undef X
};

void cloud_free(struct cloud *cloud);
#define _cleanup_cloud_ _cleanup_(cloud_free)

/*
 * The cloud of that name; NULL: the one that OS_CLOUD names, or the only one of the file. The first
 * of these that is there is read: what OS_CLIENT_CONFIG_FILE names, ./clouds.yaml,
 * ~/.config/openstack/clouds.yaml, /etc/openstack/clouds.yaml. A secure.yaml beside it, or the file
 * of OS_CLIENT_SECURE_FILE, adds to that. *out is the caller's to free, also on failure.
 */
int cloud_find(const char *name, struct cloud *out, struct error *err);

/* One without Keystone: Neutron with `auth_strategy = noauth`, of labs. */
int cloud_of_url(const char *url, struct cloud *out, struct error *err);

/* Whether nobody has to be asked for a token. */
bool cloud_is_open(const struct cloud *cloud);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
#include "neutron/cloud.h"

#include <limits.h>
#include <yaml.h>

#include "lib/file.h"
#include "neutron/inventory.h"

/* Secrets are among them. */
static void forget(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void cloud_free(struct cloud *c)
{
	free(c->name);
#define X(field, key, auth) forget(c->field);
	CLOUD_KEYS(X)
#undef X
	memset(c, 0, sizeof(*c));
}

bool cloud_is_open(const struct cloud *c)
{
	return c->auth_type &&
	       (strcmp(c->auth_type, "none") == 0 || strcmp(c->auth_type, "noauth") == 0);
}

/* ------------------------------------------------------------ YAML */

static const char *text_of(const yaml_node_t *node)
{
	return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value
						      : NULL;
}

static yaml_node_t *value_of(yaml_document_t *doc, const yaml_node_t *map, const char *key)
{
	if (!map || map->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
	     p++) {
		const char *text = text_of(yaml_document_get_node(doc, p->key));

		if (text && strcmp(text, key) == 0)
			return yaml_document_get_node(doc, p->value);
	}
	return NULL;
}

static void take(char **to, const yaml_node_t *node)
{
	const char *text = text_of(node);

	if (!text)
		return;
	forget(*to);
	*to = xstrdup(text);
}

static void take_cloud(yaml_document_t *doc, const yaml_node_t *cloud, struct cloud *out)
{
	const yaml_node_t *auth = value_of(doc, cloud, "auth");

#define X(field, key, in_auth) take(&out->field, value_of(doc, (in_auth) ? auth : cloud, key));
	CLOUD_KEYS(X)
#undef X
}

/* The name of the only one; NULL: there are several, which `names` has then, or none. */
static const char *only_cloud(yaml_document_t *doc, const yaml_node_t *clouds, char names[256])
{
	const char *only = NULL;
	size_t n = 0, at = 0;

	names[0] = '\0';
	if (!clouds || clouds->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *p = clouds->data.mapping.pairs.start;
	     p < clouds->data.mapping.pairs.top; p++) {
		const char *name = text_of(yaml_document_get_node(doc, p->key));

		if (!name)
			continue;
		only = n++ ? NULL : name;
		if (at < 200)
			at += (size_t)snprintf(names + at, 256 - at, "%s`%s`", at ? ", " : "",
					       SHOWN(name));
	}
	return n == 1 ? only : NULL;
}

static int load(const char *path, FILE *f, yaml_document_t *doc, struct error *err)
{
	yaml_parser_t parser;
	int ret = 0;

	if (!yaml_parser_initialize(&parser))
		return error_set(err, "out of memory");
	yaml_parser_set_input_file(&parser, f);
	/* the parser's own words may quote the file */
	if (!yaml_parser_load(&parser, doc))
		ret = error_usage(err, "%s:%zu: this is no valid YAML", path,
				  parser.problem_mark.line + 1);
	yaml_parser_delete(&parser);
	return ret;
}

static int choose(const char *path, yaml_document_t *doc, const char *name, struct cloud *out,
		  struct error *err)
{
	const yaml_node_t *clouds = value_of(doc, yaml_document_get_root_node(doc), "clouds");
	char names[256];
	const char *only = only_cloud(doc, clouds, names);
	const yaml_node_t *cloud;

	if (!name && !only)
		return error_usage(err,
				   *names ? "%s has several clouds, %s; name one with --cloud"
					  : "%s has no `clouds`%s",
				   path, names);
	cloud = value_of(doc, clouds, name ? name : only);
	if (!cloud)
		return error_usage(err, "%s has no cloud `%s`; it has %s", path, SHOWN(name),
				   *names ? names : "none");
	out->name = xstrdup(name ? name : only);
	take_cloud(doc, cloud, out);
	return 0;
}

static int read_clouds(const char *path, const char *name, struct cloud *out, struct error *err)
{
	_cleanup_fclose_ FILE *f = input_open(path, err);
	yaml_document_t doc;
	int ret;

	if (!f || load(path, f, &doc, err))
		return -1;
	ret = choose(path, &doc, name, out, err);
	yaml_document_delete(&doc);
	return ret;
}

/* What it has of the cloud comes before what the other file has. */
static int read_secrets(const char *path, struct cloud *out, struct error *err)
{
	_cleanup_fclose_ FILE *f = input_open(path, err);
	yaml_document_t doc;

	if (!f || load(path, f, &doc, err))
		return -1;
	take_cloud(&doc,
		   value_of(&doc, value_of(&doc, yaml_document_get_root_node(&doc), "clouds"),
			    out->name),
		   out);
	yaml_document_delete(&doc);
	return 0;
}

/* ------------------------------------------------------------ places */

/* The first that is there; false: none. What the variable names counts in any case. */
static bool find_file(const char *variable, const char *name, char path[PATH_MAX])
{
	const char *given = getenv(variable), *home = getenv("HOME");

	if (given && *given) {
		snprintf(path, PATH_MAX, "%s", given);
		return true;
	}
	snprintf(path, PATH_MAX, "%s", name);
	if (access(path, F_OK) == 0)
		return true;
	if (home && *home) {
		snprintf(path, PATH_MAX, "%s/.config/openstack/%s", home, name);
		if (access(path, F_OK) == 0)
			return true;
	}
	snprintf(path, PATH_MAX, "/etc/openstack/%s", name);
	return access(path, F_OK) == 0;
}

static bool is_known(const char *auth_type)
{
	static const char *const known[] = { "password", "v3password", "v3applicationcredential" };

	for (size_t i = 0; auth_type && i < ARRAY_SIZE(known); i++) {
		if (strcmp(auth_type, known[i]) == 0)
			return true;
	}
	return !auth_type;
}

static int check_auth(const struct cloud *c, struct error *err)
{
	bool application = c->application_id || c->application_name;

	if (cloud_is_open(c)) {
		if (!c->endpoint && !c->override)
			return error_usage(err,
					   "the cloud `%s` needs `endpoint`: the URL of Neutron",
					   SHOWN(c->name));
		return 0;
	}
	if (!is_known(c->auth_type))
		return error_usage(
			err,
			"the cloud `%s` has the `auth_type` `%s`, which tenantnat does not "
			"know; it knows password, v3applicationcredential and none",
			SHOWN(c->name), SHOWN(c->auth_type));
	if (!c->auth_url)
		return error_usage(err, "the cloud `%s` has no `auth_url`", SHOWN(c->name));
	if (application && c->application_secret &&
	    (c->application_id || c->username || c->user_id))
		return 0;
	if (application)
		return error_usage(err,
				   "the cloud `%s` needs `application_credential_secret`, and "
				   "`application_credential_id` or a user with "
				   "`application_credential_name`",
				   SHOWN(c->name));
	if (!c->password || (!c->username && !c->user_id))
		return error_usage(err,
				   "the cloud `%s` has neither `username` and `password` nor an "
				   "application credential",
				   SHOWN(c->name));
	if (!c->project_name && !c->project_id)
		return error_usage(err,
				   "the cloud `%s` has neither `project_name` nor `project_id`",
				   SHOWN(c->name));
	return 0;
}

int cloud_find(const char *name, struct cloud *out, struct error *err)
{
	const char *wish = name ? name : getenv("OS_CLOUD");
	char path[PATH_MAX];

	memset(out, 0, sizeof(*out));
	if (!find_file("OS_CLIENT_CONFIG_FILE", "clouds.yaml", path))
		return error_usage(err,
				   "there is no clouds.yaml here, in ~/.config/openstack or in "
				   "/etc/openstack; OS_CLIENT_CONFIG_FILE can name one, or give "
				   "the URL of a Neutron without Keystone with --url");
	if (read_clouds(path, wish && *wish ? wish : NULL, out, err))
		return -1;
	if (find_file("OS_CLIENT_SECURE_FILE", "secure.yaml", path) && read_secrets(path, out, err))
		return -1;
	return check_auth(out, err);
}

int cloud_of_url(const char *url, struct cloud *out, struct error *err)
{
	memset(out, 0, sizeof(*out));
	if (strncmp(url, "http://", strlen("http://")) != 0 &&
	    strncmp(url, "https://", strlen("https://")) != 0)
		return error_usage(err, "--url is that of Neutron: write http://HOST:9696");
	out->auth_type = xstrdup("none");
	out->endpoint = xstrdup(url);
	return 0;
}

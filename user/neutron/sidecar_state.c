/* SPDX-License-Identifier: GPL-2.0-only */
/* What there is of sidecars in Neutron, and what is said of them. */
#include <stdarg.h>

#include "neutron/sidecar_internal.h"

/* Whatever is ours, and nobody else's. */
#define OURS "description=tenantnat%3Asidecar"

const struct kind_names sidecar_kinds[] = {
#define X(id, list, path, one) [KIND_##id] = { NEUTRON_##list, path, one },
	KINDS(X)
#undef X
};

void sidecars_free(struct sidecars *k)
{
	for (int i = 0; i < KINDS_COUNT; i++)
		json_decref(k->have[i]);
}

void sidecar_work_free(struct sidecar_work *w)
{
	vec_each (text, &w->lines)
		free(*text);
	vec_free(&w->lines);
	vec_each (text, &w->failures)
		free(*text);
	vec_free(&w->failures);
}

const char *field_text(const json_t *object, const char *field)
{
	const char *text = json_string_value(json_object_get(object, field));

	return text ? text : "";
}

bool field_is(const json_t *object, const char *field, const char *text)
{
	return strcmp(field_text(object, field), text) == 0;
}

void sidecar_note(struct sidecars *k, char sign, const char *router, const char *format, ...)
{
	char what[200], *line;
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (asprintf(&line, "%c sidecar %s: %s", sign, SHOWN(router), what) >= 0)
		*vec_push(&k->out->lines) = line;
}

static bool has_extension(const json_t *list, const char *alias)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (field_is(one, "alias", alias))
			return true;
	}
	return false;
}

static int look_at_extensions(struct sidecars *k, struct error *err)
{
	const json_t *list;
	json_t *answer;

	if (neutron_get(k->client, "extensions", "fields=alias", &answer, err))
		return -1;
	list = json_object_get(answer, "extensions");
	k->atomic = has_extension(list, "extraroute-atomic");
	k->stateless = has_extension(list, "stateful-security-group");
	json_decref(answer);
	return 0;
}

static int look_at_shared(struct sidecars *k, struct error *err)
{
	char path[64];
	json_t *answer;

	vec_each (n, &k->inv->networks) {
		if (n->tagged)
			k->network = n;
	}
	if (!k->network)
		return 0;
	snprintf(path, sizeof(path), "networks/%s", k->network->id);
	if (neutron_get(k->client, path, "fields=id&fields=mtu", &answer, err))
		return -1;
	k->mtu =
		(int)json_integer_value(json_object_get(json_object_get(answer, "network"), "mtu"));
	json_decref(answer);
	return 0;
}

/*
 * A tenant can give an object of his any name and description, but not our project. Whatever a
 * server makes of the filter, nobody else's is ever taken, or touched.
 */
static bool is_ours(const struct sidecars *k, const json_t *object)
{
	const char *project = k->client->project;

	return field_is(object, "description", NEUTRON_SIDECAR) &&
	       (!project || field_is(object, "project_id", project));
}

int sidecars_list(struct sidecars *k, enum kind kind, json_t *out, struct error *err)
{
	if (neutron_list_all(k->client, sidecar_kinds[kind].list, sidecar_kinds[kind].path, OURS,
			     out, err))
		return -1;
	for (size_t i = json_array_size(out); i-- > 0;) {
		if (!is_ours(k, json_array_get(out, i)))
			json_array_remove(out, i);
	}
	return 0;
}

int sidecars_look(struct sidecars *k, struct error *err)
{
	for (int i = 0; i < KINDS_COUNT; i++) {
		k->have[i] = json_array();
		if (sidecars_list(k, i, k->have[i], err))
			return -1;
	}
	return look_at_extensions(k, err) || look_at_shared(k, err) ? -1 : 0;
}

/* Of two with one name, which a request without an answer can leave, the one with the lesser id. */
json_t *sidecar_find(const struct sidecars *k, enum kind kind, const char *name)
{
	json_t *found = NULL, *one;
	size_t i;

	json_array_foreach(k->have[kind], i, one)
	{
		if (field_is(one, "name", name) &&
		    (!found || strcmp(field_text(one, "id"), field_text(found, "id")) < 0))
			found = one;
	}
	return found;
}

/* "tnat-ROUTER", and with `part` "tnat-ROUTER-PART" */
const char *sidecar_name(const char *router, const char *part, char buf[NAME_MAX_LEN])
{
	snprintf(buf, NAME_MAX_LEN, "tnat-%s%s%s", router, *part ? "-" : "", part);
	return buf;
}

void sidecar_failed(struct sidecar_work *w, const char *router, struct error *err)
{
	char *text;

	if (asprintf(&text, "the sidecar of router %s: %s", SHOWN(router), err->text) >= 0)
		*vec_push(&w->failures) = text;
	*err = (struct error){ 0 };
}

bool sidecar_is_here(const struct neutron_router *r, const char *host)
{
	return r->tagged && r->host && strcmp(r->host, host) == 0;
}

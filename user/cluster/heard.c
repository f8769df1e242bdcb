// SPDX-License-Identifier: GPL-2.0-only
#include "cluster/heard.h"

void heard_free(struct heard *h)
{
	free(h->change);
	names_free(&h->tenants);
	memset(h, 0, sizeof(*h));
}

static void take_tenants(struct heard *h, const char *value)
{
	json_t *line = json_loads(value, 0, NULL), *name;
	const json_t *tenants = json_object_get(line, "tenants");
	size_t i;

	h->all |= !json_is_array(tenants);
	json_array_foreach(tenants, i, name)
	{
		if (json_is_string(name))
			*vec_push(&h->tenants.list) = xstrdup(json_string_value(name));
		else
			h->all = true;
	}
	json_decref(line);
	names_sort(&h->tenants);
	h->all |= h->tenants.list.n > HEARD_MAX;
}

void heard_change(struct heard *h, const char *change, const char *value, int64_t revision)
{
	free(h->change);
	h->change = xstrdup(change);
	h->revision = revision;
	if (!h->all)
		take_tenants(h, value);
}

void heard_follow(struct heard *h, int64_t revision)
{
	if (revision >= h->revision)
		heard_free(h);
}

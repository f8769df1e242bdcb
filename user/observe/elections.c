// SPDX-License-Identifier: GPL-2.0-only
#include "observe/elections.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/output.h"

void elections_free(struct elections *e)
{
	vec_each (one, &e->list) {
		free(one->tenant);
		free(one->holder);
	}
	vec_free(&e->list);
}

const struct elected *elections_of(const struct elections *e, const char *tenant)
{
	vec_each (one, &e->list) {
		if (strcmp(one->tenant, tenant) == 0)
			return one;
	}
	return NULL;
}

void elections_lock(const char *state, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/elector", state);
}

static void path_of(const char *state, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/elections", state);
}

char *elections_text(const struct elections *e)
{
	_cleanup_json_ json_t *list = json_array(), *file = NULL;

	vec_each (one, &e->list)
		json_array_append_new(list,
				      json_pack("{ss so sI sb}", "tenant", one->tenant, "holder",
						json_text(one->holder), "since",
						(json_int_t)one->since, "here", (int)one->here));
	file = json_pack("{sb sO}", "connected", (int)e->connected, "routers", list);
	return json_dumps(file, JSON_COMPACT);
}

int elections_write(const char *state, const char *text, struct error *err)
{
	char path[PATH_MAX];

	path_of(state, path);
	return file_replace(path, text, strlen(text), 0600, err);
}

void elections_read(const char *state, struct elections *out)
{
	_cleanup_json_ json_t *file = NULL;
	_cleanup_close_ int fd = -1;
	struct error ignored = { 0 };
	const json_t *routers, *one;
	char path[PATH_MAX];
	size_t i;

	memset(out, 0, sizeof(*out));
	elections_lock(state, path);
	out->runs = file_holder(path) != 0;
	path_of(state, path);
	fd = file_check(path, &ignored) > 0 ? file_open(path, O_RDONLY, &ignored) : -1;
	file = fd >= 0 ? json_loadfd(fd, 0, NULL) : NULL;
	out->connected = out->runs && json_is_true(json_object_get(file, "connected"));
	routers = json_object_get(file, "routers");
	json_array_foreach(routers, i, one)
	{
		const char *tenant = json_string_value(json_object_get(one, "tenant"));
		const char *holder = json_string_value(json_object_get(one, "holder"));

		if (tenant)
			*vec_push(&out->list) = (struct elected){
				.tenant = xstrdup(tenant),
				.holder = holder ? xstrdup(holder) : NULL,
				.since = json_integer_value(json_object_get(one, "since")),
				.here = json_is_true(json_object_get(one, "here")),
			};
	}
}

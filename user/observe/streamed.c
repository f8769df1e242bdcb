/* SPDX-License-Identifier: GPL-2.0-only */
#include "observe/streamed.h"

#include <fcntl.h>
#include <limits.h>

#include "lib/boot_id.h"
#include "lib/file.h"
#include "lib/output.h"

void streamed_free(struct streamed *s)
{
	vec_free(&s->list);
}

const struct streamed_router *streamed_find(const struct streamed *s, const char *tenant)
{
	vec_each (r, &s->list) {
		if (strcmp(r->tenant, tenant) == 0)
			return r;
	}
	return NULL;
}

uint64_t streamed_age(const struct streamed *s, const struct streamed_router *r, uint64_t now)
{
	uint64_t since = r->heard > r->waits ? r->heard : r->waits;
	/* who writes it is at work */
	uint64_t then = now - s->at < 3 * (uint64_t)STREAMED_PAUSE ? s->at : now;

	return then > since ? then - since : 0;
}

static json_t *router_json(const struct streamed_router *r)
{
	return json_pack("{sb ss sI sI sI sI sI}", "standby", r->standby, "from", r->from, "heard",
			 (json_int_t)r->heard, "waits", (json_int_t)r->waits, "received",
			 (json_int_t)r->received, "sent", (json_int_t)r->sent, "unsent",
			 (json_int_t)r->unsent);
}

int streamed_write(const char *state, const struct streamed *s, struct error *err)
{
	char path[PATH_MAX], boot[BOOT_ID_SIZE];
	_cleanup_json_ json_t *routers = json_object(), *file = NULL;
	_cleanup_free_ char *text = NULL;

	boot_id(boot);
	vec_each (r, &s->list)
		json_object_set_new(routers, r->tenant, router_json(r));
	file = json_pack("{ss sI sI sO}", "boot", boot, "at", (json_int_t)s->at, "refused",
			 (json_int_t)s->refused, "routers", routers);
	snprintf(path, sizeof(path), "%s/streamed", state);
	text = json_dumps(file, JSON_COMPACT);
	return file_replace(path, text, strlen(text), 0600, err);
}

static void take_router(const char *tenant, json_t *from, struct streamed *out)
{
	json_int_t heard, waits, received, sent, unsent;
	struct streamed_router *r;
	const char *host;
	int standby;

	/* of another version */
	if (json_unpack(from, "{sb ss sI sI sI sI sI}", "standby", &standby, "from", &host, "heard",
			&heard, "waits", &waits, "received", &received, "sent", &sent, "unsent",
			&unsent))
		return;
	r = vec_push(&out->list);
	*r = (struct streamed_router){ .standby = standby,
				       .heard = (uint64_t)heard,
				       .waits = (uint64_t)waits,
				       .received = (uint64_t)received,
				       .sent = (uint64_t)sent,
				       .unsent = (uint64_t)unsent };
	snprintf(r->tenant, sizeof(r->tenant), "%s", tenant);
	snprintf(r->from, sizeof(r->from), "%s", host);
}

void streamed_read(const char *state, struct streamed *out)
{
	struct error ignored = { 0 };
	char path[PATH_MAX], boot[BOOT_ID_SIZE];
	_cleanup_json_ json_t *file = NULL;
	_cleanup_close_ int fd = -1;
	const char *of, *tenant;
	json_t *router;

	memset(out, 0, sizeof(*out));
	boot_id(boot);
	snprintf(path, sizeof(path), "%s/streamed", state);
	fd = file_open(path, O_RDONLY, &ignored);
	file = fd < 0 ? NULL : json_loadfd(fd, 0, NULL);
	of = json_string_value(json_object_get(file, "boot"));
	if (!of || strcmp(of, boot) != 0)
		return;
	out->at = (uint64_t)json_integer_value(json_object_get(file, "at"));
	out->refused = (uint64_t)json_integer_value(json_object_get(file, "refused"));
	json_object_foreach(json_object_get(file, "routers"), tenant, router)
		take_router(tenant, router, out);
}

void streamed_forget(const char *state)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/streamed", state);
	unlink(path);
}

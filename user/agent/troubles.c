/* SPDX-License-Identifier: GPL-2.0-only */
#include "agent/troubles.h"

#include "lib/log.h"

/* What is over sooner, in milliseconds, is not worth a line in the log. */
enum { LASTING = 250 };

/* `text` NULL: any of that tenant. */
static const struct trouble *find(const struct troubles *all, const char *tenant, const char *text)
{
	vec_each (t, &all->list) {
		if (strcmp(t->tenant, tenant) == 0 && (!text || strcmp(t->text, text) == 0))
			return t;
	}
	return NULL;
}

static void add(struct troubles *all, const struct failure *f, const struct trouble *old,
		uint64_t now)
{
	struct trouble *t = vec_push(&all->list);

	snprintf(t->tenant, sizeof(t->tenant), "%s", f->tenant);
	t->text = xstrdup(f->text);
	t->since = old ? old->since : now;
	t->logged = old && old->logged;
	if (t->logged || now - t->since < LASTING)
		return;
	log_about(LOG_ERROR, *t->tenant ? t->tenant : NULL, "failed", "%s", t->text);
	t->logged = true;
}

void troubles_update(struct troubles *t, const struct failures *failed, uint64_t now)
{
	struct troubles before = *t;

	*t = (struct troubles){ 0 };
	vec_each (f, &failed->list)
		add(t, f, find(&before, f->tenant, f->text), now);
	vec_each (old, &before.list) {
		if (old->logged && !find(t, old->tenant, NULL))
			log_about(LOG_NOTICE, *old->tenant ? old->tenant : NULL, "recovered",
				  "%s%s%s in order again", *old->tenant ? "tenant " : "",
				  old->tenant, *old->tenant ? " is" : "all is");
	}
	troubles_free(&before);
}

void troubles_update_error(struct troubles *t, const struct error *err, uint64_t now)
{
	struct failure one = { .text = (char *)err->text };
	struct failures failed = { { &one, 1, 1 } };

	troubles_update(t, &failed, now);
}

void troubles_free(struct troubles *t)
{
	vec_each (one, &t->list)
		free(one->text);
	vec_free(&t->list);
}

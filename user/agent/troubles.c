/* SPDX-License-Identifier: GPL-2.0-only */
/* What is not as it is to be: each is said once, and that it is over. */
#include "agent/agent_parts.h"
#include "lib/log.h"

/* What is over sooner, in milliseconds, is not worth a line in the log. */
enum { LASTING = 250 };

static const struct trouble *trouble_of(const struct agent *a, const char *tenant, const char *text)
{
	vec_each (t, &a->troubles) {
		if (strcmp(t->tenant, tenant) == 0 && (!text || strcmp(t->text, text) == 0))
			return t;
	}
	return NULL;
}

static void say(struct trouble *t)
{
	if (t->said || now_ms() - t->since < LASTING)
		return;
	log_error("%s", t->text);
	t->said = true;
}

/* Each one is said once, and that it is over. */
void agent_settle(struct agent *a, const struct failures *failed)
{
	struct agent now = { 0 };

	vec_each (f, &failed->list) {
		const struct trouble *old = trouble_of(a, f->tenant, f->text);
		struct trouble *t = vec_push(&now.troubles);

		snprintf(t->tenant, sizeof(t->tenant), "%s", f->tenant);
		t->text = xstrdup(f->text);
		t->since = old ? old->since : now_ms();
		t->said = old && old->said;
		say(t);
	}
	vec_each (old, &a->troubles) {
		if (old->said && !trouble_of(&now, old->tenant, NULL))
			log_notice("%s%s%s in order again", *old->tenant ? "tenant " : "",
				   old->tenant, *old->tenant ? " is" : "all is");
		free(old->text);
	}
	vec_free(&a->troubles);
	a->troubles.v = now.troubles.v;
	a->troubles.n = now.troubles.n;
	a->troubles.cap = now.troubles.cap;
}

void agent_settle_error(struct agent *a, const struct error *err)
{
	struct failure all = { .text = (char *)err->text };
	struct failures failed = { { &all, 1, 1 } };

	agent_settle(a, &failed);
}

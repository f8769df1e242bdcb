// SPDX-License-Identifier: GPL-2.0-only
#include "change/cluster_wait.h"

#ifndef TN_WITHOUT_CLUSTER

#include "lib/clock.h"
#include "lib/interrupt.h"
#include "lib/progress.h"

/* Milliseconds between two looks. */
#define LOOK 300

static void waited_clear(struct waited *w)
{
	vec_each (h, &w->list) {
		free(h->name);
		free(h->tenant);
	}
	w->list.n = 0;
}

void waited_free(struct waited *w)
{
	waited_clear(w);
	vec_free(&w->list);
}

void waiting_free(struct waiting *w)
{
	concern_free(&w->concern);
}

json_t *waited_json(const struct waited *w)
{
	json_t *list = json_array();

	vec_each (h, &w->list)
		json_array_append_new(list, json_pack("{s:s, s:s}", "name", h->name, "state",
						      host_state_name(h->state)));
	return list;
}

/* One of the tenants that changed and could not be made so there; NULL: none. */
static const char *failed_tenant(const struct waiting *w, const struct overview_host *h)
{
	vec_each (failed, &h->failed) {
		vec_each (changed, &w->concern.tenants.list) {
			if (strcmp(*failed, *changed) == 0)
				return *failed;
		}
	}
	return NULL;
}

static void judge(const struct waiting *w, const struct overview *o, const char *self,
		  struct waited *out)
{
	int64_t revision = w->revision ? w->revision : o->changed;

	waited_clear(out);
	vec_each (h, &o->hosts) {
		const char *failed = failed_tenant(w, h);
		struct waited_host *one;

		if (!concern_has(&w->concern, h->name))
			continue;
		one = vec_push(&out->list);
		*one = (struct waited_host){ .name = xstrdup(h->name) };
		one->state = overview_judge(h, revision);
		if ((w->is_here && strcmp(h->name, self) == 0) ||
		    (one->state == HOST_FAILED && !failed))
			one->state = HOST_CURRENT;
		else if (one->state == HOST_FAILED)
			one->tenant = xstrdup(failed);
	}
}

/* Those that may yet come to have it. */
static size_t count_late(const struct waited *w)
{
	size_t n = 0;

	vec_each (h, &w->list)
		n += h->state == HOST_BEHIND || h->state == HOST_SILENT;
	return n;
}

static int look(struct session *s, const struct waiting *w, struct waited *out, struct error *err)
{
	_cleanup_overview_ struct overview o = { 0 };

	if (overview_read_hosts(s->etcd, &s->m, 0, &o, err))
		return -1;
	judge(w, &o, s->m.host, out);
	return 0;
}

#define HOSTS_SAID 10

static int say(const struct waited *w, unsigned int seconds, struct error *err)
{
	char text[HOSTS_SAID * (HOST_NAME_MAX_LEN + TENANT_NAME_MAX + 32)] = "";
	size_t n = 0, used = 0;

	vec_each (h, &w->list) {
		if (h->state == HOST_CURRENT || n++ >= HOSTS_SAID)
			continue;
		used += (size_t)snprintf(
			text + used, sizeof(text) - used, "%s%s %s%s", n > 1 ? ", " : "", h->name,
			h->state == HOST_FAILED	  ? "failed with "
			: h->state == HOST_SILENT ? "is silent (does its agent run?)"
						  : "is behind",
			h->tenant ? h->tenant : "");
	}
	if (!n)
		return 0;
	if (n > HOSTS_SAID)
		snprintf(text + used, sizeof(text) - used, " and %zu more", n - HOSTS_SAID);
	return error_set(err,
			 "the cluster has the change, but after %u s not all hosts have it: %s; "
			 "`tenantnat cluster status` shows them",
			 seconds, text);
}

int cluster_wait(struct session *s, const struct settings *settings, struct waiting *w,
		 struct waited *out, struct error *err)
{
	uint64_t begin = clock_ms(), until = begin + settings->wait * 1000ULL;
	size_t late = 0, before = SIZE_MAX;
	int ret;

	memset(out, 0, sizeof(*out));
	if (!w->concern.everybody &&
	    (session_read_tenants(s, err) || concern_find_hosts(&s->had, &w->concern, err)))
		return -1;
	for (;;) {
		ret = look(s, w, out, err);
		if (!ret)
			late = count_late(out);
		if (!ret && before == SIZE_MAX)
			progress_begin("hosts have it", before = out->list.n);
		if (!ret && late < before)
			progress_step(before - late);
		before = late < before ? late : before;
		if (interrupt_is_noted() || (!ret && !late) || !clock_left(until))
			break;
		*err = (struct error){ 0 };
		clock_sleep(LOOK);
	}
	progress_end();
	if (ret)
		return error_prefix(err, "the cluster has the change, but which hosts have it is "
					 "not known");
	return say(out, (unsigned int)((clock_ms() - begin) / 1000), err);
}

#endif

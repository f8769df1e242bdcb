/* SPDX-License-Identifier: GPL-2.0-only */
#include "neutron/neutron.h"

#include <time.h>

#include "config/config.h"
#include "config/write.h"
#include "lib/host_name.h"
#include "neutron/client.h"
#include "neutron/session.h"
#include "neutron/together.h"

/* In a cluster routers are on hosts by the names of their agents. */
static int see_cluster(struct neutron_session *s, const struct neutron_source *from,
		       const struct settings *settings, struct error *err)
{
	int ret = together_is(settings, err);

	if (ret > 0 && from->host)
		return error_usage(err, "this host is in a cluster, whose definitions are for all "
					"hosts: leave --host out; hosts have to be called in the "
					"cluster as Neutron calls them");
	if (ret > 0 && from->ovn)
		return error_usage(err, "this host is in a cluster, where sidecars (--ovn) are not "
					"made: follow Neutron on each host without a cluster");
	s->together = ret > 0;
	if (s->together)
		s->host = NULL;
	return ret < 0 ? -1 : 0;
}

struct neutron_session *neutron_begin(const struct neutron_source *from,
				      const struct settings *settings, struct error *err)
{
	struct neutron_session *s = xzalloc(sizeof(*s));
	int ret;

	s->host = from->host ? from->host : host_name();
	s->ovn = from->ovn;
	s->ovn_ends = from->ovn_ends;
	s->work.dry_run = from->only_looks;
	s->work.all = from->ovn_ends;
	s->settings = settings;
	imported_read(settings->state, &s->noted);
	if (!json_is_object(s->noted.names)) {
		json_decref(s->noted.names);
		s->noted.names = json_object();
	}
	if (from->url && from->cloud)
		ret = error_usage(err, "give --cloud or --url, not both");
	else if (from->url)
		ret = cloud_of_url(from->url, &s->cloud, err);
	else
		ret = cloud_find(from->cloud, &s->cloud, err);
	if (!ret)
		ret = see_cluster(s, from, settings, err);
	if (!ret)
		s->client = neutron_open(&s->cloud, err);
	if (s->client) {
		free(s->noted.source);
		s->noted.source = xstrdup(from->url ? from->url : s->cloud.name);
		return s;
	}
	neutron_end(s);
	return NULL;
}

void neutron_end(struct neutron_session *s)
{
	if (!s)
		return;
	together_end(s);
	neutron_close(s->client);
	cloud_free(&s->cloud);
	inventory_free(&s->known);
	imported_free(&s->noted);
	sidecar_work_free(&s->work);
	free(s);
}

/* What Neutron's objects have in them is not up to us: nothing goes on that no file may say. */
static int check(const struct model *m, struct error *err)
{
	_cleanup_model_ struct model back = { 0 };
	struct config_errors errors = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	int ret = f ? definitions_write(m, f, err) : error_set(err, "out of memory");

	if (f && fclose(f) && !ret)
		ret = error_set(err, "out of memory");
	if (!ret && config_parse(text, size, "neutron", &back, &errors))
		ret = error_set(err, "what Neutron has makes no valid definitions: %s",
				errors.list.v[0]);
	config_errors_free(&errors);
	return ret;
}

static int make(struct neutron_session *s, const struct inventory *inv, struct model *out,
		struct neutron_findings *findings, struct error *err)
{
	json_t *names = json_deep_copy(s->noted.names);

	s->fault = IMPORT_REFUSED;
	if (neutron_definitions(inv, s->host, names, out, findings, err)) {
		json_decref(names);
		return -1;
	}
	if (check(out, err) == 0) {
		json_decref(s->noted.names);
		s->noted.names = names;
		return 0;
	}
	json_decref(names);
	model_free(out);
	memset(out, 0, sizeof(*out));
	return -1;
}

/* With OVN, what is missing of sidecars is made first, and read then. */
static int read_all(struct neutron_session *s, struct inventory *inv, uint64_t *sum,
		    struct error *err)
{
	inv->ovn = s->ovn;
	inv->ovn_ends = s->ovn_ends;
	if (neutron_read(s->client, s->host, inv, sum, err))
		return -1;
	if (!s->ovn || s->ovn_ends)
		return 0;
	s->fault = IMPORT_SIDECARS;
	s->work.wrote = false;
	if (sidecars_make(s->client, inv, s->host, &s->work, err))
		return -1;
	s->fault = IMPORT_READ;
	if (!s->work.wrote)
		return 0;
	inventory_free(inv);
	*inv = (struct inventory){ .ovn = true };
	return neutron_read(s->client, s->host, inv, sum, err);
}

int neutron_model(struct neutron_session *s, struct model *out, struct neutron_findings *findings,
		  struct error *err)
{
	struct inventory inv = { 0 };
	uint64_t sum;

	memset(out, 0, sizeof(*out));
	s->fault = IMPORT_READ;
	if ((s->together && together_learn(s, err)) || read_all(s, &inv, &sum, err) ||
	    make(s, &inv, out, findings, err)) {
		inventory_free(&inv);
		return -1;
	}
	inventory_free(&s->known);
	s->known = inv;
	s->sum = sum;
	s->is_known = true;
	return 0;
}

int neutron_changed(struct neutron_session *s, struct error *err)
{
	uint64_t sum;

	if (!s->is_known)
		return 1;
	if (neutron_poll(s->client, s->host, &s->known, &sum, err))
		return -1;
	return sum != s->sum;
}

/* The first failure, and how many more there are; 0: there was none. They are forgotten. */
static int take_failures(struct sidecar_work *w, struct error *err)
{
	size_t n = w->failures.n;

	if (n > 1)
		error_set(err, "%s (and %zu more %s failed)", w->failures.v[0], n - 1,
			  plural(n - 1, "sidecar", "sidecars"));
	else if (n)
		error_set(err, "%s", w->failures.v[0]);
	vec_each (text, &w->failures)
		free(*text);
	w->failures.n = 0;
	return n ? -1 : 0;
}

int neutron_tidy(struct neutron_session *s, void (*say)(const char *line, void *arg), void *arg,
		 struct error *err)
{
	struct sidecar_work *w = &s->work;
	int ret = 0;

	if (s->ovn)
		ret = sidecars_remove(s->client, &s->known, s->host, w, err);
	vec_each (line, &w->lines) {
		say(*line, arg);
		free(*line);
	}
	w->lines.n = 0;
	return ret ? ret : take_failures(w, err);
}

bool neutron_is_together(const struct neutron_session *s)
{
	return s->together;
}

int neutron_apply_for_all(struct neutron_session *s, const struct settings *settings,
			  struct model *will, bool all, bool dry_run, struct outcome *out,
			  struct error *err)
{
	bool loss = false;
	int ret = together_apply(settings, will, all, dry_run, &loss, out, err);

	s->fault = loss ? IMPORT_LOSS : IMPORT_REFUSED;
	return ret;
}

int neutron_note(struct neutron_session *s, const char *state, struct neutron_findings *findings,
		 struct error *err)
{
	struct imported *im = &s->noted;

	vec_each (text, &im->findings)
		free(*text);
	vec_free(&im->findings);
	if (findings) {
		memcpy(&im->findings, &findings->list, sizeof(im->findings));
		*findings = (struct neutron_findings){ 0 };
	}
	im->read_at = time(NULL);
	im->failing_since = 0;
	free(im->failing);
	im->failing = NULL;
	return imported_write(state, im, err);
}

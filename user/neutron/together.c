/* SPDX-License-Identifier: GPL-2.0-only */
#include "neutron/together.h"

#include "change/cluster_change.h"
#include "change/plan_text.h"

#ifndef TN_WITHOUT_CLUSTER

int together_is(const struct settings *settings, struct error *err)
{
	_cleanup_session_ struct session s = { 0 };

	return cluster_session(settings, &s, err);
}

int together_learn(struct neutron_session *s, struct error *err)
{
	static const char begins[] = "qrouter-";
	_cleanup_session_ struct session cluster = { 0 };
	_cleanup_model_ struct model had = { 0 };
	json_t *names = s->noted.names;

	if (cluster_session(s->settings, &cluster, err) <= 0 || cluster_had(&cluster, &had, err))
		return -1;
	vec_each (t, &had.tenants) {
		const struct router *r = tenant_router(t);

		if (r && r->netns && strncmp(r->netns, begins, strlen(begins)) == 0)
			json_object_set_new(names, r->netns + strlen(begins), json_string(t->name));
	}
	return 0;
}

int together_turn(struct neutron_session *s, const struct settings *settings, struct error *err)
{
	_cleanup_session_ struct session cluster = { 0 };
	bool did = s->actor.acts;
	int ret = cluster_session(settings, &cluster, err);

	if (ret == 0)
		return error_set(err, "this host is in no cluster any more");
	ret = ret < 0 ? -1 : actor_turn(&s->actor, &cluster.m, "neutron", err);
	/* what another one has read is not known here */
	if (ret > 0 && !did)
		s->is_known = false;
	return ret;
}

void together_end(struct neutron_session *s)
{
	actor_end(&s->actor);
}

static int converge(struct session *cluster, const struct settings *settings, struct outcome *out,
		    struct error *err)
{
	const struct change_how how = { .partial = true };
	_cleanup_outcome_ struct outcome here = { 0 };
	int ret = cluster_converge(cluster, settings, &how, &here, err);

	/* somebody is at the next change already, and the agent does it then */
	if (ret > 0)
		*err = (struct error){ 0 };
	if (ret < 0)
		return error_prefix(err, "the cluster has the new definitions, but this host could "
					 "not be made so");
	memcpy(&out->failed, &here.failed, sizeof(out->failed));
	memset(&here.failed, 0, sizeof(here.failed));
	return 0;
}

static int apply(struct session *cluster, const struct settings *settings, struct change *c,
		 bool all, bool dry_run, bool *loss, struct outcome *out, struct error *err)
{
	_cleanup_entries_ struct entries will = { 0 };
	char text[CHANGE_LOSS];
	int ret;

	if (cluster_had(cluster, &c->had, err) ||
	    cluster_complete(settings, cluster, &c->will, &c->had, err))
		return -1;
	model_keep_zone(&c->will, &c->had);
	change_loss(c, text);
	*loss = *text && !all && !dry_run;
	if (*loss)
		return error_set(err,
				 "%s, so nothing is changed; if that is meant, run `tenantnat "
				 "neutron --once --yes`",
				 text);
	out->text.keep = settings->all_lines ? 0 : HISTORY_LINES_MAX;
	cluster_describe(&c->had, &c->will, &out->text);
	if (dry_run || !out->text.lines.n)
		return 0;
	if (keys_write(&c->will, &will, err))
		return -1;
	ret = cluster_commit(cluster, settings, &will, true, &out->text, err);
	return ret ? ret : converge(cluster, settings, out, err);
}

int together_apply(const struct settings *settings, struct model *will, bool all, bool dry_run,
		   bool *loss, struct outcome *out, struct error *err)
{
	_cleanup_session_ struct session cluster = { 0 };
	struct change c = { .will = *will };
	int ret = cluster_session(settings, &cluster, err);

	*will = (struct model){ 0 };
	if (ret == 0)
		ret = error_set(err, "this host is in no cluster any more");
	else if (ret > 0)
		ret = apply(&cluster, settings, &c, all, dry_run, loss, out, err);
	model_free(&c.had);
	model_free(&c.will);
	return ret;
}

#endif

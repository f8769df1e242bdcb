/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Neutron on a host of a cluster: the definitions are for all hosts, and one of these follows
 * Neutron for all.
 */
#ifndef TN_NEUTRON_TOGETHER_H
#define TN_NEUTRON_TOGETHER_H

#include "change/change.h"
#include "neutron/session.h"

#ifndef TN_WITHOUT_CLUSTER

/* Whether this host is in a cluster; -1: it cannot be told. */
int together_is(const struct settings *settings, struct error *err);

/* The names that tenants have in the cluster, into what is noted of them. */
int together_learn(struct neutron_session *s, struct error *err);

/* Whether it is this host that follows: 1; 0: another one does. */
int together_turn(struct neutron_session *s, const struct settings *settings, struct error *err);
void together_end(struct neutron_session *s);

/*
 * Make the cluster's definitions `will`, which becomes empty, and this host what they say. `loss`:
 * when most mappings would go, it is set and nothing is changed, unless `all` are to go. `out` has
 * the lines of all hosts. 1: somebody else was faster, and the error says so.
 */
int together_apply(const struct settings *settings, struct model *will, bool all, bool dry_run,
		   bool *loss, struct outcome *out, struct error *err);

#else

static inline int together_is(const struct settings *settings, struct error *err)
{
	(void)settings, (void)err;
	return 0;
}

static inline int together_learn(struct neutron_session *s, struct error *err)
{
	(void)s, (void)err;
	return 0;
}

static inline int together_turn(struct neutron_session *s, const struct settings *settings,
				struct error *err)
{
	(void)s, (void)settings, (void)err;
	return 1;
}

static inline void together_end(struct neutron_session *s)
{
	(void)s;
}

static inline int together_apply(const struct settings *settings, struct model *will, bool all,
				 bool dry_run, bool *loss, struct outcome *out, struct error *err)
{
	(void)settings, (void)will, (void)all, (void)dry_run, (void)loss, (void)out, (void)err;
	return -1;
}

#endif
#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* From a cloud's API to definitions: the whole way, once or again and again. */
#ifndef TN_NEUTRON_H
#define TN_NEUTRON_H

#include "lib/settings.h"
#include "neutron/definitions.h"

/* Where to ask, and for whom. All may be NULL. */
struct neutron_source {
	const char *cloud; /* of clouds.yaml: see cloud_find() */
	const char *url;   /* of Neutron, without Keystone */
	const char *host;  /* what Neutron calls this one; NULL: its host name */
	bool ovn;	   /* routers are OVN's: see sidecar.h */
	bool ovn_ends;	   /* with `ovn`: the sidecars of this host go */
	bool only_looks;   /* nothing is written to Neutron, only said */
};

struct outcome;

/* With a cloud: its token, and what was read of it last. */
struct neutron_session;

/* What following has done, for whoever prints it. */
typedef void (*neutron_say)(const struct outcome *done, void *arg);

#ifndef TN_WITHOUT_NEUTRON

#define NEUTRON_HELP ""

/*
 * Nothing is sent yet; the texts of `from`, and the settings, are borrowed. What was noted in the
 * state is known (see imported.h). NULL: an error is set.
 */
struct neutron_session *neutron_begin(const struct neutron_source *from,
				      const struct settings *settings, struct error *err);
void neutron_end(struct neutron_session *session);

/*
 * Read all. The definitions are the caller's to free, and pass the checks of a file. Findings are
 * added. -1: an error is set, *out is empty, and what was read before is still known.
 */
int neutron_model(struct neutron_session *session, struct model *out,
		  struct neutron_findings *findings, struct error *err);

/* 1: Neutron has something else than what was read last, or nothing was read yet; 0: the same. */
int neutron_changed(struct neutron_session *session, struct error *err);

/*
 * With OVN, when the definitions are in force: remove sidecars that are not to be there. What was
 * done about sidecars, or would be, is handed to `say`, a line each. -1: something of it failed, or
 * making one did before: the error says what, and the next call tries again.
 */
int neutron_tidy(struct neutron_session *session, void (*say)(const char *line, void *arg),
		 void *arg, struct error *err);

/*
 * Note in the state that this is in force, with what was found on the way, which becomes empty.
 */
int neutron_note(struct neutron_session *session, const char *state,
		 struct neutron_findings *findings, struct error *err);

/*
 * In a cluster: put in force what Neutron says, for all hosts. `will` becomes empty. `all`: also if
 * most mappings go. 1: somebody else was faster, and the error says so.
 */
int neutron_apply_for_all(struct neutron_session *session, const struct settings *settings,
			  struct model *will, bool all, bool dry_run, struct outcome *out,
			  struct error *err);
/* Whether this host is in a cluster, so that definitions are for all hosts. */
bool neutron_is_together(const struct neutron_session *session);

/*
 * Apply what Neutron says, and whatever it says next, until interrupted. What fails is said once,
 * changes nothing, and is tried again, later each time; what is done is said by `say`. -1: it did
 * not begin, with an error.
 */
int neutron_follow(struct neutron_session *session, const struct settings *settings,
		   neutron_say say, void *arg, struct error *err);

#else /* make NEUTRON=no: without the rest of this folder */

#define NEUTRON_HELP "\n(not in this build: NEUTRON=no)"

static inline struct neutron_session *
neutron_begin(const struct neutron_source *from, const struct settings *settings, struct error *err)
{
	(void)from, (void)settings;
	error_usage(err, "this build cannot ask Neutron: it was made with NEUTRON=no");
	return NULL;
}

static inline void neutron_end(struct neutron_session *session)
{
	(void)session;
}

static inline int neutron_model(struct neutron_session *session, struct model *out,
				struct neutron_findings *findings, struct error *err)
{
	(void)session, (void)out, (void)findings, (void)err;
	return -1;
}

static inline int neutron_tidy(struct neutron_session *session,
			       void (*say)(const char *line, void *arg), void *arg,
			       struct error *err)
{
	(void)session, (void)say, (void)arg, (void)err;
	return -1;
}

static inline int neutron_note(struct neutron_session *session, const char *state,
			       struct neutron_findings *findings, struct error *err)
{
	(void)session, (void)state, (void)findings, (void)err;
	return -1;
}

static inline int neutron_apply_for_all(struct neutron_session *session,
					const struct settings *settings, struct model *will,
					bool all, bool dry_run, struct outcome *out,
					struct error *err)
{
	(void)session, (void)settings, (void)will, (void)all, (void)dry_run, (void)out, (void)err;
	return -1;
}

static inline bool neutron_is_together(const struct neutron_session *session)
{
	(void)session;
	return false;
}

static inline int neutron_follow(struct neutron_session *session, const struct settings *settings,
				 neutron_say say, void *arg, struct error *err)
{
	(void)session, (void)settings, (void)say, (void)arg, (void)err;
	return -1;
}

#endif

static inline void neutron_end_cleanup(struct neutron_session **session)
{
	neutron_end(*session);
}
#define _cleanup_neutron_session_ _cleanup_(neutron_end_cleanup)

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* Following Neutron: a poll every few seconds, and all of it when something has changed. */
#include <poll.h>
#include <time.h>

#include "change/cluster_change.h"
#include "lib/clock.h"
#include "lib/interrupt.h"
#include "lib/log.h"
#include "neutron/session.h"
#include "neutron/together.h"

#define POLL_MS 3000
/* What no revision tells, and what was missed. */
#define READ_MS (5 * 60 * 1000)
/* What has failed is tried again after a poll's time, twice that, and so on up to this. */
#define RETRY_MS 60000
/* How often it is noted that all is as it was. */
#define NOTE_MS 30000

/* What does not work, for as long as it lasts. */
struct trouble {
	char *text;	    /* what was said of it; NULL: all is well */
	unsigned int times; /* in a row */
};

struct following {
	struct neutron_session *session;
	const struct settings *settings;
	neutron_say say;
	void *arg;
	struct trouble neutron;	 /* it cannot be read, or its definitions not be applied */
	enum import_fault fault; /* which of them it is */
	struct trouble routers;	 /* some cannot be joined; the others are */
	struct trouble sidecars; /* with OVN: some cannot be made or removed */
	uint64_t sidecars_at;	 /* then that is tried again */
	uint64_t read_at;	 /* then all is read, whatever the polls say */
	uint64_t retry_at;	 /* then those routers are tried again */
	uint64_t note_at;	 /* then it is noted that all is well, if not before */
};

static void trouble_note(struct trouble *t, const char *text)
{
	t->times++;
	if (t->text && strcmp(t->text, text) == 0)
		return;
	log_warning("%s", text);
	free(t->text);
	t->text = xstrdup(text);
}

static void trouble_over(struct trouble *t, const char *what)
{
	if (t->text)
		log_notice("in order again: %s", what);
	free(t->text);
	*t = (struct trouble){ 0 };
}

/* A poll's time, twice that, and so on. */
static uint64_t retry_ms(const struct trouble *t)
{
	uint64_t ms = POLL_MS;

	for (unsigned int i = 1; i < t->times && ms < RETRY_MS; i++)
		ms *= 2;
	return ms < RETRY_MS ? ms : RETRY_MS;
}

/* Each for as long as it lasts. */
static void say_findings(const struct following *f, const struct neutron_findings *now)
{
	vec_each (text, &now->list) {
		bool known = false;

		vec_each (old, &f->session->noted.findings)
			known |= strcmp(*old, *text) == 0;
		if (!known)
			log_warning("%s", *text);
	}
}

/* Nobody is there to be asked. */
static int check_loss(struct following *f, struct change *c, struct error *err)
{
	char text[CHANGE_LOSS];

	change_loss(c, text);
	if (!*text)
		return 0;
	f->fault = IMPORT_LOSS;
	return error_set(err,
			 "%s, so nothing is changed; if that is meant, run `tenantnat neutron "
			 "--once --yes`",
			 text);
}

/* Their namespaces may come, as `restore` and the agent have it, too. */
static void note_routers(struct following *f, const struct failures *failed)
{
	struct error err = { 0 };
	size_t more;

	if (!failed->list.n) {
		trouble_over(&f->routers, "all routers are joined");
		return;
	}
	more = failed->list.n - 1;
	error_set(&err, "%s", failed->list.v->text);
	if (more)
		error_prefix(&err, "%zu more %s cannot be joined", more,
			     plural(more, "router", "routers"));
	trouble_note(&f->routers, err.text);
	f->retry_at = clock_ms() + retry_ms(&f->routers);
}

/* The same for all hosts of the cluster. */
static int apply_for_all(struct following *f, struct model *will, struct error *err)
{
	_cleanup_outcome_ struct outcome done = { 0 };
	int ret = neutron_apply_for_all(f->session, f->settings, will, false, false, &done, err);

	if (ret) {
		f->fault = f->session->fault;
		return -1;
	}
	if (done.text.lines.n)
		f->say(&done, f->arg);
	return 0;
}

static int apply(struct following *f, struct model *will, struct error *err)
{
	const struct change_how how = { .partial = true };
	_cleanup_outcome_ struct outcome done = { 0 };
	_cleanup_change_ struct change c = { 0 };

	if (f->session->together)
		return apply_for_all(f, will, err);
	if (change_begin(f->settings, STORE_WRITE, will, &c, err))
		return -1;
	model_keep_zone(&c.will, &c.had);
	if (check_loss(f, &c, err) || change_make(&c, &how, &done, err))
		return -1;
	if (done.text.lines.n)
		f->say(&done, f->arg);
	note_routers(f, &done.failed);
	return 0;
}

/* That it cannot be written down is no trouble of the routers. */
static void write_note(struct following *f)
{
	struct error ignored = { 0 };

	imported_write(f->settings->state, &f->session->noted, &ignored);
	f->note_at = clock_ms() + NOTE_MS;
}

static void note(struct following *f, struct neutron_findings *findings)
{
	struct error ignored = { 0 };

	neutron_note(f->session, f->settings->state, findings, &ignored);
	f->note_at = clock_ms() + NOTE_MS;
}

static void note_unchanged(struct following *f)
{
	f->session->noted.read_at = time(NULL);
	write_note(f);
}

static void say_line(const char *line, void *arg)
{
	(void)arg;
	log_notice("%s", line);
}

/* Those that are there keep their traffic. */
static void tidy(struct following *f)
{
	struct imported *im = &f->session->noted;
	struct error err = { 0 };

	if (neutron_tidy(f->session, say_line, NULL, &err) == 0) {
		trouble_over(&f->sidecars, "the sidecars are as they should be");
		return;
	}
	if (interrupt_is_noted())
		return;
	trouble_note(&f->sidecars, err.text);
	im->failures[IMPORT_SIDECARS]++;
	f->sidecars_at = clock_ms() + retry_ms(&f->sidecars);
}

static int read_and_apply(struct following *f, struct error *err)
{
	_cleanup_neutron_findings_ struct neutron_findings findings = { 0 };
	_cleanup_model_ struct model will = { 0 };

	if (neutron_model(f->session, &will, &findings, err)) {
		f->fault = f->session->fault;
		return -1;
	}
	say_findings(f, &findings);
	f->read_at = clock_ms() + READ_MS;
	f->fault = IMPORT_REFUSED;
	if (apply(f, &will, err))
		return -1;
	tidy(f);
	note(f, &findings);
	return 0;
}

/* What has failed may have been put right without a change in Neutron. */
static bool is_due(const struct following *f)
{
	return f->neutron.text || clock_left(f->read_at) == 0 ||
	       (f->routers.text && clock_left(f->retry_at) == 0) ||
	       (f->sidecars.text && clock_left(f->sidecars_at) == 0) ||
	       (f->session->ovn && sidecar_is_missing(&f->session->known, f->session->host) &&
		!f->sidecars.text);
}

static void fail(struct following *f, const struct error *why)
{
	struct imported *im = &f->session->noted;

	if (interrupt_is_noted())
		return;
	trouble_note(&f->neutron, why->text);
	im->failures[f->fault]++;
	im->failing_since = im->failing_since ? im->failing_since : time(NULL);
	free(im->failing);
	im->failing = xstrdup(why->text);
	write_note(f);
}

/* In a cluster one host follows for all. What another one does is not noted here. */
static bool is_our_turn(struct following *f, struct error *err)
{
	struct neutron_session *s = f->session;
	bool did = s->actor.acts;
	int ret = s->together ? together_turn(s, f->settings, err) : 1;

	if (ret == 0 && did)
		log_notice("another host of the cluster follows Neutron now");
	if (ret == 0)
		imported_forget(f->settings->state);
	return ret > 0;
}

static void step(struct following *f)
{
	struct error err = { 0 };
	int ret;

	f->fault = IMPORT_READ;
	if (!is_our_turn(f, &err)) {
		if (err.set)
			fail(f, &err);
		return;
	}
	ret = is_due(f) ? 1 : neutron_changed(f->session, &err);
	if (ret == 0 && clock_left(f->note_at) == 0)
		note_unchanged(f);
	if (ret > 0)
		ret = read_and_apply(f, &err);
	if (ret)
		fail(f, &err);
	else
		trouble_over(&f->neutron, "Neutron is followed");
}

int neutron_follow(struct neutron_session *session, const struct settings *settings,
		   neutron_say say, void *arg, struct error *err)
{
	struct following f = { .session = session, .settings = settings, .say = say, .arg = arg };

	(void)err;
	/* what was found before is said once more, by this process */
	vec_each (text, &session->noted.findings)
		free(*text);
	vec_free(&session->noted.findings);
	interrupt_catch();
	while (!interrupt_is_noted()) {
		struct pollfd stop = { .fd = interrupt_fd(), .events = POLLIN };

		step(&f);
		if (!interrupt_is_noted())
			poll(&stop, 1, (int)retry_ms(&f.neutron));
	}
	free(f.neutron.text);
	free(f.routers.text);
	free(f.sidecars.text);
	return 0;
}

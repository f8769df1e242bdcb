// SPDX-License-Identifier: GPL-2.0-only
#include "cluster/election.h"

#include <string.h>

static void seat_clear(struct seat *s)
{
	free(s->tenant);
	free(s->holder);
}

void election_free(struct election *e)
{
	vec_each (s, &e->seats)
		seat_clear(s);
	vec_free(&e->seats);
}

struct seat *election_seat(struct election *e, const char *tenant)
{
	struct seat *new;

	vec_each (s, &e->seats) {
		if (strcmp(s->tenant, tenant) == 0)
			return s;
	}
	new = vec_push(&e->seats);
	*new = (struct seat){ .tenant = xstrdup(tenant) };
	/* what its key is, nobody has asked for yet */
	e->has_read = false;
	return new;
}

static bool is_ours(const struct seat *s)
{
	return s->key == SEAT_OURS || s->key == SEAT_LEAVING;
}

void election_tidy(struct election *e)
{
	size_t n = 0;

	vec_each (s, &e->seats) {
		if (s->defined || s->active || is_ours(s))
			e->seats.v[n++] = *s;
		else
			seat_clear(s);
	}
	e->seats.n = n;
}

/* ---------------------------------------------------------------- what is to be done */

static bool is_granted(const struct election *e, uint64_t now)
{
	return e->lease && now < e->until;
}

static bool is_entitled(const struct election *e, const struct seat *s, uint64_t now)
{
	return s->wanted && s->key == SEAT_OURS && is_granted(e, now);
}

static bool is_step_for(const struct election *e, const struct seat *s, enum election_step step,
			uint64_t now)
{
	switch (step) {
	case STEP_STOP:
		return s->active && !is_entitled(e, s, now);
	case STEP_START:
		return is_entitled(e, s, now) && (!s->active || s->until < e->until);
	case STEP_RELEASE:
		return !s->active &&
		       (s->key == SEAT_LEAVING || (s->key == SEAT_OURS && !s->wanted));
	case STEP_CLAIM:
		return s->wanted && s->key == SEAT_FREE && is_granted(e, now) && now >= s->after;
	default:
		return false;
	}
}

static struct seat *find(const struct election *e, enum election_step step, uint64_t now)
{
	vec_each (s, &e->seats) {
		if (is_step_for(e, s, step, now))
			return s;
	}
	return NULL;
}

/*
 * What is here comes before what is asked of etcd, which may take its time to answer. To read comes
 * first of that: by it, etcd is known to be what it was.
 */
enum election_step election_next(struct election *e, uint64_t now, struct seat **seat)
{
	if ((*seat = find(e, STEP_STOP, now)))
		return STEP_STOP;
	if ((*seat = find(e, STEP_START, now)))
		return STEP_START;
	if (now < e->ask_at)
		return STEP_NONE;
	if (!e->seats.n)
		return STEP_NONE;
	if (!e->has_read)
		return STEP_READ;
	if (!e->lease)
		return STEP_GRANT;
	if (now >= e->keep_at)
		return STEP_KEEP;
	if ((*seat = find(e, STEP_RELEASE, now))) {
		(*seat)->key = SEAT_LEAVING;
		return STEP_RELEASE;
	}
	*seat = find(e, STEP_CLAIM, now);
	return *seat ? STEP_CLAIM : STEP_NONE;
}

static void sooner(uint64_t *due, uint64_t at)
{
	if (at < *due)
		*due = at;
}

uint64_t election_due(const struct election *e)
{
	uint64_t due = e->ask_at;

	if (!e->seats.n)
		return UINT64_MAX;
	if (e->lease && e->has_read && e->keep_at > due)
		due = e->keep_at;
	vec_each (s, &e->seats) {
		if (s->active)
			sooner(&due, e->until);
		if (s->wanted && s->key == SEAT_FREE && s->after > e->ask_at)
			sooner(&due, s->after);
	}
	return due;
}

/* ---------------------------------------------------------------- what came of it */

void election_stopped(struct seat *seat)
{
	seat->active = false;
}

void election_started(struct seat *seat, uint64_t until)
{
	seat->active = true;
	seat->until = until;
}

void election_spoiled(struct seat *seat, uint64_t now)
{
	seat->key = SEAT_LEAVING;
	seat->after = now + ELECTION_SPOILED;
}

static void hold(struct election *e, uint64_t sent)
{
	e->until = sent + ELECTION_HOLD(e->ttl);
	e->keep_at = sent + ELECTION_KEEP(e->ttl);
	e->ask_at = 0;
}

void election_granted(struct election *e, int64_t lease, uint64_t ttl, uint64_t sent)
{
	e->lease = lease;
	e->ttl = ttl;
	hold(e, sent);
}

void election_kept(struct election *e, uint64_t sent)
{
	hold(e, sent);
}

void election_expired(struct election *e)
{
	e->lease = 0;
	e->has_read = false;
	vec_each (s, &e->seats)
		s->key = SEAT_UNKNOWN;
}

static void say_holder(struct seat *s, const char *holder, int64_t since)
{
	free(s->holder);
	s->holder = holder ? xstrdup(holder) : NULL;
	s->since = since;
}

void election_claimed(struct seat *seat, int64_t revision, const char *host, int64_t since)
{
	seat->key = SEAT_OURS;
	seat->revision = revision;
	say_holder(seat, host, since);
}

void election_released(struct seat *seat, int64_t revision)
{
	seat->key = SEAT_FREE;
	seat->revision = revision;
	say_holder(seat, NULL, 0);
}

void election_failed(struct election *e, struct seat *seat, uint64_t now)
{
	e->has_read = false;
	e->ask_at = now + ELECTION_PAUSE;
	/* one that is to be given up stays so: the deletion may come late */
	if (seat && seat->key == SEAT_FREE)
		seat->key = SEAT_UNKNOWN;
}

/* ---------------------------------------------------------------- what is heard */

void election_hear(const struct election *e, struct seat *seat, const struct seat_news *news)
{
	seat->heard = true;
	/* it is known already, from our own change or from before */
	if (news->revision < seat->revision ||
	    (news->revision == seat->revision && seat->key != SEAT_UNKNOWN))
		return;
	seat->revision = news->revision;
	say_holder(seat, news->lease ? news->holder : NULL, news->since);
	if (!news->lease)
		seat->key = SEAT_FREE;
	else if (news->mine)
		seat->key = news->lease == e->lease ? SEAT_OURS : SEAT_LEAVING;
	else
		seat->key = SEAT_OTHERS;
}

void election_read_begin(struct election *e)
{
	vec_each (s, &e->seats)
		s->heard = false;
}

void election_read_end(struct election *e, int64_t revision)
{
	vec_each (s, &e->seats) {
		if (!s->heard && s->revision <= revision)
			election_released(s, revision);
	}
	e->has_read = true;
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>

#include "../fixture.h"
#include "cluster/election.h"

/* ------------------------------------------------------------ single steps */

static enum election_step next(struct election *e, uint64_t now)
{
	struct seat *seat;

	return election_next(e, now, &seat);
}

static void hear(struct election *e, int64_t revision, int64_t lease, bool mine)
{
	struct seat_news news = {
		.revision = revision, .lease = lease, .mine = mine, .holder = mine ? "me" : "you"
	};

	election_hear(e, election_seat(e, "red"), &news);
}

/* That has a lease, has read that nobody has the key, and may have it. */
static struct seat *candidate(struct election *e)
{
	struct seat *red = election_seat(e, "red");

	red->wanted = true;
	cr_assert_eq(next(e, 90), STEP_READ);
	election_read_begin(e);
	election_read_end(e, 50);
	cr_assert_eq(next(e, 100), STEP_GRANT);
	election_granted(e, 7, 9000, 100);
	return red;
}

static struct seat *holder(struct election *e)
{
	struct seat *red = candidate(e);

	cr_assert_eq(next(e, 120), STEP_CLAIM);
	election_claimed(red, 51, "me", 1);
	cr_assert_eq(next(e, 130), STEP_START);
	election_started(red, e->until);
	cr_assert_eq(next(e, 140), STEP_NONE);
	return red;
}

Test(election, the_first_takes_it_and_keeps_it)
{
	struct election e = { 0 };
	struct seat *red = holder(&e);

	cr_expect_eq(e.until, 6100);
	cr_expect_eq(election_due(&e), 2100);
	hear(&e, 51, 7, true);
	cr_expect_eq(next(&e, 2099), STEP_NONE);
	cr_expect_eq(next(&e, 2100), STEP_KEEP);
	election_kept(&e, 2100);
	cr_expect_eq(next(&e, 2150), STEP_START, "what it is granted ends later now");
	election_started(red, e.until);
	cr_expect_eq(red->until, 8100);
	election_free(&e);
}

Test(election, who_hears_nothing_steps_down_by_time)
{
	struct election e = { 0 };
	struct seat *red = holder(&e);

	for (uint64_t now = 2100; now < 6100; now += 500) {
		cr_expect_eq(next(&e, now), now == 2100 ? STEP_KEEP : STEP_READ, "%lu", now);
		election_failed(&e, NULL, now);
	}
	cr_expect_eq(election_due(&e), 6100);
	cr_expect_eq(next(&e, 6099), STEP_NONE);
	cr_expect_eq(next(&e, 6100), STEP_STOP);
	election_stopped(red);
	/* it was there all the time: nobody else can have won */
	cr_expect_eq(next(&e, 6100), STEP_READ);
	election_read_begin(&e);
	hear(&e, 51, 7, true);
	election_read_end(&e, 60);
	cr_expect_eq(next(&e, 6100), STEP_KEEP);
	election_kept(&e, 6100);
	cr_expect_eq(next(&e, 6110), STEP_START);
	election_started(red, e.until);
	cr_expect_eq(next(&e, 6120), STEP_NONE);
	election_free(&e);
}

Test(election, without_the_lease_it_is_nobodys)
{
	struct election e = { 0 };
	struct seat *red = holder(&e);

	election_expired(&e);
	cr_expect_eq(next(&e, 200), STEP_STOP);
	election_stopped(red);
	cr_expect_eq(next(&e, 200), STEP_READ);
	/* under the lease of before, or of a process before this one */
	election_read_begin(&e);
	hear(&e, 51, 7, true);
	election_read_end(&e, 60);
	cr_expect_eq(next(&e, 210), STEP_GRANT);
	election_granted(&e, 8, 9000, 210);
	cr_expect_eq(next(&e, 220), STEP_RELEASE);
	cr_expect_eq(red->revision, 51);
	election_free(&e);
}

Test(election, who_is_not_in_order_gives_up_first)
{
	struct election e = { 0 };
	struct seat *red = holder(&e);

	red->wanted = false;
	cr_expect_eq(next(&e, 200), STEP_STOP);
	election_stopped(red);
	cr_expect_eq(next(&e, 200), STEP_RELEASE);
	election_failed(&e, red, 200);
	/* the deletion may still come: what is in order again has to wait for it */
	red->wanted = true;
	cr_expect_eq(next(&e, 700), STEP_READ);
	election_read_begin(&e);
	hear(&e, 51, 7, true);
	election_read_end(&e, 51);
	cr_expect_eq(next(&e, 710), STEP_RELEASE);
	election_released(red, 52);
	cr_expect_eq(next(&e, 720), STEP_CLAIM);
	election_free(&e);
}

Test(election, what_is_heard_late_changes_nothing)
{
	struct election e = { 0 };
	struct seat *red = holder(&e);

	hear(&e, 49, 3, false);
	hear(&e, 50, 0, false);
	cr_expect_eq(red->key, SEAT_OURS);
	hear(&e, 52, 0, false);
	cr_expect_eq(next(&e, 200), STEP_STOP, "somebody has deleted it");
	election_stopped(red);
	hear(&e, 53, 9, false);
	cr_expect_eq(next(&e, 210), STEP_NONE);
	cr_expect_str_eq(red->holder, "you");
	red->wanted = false;
	election_tidy(&e);
	cr_expect_eq(e.seats.n, 0);
	election_free(&e);
}

Test(election, who_cannot_be_active_lets_others_try)
{
	struct election e = { 0 };
	struct seat *red = holder(&e);

	election_spoiled(red, 200);
	cr_expect_eq(next(&e, 200), STEP_STOP);
	election_stopped(red);
	cr_expect_eq(next(&e, 200), STEP_RELEASE);
	election_released(red, 52);
	cr_expect_eq(next(&e, 210), STEP_NONE);
	election_kept(&e, 5000);
	cr_expect_eq(next(&e, 5199), STEP_NONE);
	cr_expect_eq(next(&e, 5200), STEP_CLAIM);
	election_free(&e);
}

/* ------------------------------------------------------------ a world of hosts */

/*
 * Hosts with clocks of their own, an etcd, and a network between them that loses and delays what
 * it likes, in both directions. Hosts are stopped for seconds at any moment, also between a
 * decision and what follows from it, and killed. What a host is granted ends by itself.
 */
enum { HOSTS = 3, TENANTS = 2, TICK = 10, TIMEOUT = 3000, CALM = 60000 };

static const char *const tenants[TENANTS] = { "red", "blue" };

struct lease {
	int64_t id;
	uint64_t ends; /* 0: it has */
};

struct kept {
	int64_t lease; /* 0: there is no such key */
	int64_t revision;
	int host;
};

struct event {
	uint64_t at;
	int tenant;
	struct kept kv;
};

/* A step that is being done, here or there; `at` 0: never. */
struct doing {
	enum election_step step;
	int host, tenant;
	int64_t lease, revision; /* of who asked */
	uint64_t sent;		 /* by the clock of the host */
	uint64_t until;		 /* the same */
	uint64_t at;		 /* when it is done */
	uint64_t answer;	 /* when the host hears of it */
	bool done, good;
	int64_t outcome; /* a revision, or a lease */
	struct kept read[TENANTS];
};

struct host {
	struct election e;
	uint64_t offset;
	uint64_t free_at; /* stopped until then */
	uint64_t born_at; /* 0: it lives */
	bool cut;
	bool has_doing;
	struct doing doing;
	size_t heard; /* events */
	bool watches;
	uint64_t granted[TENANTS]; /* by its clock; what the programs go by */
	bool wanted[TENANTS];
};

struct world {
	struct dice *dice;
	uint64_t now;
	int64_t revision;
	int64_t leases_given;
	VEC(struct lease) leases;
	struct kept keys[TENANTS];
	VEC(struct event) events;
	VEC(struct doing) flying; /* of hosts that did not wait for it */
	struct host hosts[HOSTS];
	size_t takeovers;
	int last[TENANTS];
	bool calm;
};

static uint64_t clock_of(const struct world *w, const struct host *h)
{
	return w->now + h->offset;
}

static int tenant_of(const struct seat *s)
{
	return strcmp(s->tenant, tenants[0]) == 0 ? 0 : 1;
}

static void happened(struct world *w, int tenant)
{
	*vec_push(&w->events) = (struct event){ w->now, tenant, w->keys[tenant] };
}

static struct lease *lease_of(struct world *w, int64_t id)
{
	vec_each (l, &w->leases) {
		if (l->id == id && l->ends)
			return l;
	}
	return NULL;
}

static void delete_key(struct world *w, int tenant)
{
	w->keys[tenant] = (struct kept){ .revision = ++w->revision };
	happened(w, tenant);
}

static void expire(struct world *w)
{
	vec_each (l, &w->leases) {
		if (!l->ends || w->now < l->ends)
			continue;
		l->ends = 0;
		for (int t = 0; t < TENANTS; t++) {
			if (w->keys[t].lease == l->id)
				delete_key(w, t);
		}
	}
}

static void do_in_etcd(struct world *w, struct doing *d)
{
	struct kept *key = &w->keys[d->tenant];
	struct lease *lease = lease_of(w, d->lease);

	d->done = true;
	switch (d->step) {
	case STEP_GRANT:
		d->outcome = ++w->leases_given;
		*vec_push(&w->leases) = (struct lease){ d->outcome, w->now + 9000 };
		d->good = true;
		break;
	case STEP_KEEP:
		d->good = lease != NULL;
		if (lease)
			lease->ends = w->now + 9000;
		break;
	case STEP_READ:
		memcpy(d->read, w->keys, sizeof(d->read));
		d->outcome = w->revision;
		d->good = true;
		break;
	case STEP_RELEASE:
		d->good = key->lease && key->revision == d->revision;
		if (d->good)
			delete_key(w, d->tenant);
		d->outcome = w->revision;
		break;
	case STEP_CLAIM:
		d->good = !key->lease && lease;
		if (d->good) {
			*key = (struct kept){ d->lease, ++w->revision, d->host };
			happened(w, d->tenant);
		}
		d->outcome = w->revision;
		break;
	default:
		break;
	}
}

static struct seat_news news_of(const struct kept *kv, int host)
{
	return (struct seat_news){ .revision = kv->revision,
				   .lease = kv->lease,
				   .mine = kv->lease && kv->host == host,
				   .holder = "some" };
}

static void take_answer(struct world *w, struct host *h, struct doing *d)
{
	struct seat *seat = election_seat(&h->e, tenants[d->tenant]);
	uint64_t now = clock_of(w, h);

	switch (d->step) {
	case STEP_GRANT:
		election_granted(&h->e, d->outcome, 9000, d->sent);
		return;
	case STEP_KEEP:
		if (d->good)
			election_kept(&h->e, d->sent);
		else
			election_expired(&h->e);
		return;
	case STEP_READ:
		election_read_begin(&h->e);
		for (int t = 0; t < TENANTS; t++) {
			struct seat_news news = news_of(&d->read[t], d->host);

			if (d->read[t].lease)
				election_hear(&h->e, election_seat(&h->e, tenants[t]), &news);
		}
		election_read_end(&h->e, d->outcome);
		for (h->heard = 0; h->heard < w->events.n; h->heard++) {
			if (w->events.v[h->heard].kv.revision > d->outcome)
				break;
		}
		h->watches = true;
		return;
	case STEP_RELEASE:
		if (d->good)
			election_released(seat, d->outcome);
		else
			election_failed(&h->e, seat, now);
		return;
	case STEP_CLAIM:
		if (d->good)
			election_claimed(seat, d->outcome, "some", 1);
		else
			election_failed(&h->e, seat, now);
		return;
	default:
		return;
	}
}

/* Mostly a little, seldom more than anybody waits for; in a calm, the former. */
static uint64_t some_time(struct world *w)
{
	if (w->calm || chance(w->dice, 90))
		return roll(w->dice, 40);
	return roll(w->dice, chance(w->dice, 70) ? 4000 : 20000);
}

static void begin_doing(struct world *w, int host, enum election_step step, struct seat *seat)
{
	struct host *h = &w->hosts[host];
	struct doing *d = &h->doing;

	h->has_doing = true;
	*d = (struct doing){ .step = step,
			     .host = host,
			     .tenant = seat ? tenant_of(seat) : 0,
			     .lease = h->e.lease,
			     .revision = seat ? seat->revision : 0,
			     .sent = clock_of(w, h),
			     .until = h->e.until };
	d->at = w->now + TICK + some_time(w);
	if (step == STEP_START || step == STEP_STOP) {
		d->answer = d->at;
		return;
	}
	d->answer = d->at + some_time(w);
	if (h->cut)
		d->at = 0;
	if (h->cut || (!w->calm && chance(w->dice, 3)))
		d->answer = 0;
}

static void do_here(struct world *w, struct host *h, struct doing *d)
{
	struct seat *seat = election_seat(&h->e, tenants[d->tenant]);

	if (d->step == STEP_STOP) {
		h->granted[d->tenant] = 0;
		election_stopped(seat);
	} else if (!w->calm && chance(w->dice, 3)) {
		election_spoiled(seat, clock_of(w, h));
	} else {
		h->granted[d->tenant] = d->until;
		election_started(seat, d->until);
	}
	h->has_doing = false;
}

static void go_on(struct world *w, struct host *h)
{
	struct doing *d = &h->doing;

	if (d->step == STEP_STOP || d->step == STEP_START) {
		if (w->now >= d->at)
			do_here(w, h, d);
		return;
	}
	if (d->done && d->answer && w->now >= d->answer) {
		take_answer(w, h, d);
		h->has_doing = false;
	} else if (clock_of(w, h) >= d->sent + TIMEOUT) {
		struct seat *seat = d->step == STEP_CLAIM || d->step == STEP_RELEASE
					    ? election_seat(&h->e, tenants[d->tenant])
					    : NULL;

		if (!d->done && d->at)
			*vec_push(&w->flying) = *d;
		election_failed(&h->e, seat, clock_of(w, h));
		h->watches = false;
		h->has_doing = false;
	}
}

static void hear_events(struct world *w, struct host *h, int host)
{
	while (h->watches && !h->cut && h->heard < w->events.n && chance(w->dice, 50)) {
		const struct event *ev = &w->events.v[h->heard++];
		struct seat_news news = news_of(&ev->kv, host);

		election_hear(&h->e, election_seat(&h->e, tenants[ev->tenant]), &news);
	}
}

static void kill_host(struct world *w, struct host *h)
{
	if (h->has_doing && !h->doing.done && h->doing.at)
		*vec_push(&w->flying) = h->doing;
	h->has_doing = h->watches = false;
	election_free(&h->e);
	h->e = (struct election){ 0 };
	h->born_at = w->now + 1 + roll(w->dice, 4000);
}

/* What the process does first: nothing is granted any more. */
static void bear_host(struct host *h)
{
	memset(h->granted, 0, sizeof(h->granted));
	h->born_at = 0;
}

static void want(struct host *h)
{
	for (int t = 0; t < TENANTS; t++) {
		if (h->wanted[t])
			election_seat(&h->e, tenants[t]);
	}
	vec_each (s, &h->e.seats)
		s->wanted = s->defined = h->wanted[tenant_of(s)];
	election_tidy(&h->e);
}

static void live(struct world *w, int host)
{
	struct host *h = &w->hosts[host];
	enum election_step step;
	struct seat *seat;

	if (h->has_doing && !h->doing.done && h->doing.at && w->now >= h->doing.at &&
	    h->doing.step > STEP_START)
		do_in_etcd(w, &h->doing);
	if (h->born_at && w->now >= h->born_at)
		bear_host(h);
	if (h->born_at || w->now < h->free_at)
		return;
	if (h->has_doing) {
		go_on(w, h);
		return;
	}
	hear_events(w, h, host);
	want(h);
	step = election_next(&h->e, clock_of(w, h), &seat);
	if (step != STEP_NONE)
		begin_doing(w, host, step, seat);
}

static void trouble(struct world *w)
{
	struct host *h = &w->hosts[roll(w->dice, HOSTS)];

	switch (roll(w->dice, 6)) {
	case 0:
		h->cut = !h->cut;
		break;
	case 1:
		h->free_at = w->now + roll(w->dice, 20000);
		break;
	case 2:
		if (!h->born_at)
			kill_host(w, h);
		break;
	case 3:
	case 4:
		h->wanted[roll(w->dice, TENANTS)] ^= true;
		break;
	default: /* another member of etcd leads: leases begin anew */
		vec_each (l, &w->leases)
			l->ends = l->ends ? w->now + 9000 : 0;
		break;
	}
}

/* Of each tenant one host at most, and how many have one. */
static size_t count_active(struct world *w, uint32_t seed)
{
	size_t all = 0;

	for (int t = 0; t < TENANTS; t++) {
		size_t n = 0;

		for (int i = 0; i < HOSTS; i++) {
			struct host *h = &w->hosts[i];

			if (h->granted[t] <= clock_of(w, h))
				continue;
			n++;
			w->takeovers += w->last[t] != i;
			w->last[t] = i;
		}
		cr_assert_leq(n, 1, "seed %u, at %lu: two hosts have %s", seed, w->now, tenants[t]);
		all += n;
	}
	return all;
}

static void tick(struct world *w, uint32_t seed)
{
	size_t n = 0;

	w->now += TICK;
	expire(w);
	for (size_t i = 0; i < w->flying.n; i++) {
		struct doing d = w->flying.v[i];

		if (w->now >= d.at)
			do_in_etcd(w, &d);
		else
			w->flying.v[n++] = d;
	}
	w->flying.n = n;
	for (int i = 0; i < HOSTS; i++)
		live(w, i);
	count_active(w, seed);
}

static size_t run_world(uint32_t seed, uint64_t ms)
{
	struct dice dice = { .state = seed };
	struct world w = { .dice = &dice, .now = 100000, .revision = 1 };
	size_t takeovers;

	for (int i = 0; i < HOSTS; i++) {
		w.hosts[i].offset = roll(&dice, 1000000);
		w.hosts[i].wanted[0] = w.hosts[i].wanted[1] = true;
	}
	for (uint64_t end = w.now + ms; w.now < end;) {
		if (roll(&dice, 200) == 0)
			trouble(&w);
		tick(&w, seed);
	}
	w.calm = true;
	for (int i = 0; i < HOSTS; i++) {
		w.hosts[i].cut = false;
		w.hosts[i].wanted[0] = w.hosts[i].wanted[1] = true;
	}
	for (uint64_t end = w.now + CALM; w.now < end;)
		tick(&w, seed);
	takeovers = w.takeovers;
	cr_assert_eq(count_active(&w, seed), TENANTS, "seed %u: nobody has one of them", seed);
	for (int i = 0; i < HOSTS; i++)
		election_free(&w.hosts[i].e);
	vec_free(&w.leases);
	vec_free(&w.events);
	vec_free(&w.flying);
	return takeovers;
}

Test(election, never_two_whatever_happens)
{
	size_t takeovers = 0;

	for (uint32_t seed = 1; seed <= 200; seed++)
		takeovers += run_world(seed, 600000);
	cr_expect_gt(takeovers, 2000, "%zu takeovers", takeovers);
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/ping_size.h"

enum { TRIES = 2, ROUNDS = 16 };

static bool is_searched(const struct ping_size *s)
{
	return s->fails - s->passes > 1;
}

/* What a router said passes, if it can be so, or else the middle. */
static uint32_t next_size(const struct ping_size *s)
{
	bool told = s->told > s->passes && s->told < s->fails;

	return told ? s->told : (s->passes + s->fails) / 2;
}

static void narrow(struct ping_size *s)
{
	const struct ping *one = &s->ping;

	if (one->mtu)
		s->told = one->mtu;
	if (!one->answered)
		s->fails = one->size;
	else
		s->passes = one->size;
	if (one->answered && one->size == s->told)
		s->fails = one->size + 1; /* no need to prove what a router said */
}

/* Those that are searched; gives how many. */
static size_t ask(struct pinger *p, struct ping_size *const *v, size_t n, bool whole,
		  unsigned int ms)
{
	VEC(struct ping *) pings = { 0 };
	VEC(struct ping_size *) asked = { 0 };
	size_t many;

	for (size_t i = 0; i < n; i++) {
		uint32_t size = whole ? v[i]->fails - 1 : next_size(v[i]);

		if (!is_searched(v[i]))
			continue;
		v[i]->ping =
			(struct ping){ .dst = v[i]->ping.dst, .src = v[i]->ping.src, .size = size };
		*vec_push(&pings) = &v[i]->ping;
		*vec_push(&asked) = v[i];
	}
	ping_all(p, pings.v, pings.n, TRIES, ms);
	vec_each (one, &asked)
		narrow(*one);
	many = asked.n;
	vec_free(&pings);
	vec_free(&asked);
	return many;
}

void ping_sizes(struct pinger *p, struct ping_size *const *v, size_t n, unsigned int ms)
{
	for (size_t i = 0; i < n; i++) {
		v[i]->fails = v[i]->passes + 1;
		v[i]->passes = PING_LEAST;
		v[i]->told = 0;
	}
	ask(p, v, n, true, 2 * ms);
	for (int round = 0; round < ROUNDS && ask(p, v, n, false, ms); round++)
		;
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/probe_path.h"

#include "lib/clock.h"

/* Milliseconds, and how often something is sent. */
enum { SIZE_MS = 200, SEARCH_MS = 100, SIZE_TRIES = 2, SEARCH_ROUNDS = 16 };
/* A host says once a second that a port is closed, when it has said so some times (Linux:
 * icmp_ratelimit). */
enum { UDP_MS = 200, UDP_TRIES = 2, RATE_LIMIT_MS = 1100 };

typedef bool peer_choice(const struct peer *peer);

static bool is_left(const struct peer *peer)
{
	return !peer->out;
}

/* What a router said passes, if it can be so, or else the middle. */
static uint32_t next_size(const struct peer *peer)
{
	bool told = peer->told > peer->passes && peer->told < peer->fails;

	return told ? peer->told : (peer->passes + peer->fails) / 2;
}

/* Each of those chosen anew, with the next size of its search when no size is given; gives how many
 * these are. */
static size_t ask_peers(struct probe_run *run, struct pinger *p, peer_choice *choice,
			const struct ping *how, unsigned int tries, unsigned int ms)
{
	VEC(struct ping *) pings = { 0 };
	size_t n;

	vec_each (peer, &run->peers) {
		if (peer->out || !choice(peer))
			continue;
		peer->ping = *how;
		peer->ping.dst = peer->host->addr;
		peer->ping.src = peer->src;
		if (!how->size)
			peer->ping.size = next_size(peer);
		*vec_push(&pings) = &peer->ping;
	}
	ping_all(p, pings.v, pings.n, tries, patient(run->in, ms));
	n = pings.n;
	vec_free(&pings);
	return n;
}

static void skip_peer(struct probe_run *run, enum probe probe, const struct peer *peer)
{
	findings_add(&run->found, probe, PROBE_SKIPPED, HOST(peer->host), "%s", peer->out);
}

static void say_ping(struct probe_run *run, struct peer *peer)
{
	const struct ping *one = &peer->ping;
	struct finding *f;

	if (one->answered) {
		findings_add(&run->found, PROBE_PING, PROBE_OK, HOST(peer->host), "it answers %s",
			     ADDR(&peer->src));
		return;
	}
	f = findings_add(&run->found, PROBE_PING, PROBE_FAILED, HOST(peer->host),
			 "expected an answer to ping from %s; seen: none%s%s", ADDR(&peer->src),
			 one->error ? ", nothing could be sent: " : "",
			 one->error ? strerror(one->error) : "");
	finding_remedy(f, "see whether its routes lead back to %s, and whether a filter drops ping",
		       ADDR(&peer->src));
	peer->out = "it does not answer ping";
}

/* ------------------------------------------------------------ MTU */

static bool is_searched(const struct peer *peer)
{
	return peer->fails - peer->passes > 1;
}

static void narrow(struct peer *peer)
{
	const struct ping *one = &peer->ping;

	if (one->mtu)
		peer->told = one->mtu;
	if (!one->answered)
		peer->fails = one->size;
	else
		peer->passes = one->size;
	if (one->answered && one->size == peer->told)
		peer->fails = one->size + 1; /* no need to prove what a router said */
}

static void probe_sizes(struct probe_run *run, struct pinger *p)
{
	struct ping whole = { .size = run->in->mtu }, any = { 0 };

	ask_peers(run, p, is_left, &whole, SIZE_TRIES, SIZE_MS);
	vec_each (peer, &run->peers) {
		peer->passes = PROBE_PING_SIZE;
		peer->fails = whole.size + 1;
		if (is_left(peer))
			narrow(peer);
	}
	for (int round = 0; round < SEARCH_ROUNDS; round++) {
		if (!ask_peers(run, p, is_searched, &any, SIZE_TRIES, SEARCH_MS))
			break;
		vec_each (peer, &run->peers) {
			if (is_left(peer) && is_searched(peer))
				narrow(peer);
		}
	}
}

static void say_mtu(struct probe_run *run, struct peer *peer)
{
	uint32_t mtu = run->in->mtu;
	char told[60] = "";
	struct finding *f;

	if (peer->passes == mtu) {
		findings_add(&run->found, PROBE_MTU, PROBE_OK, HOST(peer->host),
			     "packets of %u bytes pass", mtu);
		return;
	}
	if (peer->told)
		snprintf(told, sizeof(told), ", and an ICMP error that says %u", peer->told);
	f = findings_add(&run->found, PROBE_MTU, PROBE_FAILED, HOST(peer->host),
			 "expected packets of %u bytes to pass; seen: %u bytes at most%s", mtu,
			 peer->passes, told);
	finding_remedy(f,
		       "give all interfaces on the path the same MTU, or %s the smallest of them",
		       run->in->name);
}

/* ------------------------------------------------------------ checksums */

static bool is_suspect(const struct peer *peer)
{
	return peer->suspect;
}

static void say_checksum(struct probe_run *run, struct peer *peer)
{
	struct finding *f;

	if (!peer->suspect && peer->ping.answered) {
		findings_add(&run->found, PROBE_CHECKSUM, PROBE_OK, HOST(peer->host),
			     "it takes what %s sends, with offloads as they are", run->in->name);
	} else if (!peer->suspect) {
		findings_add(&run->found, PROBE_CHECKSUM, PROBE_SKIPPED, HOST(peer->host),
			     "it does not answer UDP to a closed port, whether tenantnat or the "
			     "interface makes the checksum; a filter drops it");
	} else {
		f = findings_add(&run->found, PROBE_CHECKSUM, PROBE_FAILED, HOST(peer->host),
				 "expected right checksums of what %s sends; seen: UDP is answered "
				 "when tenantnat makes the checksum, not when the interface does",
				 run->in->name);
		finding_remedy(f, "`ethtool -K %s tx off` in the router", run->in->name);
	}
}

/*
 * The peer's kernel verifies a checksum before it says that a port is closed. An answer that fails
 * to come may have been held back by a rate limit or a filter, so only one that comes to our own
 * checksum, and then again not to the interface's, is a failure.
 */
static void probe_checksums(struct probe_run *run, struct pinger *p)
{
	struct ping offloaded = { .kind = PING_UDP, .size = PROBE_PING_SIZE };
	struct ping summed = { .kind = PING_UDP_SUMMED, .size = PROBE_PING_SIZE };
	size_t suspects = 0;

	ask_peers(run, p, is_left, &offloaded, UDP_TRIES, UDP_MS);
	vec_each (peer, &run->peers)
		peer->suspect = is_left(peer) && !peer->ping.answered;
	ask_peers(run, p, is_suspect, &summed, UDP_TRIES, UDP_MS);
	vec_each (peer, &run->peers) {
		peer->suspect &= peer->ping.answered;
		suspects += peer->suspect;
	}
	if (!suspects)
		return;
	clock_sleep(RATE_LIMIT_MS);
	ask_peers(run, p, is_suspect, &offloaded, UDP_TRIES, UDP_MS);
	vec_each (peer, &run->peers)
		peer->suspect &= !peer->ping.answered;
}

/* ------------------------------------------------------------ all of it */

static void say_all(struct probe_run *run, enum probe probe,
		    void (*say)(struct probe_run *run, struct peer *peer))
{
	vec_each (peer, &run->peers) {
		if (peer->out)
			skip_peer(run, probe, peer);
		else
			say(run, peer);
	}
}

void probe_path(struct probe_run *run, struct pinger *p)
{
	struct ping small = { .size = PROBE_PING_SIZE };

	ask_peers(run, p, is_left, &small, PROBE_PING_TRIES, PROBE_PING_MS);
	say_all(run, PROBE_PING, say_ping);
	probe_sizes(run, p);
	say_all(run, PROBE_MTU, say_mtu);
	probe_checksums(run, p);
	say_all(run, PROBE_CHECKSUM, say_checksum);
}

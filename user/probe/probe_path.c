/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/probe_path.h"

#include "lib/clock.h"

/* Milliseconds, and how often something is sent. */
/* A host says once a second that a port is closed, when it has said so some times (Linux:
 * icmp_ratelimit). */
enum { UDP_MS = 200, UDP_TRIES = 2, RATE_LIMIT_MS = 1100 };

typedef bool peer_choice(const struct peer *peer);

static bool is_left(const struct peer *peer)
{
	return !peer->out;
}

/* Each of those chosen anew. */
static void ask_peers(struct probe_run *run, struct pinger *p, peer_choice *choice,
		      const struct ping *how, unsigned int tries, unsigned int ms)
{
	VEC(struct ping *) pings = { 0 };

	vec_each (peer, &run->peers) {
		if (peer->out || !choice(peer))
			continue;
		peer->ping = *how;
		peer->ping.dst = peer->host->addr;
		peer->ping.src = peer->src;
		*vec_push(&pings) = &peer->ping;
	}
	ping_all(p, pings.v, pings.n, tries, patient(run->in, ms));
	vec_free(&pings);
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

static void probe_sizes(struct probe_run *run, struct pinger *p)
{
	VEC(struct ping_size *) sizes = { 0 };

	vec_each (peer, &run->peers) {
		peer->size =
			(struct ping_size){ .ping = { .dst = peer->host->addr, .src = peer->src },
					    .passes = run->in->mtu };
		if (is_left(peer))
			*vec_push(&sizes) = &peer->size;
	}
	ping_sizes(p, sizes.v, sizes.n, patient(run->in, PROBE_SIZE_MS));
	vec_free(&sizes);
}

static void say_mtu(struct probe_run *run, struct peer *peer)
{
	uint32_t mtu = run->in->mtu;
	char told[60] = "";
	struct finding *f;

	if (peer->size.passes == mtu) {
		findings_add(&run->found, PROBE_MTU, PROBE_OK, HOST(peer->host),
			     "packets of %u bytes pass", mtu);
		return;
	}
	if (peer->size.told)
		snprintf(told, sizeof(told), ", and an ICMP error that says %u", peer->size.told);
	f = findings_add(&run->found, PROBE_MTU, PROBE_FAILED, HOST(peer->host),
			 "expected packets of %u bytes to pass; seen: %u bytes at most%s", mtu,
			 peer->size.passes, told);
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

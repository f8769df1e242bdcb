/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/probe_link.h"

#include "probe/probe_route.h"

/* The bits that two addresses of one family have in common; -1: they are of two. */
static int common_bits(const struct tn_addr *a, const struct tn_addr *b)
{
	struct prefix p = { .addr = *a, .len = 128 };

	if (addr_is_v4(a) != addr_is_v4(b))
		return -1;
	for (; p.len; p.len--) {
		struct tn_addr mask = prefix_mask(&p);

		for (int i = 0; i < 4; i++)
			p.addr.w[i] &= mask.w[i];
		if (prefix_has(&p, b))
			break;
	}
	return p.len;
}

/* Of several own addresses the nearest (RFC 6724, rule 8). Unset: none of that family. */
static struct tn_addr source_for(const struct probe_input *in, const struct tn_addr *to)
{
	struct tn_addr best = { 0 };
	int most = -1, bits;

	vec_each (own, &in->own) {
		bits = common_bits(own, to);
		if (bits > most) {
			most = bits;
			best = *own;
		}
	}
	return best;
}

static void query_duplicates(struct probe_run *run, const struct tn_addr *v, size_t n)
{
	for (size_t i = 0; i < n && run->duplicates < run->in->duplicates_max;
	     i++, run->duplicates++)
		*vec_push(&run->queries.list) = (struct neigh_query){ .target = v[i] };
}

static void query_peer(struct probe_run *run, const struct probe_host *host)
{
	struct peer *peer = vec_push(&run->peers);
	struct next_hop next_hop;

	peer->host = host;
	peer->query = -1;
	peer->src = source_for(run->in, &host->addr);
	if (addr_is_unset(&peer->src)) {
		peer->out = "the router has no address of that family on the shared network";
		return;
	}
	if (!probe_route(run, &host->addr, HOST(host), &next_hop)) {
		peer->out = "its route leads elsewhere";
		return;
	}
	findings_add(&run->found, PROBE_ROUTE, PROBE_OK, HOST(host), "%s", NEXT_HOP(&next_hop));
	if (!addr_is_unset(&next_hop.gateway))
		return;
	peer->query = (long)run->queries.list.n;
	*vec_push(&run->queries.list) =
		(struct neigh_query){ .target = host->addr, .sender = peer->src };
}

void probe_link_ask(struct probe_run *run)
{
	const struct probe_input *in = run->in;

	if (neigh_queries_open(&run->queries, in->ifindex, in->mac, &run->link_error))
		return;
	query_duplicates(run, in->own.v, in->own.n);
	query_duplicates(run, in->mapped.v, in->mapped.n);
	vec_each (host, &in->peers)
		query_peer(run, host);
	neigh_queries_send(&run->queries, &run->link_error);
}

static void say_count(struct probe_run *run, enum probe_result result, size_t n, const char *text)
{
	char subject[40];

	snprintf(subject, sizeof(subject), "%zu %s", n, plural(n, "address", "addresses"));
	if (n)
		findings_add(&run->found, PROBE_DUPLICATE, result, subject, "%s", text)->unasked =
			result == PROBE_SKIPPED;
}

void probe_judge_duplicates(struct probe_run *run)
{
	size_t all = run->in->own.n + run->in->mapped.n, clear = 0;
	struct finding *f;

	for (size_t i = 0; i < run->duplicates; i++) {
		const struct neigh_query *a = &run->queries.list.v[i];

		clear += !a->answered;
		if (!a->answered)
			continue;
		f = findings_add(&run->found, PROBE_DUPLICATE, PROBE_FAILED, ADDR(&a->target),
				 "expected no answer from others; seen: %s has it too",
				 MAC(a->mac));
		if (run->in->router && run->in->router->active == ACTIVE_ELECTED)
			finding_remedy(
				f, "two hosts have the router active, though the agents elect one "
				   "at a time: see who gave the address to the other");
		else if (run->in->router && run->in->router->active == ACTIVE_ADDRESS)
			finding_remedy(
				f, "two hosts have the router active, or one that is not of its "
				   "hosts has the address: see why what moves it (keepalived, "
				   "the L3 agent) gives it to both");
		else
			finding_remedy(f, "find the host with that MAC address, and take the "
					  "address from it");
	}
	say_count(run, PROBE_OK, clear, "no other host answers");
	say_count(run, PROBE_SKIPPED, all - run->duplicates,
		  "more than one run looks for; whether others have them is not known");
}

static void judge_neighbour(struct probe_run *run, struct peer *peer)
{
	const struct neigh_query *a = peer->query < 0 ? NULL : &run->queries.list.v[peer->query];
	struct finding *f;

	if (peer->out || !a) {
		findings_add(&run->found, PROBE_NEIGHBOUR, PROBE_SKIPPED, HOST(peer->host), "%s",
			     peer->out ? peer->out : "it is behind a gateway");
	} else if (a->answered) {
		findings_add(&run->found, PROBE_NEIGHBOUR, PROBE_OK, HOST(peer->host),
			     "it is at %s", MAC(a->mac));
	} else {
		f = findings_add(&run->found, PROBE_NEIGHBOUR, PROBE_FAILED, HOST(peer->host),
				 "expected an answer to %s; seen: none",
				 probe_protocol(&a->target));
		finding_remedy(f, "see whether it is up, and whether %s is on the same network",
			       run->in->name);
		peer->out = "it does not answer on the link";
	}
}

static void say_unasked(struct probe_run *run)
{
	char subject[40];

	snprintf(subject, sizeof(subject), "%zu %s", run->in->unasked,
		 plural(run->in->unasked, "router", "routers"));
	if (run->in->unasked)
		findings_add(&run->found, PROBE_NEIGHBOUR, PROBE_SKIPPED, subject,
			     "each router asks only the next ones; other routers ask these");
}

void probe_judge_neighbours(struct probe_run *run)
{
	vec_each (peer, &run->peers)
		judge_neighbour(run, peer);
	say_unasked(run);
}

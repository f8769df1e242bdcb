/* SPDX-License-Identifier: GPL-2.0-only */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if_arp.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "probe/probe_run.h"

const char *probe_name(enum probe probe)
{
	static const char *const names[] = {
#define X(id, name) name,
		PROBES(X)
#undef X
	};

	return names[probe];
}

const char *probe_result_name(enum probe_result result)
{
	static const char *const names[] = {
#define X(id, name) name,
		PROBE_RESULTS(X)
#undef X
	};

	return names[result];
}

/* ------------------------------------------------------------ findings */

void findings_free(struct findings *f)
{
	vec_each (one, &f->list) {
		free(one->subject);
		free(one->text);
		free(one->remedy);
	}
	vec_free(&f->list);
}

const struct finding *findings_failure(const struct findings *f)
{
	vec_each (one, &f->list) {
		if (one->result == PROBE_FAILED)
			return one;
	}
	return NULL;
}

static char *format_text(const char *format, va_list args)
{
	char *text;

	return vasprintf(&text, format, args) < 0 ? xstrdup("") : text;
}

struct finding *findings_add(struct findings *f, enum probe probe, enum probe_result result,
			     const char *subject, const char *format, ...)
{
	struct finding *one = vec_push(&f->list);
	va_list args;

	one->probe = probe;
	one->result = result;
	one->subject = xstrdup(subject);
	va_start(args, format);
	one->text = format_text(format, args);
	va_end(args);
	return one;
}

void finding_remedy(struct finding *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	f->remedy = format_text(format, args);
	va_end(args);
}

const char *probe_host_text(const struct probe_host *h, char buf[PROBE_TEXT])
{
	snprintf(buf, PROBE_TEXT, h->who ? "%s (%s)" : "%s", ADDR(&h->addr), h->who);
	return buf;
}

/* ------------------------------------------------------------ the run */

void probe_cancel(struct probe_run *run)
{
	if (!run)
		return;
	neigh_queries_free(&run->queries);
	neigh_queries_free(&run->solicits);
	findings_free(&run->found);
	vec_free(&run->peers);
	free(run);
}

/* ------------------------------------------------------------ the interface */

static int interface_ask(uint32_t ifindex, unsigned long what, struct ifreq *out)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memset(out, 0, sizeof(*out));
	if (fd < 0 || !if_indextoname(ifindex, out->ifr_name) || ioctl(fd, what, out))
		return -1;
	return 0;
}

int probe_mac(uint32_t ifindex, uint8_t mac[6])
{
	struct ifreq r;

	if (interface_ask(ifindex, SIOCGIFHWADDR, &r) || r.ifr_hwaddr.sa_family != ARPHRD_ETHER)
		return -1;
	memcpy(mac, r.ifr_hwaddr.sa_data, 6);
	return 0;
}

int probe_interface(uint32_t ifindex, struct probe_input *in, struct error *err)
{
	struct ifreq r;

	in->ifindex = ifindex;
	if (probe_mac(ifindex, in->mac) || interface_ask(ifindex, SIOCGIFMTU, &r))
		return error_set(err,
				 "there is no Ethernet interface with the index %u any more; run "
				 "`tenantnat apply` again",
				 ifindex);
	in->mtu = r.ifr_mtu;
	snprintf(in->name, sizeof(in->name), "%s", r.ifr_name);
	return 0;
}

static void look_at_carrier(struct probe_run *run)
{
	const struct probe_input *in = run->in;
	struct finding *f;
	struct ifreq r;

	run->down = true;
	if (interface_ask(in->ifindex, SIOCGIFFLAGS, &r)) {
		findings_add(&run->found, PROBE_CARRIER, PROBE_FAILED, in->name,
			     "expected the interface with index %u; seen: none", in->ifindex);
	} else if (!(r.ifr_flags & IFF_UP)) {
		f = findings_add(&run->found, PROBE_CARRIER, PROBE_FAILED, in->name,
				 "expected it up; seen: it is down");
		finding_remedy(f, "`ip link set %s up`", in->name);
	} else if (!(r.ifr_flags & IFF_RUNNING)) {
		f = findings_add(&run->found, PROBE_CARRIER, PROBE_FAILED, in->name,
				 "expected a carrier; seen: none");
		finding_remedy(f, "plug in the other end of %s, or set it up", in->name);
	} else {
		run->down = false;
		findings_add(&run->found, PROBE_CARRIER, PROBE_OK, in->name,
			     "up, with a carrier, MTU %u", in->mtu);
	}
}

/* ------------------------------------------------------------ routes */

/* The longest of the prefixes that has the address. */
static const struct probe_prefix *prefix_of(const struct probe_input *in, const struct tn_addr *a)
{
	const struct probe_prefix *best = NULL;

	vec_each (p, &in->prefixes) {
		if (prefix_has(&p->prefix, a) && (!best || p->prefix.len > best->prefix.len))
			best = p;
	}
	return best;
}

static bool is_own(const struct probe_input *in, const struct tn_addr *a)
{
	vec_each (own, &in->own) {
		if (addr_cmp(own, a) == 0)
			return true;
	}
	return false;
}

const char *probe_next_hop_text(const struct next_hop *w, char buf[PROBE_TEXT])
{
	char name[IF_NAMESIZE];

	if (w->local)
		snprintf(buf, PROBE_TEXT, "it is an address of this router");
	else if (!w->ifindex)
		snprintf(buf, PROBE_TEXT, "no route (%s)", w->why);
	else if (addr_is_unset(&w->gateway))
		snprintf(buf, PROBE_TEXT, "by %s",
			 if_indextoname(w->ifindex, name) ? name : "an interface that has gone");
	else
		snprintf(buf, PROBE_TEXT, "by %s via %s",
			 if_indextoname(w->ifindex, name) ? name : "an interface that has gone",
			 ADDR(&w->gateway));
	return buf;
}

/* 1: a packet to the host takes the way wanted; 0: a finding says which it takes. */
static int check_route(struct probe_run *run, const struct tn_addr *host, const char *subject,
		       struct next_hop *seen, struct error *err)
{
	const struct probe_prefix *p = prefix_of(run->in, host);
	bool via = p && !addr_is_unset(&p->gateway);
	struct finding *f;

	if (route_query(host, seen, err))
		return -1;
	if (!seen->local && seen->ifindex == run->in->ifindex &&
	    (!via || addr_cmp(&seen->gateway, &p->gateway) == 0) &&
	    (via || !p || !p->on_link || addr_is_unset(&seen->gateway)))
		return 1;
	f = findings_add(&run->found, PROBE_ROUTE, PROBE_FAILED, subject,
			 "expected packets to %s by %s%s%s; seen: %s", ADDR(host), run->in->name,
			 via ? " via " : "", via ? ADDR(&p->gateway) : "", NEXT_HOP(seen));
	finding_remedy(f,
		       "look at `ip route get %s` in the router, and correct its routes or rules",
		       ADDR(host));
	return 0;
}

/* The neighbouring address, up or down. */
static struct tn_addr next_to(const struct tn_addr *a, bool down)
{
	struct tn_addr next = *a;

	if (!down)
		return addr_add(a, 1);
	for (int i = 3; i >= 0; i--) {
		uint32_t word = ntohl(a->w[i]);

		next.w[i] = htonl(word - 1);
		if (word)
			break;
	}
	return next;
}

/* The first host from one end of the prefix inwards that is not the router itself. */
static struct tn_addr end_of(const struct probe_input *in, const struct prefix *p, bool last)
{
	struct tn_addr a = last ? prefix_last(p) : p->addr;

	while (prefix_has(p, &a) && (prefix_reserves(p, &a) || is_own(in, &a)))
		a = next_to(&a, last);
	return a;
}

static int check_prefix(struct probe_run *run, const struct probe_prefix *p, struct error *err)
{
	struct next_hop next_hop;
	int good = 1;

	for (int last = 0; last < 2 && good == 1; last++) {
		struct tn_addr host = end_of(run->in, &p->prefix, last);

		if (!prefix_has(&p->prefix, &host))
			return 0; /* nobody is in it but the router */
		good = check_route(run, &host, PREFIX(&p->prefix), &next_hop, err);
	}
	if (good == 1)
		findings_add(&run->found, PROBE_ROUTE, PROBE_OK, PREFIX(&p->prefix), "%s",
			     NEXT_HOP(&next_hop));
	return good < 0 ? -1 : 0;
}

/* ------------------------------------------------------------ addresses on the link */

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

static int query_peer(struct probe_run *run, const struct probe_host *host, struct error *err)
{
	struct peer *peer = vec_push(&run->peers);
	struct next_hop next_hop;
	int good;

	peer->host = host;
	peer->query = -1;
	peer->src = source_for(run->in, &host->addr);
	if (addr_is_unset(&peer->src)) {
		peer->out = "the router has no address of that family on the shared network";
		return 0;
	}
	good = check_route(run, &host->addr, HOST(host), &next_hop, err);
	if (good <= 0) {
		peer->out = "its route leads elsewhere";
		return good;
	}
	findings_add(&run->found, PROBE_ROUTE, PROBE_OK, HOST(host), "%s", NEXT_HOP(&next_hop));
	if (!addr_is_unset(&next_hop.gateway))
		return 0;
	peer->query = (long)run->queries.list.n;
	*vec_push(&run->queries.list) =
		(struct neigh_query){ .target = host->addr, .sender = peer->src };
	return 0;
}

int probe_begin(const struct probe_input *in, struct probe_run **out, struct error *err)
{
	struct probe_run *run = xzalloc(sizeof(*run));

	run->in = in;
	run->queries = NEIGH_QUERIES_NONE;
	run->solicits = NEIGH_QUERIES_NONE;
	*out = run;
	look_at_carrier(run);
	if (run->down)
		return 0;
	vec_each (p, &in->prefixes) {
		if (check_prefix(run, p, err))
			goto failed;
	}
	if (neigh_queries_open(&run->queries, in->ifindex, in->mac, err))
		goto failed;
	query_duplicates(run, in->own.v, in->own.n);
	query_duplicates(run, in->mapped.v, in->mapped.n);
	vec_each (host, &in->peers) {
		if (query_peer(run, host, err))
			goto failed;
	}
	if (neigh_queries_send(&run->queries, err))
		goto failed;
	run->repeat = clock_ms() + patient(in, PROBE_ASK_MS);
	return 0;
failed:
	probe_cancel(run);
	*out = NULL;
	return -1;
}

static void say_count(struct probe_run *run, enum probe_result result, size_t n, const char *text)
{
	char subject[40];

	snprintf(subject, sizeof(subject), "%zu %s", n, n == 1 ? "address" : "addresses");
	if (n)
		findings_add(&run->found, PROBE_DUPLICATE, result, subject, "%s", text)->unasked =
			result == PROBE_SKIPPED;
}

static void judge_duplicates(struct probe_run *run)
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
		finding_remedy(f,
			       "find the host with that MAC address, and take the address from it");
	}
	say_count(run, PROBE_OK, clear, "nobody else answers");
	say_count(run, PROBE_SKIPPED, all - run->duplicates,
		  "more than one run looks for; whether others have them is not known");
}

const char *probe_protocol(const struct tn_addr *a)
{
	return addr_is_v4(a) ? "ARP" : "neighbour solicitation";
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

/* ------------------------------------------------------------ all of it */

static void say_unasked(struct probe_run *run)
{
	char subject[40];

	snprintf(subject, sizeof(subject), "%zu %s", run->in->unasked,
		 run->in->unasked == 1 ? "router" : "routers");
	if (run->in->unasked)
		findings_add(&run->found, PROBE_NEIGHBOUR, PROBE_SKIPPED, subject,
			     "each router asks the next ones alone; others ask these");
}

static void skip_from(struct probe_run *run, enum probe first, const char *why)
{
	for (enum probe probe = first; probe <= PROBE_CHECKSUM; probe++) {
		if (probe == PROBE_SOLICITATION && !run->in->solicited.n)
			continue;
		findings_add(&run->found, probe, PROBE_SKIPPED, run->in->name, "%s", why);
	}
}

static int collect_solicits(struct probe_run *run, uint64_t until, struct error *err)
{
	return run->solicits.list.n ? neigh_queries_collect(&run->solicits, clock_left(until), err)
				    : 0;
}

int probe_again(struct probe_run *run, struct error *err)
{
	if (run->down || run->end || run->in->brief)
		return 0;
	if (neigh_queries_collect(&run->queries, clock_left(run->repeat), err) ||
	    collect_solicits(run, run->repeat, err) || neigh_queries_send(&run->queries, err) ||
	    neigh_queries_send(&run->solicits, err))
		return -1;
	run->end = clock_ms() + patient(run->in, PROBE_ASK_MS);
	return 0;
}

static int probe_link(struct probe_run *run, struct pinger *p, struct error *err)
{
	unsigned int ms;

	if (probe_again(run, err))
		return -1;
	ms = run->in->brief ? patient(run->in, PROBE_BRIEF_MS) : (unsigned int)clock_left(run->end);
	if (neigh_queries_collect(&run->queries, ms, err))
		return -1;
	judge_duplicates(run);
	if (run->in->brief)
		return 0;
	if (collect_solicits(run, run->end, err))
		return -1;
	if (!run->peers.n) {
		skip_from(run, PROBE_NEIGHBOUR,
			  "no other router of this machine is attached, and there is no "
			  "gateway: there is nobody to ask");
		return 0;
	}
	vec_each (peer, &run->peers)
		judge_neighbour(run, peer);
	say_unasked(run);
	probe_judge_solicited(run);
	probe_path(run, p);
	return 0;
}

int probe_finish(struct probe_run *run, struct findings *out, struct error *err)
{
	_cleanup_pinger_ struct pinger *p = pinger_open(err);
	int ret = p ? 0 : -1;

	if (!ret && !run->down)
		ret = probe_link(run, p, err);
	else if (!ret)
		skip_from(run, PROBE_ROUTE, "the interface is down");
	if (!ret)
		ret = probe_vms(run, p, err);
	*out = run->found;
	run->found = (struct findings){ 0 };
	probe_cancel(run);
	return ret;
}

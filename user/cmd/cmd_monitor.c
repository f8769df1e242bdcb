/* SPDX-License-Identifier: GPL-2.0-only */
/* monitor: what the programs decide about packets, as it happens. */
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

#include "change/inspect.h"
#include "cmd/cmd.h"
#include "dataplane/events.h"
#include "lib/clock.h"
#include "lib/journal.h"
#include "lib/log.h"
#include "lib/output.h"
#include "model/selection.h"
#include "observe/pcap.h"

static const char *const reasons[] = {
#define X(id, name, meaning) name,
	TN_REASONS(X)
#undef X
};

static const char *const programs[] = {
#define X(id, name) name,
	TN_PROGRAMS(X)
#undef X
};

static const char *const verdicts[] = { "pass", "drop", "translated", "turned" };

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

struct monitor {
	const struct invocation *inv;
	struct tn_watch want;
	struct view view;
	uint64_t loaded; /* clock_ms() of `view` */
	FILE *pcap;	 /* NULL: none */
	bool lines;	 /* stdout is for lines, not for frames */
	bool journal;	 /* entries of the journal instead of these lines */
	uint64_t limit;	 /* events to show; 0: until it is interrupted */
	uint64_t shown;
	uint64_t lost; /* since it began */
	uint64_t lost_before;
	int64_t epoch; /* microseconds from CLOCK_MONOTONIC to CLOCK_REALTIME */
};

/* ------------------------------------------------------------ what an event is about */

static const char *name_in(const char *const *names, size_t n, size_t i)
{
	return i < n ? names[i] : "unknown";
}

static const char *tenant_of(const struct monitor *m, uint32_t router)
{
	const struct router_row *r = kernel_state_router(&m->view.kernel, router);

	return r ? r->tenant : NULL;
}

static const struct rule *rule_of(const struct monitor *m, uint32_t id)
{
	vec_each (t, &m->view.model.tenants) {
		vec_each (r, &t->accept) {
			if (r->id == id)
				return r;
		}
	}
	return NULL;
}

static const char *proto_text(uint8_t proto, char buf[16])
{
#define X(id, name, number)                \
	if ((number) && proto == (number)) \
		return name;
	TN_CLASSES(X)
#undef X
	snprintf(buf, 16, "protocol/%u", proto);
	return buf;
}

static bool has_ports(const struct tn_event *e)
{
	return !e->later_fragment && (e->sport || e->dport) && e->proto != IPPROTO_ICMP &&
	       e->proto != IPPROTO_ICMPV6 &&
	       strncmp(proto_text(e->proto, (char[16]){ 0 }), "pro", 3);
}

/* "10.0.0.5:80", "[fd00::5]:80", or the address alone. */
static const char *end_text(const struct tn_event *e, const struct tn_addr *a, uint16_t port,
			    char buf[ADDR_TEXT + 16])
{
	if (addr_is_unset(a))
		return "?";
	if (!has_ports(e))
		snprintf(buf, ADDR_TEXT + 16, "%s", ADDR(a));
	else
		snprintf(buf, ADDR_TEXT + 16, addr_is_v4(a) ? "%s:%u" : "[%s]:%u", ADDR(a), port);
	return buf;
}

static bool is_out(const struct tn_event *e)
{
	return e->program == TN_PROGRAM_TC_SHARED_OUT || e->program == TN_PROGRAM_TC_INSIDE_IN;
}

/* "FILE:LINE" of the rule that accepted it, or what else did; NULL: nothing did. The caller frees.
 */
static char *accepted_by(const struct monitor *m, const struct tn_event *e)
{
	const struct rule *r = e->rule ? rule_of(m, e->rule) : NULL;
	char *text = NULL;

	if (r && asprintf(&text, "%s:%u", m->view.model.file ? m->view.model.file : "line",
			  r->pos.line) < 0)
		text = NULL;
	else if (e->flow)
		text = xstrdup("flow");
	return text;
}

/* ------------------------------------------------------------ lines */

static uint64_t event_us(const struct monitor *m, const struct tn_event *e)
{
	return e->at / 1000 + m->epoch;
}

static void time_text(uint64_t us, const char *format, char out[32])
{
	time_t seconds = us / 1000000;
	struct tm tm;
	size_t n;

	localtime_r(&seconds, &tm);
	n = strftime(out, 24, format, &tm);
	snprintf(out + n, 32 - n, ".%06u", (unsigned int)(us % 1000000));
}

static const char *decision(const struct tn_event *e)
{
	return e->verdict == TN_EVENT_DROP ? name_in(reasons, ARRAY_SIZE(reasons), e->reason)
					   : name_in(verdicts, ARRAY_SIZE(verdicts), e->verdict);
}

static void print_line(const struct monitor *m, const struct tn_event *e)
{
	_cleanup_free_ char *by = accepted_by(m, e);
	bool dropped = e->verdict == TN_EVENT_DROP;
	const char *tenant = tenant_of(m, e->router);
	char at[32], src[ADDR_TEXT + 16], dst[ADDR_TEXT + 16];

	time_text(event_us(m, e), "%H:%M:%S", at);
	printf("%s %-12s %-10s %s%s%s%s %s %s > %s", at, tenant ? tenant : "?",
	       name_in(programs, ARRAY_SIZE(programs), e->program),
	       dropped ? color_removed() : color_added(), dropped ? "drop " : "", decision(e),
	       color_off(), proto_text(e->proto, (char[16]){ 0 }),
	       end_text(e, &e->src, e->sport, src), end_text(e, &e->dst, e->dport, dst));
	if (!addr_is_unset(&e->now))
		printf(" (%s %s)", is_out(e) ? "from" : "to", ADDR(&e->now));
	printf("%s%s\n", by ? " by " : "", by ? by : "");
}

static const char *port_text(const struct tn_event *e, uint16_t port, char buf[8])
{
	snprintf(buf, 8, "%u", port);
	return has_ports(e) ? buf : NULL;
}

static const char *addr_field(const struct tn_addr *a, char buf[ADDR_TEXT])
{
	return addr_is_unset(a) ? NULL : addr_text(a, buf);
}

/* A drop has the priority of a notice, what passes that of information. */
static void send_entry(const struct monitor *m, const struct tn_event *e)
{
	const struct router_row *r = kernel_state_router(&m->view.kernel, e->router);
	bool dropped = e->verdict == TN_EVENT_DROP;
	const char *program = name_in(programs, ARRAY_SIZE(programs), e->program);
	char src[ADDR_TEXT + 16], dst[ADDR_TEXT + 16], protocol[16], now[ADDR_TEXT];
	char from[ADDR_TEXT], to[ADDR_TEXT], sport[8], dport[8], text[256];
	_cleanup_free_ char *by = accepted_by(m, e);
	const struct journal_field fields[] = {
		{ "TENANT", r ? r->tenant : NULL },
		{ "ROUTER", r ? r->netns : NULL },
		{ "REASON", dropped ? decision(e) : NULL },
		{ "VERDICT", name_in(verdicts, ARRAY_SIZE(verdicts), e->verdict) },
		{ "PROGRAM", program },
		{ "PROTOCOL", proto_text(e->proto, protocol) },
		{ "SRC", addr_field(&e->src, from) },
		{ "SPORT", port_text(e, e->sport, sport) },
		{ "DST", addr_field(&e->dst, to) },
		{ "DPORT", port_text(e, e->dport, dport) },
		{ "NOW", addr_field(&e->now, now) },
		{ "ACCEPTED_BY", by },
	};

	snprintf(text, sizeof(text), "%s %s %s%s %s %s > %s", r ? r->tenant : "?", program,
		 dropped ? "drop " : "", decision(e), proto_text(e->proto, protocol),
		 end_text(e, &e->src, e->sport, src), end_text(e, &e->dst, e->dport, dst));
	log_entry(dropped ? LOG_NOTICE : LOG_INFO, fields, ARRAY_SIZE(fields), text);
}

static json_t *addr_json(const struct tn_addr *a)
{
	return addr_is_unset(a) ? json_null() : json_string(ADDR(a));
}

static void print_json(const struct monitor *m, const struct tn_event *e)
{
	const struct rule *r = e->rule ? rule_of(m, e->rule) : NULL;
	bool dropped = e->verdict == TN_EVENT_DROP;
	_cleanup_json_ json_t *j = json_pack(
		"{s:f, s:o, s:s, s:s, s:o, s:s, s:o, s:i, s:o, s:i, s:o, s:b, s:o, s:i}", "time",
		event_us(m, e) / 1e6, "tenant", json_text(tenant_of(m, e->router)), "program",
		name_in(programs, ARRAY_SIZE(programs), e->program), "verdict",
		name_in(verdicts, ARRAY_SIZE(verdicts), e->verdict), "reason",
		dropped ? json_string(decision(e)) : json_null(), "protocol",
		proto_text(e->proto, (char[16]){ 0 }), "src", addr_json(&e->src), "sport", e->sport,
		"dst", addr_json(&e->dst), "dport", e->dport, "now", addr_json(&e->now), "flow",
		e->flow, "line", r ? json_integer(r->pos.line) : json_null(), "bytes", (int)e->len);

	json_dumpf(j, stdout, JSON_COMPACT);
	putchar('\n');
}

static void write_frame(const struct monitor *m, const struct tn_event *e)
{
	uint32_t have = e->head_len > TN_EVENT_HEAD ? TN_EVENT_HEAD : e->head_len;
	char comment[160];

	snprintf(comment, sizeof(comment), "%s, %s: %s%s",
		 tenant_of(m, e->router) ? tenant_of(m, e->router) : "?",
		 name_in(programs, ARRAY_SIZE(programs), e->program),
		 e->verdict == TN_EVENT_DROP ? "drop " : "", decision(e));
	pcap_frame(m->pcap, event_us(m, e), e->head, have, e->len < have ? have : e->len, comment);
}

/* A router or rule that came after the view was made; at most once a second. */
static void know(struct monitor *m, const struct tn_event *e)
{
	struct error err = { 0 };
	struct view now;

	if ((tenant_of(m, e->router) && (!e->rule || rule_of(m, e->rule))) ||
	    clock_ms() - m->loaded < EVENTS_RENEW)
		return;
	m->loaded = clock_ms();
	if (view_load(&m->inv->settings, &now, &err))
		return;
	view_free(&m->view);
	m->view = now;
}

static bool on_event(const struct tn_event *e, void *context)
{
	struct monitor *m = context;

	know(m, e);
	m->shown++;
	if (m->journal)
		send_entry(m, e);
	else if (m->lines)
		m->inv->json ? print_json(m, e) : print_line(m, e);
	if (m->pcap)
		write_frame(m, e);
	return !interrupted && (!m->limit || m->shown < m->limit);
}

/* ------------------------------------------------------------ the loop */

static uint64_t lost_now(const struct monitor *m)
{
	uint64_t sum = 0;

	vec_each (r, &m->view.kernel.routers) {
		struct tn_drops d;

		if ((!m->want.router || m->want.router == r->id) &&
		    dataplane_drops(m->view.dp, r->id, &d) == 0)
			sum += d.events_lost;
	}
	return sum;
}

static void tell_lost(struct monitor *m, struct events *e, uint64_t unread)
{
	uint64_t now = lost_now(m), more = now > m->lost_before ? now - m->lost_before : 0;

	m->lost_before = now;
	more += unread + events_missed(e);
	m->lost += more;
	if (!more)
		return;
	if (m->lines && m->inv->json)
		printf("{\"lost\":%" PRIu64 "}\n", more);
	else
		log_warning("%" PRIu64 " %s more than can be shown %s lost", more,
			    plural(more, "event", "events"), plural(more, "was", "were"));
}

static int64_t monotonic_to_epoch(void)
{
	struct timespec real, mono;

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	return (int64_t)(real.tv_sec - mono.tv_sec) * 1000000 +
	       (real.tv_nsec - mono.tv_nsec) / 1000;
}

/* Whoever read our output has gone. */
static bool is_alone(const struct monitor *m)
{
	bool failed = m->lines ? fflush(stdout) || ferror(stdout) : false;

	return failed || (m->pcap && (fflush(m->pcap) || ferror(m->pcap)));
}

/* Waits, and looks whether the reader of stdout is still there. */
static bool pause_for_events(void)
{
	struct pollfd out = { .fd = STDOUT_FILENO };

	return poll(&out, 1, EVENTS_POLL) <= 0 || !(out.revents & POLLERR);
}

static bool count_event(const struct tn_event *e, void *context)
{
	(void)e;
	++*(uint64_t *)context;
	return true;
}

static int look(struct monitor *m, struct events *e, struct error *err)
{
	uint64_t renewed = 0, unread = 0;

	m->lost_before = lost_now(m);
	while (!interrupted) {
		if (clock_ms() - renewed >= EVENTS_RENEW) {
			if (events_watch(e, &m->want, err))
				return -1;
			if (renewed)
				tell_lost(m, e, 0);
			log_tell_left_out();
			renewed = clock_ms();
		}
		m->epoch = monotonic_to_epoch();
		if (events_read(e, on_event, m, err))
			return -1;
		if (is_alone(m) || (m->limit && m->shown >= m->limit) || !pause_for_events())
			break;
	}
	events_stop(e);
	if (interrupted && events_read(e, count_event, &unread, err))
		return -1;
	tell_lost(m, e, unread);
	return 0;
}

/* ------------------------------------------------------------ options */

static int parse_number(const char *text, uint64_t max, uint64_t *out)
{
	char *end;

	*out = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && !*end && *out && *out <= max ? 0 : -1;
}

static int parse_reasons(const char *text, __u64 *out, struct error *err)
{
	_cleanup_free_ char *copy = xstrdup(text);
	char *save = NULL;

	*out = 0;
	for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		size_t i = 0;

		while (i < ARRAY_SIZE(reasons) && strcmp(reasons[i], w))
			i++;
		if (i == ARRAY_SIZE(reasons))
			return error_usage(err,
					   "--reason %s: there is no such reason; `tenantnat "
					   "monitor --help` names them",
					   w);
		*out |= 1ULL << i;
	}
	return *out ? 0 : error_usage(err, "--reason: give at least one");
}

static int parse_sample(const char *text, uint32_t *out, struct error *err)
{
	uint64_t n;

	if (parse_number(strncmp(text, "1/", 2) ? "" : text + 2, UINT32_MAX, &n))
		return error_usage(err, "--passes %s: give 1/N, for one in N packets", text);
	*out = n;
	return 0;
}

static int find_router(struct monitor *m, const char *tenant, struct error *err)
{
	if (!tenant_named(&m->view.model, tenant, err))
		return -1;
	vec_each (r, &m->view.kernel.routers) {
		if (strcmp(r->tenant, tenant) == 0) {
			m->want.router = r->id;
			return 0;
		}
	}
	return error_set(err, "tenant %s: its router is not attached here; see `tenantnat show`",
			 tenant);
}

static int parse(struct monitor *m, struct error *err)
{
	const char *tenant = cmd_value(m->inv, "tenant"), *some = cmd_value(m->inv, "reason"),
		   *passes = cmd_value(m->inv, "passes"), *count = cmd_value(m->inv, "count"),
		   *pcap = cmd_value(m->inv, "pcap");

	if (m->inv->json && pcap && strcmp(pcap, "-") == 0)
		return error_usage(err, "--pcap -: frames are what goes to stdout; leave out "
					"--json, or give a file");
	m->want.reasons = ~0ULL;
	if (tenant && find_router(m, tenant, err))
		return -1;
	if (some && parse_reasons(some, &m->want.reasons, err))
		return -1;
	if (passes && parse_sample(passes, &m->want.sample, err))
		return -1;
	if (count && parse_number(count, UINT64_MAX - 1, &m->limit))
		return error_usage(err, "--count %s: give a number of events, from 1", count);
	return 0;
}

static int open_pcap(struct monitor *m, struct error *err)
{
	const char *path = cmd_value(m->inv, "pcap");

	m->lines = !path || strcmp(path, "-");
	if (!path)
		return 0;
	m->pcap = m->lines ? fopen(path, "we") : stdout;
	if (!m->pcap)
		return error_set(err, "cannot write %s: %m", path);
	pcap_begin(m->pcap, TN_EVENT_HEAD);
	return 0;
}

/* The end of a pipe that nobody reads is no error: what is left for it goes nowhere. */
static int close_outputs(struct monitor *m, struct error *err)
{
	const char *path = cmd_value(m->inv, "pcap");
	struct pollfd out = { .fd = STDOUT_FILENO };

	if (poll(&out, 1, 0) > 0 && (out.revents & POLLERR) && !freopen("/dev/null", "w", stdout))
		return error_set(err, "cannot open /dev/null: %m");
	if (m->pcap && m->pcap != stdout && fclose(m->pcap))
		return error_set(err, "cannot write %s: %m", path);
	return 0;
}

static int watch_and_tell(struct monitor *m, struct error *err)
{
	_cleanup_events_ struct events *e = NULL;
	int status;

	if (events_open(m->inv->settings.bpffs, &e, err) || open_pcap(m, err))
		return -1;
	if (m->journal)
		log_limit();
	status = look(m, e, err);
	if (close_outputs(m, err))
		status = -1;
	log_notice("%" PRIu64 " %s, %" PRIu64 " more %s lost", m->shown,
		   plural(m->shown, "event", "events"), m->lost, plural(m->lost, "was", "were"));
	return status;
}

static int run(const struct invocation *inv, struct error *err)
{
	/* a line that is being written is completed; the second signal ends it all the same */
	const struct sigaction end = { .sa_handler = on_signal,
				       .sa_flags = (int)(SA_RESTART | SA_RESETHAND) };
	struct monitor m = { .inv = inv,
			     .loaded = clock_ms(),
			     .journal = cmd_value(inv, "journal") };
	int status = -1;

	if (m.journal && inv->json)
		return error_usage(err, "--journal has fields of its own: leave out --json");
	if (m.journal && journal_check(err))
		return -1;

	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
	if (view_load(&inv->settings, &m.view, err))
		return -1;
	if (!m.view.dp)
		error_set(err, "nothing is attached; run `tenantnat apply` first");
	else if (parse(&m, err) == 0)
		status = watch_and_tell(&m, err);
	view_free(&m.view);
	return status;
}

const struct command cmd_monitor = {
	.name = "monitor",
	.synopsis = "",
	.summary = "Show dropped packets, and on request others, as they happen",
	.help = "A line for each packet: time, tenant, program, verdict, protocol, from > to as "
		"they came,\n"
		"the address that replaced one of them, and the rule that accepted it. Ends with "
		"Ctrl-C,\n"
		"or after --count events. Events that come faster than they can be shown are "
		"counted as\n"
		"lost; forwarding does not wait. Several monitors and traces can run at the same\n"
		"time: each shows what it was asked for, and counts as lost what any of them "
		"lost.\n"
		"\n"
		"The frames in FILE (pcapng) are as the program left them; the verdict is the "
		"packet's\n"
		"comment.\n"
		"\n"
		"With --journal each packet is an entry in systemd's journal instead of a line, "
		"with the "
		"fields\n"
		"TENANT, ROUTER, REASON, VERDICT, PROGRAM, PROTOCOL, SRC, SPORT, DST, DPORT, NOW "
		"and\n"
		"ACCEPTED_BY. At most 1,000 at once and 1,000 a minute are written; how many were "
		"left "
		"out is\n"
		"another entry.\n"
		"\n"
		"Reasons:"
#define X(id, name, meaning) "\n  " name
	TN_REASONS(X)
#undef X
		"\n\nJSON, one object a line: {\"time\", \"tenant\", \"program\", \"verdict\", "
		"\"reason\", \"protocol\",\n"
		"\"src\", \"sport\", \"dst\", \"dport\", \"now\", \"flow\", \"line\": of the rule "
		"that accepted it,\n"
		"or has ended (rule-ended), \"bytes\"} or {\"lost\"}",
	.options = { { "tenant", 't', "TENANT", "only at the router of that tenant" },
		     { "reason", 'r', "REASON,…", "only drops for these reasons" },
		     { "passes", 'p', "1/N", "also one in N of the packets that pass" },
		     { "pcap", 'w', "FILE", "also write the frames there; - is stdout" },
		     { "count", 'n', "COUNT", "end after so many events" },
		     { "journal", 0, NULL, "entries in the journal instead of lines" } },
	.run = run,
};

/* SPDX-License-Identifier: GPL-2.0-only */
#include "agent/serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <time.h>

#include "lib/util.h"

/* Of a connection: a request's head has to fit, the page is not in it. */
#define MEMORY 8192
/* What the kernel holds of the page for each that reads it; it doubles that. */
#define SOCKET_MEMORY (128 << 10)

/*
 * At its own limit the library stops to accept, and begins again only some time after: it is not
 * to be reached, by what comes between two calls, which accept a dozen each.
 */
#define LIMIT (6 * SERVE_CONNECTIONS)
/* What waits to be accepted while the caller does something else. */
#define BACKLOG 512

#define NS_PER_S 1000000000LL

enum link_state {
	ASKS_NOTHING,
	WAITS,
	READS,
	STATES,
};

/* A connection. */
struct link {
	struct MHD_Connection *c;
	int fd;
	uint64_t peer; /* the IPv4 address, or the first half of the IPv6 address */
	enum link_state state;
	int64_t begun;	 /* when it came into the state */
	int64_t since;	 /* the same; of one that reads, when it last took something */
	uint64_t taken;	 /* bytes, by the last look */
	unsigned int at; /* the call of the library that accepted it; the next one reads */
	bool hurried;	 /* to be answered with what there is */
	bool ended;	 /* it is about to be closed */
};

struct serve {
	struct MHD_Daemon *daemon;
	int fd;
	VEC(struct link *) links;
	unsigned int calls; /* of the library */
	int64_t left;	    /* when the last serve_run() ended */
	struct MHD_Response *current;
	size_t current_size;
	size_t pages;		    /* that are held, by us or by a connection */
	struct MHD_Response *front; /* NULL: there is none */
	const char *type;
	serve_page page;
	void *arg;
};

/* A text that responses hold. */
struct held {
	struct serve *s;
	char *text;
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static int wrong(const char *text, const char *why, struct error *err)
{
	return error_usage(err, "--metrics %s: %s; write 127.0.0.1:9876 or [::1]:9876", text, why);
}

static int parse_port(const char *text, in_port_t *out)
{
	char *end;
	unsigned long port;

	if (*text < '0' || *text > '9')
		return -1;
	port = strtoul(text, &end, 10);
	if (*end || !port || port > 65535)
		return -1;
	*out = htons(port);
	return 0;
}

int serve_parse(const char *text, struct sockaddr_storage *out, struct error *err)
{
	const char *colon = strrchr(text, ':');
	struct sockaddr_in6 *six = (void *)out;
	struct sockaddr_in *four = (void *)out;
	char host[INET6_ADDRSTRLEN + 2];
	size_t n = colon ? colon - text : 0;

	memset(out, 0, sizeof(*out));
	if (!colon)
		return wrong(text, "there is no port", err);
	if (!n)
		return wrong(text, "without an address it would be open to everybody", err);
	if (n >= sizeof(host))
		return wrong(text, "the address is not valid", err);
	memcpy(host, text, n);
	host[n] = '\0';
	if (host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		six->sin6_family = AF_INET6;
		if (inet_pton(AF_INET6, host + 1, &six->sin6_addr) != 1)
			return wrong(text, "the address is not valid", err);
		return parse_port(colon + 1, &six->sin6_port)
			       ? wrong(text, "the port is not from 1 to 65535", err)
			       : 0;
	}
	four->sin_family = AF_INET;
	if (inet_pton(AF_INET, host, &four->sin_addr) != 1)
		return wrong(text, "names are not looked up", err);
	return parse_port(colon + 1, &four->sin_port)
		       ? wrong(text, "the port is not from 1 to 65535", err)
		       : 0;
}

static int listen_at(const char *where, struct error *err)
{
	struct sockaddr_storage at;
	int fd, one = 1, memory = SOCKET_MEMORY;
	unsigned int patience = SERVE_READ * 1000;

	if (serve_parse(where, &at, err))
		return -1;
	fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, "cannot listen at %s: %m", where);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* connections have these from here: what the kernel holds, also after the end */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &memory, sizeof(memory));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof(patience));
	/* [::] is IPv6 alone: what is listened to is what is written */
	if (at.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, (void *)&at, sizeof(at)) || listen(fd, BACKLOG)) {
		error_set(err,
			  "cannot listen at %s: %m; end what listens there, or choose another port",
			  where);
		close(fd);
		return -1;
	}
	return fd;
}

/* The text stays as it is; "Allow" as RFC 9110, 15.5.6 wants it. */
static enum MHD_Result say(struct MHD_Connection *c, unsigned int status, const char *text)
{
	struct MHD_Response *r =
		MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result ret;

	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, "Content-Type", "text/plain");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, "Allow", "GET, HEAD");
	ret = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return ret;
}

/* ------------------------------------------------------------ connections */

static uint64_t peer_of(const struct sockaddr *a)
{
	const struct sockaddr_in6 *six = (const void *)a;
	const struct sockaddr_in *four = (const void *)a;
	uint64_t peer = 0;

	if (a->sa_family == AF_INET6)
		memcpy(&peer, &six->sin6_addr, sizeof(peer));
	else
		memcpy(&peer, &four->sin_addr, sizeof(four->sin_addr));
	return peer;
}

static struct link *link_of(struct MHD_Connection *c)
{
	return MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void enter(struct link *l, enum link_state state)
{
	l->state = state;
	l->begun = l->since = now_ns();
}

/* MHD_NotifyConnectionCallback */
static void note_link(void *arg, struct MHD_Connection *c, void **context,
		      enum MHD_ConnectionNotificationCode what)
{
	struct serve *s = arg;
	struct link *l;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		l = *context = *vec_push(&s->links) = xzalloc(sizeof(*l));
		l->c = c;
		l->fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
		l->peer = peer_of(MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS)
					  ->client_addr);
		l->at = s->calls;
		enter(l, ASKS_NOTHING);
		return;
	}
	for (size_t i = 0; i < s->links.n; i++) {
		if (s->links.v[i] == *context)
			s->links.v[i--] = s->links.v[--s->links.n];
	}
	free(*context);
}

/* MHD_RequestCompletedCallback. It may ask for something else. */
static void note_answered(void *arg, struct MHD_Connection *c, void **state,
			  enum MHD_RequestTerminationCode why)
{
	(void)arg, (void)state, (void)why;
	enter(link_of(c), ASKS_NOTHING);
}

/* The library goes on with a connection only where something happens to its socket. */
static void end_link(struct link *l)
{
	static const struct linger at_once = { .l_onoff = 1 };

	/* the kernel would go on with what it holds of the page */
	if (l->state == READS)
		setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	shutdown(l->fd, SHUT_RDWR);
	l->ended = true;
}

static void resume(struct link *l)
{
	enter(l, READS);
	MHD_resume_connection(l->c);
}

/* ------------------------------------------------------------ who has to go */

/* Whether it is one of these, and has had its chance to be more. */
static bool is_in(const struct serve *s, const struct link *l, enum link_state state)
{
	return l->state == state && !l->ended && l->at != s->calls;
}

static size_t count(const struct serve *s, enum link_state state, const uint64_t *peer)
{
	size_t n = 0;

	vec_each (l, &s->links)
		n += is_in(s, *l, state) && (!peer || (*l)->peer == *peer);
	return n;
}

/* Of whom there are the most, the one that it has been so for the longest time. */
static struct link *first_to_go(const struct serve *s, enum link_state state)
{
	struct link *first = NULL;
	size_t most = 0;

	vec_each (l, &s->links) {
		size_t n = is_in(s, *l, state) ? count(s, state, &(*l)->peer) : 0;

		if (n > most || (n && n == most && (*l)->since < first->since)) {
			first = *l;
			most = n;
		}
	}
	return first;
}

static void make_room(struct serve *s, enum link_state state)
{
	for (size_t n = count(s, state, NULL); n > SERVE_CONNECTIONS; n--) {
		struct link *l = first_to_go(s, state);

		if (state == WAITS) {
			l->hurried = true;
			resume(l);
		} else {
			end_link(l);
		}
	}
}

/* What its side has taken, the kernel says: what we have written lies in a buffer of ours. */
static void look_at_reader(struct link *l, int64_t now)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(l->fd, IPPROTO_TCP, TCP_INFO, &info, &len) ||
	    info.tcpi_bytes_acked == l->taken)
		return;
	l->taken = info.tcpi_bytes_acked;
	l->since = now;
}

/* INT64_MAX: never. */
static int64_t end_of(const struct serve *s, const struct link *l)
{
	int64_t silent = l->since + SERVE_TIMEOUT * NS_PER_S;
	int64_t whole =
		l->begun + (SERVE_READ + (int64_t)(s->current_size / SERVE_RATE)) * NS_PER_S;

	if (l->state == WAITS || l->ended)
		return INT64_MAX;
	return l->state == READS && whole < silent ? whole : silent;
}

static void end_links(struct serve *s)
{
	int64_t now = now_ns();

	vec_each (l, &s->links) {
		if ((*l)->state == READS)
			look_at_reader(*l, now);
		if (end_of(s, *l) <= now)
			end_link(*l);
	}
	for (enum link_state state = ASKS_NOTHING; state < STATES; state++)
		make_room(s, state);
}

/* ------------------------------------------------------------ the page */

/* MHD_ContentReaderFreeCallback: nobody reads it any more. */
static void let_go(void *arg)
{
	struct held *h = arg;

	h->s->pages--;
	free(h->text);
	free(h);
}

/* That a browser takes it for nothing else, and lets no other page have it. */
static void add_headers(struct MHD_Response *r, const char *type)
{
	MHD_add_response_header(r, "Content-Type", type);
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(r, "Cross-Origin-Resource-Policy", "same-origin");
}

static struct MHD_Response *make_front(const struct front *front)
{
	struct MHD_Response *r;

	if (!front->html)
		return NULL;
	r = MHD_create_response_from_buffer(front->size, front->html, MHD_RESPMEM_PERSISTENT);
	if (!r)
		return NULL;
	add_headers(r, "text/html; charset=utf-8");
	MHD_add_response_header(r, "Content-Security-Policy", front->policy);
	MHD_add_response_header(r, "Cross-Origin-Opener-Policy", "same-origin");
	MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
	MHD_add_response_header(r, "X-Frame-Options", "DENY");
	MHD_add_response_header(r, "Cache-Control", "no-cache");
	return r;
}

static struct MHD_Response *make_response(struct serve *s, char *text, size_t size)
{
	struct held *h = xzalloc(sizeof(*h));
	struct MHD_Response *r =
		MHD_create_response_from_buffer_with_free_callback_cls(size, text, let_go, h);

	*h = (struct held){ s, text };
	s->pages++;
	if (!r)
		let_go(h);
	else
		add_headers(r, s->type);
	return r;
}

void serve_give(struct serve *s, char *text, size_t size)
{
	if (s->current)
		MHD_destroy_response(s->current);
	s->current = text ? make_response(s, text, size) : NULL;
	s->current_size = size;
	vec_each (l, &s->links) {
		if ((*l)->state == WAITS)
			resume(*l);
	}
}

bool serve_is_held(const struct serve *s)
{
	return s->pages > (s->current ? 1 : 0);
}

static enum MHD_Result give_page(struct serve *s, struct link *l)
{
	bool hurried = l->hurried;
	enum serve_state state = hurried ? SERVE_PAGE : s->page(s->arg);

	l->hurried = false;
	if (state == SERVE_LATER) {
		enter(l, WAITS);
		MHD_suspend_connection(l->c);
		return MHD_YES;
	}
	if (hurried && !s->current)
		return say(l->c, MHD_HTTP_SERVICE_UNAVAILABLE,
			   "it is being made, and too many wait for it; ask again\n");
	if (state == SERVE_NONE || !s->current)
		return say(l->c, MHD_HTTP_SERVICE_UNAVAILABLE,
			   "cannot be read now; the agent's log says why\n");
	return MHD_queue_response(l->c, MHD_HTTP_OK, s->current);
}

/* MHD_AccessHandlerCallback. A body that comes along is not read. */
static enum MHD_Result answer(void *arg, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version, const char *body,
			      size_t *body_size, void **state)
{
	struct link *l = link_of(c);
	struct serve *s = arg;

	(void)version, (void)body, (void)body_size, (void)state;
	enter(l, READS);
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return say(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
	if (strcmp(url, "/metrics") == 0)
		return give_page(s, l);
	if (strcmp(url, "/") == 0)
		return s->front ? MHD_queue_response(c, MHD_HTTP_OK, s->front)
				: say(c, MHD_HTTP_OK, "tenantnat: the metrics are at /metrics\n");
	return say(c, MHD_HTTP_NOT_FOUND, "not here; the metrics are at /metrics\n");
}

/* ------------------------------------------------------------ the server */

int serve_open(const char *where, const char *type, const struct front *front, serve_page page,
	       void *arg, struct serve **out, struct error *err)
{
	const union MHD_DaemonInfo *info;
	struct serve *s;
	int fd = listen_at(where, err);

	if (fd < 0)
		return -1;
	s = xzalloc(sizeof(*s));
	s->type = type;
	s->page = page;
	s->arg = arg;
	s->front = make_front(front);
	s->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, answer, s,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned int)LIMIT,
		MHD_OPTION_NOTIFY_CONNECTION, note_link, s, MHD_OPTION_NOTIFY_COMPLETED,
		note_answered, s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY,
		MHD_OPTION_END);
	info = s->daemon ? MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info) {
		/* the daemon's to close once it runs */
		if (!s->daemon)
			close(fd);
		serve_close(s);
		return error_set(err, "cannot serve at %s: libmicrohttpd refuses to", where);
	}
	s->fd = info->epoll_fd;
	s->left = now_ns();
	*out = s;
	return 0;
}

void serve_close(struct serve *s)
{
	if (!s)
		return;
	/* it stops only when nobody is suspended */
	serve_give(s, NULL, 0);
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	if (s->front)
		MHD_destroy_response(s->front);
	vec_free(&s->links);
	free(s);
}

int serve_fd(const struct serve *s)
{
	return s->fd;
}

/* Nobody could do anything while the caller was elsewhere. */
static void pass_over_absence(struct serve *s)
{
	int64_t now = now_ns(), away = now - s->left;

	vec_each (l, &s->links) {
		(*l)->begun += away;
		(*l)->since += away;
	}
	s->left = now;
}

int64_t serve_wait(struct serve *s)
{
	MHD_UNSIGNED_LONG_LONG ms;
	int64_t end = INT64_MAX;

	pass_over_absence(s);
	if (MHD_get_timeout(s->daemon, &ms) == MHD_YES)
		return (int64_t)ms;
	vec_each (l, &s->links) {
		if (end_of(s, *l) < end)
			end = end_of(s, *l);
	}
	if (end == INT64_MAX)
		return -1;
	return end > s->left ? (end - s->left) / 1000000 + 1 : 0;
}

void serve_run(struct serve *s)
{
	s->calls++;
	MHD_run(s->daemon);
	end_links(s);
	s->left = now_ns();
}

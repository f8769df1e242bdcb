/* SPDX-License-Identifier: GPL-2.0-only */
#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>

#include "util.h"

/* Of a connection: a request's head has to fit, the page is not in it. */
#define MEMORY 8192

/*
 * At its own limit the library stops to accept, and begins again only some time after: it is not
 * to be reached, by what comes between two calls, which accept a dozen each.
 */
#define LIMIT (4 * SERVE_CONNECTIONS)
/* What waits to be accepted while the caller does something else. */
#define BACKLOG 512

struct serve {
	struct MHD_Daemon *daemon;
	int fd;
	int links[LIMIT]; /* that are open, the oldest first */
	size_t n;
	VEC(struct MHD_Connection *) waiting; /* suspended, for the page */
	const char *type;
	serve_page page;
	void *arg;
};

static int wrong(const char *text, const char *why, struct error *err)
{
	return error_set(err, "%s: %s; write 127.0.0.1:9876 or [::1]:9876", text, why);
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
		return wrong(text, "the address is none", err);
	memcpy(host, text, n);
	host[n] = '\0';
	if (host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		six->sin6_family = AF_INET6;
		if (inet_pton(AF_INET6, host + 1, &six->sin6_addr) != 1)
			return wrong(text, "the address is none", err);
		return parse_port(colon + 1, &six->sin6_port)
			       ? wrong(text, "the port is none from 1 to 65535", err)
			       : 0;
	}
	four->sin_family = AF_INET;
	if (inet_pton(AF_INET, host, &four->sin_addr) != 1)
		return wrong(text, "names are not looked up", err);
	return parse_port(colon + 1, &four->sin_port)
		       ? wrong(text, "the port is none from 1 to 65535", err)
		       : 0;
}

static int listen_at(const char *where, struct error *err)
{
	struct sockaddr_storage at;
	int fd, one = 1;

	if (serve_parse(where, &at, err))
		return -1;
	fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, "cannot listen at %s: %m", where);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* [::] is IPv6 alone: what is listened to is what is written */
	if (at.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, (void *)&at, sizeof(at)) || listen(fd, BACKLOG)) {
		error_set(err, "cannot listen at %s: %m; end who does, or choose another port",
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

static enum MHD_Result give_page(struct serve *s, struct MHD_Connection *c)
{
	struct MHD_Response *r;
	enum MHD_Result ret;
	size_t size = 0;
	char *text = NULL;
	enum serve_state state = s->page(s->arg, &text, &size);

	if (state == SERVE_LATER) {
		*vec_push(&s->waiting) = c;
		MHD_suspend_connection(c);
		return MHD_YES;
	}
	if (state == SERVE_NONE)
		return say(c, MHD_HTTP_SERVICE_UNAVAILABLE,
			   "cannot be read now; the agent's log says why\n");
	r = MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_FREE);
	if (!r) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(r, "Content-Type", s->type);
	ret = MHD_queue_response(c, MHD_HTTP_OK, r);
	MHD_destroy_response(r);
	return ret;
}

/* MHD_AccessHandlerCallback. A body that comes along is not read. */
static enum MHD_Result answer(void *arg, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version, const char *body,
			      size_t *body_size, void **state)
{
	struct serve *s = arg;

	(void)version, (void)body, (void)body_size, (void)state;
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return say(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
	if (strcmp(url, "/metrics") == 0)
		return give_page(s, c);
	if (strcmp(url, "/") == 0)
		return say(c, MHD_HTTP_OK, "tenantnat: the metrics are at /metrics\n");
	return say(c, MHD_HTTP_NOT_FOUND, "not here; the metrics are at /metrics\n");
}

/*
 * MHD_NotifyConnectionCallback. The newest is let in and the oldest goes: whoever holds connections
 * open keeps nobody else out. The library alone would keep even those whose client has gone, until
 * they time out, when their end came together with the last they sent.
 */
static void note_link(void *arg, struct MHD_Connection *c, void **context,
		      enum MHD_ConnectionNotificationCode what)
{
	int link = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	struct serve *s = arg;
	size_t i = 0;

	(void)context;
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		s->links[s->n++] = link;
		if (s->n > SERVE_CONNECTIONS)
			shutdown(s->links[s->n - SERVE_CONNECTIONS - 1], SHUT_RDWR);
		return;
	}
	while (i < s->n && s->links[i] != link)
		i++;
	if (i == s->n)
		return;
	s->n--;
	memmove(&s->links[i], &s->links[i + 1], (s->n - i) * sizeof(s->links[0]));
}

int serve_open(const char *where, const char *type, serve_page page, void *arg, struct serve **out,
	       struct error *err)
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
	s->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, answer, s,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned int)LIMIT,
		MHD_OPTION_NOTIFY_CONNECTION, note_link, s, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned int)SERVE_TIMEOUT, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY,
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
	*out = s;
	return 0;
}

void serve_close(struct serve *s)
{
	if (!s)
		return;
	/* it stops only when nobody is suspended */
	serve_ready(s);
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	vec_free(&s->waiting);
	free(s);
}

int serve_fd(const struct serve *s)
{
	return s->fd;
}

int64_t serve_wait(struct serve *s)
{
	MHD_UNSIGNED_LONG_LONG ms;

	return MHD_get_timeout(s->daemon, &ms) == MHD_YES ? (int64_t)ms : -1;
}

void serve_run(struct serve *s)
{
	MHD_run(s->daemon);
}

void serve_ready(struct serve *s)
{
	vec_each (c, &s->waiting)
		MHD_resume_connection(*c);
	s->waiting.n = 0;
}

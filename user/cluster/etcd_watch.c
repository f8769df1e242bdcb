// SPDX-License-Identifier: GPL-2.0-only
/*
 * A watch: one request whose answer does not end, a line of JSON for each message. libcurl says
 * which sockets it waits for, and they are in an epoll(7) of ours, so that the caller's loop waits
 * for one descriptor.
 *
 * A member that is cut off from the others ends the watch itself, because the request says that it
 * needs a leader. A host that is cut off is found out by keep-alives of TCP.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "cluster/etcd_internal.h"
#include "lib/clock.h"
#include "lib/output.h"

/* Seconds: a connection that says nothing for so long is asked, so often, and is given up. */
#define IDLE	 5
#define INTERVAL 2
#define ASKED	 3

struct etcd_watch {
	struct etcd *e;
	char *url; /* where it is */
	char *body;
	CURL *curl;
	CURLM *multi;
	struct curl_slist *headers;
	int epoll;
	bool begun;	/* the first message has come */
	uint64_t until; /* milliseconds of the monotonic clock: then it must have begun */
	int64_t timer;	/* the same: when libcurl wants to be called; -1: when a socket is ready */
	size_t read;	/* bytes of reply.body that were given out */
	size_t looked;	/* there is no end of a line before */
	bool over;	/* libcurl has finished with it */
	bool ended;	/* and so has the caller */
	struct etcd_reply reply;
};

/* ---------------------------------------------------------------- libcurl's side */

static int on_socket(CURL *curl, curl_socket_t fd, int what, void *arg, void *known)
{
	struct etcd_watch *w = arg;
	struct epoll_event event = { .data.fd = fd };

	(void)curl;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(w->epoll, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	event.events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
	epoll_ctl(w->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
	curl_multi_assign(w->multi, fd, w);
	return 0;
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
	struct etcd_watch *w = arg;

	(void)multi;
	w->timer = ms < 0 ? -1 : (int64_t)clock_ms() + ms;
	return 0;
}

static int on_open(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	int on = 1, idle = IDLE, interval = INTERVAL, asked = ASKED;

	(void)arg, (void)purpose;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &asked, sizeof(asked));
	return CURL_SOCKOPT_OK;
}

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct etcd_watch *w = arg;
	struct etcd_reply *r = &w->reply;

	(void)size;
	if (w->read) {
		r->body.n -= w->read;
		w->looked -= w->read;
		memmove(r->body.v, r->body.v + w->read, r->body.n);
		w->read = 0;
	}
	return etcd_reply_add(r, data, n);
}

/* ---------------------------------------------------------------- begin and end */

static int begin(struct etcd_watch *w, struct error *err)
{
	if (!w->curl || !w->multi || w->epoll < 0)
		return error_set(err, "cannot watch etcd: %s",
				 w->epoll < 0 ? strerror(errno) : "out of memory");
	curl_multi_setopt(w->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(w->multi, CURLMOPT_SOCKETDATA, w);
	curl_multi_setopt(w->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(w->multi, CURLMOPT_TIMERDATA, w);

	w->headers = etcd_set_up(w->e, w->curl, w->url, "/v3/watch", true);
	curl_easy_setopt(w->curl, CURLOPT_POSTFIELDS, w->body);
	curl_easy_setopt(w->curl, CURLOPT_SOCKOPTFUNCTION, on_open);
	curl_easy_setopt(w->curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(w->curl, CURLOPT_WRITEDATA, w);
	curl_easy_setopt(w->curl, CURLOPT_ERRORBUFFER, w->reply.detail);
	curl_multi_add_handle(w->multi, w->curl);
	w->until = clock_ms() + w->e->connect_ms + w->e->request_ms;
	return 0;
}

int etcd_watch_open(struct etcd *e, const struct etcd_query *query, struct etcd_watch **out,
		    struct error *err)
{
	_cleanup_etcd_watch_ struct etcd_watch *w = NULL;
	_cleanup_json_ json_t *body = etcd_write_watch(query);

	*out = NULL;
	if (etcd_prepare(e, err))
		return -1;
	w = xzalloc(sizeof(*w));
	w->e = e;
	w->url = xstrdup(e->endpoints.v[e->at].url);
	w->body = json_dumps(body, JSON_COMPACT);
	w->timer = -1;
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->curl = curl_easy_init();
	w->multi = curl_multi_init();
	if (begin(w, err))
		return -1;
	*out = w;
	w = NULL;
	return 0;
}

void etcd_watch_close(struct etcd_watch *w)
{
	if (!w)
		return;
	if (w->multi && w->curl)
		curl_multi_remove_handle(w->multi, w->curl);
	curl_easy_cleanup(w->curl);
	curl_multi_cleanup(w->multi);
	curl_slist_free_all(w->headers);
	if (w->epoll >= 0)
		close(w->epoll);
	etcd_reply_free(&w->reply);
	free(w->url);
	free(w->body);
	free(w);
}

int etcd_watch_fd(const struct etcd_watch *w)
{
	return w->epoll;
}

int64_t etcd_watch_wait(const struct etcd_watch *w)
{
	int64_t wait = -1;

	if (w->ended)
		return -1;
	if (w->over || w->reply.body.n > w->looked)
		return 0;
	if (w->timer >= 0)
		wait = clock_left((uint64_t)w->timer);
	if (!w->begun && (wait < 0 || clock_left(w->until) < wait))
		wait = clock_left(w->until);
	return wait;
}

/* ---------------------------------------------------------------- what came */

/* Let libcurl read and write what it can now. */
static void run(struct etcd_watch *w)
{
	struct epoll_event events[8];
	int running = 1, n = epoll_wait(w->epoll, events, ARRAY_SIZE(events), 0), left;
	CURLMsg *message;
	curl_off_t pretransfer = 0;
	long os_error = 0;

	for (int i = 0; i < n; i++)
		curl_multi_socket_action(
			w->multi, events[i].data.fd,
			(events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
				(events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
				(events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0),
			&running);
	if (w->timer >= 0 && !clock_left((uint64_t)w->timer)) {
		w->timer = -1;
		curl_multi_socket_action(w->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
	message = curl_multi_info_read(w->multi, &left);
	if (!message || message->msg != CURLMSG_DONE)
		return;
	w->over = true;
	w->reply.code = message->data.result;
	curl_easy_getinfo(w->curl, CURLINFO_PRETRANSFER_TIME_T, &pretransfer);
	curl_easy_getinfo(w->curl, CURLINFO_OS_ERRNO, &os_error);
	curl_easy_getinfo(w->curl, CURLINFO_RESPONSE_CODE, &w->reply.status);
	w->reply.sent = pretransfer > 0;
	w->reply.os_error = (int)os_error;
}

/* The next line that is whole, of *size bytes; NULL: none. */
static const char *next_line(struct etcd_watch *w, size_t *size)
{
	const char *from = w->reply.body.v, *end;

	if (w->looked == w->reply.body.n)
		return NULL;
	end = memchr(from + w->looked, '\n', w->reply.body.n - w->looked);
	w->looked = end ? (size_t)(end + 1 - from) : w->reply.body.n;
	if (!end)
		return NULL;
	*size = (size_t)(end - (from + w->read));
	from += w->read;
	w->read = w->looked;
	return from;
}

static int end(struct etcd_watch *w, const struct etcd_verdict *v, struct error *err)
{
	w->ended = true;
	if (v->token)
		etcd_forget_token(w->e);
	if (v->elsewhere && strcmp(w->url, w->e->endpoints.v[w->e->at].url) == 0)
		etcd_pass_over(w->e);
	return etcd_fail(w->e, w->url, v, err);
}

static int strange(struct etcd_watch *w, struct error *err)
{
	struct etcd_verdict v = { .fault = ETCD_UNSUPPORTED };

	snprintf(v.text, sizeof(v.text), "%s answers what etcd does not", w->url);
	return end(w, &v, err);
}

/* As gRPC writes it: `rpc error: code = PermissionDenied desc = etcdserver: permission denied`. */
static int end_canceled(struct etcd_watch *w, const struct etcd_message *m, struct error *err)
{
	static const struct {
		const char *name;
		int64_t code;
	} codes[] = { { "PermissionDenied", 7 }, { "Unauthenticated", 16 }, { "Unavailable", 14 },
		      { "InvalidArgument", 3 },	 { "OutOfRange", 11 },	    { "Canceled", 1 } };
	struct etcd_manner how = etcd_manner(w->e, w->url, false);
	const char *text = strstr(m->reason, "desc = ");
	struct etcd_verdict v;
	int64_t code = 0;

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		if (strstr(m->reason, codes[i].name))
			code = codes[i].code;
	}
	text = text ? text + strlen("desc = ") : m->reason;
	if (m->compacted)
		etcd_judge_text(11, "compacted", &how, &v);
	else
		etcd_judge_text(code, *text ? text : "the watch was canceled", &how, &v);
	w->e->compacted = m->compacted;
	return end(w, &v, err);
}

/* What is no message: an error, or something that is not etcd's. */
static int end_by(struct etcd_watch *w, const json_t *json, struct error *err)
{
	struct etcd_manner how = etcd_manner(w->e, w->url, false);
	struct etcd_reply r = { .status = 200, .json = (json_t *)json };
	struct etcd_verdict v;

	etcd_judge(&r, &how, &v);
	return v.fault ? end(w, &v, err) : strange(w, err);
}

static int take_line(struct etcd_watch *w, const char *line, size_t size, struct etcd_events *out,
		     struct error *err)
{
	_cleanup_(etcd_message_free) struct etcd_message m = { 0 };
	_cleanup_json_ json_t *json = json_loadb(line, size, 0, NULL);
	const json_t *result = json_object_get(json, "result");

	if (!result)
		return end_by(w, json, err);
	if (etcd_read_message(result, &m))
		return strange(w, err);
	w->begun = true;
	if (m.canceled)
		return end_canceled(w, &m, err);
	*out = m.events;
	memset(&m.events, 0, sizeof(m.events));
	return 1;
}

static int end_silent(struct etcd_watch *w, struct error *err)
{
	struct etcd_manner how = etcd_manner(w->e, w->url, false);
	struct etcd_reply *r = &w->reply;
	struct etcd_verdict v;

	how.first = !w->begun;
	r->ms = w->e->connect_ms + w->e->request_ms;
	if (r->code == CURLE_OK && r->body.n > w->read) /* an error has no end of a line */
		r->json = json_loadb(r->body.v + w->read, r->body.n - w->read, 0, NULL);
	/* a stream that ends is none */
	if (r->code == CURLE_OK && r->status == 200 && !r->json)
		r->code = CURLE_GOT_NOTHING;
	etcd_judge(r, &how, &v);
	return v.fault ? end(w, &v, err) : strange(w, err);
}

int etcd_watch_next(struct etcd_watch *w, struct etcd_events *out, struct error *err)
{
	const char *line;
	size_t size;

	memset(out, 0, sizeof(*out));
	if (w->ended)
		return error_set(err, "this watch has ended");
	line = next_line(w, &size);
	if (!line && !w->over) {
		run(w);
		line = next_line(w, &size);
	}
	if (line)
		return take_line(w, line, size, out, err);
	if (!w->over && !w->begun && !clock_left(w->until)) {
		w->over = true;
		w->reply.code = CURLE_OPERATION_TIMEDOUT;
		w->reply.sent = true;
	}
	return w->over ? end_silent(w, err) : 0;
}

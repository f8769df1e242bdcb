/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP for tcp.py, beside what iperf3 measures. A request is 64 bytes that no other has, its answer
 * the complement of each.
 *
 *   requests serve ADDRESS [spin]         until it is killed; says "ready" first
 *   requests connect ADDRESS MILLISECONDS  connect, request, answer, close, for so long
 *   requests ask ADDRESS MILLISECONDS      requests in one connection, one after the other
 *
 * Prints one line of JSON. Whatever is not answered, or wrongly, ends a client with exit status 1
 * and a sentence on stderr. With `spin`, and when asking, nobody sleeps: then a round trip is that
 * of the path, not of the scheduler.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define FIRST_PORT 7000
#define PORTS	   16 /* as many times the ports of one client */
#define AT_ONCE	   16
#define SIZE	   64
#define EVENTS	   64
#define PATIENCE   2000 /* ms */
#define WARM_UP	   200
#define MOST	   (1 << 22) /* round trips */

struct bytes {
	uint64_t words[SIZE / 8];
};

struct connection {
	int fd;
	bool listening, asked;
	size_t got;
	struct bytes in;
	uint64_t number; /* of the request */
};

static void __attribute__((noreturn)) fail(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

static int need(int ret, const char *what)
{
	if (ret < 0)
		fail(what, strerror(errno));
	return ret;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static struct bytes request_of(uint64_t number)
{
	struct bytes b;

	for (size_t i = 0; i < SIZE / 8; i++)
		b.words[i] = (number + i) * 0x9e3779b97f4a7c15ULL;
	return b;
}

static struct bytes answer_to(struct bytes request)
{
	for (size_t i = 0; i < SIZE / 8; i++)
		request.words[i] = ~request.words[i];
	return request;
}

static struct sockaddr_in address_of(const char *text, unsigned int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(FIRST_PORT + port) };

	if (inet_pton(AF_INET, text, &a.sin_addr) != 1)
		fail(text, "no IPv4 address");
	return a;
}

static int new_socket(int flags)
{
	return need(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0), "a socket");
}

static void send_all(int fd, struct bytes b)
{
	if (need(send(fd, &b, SIZE, MSG_NOSIGNAL), "sending") != SIZE)
		fail("sending", "64 bytes did not fit into the socket");
}

/* What is missing of 64 bytes, as far as it is there: false while some are to come, or at the end
 * of the stream (`ended`). */
static bool receive(struct connection *c, bool *ended)
{
	ssize_t n = recv(c->fd, (char *)&c->in + c->got, SIZE - c->got, MSG_DONTWAIT);

	*ended = n == 0 || (n < 0 && errno != EAGAIN);
	if (n > 0)
		c->got += n;
	return c->got == SIZE;
}

static void watch(int epoll, struct connection *c, uint32_t events, int how)
{
	struct epoll_event e = { .events = events, .data.ptr = c };

	need(epoll_ctl(epoll, how, c->fd, &e), "epoll_ctl");
}

/* ---------------------------------------------------------------- the server */

static struct connection *new_connection(int epoll, int fd, bool listening)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (!c)
		fail("a connection", "no memory");
	c->fd = fd;
	c->listening = listening;
	watch(epoll, c, EPOLLIN, EPOLL_CTL_ADD);
	return c;
}

static void listen_at(int epoll, const char *address, unsigned int port)
{
	struct sockaddr_in a = address_of(address, port);
	int fd = new_socket(SOCK_NONBLOCK), yes = 1;

	need(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), "SO_REUSEADDR");
	need(bind(fd, (void *)&a, sizeof(a)), address);
	need(listen(fd, 4096), "listen");
	new_connection(epoll, fd, true);
}

static void answer(struct connection *c)
{
	bool ended;

	if (receive(c, &ended)) {
		send_all(c->fd, answer_to(c->in));
		c->got = 0;
	} else if (ended) {
		close(c->fd);
		free(c);
	}
}

static void accept_all(int epoll, const struct connection *listener)
{
	int fd, yes = 1;

	while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		need(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)), "TCP_NODELAY");
		new_connection(epoll, fd, false);
	}
	if (errno != EAGAIN && errno != ECONNABORTED)
		fail("accept", strerror(errno));
}

static void __attribute__((noreturn)) serve(const char *address, bool spin)
{
	int epoll = need(epoll_create1(EPOLL_CLOEXEC), "epoll");
	struct epoll_event events[EVENTS];

	for (unsigned int i = 0; i < PORTS; i++)
		listen_at(epoll, address, i);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int n = need(epoll_wait(epoll, events, EVENTS, spin ? 0 : -1), "epoll_wait");

		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;

			if (c->listening)
				accept_all(epoll, c);
			else
				answer(c);
		}
	}
}

/* ---------------------------------------------------------------- the clients */

static void check(const struct connection *c)
{
	struct bytes expected = answer_to(request_of(c->number));

	if (memcmp(&c->in, &expected, SIZE) != 0)
		fail("an answer", "not that to the request");
}

static void open_next(int epoll, struct connection *c, const char *address, uint64_t number)
{
	struct sockaddr_in to = address_of(address, number % PORTS);

	*c = (struct connection){ .fd = new_socket(SOCK_NONBLOCK), .number = number };
	if (connect(c->fd, (void *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
		fail("connect", strerror(errno));
	watch(epoll, c, EPOLLOUT, EPOLL_CTL_ADD);
}

/* The next step of a connection; true when its answer has come. */
static bool advance(int epoll, struct connection *c)
{
	int error = 0;
	socklen_t size = sizeof(error);
	bool ended;

	if (c->asked) {
		if (receive(c, &ended))
			return true;
		if (ended)
			fail("a connection", "ended without an answer");
		return false;
	}
	need(getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size), "SO_ERROR");
	if (error)
		fail("connect", strerror(error));
	send_all(c->fd, request_of(c->number));
	c->asked = true;
	watch(epoll, c, EPOLLIN, EPOLL_CTL_MOD);
	return false;
}

static void connect_and_close(const char *address, uint64_t duration)
{
	int epoll = need(epoll_create1(EPOLL_CLOEXEC), "epoll"), open = 0;
	uint64_t begin = now_ns(), number = 0, done = 0;
	struct connection connections[AT_ONCE];
	struct epoll_event events[EVENTS];

	for (; open < AT_ONCE; open++)
		open_next(epoll, &connections[open], address, number++);
	while (open) {
		int n = need(epoll_wait(epoll, events, EVENTS, PATIENCE), "epoll_wait");

		if (!n)
			fail("a connection", "no answer in 2 s");
		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;

			if (!advance(epoll, c))
				continue;
			check(c);
			close(c->fd);
			done++;
			if (now_ns() - begin < duration)
				open_next(epoll, c, address, number++);
			else
				open--;
		}
	}
	printf("{\"count\": %ju, \"seconds\": %.6f}\n", (uintmax_t)done, (now_ns() - begin) / 1e9);
}

/* Nanoseconds. */
static uint32_t round_trip(struct connection *c)
{
	uint64_t begin = now_ns();
	bool ended;

	c->got = 0;
	send_all(c->fd, request_of(c->number));
	while (!receive(c, &ended)) {
		if (ended)
			fail("the connection", "ended");
		if (now_ns() - begin > PATIENCE * 1000000ULL)
			fail("a request", "no answer in 2 s");
	}
	begin = now_ns() - begin;
	check(c);
	c->number++;
	return begin;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void ask(const char *address, uint64_t duration)
{
	struct sockaddr_in to = address_of(address, 0);
	struct connection c = { .fd = new_socket(0) };
	uint32_t *ns = calloc(MOST, sizeof(*ns));
	uint64_t begin;
	size_t n = 0;
	int yes = 1;

	if (!ns)
		fail("asking", "no memory");
	need(connect(c.fd, (void *)&to, sizeof(to)), "connect");
	need(setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)), "TCP_NODELAY");
	for (int i = 0; i < WARM_UP; i++)
		round_trip(&c);
	for (begin = now_ns(); n < MOST && now_ns() - begin < duration;)
		ns[n++] = round_trip(&c);
	if (!n)
		fail("asking", "no time for it");
	qsort(ns, n, sizeof(*ns), compare);
	printf("{\"count\": %zu, \"p50\": %u, \"p90\": %u, \"p99\": %u, \"p99.9\": %u}\n", n,
	       ns[n / 2], ns[n * 9 / 10], ns[n * 99 / 100], ns[n * 999 / 1000]);
	free(ns);
}

static uint64_t duration_of(const char *text)
{
	char *end;
	unsigned long ms = strtoul(text, &end, 10);

	if (*end || !ms || ms > 3600000)
		fail(text, "no milliseconds from 1 to 3600000");
	return ms * 1000000ULL;
}

int main(int argc, char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argc >= 3 && !strcmp(argv[1], "serve"))
		serve(argv[2], argc > 3 && !strcmp(argv[3], "spin"));
	if (argc == 4 && !strcmp(argv[1], "connect")) {
		connect_and_close(argv[2], duration_of(argv[3]));
	} else if (argc == 4 && !strcmp(argv[1], "ask")) {
		ask(argv[2], duration_of(argv[3]));
	} else {
		fputs("requests serve ADDRESS [spin] | connect|ask ADDRESS MILLISECONDS\n", stderr);
		return 2;
	}
	return 0;
}

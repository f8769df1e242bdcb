/* SPDX-License-Identifier: GPL-2.0-only */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

#include "agent/serve.h"
#include "lib/util.h"

Test(serve, addresses)
{
	struct sockaddr_storage at;
	const struct sockaddr_in *four = (void *)&at;
	const struct sockaddr_in6 *six = (void *)&at;
	struct error err = { 0 };

	cr_assert_eq(serve_parse("127.0.0.1:9876", &at, &err), 0);
	cr_assert_eq(four->sin_family, AF_INET);
	cr_assert_eq(four->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	cr_assert_eq(four->sin_port, htons(9876));
	cr_assert_eq(serve_parse("[::1]:65535", &at, &err), 0);
	cr_assert_eq(six->sin6_family, AF_INET6);
	cr_assert(IN6_IS_ADDR_LOOPBACK(&six->sin6_addr));
	cr_assert_eq(six->sin6_port, htons(65535));
}

Test(serve, refused)
{
	static const char *const cases[][2] = {
		{ "9876", "there is no port" },
		{ ":9876", "open to everybody" },
		{ "localhost:9876", "names are not looked up" },
		{ "::1:9876", "names are not looked up" },
		{ "[::1]", "names are not looked up" },
		{ "[::g]:9876", "the address is not valid" },
		{ "127.0.0.1:", "from 1 to 65535" },
		{ "127.0.0.1:0", "from 1 to 65535" },
		{ "127.0.0.1:65536", "from 1 to 65535" },
		{ "127.0.0.1:+80", "from 1 to 65535" },
		{ "[::1]:80x", "from 1 to 65535" },
		{ "1234567890123456789012345678901234567890123456789012:1",
		  "the address is not valid" },
	};
	struct sockaddr_storage at;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = { 0 };

		cr_assert_eq(serve_parse(cases[i][0], &at, &err), -1, "%s", cases[i][0]);
		cr_assert(strstr(err.text, cases[i][1]), "%s: %s", cases[i][0], err.text);
		cr_assert(strstr(err.text, cases[i][0]), "%s", err.text);
	}
}

/* --- a server and its clients, in one process: nothing happens but what the test does --- */

#define PAGE (8 << 20)

static struct serve *server;
static struct sockaddr_in at;
static enum serve_state page_state;

static const struct front front = { (char *)"<p>hello</p>", 12, "default-src 'none'" };

static enum serve_state state_of_page(void *arg)
{
	(void)arg;
	return page_state;
}

static void begin(enum serve_state state)
{
	char where[32];
	struct error err = { 0 };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	at = (struct sockaddr_in){ .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	/* a port that is free, and soon ours */
	cr_assert_eq(bind(fd, (void *)&at, sizeof(at)), 0);
	cr_assert_eq(getsockname(fd, (void *)&at, &len), 0);
	close(fd);
	snprintf(where, sizeof(where), "127.0.0.1:%u", ntohs(at.sin_port));
	page_state = state;
	cr_assert_eq(serve_open(where, "text/plain", &front, state_of_page, NULL, &server, &err), 0,
		     "%s", err.text);
}

/* A page that begins and ends with a letter of its own. */
static void give(char letter, size_t size)
{
	char *text = malloc(size);

	memset(text, '.', size);
	text[0] = text[size - 1] = letter;
	serve_give(server, text, size);
	page_state = SERVE_PAGE;
}

/* Until there is nothing more to do for now. */
static void turn(void)
{
	struct pollfd fd = { .fd = serve_fd(server), .events = POLLIN };

	for (int calm = 0; calm < 3; calm++) {
		if (poll(&fd, 1, 5) > 0 || serve_wait(server) == 0)
			calm = 0;
		serve_run(server);
	}
}

/* With little room, so that a page does not fit into what the kernel holds. */
static int connect_from(const char *address)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), room = 65536;

	cr_assert_geq(fd, 0);
	inet_pton(AF_INET, address, &from.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	cr_assert_eq(bind(fd, (void *)&from, sizeof(from)), 0);
	cr_assert(connect(fd, (void *)&at, sizeof(at)) == 0 || errno == EINPROGRESS);
	return fd;
}

static int connect_here(void)
{
	return connect_from("127.0.0.1");
}

static void ask(int fd)
{
	static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

	cr_assert_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
}

/* Read to the end of a page, which `last` is. False: it was cut off. */
static bool take(int fd, char *last)
{
	static char buf[1 << 18];
	struct pollfd in = { .fd = fd, .events = POLLIN };
	char before = 0;

	*last = 0;
	while (before != '.' || *last == '.') {
		ssize_t n;

		poll(&in, 1, 5);
		n = recv(fd, buf, sizeof(buf), 0);
		if (!n || (n < 0 && errno != EAGAIN))
			return false;
		if (n > 0) {
			before = n > 1 ? buf[n - 2] : *last;
			*last = buf[n - 1];
		}
		serve_wait(server);
		serve_run(server);
	}
	return true;
}

static bool is_closed(int fd)
{
	char buf[4096];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		;
	return n == 0 || errno != EAGAIN;
}

/* The first bytes of an answer, "200". */
static bool is_answered(int fd, const char *status)
{
	char head[13] = "";

	return recv(fd, head, 12, 0) == 12 && strcmp(head + 9, status) == 0;
}

static void close_all(int *fd, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fd[i]);
}

TestSuite(served, .timeout = 120);

Test(served, a_page_is_held_once)
{
	int fd[SERVE_CONNECTIONS];
	struct mallinfo2 before, after;

	begin(SERVE_NONE);
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	give('a', PAGE);
	before = mallinfo2();
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = connect_here();
		ask(fd[i]);
		turn();
		cr_assert(is_answered(fd[i], "200"), "%zu", i);
	}
	after = mallinfo2();
	cr_assert_lt(after.uordblks + after.hblkhd, before.uordblks + before.hblkhd + PAGE / 2);
	cr_expect_not(serve_is_held(server));

	/* the one before stays for those who read it, and goes with the last of them */
	give('b', PAGE);
	cr_expect(serve_is_held(server));
	after = mallinfo2();
	cr_assert_lt(after.hblkhd, before.hblkhd + PAGE + PAGE / 2);
	close_all(fd, ARRAY_SIZE(fd));
	turn();
	cr_expect_not(serve_is_held(server));
	after = mallinfo2();
	cr_assert_lt(after.hblkhd, before.hblkhd + PAGE / 2);
	serve_close(server);
}

Test(served, who_reads_gets_the_page_that_was_begun)
{
	int fd;
	char last = 0;

	begin(SERVE_NONE);
	give('a', PAGE);
	fd = connect_here();
	ask(fd);
	turn();
	cr_assert(is_answered(fd, "200"));
	give('b', PAGE);
	cr_assert(take(fd, &last));
	cr_assert_eq(last, 'a');
	turn();
	cr_expect_not(serve_is_held(server));
	close(fd);
	fd = connect_here();
	ask(fd);
	cr_assert(take(fd, &last));
	cr_assert_eq(last, 'b');
	close(fd);
	serve_close(server);
}

/* Neither who waits nor who reads goes for those that only connect. */
Test(served, newcomers_that_ask_nothing)
{
	int waits, reads, fd[20 * SERVE_CONNECTIONS];
	size_t open = 0;
	char last = 0;

	begin(SERVE_NONE);
	give('a', PAGE);
	reads = connect_here();
	ask(reads);
	turn();
	cr_assert(is_answered(reads, "200"));
	page_state = SERVE_LATER;
	waits = connect_here();
	ask(waits);
	turn();
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = connect_here();
		turn();
	}
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		open += !is_closed(fd[i]);
	cr_expect_eq(open, SERVE_CONNECTIONS);
	cr_expect_not(is_closed(fd[ARRAY_SIZE(fd) - 1]), "the oldest goes");
	cr_assert(take(reads, &last));
	cr_assert_eq(last, 'a');
	give('b', PAGE);
	cr_assert(take(waits, &last));
	cr_assert_eq(last, 'b');
	close_all(fd, ARRAY_SIZE(fd));
	close(waits);
	close(reads);
	serve_close(server);
}

/* Whoever asks is let in, and of those that read, the one that takes nothing makes room. */
Test(served, readers_that_take_nothing)
{
	int slow[3 * SERVE_CONNECTIONS], reads;
	size_t open = 0;
	char last = 0;

	begin(SERVE_NONE);
	give('a', PAGE);
	reads = connect_here();
	ask(reads);
	turn();
	cr_assert(is_answered(reads, "200"));
	for (size_t i = 0; i < ARRAY_SIZE(slow); i++) {
		char some[65536];

		slow[i] = connect_here();
		ask(slow[i]);
		turn();
		cr_assert(is_answered(slow[i], "200"), "%zu", i);
		/* it goes on reading, if slowly */
		cr_assert_gt(recv(reads, some, sizeof(some), 0), 0);
		turn();
	}
	cr_assert(take(reads, &last));
	cr_assert_eq(last, 'a');
	for (size_t i = 0; i < ARRAY_SIZE(slow); i++)
		open += !is_closed(slow[i]);
	cr_expect_leq(open, SERVE_CONNECTIONS);
	close_all(slow, ARRAY_SIZE(slow));
	close(reads);
	serve_close(server);
}

/* While a page is made, more of them wait than there is room for: nobody is sent away. */
Test(served, many_that_wait)
{
	int fd[3 * SERVE_CONNECTIONS];

	begin(SERVE_NONE);
	give('a', 100);
	page_state = SERVE_LATER;
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = connect_here();
		ask(fd[i]);
		turn();
	}
	give('b', 100);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		char last = 0;

		turn();
		cr_assert(take(fd[i], &last), "%zu", i);
		cr_assert_eq(last, i < ARRAY_SIZE(fd) - SERVE_CONNECTIONS ? 'a' : 'b', "%zu: %c", i,
			     last);
	}
	close_all(fd, ARRAY_SIZE(fd));
	serve_close(server);
}

/* With one address that has many, nobody goes who has another. */
Test(served, others_are_not_the_first_to_go)
{
	int own = 0, fd[3 * SERVE_CONNECTIONS];

	begin(SERVE_NONE);
	give('a', 100);
	own = connect_from("127.0.0.2");
	turn();
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = connect_from("127.0.0.3");
		turn();
	}
	ask(own);
	turn();
	cr_assert(is_answered(own, "200"));
	close_all(fd, ARRAY_SIZE(fd));
	close(own);
	serve_close(server);
}

/* A request that has no end, and a page that nobody takes. */
Test(served, who_does_nothing_is_hung_up_on)
{
	struct pollfd fd = { .events = POLLIN };
	int asks, reads;

	begin(SERVE_NONE);
	fd.fd = serve_fd(server);
	give('a', PAGE);
	asks = connect_here();
	reads = connect_here();
	ask(reads);
	turn();
	cr_assert(is_answered(reads, "200"));
	give('b', PAGE);
	/* one byte after the other is no request, and buys no time */
	for (int sent = 0; serve_is_held(server) || !is_closed(asks);) {
		int64_t wait = serve_wait(server);

		cr_assert(wait >= 0 || poll(&fd, 1, 0) > 0, "it would wait for ever");
		poll(&fd, 1, wait < 100 ? (int)wait : 100);
		if (wait >= 100 && sent++ < 1000)
			send(asks, "G", 1, MSG_NOSIGNAL);
		serve_run(server);
	}
	close(asks);
	close(reads);
	serve_close(server);
}

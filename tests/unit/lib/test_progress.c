/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/progress.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

/* What the terminal has got; the test's process has it as stderr. */
struct terminal {
	int fd;
	char got[4096];
	size_t n;
};

static void open_terminal(struct terminal *t, const char *term)
{
	int slave;

	memset(t, 0, sizeof(*t));
	cr_assert_eq(openpty(&t->fd, &slave, NULL, NULL, NULL), 0);
	fcntl(t->fd, F_SETFL, O_NONBLOCK);
	dup2(slave, STDERR_FILENO);
	close(slave);
	setenv("TERM", term, 1);
}

/* Whatever comes within so many milliseconds. */
static void read_more(struct terminal *t, int ms)
{
	struct pollfd fd = { .fd = t->fd, .events = POLLIN };
	ssize_t n;

	if (poll(&fd, 1, ms) <= 0)
		return;
	n = read(t->fd, t->got + t->n, sizeof(t->got) - t->n - 1);
	if (n > 0)
		t->n += n;
	t->got[t->n] = '\0';
}

static void wait_for(struct terminal *t, const char *text)
{
	for (int i = 0; i < 600 && !strstr(t->got, text); i++)
		read_more(t, 100);
	cr_assert(strstr(t->got, text), "no %s in %s", text, t->got);
}

/* What is on the line in the end. */
static const char *line(const struct terminal *t)
{
	const char *last = strrchr(t->got, '\r');

	return last ? last + 1 : t->got;
}

TestSuite(progress, .timeout = 120);

Test(progress, one_line_that_is_erased)
{
	struct terminal t;

	open_terminal(&t, "xterm");
	progress_setup(true);
	progress_begin("routers joined", 3);
	progress_step(1);
	wait_for(&t, "\r\033[Krouters joined 1 of 3");
	progress_step(2);
	wait_for(&t, "\r\033[Krouters joined 3 of 3");
	/* never more than there is to do */
	progress_begin("rows", 2);
	progress_step(7);
	wait_for(&t, "\r\033[Krows 2 of 2");
	progress_begin("saving", 0);
	wait_for(&t, "\r\033[Ksaving …");
	progress_end();
	read_more(&t, 0);
	cr_expect_str_eq(line(&t), "\033[K");
	cr_expect_not(strchr(t.got, '\n'));
}

/* What else is written has a line of its own. */
Test(progress, a_warning_in_between)
{
	struct terminal t;

	open_terminal(&t, "xterm");
	progress_setup(true);
	progress_begin("routers joined", 3);
	wait_for(&t, "0 of 3");
	log_warning("something is wrong");
	wait_for(&t, "\r\033[Ktenantnat: something is wrong\r\n");
	/* and then it goes on */
	t.n = 0;
	t.got[0] = '\0';
	wait_for(&t, "0 of 3");
	progress_end();
}

/* Longer than it takes until something would come. */
static void expect_silence(struct terminal *t)
{
	progress_begin("routers joined", 3);
	progress_step(1);
	for (int i = 0; i < 20; i++) {
		read_more(t, 100);
		if (t->n)
			break;
	}
	progress_end();
	cr_expect_str_eq(t->got, "");
}

Test(progress, not_on_a_dumb_terminal)
{
	struct terminal t;

	open_terminal(&t, "dumb");
	progress_setup(true);
	expect_silence(&t);
}

Test(progress, not_when_it_is_not_wanted)
{
	struct terminal t;

	open_terminal(&t, "xterm");
	progress_setup(false);
	expect_silence(&t);
}

Test(progress, not_into_a_pipe)
{
	struct terminal t = { 0 };
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	t.fd = fds[0];
	dup2(fds[1], STDERR_FILENO);
	setenv("TERM", "xterm", 1);
	progress_setup(true);
	expect_silence(&t);
}

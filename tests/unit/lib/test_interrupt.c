/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "lib/interrupt.h"

static bool is_readable(int fd)
{
	return poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0) == 1;
}

Test(interrupt, is_noted_and_named)
{
	struct error err = { 0 };

	interrupt_catch();
	interrupt_catch();
	cr_expect_eq(interrupt_check(&err), 0);
	cr_expect_not(interrupt_is_noted());
	cr_expect_not(is_readable(interrupt_fd()));
	raise(SIGTERM);
	cr_expect(interrupt_is_noted());
	cr_expect(is_readable(interrupt_fd()));
	cr_expect_eq(interrupt_check(&err), -1);
	cr_expect_str_eq(err.text, "interrupted (SIGTERM); everything is as it was before");
}

/* What is being taken back is not taken back. */
Test(interrupt, is_held)
{
	struct error err = { 0 };

	interrupt_catch();
	interrupt_hold(true);
	raise(SIGINT);
	cr_expect(interrupt_is_noted());
	cr_expect_not(interrupt_is_due());
	cr_expect_eq(interrupt_check(&err), 0);
	cr_expect_not(err.set);
	interrupt_hold(false);
	cr_expect(interrupt_is_due());
}

static int died_of(void (*child)(void))
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		child();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void once(void)
{
	interrupt_catch();
	raise(SIGINT);
}

static void twice(void)
{
	interrupt_catch();
	interrupt_hold(true);
	raise(SIGINT);
	raise(SIGTERM);
}

static void ignoring(void)
{
	signal(SIGHUP, SIG_IGN);
	interrupt_catch();
	raise(SIGHUP);
	raise(SIGHUP);
	if (interrupt_is_noted())
		raise(SIGKILL);
}

static void forked(void)
{
	int status;
	pid_t pid;

	interrupt_catch();
	pid = fork();
	if (pid == 0) {
		raise(SIGTERM);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (!WIFSIGNALED(status) || is_readable(interrupt_fd()))
		raise(SIGKILL);
}

Test(interrupt, the_second_one_ends_it_at_once)
{
	cr_expect_eq(died_of(once), 0);
	cr_expect_eq(died_of(twice), SIGTERM);
}

Test(interrupt, sighup_stays_ignored)
{
	cr_expect_eq(died_of(ignoring), 0);
}

Test(interrupt, ends_what_was_forked)
{
	cr_expect_eq(died_of(forked), 0);
}

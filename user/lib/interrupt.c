/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static volatile sig_atomic_t noted; /* its number; 0: none */
static bool held;
static int wake = -1;
static pid_t owner;

static void on_signal(int number)
{
	const uint64_t one = 1;
	int error = errno;

	/* a process that was forked meanwhile has nothing to take back */
	if (noted || getpid() != owner) {
		signal(number, SIG_DFL);
		raise(number); /* delivered when this function is left */
	} else {
		noted = number;
		if (wake >= 0 && write(wake, &one, sizeof(one)) < 0)
			errno = 0; /* it is readable already */
	}
	errno = error;
}

void interrupt_catch(void)
{
	struct sigaction how = { .sa_handler = on_signal, .sa_flags = SA_RESTART }, now;

	if (wake >= 0)
		return;
	owner = getpid();
	wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sigaction(SIGINT, &how, NULL);
	sigaction(SIGTERM, &how, NULL);
	/* not under nohup(1) */
	if (sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler != SIG_IGN)
		sigaction(SIGHUP, &how, NULL);
}

void interrupt_block(bool block)
{
	static sigset_t before;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	/* the agent has SIGHUP blocked all the time */
	if (block)
		sigprocmask(SIG_BLOCK, &set, &before);
	else
		sigprocmask(SIG_SETMASK, &before, NULL);
}

bool interrupt_is_noted(void)
{
	return noted;
}

bool interrupt_is_due(void)
{
	return noted && !held;
}

void interrupt_hold(bool hold)
{
	held = hold;
}

int interrupt_check(struct error *err)
{
	if (!interrupt_is_due())
		return 0;
	return error_set(err, "interrupted (SIG%s); everything is as it was before",
			 sigabbrev_np(noted));
}

int interrupt_fd(void)
{
	return wake;
}

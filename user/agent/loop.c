/* SPDX-License-Identifier: GPL-2.0-only */
/* The process: it begins, waits for what happens, and ends. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>

#include "agent/agent_parts.h"
#include "config/definitions.h"
#include "lib/file.h"
#include "lib/log.h"

static void reload(struct agent *a)
{
	struct error err = { 0 };
	struct model wanted;

	if (!a->options.file) {
		agent_hurry(a);
		return;
	}
	if (definitions_read(a->options.file, &wanted, &err)) {
		log_error("%s; the definitions in force stay", err.text);
		return;
	}
	model_free(&a->wanted);
	a->wanted = wanted;
	a->has_wanted = true;
	agent_hurry(a);
}

static void take_signals(struct agent *a)
{
	struct signalfd_siginfo info;

	while (read(a->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGHUP) {
			sd_notify(0, "STOPPING=1");
			a->stop = true;
			continue;
		}
		sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)now_ms() * 1000);
		reload(a);
		agent_check(a);
		sd_notify(0, "READY=1");
	}
}

static void wait_for_something(struct agent *a)
{
	struct pollfd fds[] = { { .fd = watch_fd(a->watch), .events = POLLIN },
				{ .fd = a->signals, .events = POLLIN },
				{ .fd = a->serve ? serve_fd(a->serve) : -1, .events = POLLIN },
				{ .fd = a->page_fd, .events = POLLIN } };
	int64_t until = a->due < a->poll ? a->due : a->poll, left;

	if (a->watchdog && a->alive < until)
		until = a->alive;
	if (announcements_due(&a->announcements) < until)
		until = announcements_due(&a->announcements);
	left = later(until - now_ms(), 0);
	if (a->serve && serve_wait(a->serve) >= 0 && serve_wait(a->serve) < left)
		left = serve_wait(a->serve);
	poll(fds, ARRAY_SIZE(fds), left);
	if (a->page_fd >= 0)
		agent_read_page(a);
	if (a->serve)
		serve_run(a->serve);
	if (watch_read(a->watch))
		agent_hurry(a);
	take_signals(a);
}

static void tell_alive(struct agent *a)
{
	if (!a->watchdog || now_ms() < a->alive)
		return;
	sd_notify(0, "WATCHDOG=1");
	a->alive = now_ms() + a->watchdog / 2000;
}

static void serve(struct agent *a)
{
	while (!a->stop) {
		tell_alive(a);
		announcements_send(&a->announcements, now_ms());
		if (now_ms() >= a->poll)
			agent_poll_links(a);
		if (now_ms() >= a->due)
			agent_check(a);
		wait_for_something(a);
	}
}

/* One agent for one state. */
static int lock(struct agent *a, struct error *err)
{
	char path[PATH_MAX], text[32] = "";
	int n;

	snprintf(path, sizeof(path), "%s/agent", a->settings.state);
	a->lock = file_open(path, O_RDWR | O_CREAT, err);
	if (a->lock < 0)
		return -1;
	if (flock(a->lock, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
		n = pread(a->lock, text, sizeof(text) - 1, 0);
		text[n > 0 ? strcspn(text, "\n") : 0] = '\0';
		return error_set(
			err,
			"an agent looks after %s already, process %s; end it first, or use "
			"another --state",
			a->settings.state, *text ? text : "unknown");
	}
	n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (ftruncate(a->lock, 0) || pwrite(a->lock, text, n, 0) != n)
		return error_set(err, "cannot write %s: %m", path);
	return 0;
}

static int open_signals(struct agent *a, struct error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return error_set(err, "cannot block signals: %m");
	a->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return a->signals < 0 ? error_set(err, "cannot wait for signals: %m") : 0;
}

/* Errors that are about no single router end it here, before it says that it is ready. */
static int begin(struct agent *a, struct error *err)
{
	_cleanup_store_ struct store *store = NULL;

	/* the directory has to be there before it is locked and watched */
	if (store_open(a->settings.state, STORE_WRITE, a->settings.wait, a->settings.command,
		       &store, err))
		return -1;
	store_close(store);
	store = NULL;
	if (lock(a, err) || open_signals(a, err) || watch_open(a->settings.state, &a->watch, err))
		return -1;
	if (agent_open_metrics(a, err))
		return -1;
	a->retry = RETRY_FIRST;
	if (a->options.file)
		reload(a);
	if ((a->has_wanted && agent_put_in_force(a, err)) || agent_mend(a, err) < 0)
		return -1;
	a->settings.wait = 0;
	agent_check(a);
	sd_watchdog_enabled(0, &a->watchdog);
	sd_notifyf(0, "READY=1\nMAINPID=%d", (int)getpid());
	return 0;
}

static void agent_cleanup(struct agent *a)
{
	announcements_free(&a->announcements);
	troubles_free(&a->troubles);
	vec_free(&a->routers);
	model_free(&a->wanted);
	watch_close(a->watch);
	if (a->writer > 0) {
		kill(a->writer, SIGKILL);
		waitpid(a->writer, NULL, 0);
	}
	close_cleanup(&a->page_fd);
	serve_close(a->serve);
	free(a->page);
	close_cleanup(&a->signals);
	close_cleanup(&a->lock);
}

int agent_run(const struct settings *settings, const struct agent_options *options,
	      struct error *err)
{
	_cleanup_(agent_cleanup) struct agent a = {
		.settings = *settings, .options = *options, .lock = -1, .signals = -1, .page_fd = -1
	};

	if (begin(&a, err))
		return -1;
	serve(&a);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* The process: it begins, waits for what happens, and ends. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/signalfd.h>

#include "agent/agent_parts.h"
#include "config/definitions.h"
#include "lib/file.h"
#include "lib/interrupt.h"
#include "lib/log.h"
#include "lib/systemd.h"

/* The caller's to free; nothing on failure. */
static int read_file(const char *path, struct model *out, struct error *err)
{
	if (definitions_read(path, out, err))
		return -1;
	if (!definitions_check_alone(path, out, NULL, err))
		return 0;
	model_free(out);
	return -1;
}

static void reload(struct agent *a)
{
	struct error err = { 0 };
	struct model wanted;

	if (!a->options.file) {
		schedule_event(&a->schedule, clock_ms());
		return;
	}
	if (a->member.is) {
		log_error("%s is not read: this host is in a cluster, whose definitions are in "
			  "force; `tenantnat apply` the file",
			  a->options.file);
		return;
	}
	if (read_file(a->options.file, &wanted, &err)) {
		log_about(LOG_ERROR, NULL, "refused", "%s; the definitions in force stay",
			  err.text);
		return;
	}
	definitions_warn(a->options.file, &wanted, NULL);
	model_free(&a->pending);
	a->pending = wanted;
	a->has_pending = true;
	a->refused = (struct error){ 0 };
	schedule_event(&a->schedule, clock_ms());
}

static void take_signals(struct agent *a)
{
	struct signalfd_siginfo info;

	while (read(a->signals, &info, sizeof(info)) == sizeof(info)) {
		sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_ms() * 1000);
		reload(a);
		importer_reload(&a->importer, &a->settings);
		agent_look(a);
		sd_notify(0, "READY=1");
	}
}

/* What is polled besides the metrics' and the member's. */
enum { OWN_FDS = 4 };

static void wait_for_something(struct agent *a)
{
	struct pollfd fds[OWN_FDS + METRICS_FDS + MEMBER_PROCESSES] = {
		{ .fd = watch_fd(a->watch), .events = POLLIN },
		{ .fd = a->signals, .events = POLLIN },
		{ .fd = interrupt_fd(), .events = POLLIN },
		{ .fd = importer_fd(&a->importer), .events = POLLIN },
	};
	uint64_t until = a->schedule.look < a->schedule.poll ? a->schedule.look : a->schedule.poll;
	int64_t left, metrics = metrics_wait(&a->metrics), member = member_wait(&a->member);
	int64_t importer = importer_wait(&a->importer);
	int more[METRICS_FDS], members[MEMBER_PROCESSES];

	metrics_fds(&a->metrics, more);
	for (int i = 0; i < METRICS_FDS; i++)
		fds[OWN_FDS + i] = (struct pollfd){ .fd = more[i], .events = POLLIN };
	member_fds(&a->member, members);
	for (int i = 0; i < MEMBER_PROCESSES; i++)
		fds[OWN_FDS + METRICS_FDS + i] =
			(struct pollfd){ .fd = members[i], .events = POLLIN };
	if (a->watchdog_us && a->watchdog_due < until)
		until = a->watchdog_due;
	if (announcements_due(&a->announcements) < until)
		until = announcements_due(&a->announcements);
	left = clock_left(until);
	if (member >= 0 && member < left)
		left = member;
	if (importer >= 0 && importer < left)
		left = importer;
	poll(fds, ARRAY_SIZE(fds), metrics >= 0 && metrics < left ? metrics : left);
	metrics_run(&a->metrics);
	member_run(&a->member, &a->settings, &a->stats);
	importer_run(&a->importer, &a->settings);
	if (watch_read(a->watch)) {
		schedule_event(&a->schedule, clock_ms());
		agent_see_active(a);
	}
	take_signals(a);
}

static void tell_alive(struct agent *a)
{
	if (!a->watchdog_us || clock_ms() < a->watchdog_due)
		return;
	sd_notify(0, "WATCHDOG=1");
	a->watchdog_due = clock_ms() + a->watchdog_us / 2000;
}

static void loop(struct agent *a)
{
	while (!interrupt_is_noted()) {
		tell_alive(a);
		log_tell_left_out();
		announcements_send(&a->announcements, clock_ms());
		if (clock_ms() >= a->schedule.poll)
			agent_poll_links(a);
		if (clock_ms() >= a->schedule.look)
			agent_look(a);
		wait_for_something(a);
	}
}

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
	file_have(a->lock);
	return 0;
}

static int open_signals(struct agent *a, struct error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return error_set(err, "cannot block signals: %m");
	a->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return a->signals < 0 ? error_set(err, "cannot wait for signals: %m") : 0;
}

static int open_metrics(struct agent *a, struct error *err)
{
	const struct metrics_source source = { .settings = &a->settings,
					       .version = a->options.version,
					       .stats = &a->stats,
					       .mappings = a->options.metrics_mappings,
					       .no_page = a->options.no_page,
					       .lock = a->lock };

	return a->options.metrics ? metrics_open(&a->metrics, a->options.metrics, &source, err) : 0;
}

/* Errors that are about no single router end it here, before it says that it is ready. */
static int begin(struct agent *a, struct error *err)
{
	_cleanup_store_ struct store *store = NULL;

	if (systemd_check(err) || metrics_check(a->options.metrics, err))
		return -1;
	/* the directory has to be there before it is locked and watched */
	if (store_open(a->settings.state, STORE_WRITE, a->settings.wait, a->settings.command,
		       &store, err))
		return -1;
	member_look(&a->member, store);
	store_close(store);
	store = NULL;
	if (a->member.is && a->options.file)
		return error_usage(
			err, "this host is in a cluster, whose definitions are in force: leave "
			     "-f out, and `tenantnat apply` the file");
	if (lock(a, err) || open_signals(a, err) || watch_open(a->settings.state, &a->watch, err))
		return -1;
	if (open_metrics(a, err))
		return -1;
	if (a->options.neutron && importer_check(a->options.neutron, &a->settings, err))
		return -1;
	a->importer.source = a->options.neutron;
	if (a->options.file)
		reload(a);
	if ((a->has_pending && agent_put_in_force(a, err)) || agent_mend(a, err) < 0)
		return -1;
	a->settings.wait = 0;
	a->announcements.bpffs = a->settings.bpffs;
	agent_look(a);
	sd_watchdog_enabled(0, &a->watchdog_us);
	sd_notifyf(0, "READY=1\nMAINPID=%d", (int)getpid());
	return 0;
}

static void agent_cleanup(struct agent *a)
{
	log_routers(NULL, NULL);
	agent_forget_names(a);
	announcements_free(&a->announcements);
	troubles_free(&a->troubles);
	traffic_log_free(&a->traffic);
	agent_forget_routers(a);
	model_free(&a->pending);
	watch_close(a->watch);
	metrics_close(&a->metrics);
	member_close(&a->member);
	importer_close(&a->importer);
	close_cleanup(&a->signals);
	close_cleanup(&a->lock);
}

int agent_run(const struct settings *settings, const struct agent_options *options,
	      struct error *err)
{
	_cleanup_(agent_cleanup) struct agent a = {
		.settings = *settings, .options = *options, .lock = -1, .signals = -1
	};

	interrupt_catch();
	log_limit();
	log_routers(agent_router_of, &a);
	hosts_file_init(&a.hosts, options->names, settings->state);
	if (begin(&a, err) && !interrupt_is_noted())
		return -1;
	loop(&a);
	sd_notify(0, "STOPPING=1");
	*err = (struct error){ 0 };
	return 0;
}

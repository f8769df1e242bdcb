/* SPDX-License-Identifier: GPL-2.0-only */
/* The page of metrics, which another process writes. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "agent/agent_parts.h"
#include "lib/log.h"

/* A page of metrics is good for as long, and at most one part in so many of the time makes one. */
#define PAGE_GOOD  1000
#define PAGE_SHARE 4
/* Of a page that is being made, so much is read at once, and so many times before all else. */
#define PAGE_PART  65536
#define PAGE_READS 16

/* In a process of its own, whose exit says whether there is a page in `out`. */
static int write_page(struct agent *a, int fd, struct error *err)
{
	_cleanup_view_ struct view v = { 0 };
	_cleanup_stats_ struct stats stats = { 0 };
	FILE *out = fdopen(fd, "w"); /* until the exit: its end says that this is over */
	struct page page = { .version = a->options.version,
			     .model = &v.model,
			     .kernel = &v.kernel,
			     .stats = &stats,
			     .agent = &a->did,
			     .mappings = a->options.metrics_mappings };
	int64_t start = now_ms();

	if (!out)
		return error_set(err, "cannot write a page: %m");
	if (view_load(&a->settings, &v, err))
		return -1;
	stats_read(&v, &stats);
	page.seconds = (double)(now_ms() - start) / 1000;
	prometheus_write(&page, out);
	return fflush(out) ? error_set(err, "cannot write a page: %m") : 0;
}

/* It ends with the agent, and keeps no other from being the one for this state. */
static _Noreturn void be_writer(struct agent *a, int fd)
{
	struct error err = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(a->lock);
	if (write_page(a, fd, &err) == 0)
		_exit(0);
	log_warning("metrics: %s", err.text);
	_exit(1);
}

/*
 * Reading takes seconds where there are a million mappings, in which the agent is to mend what
 * breaks: another process does it, and this one only passes the page on.
 */
static int begin_page(struct agent *a, struct error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return error_set(err, "no pipe for a page: %m");
	a->writer = fork();
	if (a->writer == 0)
		be_writer(a, ends[1]);
	close(ends[1]);
	if (a->writer < 0) {
		close(ends[0]);
		return error_set(err, "no process for a page: %m");
	}
	a->page_fd = ends[0];
	fcntl(a->page_fd, F_SETFL, O_NONBLOCK);
	a->page_size = 0;
	a->page_begun = now_ms();
	return 0;
}

/* All that was asked for meanwhile is answered; what could not be made, with an error. */
static void end_page(struct agent *a)
{
	int status = 1;
	int64_t now = now_ms();

	close(a->page_fd);
	a->page_fd = -1;
	if (waitpid(a->writer, &status, 0) < 0 || status || !a->page_size) {
		free(a->page);
		a->page = NULL;
	}
	a->writer = 0;
	a->page_due = now + later(PAGE_GOOD, PAGE_SHARE * (now - a->page_begun));
	a->has_page = a->page;
	serve_give(a->serve, a->page ? xrealloc(a->page, a->page_size, 1) : NULL, a->page_size);
	a->page = NULL;
	a->page_room = 0;
}

/* What the writer has written until now. */
void agent_read_page(struct agent *a)
{
	ssize_t got = 1;

	for (int i = 0; got > 0 && i < PAGE_READS; i++) {
		if (a->page_room - a->page_size < PAGE_PART) {
			a->page_room = 2 * a->page_room + PAGE_PART;
			a->page = xrealloc(a->page, a->page_room, 1);
		}
		got = read(a->page_fd, a->page + a->page_size, a->page_room - a->page_size);
		a->page_size += got > 0 ? got : 0;
	}
	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
		end_page(a);
}

/* serve_page. While somebody still reads the one before, the last is good, however old. */
static enum serve_state page_state(void *arg)
{
	struct agent *a = arg;
	struct error err = { 0 };

	if (!a->writer && now_ms() >= a->page_due && !serve_is_held(a->serve) &&
	    begin_page(a, &err)) {
		log_warning("metrics: %s", err.text);
		a->page_due = now_ms() + PAGE_GOOD;
		a->has_page = false;
	}
	if (a->writer > 0)
		return SERVE_LATER;
	a->writer = 0;
	return a->has_page ? SERVE_PAGE : SERVE_NONE;
}

int agent_open_metrics(struct agent *a, struct error *err)
{
	const char *where = a->options.metrics;

	if (!where)
		return 0;
	/* a page is of its own, and gone when nobody reads it any more */
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	return serve_open(where, PROMETHEUS_TYPE, page_state, a, &a->serve, err);
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include "agent/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "agent/page.h"
#include "change/inspect.h"
#include "lib/clock.h"
#include "lib/log.h"

/* A page is good for so many milliseconds, and at most one part in so many of the time makes one.
 */
enum { PAGE_GOOD = 1000, PAGE_SHARE = 4 };
/* Of a page that is being made, so much is read at once, and so many times before all else. */
enum { PAGE_PART = 65536, PAGE_READS = 16 };

/* In a process of its own, whose exit says whether there is a page. */
static int write_page(const struct metrics_source *from, int fd, struct error *err)
{
	_cleanup_view_ struct view v = { 0 };
	_cleanup_streamed_ struct streamed streamed = { 0 };
	_cleanup_stats_ struct stats stats = { 0 };
	_cleanup_imported_ struct imported imported = { 0 };
	FILE *out = fdopen(fd, "w"); /* until the exit: its end says that this is over */
	struct page page = { .version = from->version,
			     .model = &v.model,
			     .kernel = &v.kernel,
			     .stats = &stats,
			     .agent = from->stats,
			     .mappings = from->mappings,
			     .streamed = &streamed };
	uint64_t start = clock_ms();
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	page.now = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	if (!out)
		return error_set(err, "cannot write a page: %m");
	if (view_load(from->settings, &v, err))
		return -1;
	stats_read(&v, &stats);
	if (imported_read(from->settings->state, &imported))
		page.imported = &imported;
	streamed_read(from->settings->state, &streamed);
	page.clock = clock_ms();
	page.seconds = (double)(clock_ms() - start) / 1000;
	prometheus_write(&page, out);
	return fflush(out) ? error_set(err, "cannot write a page: %m") : 0;
}

/* It ends with the agent, and keeps no other from being the one for this state. */
static _Noreturn void be_writer(const struct metrics_source *from, int fd)
{
	struct error err = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(from->lock);
	if (write_page(from, fd, &err) == 0)
		_exit(0);
	log_warning("metrics: %s", err.text);
	_exit(1);
}

static int begin_page(struct metrics *m, struct error *err)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return error_set(err, "cannot create a pipe for a page: %m");
	pid = fork();
	if (pid == 0)
		be_writer(&m->source, ends[1]);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return error_set(err, "cannot start a process for a page: %m");
	}
	m->writer = pid;
	m->from_writer = ends[0];
	fcntl(m->from_writer, F_SETFL, O_NONBLOCK);
	m->begun = clock_ms();
	return 0;
}

static uint64_t too_old(uint64_t made, uint64_t took)
{
	return made + (took * PAGE_SHARE > PAGE_GOOD ? took * PAGE_SHARE : PAGE_GOOD);
}

/* All that was asked for meanwhile is answered; what could not be made, with an error. */
static void end_page(struct metrics *m)
{
	uint64_t now = clock_ms();
	int status = 1;

	close(m->from_writer);
	m->has_page = waitpid(m->writer, &status, 0) >= 0 && !status && m->size;
	m->writer = 0;
	m->good_until = too_old(now, now - m->begun);
	if (m->has_page) {
		serve_give(m->serve, xrealloc(m->text, m->size, 1), m->size);
	} else {
		free(m->text);
		serve_give(m->serve, NULL, 0);
	}
	m->text = NULL;
	m->size = m->room = 0;
}

static void read_page(struct metrics *m)
{
	ssize_t got = 1;

	for (int i = 0; got > 0 && i < PAGE_READS; i++) {
		if (m->room - m->size < PAGE_PART) {
			m->room = 2 * m->room + PAGE_PART;
			m->text = xrealloc(m->text, m->room, 1);
		}
		got = read(m->from_writer, m->text + m->size, m->room - m->size);
		m->size += got > 0 ? got : 0;
	}
	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
		end_page(m);
}

/* serve_page. While somebody still reads the one before, the last is good, however old. */
static enum serve_state page_state(void *arg)
{
	struct metrics *m = arg;
	struct error err = { 0 };

	if (!m->writer && clock_ms() >= m->good_until && !serve_is_held(m->serve) &&
	    begin_page(m, &err)) {
		log_warning("metrics: %s", err.text);
		m->good_until = clock_ms() + PAGE_GOOD;
		m->has_page = false;
	}
	if (m->writer)
		return SERVE_LATER;
	return m->has_page ? SERVE_PAGE : SERVE_NONE;
}

int metrics_check(const char *where, struct error *err)
{
	struct sockaddr_storage at;

	return where ? serve_parse(where, &at, err) : 0;
}

int metrics_open(struct metrics *m, const char *where, const struct metrics_source *source,
		 struct error *err)
{
	*m = (struct metrics){ .source = *source };
	/* a page is of its own, and gone when nobody reads it any more */
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	if (!source->no_page)
		m->front = page_make();
	return serve_open(where, PROMETHEUS_TYPE, &m->front, page_state, m, &m->serve, err);
}

void metrics_close(struct metrics *m)
{
	if (m->writer) {
		kill(m->writer, SIGKILL);
		waitpid(m->writer, NULL, 0);
		close(m->from_writer);
	}
	serve_close(m->serve);
	page_free(&m->front);
	free(m->text);
}

void metrics_fds(const struct metrics *m, int fds[METRICS_FDS])
{
	fds[0] = m->serve ? serve_fd(m->serve) : -1;
	fds[1] = m->writer ? m->from_writer : -1;
}

int64_t metrics_wait(const struct metrics *m)
{
	return m->serve ? serve_wait(m->serve) : -1;
}

void metrics_run(struct metrics *m)
{
	if (m->writer)
		read_page(m);
	if (m->serve)
		serve_run(m->serve);
}

// SPDX-License-Identifier: GPL-2.0-only
#include "agent/member.h"

#include <inttypes.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/output.h"
#include "lib/spawn_detached.h"
#include "store/member.h"

/* Milliseconds until a process that has ended by itself is begun again; and to end by itself. */
enum { AGAIN = 1000, ENDS_IN = 10000 };

/* All but the revision, which is none of what a client goes by. NULL: in no cluster. */
static char *describe(const struct membership *m)
{
	const char *const texts[] = { m->urls,	   m->ca,     m->cert, m->key, m->user,
				      m->password, m->prefix, m->host, m->id,  m->flows };
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		abort();
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		fprintf(f, "%s\n", texts[i] ? texts[i] : "");
	fprintf(f, "%" PRIx64, m->etcd);
	fclose(f);
	return text;
}

void member_look(struct member *m, struct store *store)
{
	_cleanup_membership_ struct membership now = { 0 };
	struct error err = { 0 };
	int ret = store_membership(store, &now, &err);

	if (ret < 0)
		return; /* whoever reads the definitions says that */
	free(m->is);
	m->is = ret ? describe(&now) : NULL;
}

static bool is_as_it_should_be(const struct member *m)
{
	return m->is && m->runs ? strcmp(m->is, m->runs) == 0 : m->is == m->runs;
}

static void start(struct member *m, const struct settings *settings)
{
	static char *const words[] = { "-j", "cluster", "follow" };
	struct error err = { 0 };

	if (spawn_child(settings, words, ARRAY_SIZE(words), &m->pid, &m->from, &err)) {
		log_warning("cluster: %s", err.text);
		m->again = clock_ms() + AGAIN;
		return;
	}
	m->runs = xstrdup(m->is);
	m->n = 0;
}

/* It takes back what it is at. */
static void end(pid_t pid, int from)
{
	uint64_t until = clock_ms() + ENDS_IN;

	kill(pid, SIGTERM);
	close(from);
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (!clock_left(until))
			kill(pid, SIGKILL);
		clock_sleep(10);
	}
}

static void stop(struct member *m)
{
	if (!m->runs)
		return;
	end(m->pid, m->from);
	free(m->runs);
	m->runs = NULL;
}

static void stop_streamer(struct member *m)
{
	if (m->streamer)
		end(m->streamer, m->from_streamer);
	m->streamer = 0;
}

/* Begin it, and begin it again when it has ended by itself. */
static void mind_streamer(struct member *m, const struct settings *settings)
{
	static char *const words[] = { "flows", "stream" };
	struct error err = { 0 };
	int status = 0;

	if (m->streamer && waitpid(m->streamer, &status, WNOHANG)) {
		log_warning("flows: the process that hands them over has ended (%s %d); it begins "
			    "again",
			    WIFSIGNALED(status) ? "signal" : "exit status",
			    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		close(m->from_streamer);
		m->streamer = 0;
		m->stream_again = clock_ms() + AGAIN;
	}
	if (m->streamer || clock_left(m->stream_again) ||
	    spawn_child(settings, words, ARRAY_SIZE(words), &m->streamer, &m->from_streamer,
			&err) == 0)
		return;
	log_warning("flows: %s", err.text);
	m->stream_again = clock_ms() + AGAIN;
	m->streamer = 0;
}

static void take_line(const char *line, struct agent_stats *stats)
{
	_cleanup_json_ json_t *json = json_loads(line, 0, NULL);
	bool behind = json_is_true(json_object_get(json, "behind"));

	stats->connected = json_is_true(json_object_get(json, "connected"));
	stats->revision = json_integer_value(json_object_get(json, "revision"));
	if (!behind)
		stats->behind_since = 0;
	else if (!stats->behind_since)
		stats->behind_since = (double)time(NULL);
}

static void hear(struct member *m, struct agent_stats *stats)
{
	ssize_t got;
	char *end;

	while ((got = read(m->from, m->text + m->n, sizeof(m->text) - 1 - m->n)) > 0) {
		m->n += (size_t)got;
		m->text[m->n] = 0;
		while ((end = strchr(m->text, '\n'))) {
			*end = 0;
			take_line(m->text, stats);
			m->n -= (size_t)(end + 1 - m->text);
			memmove(m->text, end + 1, m->n + 1);
		}
		if (m->n == sizeof(m->text) - 1)
			m->n = 0;
	}
	if (got == 0) {
		stats->connected = false;
		m->again = clock_ms() + AGAIN;
		stop(m);
	}
}

int member_fd(const struct member *m)
{
	return m->runs ? m->from : -1;
}

int member_streamer_fd(const struct member *m)
{
	return m->streamer ? m->from_streamer : -1;
}

int64_t member_wait(const struct member *m)
{
	if (m->is && !m->runs)
		return clock_left(m->again);
	if (m->is && !m->streamer)
		return clock_left(m->stream_again);
	return is_as_it_should_be(m) ? -1 : 0;
}

void member_run(struct member *m, const struct settings *settings, struct agent_stats *stats)
{
	stats->member = m->is;
	if (m->runs)
		hear(m, stats);
	if (m->runs && !is_as_it_should_be(m)) {
		stop(m);
		stop_streamer(m);
		stats->connected = false;
	}
	if (m->is && !m->runs && !clock_left(m->again))
		start(m, settings);
	if (!m->is)
		stop_streamer(m);
	else if (m->runs)
		mind_streamer(m, settings);
}

void member_close(struct member *m)
{
	stop(m);
	stop_streamer(m);
	free(m->is);
	m->is = NULL;
}

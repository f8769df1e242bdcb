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

void member_look_at(struct member *m, const struct model *model)
{
	m->elects = false;
	vec_each (t, &model->tenants)
		m->elects |= t->router && t->router->active == ACTIVE_ELECTED;
}

/* ---------------------------------------------------------------- one process */

/* `is`: for which it is to run; NULL: it is not to. */
static bool is_as_it_should_be(const struct member_process *p, const char *is)
{
	return is && p->runs ? strcmp(is, p->runs) == 0 : is == p->runs;
}

/* It takes back what it is at. */
static void stop(struct member_process *p)
{
	uint64_t until = clock_ms() + ENDS_IN;

	if (!p->runs)
		return;
	kill(p->pid, SIGTERM);
	close(p->from);
	while (waitpid(p->pid, NULL, WNOHANG) == 0) {
		if (!clock_left(until))
			kill(p->pid, SIGKILL);
		clock_sleep(10);
	}
	free(p->runs);
	p->runs = NULL;
}

typedef void (*take_line_fn)(const json_t *line, struct agent_stats *stats);

static void take_followed(const json_t *line, struct agent_stats *stats)
{
	bool behind = json_is_true(json_object_get(line, "behind"));

	stats->connected = json_is_true(json_object_get(line, "connected"));
	stats->older = json_is_true(json_object_get(line, "older"));
	stats->revision = json_integer_value(json_object_get(line, "revision"));
	if (!behind)
		stats->behind_since = 0;
	else if (!stats->behind_since)
		stats->behind_since = (double)time(NULL);
}

static void take_elected(const json_t *line, struct agent_stats *stats)
{
	stats->active = json_integer_value(json_object_get(line, "active"));
	stats->unheld = json_integer_value(json_object_get(line, "nobody"));
}

/* It says nothing: that it ends is heard. */
static void take_nothing(const json_t *line, struct agent_stats *stats)
{
	(void)line, (void)stats;
}

static const struct kind {
	char *group, *word; /* the command */
	take_line_fn take;
} kinds[MEMBER_PROCESSES] = {
	[ELECTOR] = { "cluster", "elect", take_elected },
	[FOLLOWER] = { "cluster", "follow", take_followed },
	[STREAMER] = { "flows", "stream", take_nothing },
};

static void hear_lines(struct member_process *p, take_line_fn take, struct agent_stats *stats)
{
	char *end;

	while ((end = strchr(p->text, '\n'))) {
		_cleanup_json_ json_t *line = NULL;

		*end = 0;
		line = json_loads(p->text, 0, NULL);
		take(line, stats);
		p->n -= (size_t)(end + 1 - p->text);
		memmove(p->text, end + 1, p->n + 1);
	}
	if (p->n == sizeof(p->text) - 1)
		p->n = 0;
}

static void hear(struct member_process *p, const struct kind *kind, struct agent_stats *stats)
{
	ssize_t got;

	while ((got = read(p->from, p->text + p->n, sizeof(p->text) - 1 - p->n)) > 0) {
		p->n += (size_t)got;
		p->text[p->n] = 0;
		hear_lines(p, kind->take, stats);
	}
	if (got == 0) {
		log_warning("the process of `%s %s` has ended; it begins again", kind->group,
			    kind->word);
		kind->take(NULL, stats);
		p->again = clock_ms() + AGAIN;
		stop(p);
	}
}

static void start(struct member_process *p, const char *is, const struct kind *kind,
		  const struct settings *settings)
{
	char *const words[] = { "-j", kind->group, kind->word };
	struct error err = { 0 };

	if (spawn_child(settings, words, ARRAY_SIZE(words), &p->pid, &p->from, &err)) {
		log_warning("%s %s: %s", kind->group, kind->word, err.text);
		p->again = clock_ms() + AGAIN;
		return;
	}
	p->runs = xstrdup(is);
	p->n = 0;
}

static void run(struct member_process *p, const char *is, const struct kind *kind,
		const struct settings *settings, struct agent_stats *stats)
{
	if (p->runs)
		hear(p, kind, stats);
	if (p->runs && !is_as_it_should_be(p, is)) {
		stop(p);
		kind->take(NULL, stats);
	}
	if (is && !p->runs && !clock_left(p->again))
		start(p, is, kind, settings);
}

static int64_t wait_for(const struct member_process *p, const char *is)
{
	if (is && !p->runs)
		return clock_left(p->again);
	return is_as_it_should_be(p, is) ? -1 : 0;
}

/* ---------------------------------------------------------------- all of them */

/* For which a process is to run. */
static const char *is_for(const struct member *m, int process)
{
	return process != ELECTOR || m->elects ? m->is : NULL;
}

void member_fds(const struct member *m, int fds[MEMBER_PROCESSES])
{
	for (int i = 0; i < MEMBER_PROCESSES; i++)
		fds[i] = m->processes[i].runs ? m->processes[i].from : -1;
}

int64_t member_wait(const struct member *m)
{
	int64_t least = -1;

	for (int i = 0; i < MEMBER_PROCESSES; i++) {
		int64_t one = wait_for(&m->processes[i], is_for(m, i));

		if (one >= 0 && (least < 0 || one < least))
			least = one;
	}
	return least;
}

void member_run(struct member *m, const struct settings *settings, struct agent_stats *stats)
{
	stats->member = m->is;
	stats->elects = is_for(m, ELECTOR);
	for (int i = 0; i < MEMBER_PROCESSES; i++)
		run(&m->processes[i], is_for(m, i), &kinds[i], settings, stats);
}

void member_close(struct member *m)
{
	for (int i = 0; i < MEMBER_PROCESSES; i++)
		stop(&m->processes[i]);
	free(m->is);
	m->is = NULL;
}

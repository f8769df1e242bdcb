// SPDX-License-Identifier: GPL-2.0-only
#include "agent/importer.h"

#include <signal.h>
#include <sys/wait.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/spawn_detached.h"

/*
 * Milliseconds until a process that has ended by itself is begun again, and at most, if it ends
 * again and again; how long one has to run so that it counts as well; and to end by itself.
 */
enum { AGAIN = 1000, AGAIN_MAX = 60000, WELL = 60000, ENDS_IN = 10000 };

int importer_check(const struct neutron_source *source, const struct settings *settings,
		   struct error *err)
{
	_cleanup_neutron_session_ struct neutron_session *session =
		neutron_begin(source, settings, err);

	return session ? 0 : -1;
}

static void start(struct importer *im, const struct settings *settings)
{
	const struct neutron_source *s = im->source;
	const char *const given[][2] = { { "--cloud", s->cloud },
					 { "--url", s->url },
					 { "--host", s->host } };
	char *words[2 + 2 * ARRAY_SIZE(given)] = { (char *)"neutron" };
	struct error err = { 0 };
	size_t n = 1;

	for (size_t i = 0; i < ARRAY_SIZE(given); i++) {
		if (!given[i][1])
			continue;
		words[n++] = (char *)given[i][0];
		words[n++] = (char *)given[i][1];
	}
	if (s->ovn)
		words[n++] = (char *)"--ovn";
	im->begun = clock_ms();
	im->n = 0;
	if (spawn_child(settings, words, n, &im->pid, &im->from, &err) == 0)
		return;
	log_warning("neutron: %s", err.text);
	im->pid = 0;
	im->again = clock_ms() + AGAIN_MAX;
}

/* It has closed what it prints to, which is its end. */
static void ended(struct importer *im)
{
	close(im->from);
	waitpid(im->pid, NULL, 0);
	im->pid = 0;
	if (!im->pause || clock_ms() - im->begun >= WELL)
		im->pause = AGAIN;
	im->again = clock_ms() + im->pause;
	im->pause = im->pause * 2 < AGAIN_MAX ? im->pause * 2 : AGAIN_MAX;
}

/* Each line is one of a plan that was carried out. */
static void hear(struct importer *im)
{
	ssize_t got;
	char *end;

	while ((got = read(im->from, im->text + im->n, sizeof(im->text) - 1 - im->n)) > 0) {
		im->n += (size_t)got;
		im->text[im->n] = '\0';
		while ((end = strchr(im->text, '\n'))) {
			*end = '\0';
			log_notice("%s", im->text);
			im->n -= (size_t)(end + 1 - im->text);
			memmove(im->text, end + 1, im->n + 1);
		}
		if (im->n == sizeof(im->text) - 1)
			im->n = 0;
	}
	if (got == 0)
		ended(im);
}

int importer_fd(const struct importer *im)
{
	return im->pid ? im->from : -1;
}

int64_t importer_wait(const struct importer *im)
{
	return im->source && !im->pid ? clock_left(im->again) : -1;
}

void importer_run(struct importer *im, const struct settings *settings)
{
	if (im->pid)
		hear(im);
	if (im->source && !im->pid && clock_left(im->again) == 0)
		start(im, settings);
}

void importer_reload(struct importer *im, const struct settings *settings)
{
	struct error err = { 0 };

	if (!im->source)
		return;
	if (importer_check(im->source, settings, &err)) {
		log_error("%s; Neutron is followed as before", err.text);
		return;
	}
	im->pause = 0;
	im->again = 0;
	if (im->pid)
		kill(im->pid, SIGTERM);
}

/* It takes back what it is at. */
void importer_close(struct importer *im)
{
	uint64_t until = clock_ms() + ENDS_IN;

	if (!im->pid)
		return;
	kill(im->pid, SIGTERM);
	close(im->from);
	while (waitpid(im->pid, NULL, WNOHANG) == 0) {
		if (!clock_left(until))
			kill(im->pid, SIGKILL);
		clock_sleep(10);
	}
	im->pid = 0;
}

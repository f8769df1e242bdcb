/* SPDX-License-Identifier: GPL-2.0-only */
/* graph: a picture of who may reach whom, for what, and what the last minute was like. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>

#include "change/inspect.h"
#include "cmd/cmd.h"
#include "lib/file.h"
#include "lib/log.h"
#include "observe/graph.h"

extern char **environ;

/* X(ID, "name") */
#define FORMATS(X)    \
	X(DOT, "dot") \
	X(SVG, "svg") \
	X(MERMAID, "mermaid")

enum format {
#define X(id, name) FORMAT_##id,
	FORMATS(X)
#undef X
		FORMATS_COUNT
};

static int read_format(const struct invocation *inv, enum format *out, struct error *err)
{
	static const char *const names[] = {
#define X(id, name) name,
		FORMATS(X)
#undef X
	};
	const char *word = cmd_value(inv, "format") ?: names[0];

	for (int i = 0; i < FORMATS_COUNT; i++) {
		if (strcmp(names[i], word) == 0) {
			*out = i;
			return 0;
		}
	}
	return error_usage(err, "--format %s: there is no such format; write dot, svg or mermaid",
			   word);
}

/* ------------------------------------------------------------ what is seen */

static const struct router_row *row_of(const struct view *v, const struct tenant *t)
{
	vec_each (r, &v->kernel.routers) {
		if (strcmp(r->tenant, t->name) == 0)
			return r;
	}
	return NULL;
}

/* Only a running agent has kept what the last minute is told from. */
static const struct traffic *minute(const struct settings *settings, struct traffic_log *log,
				    const struct traffic *now)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/agent", settings->state);
	if (!file_holder(path))
		return NULL;
	traffic_log_read(settings->state, log);
	return traffic_log_minute(log, now->at);
}

static void build(const struct settings *settings, const struct view *v,
		  const struct selection *selection, struct graph *out)
{
	_cleanup_free_ struct graph_facts *facts =
		xzalloc((v->model.tenants.n + 1) * sizeof(*facts));
	_cleanup_traffic_log_ struct traffic_log log = { 0 };
	_cleanup_traffic_ struct traffic now = { 0 };
	const struct traffic *then;
	int64_t seconds = -1;

	traffic_read(v->dp, &v->kernel, &now);
	then = minute(settings, &log, &now);
	if (then)
		seconds = (int64_t)(now.at - then->at + 500) / 1000;
	for (size_t i = 0; i < v->model.tenants.n; i++) {
		const struct tenant *t = &v->model.tenants.v[i];

		facts[i].standing = standing_of(t, row_of(v, t));
		if (then)
			facts[i].traffic = traffic_between(then, &now, t->name);
	}
	graph_build(&v->model, facts, seconds, time(NULL), selection, out);
}

/* ------------------------------------------------------------ svg */

/* Gives an errno. */
static int start_dot(int from, int to, pid_t *pid)
{
	char *const words[] = { (char *)"dot", (char *)"-Tsvg", NULL };
	posix_spawn_file_actions_t actions;
	int ret;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, from, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, to, STDOUT_FILENO);
	ret = posix_spawnp(pid, words[0], &actions, NULL, words, environ);
	posix_spawn_file_actions_destroy(&actions);
	return ret;
}

/* To stdout, which is buffered. */
static void pass_on(int from)
{
	char text[4096];
	ssize_t n;

	while ((n = read(from, text, sizeof(text))) > 0 || (n < 0 && errno == EINTR)) {
		if (n > 0)
			fwrite(text, 1, (size_t)n, stdout);
	}
}

/* `dot -Tsvg`, from that file to stdout. By a pipe: dot does not notice that a disk is full. */
static int run_dot(int from, struct error *err)
{
	int pipes[2], status, ret;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC))
		return error_set(err, "cannot run dot of graphviz: %m");
	ret = start_dot(from, pipes[1], &pid);
	close(pipes[1]);
	if (!ret)
		pass_on(pipes[0]);
	close(pipes[0]);
	if (ret == ENOENT)
		return error_set(err, "cannot draw SVG: there is no `dot`; install the package "
				      "graphviz, or take --format dot or mermaid");
	if (ret)
		return error_set(err, "cannot run dot of graphviz: %s", strerror(ret));
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return error_set(err, "cannot wait for dot of graphviz: %m");
	}
	if (status)
		return error_set(err, "dot of graphviz has failed; `tenantnat graph | dot -Tsvg` "
				      "says why");
	return 0;
}

static int write_svg(const struct graph *g, struct error *err)
{
	_cleanup_fclose_ FILE *f = tmpfile();

	if (!f)
		return error_set(err, "cannot make a temporary file for dot: %m");
	graph_write_dot(g, f);
	if (fflush(f) || ferror(f) || lseek(fileno(f), 0, SEEK_SET) < 0)
		return error_set(err, "cannot write a temporary file for dot: %m");
	return run_dot(fileno(f), err);
}

static int print(const struct graph *g, enum format format, struct error *err)
{
	if (format == FORMAT_SVG && write_svg(g, err))
		return -1;
	if (format == FORMAT_DOT)
		graph_write_dot(g, stdout);
	if (format == FORMAT_MERMAID)
		graph_write_mermaid(g, stdout);
	return fflush(stdout) || ferror(stdout) ? error_set(err, "cannot write to stdout: %m") : 0;
}

static int run(const struct invocation *inv, struct error *err)
{
	_cleanup_selection_ struct selection selection = { 0 };
	_cleanup_graph_ struct graph graph = { 0 };
	_cleanup_view_ struct view v = { 0 };
	enum format format = FORMAT_DOT;

	if (inv->json)
		return error_usage(err, "a graph is a picture: leave out --json; `tenantnat show "
					"-j` has tenants and rules, `tenantnat status -j` the "
					"traffic");
	if (read_format(inv, &format, err) ||
	    selection_read(inv->args, inv->nargs, &selection, err) ||
	    view_load(&inv->settings, &v, err) || selection_check(&selection, &v.model, err))
		return -1;
	build(&inv->settings, &v, &selection, &graph);
	if (print(&graph, format, err))
		return -1;
	if (graph.seconds < 0)
		log_warning("no colours: no agent keeps the traffic of the last minute");
	return 0;
}

const struct command cmd_graph = {
	.name = "graph",
	.synopsis = "[--format dot|svg|mermaid] [TENANT…]",
	.summary = "Draw who may reach whom and for what, and the traffic of the last minute",
	.help = "A box for each tenant, and an arrow from each tenant that another accepts, with "
		"what it is\n"
		"accepted for. Rules that have ended (`until`) are left out. Boxes have the colour "
		"of the last\n"
		"minute, which only a running agent keeps:\n"
		"\n"
		"  green    packets, and none dropped\n"
		"  yellow   at most 1 of 100 packets dropped\n"
		"  red      more than that\n"
		"  white    nothing, or not known\n"
		"  grey     the router is on another host\n"
		"\n"
		"A thick red border: the router is detached, missing or broken. Without an agent "
		"nothing has a\n"
		"colour, and the picture says so.\n"
		"\n"
		"With TENANT only those, whoever they accept and whoever accepts them. The 40 "
		"tenants "
		"with the\n"
		"most packets and drops have a box each, those that are named before others; the "
		"rest is one\n"
		"box.\n"
		"\n"
		"dot is the language of Graphviz, for `dot -Tpdf` and others. svg is drawn by "
		"`dot` "
		"itself, of\n"
		"the package graphviz. mermaid is for Markdown.",
	.options = { { "format", 0, "FORMAT", "dot (the default), svg or mermaid" } },
	.min_args = 0,
	.max_args = -1,
	.run = run,
};

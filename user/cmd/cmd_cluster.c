/* SPDX-License-Identifier: GPL-2.0-only */
/* cluster join and leave: this host's membership; and what the agent runs. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>

#include "agent/elector.h"
#include "agent/follower.h"
#include "change/cluster_change.h"
#include "cluster/overview.h"
#include "cluster/placement.h"
#include "cluster/reach.h"
#include "cmd/cmd_cluster.h"
#include "cmd/consent.h"
#include "handover/peers.h"
#include "lib/host_name.h"
#include "lib/interrupt.h"
#include "lib/log.h"
#include "lib/output.h"
#include "observe/streamed.h"
#include "store/member.h"

#ifndef TN_WITHOUT_CLUSTER

#define DEFAULT_PREFIX "/tenantnat"
#define PASSWORD_MAX   1000

/* ------------------------------------------------------------ join */

/* The line without its end; the caller's to free. */
static char *read_line(FILE *f)
{
	char line[PASSWORD_MAX + 2];
	char *out = NULL;

	if (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (*line && strlen(line) <= PASSWORD_MAX)
			out = xstrdup(line);
	}
	explicit_bzero(line, sizeof(line));
	return out;
}

/* What is secret is nobody else's to read. */
static int check_secret(const char *path, struct error *err)
{
	struct stat st;

	if (stat(path, &st))
		return error_usage(err, "cannot read %s: %s", path, strerror(errno));
	if (S_ISREG(st.st_mode) && (st.st_mode & 077))
		return error_usage(err, "%s can be read by others: chmod 600 %s", path, path);
	return 0;
}

static char *ask_password(const char *user, struct error *err)
{
	struct termios echo, silent;
	char *password;

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO) || tcgetattr(STDIN_FILENO, &echo)) {
		error_usage(err,
			    "the password of user %s is asked for on a terminal alone: use "
			    "--password-file FILE",
			    user);
		return NULL;
	}
	fprintf(stderr, "password of user %s in etcd: ", user);
	silent = echo;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	password = read_line(stdin);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &echo);
	fputs("\n", stderr);
	if (!password)
		error_usage(err, "no password was given");
	return password;
}

static char *read_password(const char *path, struct error *err)
{
	_cleanup_fclose_ FILE *f = NULL;
	char *password;

	if (check_secret(path, err))
		return NULL;
	f = fopen(path, "re");
	password = f ? read_line(f) : NULL;
	if (!password)
		error_usage(err, "%s has no password: its first line, of %d bytes at most", path,
			    PASSWORD_MAX);
	return password;
}

/* Absolute: it is read again, from wherever a command is called. */
static int take_path(const struct invocation *inv, const char *option, char **out,
		     struct error *err)
{
	const char *path = cmd_value(inv, option);

	*out = path ? realpath(path, NULL) : NULL;
	if (path && !*out)
		return error_usage(err, "--%s: cannot read %s: %s", option, path, strerror(errno));
	return 0;
}

static int take_user(const struct invocation *inv, struct membership *m, struct error *err)
{
	const char *user = cmd_value(inv, "user"), *file = cmd_value(inv, "password-file");

	if (!user && file)
		return error_usage(err, "--password-file needs --user NAME");
	if (!user)
		return 0;
	m->password = file ? read_password(file, err) : ask_password(user, err);
	if (!m->password)
		return -1;
	m->user = xstrdup(user);
	if (strstr(m->urls, "http://"))
		log_warning("the password goes over the network as it is: let etcd serve https://");
	return 0;
}

static int take_host(const struct invocation *inv, struct membership *m, struct error *err)
{
	const char *host = cmd_value(inv, "host");

	m->host = xstrdup(host ? host : host_name());
	if (host_name_valid(m->host))
		return 0;
	return error_usage(err,
			   host ? "--host: %s is no name of a host"
				: "this host is called %s, which is no name for it: use --host",
			   m->host);
}

static int take_options(const struct invocation *inv, struct membership *m, struct error *err)
{
	const char *prefix = cmd_value(inv, "prefix"), *flows = cmd_value(inv, "flows-address");

	m->urls = xstrdup(inv->args[0]);
	m->prefix = xstrdup(prefix ? prefix : DEFAULT_PREFIX);
	if (flows)
		m->flows = xstrdup(flows);
	return (flows && reach_check(flows, err)) || membership_check_prefix(m->prefix, err) ||
			       take_host(inv, m, err) || take_path(inv, "ca", &m->ca, err) ||
			       take_path(inv, "cert", &m->cert, err) ||
			       take_path(inv, "key", &m->key, err) ||
			       (m->key && check_secret(m->key, err)) || take_user(inv, m, err)
		       ? -1
		       : 0;
}

static int join(const struct invocation *inv, struct error *err)
{
	const struct settings *settings = &inv->settings;
	_cleanup_membership_ struct membership m = { 0 };
	_cleanup_store_ struct store *store = NULL;
	int ret;

	if (take_options(inv, &m, err))
		return -1;
	interrupt_catch();
	if (store_open(settings->state, STORE_WRITE, settings->wait, settings->command, &store,
		       err))
		return -1;
	ret = membership_join(store, &m, tenantnat_version, cluster_bring_in, (void *)settings,
			      err);
	if (ret < 0)
		return -1;
	if (inv->json)
		return json_print(json_pack("{ss ss ss}", "cluster", m.id, "prefix", m.prefix,
					    "host", m.host),
				  err);
	if (!settings->quiet)
		printf("host %s %s the cluster at %s (%s)\n", m.host,
		       ret ? "is still in" : "has joined", m.prefix, m.id);
	return 0;
}

/* ------------------------------------------------------------ leave */

int cmd_open_member(const struct invocation *inv, enum store_mode mode, struct store **store,
		    struct membership *m, struct error *err)
{
	const struct settings *settings = &inv->settings;

	return store_open(settings->state, mode, mode == STORE_WRITE ? settings->wait : 0,
			  settings->command, store, err) ||
			       store_member(*store, m, err)
		       ? -1
		       : 0;
}

/* The tenants whose routers the host has, as far as it is known. */
static int read_left(const struct invocation *inv, const char *host, struct names_text *out,
		     struct error *err)
{
	_cleanup_membership_ struct membership m = { 0 };
	_cleanup_store_ struct store *store = NULL;
	_cleanup_model_ struct model model = { 0 };
	_cleanup_etcd_ struct etcd *etcd = NULL;

	if (cmd_open_member(inv, STORE_READ, &store, &m, err))
		return -1;
	if (!host || strcmp(host, m.host) == 0) {
		if (store_load(store, &model, err))
			return -1;
		placement_here(&model, out);
		return 0;
	}
	if (membership_open(&m, &etcd, err) || overview_read_tenants(etcd, &m, 0, &model, err))
		return -1;
	placement_naming(&model, host, out);
	return 0;
}

/* A host that leaves takes no tenant along, and hears of none any more. */
static int check_left(const struct invocation *inv, const struct names_text *left,
		      struct error *err)
{
	struct consent consent = { .given = cmd_value(inv, "yes") };
	int ret;

	if (!left->n || cmd_value(inv, "host") || cmd_value(inv, "forget"))
		return 0;
	snprintf(consent.question, sizeof(consent.question),
		 "this host has the %s of %s: the cluster keeps %s, goes on giving addresses of "
		 "%s, and this host would not hear of it; apply a file without %s, or with another "
		 "host, before",
		 plural(left->n, "router", "routers"), left->text,
		 plural(left->n, "that tenant", "these tenants"), plural(left->n, "it", "them"),
		 plural(left->n, "it", "them"));
	ret = consent_need(&consent, err);
	return ret > 0 ? consent_ask(&consent, err) : ret;
}

static int print_left(const struct invocation *inv, const char *host, const char *prefix,
		      const struct names_text *left, struct error *err)
{
	bool forget = cmd_value(inv, "forget");

	if (inv->json)
		return json_print(
			json_pack("{ss sI}", "host", host, "tenants", (json_int_t)left->n), err);
	if (inv->settings.quiet)
		return 0;
	printf("host %s has left the cluster at %s%s\n", host, prefix,
	       forget ? ", which has not been told" : "");
	if (left->n && !forget)
		printf("the cluster still has %s: %s\n",
		       plural(left->n, "the tenant whose router was there",
			      "the tenants whose routers were there"),
		       left->text);
	return 0;
}

static int leave(const struct invocation *inv, struct error *err)
{
	const struct settings *settings = &inv->settings;
	const char *host = cmd_value(inv, "host");
	bool forget = cmd_value(inv, "forget");
	_cleanup_membership_ struct membership m = { 0 };
	_cleanup_store_ struct store *store = NULL;
	struct names_text left = { 0 };
	int ret;

	if (host && forget)
		return error_usage(err, "--forget is about this host: leave --host out");
	interrupt_catch();
	if (read_left(inv, host, &left, err) || check_left(inv, &left, err))
		return -1;
	if (cmd_open_member(inv, STORE_WRITE, &store, &m, err))
		return -1;
	if (!host)
		host = m.host;
	ret = membership_leave(store, &m, host, forget, err);
	if (ret < 0)
		return -1;
	if (strcmp(host, m.host) == 0) {
		peers_forget(settings->state);
		streamed_forget(settings->state);
	}
	if (ret && strcmp(host, m.host) != 0)
		return error_set(err, "the cluster has no host %s", host);
	return print_left(inv, host, m.prefix, &left, err);
}

/* ------------------------------------------------------------ follow */

static int follow(const struct invocation *inv, struct error *err)
{
	return follower_run(&inv->settings, inv->json, err);
}

static int elect(const struct invocation *inv, struct error *err)
{
	return elector_run(&inv->settings, inv->json, err);
}

#else

static int join(const struct invocation *inv, struct error *err)
{
	(void)inv;
	return cluster_check(err);
}
#define leave  join
#define follow join
#define elect  join

#endif

const struct command cmd_cluster_join = {
	.name = "cluster join",
	.synopsis = "URL[,URL…] [--ca FILE] [--cert FILE --key FILE] [--user NAME] [--host NAME]",
	.summary = "Share definitions with other hosts, by etcd" CLUSTER_HELP,
	.help = "Makes this host a member of the cluster whose definitions are in that etcd, below "
		"a prefix.\n"
		"The first host that joins makes the cluster. Several URLs are those of etcd's "
		"members, of which\n"
		"one has to answer. A member joins again to change URLs, files or password.\n"
		"\n"
		"What is needed to reach etcd is kept in state.db, which root alone can read: the "
		"password too.\n"
		"It is asked for on a terminal, or read from the first line of a file. Files of "
		"TLS "
		"stay where\n"
		"they are. Two machines cannot be one host of a cluster. What is in force on the "
		"host comes\n"
		"into the cluster, with its addresses; if it does not go with what is there, it is "
		"said what\n"
		"collides, and nothing is changed. docs/cluster.md has the rest.\n"
		"\n"
		"JSON: {\"cluster\": its id, \"prefix\", \"host\"}",
	.options = { { "ca", 0, "FILE", "the CA of etcd's certificate (default: the system's)" },
		     { "cert", 0, "FILE", "this host's certificate" },
		     { "key", 0, "FILE", "its private key" },
		     { "user", 0, "NAME", "the user in etcd" },
		     { "password-file", 0, "FILE", "its password (default: asked for)" },
		     { "prefix", 0, "PATH", "of all keys (default /tenantnat)" },
		     { "host", 0, "NAME", "what this host is called (default: its host name)" },
		     { "flows-address", 0, "ADDR[:PORT]",
		       "where it takes flows of other hosts, or none (default: its address towards "
		       "etcd, port 9117)" } },
	.min_args = 1,
	.max_args = 1,
	.run = join,
};

const struct command cmd_cluster_leave = {
	.name = "cluster leave",
	.synopsis = "[--host NAME] [--forget] [--yes]",
	.summary = "Take this host, or one that is gone, out of its cluster" CLUSTER_HELP,
	.help = "The host is none of the cluster any more. Definitions, addresses and traffic stay "
		"as they are on\n"
		"a host that leaves; nobody changes them from elsewhere then. With --host, a host "
		"that is gone for\n"
		"good, whose name is free again then. With --forget, only this host forgets the "
		"cluster: where\n"
		"etcd is gone, or is another one.\n"
		"\n"
		"A host that has routers has to confirm: their tenants stay in the cluster, which "
		"goes on giving\n"
		"their addresses, and the host would not hear of it. On a terminal you are asked, "
		"elsewhere --yes\n"
		"is needed.\n"
		"\n"
		"JSON: {\"host\": which left, \"tenants\": of how many it had the routers}",
	.options = { { "host", 0, "NAME", "another host, which is gone" },
		     { "forget", 0, NULL, "without etcd" },
		     { "yes", 'y', NULL, "also when it has routers" } },
	.run = leave,
};

const struct command cmd_cluster_follow = {
	.name = "cluster follow",
	.synopsis = "",
	.summary = "Make this host what the cluster's definitions say, all the time" CLUSTER_HELP,
	.help = "What the agent of a host in a cluster runs beside itself. It is told by etcd what "
		"changes, and\n"
		"does what `cluster sync` does then. It holds `alive/NAME` in etcd under a lease "
		"of 30 seconds,\n"
		"which goes when this ends. While etcd is away it tries again, at least every 30 "
		"seconds. It prints\n"
		"a line whenever something has changed.\n"
		"\n"
		"JSON, one line each: {\"connected\": true or false, \"revision\": which this host "
		"has, \"changed\": of\n"
		"the last change, \"behind\": true or false, \"older\": true while etcd is one "
		"that was "
		"restored from an\n"
		"older snapshot}",
	.run = follow,
};

const struct command cmd_cluster_elect = {
	.name = "cluster elect",
	.synopsis = "",
	.summary = "Be active for routers that the cluster elects this host for" CLUSTER_HELP,
	.help = "What the agent of a host in a cluster runs beside itself, where routers have "
		"`active: elected`. For\n"
		"each that is in order here it tries to hold `active/TENANT` in etcd, under a "
		"lease of 9 seconds, and\n"
		"gives the router its address while it does. 6 seconds after the last renewal that "
		"etcd has answered,\n"
		"the programs drop everything again, and the kernel takes the address away, "
		"whatever this process does.\n"
		"When it ends, it gives up what it holds. It prints a line whenever something has "
		"changed.\n"
		"\n"
		"JSON, one line each: {\"connected\": true or false, \"active\": how many routers "
		"this "
		"host is active for,\n"
		"\"nobody\": how many of those that it may have no host has}",
	.run = elect,
};

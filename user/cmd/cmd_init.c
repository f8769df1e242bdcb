/* SPDX-License-Identifier: GPL-2.0-only */
/* init: a definitions file to begin with, of what this machine has. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sys/stat.h>

#include "cmd/cmd.h"
#include "config/example.h"
#include "host/netlink.h"
#include "host/netns.h"
#include "lib/log.h"
#include "lib/output.h"

static int add_namespace(const char *name, void *arg)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct namespaces *out = arg;
	struct namespace one = { 0 };
	struct error err = { 0 };

	if (netns_enter(name, &ns, &err) || netlink_ifaces(&one.ifaces, &err)) {
		log_warning("%s; it is left out", err.text);
		ifaces_free(&one.ifaces);
		return 0;
	}
	one.name = xstrdup(name);
	*vec_push(&out->list) = one;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct namespace *)a)->name, ((const struct namespace *)b)->name);
}

/* The default may have no directory yet. */
static void make_directory(const char *path)
{
	_cleanup_free_ char *copy = xstrdup(path);

	mkdir(dirname(copy), 0755);
}

/* One that is new; NULL: an error is set. */
static FILE *create(const char *path, struct error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f && errno == EEXIST)
		error_usage(err,
			    "%s is there already, and init writes over no file; move it away, "
			    "or give another with -f",
			    path);
	else if (!f)
		error_usage(err, "cannot write %s: %s", path, strerror(errno));
	return f;
}

static int write_file(const struct outline *o, const char *path, struct error *err)
{
	FILE *f = create(path, err);
	bool failed;

	if (!f)
		return -1;
	example_write(o, f);
	failed = fflush(f) || ferror(f);
	failed |= fclose(f) != 0;
	if (failed) {
		error_set(err, "cannot write %s: %s", path, strerror(errno));
		unlink(path);
		return -1;
	}
	log_notice("%s is written; look at it, then `tenantnat apply --dry-run -f %s`", path, path);
	return 0;
}

static int print(const struct invocation *inv, const struct outline *o, struct error *err)
{
	const char *file = cmd_value(inv, "file");
	bool write = cmd_value(inv, "write");

	if (file && write)
		return error_usage(err, "give --file, or --write for %s", DEFAULT_FILE);
	if (write)
		make_directory(DEFAULT_FILE);
	if (file || write)
		return write_file(o, write ? DEFAULT_FILE : file, err);
	if (inv->json)
		return json_print(example_json(o), err);
	example_write(o, stdout);
	return 0;
}

static int run(const struct invocation *inv, struct error *err)
{
	_cleanup_namespaces_ struct namespaces seen = { 0 };
	_cleanup_outline_ struct outline o = { 0 };

	netns_each(add_namespace, &seen);
	vec_sort(&seen.list, by_name);
	outline_make(&seen, &o);
	if (!o.routers.n)
		log_notice("no namespace under %s looks like a router, so there is an example in "
			   "its place",
			   NETNS_DIR);
	return print(inv, &o, err);
}

const struct command cmd_init = {
	.name = "init",
	.synopsis = "[-f FILE | --write]",
	.summary = "Print a definitions file to begin with, of what this machine has",
	.help = "Looks at the network namespaces under /run/netns: those with two interfaces or "
		"more, and\n"
		"Neutron's qrouter-…, become tenants. The shared interface is the one that is "
		"called so,\n"
		"has an address of 100.64.0.0/10, or is on a network that most routers are on. All "
		"others\n"
		"are inside, but for those of a default route, and Neutron's qg- and ha-. It is a "
		"guess,\n"
		"with comments; look at each line. A router without a shared interface is there as "
		"a\n"
		"comment. Needs no state, and writes over no file.\n"
		"\n"
		"JSON: {\"subnets\", \"routers\": [{\"tenant\", \"netns\", \"shared\" or null, "
		"\"inside\"}]}",
	.options = { { "file", 'f', "FILE", "write it to a new file, instead of stdout" },
		     { "write", 'w', NULL, "write it to " DEFAULT_FILE } },
	.run = run,
};

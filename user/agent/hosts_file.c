/* SPDX-License-Identifier: GPL-2.0-only */
#include "agent/hosts_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/log.h"
#include "observe/dns_text.h"

static const char first_line[] = "# Names of tenantnat";

static const char head[] = ", kept by its agent: changes are lost.\n";
static const char part[] = "# Not all of the cluster: those of tenants whose router this host has, "
			   "and of mappings that it\n"
			   "# needs. `tenantnat names` has all.\n";

void hosts_file_init(struct hosts_file *f, const char *path, const char *state)
{
	const char *run = getenv("RUNTIME_DIRECTORY"), *dir = run && *run == '/' ? run : state;

	*f = (struct hosts_file){ .is_default = !path };
	if (path)
		snprintf(f->path, sizeof(f->path), "%s", path);
	else
		snprintf(f->path, sizeof(f->path), "%.*s/names/hosts", (int)strcspn(dir, ":"), dir);
}

/* ------------------------------------------------------------ what it is to say */

/* With the zero that ends it. */
static void hash_text(uint64_t *sum, const char *text)
{
	*sum = fnv1a(*sum, text, strlen(text) + 1);
}

static uint64_t hash_names(const struct model *m, bool in_cluster)
{
	uint64_t sum = FNV1A;

	sum = fnv1a(sum, &in_cluster, sizeof(in_cluster));
	hash_text(&sum, m->zone);
	vec_each (t, &m->tenants) {
		hash_text(&sum, t->name);
		vec_each (mapping, &t->mappings) {
			if (!mapping->name)
				continue;
			hash_text(&sum, mapping->name);
			sum = fnv1a(sum, &mapping->shared, sizeof(mapping->shared));
		}
	}
	return sum;
}

static void say_left_out(const struct dns_names *n)
{
	if (n->bad.n)
		log_warning("%zu %s no name in DNS, such as %s/%s; `tenantnat names` says why",
			    n->bad.n, plural(n->bad.n, "mapping has", "mappings have"),
			    n->bad.v[0].tenant->name, n->bad.v[0].mapping->name);
	if (n->twice.n)
		log_warning("%s/%s and %s/%s would have the same name in DNS, so neither has it; "
			    "rename one",
			    n->twice.v[0].tenant->name, n->twice.v[0].mapping->name,
			    n->twice.v[1].tenant->name, n->twice.v[1].mapping->name);
}

/* ------------------------------------------------------------ the file */

static bool is_as_it_was(const struct hosts_file *f)
{
	struct stat now;

	return f->as.st_ino && lstat(f->path, &now) == 0 && now.st_ino == f->as.st_ino &&
	       now.st_size == f->as.st_size && now.st_mtim.tv_sec == f->as.st_mtim.tv_sec &&
	       now.st_mtim.tv_nsec == f->as.st_mtim.tv_nsec;
}

/* 1: it is there, and an agent has written it; 0: nothing is there; -1: it is something else. */
static int look(const struct hosts_file *f, struct error *err)
{
	char text[sizeof(first_line)] = "";
	_cleanup_close_ int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd >= 0 && read(fd, text, strlen(first_line)) >= 0 && strcmp(text, first_line) == 0)
		return 1;
	return error_set(err,
			 "%s was not written by an agent, so names are not written there; move it "
			 "away, or give another file with --names",
			 f->path);
}

static int make_directory(const struct hosts_file *f, struct error *err)
{
	_cleanup_free_ char *dir = strndup(f->path, strrchr(f->path, '/') - f->path);

	if (mkdir(dir, 0755) && errno != EEXIST)
		return error_set(err, "cannot make %s: %s", dir, strerror(errno));
	chmod(dir, 0755); /* whatever the unit's umask is: a DNS server is not root */
	return 0;
}

static int write_names(struct hosts_file *f, const struct model *m, bool in_cluster,
		       struct error *err)
{
	_cleanup_dns_names_ struct dns_names names = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return error_set(err, "out of memory");
	dns_names_make(m, &names);
	fprintf(to, "%s in %s%s%s", first_line, m->zone, head, in_cluster ? part : "");
	dns_write_hosts(m->zone, &names, to);
	fclose(to);
	if ((f->is_default && make_directory(f, err)) ||
	    file_replace(f->path, text, size, 0644, err))
		return -1;
	say_left_out(&names);
	return 0;
}

static int update(struct hosts_file *f, const struct model *m, bool in_cluster, struct error *err)
{
	uint64_t names = m->zone ? hash_names(m, in_cluster) : 0;
	int there;

	if (m->zone && names == f->names && is_as_it_was(f))
		return 0;
	there = look(f, err);
	if (!m->zone && there < 1)
		return 0;
	if (there < 0)
		return -1;
	if (!m->zone) {
		f->as = (struct stat){ 0 };
		return unlink(f->path)
			       ? error_set(err, "cannot remove %s: %s", f->path, strerror(errno))
			       : 0;
	}
	if (write_names(f, m, in_cluster, err))
		return -1;
	f->names = names;
	return lstat(f->path, &f->as)
		       ? error_set(err, "cannot look at %s: %s", f->path, strerror(errno))
		       : 0;
}

void hosts_file_update(struct hosts_file *f, const struct model *m, bool in_cluster)
{
	struct error err = { 0 };

	if (update(f, m, in_cluster, &err) && strcmp(err.text, f->refused.text) != 0)
		log_error("%s", err.text);
	f->refused = err;
}

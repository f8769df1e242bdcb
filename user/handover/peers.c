/* SPDX-License-Identifier: GPL-2.0-only */
#include "handover/peers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "lib/endpoint.h"
#include "lib/file.h"
#include "lib/output.h"
#include "model/model.h"

/* A file that is larger is none of ours. */
#define PEERS_SIZE (4 << 20)

void peers_free(struct peers *p)
{
	vec_each (peer, &p->list) {
		free(peer->name);
		free(peer->at);
	}
	vec_free(&p->list);
	free(p->cluster);
	free(p->host);
	free(p->listen);
	explicit_bzero(p, sizeof(*p));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct peer *)a)->name, ((const struct peer *)b)->name);
}

const struct peer *peers_find(const struct peers *p, const char *name)
{
	struct peer key = { .name = (char *)name };

	return p->list.n ? bsearch(&key, p->list.v, p->list.n, sizeof(key), by_name) : NULL;
}

/* ------------------------------------------------------------ as text */

char *peers_text(const struct peers *p)
{
	_cleanup_json_ json_t *list = json_object(), *file = NULL;
	char key[2 * PEERS_KEY + 1], *text;

	for (size_t i = 0; i < PEERS_KEY; i++)
		snprintf(key + 2 * i, 3, "%02x", p->key[i]);
	vec_each (peer, &p->list)
		json_object_set_new(list, peer->name, json_string(peer->at));
	file = json_pack("{ss ss ss so sO}", "cluster", p->cluster, "host", p->host, "key", key,
			 "listen", json_text(p->listen), "peers", list);
	text = json_dumps(file, JSON_INDENT(1) | JSON_SORT_KEYS);
	explicit_bzero(key, sizeof(key));
	if (!text)
		abort();
	return text;
}

static bool take_key(const char *hex, uint8_t key[PEERS_KEY])
{
	if (strlen(hex) != 2 * PEERS_KEY || strspn(hex, "0123456789abcdef") != 2 * PEERS_KEY)
		return false;
	for (size_t i = 0; i < PEERS_KEY; i++) {
		char byte[3] = { hex[2 * i], hex[2 * i + 1] };

		key[i] = (uint8_t)strtoul(byte, NULL, 16);
	}
	return true;
}

static bool is_endpoint(const char *text)
{
	struct sockaddr_storage at;

	return text && endpoint_parse(text, 0, &at);
}

static bool take_list(json_t *list, struct peers *out)
{
	const char *name;
	json_t *at;

	json_object_foreach(list, name, at)
	{
		if (!host_name_valid(name) || !is_endpoint(json_string_value(at)))
			return false;
		*vec_push(&out->list) =
			(struct peer){ xstrdup(name), xstrdup(json_string_value(at)) };
	}
	vec_sort(&out->list, by_name);
	return true;
}

int peers_parse(const char *text, struct peers *out)
{
	_cleanup_json_ json_t *file = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	const char *cluster, *host, *key;
	json_t *listen, *list;

	memset(out, 0, sizeof(*out));
	if (!file || json_unpack(file, "{ss ss ss so so!}", "cluster", &cluster, "host", &host,
				 "key", &key, "listen", &listen, "peers", &list))
		return -1;
	out->cluster = xstrdup(cluster);
	out->host = xstrdup(host);
	if (json_is_string(listen))
		out->listen = xstrdup(json_string_value(listen));
	if (host_name_valid(host) && take_key(key, out->key) &&
	    (json_is_null(listen) || is_endpoint(out->listen)) && json_is_object(list) &&
	    take_list(list, out))
		return 0;
	peers_free(out);
	return -1;
}

/* ------------------------------------------------------------ the file */

void peers_path(const char *state, char *out, size_t size)
{
	snprintf(out, size, "%s/peers", state);
}

static char *read_text(int fd)
{
	struct stat st;
	char *text;
	ssize_t n;

	if (fstat(fd, &st) || st.st_size > PEERS_SIZE)
		return NULL;
	text = xzalloc((size_t)st.st_size + 1);
	n = read(fd, text, (size_t)st.st_size);
	if (n == st.st_size)
		return text;
	free(text);
	return NULL;
}

int peers_read(const char *state, struct peers *out, struct error *err)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	char *text;
	int ret;

	memset(out, 0, sizeof(*out));
	peers_path(state, path, sizeof(path));
	if (access(path, F_OK) && errno == ENOENT)
		return 0;
	fd = file_open(path, O_RDONLY, err);
	if (fd < 0)
		return -1;
	text = read_text(fd);
	ret = text ? peers_parse(text, out) : -1;
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
	return ret ? error_set(err, "%s is none of tenantnat's: delete it, the agent makes it anew",
			       path)
		   : 1;
}

int peers_write(const char *state, const struct peers *p, struct error *err)
{
	char path[PATH_MAX], *text = peers_text(p);
	int ret;

	peers_path(state, path, sizeof(path));
	ret = file_replace(path, text, strlen(text), 0600, err);
	explicit_bzero(text, strlen(text));
	free(text);
	return ret;
}

void peers_forget(const char *state)
{
	char path[PATH_MAX];

	peers_path(state, path, sizeof(path));
	unlink(path);
}

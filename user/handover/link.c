// SPDX-License-Identifier: GPL-2.0-only
#include "handover/link.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <linux/tcp.h>
#include <netinet/in.h>

#include "lib/clock.h"
#include "lib/endpoint.h"
#include "model/model.h"

/* TLS 1.3 alone, with a key that both know and one that is made anew for each connection. */
#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK"
/* Bytes: of a stranger's handshake; of one read; and of what one call reads or writes at most. */
enum { HANDSHAKE_MAX = 16384, PART = 16384, TURN = 262144 };
/* Milliseconds that the kernel waits for who takes nothing. */
#define PATIENCE 10000
#define BACKLOG	 64
/* What tells the one host to the other: FROM>TO. */
#define IDENTITY (2 * HOST_NAME_MAX_LEN + 2)

struct link {
	int fd;
	gnutls_session_t tls;
	gnutls_psk_server_credentials_t server; /* one of the two */
	gnutls_psk_client_credentials_t client;
	const struct peers *peers;
	char peer[HOST_NAME_MAX_LEN + 1];
	bool connecting; /* TCP */
	bool open;	 /* TLS */
	bool ended;
	uint64_t begun;
	uint64_t heard;
	char *out; /* what is to be sent; NULL: nothing */
	size_t size;
	size_t sent;
	bool blocked; /* the last write has to be done again as it was */
	char in[LINK_LINE + PART];
	size_t n; /* of them: the beginning of a line */
};

int link_listen(const char *endpoint, struct error *err)
{
	struct sockaddr_storage at;
	int fd, one = 1;

	if (!endpoint_parse(endpoint, LINK_PORT, &at))
		return error_set(err, "cannot listen at %s: that is no address", endpoint);
	fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, "cannot listen at %s: %m", endpoint);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (void *)&at, sizeof(at)) || listen(fd, BACKLOG)) {
		error_set(err, "cannot listen at %s: %m", endpoint);
		close(fd);
		return -1;
	}
	return fd;
}

/* ------------------------------------------------------------ who is there */

static const struct peers *peers_of(gnutls_session_t tls)
{
	return ((const struct link *)gnutls_session_get_ptr(tls))->peers;
}

/* gnutls_psk_server_credentials_function: the key of who says to be that; -1: nobody is. */
static int find_key(gnutls_session_t tls, const char *identity, gnutls_datum_t *key)
{
	struct link *l = gnutls_session_get_ptr(tls);
	const struct peers *peers = peers_of(tls);
	const char *to = strchr(identity, '>');
	size_t n = to ? (size_t)(to - identity) : 0;

	if (!n || n >= sizeof(l->peer) || strcmp(to + 1, peers->host) != 0)
		return -1;
	memcpy(l->peer, identity, n);
	l->peer[n] = '\0';
	if (!peers_find(peers, l->peer))
		return -1;
	key->data = gnutls_malloc(PEERS_KEY);
	if (!key->data)
		return -1;
	memcpy(key->data, peers->key, PEERS_KEY);
	key->size = PEERS_KEY;
	return 0;
}

static int set_server(struct link *l)
{
	int ret = gnutls_psk_allocate_server_credentials(&l->server);

	if (ret < 0)
		return ret;
	gnutls_psk_set_server_credentials_function(l->server, find_key);
	return gnutls_credentials_set(l->tls, GNUTLS_CRD_PSK, l->server);
}

static int set_client(struct link *l)
{
	gnutls_datum_t key = { (unsigned char *)l->peers->key, PEERS_KEY };
	int ret = gnutls_psk_allocate_client_credentials(&l->client);
	char identity[IDENTITY];

	if (ret < 0)
		return ret;
	snprintf(identity, sizeof(identity), "%s>%s", l->peers->host, l->peer);
	ret = gnutls_psk_set_client_credentials(l->client, identity, &key, GNUTLS_PSK_KEY_RAW);
	return ret < 0 ? ret : gnutls_credentials_set(l->tls, GNUTLS_CRD_PSK, l->client);
}

/* Takes the descriptor, also where it fails. */
static struct link *begin(int fd, const struct peers *peers, const struct peer *to,
			  struct error *err)
{
	unsigned int patience = PATIENCE,
		     flags = GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS;
	struct link *l = xzalloc(sizeof(*l));
	int ret;

	l->fd = fd;
	l->peers = peers;
	l->begun = l->heard = clock_ms();
	l->connecting = to;
	if (to)
		snprintf(l->peer, sizeof(l->peer), "%s", to->name);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof(patience));
	ret = gnutls_init(&l->tls, flags | (to ? GNUTLS_CLIENT : GNUTLS_SERVER));
	if (ret >= 0) {
		gnutls_session_set_ptr(l->tls, l);
		gnutls_transport_set_int(l->tls, fd);
		gnutls_handshake_set_max_packet_length(l->tls, HANDSHAKE_MAX);
		ret = gnutls_priority_set_direct(l->tls, PRIORITY, NULL);
	}
	if (ret >= 0)
		ret = to ? set_client(l) : set_server(l);
	if (ret >= 0)
		return l;
	error_set(err, "TLS: %s", gnutls_strerror(ret));
	link_close(l);
	return NULL;
}

struct link *link_accept(int fd, const struct peers *peers, struct error *err)
{
	return begin(fd, peers, NULL, err);
}

struct link *link_connect(const struct peers *peers, const struct peer *peer, struct error *err)
{
	struct sockaddr_storage at;
	int fd;

	if (!endpoint_parse(peer->at, LINK_PORT, &at)) {
		error_set(err, "%s is no address", peer->at);
		return NULL;
	}
	fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && (connect(fd, (void *)&at, sizeof(at)) == 0 || errno == EINPROGRESS))
		return begin(fd, peers, peer, err);
	error_set(err, "%s: %m", peer->at);
	if (fd >= 0)
		close(fd);
	return NULL;
}

void link_close(struct link *l)
{
	if (!l)
		return;
	if (l->open)
		gnutls_bye(l->tls, GNUTLS_SHUT_WR);
	if (l->tls)
		gnutls_deinit(l->tls);
	if (l->server)
		gnutls_psk_free_server_credentials(l->server);
	if (l->client)
		gnutls_psk_free_client_credentials(l->client);
	close(l->fd);
	free(l->out);
	free(l);
}

/* ------------------------------------------------------------ what happens to it */

struct pollfd link_poll(const struct link *l)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };

	if (l->connecting)
		p.events = POLLOUT;
	else if (!l->open)
		p.events = gnutls_record_get_direction(l->tls) ? POLLOUT : POLLIN;
	else if (l->out)
		p.events |= POLLOUT;
	return p;
}

static int finish_connecting(struct link *l, short events, struct error *err)
{
	int why = 0;
	socklen_t len = sizeof(why);

	if (!events)
		return 0;
	if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &why, &len) || why)
		return error_set(err, "%s", strerror(why));
	l->connecting = false;
	return 0;
}

static bool is_not_yet(ssize_t ret)
{
	return ret == GNUTLS_E_AGAIN || ret == GNUTLS_E_INTERRUPTED;
}

static int shake_hands(struct link *l, struct error *err)
{
	int ret;

	do {
		ret = gnutls_handshake(l->tls);
	} while (ret < 0 && !is_not_yet(ret) && !gnutls_error_is_fatal(ret));
	if (is_not_yet(ret))
		return 0;
	if (ret < 0)
		return error_set(err, "TLS: %s", gnutls_strerror(ret));
	l->open = true;
	l->heard = clock_ms();
	return 0;
}

static int push(struct link *l, struct error *err)
{
	for (size_t turn = 0; l->out && turn < TURN;) {
		size_t left = l->size - l->sent;
		/* what was begun is in the library already */
		ssize_t ret = gnutls_record_send(l->tls, l->blocked ? NULL : l->out + l->sent,
						 l->blocked    ? 0
						 : left < PART ? left
							       : PART);

		l->blocked = is_not_yet(ret);
		if (l->blocked)
			return 0;
		if (ret < 0) {
			l->ended = true;
			return error_set(err, "%s", gnutls_strerror((int)ret));
		}
		turn += (size_t)ret;
		l->sent += (size_t)ret;
		if (l->sent < l->size)
			continue;
		free(l->out);
		l->out = NULL;
	}
	return 0;
}

/* What is left is the beginning of a line. */
static int take_lines(struct link *l, link_take take, void *arg, struct error *err)
{
	char *from = l->in, *end;

	while ((end = memchr(from, '\n', (size_t)(l->in + l->n - from)))) {
		*end = '\0';
		if (end - from >= LINK_LINE || strlen(from) != (size_t)(end - from))
			return error_set(err, "it sends what is no line");
		if (take(arg, from, err))
			return -1;
		from = end + 1;
	}
	l->n = (size_t)(l->in + l->n - from);
	memmove(l->in, from, l->n);
	return l->n < LINK_LINE ? 0 : error_set(err, "it sends what is no line");
}

static int pull(struct link *l, link_take take, void *arg, struct error *err)
{
	for (size_t turn = 0; turn < TURN;) {
		ssize_t got = gnutls_record_recv(l->tls, l->in + l->n, PART);

		if (is_not_yet(got))
			return 0;
		if (got < 0 && !gnutls_error_is_fatal((int)got)) {
			turn += PART;
			continue;
		}
		if (got <= 0)
			return error_set(err, "%s",
					 got ? gnutls_strerror((int)got)
					     : "the other host has "
					       "ended it");
		turn += (size_t)got;
		l->n += (size_t)got;
		l->heard = clock_ms();
		if (take_lines(l, take, arg, err))
			return -1;
	}
	return 0;
}

int link_run(struct link *l, short events, link_take take, void *arg, struct error *err)
{
	if (l->connecting && (finish_connecting(l, events, err) || l->connecting))
		return err->set ? -1 : 0;
	if (!l->open && (shake_hands(l, err) || !l->open))
		return err->set ? -1 : 0;
	return push(l, err) || pull(l, take, arg, err) ? -1 : 0;
}

bool link_has_ended(const struct link *l)
{
	return l->ended;
}

bool link_is_open(const struct link *l)
{
	return l->open;
}

const char *link_peer(const struct link *l)
{
	return l->peer;
}

uint64_t link_begun(const struct link *l)
{
	return l->begun;
}

uint64_t link_heard(const struct link *l)
{
	return l->heard;
}

bool link_is_idle(const struct link *l)
{
	return !l->out;
}

void link_send(struct link *l, char *text, size_t size)
{
	free(l->out);
	l->out = size ? text : NULL;
	if (!size)
		free(text);
	l->size = size;
	l->sent = 0;
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/echo.h"

#include <errno.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "probe/packet.h"

/* So many are sent before answers are read, and the pause for that. */
enum { BATCH = 64, BATCH_PAUSE_MS = 4, READ_MAX = 1000 };

void echoes_free(struct echoes *e)
{
	vec_each (port, &e->ports)
		close_cleanup(&port->fd);
	vec_free(&e->ports);
}

static int make_identity(struct echoes *e, struct error *err)
{
	if (getrandom(&e->id, sizeof(e->id), 0) != sizeof(e->id) ||
	    getrandom(e->cookie, sizeof(e->cookie), 0) != sizeof(e->cookie))
		return error_set(err, "cannot get random numbers: %s", strerror(errno));
	return 0;
}

int echoes_open(struct echoes *e, uint32_t ifindex, const uint8_t mac[6], struct error *err)
{
	struct echo_port *port;
	int fd;

	if (!e->ports.n && make_identity(e, err))
		return -1;
	fd = packet_messages(ifindex, err);
	if (fd < 0)
		return -1;
	port = vec_push(&e->ports);
	*port = (struct echo_port){ .ifindex = ifindex, .fd = fd };
	memcpy(port->mac, mac, sizeof(port->mac));
	return 0;
}

static void send_one(const struct echoes *e, const struct echo *one, uint16_t seq)
{
	const struct echo_port *port = &e->ports.v[one->port];
	struct echo_frame frame = {
		.src = one->src, .dst = one->dst, .reply = e->arrivals, .id = e->id, .seq = seq
	};
	uint8_t out[FRAME_ROOM];

	memcpy(frame.from, port->mac, sizeof(frame.from));
	memcpy(frame.to, one->to, sizeof(frame.to));
	memcpy(frame.cookie, e->cookie, sizeof(frame.cookie));
	(void)!send(port->fd, out, frame_echo(out, &frame), 0);
}

static bool is_between(const struct echo_frame *frame, const struct tn_addr *src,
		       const struct tn_addr *dst)
{
	return addr_cmp(&frame->src, src) == 0 && addr_cmp(&frame->dst, dst) == 0;
}

static void take_echo(const struct echoes *e, struct echo *const *v, size_t n, size_t port,
		      const struct echo_frame *frame)
{
	uint16_t i = frame->seq - e->seq;

	if (!frame->reply || frame->id != e->id || i >= n ||
	    memcmp(frame->cookie, e->cookie, sizeof(e->cookie)) != 0 ||
	    !(e->arrivals ? is_between(frame, &v[i]->src, &v[i]->dst)
			  : is_between(frame, &v[i]->dst, &v[i]->src)))
		return;
	v[i]->answered = true;
	v[i]->by = port;
	memcpy(v[i]->mac, frame->from, sizeof(v[i]->mac));
}

static void take_question(struct echo *const *v, size_t n, const struct question *question)
{
	for (size_t i = 0; i < n; i++) {
		if (addr_cmp(&question->target, &v[i]->src) == 0 &&
		    memcmp(question->mac, v[i]->to, sizeof(v[i]->to)) == 0)
			v[i]->sought = true;
	}
}

static void read_port(const struct echoes *e, struct echo *const *v, size_t n, size_t port)
{
	struct question question;
	struct echo_frame echo;
	uint8_t frame[256];
	int most = READ_MAX;
	size_t len;

	while (most-- && (len = packet_receive(e->ports.v[port].fd, frame, sizeof(frame)))) {
		if (frame_echo_parse(frame, len, &echo))
			take_echo(e, v, n, port, &echo);
		else if (frame_question(frame, len, &question))
			take_question(v, n, &question);
	}
}

static void listen_for(const struct echoes *e, struct echo *const *v, size_t n, int ms)
{
	VEC(struct pollfd) fds = { 0 };

	vec_each (port, &e->ports)
		*vec_push(&fds) = (struct pollfd){ .fd = port->fd, .events = POLLIN };
	if (poll(fds.v, fds.n, ms) > 0) {
		for (size_t i = 0; i < fds.n; i++) {
			if (fds.v[i].revents)
				read_port(e, v, n, i);
		}
	}
	vec_free(&fds);
}

static bool all_answered(struct echo *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!v[i]->answered)
			return false;
	}
	return true;
}

void echoes_ask(struct echoes *e, struct echo *const *v, size_t n, unsigned int tries,
		unsigned int ms)
{
	for (unsigned int try = 0; try < tries && !all_answered(v, n); try++) {
		uint64_t end;
		size_t sent = 0;

		for (size_t i = 0; i < n; i++) {
			if (v[i]->answered)
				continue;
			send_one(e, v[i], e->seq + i);
			if (++sent % BATCH == 0)
				listen_for(e, v, n, BATCH_PAUSE_MS);
		}
		end = clock_ms() + ms;
		do {
			listen_for(e, v, n, clock_left(end));
		} while (!all_answered(v, n) && clock_left(end));
	}
	e->seq += n;
}

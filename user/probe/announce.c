/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/announce.h"

struct announcement {
	const struct tn_addr *addrs;
	const uint8_t *mac;
	bool router;
};

static size_t make_frame(const void *from, size_t i, uint8_t out[FRAME_ROOM])
{
	const struct announcement *a = from;

	return frame_announce(out, &a->addrs[i], a->mac, a->router);
}

int announce(uint32_t ifindex, const uint8_t mac[6], bool router, const struct tn_addr *addrs,
	     size_t n, size_t *told, struct error *err)
{
	struct announcement a = { .addrs = addrs, .mac = mac, .router = router };
	int fd, ret = 0;

	*told = 0;
	if (!n)
		return 0;
	fd = packet_sender(ifindex, err);
	if (fd < 0)
		return error_prefix(err, "addresses could not be announced");
	if (packet_is_from(fd, mac)) {
		ret = packet_send(fd, make_frame, &a, n, err);
		*told = ret ? 0 : n;
	}
	packet_close(fd);
	return ret ? error_prefix(err, "addresses could not be announced") : 0;
}

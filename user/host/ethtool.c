/* SPDX-License-Identifier: GPL-2.0-only */
#include "host/ethtool.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "lib/util.h"

static const char *const names[] = {
#define X(id, name, option) [ETHTOOL_##id] = name,
	ETHTOOL_FEATURES(X)
#undef X
};

const char *ethtool_feature_name(enum ethtool_feature feature)
{
	return names[feature];
}

static int call(int sock, const char *interface, void *request)
{
	struct ifreq ifr = { .ifr_data = request };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", interface);
	return ioctl(sock, SIOCETHTOOL, &ifr);
}

/* How many features this kernel knows; 0 with errno set. */
static uint32_t count(int sock, const char *interface)
{
	struct {
		struct ethtool_sset_info info;
		uint32_t n;
	} request = { .info = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1 << ETH_SS_FEATURES } };

	return call(sock, interface, &request) ? 0 : request.n;
}

static bool bit(uint32_t word, uint32_t i)
{
	return word >> (i % 32) & 1;
}

static void take(const char *name, const struct ethtool_get_features_block *block, uint32_t i,
		 struct ethtool *out)
{
	for (size_t f = 0; f < ARRAY_SIZE(names); f++) {
		if (strncmp(name, names[f], ETH_GSTRING_LEN) != 0)
			continue;
		out->on[f] = bit(block->active, i);
		out->fixed[f] = bit(block->never_changed, i) || !bit(block->available, i);
	}
}

/* The names and the bits, in the order of this kernel: it is another in the next one. */
static int read_features(int sock, const char *interface, uint32_t n, struct ethtool *out)
{
	uint32_t blocks = (n + 31) / 32;
	_cleanup_free_ struct ethtool_gstrings *strings =
		xzalloc(sizeof(*strings) + (size_t)n * ETH_GSTRING_LEN);
	_cleanup_free_ struct ethtool_gfeatures *features =
		xzalloc(sizeof(*features) + blocks * sizeof(features->features[0]));

	strings->cmd = ETHTOOL_GSTRINGS;
	strings->string_set = ETH_SS_FEATURES;
	strings->len = n;
	features->cmd = ETHTOOL_GFEATURES;
	features->size = blocks;
	if (call(sock, interface, strings) || call(sock, interface, features))
		return -1;
	for (uint32_t i = 0; i < strings->len && i < n; i++)
		take((char *)strings->data + (size_t)i * ETH_GSTRING_LEN,
		     &features->features[i / 32], i, out);
	return 0;
}

int ethtool_read(const char *interface, struct ethtool *out, struct error *err)
{
	_cleanup_close_ int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint32_t n;

	memset(out, 0, sizeof(*out));
	n = sock < 0 ? 0 : count(sock, interface);
	if (!n || read_features(sock, interface, n, out))
		return error_set(err, "cannot read the offloads of %s: %s", interface,
				 strerror(errno));
	return 0;
}

void ethtool_driver(const char *interface, char out[ETHTOOL_DRIVER])
{
	_cleanup_close_ int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };

	out[0] = '\0';
	if (sock >= 0 && call(sock, interface, &info) == 0)
		snprintf(out, ETHTOOL_DRIVER, "%.*s", (int)sizeof(info.driver) - 1, info.driver);
}

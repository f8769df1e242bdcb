/* SPDX-License-Identifier: GPL-2.0-only */
#include "nft.h"

#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <sys/socket.h>

#include "util.h"

/* Where libnftables cannot have its socket, it ends the process. */
static bool can_have_socket(void)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	return fd >= 0;
}

static void nft_cleanup(struct nft_ctx **nft)
{
	if (*nft)
		nft_ctx_free(*nft);
}

int nft_ruleset(json_t **out, bool elements, struct error *err)
{
	_cleanup_(nft_cleanup) struct nft_ctx *nft = NULL;
	const char *text;

	*out = NULL;
	if (!can_have_socket())
		return error_set(err, "cannot ask netfilter for its rules: %m");
	nft = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!nft || nft_ctx_buffer_output(nft) || nft_ctx_buffer_error(nft))
		return error_set(err, "cannot ask netfilter for its rules: out of memory");
	nft_ctx_output_set_flags(nft, NFT_CTX_OUTPUT_JSON | (elements ? 0 : NFT_CTX_OUTPUT_TERSE));
	if (nft_run_cmd_from_buffer(nft, "list ruleset")) {
		text = nft_ctx_get_error_buffer(nft);
		return error_set(err, "cannot ask netfilter for its rules: %.*s",
				 (int)strcspn(text, "\n"), text);
	}
	text = nft_ctx_get_output_buffer(nft);
	*out = json_loads(*text ? text : "{\"nftables\": []}", 0, NULL);
	return *out ? 0 : error_set(err, "netfilter's list of rules is no JSON");
}

void nft_legacy_tables(bool six, char *text, size_t size)
{
	_cleanup_fclose_ FILE *f = fopen(
		six ? "/proc/self/net/ip6_tables_names" : "/proc/self/net/ip_tables_names", "re");
	char name[40];
	size_t n = 0;

	text[0] = '\0';
	while (f && n < size && fscanf(f, "%39s", name) == 1)
		n += snprintf(text + n, size - n, "%s%s", n ? " " : "", name);
}

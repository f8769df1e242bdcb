/* SPDX-License-Identifier: GPL-2.0-only */
#include "host/nft.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "host/nft_xt.h"
#include "lib/util.h"

/* In a process of its own: where libnftables cannot go on, it says so and ends the process. */
static _Noreturn void list_ruleset(bool elements, int out)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct nft_ctx *nft;
	const char *text;

	/* only what it writes to is its own: no lock, no map, nobody's connection */
	if (null < 0 || dup2(null, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0 ||
	    dup2(out, STDIN_FILENO) < 0 || close_range(STDERR_FILENO + 1, ~0U, 0))
		_exit(1);
	nft = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!nft || nft_ctx_buffer_output(nft) || nft_ctx_buffer_error(nft))
		_exit(1);
	nft_ctx_output_set_flags(nft, NFT_CTX_OUTPUT_JSON | (elements ? 0 : NFT_CTX_OUTPUT_TERSE));
	if (nft_run_cmd_from_buffer(nft, "list ruleset"))
		_exit(1);
	text = nft_ctx_get_output_buffer(nft);
	_exit(dprintf(STDIN_FILENO, "%s", *text ? text : "{\"nftables\": []}") < 0);
}

static int cannot_ask(const char *why, struct error *err)
{
	return error_set(err, "cannot ask netfilter for its rules: %s", why);
}

static json_t *read_json(int fd)
{
	_cleanup_fclose_ FILE *f = fdopen(fd, "r");

	if (f)
		return json_loadf(f, 0, NULL);
	close(fd);
	return NULL;
}

/* What the child writes; and it has to come to its end. */
static int read_ruleset(pid_t child, int from, json_t **out, struct error *err)
{
	pid_t died;
	int status;

	*out = read_json(from);
	while ((died = waitpid(child, &status, 0)) < 0 && errno == EINTR)
		;
	if (*out && died == child && WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	json_decref(*out);
	*out = NULL;
	return cannot_ask("libnftables refuses to; try `nft list ruleset`", err);
}

/*
 * Whether the kernel says that there is no table. Most routers have none, and a process and a
 * libnftables for each of them is most of what it takes to look at many.
 */
static bool is_without_tables(void)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	struct {
		struct nlmsghdr head;
		struct nfgenmsg gen;
	} request = {
		.head = { .nlmsg_len = sizeof(request),
			  .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.gen = { .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0 },
	};
	struct {
		struct nlmsghdr head;
		int error;
	} reply = { 0 };

	return fd >= 0 && send(fd, &request, sizeof(request), 0) == sizeof(request) &&
	       recv(fd, &reply, sizeof(reply), 0) == sizeof(reply) &&
	       reply.head.nlmsg_type == NLMSG_DONE && reply.error == 0;
}

int nft_ruleset(json_t **out, bool elements, struct error *err)
{
	int ends[2];
	pid_t child;

	*out = NULL;
	if (is_without_tables()) {
		*out = json_pack("{s:[]}", "nftables");
		return 0;
	}
	if (pipe2(ends, O_CLOEXEC))
		return cannot_ask(strerror(errno), err);
	fflush(NULL); /* or the child may write it, too */
	child = fork();
	if (child == 0)
		list_ruleset(elements, ends[1]);
	close(ends[1]);
	if (child > 0) {
		if (read_ruleset(child, ends[0], out, err))
			return -1;
		if (elements)
			nft_tell_xt(*out);
		return 0;
	}
	close(ends[0]);
	return cannot_ask(strerror(errno), err);
}

int nft_legacy_tables(bool six, char *text, size_t size, struct error *err)
{
	const char *path =
		six ? "/proc/self/net/ip6_tables_names" : "/proc/self/net/ip_tables_names";
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char name[40];
	size_t n = 0;

	text[0] = '\0';
	if (!f && errno == ENOENT)
		return 0;
	while (f && n < size && fscanf(f, "%39s", name) == 1)
		n += snprintf(text + n, size - n, "%s%s", n ? " " : "", name);
	return !f || ferror(f) ? error_set(err, "cannot read %s: %m", path) : 0;
}

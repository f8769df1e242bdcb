/* SPDX-License-Identifier: GPL-2.0-only */
/* The local copy of who hands flows to whom. */
#include <sys/stat.h>

#include "../fixture.h"
#include "handover/peers.h"

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff"
static const char whole[] =
	"{\"cluster\": \"an id\", \"host\": \"hv1\", \"key\": \"" KEY "\", "
	"\"listen\": \"192.0.2.1:9117\", \"peers\": {\"hv3\": \"[2001:db8::3]:1\", "
	"\"hv2\": \"192.0.2.2:9117\"}}";

static void check_whole(const struct peers *p)
{
	cr_expect_str_eq(p->cluster, "an id");
	cr_expect_str_eq(p->host, "hv1");
	cr_expect_str_eq(p->listen, "192.0.2.1:9117");
	cr_expect_eq(p->key[1], 1);
	cr_expect_eq(p->key[PEERS_KEY - 1], 0xff);
	cr_assert_eq(p->list.n, 2);
	cr_expect_str_eq(peers_find(p, "hv2")->at, "192.0.2.2:9117");
	cr_expect_str_eq(peers_find(p, "hv3")->at, "[2001:db8::3]:1");
	cr_expect_null(peers_find(p, "hv4"));
}

Test(peers, there_and_back)
{
	_cleanup_peers_ struct peers one, two;
	char *text;

	cr_assert_eq(peers_parse(whole, &one), 0);
	check_whole(&one);
	text = peers_text(&one);
	cr_assert_eq(peers_parse(text, &two), 0);
	check_whole(&two);
	free(text);
}

Test(peers, what_is_none)
{
	static const char *const wrong[] = {
		"",
		"{}",
		"[]",
		"null",
		/* a key that is shorter, has other letters, or is none */
		"{\"cluster\":\"x\",\"host\":\"a\",\"key\":\"00\",\"listen\":null,\"peers\":{}}",
		"{\"cluster\":\"x\",\"host\":\"a\",\"key\":5,\"listen\":null,\"peers\":{}}",
		"{\"cluster\":\"x\",\"host\":\"a/b\",\"key\":\"" KEY
		"\",\"listen\":null,\"peers\":{}}",
		"{\"cluster\":\"x\",\"host\":\"a\",\"key\":\"" KEY "\",\"listen\":5,\"peers\":{}}",
		"{\"cluster\":\"x\",\"host\":\"a\",\"key\":\"" KEY
		"\",\"listen\":\"x\",\"peers\":{}}",
		"{\"cluster\":\"x\",\"host\":\"a\",\"key\":\"" KEY
		"\",\"listen\":null,\"peers\":[]}",
		"{\"cluster\":\"x\",\"host\":\"a\",\"key\":\"" KEY
		"\",\"listen\":null,\"peers\":{\"b\":null}}",
		"{\"cluster\":\"x\",\"host\":\"a\",\"key\":\"" KEY
		"\",\"listen\":null,\"peers\":{\"b c\":\"192.0.2.1:1\"}}",
		"{\"cluster\":\"x\",\"host\":\"a\",\"key\":\"" KEY
		"\",\"listen\":null,\"peers\":{},\"more\":1}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct peers p;

		cr_expect_eq(peers_parse(wrong[i], &p), -1, "%s", wrong[i]);
		cr_expect_null(p.host);
		peers_free(&p);
	}
}

Test(peers, a_file_of_ones_own)
{
	char state[] = "/tmp/tn-peers-XXXXXX", path[64];
	_cleanup_peers_ struct peers p, got;
	struct error err = { 0 };
	struct stat st;

	cr_assert(mkdtemp(state));
	cr_expect_eq(peers_read(state, &got, &err), 0, "there is none");
	cr_assert_eq(peers_parse(whole, &p), 0);
	cr_assert_eq(peers_write(state, &p, &err), 0, "%s", err.text);
	peers_path(state, path, sizeof(path));
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600, "the key is nobody else's to read");
	cr_assert_eq(peers_read(state, &got, &err), 1, "%s", err.text);
	check_whole(&got);
	peers_forget(state);
	cr_expect_neq(stat(path, &st), 0);
	rmdir(state);
}

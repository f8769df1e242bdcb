/* SPDX-License-Identifier: GPL-2.0-only */
/* What hosts say to each other of routers. */
#include <stdlib.h>

#include "../fixture.h"
#include "handover/stream_line.h"

#define FLOW                                                                                      \
	"{\"tenant\":\"red\",\"fixed\":\"10.0.0.5\",\"shared\":\"100.64.1.9\",\"protocol\":6,"    \
	"\"port\":40000,\"peer\":\"100.64.2.9\",\"peer_tenant\":null,\"service\":80,\"closing\":" \
	"false,\"left\":7440}"

static int parse(const char *text, struct stream_line *out)
{
	struct error err = { 0 };
	int ret = stream_line_parse(text, out, &err);

	cr_expect_eq(err.set, ret != 0, "%s", text);
	return ret;
}

static char *written(bool again)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (again)
		stream_line_again("a.b-c_d", to);
	else
		stream_line_beat("a.b-c_d", 16384, to);
	fclose(to);
	cr_expect_eq(text[size - 1], '\n');
	return text;
}

Test(stream_line, there_and_back)
{
	struct stream_line line;
	char *beat = written(false), *again = written(true);

	cr_assert_eq(parse(beat, &line), 0);
	cr_expect_eq(line.kind, LINE_BEAT);
	cr_expect_str_eq(line.tenant, "a.b-c_d");
	cr_expect_eq(line.unsent, 16384);
	cr_assert_eq(parse(again, &line), 0);
	cr_expect_eq(line.kind, LINE_AGAIN);
	cr_expect_str_eq(line.tenant, "a.b-c_d");
	cr_assert_eq(parse(FLOW, &line), 0);
	cr_expect_eq(line.kind, LINE_FLOW);
	cr_expect_str_eq(line.tenant, "red");
	cr_expect_eq(line.flow.left, 7440);
	free(beat);
	free(again);
}

Test(stream_line, what_is_none)
{
	static const char *const wrong[] = {
		"",
		"{",
		"{}",
		"null",
		"[]",
		"5",
		"{\"router\":\"red\"}",
		"{\"router\":\"red\",\"unsent\":-1}",
		"{\"router\":\"red\",\"unsent\":16385}",
		"{\"router\":\"red\",\"unsent\":\"1\"}",
		"{\"router\":\"red\",\"unsent\":1,\"more\":1}",
		"{\"router\":\"a/b\",\"unsent\":1}",
		"{\"router\":\"\",\"unsent\":1}",
		"{\"router\":5,\"unsent\":1}",
		"{\"router\":\"red\",\"router\":\"red\",\"unsent\":1}",
		"{\"again\":5}",
		"{\"again\":\"a/b\"}",
		"{\"again\":\"red\",\"more\":1}",
		"{\"again\":\"red\"",
		"{\"again\":null}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct stream_line line;

		cr_expect_eq(parse(wrong[i], &line), -1, "%s", wrong[i]);
	}
}

/* Lines that differ a little from good ones: what is taken of them is within its bounds. */
Test(stream_line, changed_at_random)
{
	static const char *const good[] = { FLOW, "{\"router\":\"red\",\"unsent\":12}",
					    "{\"again\":\"red\"}" };
	static const char some[] = "\"{}[]:,0159-+.eEtfn\\u/ \t\x01\x7f\xc3";
	size_t taken = 0;

	srand(1);
	for (int turn = 0; turn < 200000; turn++) {
		const char *from = good[rand() % ARRAY_SIZE(good)];
		struct stream_line line;
		struct error err = { 0 };
		char text[512];
		size_t n = strlen(from);

		memcpy(text, from, n + 1);
		for (int i = rand() % 4; i >= 0; i--) {
			size_t at = (size_t)rand() % n;

			if (rand() % 3)
				text[at] = some[(size_t)rand() % (sizeof(some) - 1)];
			else
				memmove(text + at, text + at + 1, n-- - at);
		}
		if (stream_line_parse(text, &line, &err))
			continue;
		taken++;
		cr_assert(tenant_name_valid(line.tenant), "%s", text);
		cr_assert_leq(line.unsent, TN_FLOWS, "%s", text);
		if (line.kind == LINE_FLOW)
			cr_assert(line.flow.left && line.flow.left <= TN_FLOW_TCP, "%s", text);
	}
	cr_expect_gt(taken, 0);
}

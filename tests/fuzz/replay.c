/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * replay FILE|DIRECTORY…: each input once, as the fuzzer would run it. Closes with
 * `N passed, N failed`; exit 1 when anything failed or there was nothing to run.
 */
#include <errno.h>
#include <ftw.h>

#include "check.h"
#include "lib/util.h"

static unsigned int passed, failed;
static unsigned int verdicts[PROGRAMS + 1][NO_VERDICT + 1];

static bool read_input(const char *path, struct input *input)
{
	_cleanup_fclose_ FILE *f = fopen(path, "rb");
	uint8_t data[INPUT_MAX];
	size_t n;

	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return false;
	}
	n = fread(data, 1, sizeof(data), f);
	input_read(input, data, n);
	return true;
}

static int replay(const char *path, const struct stat *st, int type, struct FTW *where)
{
	static struct input input;
	static struct result result;

	(void)st;
	(void)where;
	if (type == FTW_D)
		return 0;
	if (type == FTW_F && read_input(path, &input) && check_input(&input, &result)) {
		passed++;
		verdicts[input.in.program][result.verdict]++;
	} else {
		fprintf(stderr, "FAILED: %s\n", path);
		failed++;
	}
	return 0;
}

/* A corpus in which nothing passes, or nothing is dropped, would show nothing. */
static void expect_verdicts(void)
{
	for (int program = 0; program < PROGRAMS; program++) {
		if (verdicts[program][STACK] && verdicts[program][GONE])
			continue;
		fprintf(stderr, "FAILED: no input passes %s, or none is dropped\n",
			program_name(program));
		failed++;
	}
}

int main(int argc, char **argv)
{
	check_open();
	for (int i = 1; i < argc; i++) {
		if (nftw(argv[i], replay, 16, FTW_PHYS)) {
			perror(argv[i]);
			failed++;
		}
	}
	if (passed > PROGRAMS)
		expect_verdicts();
	printf("%u passed, %u failed\n", passed, failed);
	return failed || !passed;
}

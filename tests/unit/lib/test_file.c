/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/file.h"

static char directory[] = "/tmp/tn-file-XXXXXX", path[PATH_MAX], beside[PATH_MAX + 8];

static void setup(void)
{
	cr_assert(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/it", directory);
	snprintf(beside, sizeof(beside), "%s/.it.new", directory);
}

static void teardown(void)
{
	unlink(beside);
	unlink(path);
	rmdir(path);
	rmdir(directory);
}

TestSuite(file, .init = setup, .fini = teardown);

static void expect_text(const char *text)
{
	char read[64] = "";
	FILE *f = fopen(path, "r");

	cr_assert(f);
	read[fread(read, 1, sizeof(read) - 1, f)] = '\0';
	fclose(f);
	cr_expect_str_eq(read, text);
	cr_expect_eq(access(beside, F_OK), -1, "something was left");
}

static int replace(const char *text, struct error *err)
{
	return file_replace(path, text, strlen(text), 0600, err);
}

Test(file, is_replaced_with_its_mode)
{
	struct error err = { 0 };
	struct stat st;

	umask(0);
	cr_assert_eq(replace("one, a long one", &err), 0);
	expect_text("one, a long one");
	chmod(path, 0644);
	cr_assert_eq(replace("two", &err), 0);
	expect_text("two");
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
}

Test(file, is_as_before_if_there_is_no_room)
{
	struct rlimit none = { .rlim_cur = 8, .rlim_max = RLIM_INFINITY };
	struct error err = { 0 };

	cr_assert_eq(replace("before", &err), 0);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &none);
	cr_expect_eq(replace("more than can be written", &err), -1);
	none.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &none);
	expect_text("before");
	cr_expect(strstr(err.text, "cannot write "), "%s", err.text);
	cr_expect(strstr(err.text, path), "%s", err.text);
}

/* Said of the file that was asked for, and not of the one beside it; --state is of no help here. */
Test(file, is_not_made_without_its_directory)
{
	struct error err = { 0 };

	cr_expect_eq(file_replace("/nowhere/of/that/name", "text", 4, 0600, &err), -1);
	cr_expect_str_eq(err.text, "cannot write /nowhere/of/that/name: No such file or directory; "
				   "make its directory");
}

Test(file, does_not_replace_a_directory)
{
	struct error err = { 0 };

	cr_assert_eq(mkdir(path, 0700), 0);
	cr_expect_eq(replace("text", &err), -1);
	cr_expect(strstr(err.text, "cannot write "), "%s", err.text);
	cr_expect_eq(access(beside, F_OK), -1, "something was left");
}

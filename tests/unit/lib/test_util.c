/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "host/host.h"
#include "lib/background.h"
#include "lib/error.h"
#include "lib/util.h"

/* ------------------------------------------------------------ arrays */

struct pair {
	int a;
	char *b;
};

Test(vec, zeroed_is_empty)
{
	VEC(struct pair) v = { 0 };
	int seen = 0;

	vec_each (p, &v)
		seen++;
	cr_expect_eq(seen, 0);
	vec_free(&v);
	cr_expect_null(v.v);
}

Test(vec, keeps_what_was_pushed)
{
	VEC(uint32_t) v = { 0 };
	uint32_t next = 0;

	for (uint32_t i = 0; i < 1000; i++) {
		uint32_t *new = vec_push(&v);

		cr_assert_eq(v.n, i + 1);
		cr_assert_geq(v.cap, v.n);
		cr_assert_eq(new, &v.v[i]);
		cr_assert_eq(*new, 0);
		*new = i * 7;
	}
	vec_each (i, &v)
		cr_assert_eq(*i, 7 * next++);
	cr_expect_eq(next, 1000);
	vec_free(&v);
}

/* also where an element lies that was taken away before */
Test(vec, new_elements_are_zero)
{
	VEC(struct pair) v = { 0 };

	for (int i = 0; i < 20; i++)
		*vec_push(&v) = (struct pair){ .a = -1, .b = "x" };
	v.n = 0;
	for (int i = 0; i < 20; i++) {
		struct pair *p = vec_push(&v);

		cr_expect_eq(p->a, 0);
		cr_expect_null(p->b);
	}
	vec_free(&v);
}

/* pushing n elements moves them log n times, not n times */
Test(vec, room_doubles)
{
	VEC(char) v = { 0 };
	size_t cap = 0, moves = 0;

	for (int i = 0; i < 100000; i++) {
		*vec_push(&v) = 'x';
		moves += v.cap != cap;
		cap = v.cap;
	}
	cr_expect_leq(moves, 20);
	vec_free(&v);
}

Test(vec, each_can_be_changed_and_left)
{
	VEC(int) v = { 0 };
	int seen = 0;

	for (int i = 0; i < 10; i++)
		*vec_push(&v) = i;
	vec_each (i, &v)
		*i += 100;
	vec_each (i, &v) {
		if (*i == 105)
			break;
		if (*i % 2)
			continue;
		seen++;
	}
	cr_expect_eq(seen, 3);
	cr_expect_eq(v.v[9], 109);
	vec_free(&v);
}

Test(vec, freed_it_is_empty_and_can_be_used_again)
{
	VEC(int) v = { 0 };

	*vec_push(&v) = 1;
	vec_free(&v);
	cr_expect_null(v.v);
	cr_expect_eq(v.n + v.cap, 0);
	*vec_push(&v) = 2;
	cr_expect_eq(v.n, 1);
	cr_expect_eq(v.v[0], 2);
	vec_free(&v);
	vec_free(&v);
}

Test(vec, arguments_are_evaluated_once)
{
	VEC(int) v[2] = { 0 };
	int at = 0;

	*vec_push(&v[at++]) = 5;
	cr_expect_eq(at, 1);
	cr_expect_eq(v[0].n, 1);
	cr_expect_eq(v[1].n, 0);
	vec_free(&v[0]);
}

Test(vec, array_size)
{
	static const int three[] = { 1, 2, 3 };

	cr_expect_eq(ARRAY_SIZE(three), 3);
}

/* ------------------------------------------------------------ memory */

Test(memory, zeroed_and_copied)
{
	static const char zero[64];
	char text[] = "red";
	_cleanup_free_ void *p = NULL;
	_cleanup_free_ char *s = xstrdup(text), *empty = xstrdup("");

	/* not by luck: what was freed just before */
	p = xrealloc(NULL, 1, sizeof(zero));
	memset(p, 0xff, sizeof(zero));
	free(p);
	p = xzalloc(sizeof(zero));
	cr_expect_arr_eq(p, zero, sizeof(zero));
	text[0] = 'R';
	cr_expect_str_eq(s, "red");
	cr_expect_str_eq(empty, "");
}

Test(memory, nothing_is_something_to_free)
{
	_cleanup_free_ void *none = xrealloc(NULL, 0, 8), *less = xrealloc(xzalloc(8), 0, 8);

	cr_expect_not_null(none);
	cr_expect_not_null(less);
}

#ifndef __SANITIZE_ADDRESS__ /* which ends the process itself, in other words */
Test(memory, none_left)
{
	/* so many bytes that their number does not fit into size_t; not for the compiler to see */
	volatile size_t n = SIZE_MAX / 2;
	char text[64] = "";
	int fds[2], status;
	pid_t pid;

	cr_assert_eq(pipe(fds), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (!pid) {
		dup2(fds[1], STDERR_FILENO);
		free(xrealloc(NULL, n, 4));
		_exit(0);
	}
	close(fds[1]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_gt(read(fds[0], text, sizeof(text) - 1), 0);
	close(fds[0]);
	cr_expect(WIFEXITED(status));
	cr_expect_eq(WEXITSTATUS(status), 1);
	cr_expect_str_eq(text, "tenantnat: out of memory\n");
}
#endif

/* ------------------------------------------------------------ ends of scopes */

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0 || errno != EBADF;
}

Test(cleanup, files_are_closed)
{
	int fd, of_stream;

	{
		_cleanup_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
		_cleanup_close_ int none = -1;
		_cleanup_fclose_ FILE *f = fopen("/dev/null", "re"), *no_file = NULL;

		cr_assert_not_null(f);
		fd = null;
		of_stream = fileno(f);
		cr_expect(is_open(fd));
		cr_expect(is_open(of_stream));
		(void)none;
		(void)no_file;
	}
	cr_expect_not(is_open(fd));
	cr_expect_not(is_open(of_stream));
}

/* 0 is a file like any other */
Test(cleanup, file_0_is_closed)
{
	cr_assert_eq(dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0), 0);
	{
		_cleanup_close_ int fd = 0;

		cr_expect(is_open(fd));
	}
	cr_expect_not(is_open(0));
}

struct note {
	char *to;
	const char *text;
};

static void note(struct note *n)
{
	strcat(n->to, n->text);
}

Test(cleanup, backwards)
{
	char text[16] = "";

	{
		_cleanup_(note) struct note first = { text, "first" };
		_cleanup_(note) struct note second = { text, "second " };
	}
	cr_expect_str_eq(text, "second first");
}

/* ------------------------------------------------------------ errors */

Test(error, zeroed_is_none)
{
	struct error err = { 0 };

	cr_expect_not(err.set);
	cr_expect_eq(error_prefix(&err, "tenant %s", "red"), -1);
	cr_expect_not(err.set);
	cr_expect_str_eq(err.text, "");
}

Test(error, set)
{
	struct error failed = { 0 }, wrong = { 0 };

	cr_expect_eq(error_set(&failed, "no %s in %d", "x", 7), -1);
	cr_expect(failed.set);
	cr_expect_not(failed.usage);
	cr_expect_str_eq(failed.text, "no x in 7");
	cr_expect_eq(error_usage(&wrong, "%s is 100%%", "it"), -1);
	cr_expect(wrong.set);
	cr_expect(wrong.usage);
	cr_expect_str_eq(wrong.text, "it is 100%");
}

Test(error, the_first_one_stays)
{
	struct error failed = { 0 }, wrong = { 0 };

	error_set(&failed, "first");
	cr_expect_eq(error_set(&failed, "second"), -1);
	cr_expect_eq(error_usage(&failed, "third"), -1);
	cr_expect_str_eq(failed.text, "first");
	cr_expect_not(failed.usage);

	error_usage(&wrong, "first");
	error_set(&wrong, "second");
	cr_expect_str_eq(wrong.text, "first");
	cr_expect(wrong.usage);
}

Test(error, prefix)
{
	struct error err = { 0 };

	error_usage(&err, "100%% of %s", "it");
	cr_expect_eq(error_prefix(&err, "tenant %s", "red"), -1);
	cr_expect_str_eq(err.text, "tenant red: 100% of it");
	cr_expect(err.set);
	cr_expect(err.usage);
	error_prefix(&err, "a.yaml:%d", 7);
	cr_expect_str_eq(err.text, "a.yaml:7: tenant red: 100% of it");
}

/* too long is cut, at the end */
Test(error, long_ones_are_cut)
{
	struct error err = { 0 }, both = { 0 };
	char text[3000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	error_set(&err, "%s", text);
	cr_expect_eq(strlen(err.text), sizeof(err.text) - 1);
	error_prefix(&err, "tenant %s", "red");
	cr_expect_eq(strlen(err.text), sizeof(err.text) - 1);
	cr_expect_eq(strncmp(err.text, "tenant red: xxx", 15), 0);

	error_set(&both, "short");
	error_prefix(&both, "%s", text);
	cr_expect_eq(strlen(both.text), sizeof(both.text) - 1);
	cr_expect_eq(both.text[0], 'x');
}

/* ------------------------------------------------------------ sorting */

static int compared;

static int int_cmp(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	compared++;
	return x < y ? -1 : x > y;
}

static void sorts(const int *given, size_t n, const int *want, const int *once, size_t n_once)
{
	VEC(int) v = { 0 };

	for (size_t i = 0; i < n; i++)
		*vec_push(&v) = given[i];
	vec_sort(&v, int_cmp);
	cr_assert_eq(v.n, n);
	cr_expect(!n || memcmp(v.v, want, n * sizeof(*want)) == 0);
	vec_sort_once(&v, int_cmp);
	cr_assert_eq(v.n, n_once);
	cr_expect(!n || memcmp(v.v, once, n_once * sizeof(*once)) == 0);
	vec_free(&v);
}

Test(sort, each_stays)
{
	const int mixed[] = { 3, 1, 2, 3, 1 };

	sorts(NULL, 0, NULL, NULL, 0);
	sorts(mixed, 1, mixed, mixed, 1);
	sorts(mixed, 5, (int[]){ 1, 1, 2, 3, 3 }, (int[]){ 1, 2, 3 }, 3);
	/* the last pair alone is out of order */
	sorts((int[]){ 1, 2, 3, 0 }, 4, (int[]){ 0, 1, 2, 3 }, (int[]){ 0, 1, 2, 3 }, 4);
	sorts((int[]){ 7, 7, 7 }, 3, (int[]){ 7, 7, 7 }, (int[]){ 7 }, 1);
}

Test(sort, what_is_in_order_is_looked_at_once)
{
	int v[1000];

	for (int i = 0; i < 1000; i++)
		v[i] = i / 2;
	compared = 0;
	sort_rows(v, 1000, sizeof(*v), int_cmp);
	cr_expect_eq(compared, 999);
}

/* ------------------------------------------------------------ one thing beside another */

static void set(void *arg)
{
	*(pid_t *)arg = gettid();
}

Test(beside, is_done_at_the_end_and_in_a_thread)
{
	struct background b;
	pid_t by = 0;

	background_begin(&b, set, &by);
	background_end(&b);
	cr_expect_neq(by, 0);
	cr_expect_neq(by, gettid());
}

#ifndef __SANITIZE_ADDRESS__ /* which needs memory for itself */
Test(beside, at_once_where_there_can_be_no_thread)
{
	struct rlimit none = { 0, 0 };
	struct background b;
	pid_t by = 0;

	/* its stack has no room */
	cr_assert_eq(setrlimit(RLIMIT_AS, &none), 0);
	background_begin(&b, set, &by);
	cr_expect_eq(by, gettid());
	cr_expect_not(b.started);
	background_end(&b);
}
#endif

/* Kernels are built with one of these (kernel/Kconfig.hz). */
Test(host, ticks_of_a_second)
{
	uint32_t second = host_ticks(1000);

	cr_expect(second == 100 || second == 250 || second == 300 || second == 1000, "%u", second);
	cr_expect_eq(host_ticks(100), second / 10);
	cr_expect_eq(host_ticks(0), 1);
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "lib/output.h"

/* ------------------------------------------------------------ what goes to stdout */

/* Where stdout goes meanwhile, and where it went before. */
struct capture {
	int fd;
	int before;
};

static void capture_to(struct capture *c, int fd)
{
	cr_assert_geq(fd, 0);
	fflush(stdout);
	c->fd = fd;
	c->before = dup(STDOUT_FILENO);
	cr_assert_geq(dup2(fd, STDOUT_FILENO), 0);
}

static void capture_begin(struct capture *c)
{
	capture_to(c, memfd_create("stdout", MFD_CLOEXEC));
}

static void release(struct capture *c)
{
	fflush(stdout);
	cr_assert_geq(dup2(c->before, STDOUT_FILENO), 0);
	close(c->before);
}

/* What was printed; the caller's to free. */
static char *capture_end(struct capture *c)
{
	char *text;
	size_t n;

	release(c);
	n = lseek(c->fd, 0, SEEK_END);
	text = xzalloc(n + 1);
	cr_assert_eq(pread(c->fd, text, n, 0), (ssize_t)n);
	close(c->fd);
	return text;
}

/* A terminal for stdout, whose other end is *terminal. */
static void terminal_begin(struct capture *c, int *terminal)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || grantpt(fd) || unlockpt(fd))
		cr_skip_test("no terminals here");
	*terminal = fd;
	capture_to(c, open(ptsname(fd), O_RDWR | O_NOCTTY | O_CLOEXEC));
}

/* What the terminal was sent, without the carriage returns that it adds. */
static char *terminal_end(struct capture *c, int terminal)
{
	char *text = xzalloc(4096), *to = text, sent;

	/* once nobody has the terminal open, what was sent can be read to its end */
	release(c);
	close(c->fd);
	while (read(terminal, &sent, 1) == 1 && to < text + 4095) {
		if (sent != '\r')
			*to++ = sent;
	}
	close(terminal);
	return text;
}

static void prints(const struct table *t, const char *expected)
{
	_cleanup_free_ char *text = NULL;
	struct capture c;

	capture_begin(&c);
	table_print(t);
	text = capture_end(&c);
	cr_expect_str_eq(text, expected, "%sbut should be:\n%s", text, expected);
}

/* ------------------------------------------------------------ tables */

static void fill(struct table *t, int columns, const char *const *cells, size_t n)
{
	t->columns = columns;
	for (size_t i = 0; i < n; i++)
		table_cell(t, "%s", cells[i]);
}

Test(table, columns_are_as_wide_as_their_widest_cell)
{
	static const char *const cells[] = {
		"TENANT",   "NAME",	  "FIXED",	   "SHARED", "red",	"a-long-name",
		"10.0.0.5", "100.64.1.9", "a-long-tenant", "-",	     "fd00::5", "fd64::5",
	};
	_cleanup_table_ struct table t = { 0 };

	fill(&t, 4, cells, ARRAY_SIZE(cells));
	prints(&t, "TENANT         NAME         FIXED     SHARED\n"
		   "red            a-long-name  10.0.0.5  100.64.1.9\n"
		   "a-long-tenant  -            fd00::5   fd64::5\n");
}

/* the last column is not filled up: nothing ends in spaces */
Test(table, no_spaces_at_the_end_of_a_line)
{
	static const char *const cells[] = { "A", "B", "1", "a long cell", "2", "b" };
	_cleanup_table_ struct table two = { 0 }, one = { 0 };

	fill(&two, 2, cells, ARRAY_SIZE(cells));
	prints(&two, "A  B\n"
		     "1  a long cell\n"
		     "2  b\n");
	fill(&one, 1, cells, 4);
	prints(&one, "A\nB\n1\na long cell\n");
}

Test(table, empty_cells)
{
	static const char *const cells[] = { "A", "B", "C", "", "x", "" };
	_cleanup_table_ struct table t = { 0 };

	fill(&t, 3, cells, ARRAY_SIZE(cells));
	prints(&t, "A  B  C\n   x  \n");
}

Test(table, a_header_alone)
{
	static const char *const cells[] = { "TENANT", "NAME" };
	_cleanup_table_ struct table t = { 0 }, nothing = { .columns = 2 };

	prints(&nothing, "");
	fill(&t, 2, cells, ARRAY_SIZE(cells));
	prints(&t, "TENANT  NAME\n");
}

Test(table, cells_are_formatted_and_copied)
{
	_cleanup_table_ struct table t = { .columns = 2 };
	char text[] = "red";

	table_cell(&t, "%s", text);
	table_cell(&t, "%u/%s", 7, "x");
	text[0] = 'R';
	prints(&t, "red  7/x\n");
}

Test(table, freed_it_is_empty)
{
	struct table t = { .columns = 1 };

	for (int i = 0; i < 100; i++)
		table_cell(&t, "%d", i);
	table_free(&t);
	cr_expect_eq(t.cells.n, 0);
	cr_expect_null(t.cells.v);
}

/* ------------------------------------------------------------ colour */

Test(color, none_where_no_terminal_is)
{
	_cleanup_free_ char *text = NULL;
	struct capture c;

	unsetenv("NO_COLOR");
	capture_begin(&c);
	printf("%s%s%s%s%s", color_added(), color_changed(), color_removed(), color_bold(),
	       color_off());
	text = capture_end(&c);
	cr_expect_str_eq(text, "");
}

Test(color, on_a_terminal)
{
	_cleanup_free_ char *text = NULL;
	struct capture c;
	int terminal;

	setenv("TERM", "xterm", 1);
	unsetenv("NO_COLOR");
	terminal_begin(&c, &terminal);
	printf("%s+%s%s~%s%s-%s%sB%s\n", color_added(), color_off(), color_changed(), color_off(),
	       color_removed(), color_off(), color_bold(), color_off());
	text = terminal_end(&c, terminal);
	cr_expect_str_eq(text, "\033[32m+\033[0m\033[33m~\033[0m\033[31m-\033[0m\033[1mB\033[0m\n");
}

Test(color, none_for_who_wants_none)
{
	_cleanup_free_ char *text = NULL;
	struct capture c;
	int terminal;

	setenv("TERM", "xterm", 1);
	setenv("NO_COLOR", "1", 1);
	terminal_begin(&c, &terminal);
	printf("%s%s%s%s%s\n", color_added(), color_changed(), color_removed(), color_bold(),
	       color_off());
	text = terminal_end(&c, terminal);
	cr_expect_str_eq(text, "\n");
}

/* no-color.org: an empty one says nothing */
Test(color, an_empty_wish_is_none)
{
	_cleanup_free_ char *text = NULL;
	struct capture c;
	int terminal;

	setenv("TERM", "xterm", 1);
	setenv("NO_COLOR", "", 1);
	terminal_begin(&c, &terminal);
	printf("%sB%s\n", color_bold(), color_off());
	text = terminal_end(&c, terminal);
	cr_expect_str_eq(text, "\033[1mB\033[0m\n");
}

static void no_sequences(const char *term)
{
	_cleanup_free_ char *text = NULL;
	struct capture c;
	int terminal;

	unsetenv("NO_COLOR");
	term ? setenv("TERM", term, 1) : unsetenv("TERM");
	terminal_begin(&c, &terminal);
	printf("%s%s%s%s%s%s\n", color_added(), color_changed(), color_removed(), color_bold(),
	       color_off(), screen_clear());
	text = terminal_end(&c, terminal);
	cr_expect_str_eq(text, "\n", "TERM=%s", term);
}

Test(color, none_on_a_terminal_that_knows_none)
{
	no_sequences("dumb");
	no_sequences("");
	no_sequences(NULL);
}

Test(color, a_screen_is_cleared_without_colour_too)
{
	_cleanup_free_ char *text = NULL;
	struct capture c;
	int terminal;

	setenv("TERM", "xterm", 1);
	setenv("NO_COLOR", "1", 1);
	cr_expect_str_eq(screen_clear(), isatty(STDOUT_FILENO) ? "\033[H\033[J" : "");
	terminal_begin(&c, &terminal);
	printf("%s\n", screen_clear());
	text = terminal_end(&c, terminal);
	cr_expect_str_eq(text, "\033[H\033[J\n");
}

/* the header is bold, padding and all, and the rest as it is */
Test(color, header_of_a_table)
{
	static const char *const cells[] = { "TENANT", "NAME", "a-tenant", "db" };
	_cleanup_table_ struct table t = { 0 };
	_cleanup_free_ char *text = NULL;
	struct capture c;
	int terminal;

	setenv("TERM", "xterm", 1);
	unsetenv("NO_COLOR");
	fill(&t, 2, cells, ARRAY_SIZE(cells));
	terminal_begin(&c, &terminal);
	table_print(&t);
	text = terminal_end(&c, terminal);
	cr_expect_str_eq(text, "\033[1mTENANT  \033[0m  \033[1mNAME\033[0m\na-tenant  db\n");
}

/* ------------------------------------------------------------ JSON */

static json_t *example(void)
{
	return json_pack("[{s:s, s:o, s:i}]", "tenant", "red", "name", json_text(NULL), "n", 7);
}

Test(json, one_line_where_no_terminal_is)
{
	_cleanup_free_ char *text = NULL;
	struct error err = { 0 };
	struct capture c;
	int ret;

	capture_begin(&c);
	ret = json_print(example(), &err);
	text = capture_end(&c);
	cr_expect_eq(ret, 0);
	cr_expect_str_eq(text, "[{\"tenant\":\"red\",\"name\":null,\"n\":7}]\n");
}

Test(json, indented_on_a_terminal)
{
	_cleanup_free_ char *text = NULL;
	struct error err = { 0 };
	struct capture c;
	int terminal, ret;

	terminal_begin(&c, &terminal);
	ret = json_print(example(), &err);
	text = terminal_end(&c, terminal);
	cr_expect_eq(ret, 0);
	cr_expect_str_eq(
		text,
		"[\n  {\n    \"tenant\": \"red\",\n    \"name\": null,\n    \"n\": 7\n  }\n]\n");
}

Test(json, empty_and_odd_text)
{
	_cleanup_free_ char *text = NULL;
	struct error err = { 0 };
	struct capture c;

	capture_begin(&c);
	cr_expect_eq(json_print(json_array(), &err), 0);
	cr_expect_eq(json_print(json_pack("[o]", json_text("a\"b\\\n\x1b\xc3\xb6")), &err), 0);
	text = capture_end(&c);
	/* nothing but ASCII, and no control characters for a terminal to obey */
	cr_expect_str_eq(text, "[]\n[\"a\\\"b\\\\\\n\\u001B\\u00F6\"]\n");
}

Test(json, printed_it_is_freed)
{
	struct error err = { 0 };
	json_t *json = json_array();
	struct capture c;

	json_incref(json);
	capture_begin(&c);
	cr_expect_eq(json_print(json, &err), 0);
	free(capture_end(&c));
	cr_expect_eq(json->refcount, 1);
	json_decref(json);
}

/* json_pack() gives NULL when it fails */
Test(json, what_could_not_be_made)
{
	_cleanup_free_ char *text = NULL;
	struct error err = { 0 };
	struct capture c;
	int ret;

	capture_begin(&c);
	ret = json_print(NULL, &err);
	text = capture_end(&c);
	cr_expect_eq(ret, -1);
	cr_expect_str_eq(text, "");
	cr_expect_str_eq(err.text, "cannot write JSON");
	cr_expect_not(err.usage);
}

Test(json, a_full_disk)
{
	struct error err = { 0 };
	json_t *json = json_array();
	struct capture c;
	int ret;

	/* more than the buffer of stdout */
	for (int i = 0; i < 10000; i++)
		json_array_append_new(json, json_string("0123456789"));
	json_incref(json);
	capture_to(&c, open("/dev/full", O_WRONLY | O_CLOEXEC));
	ret = json_print(json, &err);
	release(&c);
	cr_expect_eq(ret, -1);
	cr_expect_str_eq(err.text, "cannot write JSON");
	cr_expect_eq(json->refcount, 1);
	json_decref(json);
}

Test(json, text)
{
	_cleanup_json_ json_t *none = json_text(NULL), *empty = json_text(""),
			      *red = json_text("red");

	cr_expect(json_is_null(none));
	cr_expect_str_eq(json_string_value(empty), "");
	cr_expect_str_eq(json_string_value(red), "red");
}

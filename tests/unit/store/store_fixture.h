/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A state directory of its own for every test of the suite `store`, what is in it as a person or
 * another program sees it, and models to put there. What cannot be done fails the test.
 */
#ifndef TN_STORE_FIXTURE_H
#define TN_STORE_FIXTURE_H

#include <criterion/criterion.h>
#include <sqlite3.h>

#include "store/store.h"

/* The directory above the state, which is there; and the state directory, which is not yet. */
extern char top[256], dir[512];

/* The path of a file in `dir`, good until the next call. */
const char *in_dir(const char *name);
bool exists(const char *name);
void write_file(const char *name, const void *bytes, size_t n);
/* The caller's to free. */
uint8_t *read_file(const char *name, size_t *n);
/* Delete `dir` and all that is in it. */
void remove_state(void);
void remove_top(void);

/* Criterion does not come to remove_top() then. */
#define skip(...)                          \
	do {                               \
		remove_top();              \
		cr_skip_test(__VA_ARGS__); \
	} while (0)

void sleep_ms(int ms);
/* Seconds of a clock that nobody sets. */
double now(void);

/* SQLite's result code; *value is the first column of the last row. */
int sql_try(const char *sql, sqlite3_int64 *value);
sqlite3_int64 sql(const char *text);

/* Parts of a model; `name`, `netns` and `shared` of a router may be NULL. */
struct tn_addr addr(const char *text);
struct tenant *add_tenant(struct model *m, uint32_t id, const char *name);
struct mapping *add_mapping(struct tenant *t, const char *fixed, const char *shared,
			    const char *name, bool pinned);
struct router *add_router(struct tenant *t, uint32_t id, const char *netns, const char *shared);
void add_inside(struct router *r, const char *name);
void add_own(struct router *r, const char *text, bool pinned);
void add_route(struct router *r, const char *to, const char *via);
void add_inside_route(struct router *r, const char *to, const char *via);
/* From one tenant, or with NULL from any; `to` and `ports` may be NULL. */
void add_rule(struct tenant *t, uint32_t id, uint32_t line, const char *from, const char *to,
	      const char *ports);

#define add_prefix(vec, text) cr_assert(prefix_parse(text, vec_push(vec)), "%s", text)

extern const struct model empty;
/* Tenants with all that a definitions file can say. */
void rich(struct model *m);
/* 0..n-1; the same numbers for the same random_state. */
extern uint64_t random_state;
unsigned int rnd(unsigned int n);
/* Few names and addresses, so that two of them have much in common, and much swapped. */
void random_model(struct model *m);

/* Everything that is stored, as text: what a failed comparison then shows. The caller's to free. */
char *dump(const struct model *m);

#define assert_same(got, want)                                                                     \
	do {                                                                                       \
		_cleanup_free_ char *_got = dump(got), *_want = dump(want);                        \
		cr_assert(strcmp(_got, _want) == 0, "got:\n%.4000s\nwant:\n%.4000s", _got, _want); \
	} while (0)

/* In a child an assertion would report to Criterion a second time, so it just ends. */
extern bool is_child;

#define must(ok, err)                             \
	do {                                      \
		bool _ok = (ok);                  \
		if (!_ok && is_child)             \
			_exit(1);                 \
		cr_assert(_ok, "%s", (err).text); \
	} while (0)

struct store *open_store(enum store_mode mode);
void load(struct store *s, struct model *m);
void save(struct store *s, const struct model *have, const struct model *want);
void commit(struct store *s);
/* Save over whatever is stored. */
void put(const struct model *want);
void assert_stored(const struct model *want);
/* That opening fails, and the error has all of these in it; NULL ends them. */
void assert_refused(enum store_mode mode, ...);

/* fork(2), and the child does not outlive a test that failed. */
pid_t fork_child(void);
/* Run `child` in a process that then stays, until it is killed; returns when it got there. */
pid_t spawn(void (*child)(void));
void kill_child(pid_t pid);

#endif

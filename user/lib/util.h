/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory, growing arrays and cleanup at the end of a scope. */
#ifndef TN_UTIL_H
#define TN_UTIL_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/*
 * Allocation ends the process when there is no memory left: nothing that this
 * program has begun needs memory to be safe (see "killed anywhere" in
 * docs/architecture.md).
 */
static inline void *xrealloc(void *p, size_t n, size_t size)
{
	void *q = reallocarray(p, n ? n : 1, size);

	if (!q) {
		fputs("tenantnat: out of memory\n", stderr);
		exit(1);
	}
	return q;
}

static inline void *xzalloc(size_t size)
{
	return memset(xrealloc(NULL, 1, size), 0, size);
}

static inline char *xstrdup(const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(xrealloc(NULL, n, 1), s, n);
}

/* The word for so many. */
static inline const char *plural(uint64_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

/* A growing array. Zeroed is empty; whoever holds the struct owns the elements. */
#define VEC(type)           \
	struct {            \
		type *v;    \
		size_t n;   \
		size_t cap; \
	}

/* Append a zeroed element and give its address, good until the next push. */
#define vec_push(vec)                                                                  \
	({                                                                             \
		__auto_type _vec = (vec);                                              \
		if (_vec->n == _vec->cap) {                                            \
			_vec->cap = _vec->cap ? 2 * _vec->cap : 8;                     \
			_vec->v = xrealloc(_vec->v, _vec->cap, sizeof(*_vec->v));      \
		}                                                                      \
		(__typeof__(_vec->v))memset(&_vec->v[_vec->n++], 0, sizeof(*_vec->v)); \
	})

#define vec_free(vec)                             \
	do {                                      \
		free((vec)->v);                   \
		memset((vec), 0, sizeof(*(vec))); \
	} while (0)

#define vec_each(item, vec) \
	for (__typeof__((vec)->v + 1) item = (vec)->v; item < (vec)->v + (vec)->n; item++)

/* What is in order already, as much of what was read is, costs one look at each. */
static inline void sort_rows(void *v, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
	const char *at = v;

	for (size_t i = 1; i < n; i++, at += size) {
		if (cmp(at, at + size) <= 0)
			continue;
		qsort(v, n, size, cmp);
		return;
	}
}

#define vec_sort(vec, cmp) sort_rows((vec)->v, (vec)->n, sizeof(*(vec)->v), (cmp))

/* Of those that are equal, one stays. */
#define vec_sort_once(vec, cmp)                                                \
	do {                                                                   \
		__auto_type _vec = (vec);                                      \
		size_t _n = 0;                                                 \
                                                                               \
		vec_sort(_vec, (cmp));                                         \
		for (size_t _i = 0; _i < _vec->n; _i++) {                      \
			if (!_n || (cmp)(&_vec->v[_n - 1], &_vec->v[_i]) != 0) \
				_vec->v[_n++] = _vec->v[_i];                   \
		}                                                              \
		_vec->n = _n;                                                  \
	} while (0)

/* How much a counter has grown; one that is smaller than before began anew meanwhile. */
static inline uint64_t counter_growth(uint64_t before, uint64_t now)
{
	return now >= before ? now - before : now;
}

/* `_cleanup_(f)` calls f with the address of the variable when its scope ends. */
#define _cleanup_(f) __attribute__((cleanup(f)))

/* FNV-1a of more bytes, from FNV1A on. Not to be trusted against whoever chooses the bytes. */
#define FNV1A 0xcbf29ce484222325U
static inline uint64_t fnv1a(uint64_t sum, const void *bytes, size_t n)
{
	const unsigned char *b = (const unsigned char *)bytes;

	for (size_t i = 0; i < n; i++)
		sum = (sum ^ b[i]) * 0x100000001b3U;
	return sum;
}

static inline void free_cleanup(void *p)
{
	free(*(void **)p);
}
#define _cleanup_free_ _cleanup_(free_cleanup)

static inline void close_cleanup(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define _cleanup_close_ _cleanup_(close_cleanup)

static inline void fclose_cleanup(FILE **f)
{
	if (*f)
		fclose(*f);
}
#define _cleanup_fclose_ _cleanup_(fclose_cleanup)

#endif

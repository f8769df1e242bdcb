/* SPDX-License-Identifier: GPL-2.0-only */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sys/mman.h>

#include "dataplane/dataplane_internal.h"

#define READ_SIZE (1U << 18)

static int read_percpu(int fd, uint32_t key, void *sum, size_t size)
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ uint64_t *values = NULL;
	uint64_t *total = sum;

	if (cpus < 0)
		return -1;
	values = xrealloc(NULL, cpus, size);
	if (bpf_map_lookup_elem(fd, &key, values))
		return -1;
	memset(sum, 0, size);
	for (size_t i = 0; i < cpus * size / sizeof(uint64_t); i++)
		total[i % (size / sizeof(uint64_t))] += values[i];
	return 0;
}

int zero_percpu(int fd, uint32_t key, size_t size)
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ void *values = NULL;

	if (cpus < 0)
		return -1;
	values = xzalloc(cpus * size);
	return bpf_map_update_elem(fd, &key, values, BPF_ANY);
}

int dataplane_drops(struct dataplane *dp, uint32_t router, struct tn_drops *out)
{
	return read_percpu(dp->fd[MAP_drops], router, out, sizeof(*out));
}

/*
 * The first `n` rows, many with each call: the values of all CPUs are next to each other, for which
 * READ_SIZE is to suffice on a machine with many.
 */
static int read_percpu_rows(int fd, size_t n, void *sums, size_t size)
{
	int cpus = libbpf_num_possible_cpus();
	size_t words = size / sizeof(uint64_t), row = cpus * size, at = 0;
	size_t slice = cpus > 0 && row < READ_SIZE ? READ_SIZE / row : 1;
	_cleanup_free_ uint64_t *values = NULL;
	_cleanup_free_ uint32_t *keys = NULL;
	uint64_t *sum = sums;
	uint32_t cursor;

	memset(sums, 0, n * size);
	if (cpus < 0)
		return -1;
	values = xrealloc(NULL, slice, row);
	keys = xrealloc(NULL, slice, sizeof(*keys));
	while (at < n) {
		uint32_t got = n - at < slice ? n - at : slice;

		if (bpf_map_lookup_batch(fd, at ? &cursor : NULL, &cursor, keys, values, &got,
					 NULL) &&
		    (errno != ENOENT || at + got < n))
			return -1;
		for (size_t i = 0; i < got * cpus * words; i++)
			sum[(at + i / (cpus * words)) * words + i % words] += values[i];
		at += got;
	}
	return 0;
}

static int map_counters(struct dataplane *dp)
{
	size_t page = sysconf(_SC_PAGESIZE);
	size_t size = (size_t)dp->config.capacity * possible_cpus() * sizeof(*dp->counters);
	void *p;

	if (dp->counters)
		return 0;
	size = (size + page - 1) / page * page;
	p = mmap(NULL, size, PROT_READ, MAP_SHARED, dp->fd[MAP_counters], 0);
	if (p == MAP_FAILED)
		return -1;
	dp->counters = p;
	dp->counters_size = size;
	return 0;
}

int dataplane_counters(struct dataplane *dp, size_t n, struct tn_counters *out)
{
	memset(out, 0, n * sizeof(*out));
	if (map_counters(dp))
		return -1;
	for (size_t cpu = 0; cpu < possible_cpus(); cpu++) {
		const struct tn_record *r = dp->counters + cpu * dp->config.capacity;

		for (size_t i = 0; i < n && i < dp->config.capacity; i++) {
			out[i].in_packets += r[i].counters.in_packets;
			out[i].in_bytes += r[i].counters.in_bytes;
			out[i].out_packets += r[i].counters.out_packets;
			out[i].out_bytes += r[i].counters.out_bytes;
		}
	}
	return 0;
}

int zero_counters(struct dataplane *dp, uint32_t slot)
{
	uint32_t n = possible_cpus();
	_cleanup_free_ uint32_t *keys = xrealloc(NULL, n, sizeof(*keys));
	_cleanup_free_ struct tn_record *none = xzalloc(n * sizeof(*none));

	for (uint32_t cpu = 0; cpu < n; cpu++)
		keys[cpu] = cpu * dp->config.capacity + slot;
	return bpf_map_update_batch(dp->fd[MAP_counters], keys, none, &n, NULL);
}

int dataplane_hits(struct dataplane *dp, size_t n, uint64_t *out)
{
	return read_percpu_rows(dp->fd[MAP_hits], n, out, sizeof(*out));
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include "observe/traffic.h"

#include <fcntl.h>

#include "lib/boot_id.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/output.h"

void traffic_free(struct traffic *t)
{
	vec_free(&t->list);
}

void traffic_log_free(struct traffic_log *log)
{
	vec_each (t, &log->list)
		traffic_free(t);
	vec_free(&log->list);
}

/* ------------------------------------------------------------ reading the counters */

static int by_tenant(const void *a, const void *b)
{
	return strcmp(((const struct tenant_traffic *)a)->tenant,
		      ((const struct tenant_traffic *)b)->tenant);
}

static const struct tenant_traffic *find(const struct traffic *t, const char *tenant)
{
	struct tenant_traffic key = { 0 };

	snprintf(key.tenant, sizeof(key.tenant), "%s", tenant);
	return t && t->list.n ? bsearch(&key, t->list.v, t->list.n, sizeof(key), by_tenant) : NULL;
}

static void add(struct tn_counters *sum, const struct tn_counters *one)
{
	sum->in_packets += one->in_packets;
	sum->in_bytes += one->in_bytes;
	sum->out_packets += one->out_packets;
	sum->out_bytes += one->out_bytes;
}

/* Of all mappings, by slot; the caller's to free. *n is how many. */
static struct tn_counters *read_counters(struct dataplane *dp, const struct kernel_state *kernel,
					 size_t *n)
{
	struct tn_counters *counters;
	size_t room = dataplane_capacity(dp);

	*n = 0;
	vec_each (row, &kernel->shared) {
		if (row->slot < room && row->slot >= *n)
			*n = row->slot + 1;
	}
	counters = xzalloc((*n + 1) * sizeof(*counters));
	dataplane_counters(dp, *n, counters);
	return counters;
}

static void add_mappings(struct dataplane *dp, const struct kernel_state *kernel,
			 struct tn_counters *by_router)
{
	size_t n;
	_cleanup_free_ struct tn_counters *counters = read_counters(dp, kernel, &n);

	vec_each (row, &kernel->shared) {
		if (row->slot && row->slot < n && row->router < TN_ROUTERS_MAX)
			add(&by_router[row->router], &counters[row->slot]);
	}
}

struct silent traffic_silent(struct dataplane *dp, const struct kernel_state *kernel,
			     uint32_t router)
{
	size_t n;
	_cleanup_free_ struct tn_counters *counters = read_counters(dp, kernel, &n);
	struct silent out = { 0 };

	vec_each (row, &kernel->shared) {
		const struct tn_counters *c = &counters[row->slot < n ? row->slot : 0];

		if (row->router != router || !row->slot || !c->in_packets || c->out_packets)
			continue;
		out.n++;
		if (c->in_packets <= out.packets)
			continue;
		out.packets = c->in_packets;
		out.fixed = row->fixed;
	}
	return out;
}

void traffic_read(struct dataplane *dp, const struct kernel_state *kernel, struct traffic *out)
{
	_cleanup_free_ struct tn_counters *by_router = xzalloc(TN_ROUTERS_MAX * sizeof(*by_router));

	memset(out, 0, sizeof(*out));
	out->at = clock_ms();
	if (!dp)
		return;
	add_mappings(dp, kernel, by_router);
	vec_each (r, &kernel->routers) {
		struct tenant_traffic *one = vec_push(&out->list);
		struct tn_drops drops;

		memset(one, 0, sizeof(*one));
		memcpy(one->tenant, r->tenant, sizeof(one->tenant));
		if (r->id < TN_ROUTERS_MAX)
			one->counters = by_router[r->id];
		if (dataplane_drops(dp, r->id, &drops))
			continue;
		for (size_t i = 0; i < TN_REASONS_MAX; i++)
			one->dropped += drops.packets[i];
		one->spoofed = drops.packets[TN_DROP_SPOOFED_SOURCE];
	}
	vec_sort(&out->list, by_tenant);
}

struct tenant_traffic traffic_between(const struct traffic *then, const struct traffic *now,
				      const char *tenant)
{
	static const struct tenant_traffic none;
	const struct tenant_traffic *a = find(then, tenant) ?: &none, *b = find(now, tenant);
	struct tenant_traffic out = { 0 };

	if (!b)
		return out;
	out = *b;
	out.counters.in_packets = counter_growth(a->counters.in_packets, b->counters.in_packets);
	out.counters.in_bytes = counter_growth(a->counters.in_bytes, b->counters.in_bytes);
	out.counters.out_packets = counter_growth(a->counters.out_packets, b->counters.out_packets);
	out.counters.out_bytes = counter_growth(a->counters.out_bytes, b->counters.out_bytes);
	out.dropped = counter_growth(a->dropped, b->dropped);
	out.spoofed = counter_growth(a->spoofed, b->spoofed);
	return out;
}

/* ------------------------------------------------------------ moments */

bool traffic_log_is_due(const struct traffic_log *log, uint64_t now)
{
	return !log->list.n || now >= log->list.v[log->list.n - 1].at + TRAFFIC_PAUSE;
}

void traffic_log_add(struct traffic_log *log, struct traffic *t)
{
	if (log->list.n >= TRAFFIC_MOMENTS) {
		traffic_free(&log->list.v[0]);
		memmove(&log->list.v[0], &log->list.v[1],
			(log->list.n - 1) * sizeof(log->list.v[0]));
		log->list.n--;
	}
	*vec_push(&log->list) = *t;
	*t = (struct traffic){ 0 };
}

static uint64_t distance(const struct traffic *t, uint64_t now)
{
	uint64_t age = now - t->at;

	return age > TRAFFIC_MINUTE ? age - TRAFFIC_MINUTE : TRAFFIC_MINUTE - age;
}

const struct traffic *traffic_log_minute(const struct traffic_log *log, uint64_t now)
{
	const struct traffic *best = NULL;

	vec_each (t, &log->list) {
		if (t->at >= now || now - t->at > TRAFFIC_OLD)
			continue;
		if (!best || distance(t, now) < distance(best, now))
			best = t;
	}
	return best;
}

/* ------------------------------------------------------------ the file */

static json_t *moment_json(const struct traffic *t)
{
	json_t *tenants = json_object();

	vec_each (one, &t->list) {
		const struct tn_counters *c = &one->counters;

		json_object_set_new(tenants, one->tenant,
				    json_pack("[I, I, I, I, I, I]", (json_int_t)c->in_packets,
					      (json_int_t)c->in_bytes, (json_int_t)c->out_packets,
					      (json_int_t)c->out_bytes, (json_int_t)one->dropped,
					      (json_int_t)one->spoofed));
	}
	return json_pack("{s:I, s:o}", "at", (json_int_t)t->at, "tenants", tenants);
}

int traffic_log_write(const char *state, const struct traffic_log *log, struct error *err)
{
	_cleanup_json_ json_t *moments = json_array(), *file = NULL;
	char path[PATH_MAX], boot[BOOT_ID_SIZE];
	_cleanup_free_ char *text = NULL;

	boot_id(boot);
	vec_each (t, &log->list)
		json_array_append_new(moments, moment_json(t));
	file = json_pack("{s:s, s:O}", "boot", boot, "moments", moments);
	snprintf(path, sizeof(path), "%s/traffic", state);
	text = json_dumps(file, JSON_COMPACT);
	return file_replace(path, text, strlen(text), 0600, err);
}

static void take_moment(const json_t *from, struct traffic_log *log)
{
	json_t *tenants = json_object_get(from, "tenants"), *numbers;
	struct traffic t = { .at = json_integer_value(json_object_get(from, "at")) };
	const char *name;

	json_object_foreach(tenants, name, numbers)
	{
		struct tenant_traffic *one;
		json_int_t v[6] = { 0 };

		/* of another version */
		if (json_array_size(numbers) != ARRAY_SIZE(v)) {
			traffic_free(&t);
			return;
		}
		one = vec_push(&t.list);
		memset(one, 0, sizeof(*one));
		snprintf(one->tenant, sizeof(one->tenant), "%s", name);
		for (size_t i = 0; i < ARRAY_SIZE(v); i++)
			v[i] = json_integer_value(json_array_get(numbers, i));
		one->counters = (struct tn_counters){ v[0], v[1], v[2], v[3] };
		one->dropped = v[4];
		one->spoofed = v[5];
	}
	vec_sort(&t.list, by_tenant);
	traffic_log_add(log, &t);
}

void traffic_log_read(const char *state, struct traffic_log *log)
{
	struct error ignored = { 0 };
	char path[PATH_MAX], boot[BOOT_ID_SIZE];
	_cleanup_json_ json_t *file = NULL;
	_cleanup_close_ int fd = -1;
	const char *of;
	json_t *moment;
	size_t i;

	memset(log, 0, sizeof(*log));
	boot_id(boot);
	snprintf(path, sizeof(path), "%s/traffic", state);
	fd = file_open(path, O_RDONLY, &ignored);
	file = fd < 0 ? NULL : json_loadfd(fd, 0, NULL);
	of = json_string_value(json_object_get(file, "boot"));
	if (!of || strcmp(of, boot) != 0)
		return;
	json_array_foreach(json_object_get(file, "moments"), i, moment) take_moment(moment, log);
}

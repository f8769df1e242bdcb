/* SPDX-License-Identifier: GPL-2.0-only */
#include "dataplane/dataplane.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "dataplane/pin.h"
#include "host/host.h"
#include "lib/background.h"
#include "tenantnat.skel.h"

/* Maps, programs, their types and pins of one router, a namespace, the state; with some to spare.
 */
#define FILES 128

/* The smallest set of maps: 2 MiB, and 4 MiB for the counters of each CPU. */
#define CAPACITY_MIN   65536
#define CAPACITY_MAX   (1U << 24)
#define AHEAD_CAPACITY 131072 /* from there on XDP looks at the packet behind: bpf/ahead.h */
#define RULES_MIN      16384
#define BATCH	       65536
#define READ_SIZE      (1U << 18)

/* X(map): every pinned map. */
#define MAPS(X)      \
	X(by_shared) \
	X(by_fixed)  \
	X(counters)  \
	X(slots)     \
	X(drops)     \
	X(accepts)   \
	X(services)  \
	X(withdrawn) \
	X(changes)   \
	X(ways)      \
	X(ways_rest) \
	X(hops)      \
	X(hits)      \
	X(pools)     \
	X(limits)    \
	X(watch)     \
	X(events)    \
	X(routers)   \
	X(stations)  \
	X(config)

enum map_id {
#define X(map) MAP_##map,
	MAPS(X)
#undef X
		MAPS_COUNT
};

static const char *const map_names[] = {
#define X(map) #map,
	MAPS(X)
#undef X
};

/* X(map, type of the key, of the value, entries): pinned with the programs of each router. */
#define ROUTER_MAPS(X)                                         \
	X(flows, struct tn_flow_key, struct tn_flow, TN_FLOWS) \
	X(fragments, struct tn_fragment_key, struct tn_fragment, TN_FRAGMENTS)

enum router_map_id {
#define X(map, key, value, entries) ROUTER_MAP_##map,
	ROUTER_MAPS(X)
#undef X
		ROUTER_MAPS_COUNT
};

static const struct map_shape router_maps[] = {
#define X(map, key, value, entries) \
	{ BPF_MAP_TYPE_LRU_HASH, sizeof(key), sizeof(value), entries, #map },
	ROUTER_MAPS(X)
#undef X
};

struct dataplane {
	char dir[PATH_MAX];
	int fd[MAPS_COUNT];
	struct tn_config config;
	const struct tn_record *counters; /* the map itself; NULL: not looked at yet */
	size_t counters_size;
	bool fresh; /* created by this process: every counter is zero */
	/* counters for new mappings, while a change is under way */
	uint8_t *slots_used; /* NULL: all are free from slot_next on */
	uint32_t slot_next;  /* those in turn; before them are those by address */
	uint32_t slot_end;
	VEC(uint32_t) new_slots; /* by `pair` of the rows; 0: none yet */
};

struct instance {
	struct tenantnat *tc;
	struct tenantnat *xdp;
	struct dataplane *dp;
	struct router_row router;
	int fd[ROUTER_MAPS_COUNT];
};

/* ------------------------------------------------------------ the machine */

static int parent_of(const char *path, char out[PATH_MAX])
{
	char *slash;

	snprintf(out, PATH_MAX, "%s", path);
	slash = strrchr(out, '/');
	if (!slash)
		return -1;
	*(slash == out ? slash + 1 : slash) = '\0';
	return 0;
}

int dataplane_check(const char *bpffs, struct error *err)
{
	char parent[PATH_MAX], release[HOST_RELEASE];
	unsigned int major, minor;

	if (host_missing_privileges()[0])
		return error_set(
			err, "missing privileges: CAP_NET_ADMIN and CAP_SYS_ADMIN are needed to "
			     "load programs and to enter network namespaces; run as root");
	if (!host_allow_files(FILES))
		return error_set(
			err,
			"fewer than %d file descriptors are allowed, which is too few to load "
			"programs; raise the limit (ulimit -n, LimitNOFILE=)",
			FILES);
	host_kernel(release, &major, &minor);
	if (major < 6 || (major == 6 && minor < 1))
		return error_set(err,
				 "kernel %s is too old: 6.1 or later is needed; boot a newer one",
				 release);
	if (bpffs[0] != '/' || parent_of(bpffs, parent))
		return error_usage(err, "--bpffs %s: give an absolute path", bpffs);
	return host_check_bpffs(parent, err);
}

uint64_t dataplane_build(void)
{
	static uint64_t build;		    /* it is asked for once a router */
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
	size_t size;
	const unsigned char *elf = tenantnat__elf_bytes(&size);

	if (build)
		return build;
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ elf[i]) * 0x100000001b3;
	build = hash;
	return build;
}

/* ------------------------------------------------------------ pins */

static const char *path_in(const char *dir, const char *name, char out[PATH_MAX])
{
	if (snprintf(out, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX)
		out[0] = '\0';
	return out;
}

static void router_map_path(const struct dataplane *dp, uint32_t router, enum router_map_id id,
			    char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%.*s/routers/%u/%s", PATH_MAX / 2, dp->dir, router,
		 router_maps[id].name);
}

static int router_map_open(const struct dataplane *dp, uint32_t router, enum router_map_id id)
{
	char path[PATH_MAX];

	router_map_path(dp, router, id, path);
	return pin_open_map(path, &router_maps[id]);
}

static struct dataplane *dataplane_new(const char *bpffs)
{
	struct dataplane *dp = xzalloc(sizeof(*dp));

	snprintf(dp->dir, sizeof(dp->dir), "%s", bpffs);
	for (int i = 0; i < MAPS_COUNT; i++)
		dp->fd[i] = -1;
	return dp;
}

void dataplane_close(struct dataplane *dp)
{
	if (!dp)
		return;
	for (int i = 0; i < MAPS_COUNT; i++) {
		if (dp->fd[i] >= 0)
			close(dp->fd[i]);
	}
	if (dp->counters)
		munmap((void *)dp->counters, dp->counters_size);
	vec_free(&dp->new_slots);
	free(dp->slots_used);
	free(dp);
}

const char *dataplane_dir(const struct dataplane *dp)
{
	return dp->dir;
}

size_t dataplane_capacity(const struct dataplane *dp)
{
	return dp->config.capacity;
}

size_t dataplane_rules(const struct dataplane *dp)
{
	return dp->config.rules;
}

int dataplane_unpin(const char *dir)
{
	struct dirent *entry;
	DIR *d = opendir(dir);

	if (!d && errno == ENOTDIR)
		return unlink(dir);
	if (!d)
		return errno == ENOENT ? 0 : -1;
	while ((entry = readdir(d))) {
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(d), entry->d_name, 0);
	}
	closedir(d);
	return rmdir(dir) && errno != ENOENT ? -1 : 0;
}

/* A bpffs is writable by everybody unless it was mounted otherwise. */
static int check_dir(const char *path, struct error *err)
{
	struct stat st;

	if (lstat(path, &st))
		return error_set(err, "cannot read %s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 077)
		return error_set(
			err,
			"%s is not a directory of root's alone (0700); look who made it, and "
			"remove it",
			path);
	return 0;
}

static int make_dir(const char *path, struct error *err)
{
	if (mkdir(path, 0700) && errno != EEXIST)
		return error_set(err, "cannot create %s: %s", path, strerror(errno));
	return check_dir(path, err);
}

static int read_config(struct dataplane *dp)
{
	uint32_t zero = 0;

	return bpf_map_lookup_elem(dp->fd[MAP_config], &zero, &dp->config);
}

static int write_config(struct dataplane *dp)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(dp->fd[MAP_config], &zero, &dp->config, BPF_ANY);
}

static int foreign_layout(const struct dataplane *dp, struct error *err)
{
	return error_set(err,
			 "the maps pinned in %s belong to another version of tenantnat; run "
			 "`detach --all` of that version, or remove the directory, and apply again",
			 dp->dir);
}

void dataplane_maps_dir(const char *bpffs, char path[PATH_MAX])
{
	path_in(bpffs, "maps", path);
}

/* All that there can be; 1 when that is not known. */
static unsigned int cpus(void)
{
	int n = libbpf_num_possible_cpus();

	return n > 0 ? n : 1;
}

/* Maps of global data have the names of their sections. */
static struct bpf_map *map_in(const struct tenantnat *skel, const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(skel->obj, name);
	char section[32];

	snprintf(section, sizeof(section), ".data.%s", name);
	return map ? map : bpf_object__find_map_by_name(skel->obj, section);
}

static void size_maps(const struct tenantnat *skel, const struct tn_config *config)
{
	bpf_map__set_max_entries(skel->maps.by_shared, config->capacity);
	bpf_map__set_max_entries(skel->maps.by_fixed, config->capacity);
	bpf_map__set_max_entries(skel->maps.counters, config->capacity * cpus());
	bpf_map__set_max_entries(skel->maps.slots, TN_SLOTS_OWN(config->capacity));
	bpf_map__set_max_entries(skel->maps.ways, TN_WAYS * cpus());
	bpf_map__set_max_entries(skel->maps.ways_rest, TN_WAYS * cpus());
	bpf_map__set_max_entries(skel->maps.hops, TN_HOPS * cpus());
	bpf_map__set_max_entries(skel->maps.limits, config->capacity);
	bpf_map__set_max_entries(skel->maps.accepts, config->rules);
	bpf_map__set_max_entries(skel->maps.services, config->rules);
	bpf_map__set_max_entries(skel->maps.hits, config->rules);
}

/* What the pinned maps are by that configuration. Asked for with every look, so kept. */
static const struct map_shape *shapes_of(const struct tn_config *config, struct error *err)
{
	static struct map_shape shapes[MAPS_COUNT];
	static uint32_t capacity, rules; /* that these are for; 0: none yet */
	struct tenantnat *skel;

	if (capacity == config->capacity && rules == config->rules)
		return shapes;
	skel = tenantnat__open();
	if (!skel) {
		error_set(err, "cannot open the programs: %s", strerror(errno));
		return NULL;
	}
	size_maps(skel, config);
	for (int i = 0; i < MAPS_COUNT; i++) {
		const struct bpf_map *map = map_in(skel, map_names[i]);
		bool named = strcmp(bpf_map__name(map), map_names[i]) == 0;

		shapes[i] = (struct map_shape){ .type = bpf_map__type(map),
						.key_size = bpf_map__key_size(map),
						.value_size = bpf_map__value_size(map),
						.entries = bpf_map__max_entries(map),
						.name = named ? map_names[i] : NULL };
	}
	tenantnat__destroy(skel);
	capacity = config->capacity;
	rules = config->rules;
	return shapes;
}

static int foreign_pin(const struct dataplane *dp, const char *path, struct error *err)
{
	return error_set(err,
			 "%s is not what tenantnat keeps there; look who has changed it, remove %s "
			 "(`rm -r` takes the programs off), and apply again",
			 path, dp->dir);
}

/* What was made by dataplane_create(). */
static bool config_is_ours(const struct tn_config *c)
{
	return c->capacity >= CAPACITY_MIN && c->capacity <= CAPACITY_MAX &&
	       c->rules >= RULES_MIN && c->rules <= 2 * POLICY_ROWS_MAX &&
	       (uint64_t)c->capacity * cpus() <= UINT32_MAX && c->nsubnets <= TN_SUBNETS_MAX &&
	       c->free_from <= c->free_to && c->free_to <= c->capacity;
}

/* The size of a value is checked by the kernel only against the map's own. */
static int open_config(struct dataplane *dp, const char *maps, struct error *err)
{
	const struct map_shape shape = { .type = BPF_MAP_TYPE_ARRAY,
					 .key_size = sizeof(uint32_t),
					 .value_size = sizeof(dp->config),
					 .entries = 1 };
	char path[PATH_MAX];

	dp->fd[MAP_config] = pin_open_map(path_in(maps, map_names[MAP_config], path), &shape);
	if (dp->fd[MAP_config] < 0 && errno != ENOENT && errno != EINVAL)
		return error_set(err, "cannot open the map %s: %s", path, strerror(errno));
	if (dp->fd[MAP_config] < 0 || read_config(dp) || dp->config.abi != TN_ABI)
		return foreign_layout(dp, err);
	return config_is_ours(&dp->config) ? 0 : foreign_pin(dp, path, err);
}

static int open_maps(struct dataplane *dp, const char *maps, struct error *err)
{
	const struct map_shape *shapes;
	char path[PATH_MAX];

	if (open_config(dp, maps, err))
		return -1;
	shapes = shapes_of(&dp->config, err);
	for (int i = 0; shapes && i < MAPS_COUNT; i++) {
		if (i == MAP_config)
			continue;
		dp->fd[i] = pin_open_map(path_in(maps, map_names[i], path), &shapes[i]);
		if (dp->fd[i] < 0)
			return errno == ENOENT	 ? foreign_layout(dp, err)
			       : errno == EINVAL ? foreign_pin(dp, path, err)
						 : error_set(err, "cannot open the map %s: %s",
							     path, strerror(errno));
	}
	return shapes ? 0 : -1;
}

int dataplane_open(const char *bpffs, struct dataplane **out, struct error *err)
{
	struct dataplane *dp;
	char maps[PATH_MAX];

	*out = NULL;
	path_in(bpffs, "maps", maps);
	if (access(maps, F_OK))
		return errno == ENOENT
			       ? 0
			       : error_set(err, "cannot read %s: %s", maps, strerror(errno));
	dp = dataplane_new(bpffs);
	if (check_dir(bpffs, err) || check_dir(maps, err) || open_maps(dp, maps, err)) {
		dataplane_close(dp);
		return -1;
	}
	*out = dp;
	return 0;
}

/* Load the maps alone: no program of the object. */
static struct tenantnat *load_maps(const struct tn_config *config, struct error *err)
{
	struct tenantnat *skel = tenantnat__open();
	uint64_t counters = (uint64_t)config->capacity * cpus();
	struct bpf_program *prog;
	int ret;

	if (counters > UINT32_MAX) {
		tenantnat__destroy(skel);
		error_set(err, "no map has room for the counters of %u mappings on %u CPUs",
			  config->capacity, cpus());
		return NULL;
	}
	if (!skel) {
		error_set(err, "cannot open the programs: %s", strerror(errno));
		return NULL;
	}
	bpf_object__for_each_program (prog, skel->obj)
		bpf_program__set_autoload(prog, false);
	bpf_map__set_autocreate(skel->maps.flows, false);
	bpf_map__set_autocreate(skel->maps.fragments, false);
	size_maps(skel, config);
	ret = tenantnat__load(skel);
	if (ret) {
		error_set(err, "cannot create maps for %u mappings and %u rules: %s%s",
			  config->capacity, config->rules, strerror(-ret),
			  ret == -EPERM ? "; run as root" : "");
		tenantnat__destroy(skel);
		return NULL;
	}
	return skel;
}

static int pin_maps(struct tenantnat *skel, const char *dir, struct error *err)
{
	char path[PATH_MAX];

	for (int i = 0; i < MAPS_COUNT; i++) {
		struct bpf_map *map = map_in(skel, map_names[i]);

		if (bpf_obj_pin(bpf_map__fd(map), path_in(dir, map_names[i], path)))
			return error_set(err, "cannot pin %s: %s", path, strerror(errno));
	}
	return 0;
}

int dataplane_create(const char *bpffs, size_t mappings, size_t rules, struct dataplane **out,
		     struct error *err)
{
	char maps[PATH_MAX], unfinished[PATH_MAX], routers[PATH_MAX];
	struct tn_config config = { .abi = TN_ABI, .capacity = CAPACITY_MIN, .rules = RULES_MIN };
	struct tenantnat *skel = NULL;
	uint32_t zero = 0;
	int ret = -1;

	while (config.capacity < mappings && config.capacity < CAPACITY_MAX)
		config.capacity *= 2;
	while (config.rules < rules)
		config.rules *= 2;
	path_in(bpffs, "maps", maps);
	path_in(bpffs, "routers", routers);
	/* a tenant's directory can have any name but one with a capital letter */
	path_in(bpffs, "MAPS", unfinished);
	if (make_dir(bpffs, err) || make_dir(routers, err))
		goto out;
	dataplane_unpin(unfinished);
	skel = load_maps(&config, err);
	if (!skel || make_dir(unfinished, err))
		goto out;
	if (bpf_map_update_elem(bpf_map__fd(skel->maps.config), &zero, &config, BPF_ANY)) {
		error_set(err, "cannot write the configuration map: %s", strerror(errno));
		goto out;
	}
	if (pin_maps(skel, unfinished, err))
		goto out;
	if (rename(unfinished, maps)) {
		error_set(err, "cannot create %s: %s", maps, strerror(errno));
		goto out;
	}
	ret = dataplane_open(bpffs, out, err);
	if (ret)
		rename(maps, unfinished);
	else if (*out)
		(*out)->fresh = true;
out:
	tenantnat__destroy(skel);
	if (ret) {
		dataplane_unpin(unfinished);
		/* where nothing is in them */
		rmdir(routers);
		rmdir(bpffs);
	}
	return ret;
}

int dataplane_destroy(const char *bpffs, struct error *err)
{
	char path[PATH_MAX], unfinished[PATH_MAX], routers[PATH_MAX];
	struct dirent *entry;
	int ret = 0;
	DIR *d;

	/* in one piece: nobody finds half of the maps */
	path_in(bpffs, "MAPS", unfinished);
	dataplane_unpin(unfinished);
	if (rename(path_in(bpffs, "maps", path), unfinished) && errno != ENOENT)
		return error_set(err, "cannot remove %s: %s", path, strerror(errno));
	d = opendir(path_in(bpffs, "routers", routers));
	while (d && (entry = readdir(d))) {
		if (entry->d_name[0] != '.')
			ret |= dataplane_unpin(path_in(routers, entry->d_name, path));
	}
	if (d)
		closedir(d);
	ret |= dataplane_unpin(routers) | dataplane_unpin(unfinished);
	if (ret || (rmdir(bpffs) && errno != ENOENT && errno != ENOTEMPTY))
		return error_set(err, "cannot remove %s: %s", bpffs, strerror(errno));
	return 0;
}

/* ------------------------------------------------------------ reading */

/* One row of a hash map, handed to the reader of that map. */
typedef void (*row_fn)(struct kernel_state *out, const void *key, const void *value);

static int read_map(struct dataplane *dp, enum map_id id, size_t key_size, size_t value_size,
		    row_fn row, struct kernel_state *out, struct error *err)
{
	_cleanup_free_ char *keys = xrealloc(NULL, BATCH, key_size);
	_cleanup_free_ char *values = xrealloc(NULL, BATCH, value_size);
	uint64_t cursor[4]; /* as large as the kernel's for any map */
	bool first = true;
	int ret;

	do {
		uint32_t n = BATCH;

		ret = bpf_map_lookup_batch(dp->fd[id], first ? NULL : cursor, cursor, keys, values,
					   &n, NULL);
		if (ret && errno != ENOENT)
			return error_set(err, "cannot read the map %s: %s", map_names[id],
					 strerror(errno));
		for (uint32_t i = 0; i < n; i++)
			row(out, keys + i * key_size, values + i * value_size);
		first = false;
	} while (!ret);
	return 0;
}

static void shared_from_map(struct kernel_state *out, const void *key, const void *value)
{
	struct shared_row *row = vec_push(&out->shared);
	const struct tn_shared *v = value;

	memcpy(&row->shared, key, sizeof(row->shared));
	row->fixed = v->fixed;
	row->tenant = v->tenant;
	row->router = v->router;
	row->flags = v->flags;
	row->slot = v->slot;
}

static void fixed_from_map(struct kernel_state *out, const void *key, const void *value)
{
	struct fixed_row *row = vec_push(&out->fixed);
	const struct tn_fixed_key *k = key;
	const struct tn_fixed *v = value;

	row->router = k->router;
	row->fixed = k->fixed;
	row->shared = v->shared;
	row->tenant = v->tenant;
	row->flags = v->flags;
	row->slot = v->slot;
}

static void accept_from_map(struct kernel_state *out, const void *key, const void *value)
{
	struct accept_row *row = vec_push(&out->policy.accepts);

	memcpy(&row->key, key, sizeof(row->key));
	memcpy(&row->value, value, sizeof(row->value));
}

static void service_from_map(struct kernel_state *out, const void *key, const void *value)
{
	struct service_row *row = vec_push(&out->policy.services);

	memcpy(&row->key, key, sizeof(row->key));
	memcpy(&row->rule, value, sizeof(row->rule));
}

static void pool_from_map(struct kernel_state *out, const void *key, const void *value)
{
	struct pool_row *row = vec_push(&out->policy.pools);

	memcpy(&row->key, key, sizeof(row->key));
	memcpy(&row->tenant, value, sizeof(row->tenant));
}

static void limit_from_map(struct kernel_state *out, const void *key, const void *value)
{
	struct limit_row *row = vec_push(&out->policy.limits);
	const struct tn_limit *v = value;

	memcpy(&row->shared, key, sizeof(row->shared));
	row->rate = v->rate;
	row->burst = v->burst;
	row->packets = v->packets;
	row->packet_burst = v->packet_burst;
}

static void router_from_map(struct kernel_state *out, const void *key, const void *value)
{
	struct router_row *row = vec_push(&out->routers);
	const struct tn_router *v = value;

	memcpy(&row->id, key, sizeof(row->id));
	/* without its end it is none */
	if (memchr(v->tenant, '\0', sizeof(v->tenant)))
		snprintf(row->tenant, sizeof(row->tenant), "%s", v->tenant);
	memcpy(row->mac, v->mac, sizeof(row->mac));
	row->ifindex = v->ifindex;
	row->netns_dev = v->netns_dev;
	row->netns_ino = v->netns_ino;
	row->hook = v->hook;
	row->via = v->via;
	row->build = v->build;
	row->flags = v->flags & ~(TN_ROUTER_LOOSE | TN_ROUTER_FEASIBLE | TN_ROUTER_FAST |
				  TN_ROUTER_RULED | TN_ROUTER_IPSEC | TN_ROUTER_VETH);
	row->sources = v->flags & TN_ROUTER_LOOSE      ? SOURCES_LOOSE
		       : v->flags & TN_ROUTER_FEASIBLE ? SOURCES_FEASIBLE
						       : SOURCES_STRICT;
	row->fast = v->flags & TN_ROUTER_FAST;
	row->ruled = v->flags & TN_ROUTER_RULED;
	row->ipsec = v->flags & TN_ROUTER_IPSEC;
	row->veth = v->flags & TN_ROUTER_VETH;
	memcpy(row->inside, v->inside, sizeof(row->inside));
	row->raw = v->raw;
	memcpy(row->xmit, v->xmit, sizeof(row->xmit));
	memcpy(row->own, v->own, sizeof(row->own));
}

static int read_subnets(struct dataplane *dp, struct kernel_state *out, struct error *err)
{
	const struct tn_config *config = &dp->config;

	if (read_config(dp))
		return error_set(err, "cannot read the configuration map: %s", strerror(errno));
	for (uint32_t i = 0; i < config->nsubnets && i < TN_SUBNETS_MAX; i++) {
		struct prefix *p = vec_push(&out->subnets);

		p->addr = config->subnets[i].prefix;
		for (int w = 0; w < 4; w++)
			p->len += __builtin_popcount(config->subnets[i].mask.w[w]);
	}
	return 0;
}

static bool router_is_ours(const struct router_row *r)
{
	return r->id && r->id < TN_ROUTERS_MAX && tenant_name_valid(r->tenant) && r->ifindex &&
	       r->hook < HOOKS_COUNT && r->via < HOOKS_COUNT && r->via != HOOK_AUTO;
}

static bool service_is_ours(const struct tn_service_key *key)
{
	return key->class < TN_CLASSES_COUNT && key->shift <= TN_SHIFT_ALL &&
	       key->shift % TN_SHIFT_STEP == 0;
}

/* Of rows whose numbers are used for more than to be compared. */
static int check_rows(const struct dataplane *dp, const struct kernel_state *m, struct error *err)
{
	char path[PATH_MAX], maps[PATH_MAX];

	path_in(dp->dir, "maps", maps);
	vec_each (r, &m->routers) {
		if (!router_is_ours(r))
			return foreign_pin(dp, path_in(maps, map_names[MAP_routers], path), err);
	}
	vec_each (row, &m->policy.services) {
		if (!service_is_ours(&row->key))
			return foreign_pin(dp, path_in(maps, map_names[MAP_services], path), err);
	}
	return 0;
}

/* What is not about single mappings. */
static int read_common(struct dataplane *dp, struct kernel_state *out, struct error *err)
{
	if (read_subnets(dp, out, err) ||
	    read_map(dp, MAP_accepts, sizeof(struct tn_accept_key), sizeof(struct tn_accept),
		     accept_from_map, out, err) ||
	    read_map(dp, MAP_services, sizeof(struct tn_service_key), sizeof(uint32_t),
		     service_from_map, out, err) ||
	    read_map(dp, MAP_pools, sizeof(struct tn_pool_key), sizeof(uint32_t), pool_from_map,
		     out, err) ||
	    read_map(dp, MAP_routers, sizeof(uint32_t), sizeof(struct tn_router), router_from_map,
		     out, err))
		return -1;
	return check_rows(dp, out, err);
}

/* The rows of by_fixed, which are read and sorted beside the others. */
struct fixed_reading {
	struct dataplane *dp;
	struct kernel_state rows;
	struct error err;
	int ret;
};

static void read_fixed(void *arg)
{
	struct fixed_reading *r = arg;

	r->ret = read_map(r->dp, MAP_by_fixed, sizeof(struct tn_fixed_key), sizeof(struct tn_fixed),
			  fixed_from_map, &r->rows, &r->err);
	kernel_state_sort(&r->rows);
}

static int read_shared(struct dataplane *dp, struct kernel_state *out, struct error *err)
{
	if (read_common(dp, out, err) ||
	    read_map(dp, MAP_limits, sizeof(struct tn_addr), sizeof(struct tn_limit),
		     limit_from_map, out, err) ||
	    read_map(dp, MAP_by_shared, sizeof(struct tn_addr), sizeof(struct tn_shared),
		     shared_from_map, out, err))
		return -1;
	kernel_state_sort(out);
	return 0;
}

int dataplane_read(struct dataplane *dp, struct kernel_state *out, struct error *err)
{
	struct fixed_reading fixed = { .dp = dp };
	bool large = dp->config.capacity > CAPACITY_MIN;
	struct background beside;
	int ret;

	memset(out, 0, sizeof(*out));
	if (large)
		background_begin(&beside, read_fixed, &fixed);
	else
		read_fixed(&fixed);
	ret = read_shared(dp, out, err);
	if (large)
		background_end(&beside);
	if (!ret && fixed.ret)
		*err = fixed.err;
	memcpy(&out->fixed, &fixed.rows.fixed, sizeof(out->fixed));
	if (!ret && !fixed.ret)
		return 0;
	kernel_state_free(out);
	return -1;
}

int dataplane_read_common(struct dataplane *dp, struct kernel_state *out, struct error *err)
{
	memset(out, 0, sizeof(*out));
	if (read_common(dp, out, err)) {
		kernel_state_free(out);
		return -1;
	}
	kernel_state_sort(out);
	return 0;
}

/* A row that is not there is none of `out`. */
static int look_up(struct dataplane *dp, enum map_id id, const void *key, size_t value_size,
		   row_fn row, struct kernel_state *out, struct error *err)
{
	_cleanup_free_ char *value = xzalloc(value_size);

	if (bpf_map_lookup_elem(dp->fd[id], key, value) == 0)
		row(out, key, value);
	else if (errno != ENOENT)
		return error_set(err, "cannot read the map %s: %s", map_names[id], strerror(errno));
	return 0;
}

int dataplane_look_up(struct dataplane *dp, const struct row_keys *keys, struct kernel_state *out,
		      struct error *err)
{
	vec_each (shared, &keys->shared) {
		if (look_up(dp, MAP_by_shared, shared, sizeof(struct tn_shared), shared_from_map,
			    out, err) ||
		    look_up(dp, MAP_limits, shared, sizeof(struct tn_limit), limit_from_map, out,
			    err))
			return -1;
	}
	vec_each (key, &keys->fixed) {
		if (look_up(dp, MAP_by_fixed, key, sizeof(struct tn_fixed), fixed_from_map, out,
			    err))
			return -1;
	}
	kernel_state_sort(out);
	return 0;
}

/* ------------------------------------------------------------ changes */

static int map_error(enum map_id id, struct error *err)
{
	if (errno == E2BIG)
		return error_set(err,
				 "the map %s is full; `tenantnat detach --all` and then apply "
				 "makes a larger one, but interrupts traffic",
				 map_names[id]);
	return error_set(err, "cannot change the map %s: %s", map_names[id], strerror(errno));
}

/* See tn_abi.h, changes. Nobody else writes there, as we hold the lock. */
static int read_changes(struct dataplane *dp, uint64_t *out, struct error *err)
{
	uint32_t zero = 0;

	return bpf_map_lookup_elem(dp->fd[MAP_changes], &zero, out) ? map_error(MAP_changes, err)
								    : 0;
}

static int raise_changes(struct dataplane *dp, bool under_way, struct error *err)
{
	uint32_t zero = 0;
	uint64_t now, next;

	if (read_changes(dp, &now, err))
		return -1;
	next = (now | 1) + !under_way;
	if (next != now && bpf_map_update_elem(dp->fd[MAP_changes], &zero, &next, BPF_ANY))
		return map_error(MAP_changes, err);
	return 0;
}

/* What a process that was killed had under way has come to its end with it. */
static int settle_changes(struct dataplane *dp, struct error *err)
{
	uint64_t now;

	if (read_changes(dp, &now, err))
		return -1;
	return now & 1 ? raise_changes(dp, false, err) : 0;
}

/* ------------------------------------------------------------ counters */

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

static int zero_percpu(int fd, uint32_t key, size_t size)
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
	size_t size = (size_t)dp->config.capacity * cpus() * sizeof(*dp->counters);
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
	for (size_t cpu = 0; cpu < cpus(); cpu++) {
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

static int zero_counters(struct dataplane *dp, uint32_t slot)
{
	uint32_t n = cpus();
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

int dataplane_flows(struct dataplane *dp, uint32_t router, size_t *out)
{
	_cleanup_free_ struct tn_flow_key *keys = xrealloc(NULL, TN_FLOWS, sizeof(*keys));
	_cleanup_free_ struct tn_flow *values = xrealloc(NULL, TN_FLOWS, sizeof(*values));
	_cleanup_close_ int fd = router_map_open(dp, router, ROUTER_MAP_flows);
	uint64_t cursor[4]; /* as in read_map() */
	struct timespec now;
	bool first = true;
	int ret;

	*out = 0;
	if (fd < 0 || clock_gettime(CLOCK_MONOTONIC, &now))
		return -1;
	do {
		uint32_t n = TN_FLOWS;

		ret = bpf_map_lookup_batch(fd, first ? NULL : cursor, cursor, keys, values, &n,
					   NULL);
		if (ret && errno != ENOENT)
			return -1;
		for (uint32_t i = 0; i < n; i++)
			*out += values[i].until >= (uint64_t)now.tv_sec;
		first = false;
	} while (!ret);
	return 0;
}

bool dataplane_is_settled(const struct dataplane *dp)
{
	return dp->config.free_from < dp->config.free_to;
}

static void find_used_slots(struct dataplane *dp, const struct kernel_state *have)
{
	dp->slots_used = xzalloc(dp->config.capacity);
	dp->slots_used[0] = 1; /* slot 0: not counted */
	vec_each (row, &have->shared) {
		if (row->slot < dp->config.capacity)
			dp->slots_used[row->slot] = 1;
	}
	vec_each (row, &have->fixed) {
		if (row->slot < dp->config.capacity)
			dp->slots_used[row->slot] = 1;
	}
}

int dataplane_begin(struct dataplane *dp, const struct kernel_state *all, struct error *err)
{
	dp->slot_next = all ? TN_SLOTS_OWN(dp->config.capacity) : dp->config.free_from;
	dp->slot_end = all ? dp->config.capacity : dp->config.free_to;
	free(dp->slots_used);
	dp->slots_used = NULL;
	if (all)
		find_used_slots(dp, all);
	dp->config.free_from = 0;
	dp->config.free_to = 0;
	if (write_config(dp))
		return error_set(err, "cannot write the configuration map: %s", strerror(errno));
	return settle_changes(dp, err);
}

static bool is_free_slot(const struct dataplane *dp, uint32_t slot)
{
	return !dp->slots_used || !dp->slots_used[slot];
}

/* Where the most are next to each other: the more there are, the later all have to be read. */
static void note_free_slots(struct dataplane *dp)
{
	uint32_t from = dp->slot_next;

	for (uint32_t at = from; at <= dp->slot_end; at++) {
		if (at < dp->slot_end && is_free_slot(dp, at))
			continue;
		if (at - from > dp->config.free_to - dp->config.free_from) {
			dp->config.free_from = from;
			dp->config.free_to = at;
		}
		from = at + 1;
	}
}

void dataplane_end(struct dataplane *dp)
{
	note_free_slots(dp);
	(void)write_config(dp); /* without it, the next change reads all */
}

/* The counters that the mapping has already, in either table; 0: none. */
static uint32_t slot_of(const struct kernel_state *have, const struct tn_addr *shared,
			const struct tn_addr *fixed, uint32_t router)
{
	struct fixed_row fixed_key = { .router = router, .fixed = *fixed };
	struct shared_row shared_key = { .shared = *shared };
	const struct shared_row *s = NULL;
	const struct fixed_row *f = NULL;

	if (have->fixed.n)
		f = bsearch(&fixed_key, have->fixed.v, have->fixed.n, sizeof(*f), fixed_row_cmp);
	if (f && memcmp(&f->shared, shared, sizeof(*shared)) == 0)
		return f->slot;
	if (have->shared.n)
		s = bsearch(&shared_key, have->shared.v, have->shared.n, sizeof(*s),
			    shared_row_cmp);
	if (s && s->router == router && memcmp(&s->fixed, fixed, sizeof(*fixed)) == 0)
		return s->slot;
	return 0;
}

/* The one that is its own by its address: see tn_abi.h, struct tn_record. 0: it has none. */
static uint32_t own_slot(const struct dataplane *dp, const struct tn_addr *shared)
{
	uint32_t slot = ntohl(shared->w[3]) & (TN_SLOTS_OWN(dp->config.capacity) - 1);

	return dp->slots_used && addr_is_v4(shared) && is_free_slot(dp, slot) ? slot : 0;
}

/* Of those in turn; when they are used up, of those by address that nobody has. */
static uint32_t slot_in_turn(struct dataplane *dp)
{
	uint32_t own = TN_SLOTS_OWN(dp->config.capacity);

	while (dp->slot_next < dp->slot_end && !is_free_slot(dp, dp->slot_next))
		dp->slot_next++;
	if (dp->slot_next < dp->slot_end)
		return dp->slot_next++;
	if (!dp->slots_used || dp->slot_end <= own)
		return 0;
	dp->slot_next = 1;
	dp->slot_end = own;
	return slot_in_turn(dp);
}

static int new_slot(struct dataplane *dp, const struct tn_addr *shared, uint32_t *out)
{
	*out = own_slot(dp, shared);
	if (!*out)
		*out = slot_in_turn(dp);
	if (!*out) {
		errno = E2BIG;
		return -1;
	}
	if (dp->slots_used)
		dp->slots_used[*out] = 1;
	return dp->fresh ? 0 : zero_counters(dp, *out);
}

/*
 * The counters of the mapping (fixed, shared) of a router. A mapping that is there
 * keeps its own; one that comes new, or with another fixed address, gets others.
 */
static int slot_for(struct dataplane *dp, const struct kernel_state *have,
		    const struct tn_addr *shared, const struct tn_addr *fixed, uint32_t router,
		    uint32_t pair, uint32_t *out)
{
	*out = slot_of(have, shared, fixed, router);
	if (*out)
		return 0;
	if (!pair)
		return new_slot(dp, shared, out);
	while (dp->new_slots.n <= pair)
		vec_push(&dp->new_slots);
	if (!dp->new_slots.v[pair] && new_slot(dp, shared, &dp->new_slots.v[pair]))
		return -1;
	*out = dp->new_slots.v[pair];
	return 0;
}

/* ------------------------------------------------------------ writing */

/* `ret` is that of the writing; what was written before it failed counts too. */
static int change_over(struct dataplane *dp, int ret, struct error *err)
{
	return raise_changes(dp, false, err) || ret ? -1 : 0;
}

/*
 * Write `n` rows. Meanwhile programs look at the tables alone, and so they do when this process
 * ends before it is over, until the next one settles it; afterwards they keep what they find
 * there.
 */
#define change_rows(dp, n, write, err) \
	(!(n) ? 0 : raise_changes(dp, true, err) ? -1 : change_over(dp, write, err))

int dataplane_put_subnets(struct dataplane *dp, const struct kernel_state *m, struct error *err)
{
	struct tn_config *config = &dp->config;

	if (m->subnets.n > TN_SUBNETS_MAX)
		return error_usage(err, "more than %d shared subnets", TN_SUBNETS_MAX);
	memset(config->subnets, 0, sizeof(config->subnets));
	config->nsubnets = m->subnets.n;
	for (size_t i = 0; i < m->subnets.n; i++) {
		config->subnets[i].prefix = m->subnets.v[i].addr;
		config->subnets[i].mask = prefix_mask(&m->subnets.v[i]);
	}
	if (change_rows(dp, 1, write_config(dp), err))
		return error_set(err, "cannot write the shared subnets: %s", strerror(errno));
	return 0;
}

static int update_batch(struct dataplane *dp, enum map_id id, const void *keys, const void *values,
			uint32_t n, struct error *err)
{
	if (n && bpf_map_update_batch(dp->fd[id], keys, values, &n, NULL))
		return map_error(id, err);
	return 0;
}

/* A key that is not there any more is as good as deleted. */
static int delete_rows(struct dataplane *dp, enum map_id id, const char *keys, size_t key_size,
		       size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (bpf_map_delete_elem(dp->fd[id], keys + i * key_size) && errno != ENOENT)
			return map_error(id, err);
	}
	return 0;
}

static int put_fixed(struct dataplane *dp, const struct kernel_state *have,
		     const struct fixed_row *const *rows, size_t n, struct error *err)
{
	_cleanup_free_ struct tn_fixed_key *keys = xrealloc(NULL, BATCH, sizeof(*keys));
	_cleanup_free_ struct tn_fixed *values = xrealloc(NULL, BATCH, sizeof(*values));
	size_t filled = 0;

	for (size_t i = 0; i < n; i++) {
		keys[filled].router = rows[i]->router;
		keys[filled].fixed = rows[i]->fixed;
		values[filled] = (struct tn_fixed){ .shared = rows[i]->shared,
						    .flags = rows[i]->flags,
						    .tenant = rows[i]->tenant };
		values[filled].slot = rows[i]->slot;
		if (!rows[i]->slot &&
		    slot_for(dp, have, &rows[i]->shared, &rows[i]->fixed, rows[i]->router,
			     rows[i]->pair, &values[filled].slot))
			return map_error(MAP_counters, err);
		if (++filled < BATCH && i + 1 < n)
			continue;
		if (update_batch(dp, MAP_by_fixed, keys, values, filled, err))
			return -1;
		filled = 0;
	}
	return 0;
}

int dataplane_put_fixed(struct dataplane *dp, const struct kernel_state *have,
			const struct fixed_row *const *rows, size_t n, struct error *err)
{
	return change_rows(dp, n, put_fixed(dp, have, rows, n, err), err);
}

static int put_shared(struct dataplane *dp, const struct kernel_state *have,
		      const struct shared_row *const *rows, size_t n, struct error *err)
{
	_cleanup_free_ struct tn_addr *keys = xrealloc(NULL, BATCH, sizeof(*keys));
	_cleanup_free_ struct tn_shared *values = xrealloc(NULL, BATCH, sizeof(*values));
	size_t filled = 0;

	for (size_t i = 0; i < n; i++) {
		const struct shared_row *row = rows[i];

		keys[filled] = row->shared;
		values[filled] = (struct tn_shared){ .fixed = row->fixed,
						     .tenant = row->tenant,
						     .router = row->router,
						     .flags = row->flags };
		values[filled].slot = row->slot;
		if (!row->slot && row->router && row->flags & TN_SHARED_MAPPED &&
		    slot_for(dp, have, &row->shared, &row->fixed, row->router, row->pair,
			     &values[filled].slot))
			return map_error(MAP_counters, err);
		if (++filled < BATCH && i + 1 < n)
			continue;
		if (update_batch(dp, MAP_by_shared, keys, values, filled, err))
			return -1;
		filled = 0;
	}
	return 0;
}

int dataplane_put_shared(struct dataplane *dp, const struct kernel_state *have,
			 const struct shared_row *const *rows, size_t n, struct error *err)
{
	return change_rows(dp, n, put_shared(dp, have, rows, n, err), err);
}

static int del_shared(struct dataplane *dp, const struct shared_row *const *rows, size_t n,
		      struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (delete_rows(dp, MAP_by_shared, (const char *)&rows[i]->shared,
				sizeof(rows[i]->shared), 1, err))
			return -1;
	}
	return 0;
}

int dataplane_del_shared(struct dataplane *dp, const struct shared_row *const *rows, size_t n,
			 struct error *err)
{
	return change_rows(dp, n, del_shared(dp, rows, n, err), err);
}

static int del_fixed(struct dataplane *dp, const struct fixed_row *const *rows, size_t n,
		     struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		struct tn_fixed_key key = { .router = rows[i]->router, .fixed = rows[i]->fixed };

		if (delete_rows(dp, MAP_by_fixed, (const char *)&key, sizeof(key), 1, err))
			return -1;
	}
	return 0;
}

int dataplane_del_fixed(struct dataplane *dp, const struct fixed_row *const *rows, size_t n,
			struct error *err)
{
	return change_rows(dp, n, del_fixed(dp, rows, n, err), err);
}

/* ------------------------------------------------------------ policy */

/*
 * Write, or delete, row by row: the order counts, and the key and the value of all of these rows
 * are in one piece each.
 */
#define put_rows(dp, id, rows, n, value, err)                                     \
	({                                                                        \
		int _ret = 0;                                                     \
		for (size_t _i = 0; _i < (n) && !_ret; _i++)                      \
			_ret = bpf_map_update_elem((dp)->fd[id], &(rows)[_i].key, \
						   &(rows)[_i].value, BPF_ANY);   \
		_ret ? map_error(id, err) : 0;                                    \
	})

#define del_rows(dp, id, rows, n, key, err)                                       \
	({                                                                        \
		int _ret = 0;                                                     \
		for (size_t _i = 0; _i < (n) && !_ret; _i++)                      \
			_ret = delete_rows(dp, id, (const char *)&(rows)[_i].key, \
					   sizeof((rows)[_i].key), 1, err);       \
		_ret;                                                             \
	})

int dataplane_put_accepts(struct dataplane *dp, const struct accept_row *rows, size_t n,
			  struct error *err)
{
	return change_rows(dp, n, put_rows(dp, MAP_accepts, rows, n, value, err), err);
}

int dataplane_del_accepts(struct dataplane *dp, const struct accept_row *rows, size_t n,
			  struct error *err)
{
	return change_rows(dp, n, del_rows(dp, MAP_accepts, rows, n, key, err), err);
}

int dataplane_put_services(struct dataplane *dp, const struct service_row *rows, size_t n,
			   struct error *err)
{
	return change_rows(dp, n, put_rows(dp, MAP_services, rows, n, rule, err), err);
}

int dataplane_del_services(struct dataplane *dp, const struct service_row *rows, size_t n,
			   struct error *err)
{
	return change_rows(dp, n, del_rows(dp, MAP_services, rows, n, key, err), err);
}

int dataplane_put_withdrawn(struct dataplane *dp, const struct tn_service_key *keys, size_t n,
			    struct error *err)
{
	struct timespec t = { 0 };
	uint32_t now;

	clock_gettime(CLOCK_MONOTONIC, &t);
	now = t.tv_sec;
	for (size_t i = 0; i < n; i++) {
		struct tn_service_key any = { .accept = { .tenant = keys[i].accept.tenant,
							  .from = keys[i].accept.from },
					      .class = TN_WITHDRAWN_ANY };

		if (bpf_map_update_elem(dp->fd[MAP_withdrawn], &keys[i], &now, BPF_ANY) ||
		    bpf_map_update_elem(dp->fd[MAP_withdrawn], &any, &now, BPF_ANY))
			return map_error(MAP_withdrawn, err);
	}
	return 0;
}

int dataplane_put_pools(struct dataplane *dp, const struct pool_row *rows, size_t n,
			struct error *err)
{
	return change_rows(dp, n, put_rows(dp, MAP_pools, rows, n, tenant, err), err);
}

int dataplane_del_pools(struct dataplane *dp, const struct pool_row *rows, size_t n,
			struct error *err)
{
	return change_rows(dp, n, del_rows(dp, MAP_pools, rows, n, key, err), err);
}

int dataplane_put_limits(struct dataplane *dp, const struct limit_row *rows, size_t n,
			 struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		struct tn_limit value = { .rate = rows[i].rate,
					  .burst = rows[i].burst,
					  .packets = rows[i].packets,
					  .packet_burst = rows[i].packet_burst };

		if (bpf_map_update_elem(dp->fd[MAP_limits], &rows[i].shared, &value, BPF_ANY))
			return map_error(MAP_limits, err);
	}
	return 0;
}

int dataplane_del_limits(struct dataplane *dp, const struct limit_row *rows, size_t n,
			 struct error *err)
{
	return del_rows(dp, MAP_limits, rows, n, shared, err);
}

int dataplane_zero_hits(struct dataplane *dp, const uint32_t *rules, size_t n, struct error *err)
{
	for (size_t i = 0; !dp->fresh && i < n; i++) {
		if (zero_percpu(dp->fd[MAP_hits], rules[i], sizeof(uint64_t)))
			return map_error(MAP_hits, err);
	}
	return 0;
}

/* ------------------------------------------------------------ routers */

int dataplane_put_router(struct dataplane *dp, const struct router_row *r, struct error *err)
{
	struct tn_router value = { .hook = r->hook,
				   .via = r->via,
				   .ifindex = r->ifindex,
				   .flags = r->flags,
				   .netns_dev = r->netns_dev,
				   .netns_ino = r->netns_ino,
				   .build = r->build };
	struct tn_station station = { 0 };

	memcpy(value.mac, r->mac, sizeof(value.mac));
	if (r->sources == SOURCES_LOOSE)
		value.flags |= TN_ROUTER_LOOSE;
	if (r->sources == SOURCES_FEASIBLE)
		value.flags |= TN_ROUTER_FEASIBLE;
	if (r->fast)
		value.flags |= TN_ROUTER_FAST;
	if (r->ruled)
		value.flags |= TN_ROUTER_RULED;
	if (r->ipsec)
		value.flags |= TN_ROUTER_IPSEC;
	if (r->veth)
		value.flags |= TN_ROUTER_VETH;
	memcpy(value.inside, r->inside, sizeof(value.inside));
	value.raw = r->raw;
	memcpy(value.xmit, r->xmit, sizeof(value.xmit));
	memcpy(value.own, r->own, sizeof(value.own));
	snprintf(value.tenant, sizeof(value.tenant), "%s", r->tenant);
	memcpy(station.mac, r->mac, sizeof(station.mac));
	memcpy(station.xmit, r->xmit, sizeof(station.xmit));
	if (change_rows(dp, 1, bpf_map_update_elem(dp->fd[MAP_stations], &r->id, &station, BPF_ANY),
			err))
		return map_error(MAP_stations, err);
	if (bpf_map_update_elem(dp->fd[MAP_routers], &r->id, &value, BPF_ANY))
		return map_error(MAP_routers, err);
	return 0;
}

int dataplane_del_router(struct dataplane *dp, uint32_t id, struct error *err)
{
	static const struct tn_station nobody;

	if (change_rows(dp, 1, bpf_map_update_elem(dp->fd[MAP_stations], &id, &nobody, BPF_ANY),
			err))
		return map_error(MAP_stations, err);
	zero_percpu(dp->fd[MAP_drops], id, sizeof(struct tn_drops));
	return delete_rows(dp, MAP_routers, (const char *)&id, sizeof(id), 1, err);
}

/* ------------------------------------------------------------ programs */

/* The map of the router in this object is to be this one. */
static int use_map(struct tenantnat *skel, const char *name, int fd, struct error *err)
{
	struct bpf_map *map = map_in(skel, name);

	if (bpf_map__reuse_fd(map, fd))
		return error_set(err, "cannot use the pinned map %s: %s", name, strerror(errno));
	return 0;
}

static int use_maps(struct tenantnat *skel, const struct instance *in, struct error *err)
{
	for (int i = 0; i < MAPS_COUNT; i++) {
		if (use_map(skel, map_names[i], in->dp->fd[i], err))
			return -1;
	}
	for (int i = 0; i < ROUTER_MAPS_COUNT; i++) {
		if (use_map(skel, router_maps[i].name, in->fd[i], err))
			return -1;
	}
	return 0;
}

/*
 * To look at the packet behind takes longer than it saves as long as the second cache holds the
 * records of the mappings that have traffic.
 */
static bool looks_ahead(const struct instance *in)
{
	const struct router_row *r = &in->router;

	return r->veth && r->xmit[0] && in->dp->config.capacity >= AHEAD_CAPACITY &&
	       host_lets_programs_read();
}

static struct tenantnat *open_for(const struct instance *in, struct error *err)
{
	const struct router_row *r = &in->router;
	struct tenantnat *skel = tenantnat__open();

	if (!skel) {
		error_set(err, "cannot open the programs: %s", strerror(errno));
		return NULL;
	}
	skel->rodata->tn_router_id = r->id;
	skel->rodata->tn_shared_ifindex = r->ifindex;
	skel->rodata->tn_xdp_guards_only = r->via == HOOK_XDP_GENERIC;
	skel->rodata->tn_sources_loose = r->sources == SOURCES_LOOSE;
	skel->rodata->tn_sources_feasible = r->sources == SOURCES_FEASIBLE;
	skel->rodata->tn_forward_fast = r->fast;
	skel->rodata->tn_counter_slots = in->dp->config.capacity;
	skel->rodata->tn_slots_mask = TN_SLOTS_OWN(in->dp->config.capacity) - 1;
	skel->rodata->tn_way_ticks = host_ticks(TN_WAY_LIFE);
	skel->rodata->tn_routes_shift = 31 - __builtin_clz(host_ticks(TN_ROUTES_LIFE));
	skel->rodata->tn_reads_kernel = host_lets_programs_read();
	skel->rodata->tn_on_veth = router_row_sends_from_veth(r) && host_lets_programs_read();
	skel->rodata->tn_looks_ahead = looks_ahead(in);
	skel->rodata->tn_inside_raw = r->raw;
	memcpy((void *)skel->rodata->tn_inside, r->inside, sizeof(r->inside));
	memcpy((void *)skel->rodata->tn_own, r->own, sizeof(r->own));
	memcpy((void *)skel->rodata->tn_mac, r->mac, sizeof(r->mac));
	if (use_maps(skel, in, err)) {
		tenantnat__destroy(skel);
		return NULL;
	}
	return skel;
}

/* An older or newer build's programs are known by it, too. */
_Static_assert(offsetof(struct tenantnat__rodata, tn_router_id) == 0,
	       "the router id comes first in .rodata, whatever comes behind it");

/* The router id among the constants of a program; 0: the map is something else. */
static uint32_t router_in_rodata(uint32_t map_id)
{
	static const char suffix[] = ".rodata";
	_cleanup_close_ int fd = bpf_map_get_fd_by_id(map_id);
	_cleanup_free_ uint32_t *value = NULL;
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info), zero = 0;
	size_t n;

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		return 0;
	n = strlen(info.name);
	if (n < strlen(suffix) || strcmp(info.name + n - strlen(suffix), suffix) != 0)
		return 0;
	value = xzalloc(info.value_size + sizeof(*value));
	return bpf_map_lookup_elem(fd, &zero, value) ? 0 : *value;
}

uint32_t dataplane_program_router(int program_fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info), router = 0;
	uint32_t ids[MAPS_COUNT + ROUTER_MAPS_COUNT + 2];

	info.nr_map_ids = ARRAY_SIZE(ids);
	info.map_ids = (uintptr_t)ids;
	if (program_fd < 0 || bpf_obj_get_info_by_fd(program_fd, &info, &len) ||
	    strncmp(info.name, "tn_", 3) != 0)
		return 0;
	for (uint32_t i = 0; !router && i < info.nr_map_ids && i < ARRAY_SIZE(ids); i++)
		router = router_in_rodata(ids[i]);
	return router;
}

/* The router's own maps: what is open there stays open when its programs are others. */
static int instance_maps(struct instance *in, struct error *err)
{
	DECLARE_LIBBPF_OPTS(bpf_map_create_opts, opts);

	for (int i = 0; i < ROUTER_MAPS_COUNT; i++)
		in->fd[i] = -1;
	for (int i = 0; i < ROUTER_MAPS_COUNT; i++) {
		const struct map_shape *m = &router_maps[i];

		in->fd[i] = router_map_open(in->dp, in->router.id, i);
		if (in->fd[i] < 0)
			in->fd[i] = bpf_map_create(BPF_MAP_TYPE_LRU_HASH, m->name, m->key_size,
						   m->value_size, m->entries, &opts);
		if (in->fd[i] < 0)
			return error_set(err, "cannot create the map %s: %s", m->name,
					 strerror(errno));
	}
	return 0;
}

int instance_pin(const struct instance *in, struct error *err)
{
	char path[PATH_MAX];

	for (int i = 0; i < ROUTER_MAPS_COUNT; i++) {
		_cleanup_close_ int there = router_map_open(in->dp, in->router.id, i);

		if (there >= 0)
			continue;
		router_map_path(in->dp, in->router.id, i, path);
		unlink(path);
		if (bpf_obj_pin(in->fd[i], path))
			return error_set(err, "cannot pin %s: %s; remove what is there", path,
					 strerror(errno));
	}
	return 0;
}

bool instance_is_pinned(struct dataplane *dp, uint32_t router)
{
	for (int i = 0; i < ROUTER_MAPS_COUNT; i++) {
		_cleanup_close_ int there = router_map_open(dp, router, i);

		if (there < 0)
			return false;
	}
	return true;
}

int instance_load(struct dataplane *dp, const struct router_row *r, struct instance **out,
		  struct error *err)
{
	struct instance *in = xzalloc(sizeof(*in));
	int ret;

	*out = NULL;
	in->dp = dp;
	in->router = *r;
	if (!instance_maps(in, err))
		in->tc = open_for(in, err);
	if (!in->tc) {
		instance_close(in);
		return -1;
	}
	bpf_program__set_autoload(in->tc->progs.tn_xdp_shared_in, false);
	ret = tenantnat__load(in->tc);
	if (ret) {
		instance_close(in);
		return error_set(err, "the kernel refused the programs: %s%s", strerror(-ret),
				 ret == -EPERM ? "; run as root"
					       : "; run again with -v for its reasons");
	}
	/* libbpf goes on without names when a trial of them fails: nobody would know them again */
	if (dataplane_program_router(instance_fd_out(in)) != r->id) {
		instance_close(in);
		return error_set(err, "the kernel did not take the programs' names; try again");
	}
	*out = in;
	return 0;
}

void instance_close(struct instance *in)
{
	if (!in)
		return;
	tenantnat__destroy(in->tc);
	tenantnat__destroy(in->xdp);
	for (int i = 0; i < ROUTER_MAPS_COUNT; i++) {
		if (in->fd[i] >= 0)
			close(in->fd[i]);
	}
	free(in);
}

int instance_fd_in(const struct instance *in)
{
	return bpf_program__fd(in->tc->progs.tn_tc_shared_in);
}

int instance_fd_out(const struct instance *in)
{
	return bpf_program__fd(in->tc->progs.tn_tc_shared_out);
}

int instance_fd_inside(const struct instance *in)
{
	return bpf_program__fd(in->tc->progs.tn_tc_inside_in);
}

int instance_fd_inside_out(const struct instance *in)
{
	return bpf_program__fd(in->tc->progs.tn_tc_inside_out);
}

struct bpf_object *instance_xdp_object(struct instance *in, struct error *err)
{
	tenantnat__destroy(in->xdp);
	in->xdp = open_for(in, err);
	return in->xdp ? in->xdp->obj : NULL;
}

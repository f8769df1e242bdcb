/* SPDX-License-Identifier: GPL-2.0-only */
#include "dataplane/dataplane.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "dataplane/dataplane_internal.h"
#include "dataplane/skeleton.h"
#include "dataplane/stubs.h"
#include "host/host.h"

/* Maps, programs, their types and pins of one router, a namespace, the state; with some to spare.
 */
#define FILES 128

#define CAPACITY_MAX (1U << 24)
#define RULES_MIN    16384

const char *const map_names[MAPS_COUNT] = {
#define X(map) #map,
	MAPS(X)
#undef X
};

const struct map_shape router_maps[ROUTER_MAPS_COUNT] = {
#define X(map, key, value, entries) \
	{ BPF_MAP_TYPE_LRU_HASH, sizeof(key), sizeof(value), entries, #map },
	ROUTER_MAPS(X)
#undef X
};

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

uint64_t build_of(const void *elf, size_t size, uint64_t before)
{
	return fnv1a(before ? before : FNV1A, elf, size);
}

uint64_t dataplane_build(void)
{
	static uint64_t build; /* it is asked for once a router */
	size_t size;
	const void *elf = tenantnat__elf_bytes(&size);

	if (!build)
		build = build_of(elf, size, stubs_build());
	return build;
}

int load_error(int ret, struct error *err)
{
	return error_set(err, "the kernel refused the programs: %s%s", strerror(-ret),
			 ret == -EPERM ? "; run as root" : "; run again with -v for its reasons");
}

int use_map(struct bpf_map *map, int fd, struct error *err)
{
	if (bpf_map__reuse_fd(map, fd))
		return error_set(err, "cannot use the pinned map %s: %s", bpf_map__name(map),
				 strerror(errno));
	return 0;
}

const char *path_join(const char *dir, const char *name, char out[PATH_MAX])
{
	if (snprintf(out, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX)
		out[0] = '\0';
	return out;
}

void router_map_path(const struct dataplane *dp, uint32_t router, enum router_map_id id,
		     char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%.*s/routers/%u/%s", PATH_MAX / 2, dp->dir, router,
		 router_maps[id].name);
}

int router_map_open(const struct dataplane *dp, uint32_t router, enum router_map_id id)
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

int config_read(struct dataplane *dp)
{
	uint32_t zero = 0;

	return bpf_map_lookup_elem(dp->fd[MAP_config], &zero, &dp->config);
}

int config_write(struct dataplane *dp)
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
	path_join(bpffs, "maps", path);
}

unsigned int possible_cpus(void)
{
	int n = libbpf_num_possible_cpus();

	return n > 0 ? n : 1;
}

struct bpf_map *skeleton_map(const struct tenantnat *skel, const char *name)
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
	bpf_map__set_max_entries(skel->maps.counters, config->capacity * possible_cpus());
	bpf_map__set_max_entries(skel->maps.slots, TN_SLOTS_OWN(config->capacity));
	bpf_map__set_max_entries(skel->maps.pairs, TN_PAIRS * possible_cpus());
	bpf_map__set_max_entries(skel->maps.pairs_v6, TN_PAIRS * possible_cpus());
	bpf_map__set_max_entries(skel->maps.hops, TN_HOPS * possible_cpus());
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
		const struct bpf_map *map = skeleton_map(skel, map_names[i]);
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

int foreign_pin(const struct dataplane *dp, const char *path, struct error *err)
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
	       (uint64_t)c->capacity * possible_cpus() <= UINT32_MAX &&
	       c->nsubnets <= TN_SUBNETS_MAX && c->free_from <= c->free_to &&
	       c->free_to <= c->capacity;
}

/* The size of a value is checked by the kernel only against the map's own. */
static int open_config(struct dataplane *dp, const char *maps, struct error *err)
{
	const struct map_shape shape = { .type = BPF_MAP_TYPE_ARRAY,
					 .key_size = sizeof(uint32_t),
					 .value_size = sizeof(dp->config),
					 .entries = 1 };
	char path[PATH_MAX];

	dp->fd[MAP_config] = pin_open_map(path_join(maps, map_names[MAP_config], path), &shape);
	if (dp->fd[MAP_config] < 0 && errno != ENOENT && errno != EINVAL)
		return error_set(err, "cannot open the map %s: %s", path, strerror(errno));
	if (dp->fd[MAP_config] < 0 || config_read(dp) || dp->config.abi != TN_ABI)
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
		dp->fd[i] = pin_open_map(path_join(maps, map_names[i], path), &shapes[i]);
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
	path_join(bpffs, "maps", maps);
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
	uint64_t counters = (uint64_t)config->capacity * possible_cpus();
	struct bpf_program *prog;
	int ret;

	if (counters > UINT32_MAX) {
		tenantnat__destroy(skel);
		error_set(err, "no map has room for the counters of %u mappings on %u %s",
			  config->capacity, possible_cpus(),
			  plural(possible_cpus(), "CPU", "CPUs"));
		return NULL;
	}
	if (!skel) {
		error_set(err, "cannot open the programs: %s", strerror(errno));
		return NULL;
	}
	bpf_object__for_each_program (prog, skel->obj)
		bpf_program__set_autoload(prog, false);
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
		struct bpf_map *map = skeleton_map(skel, map_names[i]);

		if (bpf_obj_pin(bpf_map__fd(map), path_join(dir, map_names[i], path)))
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
	path_join(bpffs, "maps", maps);
	path_join(bpffs, "routers", routers);
	/* a tenant's directory can have any name but one with a capital letter */
	path_join(bpffs, "MAPS", unfinished);
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
	path_join(bpffs, "MAPS", unfinished);
	dataplane_unpin(unfinished);
	if (rename(path_join(bpffs, "maps", path), unfinished) && errno != ENOENT)
		return error_set(err, "cannot remove %s: %s", path, strerror(errno));
	d = opendir(path_join(bpffs, "routers", routers));
	while (d && (entry = readdir(d))) {
		if (entry->d_name[0] != '.')
			ret |= dataplane_unpin(path_join(routers, entry->d_name, path));
	}
	if (d)
		closedir(d);
	ret |= dataplane_unpin(routers) | dataplane_unpin(unfinished);
	if (ret || (rmdir(bpffs) && errno != ENOENT && errno != ENOTEMPTY))
		return error_set(err, "cannot remove %s: %s", bpffs, strerror(errno));
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* announce: where the addresses of attached routers are, to everybody on the shared network. */
#include <time.h>

#include "change/inspect.h"
#include "cmd/cmd.h"
#include "dataplane/standby.h"
#include "host/host.h"
#include "host/netns.h"
#include "lib/output.h"
#include "lib/progress.h"
#include "model/selection.h"
#include "probe/announce.h"

/* What is announced of one router. */
struct told {
	const struct router_row *router;
	size_t addresses;
};

struct telling {
	const struct invocation *inv;
	struct view view;
	VEC(struct told) list;
};

/* A router that is attached is not seen where its maps are hidden. */
static int check_bpffs(const struct invocation *inv, struct error *err)
{
	_cleanup_free_ char *parent = xstrdup(inv->settings.bpffs);
	char *slash = strrchr(parent, '/');

	if (!slash)
		return 0;
	slash[slash == parent] = '\0';
	return host_check_bpffs(parent, err);
}

static int take_named(struct telling *t, struct error *err)
{
	const struct invocation *inv = t->inv;
	const struct scope scope = { inv->args, inv->nargs };

	vec_each (r, &t->view.kernel.routers) {
		if (scope_has(inv->nargs ? &scope : NULL, r->tenant) && !r->broken)
			*vec_push(&t->list) = (struct told){ .router = r };
	}
	for (int i = 0; i < inv->nargs; i++) {
		bool found = false;

		vec_each (told, &t->list)
			found |= strcmp(told->router->tenant, inv->args[i]) == 0;
		if (!found && !tenant_named(&t->view.model, inv->args[i], err))
			return -1;
		if (!found && check_bpffs(inv, err))
			return -1;
		if (!found)
			return error_usage(err,
					   "tenant %s has no router here that is attached; "
					   "`tenantnat restore` attaches what is defined",
					   inv->args[i]);
	}
	return 0;
}

/* Those of `addrs` that are still the router's: minutes may have passed since they were read. */
static int still(const struct invocation *inv, const struct router_row *r,
		 const struct tn_addr *addrs, size_t n, struct addr_list *out, struct error *err)
{
	_cleanup_dataplane_ struct dataplane *dp = NULL;
	_cleanup_kernel_state_ struct kernel_state now = { 0 };
	struct row_keys keys = { 0 };
	int ret;

	if (dataplane_open(inv->settings.bpffs, &dp, err))
		return -1;
	if (!dp)
		return error_set(err, "it has been detached");
	for (size_t i = 0; i < n; i++)
		*vec_push(&keys.shared) = addrs[i];
	ret = dataplane_look_up(dp, &keys, &now, err);
	row_keys_free(&keys);
	vec_each (row, &now.shared) {
		if (row->router == r->id)
			*vec_push(&out->list) = row->shared;
	}
	return ret;
}

static int tell_slice(struct telling *t, struct told *to, bool own, const struct tn_addr *addrs,
		      size_t n, struct error *err)
{
	const struct router_row *r = to->router;
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct addr_list now = { 0 };
	size_t told = 0;
	int ret = still(t->inv, r, addrs, n, &now, err);

	if (standby_now(t->view.dp, r, t->view.kernel.subnets.v, t->view.kernel.subnets.n))
		now.list.n = 0; /* these are another host's now */
	if (!ret && netns_enter_id(r->netns, r->netns_dev, r->netns_ino, &ns))
		ret = error_set(err, "its namespace has gone");
	if (!ret)
		ret = announce(r->ifindex, r->mac, own, now.list.v, now.list.n, &told, err);
	if (!ret && told < now.list.n)
		ret = error_set(err, "its shared interface was replaced");
	to->addresses += told;
	vec_free(&now.list);
	return ret;
}

/* From one slice to the next, at PACKET_RATE. */
static void wait_after(struct timespec *due, size_t n)
{
	due->tv_nsec += (long)(n * (1000000000L / PACKET_RATE));
	due->tv_sec += due->tv_nsec / 1000000000L;
	due->tv_nsec %= 1000000000L;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, due, NULL);
}

static int tell(struct telling *t, struct told *to, bool own, struct error *err)
{
	struct addr_list all = { 0 };
	struct timespec due;
	int ret = 0;

	kernel_state_addrs(&t->view.kernel, to->router->id, own, &all);
	clock_gettime(CLOCK_MONOTONIC, &due);
	progress_begin("addresses announced", all.list.n);
	for (size_t at = 0, n; at < all.list.n && !ret; at += n) {
		n = all.list.n - at < ANNOUNCE_SLICE ? all.list.n - at : ANNOUNCE_SLICE;
		ret = tell_slice(t, to, own, all.list.v + at, n, err);
		progress_step(n);
		if (at + n < all.list.n)
			wait_after(&due, n);
	}
	progress_end();
	packet_close_rest();
	vec_free(&all.list);
	return ret ? error_prefix(err, "tenant %s", to->router->tenant) : 0;
}

static int say(const struct telling *t, struct error *err)
{
	json_t *list;

	if (!t->inv->json) {
		vec_each (to, &t->list) {
			if (!t->inv->settings.quiet)
				printf("tenant %s: %zu %s announced%s\n", to->router->tenant,
				       to->addresses, plural(to->addresses, "address", "addresses"),
				       to->router->standby ? ", its router is a standby" : "");
		}
		return 0;
	}
	list = json_array();
	vec_each (to, &t->list)
		json_array_append_new(list, json_pack("{s:s, s:I}", "tenant", to->router->tenant,
						      "announced", (json_int_t)to->addresses));
	return json_print(list, err);
}

static int run(const struct invocation *inv, struct error *err)
{
	struct telling t = { .inv = inv };
	int ret = view_load(&inv->settings, &t.view, err);

	if (ret)
		return -1;
	ret = take_named(&t, err);
	vec_each (to, &t.list) {
		if (!ret)
			ret = tell(&t, to, true, err) || tell(&t, to, false, err) ? -1 : 0;
	}
	if (!ret)
		ret = say(&t, err);
	vec_free(&t.list);
	view_free(&t.view);
	return ret;
}

const struct command cmd_announce = {
	.name = "announce",
	.synopsis = "[TENANT…]",
	.summary = "Tell the shared network where the mapped addresses are",
	.help = "For neighbours that remember an old place of an address. Sends gratuitous ARP "
		"requests and\n"
		"unsolicited neighbour advertisements, 10,000 a second, for all addresses of "
		"attached\n"
		"routers. Joins, moves and new mappings are announced without this command. If "
		"there are\n"
		"more than 1,000 of them, an `announce` in the background does it, which is said.\n"
		"JSON: [{\"tenant\", \"announced\"}].",
	.max_args = -1,
	.run = run,
};

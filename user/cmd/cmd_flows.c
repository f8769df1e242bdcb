/* SPDX-License-Identifier: GPL-2.0-only */
/* flows export, import, stream: what VMs have opened, from one host to another. */
#include "cluster/membership.h"
#include "cmd/cmd.h"
#include "handover/handover.h"
#include "handover/stream.h"
#include "lib/file.h"
#include "lib/output.h"

static int run_export(const struct invocation *inv, struct error *err)
{
	_cleanup_selection_ struct selection selection = { 0 };
	_cleanup_view_ struct view v = { 0 };

	if (selection_read(inv->args, inv->nargs, &selection, err) ||
	    view_load(&inv->settings, &v, err) || selection_check(&selection, &v.model, err) ||
	    flows_export(&v, &selection, stdout, err))
		return -1;
	return fflush(stdout) || ferror(stdout) ? error_set(err, "cannot write to stdout: %m") : 0;
}

const struct command cmd_flows_export = {
	.name = "flows export",
	.synopsis = "[TENANT[/MAPPING]…]",
	.summary = "Print the flows that VMs have opened",
	.help = "They are what a router remembers of connections: who a VM has spoken to, so that "
		"answers\n"
		"come in. What a rule of `accept` lets in needs none. A flow is one line of JSON "
		"by names,\n"
		"which `flows import` reads on the host that takes over the router:\n"
		"\n"
		"  tenantnat flows export red | ssh standby tenantnat flows import\n"
		"\n"
		"JSON, with and without -j, one a line: {\"tenant\", \"fixed\", \"shared\": the "
		"VM's, \"protocol\":\n"
		"its number, \"port\": of the VM, \"peer\": address, \"peer_tenant\": or null, "
		"\"service\": port of\n"
		"the peer, \"closing\": whether the VM has sent FIN or RST, \"left\": seconds}",
	.max_args = -1,
	.run = run_export,
};

static const struct {
	const char *key;
	const char *text;
} left_out[] = {
#define X(id, key, text) { key, text },
	FLOWS_LEFT_OUT(X)
#undef X
};

static json_t *import_json(const struct import *done)
{
	json_t *out = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(left_out); i++)
		json_object_set_new(out, left_out[i].key, json_integer(done->left_out[i]));
	return json_pack("{s:I, s:o}", "taken", (json_int_t)done->taken, "left_out", out);
}

static void print_import(const struct import *done)
{
	printf("%zu %s taken over\n", done->taken, plural(done->taken, "flow", "flows"));
	for (size_t i = 0; i < ARRAY_SIZE(left_out); i++) {
		if (done->left_out[i])
			printf("%zu left out: %s\n", done->left_out[i], left_out[i].text);
	}
}

static int run_import(const struct invocation *inv, struct error *err)
{
	const char *file = inv->nargs ? inv->args[0] : "-";
	_cleanup_fclose_ FILE *from = input_open(file, err);
	_cleanup_view_ struct view v = { 0 };
	struct import done;

	if (!from || view_load(&inv->settings, &v, err) ||
	    flows_import(&v, from, input_shown(file), &done, err))
		return -1;
	if (inv->json)
		return json_print(import_json(&done), err);
	if (!inv->settings.quiet)
		print_import(&done);
	return 0;
}

const struct command cmd_flows_import = {
	.name = "flows import",
	.synopsis = "[FILE]",
	.summary = "Take over flows that another host has printed",
	.help = "Reads what `flows export` prints, from FILE or stdin, and adds it to the routers "
		"of this\n"
		"host. Tenants, mappings and addresses have to be the same on both hosts; what "
		"has no\n"
		"counterpart here is left out and counted. Flows that are here stay. A line that "
		"cannot be\n"
		"read is an error, and then nothing is taken over. Each flow lets its peer send "
		"to the VM\n"
		"for as long as it lives: import only what you trust.\n"
		"\n"
		"JSON: {\"taken\", \"left_out\": {\"mapping\", \"peer\"}}, numbers",
	.max_args = 1,
	.run = run_import,
};

static int run_stream(const struct invocation *inv, struct error *err)
{
#ifdef TN_WITHOUT_CLUSTER
	(void)inv;
	return cluster_check(err);
#else
	return stream_run(&inv->settings, err);
#endif
}

const struct command cmd_flows_stream = {
	.name = "flows stream",
	.synopsis = "",
	.summary = "Hand flows over to other hosts of the cluster, all the time" CLUSTER_HELP,
	.help = "What the agent of a host in a cluster runs beside itself. Of routers that several "
		"hosts have and\n"
		"that are active here, it tells the other hosts once a second which flows are new "
		"or live longer.\n"
		"Of routers that are standbys here, it takes what the active host tells. Both know "
		"each other by\n"
		"a key that the cluster has in etcd. It ends when nobody reads its stdout, to "
		"which it writes\n"
		"nothing. docs/failover.md has the rest.",
	.run = run_stream,
};

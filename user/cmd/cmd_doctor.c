/* SPDX-License-Identifier: GPL-2.0-only */
/* doctor: what is wrong with the machine and with the routers, and what to do about it. */
#include "cmd/cmd.h"
#include "doctor/doctor_cluster.h"
#include "doctor/examine.h"
#include "lib/output.h"

/* ------------------------------------------------------------ output */

static json_t *findings_json(const struct diagnosis *f)
{
	json_t *list = json_array();

	vec_each (one, &f->list)
		json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o, s:s, s:s, s:o}",
						      "finding", finding_name(one->id), "severity",
						      severity_name(one->severity), "tenant",
						      json_text(one->tenant), "interface",
						      json_text(one->interface), "seen", one->seen,
						      "meaning", finding_meaning(one->id), "remedy",
						      json_text(one->remedy)));
	return json_pack("{s:o, s:I, s:I}", "findings", list, "problems",
			 (json_int_t)diagnosis_count(f, SEVERITY_PROBLEM), "warnings",
			 (json_int_t)diagnosis_count(f, SEVERITY_WARNING));
}

static const char *color_of(enum severity severity)
{
	return severity == SEVERITY_PROBLEM ? color_removed()
	       : severity == SEVERITY_FINE  ? color_added()
					    : color_changed();
}

static void print_finding(const struct diagnosed *f)
{
	printf("%s%-11s%s  %-17s  %s%s%s\n", color_of(f->severity), severity_name(f->severity),
	       color_off(), finding_name(f->id), f->tenant ? f->tenant : "machine",
	       f->interface ? " " : "", f->interface ? f->interface : "");
	printf("    %s", f->seen);
	if (f->severity > SEVERITY_UNCHECKED)
		printf(" (%s)", finding_meaning(f->id));
	putchar('\n');
	if (f->remedy)
		printf("    to do: %s\n", f->remedy);
}

/* What is in order is one line, and only for who asks. */
static void print_findings(const struct diagnosis *f, bool all)
{
	vec_each (one, &f->list) {
		if (one->severity != SEVERITY_FINE)
			print_finding(one);
		else if (all)
			printf("%s%-11s%s  %-17s  %s%s%s: %s\n", color_of(one->severity),
			       severity_name(one->severity), color_off(), finding_name(one->id),
			       one->tenant ? one->tenant : "machine", one->interface ? " " : "",
			       one->interface ? one->interface : "", one->seen);
	}
	printf("%zu in order, %zu not checked, %zu %s, %zu %s\n", diagnosis_count(f, SEVERITY_FINE),
	       diagnosis_count(f, SEVERITY_UNCHECKED), diagnosis_count(f, SEVERITY_WARNING),
	       plural(diagnosis_count(f, SEVERITY_WARNING), "warning", "warnings"),
	       diagnosis_count(f, SEVERITY_PROBLEM),
	       plural(diagnosis_count(f, SEVERITY_PROBLEM), "problem", "problems"));
}

static int run(const struct invocation *inv, struct error *err)
{
	_cleanup_selection_ struct selection selection = { 0 };
	_cleanup_examination_ struct examination e = { 0 };
	size_t problems;

	if (selection_read(inv->args, inv->nargs, &selection, err) ||
	    examine(&inv->settings, cmd_value(inv, "file"), &selection, &e, err))
		return -1;
	if (!cmd_value(inv, "file"))
		doctor_cluster(&inv->settings, &e.findings);
	if (inv->json ? json_print(findings_json(&e.findings), err) : 0)
		return -1;
	if (!inv->json)
		print_findings(&e.findings, inv->verbose);
	problems = diagnosis_count(&e.findings, SEVERITY_PROBLEM);
	if (!problems && !inv->json)
		printf("Nothing was sent: `tenantnat check` asks the shared network and the VMs, "
		       "and "
		       "`tenantnat trace FROM TO:PORT` says what `accept` lets through.\n");
	if (problems)
		return error_set(err, "%zu %s found; follow the remedy of %s, and run doctor again",
				 problems, plural(problems, "problem", "problems"),
				 plural(problems, "it", "each"));
	return 0;
}

const struct command cmd_doctor = {
	.name = "doctor",
	.synopsis = "[-f FILE] [TENANT[/MAPPING]…]",
	.summary = "Say what is wrong with the machine and the routers, and what to do",
	.help = "Changes nothing, and sends nothing. It looks at the kernel, its file systems and "
		"settings,\n"
		"and at the routers of the definitions in force, or those of the tenants named; "
		"TENANT/MAPPING\n"
		"stands for the router before that mapping. A check that cannot be made says so; "
		"without\n"
		"root, that is most of them. With -v also what is in order is listed. Exit status "
		"1 when there is a problem; warnings (slower, or risky) and "
		"checks\n"
		"that cannot be made do not count.\n"
		"\n"
		"With -f, the routers of a file are looked at, before it is applied: what would "
		"keep it\n"
		"from working. What an apply adds (addresses, routes, forwarding, programs) is "
		"not missing.\n"
		"\n"
		"The neighbour tables of the kernel are shared by all network namespaces: each "
		"should\n"
		"have room for the mappings of the attached routers, and 64 more for each router.\n"
		"\n"
		"On a host of a cluster etcd is asked, too: what `cluster status` finds is a "
		"warning here.\n"
		"\n"
		"JSON: {\"findings\": [{\"finding\", \"severity\": \"ok\", \"not checked\", "
		"\"warning\" or\n"
		"\"problem\", \"tenant\": null for the machine, \"interface\" or null, \"seen\",\n"
		"\"meaning\": of the finding when it is not ok, \"remedy\" or null}],\n"
		"\"problems\": count, \"warnings\": count}",
	.options = { { "file", 'f', "FILE", "look at the routers of these definitions instead" } },
	.min_args = 0,
	.max_args = -1,
	.run = run,
};

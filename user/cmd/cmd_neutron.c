/* SPDX-License-Identifier: GPL-2.0-only */
/* neutron: definitions from OpenStack's API, printed or applied. */
#include "change/change.h"
#include "cmd/cmd.h"
#include "cmd/consent.h"
#include "config/write.h"
#include "lib/log.h"
#include "lib/output.h"
#include "neutron/neutron.h"

/* What is to be done with the definitions. */
enum mode { PRINT, DRY_RUN, ONCE, FOLLOW };

static const char *const modes[] = { "print", "dry-run", "once" };

static int choose_mode(const struct invocation *inv, enum mode *out, struct error *err)
{
	bool ends = cmd_value(inv, "remove");
	int given = 0;

	*out = ends ? ONCE : FOLLOW;
	if (ends && (!cmd_value(inv, "ovn") || cmd_value(inv, "print") || cmd_value(inv, "once")))
		return error_usage(err, "--remove is for sidecars: give it with --ovn, and with no "
					"more than --dry-run");
	for (int i = 0; i < FOLLOW; i++) {
		if (!cmd_value(inv, modes[i]))
			continue;
		*out = i;
		given++;
	}
	if (given > 1)
		return error_usage(err, "give one of --print, --dry-run and --once, or none of "
					"them to follow Neutron");
	return 0;
}

static void say_findings(const struct neutron_findings *findings)
{
	vec_each (text, &findings->list)
		log_warning("%s", *text);
}

/* ------------------------------------------------------------ printing */

static json_t *findings_json(const struct neutron_findings *findings)
{
	json_t *list = json_array();

	vec_each (text, &findings->list)
		json_array_append_new(list, json_string(*text));
	return list;
}

static int print_definitions(const struct invocation *inv, const struct model *m,
			     const struct neutron_findings *findings, struct error *err)
{
	json_t *definitions;

	if (!inv->json) {
		say_findings(findings);
		return definitions_write(m, stdout, err);
	}
	definitions = definitions_json(m, err);
	if (!definitions)
		return -1;
	return json_print(json_pack("{s:o, s:o}", "definitions", definitions, "findings",
				    findings_json(findings)),
			  err);
}

/* Where JSON is printed, or definitions, it is said beside. */
static void print_line(const char *line, void *arg)
{
	if (arg)
		log_notice("%s", line);
	else
		printf("%s\n", line);
}

static int print(const struct invocation *inv, struct neutron_session *session, struct error *err)
{
	_cleanup_neutron_findings_ struct neutron_findings findings = { 0 };
	_cleanup_model_ struct model m = { 0 };

	if (neutron_model(session, &m, &findings, err) ||
	    print_definitions(inv, &m, &findings, err))
		return -1;
	return neutron_tidy(session, print_line, session, err);
}

/* ------------------------------------------------------------ applying */

/* Read anew each time: while the user was asked, Neutron may have changed. */
static int attempt(const struct invocation *inv, struct neutron_session *session,
		   const struct change_how *how, struct consent *consent, struct change *c,
		   struct outcome *outcome, struct error *err)
{
	_cleanup_neutron_findings_ struct neutron_findings findings = { 0 };
	_cleanup_model_ struct model m = { 0 };
	int ret;

	if (neutron_model(session, &m, &findings, err))
		return -1;
	if (!consent->known)
		say_findings(&findings);
	if (change_begin(&inv->settings, how->dry_run ? STORE_READ : STORE_WRITE, &m, c, err))
		return -1;
	model_keep_zone(&c->will, &c->had);
	ret = consent_check(consent, c, err);
	if (!ret)
		ret = change_make(c, how, outcome, err);
	if (ret || how->dry_run)
		return ret;
	return neutron_note(session, inv->settings.state, &findings, err);
}

static int apply(const struct invocation *inv, struct neutron_session *session, bool dry_run,
		 struct error *err)
{
	/* Neutron makes its routers one by one: those that are not there yet keep nobody waiting */
	const struct change_how how = { .dry_run = dry_run, .partial = true };
	struct consent consent = { .given = cmd_value(inv, "yes") || dry_run };
	_cleanup_outcome_ struct outcome outcome = { 0 };
	struct error tidied = { 0 };
	int ret;

	do {
		_cleanup_change_ struct change c = { 0 };

		ret = attempt(inv, session, &how, &consent, &c, &outcome, err);
	} while (ret == 1 && (ret = consent_ask(&consent, err)) == 0);
	if (ret)
		return -1;
	ret = neutron_tidy(session, print_line, inv->json ? session : NULL, &tidied);
	if (cmd_print_outcome(inv, &outcome, dry_run, err))
		return -1;
	/* a router without its sidecar cannot be joined, which is said then, too */
	if (ret && outcome.failed.list.n)
		log_warning("%s", tidied.text);
	else if (ret)
		return error_set(err, "%s", tidied.text);
	return outcome_failed(&outcome, "joined", err);
}

/* In a cluster; the error says so when somebody else was faster. */
static int apply_for_all(const struct invocation *inv, struct neutron_session *session,
			 bool dry_run, struct error *err)
{
	_cleanup_neutron_findings_ struct neutron_findings findings = { 0 };
	_cleanup_outcome_ struct outcome outcome = { 0 };
	_cleanup_model_ struct model m = { 0 };

	if (neutron_model(session, &m, &findings, err))
		return -1;
	say_findings(&findings);
	if (neutron_apply_for_all(session, &inv->settings, &m, cmd_value(inv, "yes"), dry_run,
				  &outcome, err) ||
	    cmd_print_outcome(inv, &outcome, dry_run, err))
		return -1;
	return outcome_failed(&outcome, "joined", err);
}

/* ------------------------------------------------------------ following */

static void print_outcome(const struct outcome *done, void *arg)
{
	struct error err = { 0 };

	if (cmd_print_outcome(arg, done, false, &err))
		log_warning("%s", err.text);
	fflush(stdout);
}

static int run(const struct invocation *inv, struct error *err)
{
	_cleanup_neutron_session_ struct neutron_session *session = NULL;
	struct neutron_source from = { .cloud = cmd_value(inv, "cloud"),
				       .url = cmd_value(inv, "url"),
				       .host = cmd_value(inv, "host"),
				       .ovn = cmd_value(inv, "ovn"),
				       .ovn_ends = cmd_value(inv, "remove") };
	enum mode mode;

	if (choose_mode(inv, &mode, err))
		return -1;
	from.only_looks = mode == PRINT || mode == DRY_RUN;
	session = neutron_begin(&from, &inv->settings, err);
	if (!session)
		return -1;
	if (mode == PRINT)
		return print(inv, session, err);
	if (mode == FOLLOW)
		return neutron_follow(session, &inv->settings, print_outcome, (void *)inv, err);
	return neutron_is_together(session) ? apply_for_all(inv, session, mode == DRY_RUN, err)
					    : apply(inv, session, mode == DRY_RUN, err);
}

const struct command cmd_neutron = {
	.name = "neutron",
	.synopsis = "[--cloud CLOUD | --url URL] [--host HOST] [--ovn] "
		    "[--print|--dry-run|--once|--remove] [--yes]",
	.summary = "Make definitions from OpenStack's Neutron, and print or apply them",
	.help = "Asks Neutron for its objects with the tag `tenantnat`: the shared network, the "
		"routers, which\n"
		"become tenants with their VMs' ports as mappings, and the security groups, which "
		"become\n"
		"rules. What cannot be, such as a distributed router, is a warning. "
		"docs/neutron.md has what\n"
		"becomes of what, and how a cloud is set up for that. Nothing in Neutron is "
		"changed, but with --ovn.\n"
		"\n"
		"--ovn is for clouds with OVN, whose routers are no namespaces. It makes a sidecar "
		"for each router\n"
		"with the tag `tenantnat:host=HOST` of this host: a namespace, and in Neutron a "
		"transit network,\n"
		"ports and routes. docs/ovn.md has all of it. It removes them when the router "
		"loses "
		"its tag.\n"
		"\n"
		"Without --url, clouds.yaml says where the cloud is: in the current directory, in\n"
		"~/.config/openstack or in /etc/openstack, or what OS_CLIENT_CONFIG_FILE names. "
		"The user\n"
		"there has to see everybody's objects.\n"
		"\n"
		"Without --print, --dry-run and --once it follows Neutron: it applies the "
		"definitions, and again\n"
		"whenever they change, until it is ended (SIGTERM). What fails changes nothing, is "
		"said once, and is\n"
		"tried again. `tenantnat agent` can run beside it.\n"
		"\n"
		"In a cluster the definitions are for all hosts, and one host follows for all.\n"
		"\n"
		"It applies as `apply --partial` does: routers that are missing or fail are "
		"named and left\n"
		"as they are, and the exit status is 1. If Neutron cannot be read whole, nothing "
		"is changed.\n"
		"Removing more than half of all mappings, and at least ten, has to be "
		"confirmed." NEUTRON_HELP "\n"
		"\n"
		"JSON of --print: {\"definitions\": the file's keys and values, \"findings\": "
		"[text]}.\n" OUTCOME_HELP,
	.options = { { "cloud", 0, "CLOUD",
		       "its name in clouds.yaml (default: OS_CLOUD, or the only one)" },
		     { "url", 0, "URL", "of a Neutron that asks for no token" },
		     { "host", 0, "HOST", "what Neutron calls this host (default: its name)" },
		     { "ovn", 0, NULL, "make sidecars for OVN's routers: writes to Neutron" },
		     { "remove", 0, NULL,
		       "with --ovn: remove this host's sidecars, here and in Neutron" },
		     { "print", 0, NULL, "print the definitions (YAML), and do nothing" },
		     { "dry-run", 'n', NULL, "print what would be done, and do nothing" },
		     { "once", 0, NULL, "apply the definitions" },
		     { "yes", 'y', NULL, "also remove most of what is there" } },
	.run = run,
};

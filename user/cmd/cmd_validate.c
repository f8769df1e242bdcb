/* SPDX-License-Identifier: GPL-2.0-only */
/* validate: whether a definitions file could be applied, as far as the file alone can tell. */
#include "cmd/cmd.h"
#include "config/definitions.h"
#include "lib/file.h"
#include "lib/output.h"
#include "model/ipam.h"
#include "model/kernel_state.h"
#include "model/select.h"

static size_t count_routers(const struct model *m)
{
	size_t n = 0;

	vec_each (t, &m->tenants)
		n += tenant_router(t) ? 1 : 0;
	return n;
}

/* Whether its pools have addresses enough, and the maps room for its rules: as on a new machine. */
static int check_room(struct model *m, struct error *err)
{
	_cleanup_kernel_state_ struct kernel_state want = { 0 };
	const struct kernel_state nothing = { 0 };
	const struct addr_list reserved = { 0 };
	const struct model nobody = { 0 };
	const struct facts none = { 0 };

	model_sort(m);
	if (ipam_assign(m, &nobody, &reserved, err))
		return -1;
	kernel_state_wanted(m, &none, &nothing, NULL, &want);
	return policy_check(&want.policy, err);
}

/* "FILE:LINE:COL: text" in its parts; what has no place has none. */
static json_t *error_json(const char *file, const char *text)
{
	size_t n = strlen(file);
	unsigned int line, column;
	int end = 0;

	if (strncmp(text, file, n) == 0 &&
	    sscanf(text + n, ":%u:%u: %n", &line, &column, &end) == 2 && end)
		return json_pack("{s:i, s:i, s:s}", "line", line, "column", column, "text",
				 text + n + end);
	return json_pack("{s:n, s:n, s:s}", "line", "column", "text", text);
}

static json_t *warnings_json(const struct model *m)
{
	json_t *list = json_array();
	char *text;

	vec_each (t, &m->tenants) {
		for (unsigned int i = 0; (text = definitions_warning(t, i)); i++) {
			json_array_append_new(list,
					      json_pack("{s:i, s:i, s:s}", "line", t->pos.line,
							"column", t->pos.col, "text", text));
			free(text);
		}
		vec_each (r, &t->accept) {
			text = definitions_rule_warning(r);
			if (text)
				json_array_append_new(list, json_pack("{s:i, s:i, s:s}", "line",
								      r->pos.line, "column",
								      r->pos.col, "text", text));
			free(text);
		}
	}
	return list;
}

/* Of a file with errors nobody knows how much there is of what. */
static json_t *verdict_json(const char *file, const struct model *m,
			    const struct config_errors *errors, const struct error *found)
{
	json_t *out = json_pack("{s:s, s:b, s:n, s:n, s:n}", "file", file, "valid", !found->set,
				"tenants", "routers", "mappings");
	json_t *list = json_array();

	if (!found->set) {
		json_object_set_new(out, "tenants", json_integer((json_int_t)m->tenants.n));
		json_object_set_new(out, "routers", json_integer((json_int_t)count_routers(m)));
		json_object_set_new(out, "mappings", json_integer((json_int_t)model_mappings(m)));
	}
	vec_each (text, &errors->list)
		json_array_append_new(list, error_json(file, *text));
	if (found->set && !errors->list.n)
		json_array_append_new(list, error_json(file, found->text));
	json_object_set_new(out, "errors", list);
	json_object_set_new(out, "warnings", warnings_json(m));
	json_object_set_new(out, "unlisted", json_integer((json_int_t)errors->dropped));
	return out;
}

static void print_verdict(const char *file, const struct model *m)
{
	size_t routers = count_routers(m), mappings = model_mappings(m);

	printf("%s is valid: %zu %s, %zu %s, %zu %s\n", file, m->tenants.n,
	       plural(m->tenants.n, "tenant", "tenants"), routers,
	       plural(routers, "router", "routers"), mappings,
	       plural(mappings, "mapping", "mappings"));
}

static int say(const struct invocation *inv, const char *path, const struct model *m,
	       const struct config_errors *errors, struct error *found, struct error *err)
{
	const char *file = input_shown(path);

	if (inv->json && json_print(verdict_json(file, m, errors, found), err))
		return -1;
	if (!inv->json) {
		vec_each (text, &errors->list)
			fprintf(stderr, "%s\n", *text);
		definitions_warn(path, m, NULL);
	}
	if (found->set)
		return error_usage(err, "%s", found->text);
	if (!inv->json && !inv->settings.quiet)
		print_verdict(file, m);
	return 0;
}

static int run(const struct invocation *inv, struct error *err)
{
	const char *path = cmd_file(inv, inv->nargs ? inv->args[0] : NULL, err);
	_cleanup_model_ struct model m = { 0 };
	struct config_errors errors;
	struct error found = { 0 };
	int ret;

	if (!path)
		return -1;
	ret = definitions_parse(path, &m, &errors, &found);
	if (ret && !errors.list.n)
		return error_usage(err, "%s", found.text);
	if (!ret && check_room(&m, &found))
		error_prefix(&found, "%s", input_shown(path));
	ret = say(inv, path, &m, &errors, &found, err);
	config_errors_free(&errors);
	return ret;
}

const struct command cmd_validate = {
	.name = "validate",
	.synopsis = "[FILE]",
	.summary = "Check a definitions file, and nothing of the machine",
	.help = "Prints all errors that `apply` would find in the file, and what the file has. It "
		"needs no\n"
		"root, no namespaces and no state, so it is for editors and CI. Exit status: 0 the "
		"file is\n"
		"valid, 2 it is not. What may be forgotten is a warning, as with `apply`: a tenant "
		"with mappings\n"
		"and without `accept`, which nobody can reach. `doctor -f FILE` looks at the "
		"machine as well.\n"
		"\n"
		"JSON: {\"file\", \"valid\", \"tenants\", \"routers\", \"mappings\": numbers, null "
		"when it is not\n"
		"valid, \"errors\": [{\"line\", \"column\": null for an error of no single place, "
		"\"text\"}],\n"
		"\"warnings\": [{\"line\", \"column\", \"text\"}], \"unlisted\": errors beyond the "
		"first hundred}",
	.options = { { "file", 'f', "FILE", FILE_HELP } },
	.max_args = 1,
	.run = run,
};

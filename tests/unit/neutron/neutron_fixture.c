/* SPDX-License-Identifier: GPL-2.0-only */
#include "neutron_fixture.h"

#include "config/config.h"
#include "config/write.h"
#include "model/ipam.h"

json_t *answers[NEUTRON_LISTS_COUNT];
static json_t *names;

static const char *const files[] = {
	[NEUTRON_NETWORKS] = "networks",      [NEUTRON_SUBNETS] = "subnets",
	[NEUTRON_ROUTERS] = "routers",	      [NEUTRON_AGENTS] = "agents",
	[NEUTRON_HOSTED] = "l3-routers",      [NEUTRON_PORTS] = "ports",
	[NEUTRON_GROUPS] = "security-groups", [NEUTRON_POLICIES] = "rbac-policies",
};

bool with_ovn, ovn_ends;

void answers_read(void)
{
	const char *tests = strstr(__FILE__, "tests/unit/neutron/");
	json_error_t err;
	char path[4096];

	cr_assert(tests);
	names = json_object();
	for (size_t i = 0; i < NEUTRON_LISTS_COUNT; i++) {
		snprintf(path, sizeof(path), "%.*stests/neutron/%s.json", (int)(tests - __FILE__),
			 __FILE__, files[i]);
		answers[i] = json_load_file(path, 0, &err);
		cr_assert(answers[i], "%s:%d: %s", path, err.line, err.text);
	}
}

void answers_free(void)
{
	json_decref(names);
	for (size_t i = 0; i < NEUTRON_LISTS_COUNT; i++)
		json_decref(answers[i]);
}

static json_t *objects(enum neutron_list list)
{
	return json_object_get(answers[list], neutron_list_key(list));
}

static size_t place_of(enum neutron_list list, const char *id)
{
	json_t *one;
	size_t i;

	json_array_foreach(objects(list), i, one)
	{
		if (strncmp(json_string_value(json_object_get(one, "id")), id, strlen(id)) == 0)
			return i;
	}
	cr_assert_fail("nothing with the id %s…", id);
	return 0;
}

void forget_names(void)
{
	json_object_clear(names);
}

json_t *object(enum neutron_list list, const char *id)
{
	return json_array_get(objects(list), place_of(list, id));
}

static json_t *parse(const char *text)
{
	char *copy = xstrdup(text);
	json_error_t err;
	json_t *json;

	for (char *c = copy; (c = strchr(c, '\''));)
		*c = '"';
	json = json_loads(copy, JSON_DECODE_ANY, &err);
	cr_assert(json, "%s: %s", copy, err.text);
	free(copy);
	return json;
}

void change(enum neutron_list list, const char *id, const char *fields)
{
	json_t *json = parse(fields);

	json_object_update(object(list, id), json);
	json_decref(json);
}

void copy(enum neutron_list list, const char *like, const char *id, const char *fields)
{
	json_t *json = json_deep_copy(object(list, like)), *changed = parse(fields);

	json_object_update_new(json, changed);
	json_object_set_new(json, "id", json_sprintf("%s-0000-4000-8000-000000000000", id));
	json_array_append_new(objects(list), json);
}

void drop(enum neutron_list list, const char *id)
{
	json_array_remove(objects(list), place_of(list, id));
}

void take_all(struct inventory *inv)
{
	struct error err = { 0 };

	memset(inv, 0, sizeof(*inv));
	inv->agent = "10000033-0033-4000-8000-000000000033";
	for (int i = 0; i < NEUTRON_LISTS_COUNT; i++)
		cr_assert_eq(inventory_take(inv, i, answers[i], &err), 0, "%s", err.text);
	inventory_sort(inv);
}

static char *written(const struct model *m)
{
	struct error err = { 0 };
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	cr_assert_eq(definitions_write(m, f, &err), 0, "%s", err.text);
	fclose(f);
	return text;
}

/* It is a definitions file, and says the same when it is read. */
static void expect_valid(const char *yaml)
{
	_cleanup_model_ struct model back = { 0 };
	_cleanup_free_ char *again = NULL;
	struct config_errors errors;

	if (config_parse(yaml, strlen(yaml), "made.yaml", &back, &errors))
		cr_assert_fail("%s\n%s", errors.list.v[0], yaml);
	config_errors_free(&errors);
	model_sort(&back);
	again = written(&back);
	cr_assert_str_eq(again, yaml);
}

static char *lines(const struct neutron_findings *f)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	vec_each (line, &f->list)
		fprintf(to, "%s\n", *line);
	fclose(to);
	return text;
}

static int make_model(const char *host, struct model *m, struct neutron_findings *findings,
		      struct error *err)
{
	_cleanup_inventory_ struct inventory inv = { 0 };

	take_all(&inv);
	inv.ovn = with_ovn;
	inv.ovn_ends = ovn_ends;
	return neutron_definitions(&inv, host, names, m, findings, err);
}

/* What most tests are not about. */
static char *without_macs(const char *yaml)
{
	static const char begins[] = ", mac: \"";
	char *text = xstrdup(yaml), *at = text;

	while ((at = strstr(at, begins))) {
		size_t n = strlen(begins) + MAC_TEXT;

		memmove(at, at + n, strlen(at + n) + 1);
	}
	return text;
}

struct made make(void)
{
	return make_for("node1");
}

struct made make_for(const char *host)
{
	_cleanup_neutron_findings_ struct neutron_findings findings = { 0 };
	_cleanup_model_ struct model m = { 0 };
	struct error err = { 0 };
	struct made made;

	cr_assert_eq(make_model(host, &m, &findings, &err), 0, "%s", err.text);
	made.whole = written(&m);
	made.findings = lines(&findings);
	expect_valid(made.whole);
	made.yaml = without_macs(made.whole);
	return made;
}

static bool take_if_good(struct inventory *inv, struct error *err)
{
	for (int i = 0; i < NEUTRON_LISTS_COUNT; i++) {
		if (inventory_take(inv, i, answers[i], err))
			return false;
	}
	inventory_sort(inv);
	return true;
}

bool make_if_any(void)
{
	_cleanup_neutron_findings_ struct neutron_findings findings = { 0 };
	_cleanup_inventory_ struct inventory inv = { 0 };
	_cleanup_model_ struct model m = { 0 };
	const struct addr_list none = { 0 };
	const struct model nobody = { 0 };
	_cleanup_free_ char *yaml = NULL;
	struct error err = { 0 };

	if (!take_if_good(&inv, &err) ||
	    neutron_definitions(&inv, "node1", names, &m, &findings, &err)) {
		cr_assert(err.set && *err.text);
		return false;
	}
	yaml = written(&m);
	expect_valid(yaml);
	cr_expect_eq(ipam_assign(&m, &nobody, &none, &err), 0, "%s\n%s", err.text, yaml);
	return true;
}

struct error make_fails(void)
{
	_cleanup_neutron_findings_ struct neutron_findings findings = { 0 };
	_cleanup_model_ struct model m = { 0 };
	struct error err = { 0 };

	cr_assert_eq(make_model("node1", &m, &findings, &err), -1);
	cr_assert(err.set && err.usage);
	cr_assert(!m.tenants.v && !m.subnets.v);
	return err;
}

void made_free(struct made *m)
{
	free(m->whole);
	free(m->yaml);
	free(m->findings);
}

void expect_in(const char *text, const char *part)
{
	cr_expect(strstr(text, part), "`%s` is not in:\n%s", part, text);
}

void expect_not_in(const char *text, const char *part)
{
	cr_expect(!strstr(text, part), "`%s` is in:\n%s", part, text);
}

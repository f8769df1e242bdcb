/* SPDX-License-Identifier: GPL-2.0-only */
/* The verdict: what is well, and what is said when it is not. */
#include <criterion/criterion.h>

#include "../fixture.h"
#include "doctor/doctor_internal.h"
#include "doctor/examine.h"
#include "model/standing.h"

static struct examination e;

static void setup(void)
{
	e = (struct examination){ 0 };
	e.model = model_of("net 100.64.0.0/16; tenant blue id=2; router id=2;"
			   "tenant far id=3; tenant red id=1; router id=1;");
	e.kernel = kernel_state_of("router 1 red; router 2 blue;");
}

static void teardown(void)
{
	examination_free(&e);
}

TestSuite(examine, .init = setup, .fini = teardown);

static void find(const char *tenant, enum finding_id id, enum severity severity)
{
	e.findings.tenant = tenant;
	diagnosis_add(&e.findings, id, severity, NULL, "seen");
	e.findings.tenant = NULL;
}

static char *verdict(const struct scope *scope)
{
	struct error err = { 0 };

	return strdup(examination_judge(&e, scope, &err) ? err.text : "well");
}

#define NOT_WELL "; `tenantnat doctor` has all that was found"

Test(examine, all_is_well)
{
	find("red", FINDING_MTU, SEVERITY_WARNING);
	find(NULL, FINDING_JIT, SEVERITY_UNCHECKED);
	expect_text(verdict(NULL), "well", "warnings do not count");
}

Test(examine, problems)
{
	char *const red[] = { "red" }, *const blue[] = { "blue" };
	const struct scope of_red = { red, 1 }, of_blue = { blue, 1 };

	find("red", FINDING_ROUTES, SEVERITY_PROBLEM);
	find("red", FINDING_MTU, SEVERITY_PROBLEM);
	cr_expect_eq(examination_problems(&e, "red"), 2);
	cr_expect_eq(examination_unwell(&e, NULL), 1);
	expect_text(verdict(NULL), "not well: 1 tenant" NOT_WELL, "of all");
	expect_text(verdict(&of_red), "not well: 1 tenant" NOT_WELL, "of red");
	expect_text(verdict(&of_blue), "well", "of blue");
	find(NULL, FINDING_DRIFT, SEVERITY_PROBLEM);
	expect_text(verdict(&of_blue), "not well: the machine has 1 problem" NOT_WELL,
		    "the machine is everybody's");
}

Test(examine, routers)
{
	e.model.tenants.v[0].router->detached = true;
	expect_text(verdict(NULL), "not well: 1 tenant" NOT_WELL, "detached");
	e.model.tenants.v[0].router->detached = false;
	e.kernel.routers.v[0].standby = true;
	cr_expect(examination_is_well(&e, &e.model.tenants.v[2]), "a standby");
	e.kernel.routers.v[0].broken = true;
	cr_expect_not(examination_is_well(&e, &e.model.tenants.v[2]), "broken");
	e.kernel.routers.n = 0;
	expect_text(verdict(NULL), "not well: 2 tenants" NOT_WELL, "missing");
	cr_expect(examination_is_well(&e, &e.model.tenants.v[1]), "elsewhere");
}

/* What is not known is not well. */
Test(examine, unknown)
{
	find(NULL, FINDING_DRIFT, SEVERITY_UNCHECKED);
	expect_text(verdict(NULL), "cannot tell whether all is well: seen", "somebody changes it");
	error_set(&e.report.state_error, "it is damaged");
	expect_text(verdict(NULL), "cannot tell what is to be: it is damaged", "no state");
}

Test(examine, nothing_applied)
{
	examination_free(&e);
	e = (struct examination){ 0 };
	expect_text(verdict(NULL), "nothing was applied on this host yet; run `tenantnat apply`",
		    "before the first apply");
}

Test(examine, standings)
{
	const struct tenant *blue = &e.model.tenants.v[0], *far = &e.model.tenants.v[1];
	struct router_row row = { .id = 2 };

	cr_expect_str_eq(standing_name(standing_of(far, NULL)), "elsewhere");
	cr_expect_str_eq(standing_name(standing_of(blue, NULL)), "missing");
	cr_expect_str_eq(standing_name(standing_of(blue, &row)), "attached");
	row.standby = true;
	cr_expect_str_eq(standing_name(standing_of(blue, &row)), "standby");
	row.broken = true;
	cr_expect_str_eq(standing_name(standing_of(blue, &row)), "broken");
	blue->router->detached = true;
	cr_expect_str_eq(standing_name(standing_of(blue, NULL)), "detached");
}

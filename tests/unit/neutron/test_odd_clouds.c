/* SPDX-License-Identifier: GPL-2.0-only */
/* Whatever Neutron answers, within the form of it: definitions are valid, or refused with a reason.
 */
#include "../fixture.h"
#include "neutron_fixture.h"

TestSuite(neutron_odd, .init = answers_read, .fini = answers_free);

static json_t *any(struct dice *d, json_t *list)
{
	return json_array_get(list, roll(d, (uint32_t)json_array_size(list)));
}

/* The name of one of its fields. */
static const char *any_field(struct dice *d, json_t *object)
{
	uint32_t n = roll(d, (uint32_t)json_object_size(object));
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		if (!n--)
			return key;
	}
	return "";
}

static const char *const pools[] = { "tenantnat:pool=100.96.1.0/31", "tenantnat:pool=100.96.1.0/32",
				     "tenantnat:pool=100.96.1.1/32", "tenantnat:pool=100.96.0.0/30",
				     "tenantnat:pool=100.96.1.0/24", "other" };

/* One object gets a field of another, is there once more, or goes. */
static void disturb(struct dice *d, uint32_t number)
{
	int list = (int)roll(d, NEUTRON_LISTS_COUNT);
	json_t *objects = json_object_get(answers[list], neutron_list_key(list)), *one, *other;
	const char *field;

	if (!json_array_size(objects))
		return;
	if (list == NEUTRON_ROUTERS && chance(d, 50)) {
		json_object_set_new(
			any(d, objects), "tags",
			json_pack("[s, s]", "tenantnat", pools[roll(d, ARRAY_SIZE(pools))]));
		return;
	}
	one = any(d, objects);
	other = any(d, objects);
	field = any_field(d, one);
	if (chance(d, 15)) {
		json_array_remove(objects, roll(d, (uint32_t)json_array_size(objects)));
	} else if (chance(d, 20)) {
		one = json_deep_copy(one);
		json_object_set_new(one, "id",
				    json_sprintf("%08x-0000-4000-8000-000000000000", number));
		json_array_append_new(objects, one);
	} else if (chance(d, 3)) {
		json_object_del(one, field);
	} else {
		json_object_set(one, field, json_object_get(other, field));
	}
}

Test(neutron_odd, clouds_by_chance)
{
	struct dice d = { 1 };
	size_t good = 0;

	for (uint32_t i = 0; i < 500; i++) {
		answers_free();
		answers_read();
		for (uint32_t n = 1 + roll(&d, 12); n > 0; n--)
			disturb(&d, i << 8 | n);
		good += make_if_any();
	}
	cr_expect_gt(good, 100, "%zu", good);
}

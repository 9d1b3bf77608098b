/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include "exporter/resource_pack.h"
#include "guard.h"

static struct resource resource, copy;
static char packed[RESOURCE_PACKED_MAX];

static size_t pack_some(void)
{
	char *envp[] = { "OTEL_SERVICE_NAME=shop",
			 "OTEL_RESOURCE_ATTRIBUTES=team=caf%C3%A9,empty=", NULL };

	resource_detect(&resource, envp);
	return resource_pack(&resource, packed, sizeof(packed));
}

Test(resource_pack, comes_out_as_it_went_in)
{
	size_t n = pack_some();

	cr_assert(resource_unpack(&copy, (struct bytes){ packed, n }));
	cr_assert_eq(copy.count, resource.count);
	for (size_t i = 0; i < copy.count; i++) {
		const struct resource_attribute *a = &resource.attributes[i];
		const struct resource_attribute *b = &copy.attributes[i];

		cr_assert(bytes_equal(a->key, b->key));
		cr_assert_eq(a->value.p == NULL, b->value.p == NULL);
		cr_assert(bytes_equal(a->value, b->value));
		cr_assert_eq(a->number, b->number);
	}
}

Test(resource_pack, is_refused_when_it_is_cut_anywhere_but_between_attributes)
{
	size_t n = pack_some(), accepted = 0;

	for (size_t cut = 0; cut < n; cut++) {
		struct bytes b = guard_copy(packed, cut);

		accepted += resource_unpack(&copy, b);
		guard_free(b);
	}
	cr_assert_lt(accepted, resource.count);
}

Test(resource_pack, holds_against_bytes_of_anybody)
{
	size_t n = pack_some();

	srand(1);
	for (int round = 0; round < 20000; round++) {
		struct bytes b = guard_copy(packed, n);

		for (int i = 0; i < 3; i++)
			((char *)b.p)[(size_t)rand() % n] = (char)rand();
		resource_unpack(&copy, b);
		cr_assert_leq(copy.used, sizeof(copy.text));
		guard_free(b);
	}
}

Test(resource_pack, writes_whole_attributes_only_where_room_is_short)
{
	size_t n = pack_some();

	for (size_t room = 0; room < n; room += 7) {
		size_t some = resource_pack(&resource, packed, room);

		cr_assert_leq(some, room);
		resource_unpack(&copy, (struct bytes){ packed, some });
		cr_assert_lt(copy.count, resource.count);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include "guard.h"
#include "shim/wire/traceparent.h"

static char room[BAGGAGE_MAX + 512];

static const char *combined(const char *first, const char *second)
{
	struct text t = TEXT_ON(room);
	unsigned members = 0;

	baggage_append(&t, guard_string(first), &members);
	if (second)
		baggage_append(&t, guard_string(second), &members);
	return text_string(&t);
}

static const char *one(const char *header)
{
	return combined(header, NULL);
}

Test(baggage, keeps_members_in_order_over_several_headers)
{
	cr_assert_str_eq(one("a=1,b=2"), "a=1,b=2");
	cr_assert_str_eq(combined("a=1", "b=2,c=3"), "a=1,b=2,c=3");
	cr_assert_str_eq(combined("", "b=2"), "b=2");
}

Test(baggage, keeps_properties)
{
	cr_assert_str_eq(one("key1=value1;property1;property2, key2 = value2, key3=value3; p=x"),
			 "key1=value1;property1;property2,key2=value2,key3=value3;p=x");
}

Test(baggage, keeps_percent_encoding_and_equals_signs)
{
	cr_assert_str_eq(one("user=Am%C3%A9lie,q=a=b==,e="), "user=Am%C3%A9lie,q=a=b==,e=");
}

Test(baggage, writes_no_white_space_and_no_tab)
{
	cr_assert_str_eq(one("\ta\t=\t1\t;\tp\t=\tx\t,\tb=2"), "a=1;p=x,b=2");
}

Test(baggage, leaves_out_members_that_are_not_well_formed)
{
	static const char *const bad[] = { "noequals", "=1",     "k k=1",      "k=a b",
					   "k=\"x\"",  "k=a\\b", "k=\xc3\xa9", "k=\x01",
					   "k=1;p p",  "k=1;",   "k(=1",       "k=a\rb" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[64];

		snprintf(text, sizeof(text), "a=1,%s,b=2", bad[i]);
		cr_assert_str_eq(one(text), "a=1,b=2", "%s", bad[i]);
	}
}

Test(baggage, takes_64_members_and_no_more)
{
	char text[1024], want[1024];
	size_t n = 0;

	for (int i = 0; i < 64; i++)
		n += (size_t)sprintf(text + n, "%sk%d=%d", i ? "," : "", i, i);
	strcpy(want, text);
	cr_assert_str_eq(one(text), want);
	strcpy(text + n, ",over=1");
	cr_assert_str_eq(one(text), want);
	cr_assert_str_eq(combined(want, "over=1"), want);
}

Test(baggage, takes_8192_bytes_and_whole_members_only)
{
	static char text[BAGGAGE_MAX + 2];

	memset(text, 'x', sizeof(text) - 1);
	memcpy(text, "a=", 2);
	text[BAGGAGE_MAX] = 0;
	cr_assert_eq(strlen(one(text)), BAGGAGE_MAX);
	text[BAGGAGE_MAX] = 'x';
	cr_assert_str_eq(one(text), "");
	cr_assert_str_eq(combined(text, "b=1"), "b=1");
}

Test(baggage, leaves_out_what_has_no_room)
{
	char small[8];
	struct text t = TEXT_ON(small);
	unsigned members = 0;

	baggage_append(&t, BYTES("a=1,long=member,b=2"), &members);
	cr_assert_str_eq(text_string(&t), "a=1,b=2");
	cr_assert_eq(members, 2);
}

Test(baggage, reads_nothing_past_any_cut)
{
	static const char text[] =
		" key1 = value1 ; property1;property2 , bad key=1, key2 = v%20;p=x ";

	for (size_t n = 0; n < sizeof(text); n++) {
		struct bytes b = guard_copy(text, n);
		struct text t = TEXT_ON(room);
		unsigned members = 0;

		baggage_append(&t, b, &members);
		guard_free(b);
	}
}

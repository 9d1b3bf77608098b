/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include "guard.h"
#include "shim/wire/traceparent.h"

static char room[TRACESTATE_MAX + 64];

/* What one or more headers become together, "!" when they must be discarded. */
static const char *combined(const char *first, const char *second)
{
	struct text t = TEXT_ON(room);
	unsigned members = 0;

	if (tracestate_append(&t, guard_string(first), &members))
		return "!";
	if (second && tracestate_append(&t, guard_string(second), &members))
		return "!";
	return text_string(&t);
}

static const char *one(const char *header)
{
	return combined(header, NULL);
}

/* "k<n>" repeated: a key of exactly n characters. */
static const char *with_key(const char *before, size_t n, const char *after)
{
	static char text[2048];
	size_t length = strlen(before);

	memcpy(text, before, length);
	memset(text + length, 'z', n);
	strcpy(text + length + n, after);
	return text;
}

Test(tracestate, keeps_members_in_order)
{
	cr_assert_str_eq(one("foo=1,bar=2"), "foo=1,bar=2");
	cr_assert_str_eq(combined("foo=1,bar=2", "rojo=1,congo=2"), "foo=1,bar=2,rojo=1,congo=2");
	cr_assert_str_eq(combined("foo=1,bar=2", "rojo=1"), "foo=1,bar=2,rojo=1");
}

Test(tracestate, accepts_empty_headers_and_skips_empty_members)
{
	cr_assert_str_eq(one(""), "");
	cr_assert_str_eq(combined("foo=1", ""), "foo=1");
	cr_assert_str_eq(combined("", "foo=1"), "foo=1");
	cr_assert_str_eq(one(",foo=1,,\t, bar=2,"), "foo=1,bar=2");
}

Test(tracestate, keeps_the_first_of_duplicated_keys)
{
	cr_assert_str_eq(one("foo=1,foo=1"), "foo=1");
	cr_assert_str_eq(one("foo=1,foo=2"), "foo=1");
	cr_assert_str_eq(combined("foo=1,food=3", "foo=2,fo=4"), "foo=1,food=3,fo=4");
}

Test(tracestate, takes_all_allowed_characters)
{
	char key[] = "abcdefghijklmnopqrstuvwxyz0123456789_-*/@";
	char value[256], text[512];
	size_t n = 0;

	for (char c = ' '; c <= '~'; c++)
		if (c != ',' && c != '=')
			value[n++] = c;
	value[n] = 0;
	snprintf(text, sizeof(text), "%s=%s", key, value);
	cr_assert_str_eq(one(text), text);
}

Test(tracestate, drops_white_space_around_members_but_not_before_values)
{
	cr_assert_str_eq(one("foo=1 \t , \t bar=2, \t baz=3"), "foo=1,bar=2,baz=3");
	cr_assert_str_eq(one(" foo=1"), "foo=1");
	cr_assert_str_eq(one("foo=1\t"), "foo=1");
	cr_assert_str_eq(one("foo=  1  ,bar=2"), "foo=  1,bar=2");
}

Test(tracestate, discards_all_for_an_illegal_key)
{
	static const char *const bad[] = { "foo =1", "FOO=1",         "foo.bar=1", "@foo=1,bar=2",
					   "=1",     "_a=1",          "-a=1",      "*a=1",
					   "foo",    "bar=2,foo\t=1", "bar=2,F=1", "foo\x80=1" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_str_eq(one(bad[i]), "!", "%s", bad[i]);
}

Test(tracestate, follows_the_level_2_key_grammar)
{
	static const char *const good[] = { "foo@=1,bar=2", "foo@@bar=1,bar=2",
					    "foo@bar@baz=1,bar=2", "0a=1", "9=1" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_assert_str_eq(one(good[i]), good[i]);
}

Test(tracestate, limits_the_length_of_keys)
{
	cr_assert_str_eq(one(with_key("foo=1,", 256, "=1")), with_key("foo=1,", 256, "=1"));
	cr_assert_str_eq(one(with_key("foo=1,", 257, "=1")), "!");
	cr_assert_str_eq(one(with_key("t", 241, "@v=1")), with_key("t", 241, "@v=1"));
}

Test(tracestate, limits_the_length_of_values)
{
	cr_assert_neq(one(with_key("foo=", 256, ""))[0], '!');
	cr_assert_str_eq(one(with_key("bar=1,foo=", 257, "")), "!");
}

Test(tracestate, discards_all_for_an_illegal_value)
{
	static const char *const bad[] = { "foo=bar=baz",      "foo=,bar=3", "bar=3,foo=",
					   "foo= ,bar=3",      "foo=\x7f",   "foo=a\x01",
					   "foo=\xc3\xa9,b=1", "foo=a\tb",   "a=1,\r\n b=2" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_str_eq(one(bad[i]), "!", "%s", bad[i]);
}

Test(tracestate, takes_32_members_and_discards_all_33)
{
	char text[512];
	size_t n = 0;

	for (int i = 0; i < 32; i++)
		n += (size_t)sprintf(text + n, "%sbar%02d=%02d", i ? "," : "", i, i);
	cr_assert_str_eq(one(text), text);
	cr_assert_str_eq(combined(text, "bar33=33"), "!");
	cr_assert_str_eq(combined("bar33=33", text), "!");
	sprintf(text + n, ",bar32=32");
	cr_assert_str_eq(one(text), "!");
}

Test(tracestate, discards_what_has_no_room)
{
	char small[8];
	struct text t = TEXT_ON(small);
	unsigned members = 0;

	cr_assert_eq(tracestate_append(&t, BYTES("foo=1"), &members), 0);
	cr_assert_neq(tracestate_append(&t, BYTES("bar=2"), &members), 0);
}

Test(tracestate, reads_nothing_past_any_cut)
{
	static const char text[] = " foo=1 \t, bar@x=  2,,baz/0=3,foo=4 , qux=~";

	for (size_t n = 0; n < sizeof(text); n++) {
		struct bytes b = guard_copy(text, n);
		struct text t = TEXT_ON(room);
		unsigned members = 0;

		tracestate_append(&t, b, &members);
		guard_free(b);
	}
}

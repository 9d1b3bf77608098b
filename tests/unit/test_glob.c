/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include "guard.h"
#include "shim/wire/url.h"

static bool matches(const char *pattern, const char *text)
{
	return glob_match(guard_string(pattern), guard_string(text), false);
}

Test(glob, matches_literally_without_wildcards)
{
	cr_assert(matches("/healthz", "/healthz"));
	cr_assert_not(matches("/healthz", "/healthz/"));
	cr_assert_not(matches("/healthz", "/health"));
	cr_assert_not(matches("/healthz", "/Healthz"));
	cr_assert(matches("", ""));
	cr_assert_not(matches("", "a"));
	cr_assert_not(matches("a", ""));
}

Test(glob, star_stands_for_any_run_even_of_slashes)
{
	cr_assert(matches("*", ""));
	cr_assert(matches("*", "/a/b"));
	cr_assert(matches("/metrics*", "/metrics"));
	cr_assert(matches("/metrics*", "/metrics/a/b"));
	cr_assert(matches("*.example.com", "a.b.example.com"));
	cr_assert_not(matches("*.example.com", "example.com"));
	cr_assert(matches("a*b*c", "aXbXbYc"));
	cr_assert_not(matches("a*b*c", "aXcXb"));
	cr_assert(matches("**a**", "xax"));
	cr_assert(matches("*aab", "aaaaab"));
}

Test(glob, question_mark_stands_for_one_character)
{
	cr_assert(matches("/v?/x", "/v1/x"));
	cr_assert_not(matches("/v?/x", "/v/x"));
	cr_assert_not(matches("?", ""));
	cr_assert(matches("*?", "a"));
}

Test(glob, ignores_case_only_when_asked)
{
	cr_assert(glob_match(BYTES("*.Example.COM"), BYTES("a.eXample.com"), true));
	cr_assert_not(glob_match(BYTES("*.Example.COM"), BYTES("a.eXample.com"), false));
}

Test(glob, never_takes_exponential_time)
{
	char pattern[64], text[4096];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	for (int i = 0; i < 30; i++)
		memcpy(pattern + 2 * i, "*a", 2);
	strcpy(pattern + 60, "b");
	cr_assert_not(matches(pattern, text));
}

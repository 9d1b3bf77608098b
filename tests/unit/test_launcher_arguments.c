/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include "launcher/command.h"

static const struct verb_option options[] = {
	{ "follow", NULL, "", 'f' },
	{ "trace-id", "ID", "", 't' },
	{ "min-spans", "N", "", 0 },
	{ 0 },
};
static const struct verb verb = {
	.name = "test", .arguments = "", .summary = "", .options = options, .usage_status = 2
};

#define ARGUMENTS(...)                                                                   \
	((struct arguments){ .verb = &verb,                                              \
			     .argc = sizeof((char *[]){ __VA_ARGS__ }) / sizeof(char *), \
			     .argv = (char *[]){ __VA_ARGS__ } })

Test(arguments, take_values_in_both_forms)
{
	struct arguments a = ARGUMENTS("test", "--trace-id", "x", "--trace-id=y", "-tz", "-t", "w");
	static const char *const want[] = { "x", "y", "z", "w" };

	for (int i = 0; i < 4; i++) {
		cr_assert_eq(arguments_next(&a), 1);
		cr_assert_str_eq(a.value, want[i]);
	}
	cr_assert_eq(arguments_next(&a), ARGUMENT_END);
	cr_assert_eq(arguments_next(&a), ARGUMENT_END);
}

Test(arguments, mix_options_and_operands_until_two_dashes)
{
	struct arguments a = ARGUMENTS("test", "file", "-ft", "1", "-", "--", "--follow");

	cr_assert_eq(arguments_next(&a), ARGUMENT_OPERAND);
	cr_assert_str_eq(a.value, "file");
	cr_assert_eq(arguments_next(&a), 0);
	cr_assert_eq(arguments_next(&a), 1);
	cr_assert_str_eq(a.value, "1");
	cr_assert_eq(arguments_next(&a), ARGUMENT_OPERAND);
	cr_assert_str_eq(a.value, "-");
	cr_assert_eq(arguments_next(&a), ARGUMENT_OPERAND);
	cr_assert_str_eq(a.value, "--follow");
	cr_assert_eq(arguments_next(&a), ARGUMENT_END);
}

Test(arguments, stop_at_mistakes)
{
	struct arguments wrong[] = {
		ARGUMENTS("test", "--folow"),      ARGUMENTS("test", "-x"),
		ARGUMENTS("test", "--trace-id"),   ARGUMENTS("test", "-t"),
		ARGUMENTS("test", "--follow=yes"), ARGUMENTS("test", "--=x"),
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		cr_assert_eq(arguments_next(&wrong[i]), ARGUMENT_STOP, "case %zu", i);
		cr_assert_eq(wrong[i].status, 2);
	}
}

Test(arguments, know_what_was_meant)
{
	static const char *const names[] = { "follow", "trace-id", "min-spans", "no-errors", NULL };

	cr_assert_str_eq(closest_name("folow", names, sizeof(names[0])), "follow");
	cr_assert_str_eq(closest_name("traceid", names, sizeof(names[0])), "trace-id");
	cr_assert_str_eq(closest_name("no-error", names, sizeof(names[0])), "no-errors");
	cr_assert_str_eq(closest_name("min", names, sizeof(names[0])), "min-spans");
	cr_assert_null(closest_name("colour", names, sizeof(names[0])));
	cr_assert_null(closest_name("x", names, sizeof(names[0])));
}

Test(arguments, measure_words)
{
	cr_assert_eq(word_distance("", ""), 0);
	cr_assert_eq(word_distance("", "abc"), 3);
	cr_assert_eq(word_distance("kitten", "sitting"), 3);
	cr_assert_eq(word_distance("OTEL_SERVICE_NMAE", "OTEL_SERVICE_NAME"), 2);
}

Test(arguments, read_seconds)
{
	cr_assert_eq(parse_seconds("0"), 0);
	cr_assert_eq(parse_seconds("1.5"), 1500);
	cr_assert_lt(parse_seconds(""), 0);
	cr_assert_lt(parse_seconds("-1"), 0);
	cr_assert_lt(parse_seconds("1s"), 0);
	cr_assert_lt(parse_seconds("nan"), 0);
	cr_assert_lt(parse_seconds("1e99"), 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include "guard.h"
#include "shim/wire/traceparent.h"

#define TRACE "80f198ee56343ba864fe8b2a57d3eff7"
#define SPAN  "e457b5a2e4d86bd1"

static struct span_context context;
static bool debug;

static int parse(const char *value)
{
	struct bytes b = guard_string(value);
	int err = jaeger_parse(&context, &debug, b);

	guard_free(b);
	return err;
}

static const char *formatted(void)
{
	static char room[80];
	struct text t = TEXT_ON(room);

	jaeger_format(&t, &context, debug);
	return text_string(&t);
}

Test(jaeger, parses_and_formats)
{
	cr_assert_eq(parse(TRACE ":" SPAN ":0:1"), 0);
	cr_assert_eq(context.flags, TRACE_FLAG_SAMPLED);
	cr_assert_not(debug);
	cr_assert_str_eq(formatted(), TRACE ":" SPAN ":0:1");
	cr_assert_eq(parse(TRACE ":" SPAN ":05e3ac9a4f6e3b90:0"), 0);
	cr_assert_str_eq(formatted(), TRACE ":" SPAN ":0:0");
	cr_assert_eq(parse(TRACE ":" SPAN ":0:03"), 0);
	cr_assert(debug);
	cr_assert_str_eq(formatted(), TRACE ":" SPAN ":0:3");
}

Test(jaeger, takes_debug_only_with_sampled)
{
	cr_assert_eq(parse(TRACE ":" SPAN ":0:2"), 0);
	cr_assert_not(debug);
	cr_assert_eq(context.flags, 0);
}

Test(jaeger, pads_short_ids_on_the_left)
{
	cr_assert_eq(parse("1:2::1"), 0);
	cr_assert_str_eq(formatted(), "00000000000000000000000000000001:0000000000000002:0:1");
	cr_assert_eq(parse("abc:" SPAN ":0:9"), 0);
	cr_assert_str_eq(formatted(), "00000000000000000000000000000abc:" SPAN ":0:1");
}

Test(jaeger, decodes_percent_encoding)
{
	cr_assert_eq(parse(TRACE "%3A" SPAN "%3a0%3A1"), 0);
	cr_assert_str_eq(formatted(), TRACE ":" SPAN ":0:1");
	cr_assert_neq(parse(TRACE "%3" SPAN ":0:1"), 0);
	cr_assert_neq(parse(TRACE ":" SPAN ":0:1%"), 0);
	cr_assert_neq(parse(TRACE ":" SPAN ":0:%3"), 0);
}

Test(jaeger, rejects_what_is_not_a_context)
{
	static const char *const bad[] = { "",
					   ":::",
					   "0:" SPAN ":0:1",
					   TRACE ":0:0:1",
					   TRACE ":" SPAN ":0",
					   TRACE ":" SPAN ":0:",
					   TRACE ":" SPAN ":0:100",
					   TRACE ":" SPAN ":0:1:1",
					   TRACE "0:" SPAN ":0:1",
					   TRACE ":" SPAN "0:0:1",
					   TRACE ":" SPAN ":0:g",
					   "x:" SPAN ":0:1" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_neq(parse(bad[i]), 0, "%s", bad[i]);
}

Test(jaeger, reads_nothing_past_any_cut)
{
	static const char text[] = TRACE "%3A" SPAN "%3A0%3A01";

	for (size_t n = 0; n < sizeof(text); n++) {
		struct bytes b = guard_copy(text, n);

		jaeger_parse(&context, &debug, b);
		guard_free(b);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include "guard.h"
#include "shim/wire/traceparent.h"

#define TRACE  "80f198ee56343ba864fe8b2a57d3eff7"
#define SHORT  "64fe8b2a57d3eff7"
#define SPAN   "e457b5a2e4d86bd1"
#define PARENT "05e3ac9a4f6e3b90"

static struct span_context context;
static enum b3_state state;
static bool state_only;

static int single(const char *value)
{
	struct bytes b = guard_string(value);
	int err = b3_parse(&context, &state, &state_only, b);

	guard_free(b);
	return err;
}

static int multi(const char *trace, const char *span, const char *sampled, const char *flags)
{
	return b3_parse_multi(&context, &state, guard_string(trace), guard_string(span),
			      guard_string(sampled), guard_string(flags));
}

static const char *formatted(bool debug)
{
	static char room[80];
	struct text t = TEXT_ON(room);

	b3_format(&t, &context, debug);
	return text_string(&t);
}

Test(b3, parses_ids_with_each_state)
{
	cr_assert_eq(single(TRACE "-" SPAN "-1-" PARENT), 0);
	cr_assert_eq(state, B3_ACCEPT);
	cr_assert_eq(context.flags, TRACE_FLAG_SAMPLED);
	cr_assert_not(state_only);
	cr_assert_str_eq(formatted(false), TRACE "-" SPAN "-1");

	cr_assert_eq(single(TRACE "-" SPAN "-0"), 0);
	cr_assert_eq(state, B3_DENY);
	cr_assert_eq(context.flags, 0);
	cr_assert_str_eq(formatted(false), TRACE "-" SPAN "-0");

	cr_assert_eq(single(TRACE "-" SPAN "-d"), 0);
	cr_assert_eq(state, B3_DEBUG);
	cr_assert_eq(context.flags, TRACE_FLAG_SAMPLED);
	cr_assert_str_eq(formatted(true), TRACE "-" SPAN "-d");

	cr_assert_eq(single(" " TRACE "-" SPAN "\t"), 0);
	cr_assert_eq(state, B3_DEFER);
}

Test(b3, pads_64_bit_trace_ids_on_the_left)
{
	cr_assert_eq(single(SHORT "-" SPAN "-1"), 0);
	cr_assert_str_eq(formatted(false), "0000000000000000" SHORT "-" SPAN "-1");
}

Test(b3, takes_a_state_alone)
{
	static const struct {
		const char *value;
		enum b3_state state;
	} cases[] = { { "0", B3_DENY }, { "1", B3_ACCEPT }, { "d", B3_DEBUG } };

	for (size_t i = 0; i < 3; i++) {
		cr_assert_eq(single(cases[i].value), 0);
		cr_assert(state_only);
		cr_assert_eq(state, cases[i].state);
		cr_assert_not(trace_id_valid(context.trace_id));
	}
}

Test(b3, rejects_what_is_not_b3)
{
	static const char *const bad[] = { "",
					   "2",
					   "x",
					   "-",
					   TRACE,
					   TRACE "-",
					   TRACE "-" SPAN "-",
					   TRACE "-" SPAN "-2",
					   TRACE "-" SPAN "-11",
					   TRACE "-" SPAN "-1-",
					   TRACE "-" SPAN "-1-" PARENT "-1",
					   TRACE "-" SPAN "-1-x5e3ac9a4f6e3b90",
					   "0" TRACE "-" SPAN "-1",
					   "80F198ee56343ba864fe8b2a57d3eff7-" SPAN "-1",
					   "00000000000000000000000000000000-" SPAN "-1",
					   "0000000000000000-" SPAN "-1",
					   TRACE "-0000000000000000-1" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_neq(single(bad[i]), 0, "%s", bad[i]);
}

Test(b3, parses_the_multi_headers)
{
	cr_assert_eq(multi(TRACE, SPAN, "1", ""), 0);
	cr_assert_eq(state, B3_ACCEPT);
	cr_assert_str_eq(formatted(false), TRACE "-" SPAN "-1");
	cr_assert_eq(multi(SHORT, SPAN, "False", ""), 0);
	cr_assert_eq(state, B3_DENY);
	cr_assert_eq(multi(TRACE, SPAN, "true", ""), 0);
	cr_assert_eq(state, B3_ACCEPT);
	cr_assert_eq(multi(TRACE, SPAN, "", ""), 0);
	cr_assert_eq(state, B3_DEFER);
	cr_assert_eq(multi(TRACE, SPAN, "0", "1"), 0);
	cr_assert_eq(state, B3_DEBUG);
	cr_assert_eq(context.flags, TRACE_FLAG_SAMPLED);
}

Test(b3, takes_a_decision_without_ids_from_the_multi_headers)
{
	cr_assert_eq(multi("", "", "0", ""), 0);
	cr_assert_eq(state, B3_DENY);
	cr_assert_not(trace_id_valid(context.trace_id));
	cr_assert_eq(multi("", "", "", "1"), 0);
	cr_assert_eq(state, B3_DEBUG);
}

Test(b3, rejects_half_and_broken_multi_headers)
{
	cr_assert_neq(multi(TRACE, "", "1", ""), 0);
	cr_assert_neq(multi("", SPAN, "1", ""), 0);
	cr_assert_neq(multi("", "", "", ""), 0);
	cr_assert_neq(multi("", "", "maybe", "0"), 0);
	cr_assert_neq(multi("zz", SPAN, "1", ""), 0);
	cr_assert_neq(multi(TRACE, "0000000000000000", "1", ""), 0);
}

Test(b3, reads_nothing_past_any_cut)
{
	static const char text[] = TRACE "-" SPAN "-1-" PARENT;

	for (size_t n = 0; n < sizeof(text); n++) {
		struct bytes b = guard_copy(text, n);
		bool whole = n == 32 + 1 + 16 || n == 32 + 1 + 16 + 2 || n == sizeof(text) - 1;

		cr_assert_eq(b3_parse(&context, &state, &state_only, b) == 0, whole, "%zu", n);
		guard_free(b);
	}
}

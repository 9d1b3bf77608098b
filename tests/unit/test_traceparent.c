/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <time.h>
#include <stdio.h>
#include "guard.h"
#include "shim/wire/traceparent.h"

#define TRACE "12345678901234567890123456789012"
#define SPAN  "1234567890123456"
#define GOOD  "00-" TRACE "-" SPAN "-01"

static bool accepts(const char *value)
{
	struct span_context c, untouched;
	struct bytes b = guard_string(value);
	int err;

	memset(&c, 0xa5, sizeof(c));
	untouched = c;
	err = traceparent_parse(&c, b);
	guard_free(b);
	if (err)
		cr_assert_eq(memcmp(&c, &untouched, sizeof(c)), 0, "written on failure: %s", value);
	return err == 0;
}

static struct span_context parsed(const char *value)
{
	struct span_context c;

	cr_assert_eq(traceparent_parse(&c, guard_string(value)), 0, "%s", value);
	return c;
}

Test(traceparent, parses_the_example_of_the_specification)
{
	static const uint8_t trace[16] = { 0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd,
					   0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c };
	static const uint8_t span[8] = { 0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31 };
	struct span_context c = parsed("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");

	cr_assert_eq(memcmp(c.trace_id, trace, 16), 0);
	cr_assert_eq(memcmp(c.span_id, span, 8), 0);
	cr_assert_eq(c.flags, TRACE_FLAG_SAMPLED);
}

Test(traceparent, formats_what_it_parsed)
{
	char text[TRACEPARENT_LEN + 1];
	struct span_context c = parsed(GOOD);

	traceparent_format(text, &c);
	cr_assert_str_eq(text, GOOD);
}

Test(traceparent, keeps_only_the_known_flag_bits)
{
	char text[TRACEPARENT_LEN + 1];
	struct span_context c = parsed("00-" TRACE "-" SPAN "-ff");

	cr_assert_eq(c.flags, TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM);
	c.flags = 0xff;
	traceparent_format(text, &c);
	cr_assert_str_eq(text, "00-" TRACE "-" SPAN "-03");
	cr_assert_eq(parsed("00-" TRACE "-" SPAN "-02").flags, TRACE_FLAG_RANDOM);
	cr_assert_eq(parsed("00-" TRACE "-" SPAN "-08").flags, 0);
}

/* The cases of the W3C working group's test suite, by its names. */
Test(traceparent, w3c_version_0x00)
{
	cr_assert(accepts(GOOD));
	cr_assert_not(accepts(GOOD "."));
	cr_assert_not(accepts(GOOD "-what-the-future-will-be-like"));
}

Test(traceparent, w3c_version_0xcc)
{
	cr_assert(accepts("cc-" TRACE "-" SPAN "-01"));
	cr_assert(accepts("cc-" TRACE "-" SPAN "-01-what-the-future-will-be-like"));
	cr_assert_not(accepts("cc-" TRACE "-" SPAN "-01.what-the-future-will-be-like"));
}

Test(traceparent, w3c_version_0xff_and_broken_versions)
{
	static const char *const bad[] = { "ff", ".0", "0.", "000", "0000", "0", "", "0G", "FE" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char value[128];

		snprintf(value, sizeof(value), "%s-" TRACE "-" SPAN "-01", bad[i]);
		cr_assert_not(accepts(value), "%s", value);
	}
}

Test(traceparent, rejects_all_zero_trace_id)
{
	cr_assert_not(accepts("00-00000000000000000000000000000000-" SPAN "-01"));
	cr_assert(accepts("00-00000000000000000000000000000001-" SPAN "-01"));
	cr_assert(accepts("00-10000000000000000000000000000000-" SPAN "-01"));
}

Test(traceparent, rejects_all_zero_parent_id)
{
	cr_assert_not(accepts("00-" TRACE "-0000000000000000-01"));
}

Test(traceparent, rejects_illegal_characters_in_any_field)
{
	cr_assert_not(accepts("00-.2345678901234567890123456789012-" SPAN "-01"));
	cr_assert_not(accepts("00-1234567890123456789012345678901.-" SPAN "-01"));
	cr_assert_not(accepts("00-" TRACE "-.234567890123456-01"));
	cr_assert_not(accepts("00-" TRACE "-123456789012345.-01"));
	cr_assert_not(accepts("00-" TRACE "-" SPAN "-.0"));
	cr_assert_not(accepts("00-" TRACE "-" SPAN "-0."));
	cr_assert_not(accepts("00-ABCDEF78901234567890123456789012-" SPAN "-01"));
	cr_assert_not(accepts("00-" TRACE "-ABCDEF7890123456-01"));
	cr_assert_not(accepts("00-" TRACE "-" SPAN "-0A"));
}

Test(traceparent, rejects_each_byte_that_is_not_what_must_stand_there)
{
	for (size_t at = 0; at < TRACEPARENT_LEN; at++) {
		for (int c = 0; c < 256; c++) {
			char value[] = GOOD;
			bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
			bool dash = at == 2 || at == 35 || at == 52;
			struct span_context out;
			bool ok;

			value[at] = (char)c;
			ok = traceparent_parse(&out, (struct bytes){ value, TRACEPARENT_LEN }) == 0;
			/* the first byte may also become white space, which makes it too short */
			cr_assert_eq(ok, dash ? c == '-' : hex, "byte %zu = %d", at, c);
		}
	}
}

Test(traceparent, rejects_fields_of_wrong_length)
{
	cr_assert_not(accepts("00-" TRACE "3-" SPAN "-01"));
	cr_assert_not(accepts("00-1234567890123456789012345678901-" SPAN "-01"));
	cr_assert_not(accepts("00-" TRACE "-" SPAN "7-01"));
	cr_assert_not(accepts("00-" TRACE "-123456789012345-01"));
	cr_assert_not(accepts("00-" TRACE "-" SPAN "-001"));
	cr_assert_not(accepts("00-" TRACE "-" SPAN "-1"));
	cr_assert_not(accepts("00-" TRACE "-" SPAN "-"));
	cr_assert_not(accepts("00-" TRACE "-" SPAN));
}

Test(traceparent, ignores_white_space_around_the_value)
{
	cr_assert(accepts(" " GOOD));
	cr_assert(accepts("\t" GOOD));
	cr_assert(accepts(GOOD " "));
	cr_assert(accepts(GOOD "\t"));
	cr_assert(accepts("\t " GOOD " \t"));
	cr_assert_not(accepts("00 -" TRACE "-" SPAN "-01"));
}

Test(traceparent, rejects_every_shorter_text)
{
	for (size_t n = 0; n < TRACEPARENT_LEN; n++) {
		struct bytes b = guard_copy(GOOD, n);
		struct span_context c;

		cr_assert_neq(traceparent_parse(&c, b), 0, "%zu bytes", n);
		guard_free(b);
	}
}

Test(traceparent, hex_takes_exactly_n_bytes_in_lower_case)
{
	uint8_t out[2] = { 7, 7 };

	cr_assert_eq(hex_parse(out, 2, guard_string("0f9a")), 0);
	cr_assert_eq(out[0], 0x0f);
	cr_assert_eq(out[1], 0x9a);
	cr_assert_neq(hex_parse(out, 2, guard_string("0f9")), 0);
	cr_assert_neq(hex_parse(out, 2, guard_string("0f9a0")), 0);
	cr_assert_neq(hex_parse(out, 2, guard_string("0F9a")), 0);
	cr_assert_eq(out[0], 0x0f);
}

/* Steps of eight bytes and what is left behind them; each place of a step with each byte. */
Test(traceparent, hex_comes_back_as_it_went)
{
	uint8_t in[19], out[19];
	char text[38];

	for (unsigned v = 0; v < 256; v++) {
		for (size_t i = 0; i < sizeof(in); i++)
			in[i] = (uint8_t)(v + 37 * i);
		for (size_t n = 0; n <= sizeof(in); n++) {
			struct bytes hex;

			cr_assert_eq(hex_format(text, in, n) - text, (ptrdiff_t)(2 * n));
			hex = guard_copy(text, 2 * n);
			cr_assert_eq(hex_parse(out, n, hex), 0);
			cr_assert_eq(memcmp(in, out, n), 0);
			guard_free(hex);
		}
	}
	cr_assert_eq(memcmp(text, "ff", 2), 0);
}

Test(traceparent, hex_knows_no_other_digits)
{
	uint8_t out[8];

	for (unsigned v = 0; v < 256; v++)
		for (size_t i = 0; i < 16; i++) {
			char text[16];
			bool digit = strchr("0123456789abcdef", (int)v) && v;

			memset(text, '5', sizeof(text));
			text[i] = (char)v;
			cr_assert_eq(hex_parse(out, 8, (struct bytes){ text, 16 }) == 0, digit,
				     "byte %u at %zu", v, i);
		}
}

#ifndef TAGALONG_SANITIZED
/* An order of magnitude above what it takes, so that only a change of kind fails on a busy machine.
 */
Test(traceparent, parses_in_tens_of_nanoseconds)
{
	struct timespec a, b;
	struct span_context c;
	unsigned sum = 0;
	double ns;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	for (int i = 0; i < 200000; i++) {
		traceparent_parse(&c, BYTES(GOOD));
		sum += c.flags;
		__asm__ volatile("" ::: "memory");
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	ns = ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / 200000;
	cr_log_info("traceparent_parse: %.1f ns", ns);
	cr_assert_eq(sum, 200000);
	cr_assert_lt(ns, 400);
}
#endif

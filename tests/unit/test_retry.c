/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include "exporter/complaint.h"
#include "exporter/retry.h"
#include "guard.h"

#define S   1000000000ull
#define NOW 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */

Test(retry, waits_grow_by_half_up_to_five_seconds)
{
	static const uint64_t expected_ms[] = { 1000, 1500, 2250, 3375, 5000, 5000, 5000 };
	struct retry r;

	retry_start(&r, NO_DEADLINE);
	for (unsigned i = 0; i < sizeof(expected_ms) / sizeof(expected_ms[0]); i++) {
		/* The middle of the spread: 2 * spread + 1 values, the middle one is `spread`. */
		uint64_t spread = r.backoff_ms / 5;

		cr_expect_eq(retry_next(&r, 7 * S, 0, spread), 7 * S + expected_ms[i] * 1000000);
		cr_expect_eq(r.attempts, i + 1);
	}
}

Test(retry, spreads_by_a_fifth_to_both_sides)
{
	uint64_t low = UINT64_MAX, high = 0;

	for (int i = 0; i < 10000; i++) {
		struct retry r;
		uint64_t at;

		retry_start(&r, NO_DEADLINE);
		at = retry_next(&r, 0, 0, (uint64_t)random() << 20 ^ (uint64_t)random());
		low = at < low ? at : low;
		high = at > high ? at : high;
	}
	cr_expect_geq(low, 800000000);
	cr_expect_leq(high, 1200000000);
	cr_expect_lt(low, 820000000);
	cr_expect_gt(high, 1180000000);
}

Test(retry, ends_when_the_next_attempt_would_be_past_the_budget)
{
	struct retry r;

	retry_start(&r, 10 * S);
	cr_expect_neq(retry_next(&r, 8 * S, 0, 0), 0);
	retry_start(&r, 10 * S);
	cr_expect_eq(retry_next(&r, 9500000000, 0, 0), 0);
	retry_start(&r, 10 * S);
	cr_expect_eq(retry_next(&r, 11 * S, 0, 0), 0);
}

Test(retry, does_what_the_server_asked_for_and_no_less)
{
	struct retry r;

	retry_start(&r, 10 * S);
	cr_expect_eq(retry_next(&r, 1 * S, 3000, 99), 4 * S);
	cr_expect_eq(retry_next(&r, 4 * S, 100, 99), 4 * S + 100000000);
	cr_expect_eq(retry_next(&r, 5 * S, 6000, 99), 0);
}

Test(retry, budget_is_the_shorter_limit_and_zero_is_none)
{
	cr_expect_eq(retry_deadline(S, 10000, 30000), 11 * S);
	cr_expect_eq(retry_deadline(S, 10000, 2000), 3 * S);
	cr_expect_eq(retry_deadline(S, 0, 2000), 3 * S);
	cr_expect_eq(retry_deadline(S, 2000, 0), 3 * S);
	cr_expect_eq(retry_deadline(S, 0, 0), NO_DEADLINE);
}

Test(retry, exactly_four_codes_are_retryable)
{
	for (int status = 100; status < 1000; status++)
		cr_expect_eq(retry_status(status),
			     status == 429 || status == 502 || status == 503 || status == 504);
}

static int64_t date(const char *text)
{
	int64_t at = -12345;
	struct bytes copy = guard_copy(text, strlen(text));

	return http_date_parse(copy, NOW, &at) == 0 ? at : -1;
}

Test(retry, reads_the_three_forms_of_a_date)
{
	cr_expect_eq(date("Sun, 06 Nov 1994 08:49:37 GMT"), NOW);
	cr_expect_eq(date("Sunday, 06-Nov-94 08:49:37 GMT"), NOW);
	cr_expect_eq(date("Sun Nov  6 08:49:37 1994"), NOW);
	cr_expect_eq(date("Sun Nov 16 08:49:37 1994"), NOW + 10 * 86400);
	cr_expect_eq(date(" Thu, 01 Jan 1970 00:00:00 GMT "), 0);
	cr_expect_eq(date("Thu, 29 Feb 2024 23:59:60 GMT"), 1709251200);
	cr_expect_eq(date("Fri, 31 Dec 9999 23:59:59 GMT"), 253402300799);
	cr_expect_eq(date("Tue, 01 Mar 2100 00:00:00 GMT"), 4107542400);
}

Test(retry, two_digit_years_are_never_more_than_fifty_years_ahead)
{
	int64_t at = 0;

	cr_expect_eq(http_date_parse(BYTES("Monday, 01-Jan-44 00:00:00 GMT"), NOW, &at), 0);
	cr_expect_eq(at, 2335219200); /* 2044, seen from 1994 */
	cr_expect_eq(http_date_parse(BYTES("Monday, 01-Jan-45 00:00:00 GMT"), NOW, &at), 0);
	cr_expect_eq(at, -788918400); /* 1945 */
}

Test(retry, refuses_what_is_no_date)
{
	static const char *const bad[] = {
		"",
		"Sun",
		"Sun,",
		"Son, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 UTC",
		"Sun, 06 Nov 1994 24:49:37 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT",
		"Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 31 Nov 1994 08:49:37 GMT",
		"Wed, 29 Feb 2023 00:00:00 GMT",
		"Sun, 6 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 GMT, 5",
		"Sun, 06 nov 1994 08:49:37 GMT",
		"Sunday Nov  6 08:49:37 1994",
		"Sunday, 06 Nov 1994 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994 GMT",
		"Sun, 06 Nov 0000 08:49:37 GMT",
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(date(bad[i]), -1, "%s", bad[i]);
}

Test(retry, every_cut_of_a_date_is_refused_without_reading_behind_it)
{
	static const char *const forms[] = { "Sun, 06 Nov 1994 08:49:37 GMT",
					     "Sunday, 06-Nov-94 08:49:37 GMT",
					     "Sun Nov  6 08:49:37 1994" };
	int64_t at;

	for (unsigned i = 0; i < 3; i++)
		for (size_t n = 0; n < strlen(forms[i]); n++)
			cr_expect_eq(http_date_parse(guard_copy(forms[i], n), NOW, &at), -EINVAL);
}

static int64_t after(const char *text)
{
	uint64_t ms = 0;

	return retry_after_parse(guard_copy(text, strlen(text)), NOW, &ms) ? -1 : (int64_t)ms;
}

Test(retry, retry_after_is_seconds_or_a_date)
{
	cr_expect_eq(after("0"), 0);
	cr_expect_eq(after(" 7 "), 7000);
	cr_expect_eq(after("299"), 299000);
	cr_expect_eq(after("301"), RETRY_AFTER_MAX_MS);
	cr_expect_eq(after("99999999999999999999999999"), RETRY_AFTER_MAX_MS);
	cr_expect_eq(after("Sun, 06 Nov 1994 08:49:42 GMT"), 5000);
	cr_expect_eq(after("Sun, 06 Nov 1994 08:49:37 GMT"), 0);
	cr_expect_eq(after("Sun, 06 Nov 1993 08:49:37 GMT"), 0);
	cr_expect_eq(after("Mon, 07 Nov 1994 08:49:37 GMT"), RETRY_AFTER_MAX_MS);
	cr_expect_eq(after(""), -1);
	cr_expect_eq(after("-1"), -1);
	cr_expect_eq(after("1.5"), -1);
	cr_expect_eq(after("5 s"), -1);
	cr_expect_eq(after("soon"), -1);
}

Test(complaint, the_same_words_are_said_once_a_minute)
{
	struct complaints c = { 0 };
	uint32_t unsaid = 99;

	cr_expect(complaint_due(&c, "a", 1 * S, &unsaid));
	cr_expect_eq(unsaid, 0);
	cr_expect_not(complaint_due(&c, "a", 2 * S, &unsaid));
	cr_expect(complaint_due(&c, "b", 3 * S, &unsaid));
	cr_expect_not(complaint_due(&c, "a", 60 * S, &unsaid));
	cr_expect(complaint_due(&c, "a", 61 * S, &unsaid));
	cr_expect_eq(unsaid, 2);
}

Test(complaint, many_kinds_push_out_the_oldest)
{
	struct complaints c = { 0 };
	uint32_t unsaid;

	for (char k = 'a'; k < 'a' + COMPLAINT_KINDS + 1; k++)
		cr_expect(
			complaint_due(&c, (char[]){ k, 0 }, (uint64_t)(k - 'a' + 1) * S, &unsaid));
	cr_expect_not(complaint_due(&c, "b", 20 * S, &unsaid));
	cr_expect(complaint_due(&c, "a", 20 * S, &unsaid));
}

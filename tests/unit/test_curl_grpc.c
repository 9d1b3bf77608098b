/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include "exporter/curl/grpc.h"
#include "exporter/retry.h"
#include "guard.h"

static int read_message(struct bytes body, bool *compressed, size_t *n)
{
	struct bytes copy = guard_copy(body.p, body.n), message = { NULL, 0 };
	int err = grpc_read_message(copy, compressed, &message);

	if (!err) {
		cr_assert(message.p == copy.p + GRPC_HEAD_LEN);
		*n = message.n;
	}
	guard_free(copy);
	return err;
}

Test(grpc, heads_hold_the_flag_and_the_length)
{
	char head[GRPC_HEAD_LEN];

	grpc_put_head(head, false, 0x01020304);
	cr_assert_arr_eq(head, "\0\1\2\3\4", 5);
	grpc_put_head(head, true, 0xfffefdfc);
	cr_assert_arr_eq(head, "\1\xff\xfe\xfd\xfc", 5);
}

Test(grpc, a_message_is_read_whole_or_not_at_all)
{
	struct bytes body = BYTES("\1\0\0\0\6abcdef");
	bool compressed;
	size_t n;

	cr_assert_eq(read_message(body, &compressed, &n), 0);
	cr_assert(compressed);
	cr_assert_eq(n, 6);
	for (size_t cut = 0; cut < body.n; cut++)
		cr_assert_eq(read_message((struct bytes){ body.p, cut }, &compressed, &n), -EINVAL);
	cr_assert_eq(read_message(BYTES("\0\0\0\0\0"), &compressed, &n), 0);
	cr_assert(!compressed);
	cr_assert_eq(n, 0);
	cr_assert_eq(read_message(BYTES("\2\0\0\0\0"), &compressed, &n), -EINVAL);
	cr_assert_eq(read_message(BYTES("\0\0\0\0\0\0\0\0\0\0"), &compressed, &n), -EINVAL);
	cr_assert_eq(read_message(BYTES("\0\xff\xff\xff\xff."), &compressed, &n), -EINVAL);
}

static const char *timeout(uint64_t ms)
{
	static char room[32];
	struct text t = TEXT_ON(room);

	grpc_put_timeout(&t, ms);
	return text_string(&t);
}

Test(grpc, timeouts_have_eight_digits_at_most)
{
	cr_assert_str_eq(timeout(1), "1m");
	cr_assert_str_eq(timeout(10000), "10000m");
	cr_assert_str_eq(timeout(99999999), "99999999m");
	cr_assert_str_eq(timeout(100000000), "100000S");
	cr_assert_str_eq(timeout(100000001), "100001S");
	cr_assert_str_eq(timeout(UINT64_MAX - 1000), "99999999S");
}

Test(grpc, a_status_that_is_none_is_unknown)
{
	cr_assert_eq(grpc_parse_status(BYTES("0")), GRPC_OK);
	cr_assert_eq(grpc_parse_status(BYTES("14")), GRPC_UNAVAILABLE);
	cr_assert_eq(grpc_parse_status(BYTES(" 16 ")), GRPC_UNAUTHENTICATED);
	cr_assert_eq(grpc_parse_status(BYTES("17")), GRPC_UNKNOWN);
	cr_assert_eq(grpc_parse_status(BYTES("-1")), GRPC_UNKNOWN);
	cr_assert_eq(grpc_parse_status(BYTES("")), GRPC_UNKNOWN);
	cr_assert_eq(grpc_parse_status(BYTES("99999999999999999999")), GRPC_UNKNOWN);
	cr_assert_str_eq(grpc_status_name(GRPC_DATA_LOSS), "DATA_LOSS");
	cr_assert_str_eq(grpc_status_name((enum grpc_status)77), "UNKNOWN");
}

static void expect_decoded(struct bytes in, size_t size, const char *expected)
{
	struct bytes copy = guard_copy(in.p, in.n);
	char to[64];
	size_t n = grpc_decode_message(to, size, copy);

	cr_assert_eq(n, strlen(expected), "%zu bytes, not %s", n, expected);
	cr_assert_arr_eq(to, expected, n);
	guard_free(copy);
}

Test(grpc, messages_are_percent_decoded_and_broken_escapes_stay)
{
	expect_decoded(BYTES("all is well"), 64, "all is well");
	expect_decoded(BYTES("100%25 of %C3%a9"), 64, "100% of \xc3\xa9");
	expect_decoded(BYTES("%"), 64, "%");
	expect_decoded(BYTES("a%4"), 64, "a%4");
	expect_decoded(BYTES("%zz%4g%%41"), 64, "%zz%4g%A");
	expect_decoded(BYTES("%41%42%43"), 2, "AB");
	expect_decoded(BYTES(""), 64, "");
}

Test(grpc, http_statuses_map_as_grpc_says)
{
	static const struct {
		unsigned http;
		enum grpc_status grpc;
	} map[] = {
		{ 400, GRPC_INTERNAL },          { 401, GRPC_UNAUTHENTICATED },
		{ 403, GRPC_PERMISSION_DENIED }, { 404, GRPC_UNIMPLEMENTED },
		{ 429, GRPC_UNAVAILABLE },       { 431, GRPC_INTERNAL },
		{ 502, GRPC_UNAVAILABLE },       { 503, GRPC_UNAVAILABLE },
		{ 504, GRPC_UNAVAILABLE },       { 200, GRPC_UNKNOWN },
		{ 302, GRPC_UNKNOWN },           { 500, GRPC_UNKNOWN },
	};

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		cr_expect_eq(grpc_status_of_http(map[i].http), map[i].grpc, "%u", map[i].http);
}

Test(grpc, resets_map_as_grpc_says)
{
	static const enum grpc_status map[] = {
		GRPC_INTERNAL,          GRPC_INTERNAL, GRPC_INTERNAL, GRPC_INTERNAL,
		GRPC_INTERNAL,          GRPC_UNKNOWN,  GRPC_INTERNAL, GRPC_UNAVAILABLE,
		GRPC_CANCELLED,         GRPC_INTERNAL, GRPC_INTERNAL, GRPC_RESOURCE_EXHAUSTED,
		GRPC_PERMISSION_DENIED, GRPC_UNKNOWN,  GRPC_UNKNOWN,
	};

	for (unsigned i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		cr_expect_eq(grpc_status_of_reset(i), map[i], "%u", i);
}

Test(grpc, exactly_these_codes_are_retryable)
{
	const uint32_t always = 1u << GRPC_CANCELLED | 1u << GRPC_DEADLINE_EXCEEDED |
				1u << GRPC_ABORTED | 1u << GRPC_OUT_OF_RANGE |
				1u << GRPC_UNAVAILABLE | 1u << GRPC_DATA_LOSS;

	for (unsigned s = 0; s < GRPC_STATUS_COUNT; s++) {
		cr_expect_eq(grpc_is_retryable((enum grpc_status)s, false), always >> s & 1);
		cr_expect_eq(grpc_is_retryable((enum grpc_status)s, true),
			     (always >> s & 1) || s == GRPC_RESOURCE_EXHAUSTED);
	}
}

static bool retry_info(struct bytes details, uint64_t *ms)
{
	struct bytes copy = guard_copy(details.p, details.n);
	bool has = grpc_read_retry_info(copy, ms);

	guard_free(copy);
	return has;
}

/* A Status { code: 8, message: "busy", details: [Any { RetryInfo { Duration { 2 s, 250 ms } } }] }
 */
#define TWO_SECONDS                                                                \
	"CAgSBGJ1c3kaNQoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIJ" \
	"CgcIAhCA5Zp3"

Test(grpc, retry_info_is_found_among_the_details)
{
	uint64_t ms = 77;

	cr_assert(retry_info(BYTES(TWO_SECONDS), &ms));
	cr_assert_eq(ms, 2250);
	cr_assert(retry_info(BYTES(" " TWO_SECONDS "="), &ms));
	cr_assert_not(retry_info(BYTES(""), &ms));
	cr_assert_not(retry_info(BYTES("CAgSBGJ1c3k="), &ms));
	cr_assert_not(retry_info(BYTES("not base64!"), &ms));
}

Test(grpc, details_cut_or_changed_anywhere_do_no_harm)
{
	char text[] = TWO_SECONDS;
	uint64_t ms;

	for (size_t n = 0; n < sizeof(text) - 1; n++)
		retry_info((struct bytes){ text, n }, &ms);
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		char was = text[i];

		for (unsigned c = 0; c < 256; c++) {
			ms = 0;
			text[i] = (char)c;
			retry_info((struct bytes){ text, sizeof(text) - 1 }, &ms);
			cr_assert_leq(ms, RETRY_AFTER_MAX_MS);
		}
		text[i] = was;
	}
}

Test(grpc, details_longer_than_trailers_can_be_are_left_alone)
{
	static char text[20000];
	uint64_t ms;

	memset(text, 'A', sizeof(text));
	cr_assert_not(retry_info((struct bytes){ text, sizeof(text) }, &ms));
}

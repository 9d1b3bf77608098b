// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <errno.h>
#include "exporter/otlp.h"
#include "exporter/otlp.pb-c.h"
#include "guard.h"

static int parse(struct bytes body, int64_t *rejected, struct bytes *message)
{
	struct bytes copy = guard_copy(body.p, body.n);
	int err = otlp_parse_response(copy, rejected, message);

	if (err == 0 && message->n) /* keep it beyond the copy */
		message->p = body.p + (message->p - copy.p);
	guard_free(copy);
	return err;
}

Test(otlp_response, takes_an_empty_body_for_success)
{
	struct bytes message = BYTES("x");
	int64_t rejected = 5;

	cr_assert_eq(parse(BYTES(""), &rejected, &message), 0);
	cr_assert_eq(rejected, 0);
	cr_assert_eq(message.n, 0);
	cr_assert_eq(parse(BYTES("\x0a\x00"), &rejected, &message), 0);
	cr_assert_eq(rejected, 0);
}

Test(otlp_response, reads_a_partial_success)
{
	Otlp__ExportTracePartialSuccess partial = OTLP__EXPORT_TRACE_PARTIAL_SUCCESS__INIT;
	Otlp__ExportTraceServiceResponse response = OTLP__EXPORT_TRACE_SERVICE_RESPONSE__INIT;
	char why[] = "too old";
	struct bytes message, body;
	uint8_t packed[100];
	int64_t rejected;

	response.partial_success = &partial;
	partial.rejected_spans = 300;
	partial.error_message = why;
	body = (struct bytes){ (char *)packed, 0 };
	body.n = otlp__export_trace_service_response__pack(&response, packed);
	cr_assert_eq(parse(body, &rejected, &message), 0);
	cr_assert_eq(rejected, 300);
	cr_assert(bytes_equal(message, BYTES("too old")));
	for (size_t n = 1; n < body.n; n++) {
		rejected = 77;
		cr_assert_eq(parse((struct bytes){ body.p, n }, &rejected, &message), -EINVAL);
		cr_assert_eq(rejected, 77);
	}
	for (size_t i = 0; i < body.n; i++) {
		for (unsigned flip = 1; flip < 256; flip++) {
			packed[i] ^= (uint8_t)flip;
			if (parse(body, &rejected, &message) == 0) {
				cr_assert_geq(rejected, 0);
				cr_assert(!message.n || (message.p >= body.p &&
							 message.p + message.n <= body.p + body.n));
			}
			packed[i] ^= (uint8_t)flip;
		}
	}
}

Test(otlp_response, skips_fields_it_does_not_know)
{
	struct bytes message;
	int64_t rejected;

	/* 15: varint, 16: fixed64, 17: bytes, 18: fixed32, then partial_success with its own field
	 * 9 */
	cr_assert_eq(parse(BYTES("\x78\x96\x01\x81\x01"
				 "12345678\x8a\x01\x03"
				 "abc\x95\x01"
				 "1234\x0a\x07\x48\x01\x08\x02\x12\x01!"),
			   &rejected, &message),
		     0);
	cr_assert_eq(rejected, 2);
	cr_assert(bytes_equal(message, BYTES("!")));
}

Test(otlp_response, refuses_what_is_no_message)
{
	const struct bytes bad[] = {
		BYTES("<html>"),
		BYTES("{}"),
		BYTES("\x08"),                                             /* a varint is missing */
		BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),     /* longer than memory */
		BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), /* eleven bytes */
		BYTES("\x0b\x0c"),
		BYTES("\x00\x01"),
		BYTES("\x0e\x01"),
		BYTES("\x09"
		      "1234567"),
		BYTES("\x0d"
		      "123"),
		BYTES("\x0a\x02\x12\x05"), /* longer than the message around it */
	};
	struct bytes message;
	int64_t rejected;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_assert_eq(parse(bad[i], &rejected, &message), -EINVAL, "case %zu", i);
}

Test(otlp_response, makes_nothing_of_a_negative_count)
{
	struct bytes message;
	int64_t rejected;

	cr_assert_eq(parse(BYTES("\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), &rejected,
			   &message),
		     0);
	cr_assert_eq(rejected, 0);
}

Test(otlp_response, finds_the_message_of_a_status)
{
	cr_assert(bytes_equal(otlp_status_message(BYTES("\x08\x03\x12\x04what\x1a\x02xx")),
			      BYTES("what")));
	cr_assert_eq(otlp_status_message(BYTES("")).n, 0);
	cr_assert_eq(otlp_status_message(BYTES("\x12\x09what")).n, 0);
	cr_assert_eq(otlp_status_message(BYTES("Bad Request")).n, 0);
}

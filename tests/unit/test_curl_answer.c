/* SPDX-License-Identifier: Apache-2.0 */
/* Answers line by line and piece by piece, and what is made of them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include "exporter/curl/answer.h"
#include "guard.h"

static struct reply reply;
static struct answer answer;

static bool add_line(const char *line)
{
	struct bytes copy = guard_string(line);
	bool more = reply_add_line(&reply, copy);

	guard_free(copy);
	return more;
}

static void begin(const char *status_line, const char *type)
{
	char line[128];

	reply_reset(&reply);
	add_line(status_line);
	snprintf(line, sizeof(line), "Content-Type: %s\r\n", type);
	add_line(line);
}

static void add_body(struct bytes body)
{
	struct bytes copy = guard_copy(body.p, body.n);

	cr_assert(reply_add_body(&reply, copy));
	guard_free(copy);
}

#define PARTIAL "\x0a\x0b\x08\x03\x12\x07too old" /* 3 rejected */
#define STATUS  "\x08\x0d\x12\x07told to"

Test(reply, takes_the_status_and_the_headers_it_needs)
{
	begin("HTTP/1.1 503 Service Unavailable\r\n", "text/html; charset=x");
	add_line("RETRY-AFTER:  7 \r\n");
	add_line("x-other: 1\r\n");
	add_line("\r\n");
	cr_assert_eq(reply.http_status, 503);
	cr_assert(bytes_equal(reply_bytes(&reply.retry_after), BYTES("7")));
	cr_assert(bytes_equal(reply_bytes(&reply.content_type), BYTES("text/html; charset=x")));
	cr_assert_not(reply.has_grpc_status);
}

Test(reply, an_interim_answer_is_forgotten)
{
	begin("HTTP/1.1 103 Early Hints\r\n", "text/plain");
	add_line("grpc-status: 5\r\n");
	add_line("\r\n");
	add_line("HTTP/2 200 \r\n");
	cr_assert_eq(reply.http_status, 200);
	cr_assert_eq(reply.content_type.n, 0);
	cr_assert_not(reply.has_grpc_status);
}

Test(reply, odd_lines_do_no_harm)
{
	static const char *const lines[] = { "",
					     "\r\n",
					     ":",
					     ": x",
					     "HTTP/",
					     "HTTP/1.1",
					     "HTTP/1.1 x",
					     "HTTP/2 99999999",
					     "retry-after",
					     "retry-after:",
					     "grpc-status" };

	reply_reset(&reply);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		cr_assert(add_line(lines[i]));
	cr_assert_eq(reply.http_status, 0);
	cr_assert_eq(reply.retry_after.n, 0);
}

Test(reply, limits_end_it)
{
	static char piece[1 << 20], line[10000];
	unsigned lines = 0;

	reply_reset(&reply);
	for (int i = 0; i < 4; i++)
		cr_assert(reply_add_body(&reply, (struct bytes){ piece, sizeof(piece) }));
	cr_assert_not(reply_add_body(&reply, (struct bytes){ piece, 1 }));
	cr_assert(reply.too_large);
	reply_reset(&reply);
	memset(line, 'x', sizeof(line) - 1);
	memcpy(line, "retry-after:", 12);
	while (add_line(line))
		lines++;
	cr_assert(reply.too_large);
	cr_assert_eq(lines, REPLY_HEAD_MAX / (sizeof(line) - 1));
	cr_assert_eq(reply.retry_after.n, 0); /* longer than is kept */
}

Test(answer, of_success_may_be_partial)
{
	begin("HTTP/1.1 200 OK", "application/x-protobuf");
	add_body(BYTES(PARTIAL));
	answer_read_http(&answer, &reply, 0);
	cr_assert(answer.final);
	cr_assert_eq(answer.loss, LOSS_NONE);
	cr_assert_eq(answer.rejected, 3);
	cr_assert_str_eq(answer.said, "too old");
	cr_assert_str_eq(answer.status, "");
	begin("HTTP/1.1 202 OK", "application/x-protobuf");
	answer_read_http(&answer, &reply, 0);
	cr_assert_eq(answer.loss, LOSS_NONE);
	cr_assert_eq(answer.rejected, 0);
}

static void expect_json(const char *body, uint32_t rejected, const char *said)
{
	begin("HTTP/1.1 200 OK", "Application/JSON; charset=utf-8");
	add_body(bytes_of(body));
	answer_read_http(&answer, &reply, 0);
	cr_expect_eq(answer.loss, LOSS_NONE, "%s", body);
	cr_expect_eq(answer.rejected, rejected, "%s", body);
	cr_expect_str_eq(answer.said, said);
}

Test(answer, in_json_is_read_by_the_rules_of_otlp)
{
	expect_json("{}", 0, "");
	expect_json("{\"partialSuccess\":{}}", 0, "");
	expect_json("{\"partialSuccess\":{\"rejectedSpans\":\"3\",\"errorMessage\":\"a\\nb\"}}", 3,
		    "a?b");
	expect_json("{\"partialSuccess\":{\"rejectedSpans\":4}}", 4, "");
	expect_json("{\"partialSuccess\":{\"rejectedDataPoints\":\"5\"},\"x\":[1]}", 5, "");
	expect_json("{\"partialSuccess\":{\"rejectedSpans\":\"99999999999\"}}", UINT32_MAX, "");
	expect_json("{\"partialSuccess\":{\"rejectedSpans\":-4,\"errorMessage\":7}}", 0, "");
	expect_json("{\"partialSuccess\":[1]}", 0, "");
	expect_json("[]", 0, "");
	expect_json("{\"partialSuccess\":", 0, "");
	expect_json("", 0, "");
}

Test(answer, that_is_no_otlp_is_a_success_without_words)
{
	begin("HTTP/1.1 200 OK", "text/html");
	add_body(BYTES(PARTIAL));
	answer_read_http(&answer, &reply, 0);
	cr_assert_eq(answer.loss, LOSS_NONE);
	cr_assert_eq(answer.rejected, 0);
	begin("HTTP/1.1 200 OK", "application/x-protobuf");
	add_line("content-encoding: gzip");
	add_body(BYTES(PARTIAL));
	answer_read_http(&answer, &reply, 0);
	cr_assert_eq(answer.rejected, 0);
}

Test(answer, of_failure_says_whether_another_try_is_worth_it)
{
	char line[64];

	for (unsigned status = 100; status < 600; status++) {
		bool retry = status == 429 || (status >= 502 && status <= 504);

		snprintf(line, sizeof(line), "HTTP/1.1 %u X", status);
		begin(line, "application/x-protobuf");
		add_line("retry-after: 9");
		answer_read_http(&answer, &reply, 0);
		cr_expect_eq(answer.final, !retry, "%u", status);
		cr_expect_eq(answer.loss, status / 100 == 2 ? LOSS_NONE : LOSS_RESPONSE);
		cr_expect_eq(answer.asked_ms, retry ? 9000 : 0);
	}
}

Test(answer, of_failure_repeats_the_receivers_words)
{
	begin("HTTP/1.1 400 Bad", "application/x-protobuf");
	add_body(BYTES(STATUS));
	answer_read_http(&answer, &reply, 0);
	cr_assert_str_eq(answer.said, "told to");
	cr_assert_str_eq(answer.status, "400");
	begin("HTTP/1.1 500 Bad", "application/json");
	add_body(BYTES("{\"code\":13,\"message\":\"no \\u00e9\"}"));
	answer_read_http(&answer, &reply, 0);
	cr_assert_str_eq(answer.said, "no ??");
}

static void grpc(const char *status, struct bytes body)
{
	begin("HTTP/2 200", "application/grpc");
	if (body.n)
		add_body(body);
	if (status)
		add_line(status);
	answer_read_grpc(&answer, &reply, 0);
}

Test(answer, over_grpc_is_told_by_the_trailers)
{
	grpc("grpc-status: 0\r\n", BYTES("\0\0\0\0\x0d" PARTIAL));
	cr_assert_eq(answer.loss, LOSS_NONE);
	cr_assert_eq(answer.rejected, 3);
	cr_assert_str_eq(answer.said, "too old");
	grpc("grpc-status: 14\r\n", BYTES(""));
	cr_assert(!answer.final && answer.loss == LOSS_RESPONSE);
	cr_assert_str_eq(answer.status, "grpc-status UNAVAILABLE");
	grpc("grpc-status: 3\r\n", BYTES(""));
	cr_assert(answer.final && answer.loss == LOSS_RESPONSE);
	grpc("grpc-status: \r\n", BYTES(""));
	cr_assert(answer.final && answer.loss == LOSS_RESPONSE);
	grpc(NULL, BYTES("\0\0\0\0\0"));
	cr_assert(answer.final && answer.loss == LOSS_RESPONSE);
	cr_assert_str_eq(answer.status, "HTTP 200 without grpc-status");
}

Test(answer, over_grpc_is_success_whatever_the_message_is)
{
	struct bytes body = BYTES("\0\0\0\0\x0d" PARTIAL);

	for (size_t n = 0; n < body.n; n++) {
		grpc("grpc-status: 0", (struct bytes){ body.p, n });
		cr_assert(answer.final && answer.loss == LOSS_NONE && !answer.rejected);
	}
	grpc("grpc-status: 0", BYTES("\1\0\0\0\x0d" PARTIAL)); /* of no coding we were told */
	cr_assert(answer.loss == LOSS_NONE && !answer.rejected);
}

Test(answer, over_grpc_may_be_compressed)
{
	struct gzip_buffer b = { NULL, 0, 0 };

	cr_assert_eq(gzip_reserve(&b, 5), 0);
	b.n = 5;
	cr_assert_eq(gzip_compress(&b, BYTES(PARTIAL)), 0);
	memcpy(b.p, "\1\0\0\0", 4);
	b.p[4] = (char)(b.n - 5);
	begin("HTTP/2 200", "application/grpc");
	add_line("grpc-encoding: gzip");
	add_body((struct bytes){ b.p, b.n });
	add_line("grpc-status: 0");
	answer_read_grpc(&answer, &reply, 0);
	cr_assert_eq(answer.rejected, 3);
	free(b.p);
}

Test(answer, of_a_reset_stream_has_a_status_too)
{
	answer_read_reset(&answer, 8);
	cr_assert(!answer.final);
	answer_read_reset(&answer, 2);
	cr_assert(answer.final);
	cr_assert_eq(answer.loss, LOSS_RESPONSE);
	cr_assert_str_eq(answer.status, "grpc-status INTERNAL");
}

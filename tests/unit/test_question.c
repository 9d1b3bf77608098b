/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/question.h"
#include "shim_spans.h"

#define GET(path)      "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define GET_FROM(path) "GET " path " HTTP/1.1\r\nHost: a\r\ntraceparent: " PARENT "\r\n"
#define ANSWER         "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define LINE_LEN       (sizeof("traceparent: \r\n") - 1 + TRACEPARENT_LEN)

static char said[16384];

/* The answer, or "". */
static const char *asked(int fd, uint32_t stream, const char *target)
{
	const struct question q = { fd, stream, (uint32_t)strlen(target) };
	ssize_t n;

	memcpy(said, &q, sizeof(q));
	memcpy(said + sizeof(q), target, q.target_n);
	n = shim_answer(said, sizeof(said) - 1);
	said[n] = '\0';
	return said;
}

static void expect_context_of_span(size_t i, const char *line)
{
	cr_assert_eq(strncmp(line, "traceparent: 00-", 16), 0, "%s", line);
	cr_assert_eq(strncmp(line + 16, span_field(span_at(i), "traceId"), 32), 0);
	cr_assert_eq(strncmp(line + 49, span_field(span_at(i), "spanId"), 16), 0);
}

Test(question, tells_the_context_of_the_request_that_was_read)
{
	char line[sizeof(said)];
	int peer, fd;

	spans_start(NULL);
	fd = fixture_socket(&peer, true, true);
	program_reads(fd, peer, GET("/a?b=c"));
	strcpy(line, asked(fd, 0, "/a?b=c"));
	cr_assert_eq(strlen(line), LINE_LEN);
	program_writes(fd, ANSWER);
	cr_assert_eq(spans_read(), 1);
	expect_context_of_span(0, line);
	spans_stop();
}

Test(question, tells_it_once)
{
	int peer, fd;

	spans_start(NULL);
	fd = fixture_socket(&peer, true, true);
	program_reads(fd, peer, GET("/a"));
	cr_assert_eq(strlen(asked(fd, 0, "/a")), LINE_LEN);
	cr_assert_str_empty(asked(fd, 0, "/a"));
	spans_stop();
}

Test(question, goes_through_requests_that_came_together_in_their_order)
{
	char first[sizeof(said)], second[sizeof(said)];
	int peer, fd;

	spans_start(NULL);
	fd = fixture_socket(&peer, true, true);
	program_reads(fd, peer, GET("/same") GET("/other") GET("/same"));
	strcpy(first, asked(fd, 0, "/same"));
	strcpy(second, asked(fd, 0, "/same"));
	cr_assert_str_empty(asked(fd, 0, "/other"), "it came before one that was told");
	program_writes(fd, ANSWER ANSWER ANSWER);
	cr_assert_eq(spans_read(), 3);
	expect_context_of_span(0, first);
	expect_context_of_span(2, second);
	spans_stop();
}

Test(question, passes_the_callers_texts_on)
{
	int peer, fd;

	spans_start(NULL);
	fd = fixture_socket(&peer, true, true);
	program_reads(fd, peer, GET_FROM("/a") "tracestate: a=1\r\nbaggage: k=v\r\n\r\n");
	cr_assert_not_null(strstr(asked(fd, 0, "/a"), "\r\ntracestate: a=1\r\nbaggage: k=v\r\n"));
	cr_assert_not_null(strstr(said, PARENT_TRACE));
	cr_assert_null(strstr(said, PARENT_SPAN));
	spans_stop();
}

Test(question, has_no_answer_for_what_is_not_there)
{
	int peer, fd;

	spans_start(NULL);
	fd = fixture_socket(&peer, true, true);
	cr_assert_str_empty(asked(fd, 0, "/a"), "nothing was read");
	program_reads(fd, peer, GET("/a"));
	cr_assert_str_empty(asked(fd, 0, "/b"));
	cr_assert_str_empty(asked(fd, 1, "/a"));
	cr_assert_str_empty(asked(-1, 0, "/a"));
	cr_assert_str_empty(asked(1 << 30, 0, "/a"));
	cr_assert_str_empty(asked(peer, 0, "/a"));
	program_writes(fd, ANSWER);
	cr_assert_str_empty(asked(fd, 0, "/a"), "it was answered");
	spans_stop();
}

Test(question, that_is_no_question_has_none)
{
	struct question q = { 0, 0, 5000 };

	spans_start(NULL);
	cr_assert_eq(shim_answer(&q, sizeof(q)), 0);
	cr_assert_eq(shim_answer(&q, 4), 0);
	cr_assert_eq(shim_answer((void *)16, sizeof(q)), 0);
	spans_stop();
}

Test(question, of_one_of_our_own_requests_has_none)
{
	int peer, fd;

	spans_start(NULL);
	fd = fixture_socket(&peer, false, true);
	program_writes(fd, GET("/a"));
	cr_assert_str_empty(asked(fd, 0, "/a"));
	spans_stop();
}

Test(question, is_not_answered_where_not_every_host_may_have_it)
{
	fixture_start("TAGALONG_PROPAGATE_TO=a,b");
	cr_assert_not(shim_answers());
}

Test(question, is_not_answered_without_a_propagator)
{
	fixture_start("OTEL_PROPAGATORS=baggage");
	cr_assert_not(shim_answers());
}

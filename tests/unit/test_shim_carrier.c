/* SPDX-License-Identifier: Apache-2.0 */
/* Rule "header" where OTEL_PROPAGATORS leaves tracecontext out: the ids of B3 and Jaeger are
 * written over on the way in, known on the way out, and written over there. */
#include "base/config.h"
#include "base/counters.h"
#include "shim_links.h"

#define T PARENT_TRACE
#define S PARENT_SPAN

static char in[1024], out[1024];

/* A request with these lines is read, and those that the program then saw of it are passed on; `in`
 * and `out` are what it saw and what left. */
static int reads(const char *lines)
{
	char head[1024];
	int fd;

	snprintf(head, sizeof(head), "GET /x HTTP/1.1\r\nHost: a\r\n%s\r\n", lines);
	fd = serve_with(head, false);
	snprintf(in, sizeof(in), "%s", strstr(program_buffer, "Host: a\r\n") + 9);
	in[strlen(in) - 2] = 0;
	return fd;
}

static void asks(const char *lines)
{
	char head[1024];
	int peer, fd = fixture_socket(&peer, false, true);

	snprintf(head, sizeof(head), "GET /y HTTP/1.1\r\nHost: b\r\n%s\r\n", lines);
	snprintf(out, sizeof(out), "%s", strstr(program_writes(fd, head), "Host: b\r\n") + 9);
	out[strlen(out) - 2] = 0;
	program_reads(fd, peer, RESPONSE);
	fixture_close(fd, peer);
}

/* `format` has %1$s for the trace, %2$s for the span, %3$s for its parent. */
static void expect(const char *got, const char *format, const json_t *span)
{
	char text[1024];

	snprintf(text, sizeof(text), format, span_field(span, "traceId"),
		 span_field(span, "spanId"), span_field(span, "parentSpanId"));
	cr_assert_str_eq(got, text);
}

/* The request's span and the one of what it caused, by rule "header". */
static void expect_chain(const char *seen, const char *sent)
{
	const json_t *server, *client;

	cr_assert_eq(spans_read(), 1);
	client = span_at(0);
	cr_assert_str_eq(span_attribute(client, "tagalong.link"), "header");
	expect(out, sent, client);
	shim_before_close_range(0, ~0u);
	cr_assert_eq(spans_read(), 2);
	server = span_at(1);
	expect(in, seen, server);
	cr_assert_str_eq(span_field(client, "parentSpanId"), span_field(server, "spanId"));
	cr_assert_str_eq(span_field(client, "traceId"), span_field(server, "traceId"));
}

static void chain(const char *propagators, const char *lines, const char *format)
{
	char variable[64];

	snprintf(variable, sizeof(variable), "OTEL_PROPAGATORS=%s", propagators);
	spans_start_with(variable);
	reads(lines);
	asks(in);
	expect_chain(format, format);
	cr_assert_eq(counted(headers_inbound), 1);
	cr_assert_eq(counted(headers_rewritten), 1);
	cr_assert(process_flag(forwards));
}

Test(carrier, is_the_single_header, .fini = spans_stop)
{
	chain("b3", "b3: " T "-" S "-1\r\n", "b3: %1$s-%2$s-1\r\n");
}

Test(carrier, keeps_what_else_the_single_header_says, .fini = spans_stop)
{
	chain("b3", "B3:  " T "-" S "-d-2222222222222222 \r\n", "B3:  %1$s-%2$s-d-%3$s \r\n");
}

Test(carrier, may_leave_the_decision_open, .fini = spans_stop)
{
	chain("b3,baggage", "b3: " T "-" S "\r\n", "b3: %1$s-%2$s\r\n");
}

Test(carrier, may_have_a_short_trace_id, .fini = spans_stop)
{
	chain("b3", "b3: 1234567812345678-" S "-1\r\n", "b3: 1234567812345678-%2$s-1\r\n");
}

Test(carrier, is_a_header_for_each_id, .fini = spans_stop)
{
	chain("b3multi", "X-B3-SpanId: " S "\r\nX-B3-TraceId: " T "\r\nX-B3-Sampled: 1\r\n",
	      "X-B3-SpanId: %2$s\r\nX-B3-TraceId: %1$s\r\nX-B3-Sampled: 1\r\n");
}

Test(carrier, is_jaegers, .fini = spans_stop)
{
	chain("jaeger", "Uber-Trace-Id: " T ":" S ":0:1\r\n", "Uber-Trace-Id: %1$s:%2$s:0:1\r\n");
}

Test(carrier, keeps_what_else_jaeger_says, .fini = spans_stop)
{
	chain("jaeger", "uber-trace-id: " T ":" S ":2222222222222222:03\r\n",
	      "uber-trace-id: %1$s:%2$s:%3$s:03\r\n");
}

/* Each of them is one. */
Test(carrier, may_be_several, .fini = spans_stop)
{
	chain("jaeger,b3", "b3: " T "-" S "-1\r\nuber-trace-id: " T ":" S ":0:1\r\n",
	      "b3: %1$s-%2$s-1\r\nuber-trace-id: %1$s:%2$s:0:1\r\n");
}

Test(carrier, says_that_we_record_where_the_caller_does_not, .fini = spans_stop)
{
	spans_start_with("OTEL_PROPAGATORS=b3multi,jaeger", "OTEL_TRACES_SAMPLER=always_on");
	reads("X-B3-TraceId: " T "\r\nX-B3-SpanId: " S "\r\nX-B3-Sampled: 0\r\n"
	      "uber-trace-id: " T ":" S ":0:0\r\n");
	asks(in);
	expect_chain("X-B3-TraceId: %1$s\r\nX-B3-SpanId: %2$s\r\nX-B3-Sampled: 1\r\n"
		     "uber-trace-id: %1$s:%2$s:0:1\r\n",
		     "X-B3-TraceId: %1$s\r\nX-B3-SpanId: %2$s\r\nX-B3-Sampled: 1\r\n"
		     "uber-trace-id: %1$s:%2$s:0:1\r\n");
}

/* Known proxies are given one. */
Test(carrier, is_put_in_where_there_is_none, .fini = spans_stop)
{
	spans_start_with("OTEL_PROPAGATORS=b3multi", "TAGALONG_INBOUND_HEADER=on");
	reads("");
	asks(in);
	expect_chain("b3: %1$s-%2$s-1\r\n",
		     "b3: %1$s-%2$s-1\r\nx-b3-traceid: %1$s\r\nx-b3-spanid: %2$s\r\n"
		     "x-b3-sampled: 1\r\n");
}

Test(carrier, is_put_in_as_jaegers, .fini = spans_stop)
{
	spans_start_with("OTEL_PROPAGATORS=jaeger", "TAGALONG_INBOUND_HEADER=on");
	reads("");
	asks(in);
	expect_chain("uber-trace-id: %1$s:%2$s:0:1\r\n", "uber-trace-id: %1$s:%2$s:0:1\r\n");
}

/* What does not lie whole in one buffer is known as what just one open request received. */
Test(carrier, is_known_though_it_could_not_be_written_over, .fini = spans_stop)
{
	int fd;

	spans_start_with("OTEL_PROPAGATORS=b3");
	fd = serve_with("GET /x HTTP/1.1\r\nHost: a\r\nb3: " T "-b7ad", false);
	program_reads(fd, inbound_peer, "6b7169203331-1\r\n\r\n");
	cr_assert_str_eq(program_buffer, "6b7169203331-1\r\n\r\n");
	cr_assert_eq(counted(headers_inbound), 0);
	asks("b3: " T "-" S "-1\r\n");
	cr_assert_eq(spans_read(), 1);
	expect(out, "b3: %1$s-%2$s-1\r\n", span_at(0));
	cr_assert_str_eq(span_attribute(span_at(0), "tagalong.link"), "header");
	cr_assert_str_neq(span_field(span_at(0), "parentSpanId"), S);
}

/* A program that traces itself: not touched, no span. */
Test(carrier, of_somebody_else_stays, .fini = spans_stop)
{
	static const char *const lines[] = {
		"b3: 11111111111111111111111111111111-2222222222222222-1\r\n",
		"b3: 0\r\n",
		"x-b3-traceid: 1\r\n",
		"uber-trace-id: x\r\n",
		"traceparent: 00-11111111111111111111111111111111-2222222222222222-01\r\n",
	};

	spans_start_with("OTEL_PROPAGATORS=b3,jaeger");
	reads("b3: " T "-" S "-1\r\n");
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		asks(lines[i]);
		cr_assert_str_eq(out, lines[i]);
	}
	cr_assert_eq(spans_read(), 0);
}

/* With tracecontext selected traceparent alone carries, as ever. */
Test(carrier, is_not_b3_beside_traceparent, .fini = spans_stop)
{
	spans_start_with("OTEL_PROPAGATORS=tracecontext,b3");
	reads("b3: " T "-" S "-1\r\n");
	cr_assert_str_eq(in, "b3: " T "-" S "-1\r\n");
}

Test(carrier, is_none_where_no_propagator_has_one, .fini = spans_stop)
{
	spans_start_with("OTEL_PROPAGATORS=baggage", "TAGALONG_INBOUND_HEADER=on");
	reads("b3: " T "-" S "-1\r\n");
	cr_assert_str_eq(in, "b3: " T "-" S "-1\r\n");
}

/* ---- callers that are not trusted ---- */

Test(carrier, takes_no_id_of_a_caller_that_is_not_trusted, .fini = spans_stop)
{
	spans_start_with("OTEL_PROPAGATORS=b3", "TAGALONG_TRUST_INBOUND=false");
	reads("b3: " T "-" S "-d\r\n");
	asks(in);
	expect_chain("b3: %1$s-%2$s-d\r\n", "b3: %1$s-%2$s-d\r\n");
	cr_assert_str_neq(span_field(span_at(0), "traceId"), T);
}

static void asks_for(const char *first, const char *second, const char *path)
{
	char head[512];

	spans_start_with(first, second, "TAGALONG_EXCLUDE_PATHS=/excluded");
	readers_answer();
	snprintf(head, sizeof(head),
		 "GET %s HTTP/1.1\r\nHost: a\r\ntraceparent: " PARENT
		 "\r\ntracestate: a=b\r\nbaggage: user=eve\r\n\r\n",
		 path);
	serve_with(head, true);
	asks("");
}

Test(carrier, passes_baggage_of_a_trusted_caller_on, .fini = spans_stop)
{
	asks_for("TAGALONG_INBOUND_HEADER=off", "TAGALONG_TRUST_INBOUND=true", "/x");
	cr_assert_not_null(strstr(out, "baggage: user=eve\r\n"));
	cr_assert_not_null(strstr(out, "tracestate: a=b\r\n"));
}

Test(carrier, passes_nothing_on_of_a_caller_that_is_not_trusted, .fini = spans_stop)
{
	asks_for("TAGALONG_INBOUND_HEADER=off", "TAGALONG_TRUST_INBOUND=false", "/x");
	cr_assert_str_neq(traceparent_in(program_wire.bytes), "");
	cr_assert_null(strstr(out, "eve"));
	cr_assert_null(strstr(out, "a=b"));
}

Test(carrier, passes_nothing_on_for_an_excluded_request_either, .fini = spans_stop)
{
	asks_for("TAGALONG_INBOUND_HEADER=off", "TAGALONG_TRUST_INBOUND=false", "/excluded");
	cr_assert_null(strstr(out, "eve"));
	cr_assert_null(strstr(out, "a=b"));
	cr_assert_null(strstr(out, T));
}

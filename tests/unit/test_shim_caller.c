/* SPDX-License-Identifier: Apache-2.0 */
/* What a client library is given to carry on a call: only the thread that is known to be answering
 * a request has something to give. */
#include <sys/epoll.h>
#include "base/process.h"
#include "shim/link.h"
#include "shim_links.h"

#define HEAD(more) "GET /x HTTP/1.1\r\nHost: a.example\r\n" more "\r\n"

static char lines[SHIM_CALLER_LINES];

/* The lines, put together as a request would have them; "" for none. */
static const char *carried(void)
{
	static char text[2 * SHIM_CALLER_LINES];
	size_t n = shim_caller_lines(lines, sizeof(lines)), to = 0;

	for (size_t i = 0; i < n; i++) {
		if (!lines[i])
			text[to++] = '\r';
		text[to++] = lines[i] ? lines[i] : '\n';
	}
	text[to] = 0;
	return text;
}

Test(caller, what_it_carries_is_known_again_and_replaced, .init = start, .fini = spans_stop)
{
	int fd = serve();
	char head[400];

	snprintf(head, sizeof(head), HEAD("%s"), carried());
	cr_assert(*traceparent_in(head));
	cr_assert(ask_with(head));
	expect_rule("header");
	answer(fd);
	cr_assert_eq(spans_read(), 2);
	cr_assert_str_eq(outgoing.parent, span_field(span_at(1), "spanId"));
	cr_assert_str_eq(outgoing.trace, span_field(span_at(1), "traceId"));
	cr_assert_not(process_flag(forwards), "the program has not passed anything on");
}

Test(caller, tracestate_and_baggage_go_along, .init = start, .fini = spans_stop)
{
	serve_with(HEAD("traceparent: " PARENT "\r\ntracestate: a=1\r\nbaggage: b=2\r\n"), true);
	cr_assert(strstr(carried(), "\r\ntracestate: a=1\r\n"));
	cr_assert(strstr(carried(), "\r\nbaggage: b=2\r\n"));
	cr_assert(strstr(carried(), "traceparent: 00-" PARENT_TRACE "-"));
	cr_assert_not(strstr(carried(), PARENT_SPAN));
}

Test(caller, the_parent_goes_alone_where_the_rest_does_not_fit, .init = start, .fini = spans_stop)
{
	char head[3000], long_baggage[2000];

	memset(long_baggage, 'x', sizeof(long_baggage) - 1);
	long_baggage[sizeof(long_baggage) - 1] = 0;
	snprintf(head, sizeof(head), HEAD("traceparent: " PARENT "\r\nbaggage: b=%s\r\n"),
		 long_baggage);
	serve_with(head, true);
	cr_assert(strstr(carried(), "traceparent: 00-" PARENT_TRACE "-"));
	cr_assert_eq(strlen(carried()), 13 + 55 + 2);
}

static void expect_nothing(void *arg)
{
	(void)arg;
	cr_assert_str_empty(carried());
}

Test(caller, a_thread_that_answers_nothing_has_nothing, .init = start, .fini = spans_stop)
{
	int fd;

	expect_nothing(NULL);
	fd = serve();
	cr_assert(*carried());
	in_thread(expect_nothing, NULL);
	answer(fd);
	expect_nothing(NULL);
}

static void serve_another(void *arg)
{
	(void)arg;
	serve();
}

Test(caller, with_others_open_readers_must_have_shown_that_they_answer, .init = start,
     .fini = spans_stop)
{
	int first = serve();

	in_thread(serve_another, NULL);
	expect_nothing(NULL);
	atomic_store(&process_state.reader_answers, LINK_EVIDENCE);
	cr_assert(*carried());
	answer(first);
	expect_nothing(NULL);
}

Test(caller, a_reader_that_does_not_wait_has_nothing, .init = start, .fini = spans_stop)
{
	serve_with(REQUEST, false);
	expect_nothing(NULL);
}

static void expect_nothing_with(const char *variable)
{
	spans_start_with(variable);
	serve();
	expect_nothing(NULL);
	spans_stop();
}

Test(caller, nothing_goes_where_hosts_are_limited)
{
	expect_nothing_with("TAGALONG_PROPAGATE_TO=*.example");
}

Test(caller, nothing_goes_where_headers_are_other_ones)
{
	expect_nothing_with("OTEL_PROPAGATORS=b3");
}

Test(caller, nothing_goes_where_one_of_two_headers_would_stay)
{
	expect_nothing_with("OTEL_PROPAGATORS=tracecontext,b3");
}

Test(caller, nothing_goes_without_spans)
{
	expect_nothing_with("OTEL_SDK_DISABLED=true");
}

Test(caller, nothing_goes_for_a_request_that_has_no_span)
{
	expect_nothing_with("TAGALONG_EXCLUDE_PATHS=/x");
}

static unsigned looks;

static void count_look(void)
{
	looks++;
}

Test(caller, a_process_that_serves_is_looked_at_and_ever_less_often, .fini = spans_stop)
{
	shim_when_calling(count_look);
	start();
	cr_assert_eq(looks, 0);
	shim_on_listen(900);
	cr_assert_eq(looks, 1);
	for (int i = 0; i < 40; i++)
		answer(serve());
	cr_assert_eq(looks, 1 + 6); /* 1, 2, 4, 8, 16, 32 */
}

Test(caller, nobody_looks_where_that_is_off, .fini = spans_stop)
{
	shim_when_calling(count_look);
	spans_start_with("TAGALONG_CARRIERS=off");
	shim_on_listen(900);
	answer(serve());
	cr_assert_eq(looks, 0);
}

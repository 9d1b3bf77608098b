/* SPDX-License-Identifier: Apache-2.0 */
/* Whose request is this? Each rule but that of threads where it applies, and each condition that
 * forbids it. */
#include "base/counters.h"
#include "shim_links.h"

#define FOREIGN "00-11111111111111111111111111111111-2222222222222222-01"

static void start_exact(void)
{
	spans_start_with("TAGALONG_INBOUND_HEADER=off");
}

static void start_best(void)
{
	spans_start_with("TAGALONG_LINK=best");
}

static void start_in_step(void)
{
	spans_start_with("TRACEPARENT=" PARENT, "TRACESTATE=a=b");
}

/* The id of the server span in the header that the program was given, and its trace. */
static void given(char value[56])
{
	snprintf(value, 56, "%s", traceparent_in(program_buffer));
}

#define WITH_PARENT "GET /x HTTP/1.1\r\nHost: a\r\ntraceparent: " PARENT "\r\n\r\n"

static const char *passing_on(const char *value)
{
	static char head[1024];

	snprintf(head, sizeof(head), "GET /y HTTP/1.1\r\nHost: b\r\nTraceparent: %s\r\n\r\n",
		 value);
	return head;
}

/* ---- rule 1: header ---- */

static void ask_in_passing(void *value)
{
	cr_assert(ask_with(passing_on(value)));
}

Test(link, knows_its_own_id_in_a_header, .init = start, .fini = spans_stop)
{
	char value[56];
	int fd = serve_with(WITH_PARENT, false);

	given(value);
	cr_assert_str_neq(value, PARENT);
	ask_in_passing(value);
	expect_rule("header");
	cr_assert(strncmp(outgoing.parent, value + 36, 16) == 0);
	cr_assert_str_eq(outgoing.trace, PARENT_TRACE);
	cr_assert(process_flag(forwards));
	answer(fd);
	cr_assert_eq(counted(link_header), 1);
}

Test(link, knows_its_own_id_in_any_thread_and_at_any_time, .init = start, .fini = spans_stop)
{
	char value[56];
	int fd = serve_with(WITH_PARENT, false);

	given(value);
	in_thread(ask_in_passing, value);
	expect_rule("header");
	answer(fd);
	ask_in_passing(value);
	expect_rule("header");
	program_closes(fd);
	ask_in_passing(value);
	expect_rule("header");
	cr_assert(strncmp(outgoing.parent, value + 36, 16) == 0);
}

/* The header goes before the thread: the program says whose request it is. */
Test(link, prefers_the_header_to_the_thread, .init = start, .fini = spans_stop)
{
	char value[56];

	serve_with(WITH_PARENT, false);
	given(value);
	thread_state.exchange = 0;
	serve();
	ask_in_passing(value);
	expect_rule("header");
	cr_assert(strncmp(outgoing.parent, value + 36, 16) == 0);
}

Test(link, leaves_the_header_of_a_program_that_traces_itself, .init = start, .fini = spans_stop)
{
	static const char *const heads[] = {
		"GET / HTTP/1.1\r\nHost: a\r\ntraceparent: " FOREIGN "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\ntraceparent: nonsense\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\ntraceparent:\r\n\r\n",
	};

	serve();
	for (size_t i = 0; i < 3; i++) {
		int peer, fd = fixture_socket(&peer, false, true);

		cr_assert_str_eq(program_writes(fd, heads[i]), heads[i]);
		program_reads(fd, peer, RESPONSE);
		fixture_close(fd, peer);
	}
	cr_assert_eq(spans_read(), 0);
	cr_assert_eq(counted(exchanges_left_to_program), 3);
}

Test(link, leaves_two_headers_though_they_are_ours, .init = start, .fini = spans_stop)
{
	char value[56], head[512];

	serve_with(WITH_PARENT, false);
	given(value);
	snprintf(head, sizeof(head),
		 "GET / HTTP/1.1\r\nHost: a\r\ntraceparent: %s\r\ntraceparent: %s\r\n\r\n", value,
		 value);
	cr_assert_not(ask_with(head));
}

Test(link, leaves_the_b3_header_of_a_program_that_traces_itself, .fini = spans_stop)
{
	static const char head[] =
		"GET / HTTP/1.1\r\nHost: a\r\n"
		"b3: 11111111111111111111111111111111-2222222222222222-1\r\n\r\n";
	int peer, fd;

	spans_start_with("OTEL_PROPAGATORS=tracecontext,b3");
	fd = fixture_socket(&peer, false, true);
	cr_assert_str_eq(program_writes(fd, head), head);
}

/* The next server may read one of the others only. */
Test(link, adds_the_other_formats_to_a_header_that_is_passed_on, .fini = spans_stop)
{
	char value[56], b3[64];
	int peer, fd;

	spans_start_with("OTEL_PROPAGATORS=tracecontext,b3,b3multi");
	serve_with(WITH_PARENT, false);
	given(value);
	fd = fixture_socket(&peer, false, true);
	program_writes(fd, passing_on(value));
	snprintf(b3, sizeof(b3), "\r\nb3: %.32s-%.16s-1\r\n", PARENT_TRACE,
		 traceparent_in(program_wire.bytes) + 36);
	cr_assert_not_null(strstr(program_wire.bytes, b3), "%s", program_wire.bytes);
	cr_assert_not_null(strstr(program_wire.bytes, "\r\nx-b3-sampled: 1\r\n\r\n"));
	cr_assert_null(strstr(program_wire.bytes, "\r\ntraceparent"));
}

Test(link, knows_that_the_parent_of_what_an_excluded_request_causes_is_remote, .fini = spans_stop)
{
	spans_start_with("TAGALONG_EXCLUDE_PATHS=/x");
	readers_answer();
	int fd = serve_with(WITH_PARENT, true);
	cr_assert(ask_with(REQUEST));
	cr_assert_str_eq(outgoing.parent, PARENT_SPAN);
	cr_assert_eq(json_integer_value(json_object_get(span_at(0), "flags")) & 0x300, 0x300);
	answer(fd);
}

/* What came in could not be rewritten; the program passes it on. */
Test(link, knows_what_exactly_one_open_exchange_received, .init = start_exact, .fini = spans_stop)
{
	int fd = serve_with(WITH_PARENT, false);

	cr_assert(strstr(program_buffer, PARENT));
	thread_state.exchange = 0;
	cr_assert(ask_with(passing_on(PARENT)));
	expect_rule("header");
	answer(fd);
	cr_assert_eq(spans_read(), 2);
	cr_assert_str_eq(outgoing.parent, span_field(span_at(1), "spanId"));
	cr_assert_str_eq(span_field(span_at(1), "parentSpanId"), PARENT_SPAN);
}

Test(link, does_not_guess_which_of_two_received_it, .init = start_exact, .fini = spans_stop)
{
	serve_with(WITH_PARENT, true);
	serve_with(WITH_PARENT, true);
	cr_assert_not(ask_with(passing_on(PARENT)));
}

Test(link, does_not_take_what_an_answered_exchange_received, .init = start_exact,
     .fini = spans_stop)
{
	answer(serve_with(WITH_PARENT, true));
	cr_assert_not(ask_with(passing_on(PARENT)));
}

/* The program never saw what was rewritten, so it has this value from elsewhere. */
Test(link, does_not_take_what_was_rewritten, .init = start, .fini = spans_stop)
{
	serve_with(WITH_PARENT, true);
	cr_assert_not(ask_with(passing_on(PARENT)));
}

Test(link, compares_trace_and_span, .init = start_exact, .fini = spans_stop)
{
	serve_with(WITH_PARENT, true);
	cr_assert_not(ask_with(passing_on("00-" PARENT_TRACE "-2222222222222222-01")));
	cr_assert_not(
		ask_with(passing_on("00-11111111111111111111111111111111-" PARENT_SPAN "-01")));
}

/* ---- rule 4: process ---- */

Test(link, takes_the_step_that_started_the_process, .init = start_in_step, .fini = spans_stop)
{
	ask();
	expect_rule("process");
	cr_assert_str_eq(outgoing.parent, PARENT_SPAN);
	cr_assert_str_eq(outgoing.trace, PARENT_TRACE);
	cr_assert_str_eq(span_field(span_at(0), "traceState"), "a=b");
	cr_assert(strstr(program_wire.bytes, "tracestate: a=b\r\n"));
	/* What is printed on a socket, and what comes on one that was inherited, is no request. */
	cr_assert_eq(counted(link_process), 1);
}

Test(link, does_not_take_the_step_after_listen, .init = start_in_step, .fini = spans_stop)
{
	shim_on_listen(100);
	ask();
	expect_rule("none");
	cr_assert_str_neq(outgoing.trace, PARENT_TRACE);
}

Test(link, does_not_take_the_step_after_accept, .init = start_in_step, .fini = spans_stop)
{
	int peer;

	fixture_socket(&peer, true, true);
	ask();
	expect_rule("none");
}

Test(link, does_not_take_the_step_after_setsid, .init = start_in_step, .fini = spans_stop)
{
	shim_on_setsid();
	ask();
	expect_rule("none");
}

/* A server that was started with its connection (inetd) reads a request on it. */
Test(link, does_not_take_the_step_while_a_request_is_open, .init = start_in_step,
     .fini = spans_stop)
{
	int ends[2];

	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends);
	shim_on_received_fd(ends[0]);
	program_reads(ends[0], ends[1], REQUEST);
	ask();
	expect_rule("none");
	answer(ends[0]);
	ask();
	expect_rule("process");
}

Test(link, takes_the_step_though_the_program_prints_to_a_socket, .init = start_in_step,
     .fini = spans_stop)
{
	int ends[2];

	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends);
	shim_on_received_fd(ends[0]);
	program_writes(ends[0], "hello\n");
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends);
	shim_on_received_fd(ends[0]);
	program_reads(ends[0], ends[1], "some input\n");
	ask();
	expect_rule("process");
}

/* ---- rule 5: only ---- */

Test(link, takes_the_only_open_exchange_when_a_guess_will_do, .init = start_best,
     .fini = spans_stop)
{
	int fd = serve_with(REQUEST, false);

	ask();
	expect_rule("only");
	answer(fd);
	cr_assert_eq(spans_read(), 2);
	cr_assert_str_eq(outgoing.parent, span_field(span_at(1), "spanId"));
	ask();
	expect_rule("none");
	cr_assert_eq(counted(link_only), 1);
}

Test(link, does_not_guess_unless_told_to, .init = start, .fini = spans_stop)
{
	serve_with(REQUEST, false);
	ask();
	expect_rule("none");
	cr_assert_eq(outgoing.links, 1);
}

Test(link, does_not_guess_between_two, .init = start_best, .fini = spans_stop)
{
	serve_with(REQUEST, false);
	serve_with(REQUEST, false);
	ask();
	expect_rule("none");
	cr_assert_eq(outgoing.links, 2);
}

Test(link, does_not_guess_when_some_are_unseen, .init = start_best, .fini = spans_stop)
{
	int fd = serve_with(REQUEST, false);

	serve_with(REQUEST, false);
	shim_make_opaque(fd);
	ask();
	expect_rule("none");
	cr_assert_eq(outgoing.links, 0);
}

Test(link, does_not_guess_a_stream, .init = start_best, .fini = spans_stop)
{
	program_writes(serve_with(REQUEST, false),
		       "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
	ask();
	expect_rule("none");
	cr_assert_eq(outgoing.links, 0);
}

/* ---- rule 6: none ---- */

Test(link, starts_a_trace_when_nothing_is_open, .init = start, .fini = spans_stop)
{
	ask();
	expect_rule("none");
	cr_assert_str_eq(outgoing.parent, "");
	cr_assert_eq(outgoing.links, 0);
	cr_assert_eq(counted(link_none), 1);
}

Test(link, names_up_to_eight_open_exchanges, .init = start, .fini = spans_stop)
{
	for (unsigned n = 1; n <= 10; n++) {
		serve_with(REQUEST, false);
		ask();
		expect_rule("none");
		cr_assert_eq(outgoing.links, n <= 8 ? n : 0, "%u", n);
	}
}

Test(link, links_to_the_spans_that_are_written, .init = start, .fini = spans_stop)
{
	int fd = serve_with(REQUEST, false);
	json_t *link;

	ask();
	answer(fd);
	spans_read();
	link = json_array_get(json_object_get(span_at(0), "links"), 0);
	cr_assert_str_eq(span_field(link, "spanId"), span_field(span_at(1), "spanId"));
	cr_assert_str_eq(span_field(link, "traceId"), span_field(span_at(1), "traceId"));
}

/* Each way of losing sight of requests. */
static void lose_framing(int fd)
{
	program_reads(fd, inbound_peer,
		      "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n");
}

static void lose_answer(int fd)
{
	program_reads(fd, inbound_peer, REQUEST);
	program_writes(fd, "no HTTP\r\n\r\n");
}

static void lose_protocol(int fd)
{
	program_reads(fd, inbound_peer, "*1\r\n$4\r\nPING\r\n");
}

static void lose_between_requests(int fd)
{
	program_reads(fd, inbound_peer, REQUEST);
	answer(fd);
	shim_make_opaque(fd);
}

static void lose_by_signal(int fd)
{
	program_reads(fd, inbound_peer, REQUEST);
	thread_enter();
	shim_before_close(fd);
	thread_leave();
}

Test(link, names_none_when_some_are_unseen, .init = start, .fini = spans_stop)
{
	static void (*const ways[])(int) = { lose_framing, lose_answer, lose_protocol,
					     lose_between_requests, lose_by_signal };

	serve_with(REQUEST, false);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		int fd = fixture_socket(&inbound_peer, true, false);

		atomic_store(&process_state.unseen_inbound, 0);
		ways[i](fd);
		ask();
		cr_assert_eq(outgoing.links, 0, "%zu", i);
		cr_assert(process_flag(unseen_inbound), "%zu", i);
	}
}

/* Until they are closed, under every name. */
Test(link, names_them_again_when_what_was_unseen_is_closed, .init = start, .fini = spans_stop)
{
	int tls = fixture_socket(&inbound_peer, true, false), others[3];

	others[0] = dup(tls);
	shim_on_dup(tls, others[0]);
	lose_protocol(tls);
	cr_assert_not(shim_tracked(tls));
	others[1] = dup(tls);
	shim_on_dup(tls, others[1]);
	others[2] = dup(others[0]);
	shim_on_dup(others[0], others[2]);
	serve_with(REQUEST, false);
	for (size_t i = 0; i < 3; i++) {
		program_closes(others[i]);
		ask();
		cr_assert_eq(outgoing.links, 0);
	}
	program_closes(tls);
	ask();
	cr_assert_eq(outgoing.links, 1);
	cr_assert_eq(process_flag(unseen_inbound), 0);
}

Test(link, counts_what_is_unseen_once_each, .init = start, .fini = spans_stop)
{
	int fds[3];

	for (size_t i = 0; i < 3; i++) {
		fds[i] = fixture_socket(&inbound_peer, true, false);
		lose_protocol(fds[i]);
		cr_assert_eq(process_flag(unseen_inbound), i + 1);
	}
	/* The number of one comes again without a close() that was seen. */
	shim_on_accept(-1, fds[0], NULL, 0);
	cr_assert_eq(process_flag(unseen_inbound), 2);
	shim_before_close_range(0, ~0u);
	cr_assert_eq(process_flag(unseen_inbound), 0);
}

/* An upgrade is where HTTP ends, not where we lose it. */
Test(link, names_the_others_after_an_upgrade, .init = start, .fini = spans_stop)
{
	int fd = serve_with("GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", false);

	serve_with(REQUEST, false);
	program_writes(fd, "HTTP/1.1 101 Switching\r\n\r\n");
	ask();
	cr_assert_eq(outgoing.links, 1);
}

/* ---- what goes along ---- */

Test(link, passes_tracestate_and_baggage_of_the_parent_on, .init = start, .fini = spans_stop)
{
	int fd = serve_with("GET / HTTP/1.1\r\ntraceparent: " PARENT
			    "\r\ntracestate: k=v\r\nbaggage: who=me\r\n\r\n",
			    true);

	ask();
	expect_rule("thread");
	cr_assert(strstr(program_wire.bytes, "\r\ntracestate: k=v\r\n"));
	cr_assert(strstr(program_wire.bytes, "\r\nbaggage: who=me\r\n"));
	answer(fd);
}

Test(link, passes_an_unsampled_decision_on, .init = start, .fini = spans_stop)
{
	int peer, fd = fixture_socket(&peer, false, true);
	const char *value;

	serve_with("GET / HTTP/1.1\r\ntraceparent: 00-" PARENT_TRACE "-" PARENT_SPAN "-00\r\n\r\n",
		   true);
	value = traceparent_in(program_writes(fd, REQUEST));
	cr_assert(strncmp(value + 3, PARENT_TRACE, 32) == 0);
	cr_assert(strncmp(value + 36, PARENT_SPAN, 16) != 0);
	cr_assert(value[54] == '0' || value[54] == '2');
	program_reads(fd, peer, RESPONSE);
	cr_assert_eq(spans_read(), 0);
}

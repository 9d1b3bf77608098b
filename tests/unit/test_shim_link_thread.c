/* SPDX-License-Identifier: Apache-2.0 */
/* The rule of links by threads: where it applies, and each condition that forbids it. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include "base/counters.h"
#include "base/process.h"
#include "exporter/exporter.h"
#include "shim/conn.h"
#include "shim/link.h"
#include "shim_links.h"

Test(link_thread, takes_the_thread_that_read_a_blocking_descriptor, .init = start,
     .fini = spans_stop)
{
	int fd = serve();

	ask();
	expect_rule("thread");
	answer(fd);
	cr_assert_eq(spans_read(), 2);
	cr_assert_str_eq(outgoing.parent, span_field(span_at(1), "spanId"));
	cr_assert_str_eq(outgoing.trace, span_field(span_at(1), "traceId"));
	cr_assert_eq(outgoing.links, 0);
	cr_assert_eq(counted(link_thread), 1);
}

static int serve_after_poll(int (*wait)(int fd))
{
	int fd = fixture_socket(&inbound_peer, true, false);

	wait(fd);
	program_reads(fd, inbound_peer, REQUEST);
	return fd;
}

static int poll_alone(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	shim_on_poll(&p, 1);
	return 0;
}

static int select_alone(int fd)
{
	fd_set in;

	FD_ZERO(&in);
	FD_SET(fd, &in);
	shim_on_select(fd + 1, &in, NULL);
	return 0;
}

static int poll_another(int fd)
{
	poll_alone(fd);
	return poll_alone(0);
}

static int poll_alone_then_epoll(int fd)
{
	poll_alone(fd);
	shim_on_epoll_wait(200);
	return 0;
}

static int poll_alone_then_two(int fd)
{
	struct pollfd p[2] = { { .fd = 0 }, { .fd = 1 } };

	poll_alone(fd);
	shim_on_poll(p, 2);
	return 0;
}

static int no_wait(int fd)
{
	(void)fd;
	return 0;
}

Test(link_thread, takes_the_thread_that_waited_for_this_descriptor_alone, .init = start,
     .fini = spans_stop)
{
	serve_after_poll(poll_alone);
	ask();
	expect_rule("thread");
}

Test(link_thread, takes_the_thread_that_selected_this_descriptor_alone, .init = start,
     .fini = spans_stop)
{
	serve_after_poll(select_alone);
	ask();
	expect_rule("thread");
}

Test(link_thread, does_not_take_a_thread_that_read_without_waiting, .init = start,
     .fini = spans_stop)
{
	serve_after_poll(no_wait);
	ask();
	expect_rule("none");
}

Test(link_thread, does_not_take_a_thread_whose_last_wait_was_for_another, .init = start,
     .fini = spans_stop)
{
	serve_after_poll(poll_another);
	ask();
	expect_rule("none");
}

Test(link_thread, does_not_take_a_thread_whose_last_wait_was_for_a_set, .init = start,
     .fini = spans_stop)
{
	serve_after_poll(poll_alone_then_epoll);
	ask();
	expect_rule("none");
}

Test(link_thread, does_not_take_a_thread_whose_last_wait_was_for_two, .init = start,
     .fini = spans_stop)
{
	serve_after_poll(poll_alone_then_two);
	ask();
	expect_rule("none");
}

/* The wait was for the connection that had this number before. */
Test(link_thread, does_not_take_a_wait_for_another_of_the_same_number, .init = start,
     .fini = spans_stop)
{
	int fd = fixture_socket(&inbound_peer, true, false);

	poll_alone(fd);
	fixture_close(fd, inbound_peer);
	cr_assert_eq(serve_after_poll(no_wait), fd);
	ask();
	expect_rule("none");
}

/* Another thread closes what this one has waited for, and accepts the next. */
static void exchange_for_another(void *fd)
{
	fixture_close(*(int *)fd, inbound_peer);
	*(int *)fd = fixture_socket(&inbound_peer, true, false);
}

Test(link_thread, does_not_take_a_wait_for_what_others_have_closed, .init = start,
     .fini = spans_stop)
{
	int fd = fixture_socket(&inbound_peer, true, false), waited = fd;

	poll_alone(fd);
	in_thread(exchange_for_another, &fd);
	cr_assert_eq(fd, waited);
	program_reads(fd, inbound_peer, REQUEST);
	ask();
	expect_rule("none");
}

Test(link_thread, does_not_take_a_read_that_would_not_have_waited, .init = start,
     .fini = spans_stop)
{
	int fd = fixture_socket(&inbound_peer, true, true);

	cr_assert_gt(send(inbound_peer, REQUEST, strlen(REQUEST), 0), 0);
	program_receives(fd, program_buffer, 4096, MSG_DONTWAIT, SHIM_CALL_RECV);
	ask();
	expect_rule("none");
}

/* Waits on a set with an inbound connection: an event loop, for good. */
static void loop_by_poll(int fd, int other)
{
	struct pollfd p[2] = { { .fd = other, .events = POLLIN }, { .fd = fd, .events = POLLIN } };

	shim_on_poll(p, 2);
}

static void loop_by_select(int fd, int other)
{
	fd_set in, out;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(other, &in);
	FD_SET(fd, &out);
	shim_on_select((fd > other ? fd : other) + 1, &in, &out);
}

static void loop_by_epoll(int fd, int other)
{
	(void)other;
	shim_on_epoll_ctl(201, EPOLL_CTL_ADD, fd);
	shim_on_epoll_wait(201);
}

static void expect_no_thread_after(void (*loop)(int fd, int other))
{
	int peer, waited = fixture_socket(&peer, true, true);

	loop(waited, 0);
	fixture_close(waited, peer);
	serve();
	ask();
	expect_rule("none");
}

Test(link_thread, does_not_take_a_thread_that_polls_a_set_with_an_inbound_one, .init = start,
     .fini = spans_stop)
{
	expect_no_thread_after(loop_by_poll);
}

Test(link_thread, does_not_take_a_thread_that_selects_a_set_with_an_inbound_one, .init = start,
     .fini = spans_stop)
{
	expect_no_thread_after(loop_by_select);
}

Test(link_thread, does_not_take_a_thread_that_epolls_a_set_with_an_inbound_one, .init = start,
     .fini = spans_stop)
{
	expect_no_thread_after(loop_by_epoll);
}

Test(link_thread, does_not_take_a_thread_that_loops_after_it_has_read, .init = start,
     .fini = spans_stop)
{
	int fd = serve();

	loop_by_poll(fd, 0);
	ask();
	expect_rule("none");
}

static void loop_elsewhere(void *fd)
{
	loop_by_epoll(*(int *)fd, 0);
}

Test(link_thread, minds_no_set_of_listeners_and_clients_nor_of_other_threads, .init = start,
     .fini = spans_stop)
{
	int peer, client = fixture_socket(&peer, false, true), fd = serve();
	struct pollfd p[2] = { { .fd = client }, { .fd = 0 } };

	in_thread(loop_elsewhere, &fd);
	shim_on_poll(p, 2);
	shim_on_epoll_ctl(202, EPOLL_CTL_ADD, client);
	shim_on_epoll_wait(202);
	ask();
	expect_rule("thread");
}

/* Still an event loop when its connections have been given up (TLS, say). */
Test(link_thread, does_not_take_a_thread_that_loops_over_what_was_given_up, .init = start,
     .fini = spans_stop)
{
	int peer, tls = fixture_socket(&peer, true, true);

	program_reads(tls, peer, "\x16\x03\x01");
	cr_assert_not(shim_tracked(tls));
	atomic_store(&process_state.unseen_inbound, 0); /* another reason */
	loop_by_poll(tls, 0);
	serve();
	ask();
	expect_rule("none");
}

Test(link_thread, forgets_that_a_number_was_an_event_set, .init = start, .fini = spans_stop)
{
	int fd = fixture_socket(&inbound_peer, true, true);

	shim_on_epoll_ctl(203, EPOLL_CTL_ADD, fd);
	shim_before_close(203);
	shim_on_epoll_wait(203);
	program_reads(fd, inbound_peer, REQUEST);
	ask();
	expect_rule("thread");
}

Test(link_thread, does_not_take_a_thread_that_accepted_meanwhile, .init = start, .fini = spans_stop)
{
	int peer;

	serve();
	fixture_socket(&peer, true, true);
	ask();
	expect_rule("none");
	cr_assert(process_flag(other_answered));
}

Test(link_thread, does_not_take_a_thread_that_read_another_request, .init = start,
     .fini = spans_stop)
{
	int second, peer = 0;

	second = fixture_socket(&peer, true, true);
	serve();
	program_reads(second, peer, REQUEST);
	ask();
	expect_rule("none");
	answer(second);
	ask();
	expect_rule("none");
}

Test(link_thread, does_not_take_pipelined_requests, .init = start, .fini = spans_stop)
{
	int fd = serve_with(REQUEST REQUEST, true);

	ask();
	expect_rule("none");
	answer(fd);
	ask();
	expect_rule("none");
}

static void ask_elsewhere(void *unused)
{
	(void)unused;
	ask();
}

Test(link_thread, does_not_take_another_thread, .init = start, .fini = spans_stop)
{
	serve();
	in_thread(ask_elsewhere, NULL);
	expect_rule("none");
}

Test(link_thread, does_not_take_an_answered_exchange, .init = start, .fini = spans_stop)
{
	int fd = serve();

	answer(fd);
	ask();
	expect_rule("none");
	program_closes(fd);
	ask();
	expect_rule("none");
	cr_assert_eq(outgoing.links, 0);
}

/* Until its last byte it is not answered: programs stream what they ask for. */
Test(link_thread, takes_an_exchange_whose_answer_has_begun, .init = start, .fini = spans_stop)
{
	program_writes(serve(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
	ask();
	expect_rule("thread");
}

Test(link_thread, does_not_take_a_stream, .init = start, .fini = spans_stop)
{
	program_writes(serve(), "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
	ask();
	expect_rule("none");
}

static void serve_elsewhere(void *fd)
{
	*(int *)fd = serve();
}

static void serve_and_answer(void *unused)
{
	(void)unused;
	answer(serve());
}

Test(link_thread, takes_one_of_several_only_when_readers_answer, .init = start, .fini = spans_stop)
{
	int open;

	in_thread(serve_elsewhere, &open);
	serve();
	ask();
	expect_rule("none");
	/* Enough evidence: readers have answered while others were open. */
	for (unsigned i = 0; i < 16; i++)
		in_thread(serve_and_answer, NULL);
	ask();
	expect_rule("thread");
	/* And one that was answered by another thread spoils it. */
	answer(open);
	in_thread(serve_elsewhere, &open);
	ask();
	expect_rule("none");
}

/* There may be others that nobody knows of. */
Test(link_thread, does_not_call_an_exchange_the_only_one_when_some_are_unseen, .init = start,
     .fini = spans_stop)
{
	int peer, other = fixture_socket(&peer, true, true);

	program_reads(other, peer, "\x16\x03\x01");
	serve();
	ask();
	expect_rule("none");
}

/* ---- HTTP/2: any thread may write what another has asked for ---- */

static enum link_rule rule_of_a_stream(void)
{
	const struct http1_head head = { .request = true, .http2 = true };
	struct link link;

	link_find(&link, conn_at(0), &head);
	return link.rule;
}

static _Atomic bool go_home;

static void *stand_by(void *arg)
{
	while (!atomic_load(&go_home))
		usleep(100);
	return arg;
}

Test(link_thread, takes_the_writer_of_a_stream_only_where_no_other_thread_is, .init = start,
     .fini = spans_stop)
{
	pthread_t other;
	unsigned now;

	serve();
	now = process_threads() - exporter_threads(); /* the test's frame may have some */
	if (now == 1)
		cr_expect_eq(rule_of_a_stream(), LINK_RULE_THREAD);
	cr_assert_eq(pthread_create(&other, NULL, stand_by, NULL), 0);
	cr_expect_eq(process_threads() - exporter_threads(), now + 1, "%u", now);
	cr_expect_eq(rule_of_a_stream(), LINK_RULE_NONE);
	atomic_store(&go_home, true);
	pthread_join(other, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A program that ends, or is replaced, in the middle of an exchange. */
#include <netinet/in.h>
#include "base/counters.h"
#include "base/thread.h"
#include "shim_halves.h"

static int peer;

static void begin(void)
{
	spans_start(NULL);
	shim_before_close_range(0, ~0u);
}

Test(at_exit, ends_a_request_that_was_not_answered, .fini = spans_stop)
{
	int fd;

	begin();
	fd = fixture_socket(&peer, true, true);
	program_reads(fd, peer, REQUEST);
	shim_at_exit();
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_SERVER, "", "aborted");
	cr_assert_eq(counted(spans_dropped_open), 0);
}

Test(at_exit, ends_a_request_whose_answer_did_not_come, .fini = spans_stop)
{
	int fd;

	begin();
	fd = fixture_socket(&peer, false, true);
	program_writes(fd, REQUEST);
	shim_at_exit();
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_CLIENT, "", "aborted");
}

Test(at_exit, keeps_the_answer_that_was_seen, .fini = spans_stop)
{
	int fd;

	begin();
	fd = fixture_socket(&peer, false, true);
	program_writes(fd, REQUEST);
	program_reads(fd, peer, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
	shim_at_exit();
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_CLIENT, "200", "");
}

Test(at_exit, ends_all_that_are_open_and_each_once, .fini = spans_stop)
{
	int fds[3];

	begin();
	for (int i = 0; i < 3; i++) {
		fds[i] = fixture_socket(&peer, true, true);
		program_reads(fds[i], peer, REQUEST REQUEST);
	}
	program_writes(fds[1], RESPONSE);
	shim_at_exit();
	shim_at_exit();
	for (int i = 0; i < 3; i++)
		program_closes(fds[i]);
	cr_assert_eq(spans_read(), 6);
	expect_nothing_in_use();
}

Test(at_exit, leaves_the_rest_of_a_header_to_who_still_writes, .fini = spans_stop)
{
	struct shim_write w;
	ssize_t n;
	int fd;

	begin();
	fd = fixture_socket(&peer, false, false);
	n = half_written(&w, fd, BEFORE + 10);
	must(!shim_write_again(&w, &n));
	shim_at_exit();
	write_rest(fd, (size_t)n);
	expect_whole(&program_wire);
}

Test(at_exit, counts_what_another_thread_has_in_hand, .fini = spans_stop)
{
	int fd, free;

	begin();
	fd = fixture_socket(&peer, true, true);
	program_reads(fd, peer, REQUEST);
	free = fixture_socket(&peer, true, true);
	program_reads(free, peer, REQUEST);
	atomic_store(&conn_of(fd)->lock, 1);
	shim_at_exit();
	cr_assert_eq(spans_read(), 1);
	cr_assert_eq(counted(spans_dropped_open), 1);
}

Test(at_exit, waits_for_nothing_in_a_signal_handler, .fini = spans_stop)
{
	int fd;

	begin();
	fd = fixture_socket(&peer, true, true);
	program_reads(fd, peer, REQUEST);
	cr_assert(thread_enter());
	shim_at_exit();
	thread_leave();
	cr_assert_eq(spans_read(), 0);
	cr_assert_eq(counted(spans_dropped_open), 1);
}

Test(at_exit, says_nothing_of_what_was_not_to_be_recorded)
{
	int fd;

	start();
	atomic_store(&conn_of(fd = fixture_socket(&peer, true, true))->lock, 0);
	program_reads(fd, peer,
		      "GET /x HTTP/1.1\r\nHost: a\r\ntraceparent: 00-" PARENT_TRACE "-" PARENT_SPAN
		      "-00\r\n\r\n");
	atomic_store(&conn_of(fd)->lock, 1);
	shim_at_exit();
	cr_assert_eq(counted(spans_dropped_open), 0);
}

/* It may fail, and then everything goes on. */
Test(at_exec, counts_what_is_open_and_leaves_it_so, .fini = spans_stop)
{
	int fd;

	begin();
	fd = fixture_socket(&peer, true, true);
	program_reads(fd, peer, REQUEST);
	shim_before_exec();
	cr_assert_eq(counted(exchanges_open_at_exec), 1);
	program_writes(fd, RESPONSE);
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_SERVER, "200", "");
	cr_assert_eq(counted(exchanges_open_at_exec), 1);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Connections and the descriptors that name them: numbers that come again, doubles, other threads.
 */
#include <time.h>
#include "base/counters.h"
#include "base/thread.h"
#include "shim/process_state.h"
#include "shim_halves.h"

static int peer;

/* ---- descriptors ---- */

Test(conn, tracks_stream_sockets_only)
{
	start();
	shim_on_socket(10, AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC);
	shim_on_socket(11, AF_INET, SOCK_DGRAM);
	shim_on_socket(12, AF_INET6, SOCK_STREAM);
	shim_on_socket(13, AF_NETLINK, SOCK_STREAM);
	shim_on_socket(14, AF_UNIX, SOCK_SEQPACKET);
	cr_assert(shim_tracked(10));
	cr_assert_not(shim_tracked(11));
	cr_assert(shim_tracked(12));
	cr_assert_not(shim_tracked(13));
	cr_assert_not(shim_tracked(14));
	cr_assert_not(shim_tracked(-1));
	cr_assert_not(shim_tracked(INT32_MAX));
	shim_before_close_range(10, ~0u);
	expect_nothing_in_use();
}

Test(conn, forgets_a_socket_that_listens)
{
	start();
	shim_on_socket(10, AF_INET, SOCK_STREAM);
	shim_on_listen(10);
	cr_assert_not(shim_tracked(10));
	expect_nothing_in_use();
}

Test(conn, starts_anew_when_a_number_comes_again, .fini = spans_stop)
{
	int fd, again;

	spans_start(NULL);
	shim_before_close_range(0, ~0u);
	fd = fixture_socket(&peer, true, false);
	program_reads(fd, peer, "GET / HT");
	program_closes(fd);
	close(peer);
	again = fixture_socket(&peer, true, false);
	cr_assert_eq(again, fd);
	program_reads(again, peer, REQUEST);
	program_writes(again, RESPONSE);
	cr_assert_eq(spans_read(), 1);
	program_closes(again);
	expect_nothing_in_use();
}

/* A close() that went by a direct system call. */
Test(conn, starts_anew_when_nobody_saw_the_close, .fini = spans_stop)
{
	int fd;

	spans_start(NULL);
	shim_before_close_range(0, ~0u);
	fd = fixture_socket(&peer, true, false);
	program_reads(fd, peer, REQUEST);
	close(fd);
	close(peer);
	cr_assert_eq(fixture_socket(&peer, true, false), fd);
	program_reads(fd, peer, REQUEST);
	program_writes(fd, RESPONSE);
	cr_assert_eq(spans_read(), 2);
	expect_span(0, KIND_SERVER, "", "aborted");
	expect_span(1, KIND_SERVER, "200", "");
}

Test(conn, is_one_stream_under_two_numbers, .fini = spans_stop)
{
	int fd, other;

	spans_start(NULL);
	shim_before_close_range(0, ~0u);
	fd = fixture_socket(&peer, true, false);
	program_reads(fd, peer, "GET /x HTTP/1.1\r\n");
	other = dup(fd);
	shim_on_dup(fd, other);
	program_reads(other, peer, "Host: a\r\n\r\n");
	program_closes(fd);
	cr_assert_eq(spans_read(), 0);
	program_writes(other, RESPONSE);
	cr_assert_eq(spans_read(), 1);
	program_closes(other);
	expect_nothing_in_use();
}

Test(conn, takes_a_number_over_by_dup2, .fini = spans_stop)
{
	int fd, other, other_peer;

	spans_start(NULL);
	shim_before_close_range(0, ~0u);
	fd = fixture_socket(&peer, true, false);
	other = fixture_socket(&other_peer, true, false);
	program_reads(other, other_peer, REQUEST);
	cr_assert_eq(dup2(fd, other), other);
	shim_on_dup(fd, other);
	cr_assert_eq(conn_of(fd), conn_of(other));
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_SERVER, "", "aborted");
	program_reads(fd, peer, REQUEST);
	program_writes(other, RESPONSE);
	cr_assert_eq(spans_read(), 2);
	shim_on_dup(fd, fd);
	shim_before_close_range(3, ~0u);
	expect_nothing_in_use();
}

/* The lock is held by somebody who does not get on: a loaded machine, one processor. */
Test(conn, is_given_back_by_who_holds_it_when_the_closer_cannot, .fini = spans_stop)
{
	struct conn *c;
	int fd;

	spans_start(NULL);
	shim_before_close_range(0, ~0u);
	fd = fixture_socket(&peer, true, false);
	program_reads(fd, peer, REQUEST);
	c = conn_of(fd);
	atomic_store(&c->lock, 1);
	program_closes(fd);
	cr_assert_not(shim_tracked(fd));
	cr_assert_neq(process_flag(unseen_inbound), 0);
	conn_release(c); /* as the other thread does in the end */
	cr_assert_eq(process_flag(unseen_inbound), 0);
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_SERVER, "", "aborted");
	expect_nothing_in_use();
}

/* The signal handler closes what the interrupted code is at work on. */
Test(conn, is_given_back_after_a_signal_handler_has_closed_it)
{
	struct conn *c;
	int fd;

	start();
	fd = fixture_socket(&peer, true, false);
	c = conn_acquire(fd);
	cr_assert_not_null(c);
	shim_before_close(fd);
	conn_release(c);
	cr_assert_eq(process_flag(unseen_inbound), 0);
	expect_nothing_in_use();
}

/* A signal handler used it while we were inside: it is given up at the next look, which is dup's.
 */
Test(conn, does_not_double_what_was_given_up)
{
	int fd;

	start();
	fd = fixture_socket(&peer, true, false);
	thread_enter();
	cr_assert_null(conn_acquire(fd));
	thread_leave();
	shim_on_dup(fd, 100);
	cr_assert_eq(counted(opaque_reentered), 1);
	cr_assert_not(shim_tracked(fd));
	cr_assert_not(shim_tracked(100));
	expect_nothing_in_use();
}

Test(conn, gives_up_a_second_number_too)
{
	int fd;

	start();
	fd = fixture_socket(&peer, true, false);
	shim_on_dup(fd, 100);
	shim_make_opaque(fd);
	cr_assert_not(shim_tracked(fd));
	shim_on_dup(100, 101);
	program_write_fails(100, "HTTP/1.1 200 OK\r\n\r\n", EAGAIN);
	shim_before_close(100);
	shim_before_close(101);
	expect_nothing_in_use();
}

Test(conn, is_not_tracked_past_the_table)
{
	start();
	shim_on_socket((int)fd_table.size, AF_INET, SOCK_STREAM);
	cr_assert_eq(counted(untracked_fd_limit), 1);
	shim_on_socket(10, AF_INET, SOCK_STREAM);
	shim_on_dup(10, (int)fd_table.size);
	cr_assert_not(shim_tracked(10));
	expect_nothing_in_use();
}

/* ---- the transaction in the hands of others ---- */

static void give_up_while_writing(size_t taken, void (*give_up)(int fd), int rest_fd, int fd)
{
	struct shim_write w;
	ssize_t n = half_written(&w, fd, taken);

	give_up(fd);
	cr_assert_not(shim_write_again(&w, &n));
	cr_assert(n > 0 || errno == EAGAIN);
	write_rest(rest_fd, n > 0 ? (size_t)n : 0);
	expect_whole(&program_wire);
}

static void make_opaque(int fd)
{
	shim_make_opaque(fd);
}

static void break_answer(int fd)
{
	program_reads(fd, peer, "no HTTP at all\r\n\r\n");
}

static void write_as_well(int fd)
{
	struct iovec part = { (char *)(uintptr_t) "x", 1 };
	struct shim_write w;
	ssize_t n = -1;

	shim_write_begin(&w, fd, &part, 1, 0, SHIM_CALL_WRITE);
	cr_assert_eq(w.iov, &part);
	errno = EAGAIN;
	cr_assert_not(shim_write_again(&w, &n));
}

static void close_one(int fd)
{
	program_closes(fd);
}

Test(conn, completes_a_head_though_it_is_given_up_meanwhile)
{
	static void (*const ways[])(int) = { make_opaque, break_answer, write_as_well };

	start();
	for (size_t way = 0; way < 3; way++)
		for (size_t taken = 1; taken <= sizeof(request) - 1 + 70; taken++) {
			int fd = fixture_socket(&peer, false, false);

			give_up_while_writing(taken, ways[way], fd, fd);
			cr_assert_not(shim_tracked(fd), "%zu %zu", way, taken);
			fixture_close(fd, peer);
			expect_nothing_in_use();
		}
}

Test(conn, completes_a_head_through_another_number)
{
	static void (*const ways[])(int) = { make_opaque, break_answer, close_one };

	start();
	for (size_t way = 0; way < 3; way++)
		for (size_t taken = 1; taken <= sizeof(request) - 1 + 70; taken++) {
			int fd = fixture_socket(&peer, false, false), other = dup(fd);

			shim_on_dup(fd, other);
			give_up_while_writing(taken, ways[way], other, fd);
			if (way != 2)
				program_closes(fd);
			fixture_close(other, peer);
			expect_nothing_in_use();
		}
}

Test(conn, leaves_nothing_behind_when_closed_during_a_write)
{
	start();
	for (size_t taken = 1; taken <= sizeof(request) - 1 + 70; taken++)
		for (int retry = 0; retry < 2; retry++) {
			int fd = fixture_socket(&peer, false, false);
			struct shim_write w;
			ssize_t n = half_written(&w, fd, taken);

			if (retry) {
				struct iovec part = { (char *)(uintptr_t) "\r\n", 2 };

				cr_assert_not(shim_write_again(&w, &n));
				shim_write_begin(&w, fd, &part, 1, 0, SHIM_CALL_WRITEV);
				errno = EBADF;
				n = -1;
			}
			fixture_close(fd, peer);
			cr_assert_not(shim_write_again(&w, &n));
			expect_nothing_in_use();
		}
}

/* A thread was ended, or left by a signal handler's jump, inside our code: its lock is never given
 * back. Others wait for it once. */
Test(conn, is_waited_for_once_when_its_lock_was_left)
{
	struct timespec start_time, end;
	struct conn *c;
	int fd;

	start();
	fd = fixture_socket(&peer, true, false);
	program_reads(fd, peer, "GET / HT");
	c = conn_of(fd);
	atomic_store(&c->lock, 1);
	program_reads(fd, peer, "TP");
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start_time);
	for (int i = 0; i < 1000; i++)
		program_reads(fd, peer, "/");
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	cr_assert_lt((end.tv_sec - start_time.tv_sec) * 1000 +
			     (end.tv_nsec - start_time.tv_nsec) / 1000000,
		     500, "a thousand times 20,000 turns would be seconds");
	program_closes(fd);
	cr_assert_not(shim_tracked(fd));
}

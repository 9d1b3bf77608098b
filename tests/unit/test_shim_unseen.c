/* SPDX-License-Identifier: Apache-2.0 */
/* Half of our header has left with the program's head, and what comes next is no write that we see:
 * sendfile(), splice(), a send with MSG_OOB or MSG_ZEROCOPY. The rest of ours goes first. */
#include <netinet/in.h>
#include "base/counters.h"
#include "shim_halves.h"

#define HEADER 70 /* "traceparent: " + 55 + CR LF */
#define HALF   30

static int peer;
static char got[1024];

static void begin(void)
{
	spans_start(NULL);
	shim_before_close_range(0, ~0u);
}

/* A client whose kernel has taken `n` bytes of the request as we send it. */
static int client(size_t n, bool blocking)
{
	struct shim_write w;
	ssize_t sent;
	int fd;

	fd = fixture_socket(&peer, false, blocking);
	sent = half_written(&w, fd, n);
	fcntl(fd, F_SETFL, O_NONBLOCK); /* else the write would go on by itself */
	must(!shim_write_again(&w, &sent));
	fcntl(fd, F_SETFL, blocking ? 0 : O_NONBLOCK);
	must(sent == (ssize_t)(n < BEFORE ? n : BEFORE));
	return fd;
}

/* What has come to the peer by a call of our own. */
static size_t arrived(void)
{
	ssize_t n = recv(peer, got, sizeof(got), MSG_DONTWAIT);

	return n > 0 ? (size_t)n : 0;
}

static void expect_rest_of_header(size_t from)
{
	cr_assert_eq(arrived(), HEADER - from);
	memcpy(program_wire.bytes + BEFORE + from, got, HEADER - from);
	cr_assert(memcmp(program_wire.bytes + BEFORE, "traceparent: 00-", 16) == 0);
	cr_assert(memcmp(program_wire.bytes + BEFORE + HEADER - 2, "\r\n", 2) == 0);
}

static void fill(int fd)
{
	static const char page[4096];
	int size = 4096;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	while (send(fd, page, sizeof(page), MSG_DONTWAIT) > 0)
		;
	while (send(fd, page, 1, MSG_DONTWAIT) > 0)
		;
}

static void drain(void)
{
	while (arrived())
		;
}

Test(unseen, sends_the_rest_of_a_header_first, .fini = spans_stop)
{
	begin();
	for (size_t half = 0; half < HEADER; half++) {
		int fd = client(BEFORE + half, half & 1);

		errno = ENOENT;
		cr_assert(shim_before_unseen(fd, 0));
		cr_assert_eq(errno, ENOENT);
		expect_rest_of_header(half);
		/* The blank line by sendfile(), say; the answer is followed as ever. */
		shim_on_sent_unseen(fd, 2);
		program_reads(fd, peer, RESPONSE);
		fixture_close(fd, peer);
		cr_assert_eq(spans_read(), half + 1);
		expect_span(half, KIND_CLIENT, "200", "");
		expect_nothing_in_use();
	}
}

Test(unseen, adds_nothing_where_nothing_of_ours_has_left, .fini = spans_stop)
{
	int fd;

	begin();
	fd = client(BEFORE - 3, false);
	cr_assert(shim_before_unseen(fd, 0));
	cr_assert_eq(arrived(), 0);
	shim_on_sent_unseen(fd, 5);
	cr_assert(shim_before_unseen(fd, 0));
	cr_assert_eq(arrived(), 0);
	program_reads(fd, peer, RESPONSE);
	cr_assert_eq(spans_read(), 1);
	program_writes(fd, REQUEST);
	cr_assert_str_neq(traceparent_in(program_wire.bytes), "");
}

Test(unseen, touches_a_head_no_more_of_which_a_part_passed_by, .fini = spans_stop)
{
	int fd;

	begin();
	fd = client(BEFORE - 3, false);
	cr_assert(shim_before_unseen(fd, 0));
	shim_on_sent_unseen(fd, 2);
	cr_assert_eq(counted(opaque_framing), 1);
	cr_assert_str_eq(program_writes(fd, request + BEFORE - 1), request + BEFORE - 1);
	fixture_close(fd, peer);
	expect_nothing_in_use();
}

Test(unseen, says_again_where_the_rest_would_have_to_wait, .fini = spans_stop)
{
	int fd;

	begin();
	fd = client(BEFORE + HALF, false);
	fill(fd);
	cr_assert_not(shim_before_unseen(fd, 0));
	cr_assert_eq(errno, EAGAIN);
	drain();
	cr_assert(shim_before_unseen(fd, 0));
	expect_rest_of_header(HALF);
	cr_assert(shim_before_unseen(fd, 0));
	cr_assert_eq(arrived(), 0);
}

Test(unseen, does_not_wait_where_the_call_would_not, .fini = spans_stop)
{
	int fd;

	begin();
	fd = client(BEFORE + HALF, true);
	fill(fd);
	cr_assert_not(shim_before_unseen(fd, MSG_DONTWAIT));
	cr_assert_eq(errno, EAGAIN);
}

Test(unseen, leaves_an_error_to_the_programs_own_call, .fini = spans_stop)
{
	int fd;

	begin();
	fd = client(BEFORE + HALF, true);
	close(peer);
	cr_assert(shim_before_unseen(fd, 0));
}

Test(unseen, leaves_the_stream_alone_after_out_of_band_bytes, .fini = spans_stop)
{
	int fd;

	begin();
	fd = client(BEFORE + HALF, false);
	cr_assert(shim_before_unseen(fd, MSG_OOB));
	expect_rest_of_header(HALF);
	shim_make_opaque(fd);
	cr_assert_not(shim_tracked(fd));
	fixture_close(fd, peer);
	expect_nothing_in_use();
}

Test(unseen, drops_a_header_that_has_not_begun_for_out_of_band_bytes, .fini = spans_stop)
{
	int fd;

	begin();
	fd = client(BEFORE - 3, false);
	cr_assert(shim_before_unseen(fd, MSG_OOB));
	shim_make_opaque(fd);
	cr_assert_str_eq(program_writes(fd, request + BEFORE - 2), request + BEFORE - 2);
	fixture_close(fd, peer);
	expect_nothing_in_use();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a connection while a write on it is between the look at it and its end: another
 * thread closes it, breaks it, writes too, forks. */
#include <sys/wait.h>
#include "h2_fixture.h"

static struct flow flow, answer;
static struct transcript own, wire;
static struct iovec part;

static void requests(unsigned n)
{
	flow_begin(&flow);
	flow_preface(&flow);
	for (unsigned i = 0; i < n; i++)
		flow_headers(&flow, 2 * i + 1, true, GET_FIELDS("/x"));
}

/* Begins to write the flow; the kernel takes n bytes. */
static ssize_t begins(struct shim_write *w, int fd, size_t n, enum shim_call call)
{
	part = (struct iovec){ flow.p, flow.n };
	h2_wire_begin(n);
	shim_write_begin(w, fd, &part, 1, 0, call);
	return wire_take(&h2_wire, w->iov, w->iovcnt);
}

/* What the kernel got is what a peer understands, though not all requests carry something. */
static void expect_understood(size_t n)
{
	size_t traceparents;

	cr_assert(transcript_read(&own, flow_bytes(&flow)));
	cr_assert(transcript_read(&wire, (struct bytes){ h2_wire.bytes, h2_wire.n }), "at %zu: %s",
		  n, wire.p);
	cr_assert(transcript_is_traced(&wire, &own, &traceparents), "at %zu: %s", n, wire.p);
}

static void write_on(struct shim_write *w, ssize_t n, int fd)
{
	h2_wire.limit = FLOW_MAX;
	while (shim_write_again(w, &n))
		n = wire_take(&h2_wire, w->iov, w->iovcnt);
	cr_assert(n >= 0 || errno == EAGAIN);
	cr_assert_leq(n, (ssize_t)flow.n);
	h2_write(fd, flow.p, n > 0 ? (size_t)n : 0, flow.n, 1, SHIM_CALL_SEND);
}

TestSuite(h2_halves, .init = start, .timeout = 60);

static void another_writes(int fd)
{
	struct iovec other = { (char *)"x", 1 };
	struct shim_write w;

	shim_write_begin(&w, fd, &other, 1, 0, SHIM_CALL_WRITE);
	cr_assert_null(w.conn);
}

static void another_reads_nonsense(int fd)
{
	h2_reads(fd, BYTES("HTTP/1.1 400 Bad Request\r\n\r\n"), 100);
}

static void broken_meanwhile(void (*breaks)(int fd), unsigned count)
{
	requests(count);
	for (size_t n = 1; n < flow.n + 71 * count; n++)
		for (int vector = 0; vector < 2; vector++) {
			int peer, fd = fixture_socket(&peer, false, false);
			struct shim_write w;
			ssize_t got =
				begins(&w, fd, n, vector ? SHIM_CALL_WRITEV : SHIM_CALL_WRITE);

			breaks(fd);
			write_on(&w, got, fd);
			expect_understood(n);
			fixture_close(fd, peer);
			expect_no_h2_in_use();
		}
}

Test(h2_halves, completes_what_was_offered_when_another_writes)
{
	broken_meanwhile(another_writes, 1);
	broken_meanwhile(another_writes, 3);
	cr_assert_gt(counted(opaque_concurrent), 0);
}

Test(h2_halves, completes_what_was_offered_when_the_peer_breaks_off)
{
	broken_meanwhile(another_reads_nonsense, 1);
	broken_meanwhile(another_reads_nonsense, 3);
	cr_assert_gt(counted(opaque_framing), 0);
}

/* A block that was freed twice is given twice. */
static void expect_blocks_are_different(size_t size)
{
	void *block[3];
	size_t got;

	for (unsigned i = 0; i < 3; i++) {
		block[i] = block_get(size, &got);
		for (unsigned j = 0; j < i; j++)
			cr_assert_neq(block[i], block[j]);
	}
	for (unsigned i = 0; i < 3; i++)
		block_put(block[i]);
}

/* In the first call into the kernel, or in one that follows. */
Test(h2_halves, frees_once_what_was_closed_meanwhile)
{
	static char body[60000];

	requests(3);
	flow_headers(&flow, 9, false, POST_FIELDS("/large"));
	for (unsigned i = 0; i < 9; i++)
		flow_data(&flow, 9, false, (struct bytes){ body, 15000 });
	for (unsigned round = 0; round < 3; round++)
		for (size_t n = 1; n < flow.n; n += 1 + n / 3) {
			int peer, fd = fixture_socket(&peer, false, false);
			struct shim_write w;
			ssize_t got = begins(&w, fd, round ? FLOW_MAX : n, SHIM_CALL_WRITE);
			bool more = true;

			for (unsigned i = 0; i < round && more; i++) {
				more = shim_write_again(&w, &got);
				if (more)
					got = wire_take(&h2_wire, w.iov, w.iovcnt);
			}
			fixture_close(fd, peer);
			while (more && shim_write_again(&w, &got))
				got = wire_take(&h2_wire, w.iov, w.iovcnt);
			cr_assert_leq(got, (ssize_t)flow.n);
			expect_no_h2_in_use();
			expect_blocks_are_different(BLOCK_SMALL);
			expect_blocks_are_different(BLOCK_LARGE);
		}
}

Test(h2_halves, is_left_alone_by_a_forked_child)
{
	int peer, fd = fixture_socket(&peer, false, false), status;
	struct shim_write w;
	ssize_t n;
	pid_t child;

	requests(2);
	h2_wire_begin(FLOW_MAX);
	h2_write(fd, flow.p, 0, flow.n, 1, SHIM_CALL_SEND);
	flow_begin(&answer);
	flow_frame(&answer, H2_SETTINGS, 0, 0, BYTES(""));
	flow_headers(&answer, 1, true, ":status: 200\n");
	flow_headers(&answer, 3, true, ":status: 200\n");
	child = fork();
	if (!child) {
		shim_fork_child();
		must(exchange_in_use() == 0);
		h2_reads(fd, flow_bytes(&answer), 1);
		shim_before_close(fd);
		must(block_in_use() == 0 && conn_in_use() == 0);
		_exit(0);
	}
	shim_fork_parent();
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0, "%x", status);
	h2_reads(fd, flow_bytes(&answer), 7);
	cr_assert_eq(exchange_in_use(), 0);
	fixture_close(fd, peer);
	/* And half a block of ours has left. */
	fd = fixture_socket(&peer, false, false);
	n = begins(&w, fd, flow.n + 20, SHIM_CALL_WRITE);
	cr_assert_not(shim_write_again(&w, &n));
	cr_assert_lt(n, (ssize_t)flow.n);
	child = fork();
	if (!child) {
		shim_fork_child();
		h2_wire.limit = FLOW_MAX;
		h2_write(fd, flow.p, (size_t)n, flow.n, 1, SHIM_CALL_WRITE);
		must(transcript_read(&wire, (struct bytes){ h2_wire.bytes, h2_wire.n }));
		shim_before_close(fd);
		must(block_in_use() == 0 && conn_in_use() == 0);
		_exit(0);
	}
	shim_fork_parent();
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0, "%x", status);
	fixture_close(fd, peer);
	expect_no_h2_in_use();
}

/* A block of which a part has left is decoded when all has: if it is broken, what the same call has
 * behind it goes out as it is, in as many calls as it takes. */
Test(h2_halves, sends_all_of_a_call_in_which_the_connection_is_given_up)
{
	flow_begin(&flow);
	flow_preface(&flow);
	flow_frame(&flow, H2_HEADERS, H2_FLAG_END_HEADERS, 1, BYTES("\x80\x80\x80\x80"));
	for (unsigned i = 0; i < 20; i++)
		flow_data(&flow, 1, false, BYTES("some more data"));
	for (unsigned parts = 1; parts < 200; parts++) {
		const enum shim_call call = parts == 1 ? SHIM_CALL_WRITE : SHIM_CALL_WRITEV;
		size_t cut = H2_PREFACE_LEN + 2 * H2_FRAME_HEAD + 1;
		int peer, fd = fixture_socket(&peer, false, false);

		h2_wire_begin(FLOW_MAX);
		cr_assert_eq(h2_write(fd, flow.p, 0, cut, 1, call), 1);
		cr_assert_eq(h2_write(fd, flow.p, cut, flow.n, parts, call), 1, "%u parts", parts);
		cr_assert_eq(h2_wire.n, flow.n);
		cr_assert_eq(memcmp(h2_wire.bytes, flow.p, flow.n), 0);
		fixture_close(fd, peer);
		expect_no_h2_in_use();
	}
	cr_assert_eq(counted(opaque_framing), 199);
}

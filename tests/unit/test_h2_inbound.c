/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that are read carry our id on into the program, whose decoder stays in step. */
#include <sys/ioctl.h>
#include "h2_fixture.h"

static struct flow flow;
static struct transcript sent, got;
static char program[FLOW_MAX]; /* what it has read so far */
static size_t program_n;

static void start_inserting(void)
{
	spans_main = getpid();
	fixture_start("TAGALONG_INBOUND_HEADER=on");
	shim_before_close_range(0, ~0u);
}

TestSuite(h2_inbound, .init = start_inserting, .timeout = 60);

/* The program reads all of it with `room` in its buffer; at most `step` bytes are there at once. */
static void reads_all(int fd, int peer, size_t room, size_t step)
{
	static char buffer[FLOW_MAX];

	program_n = 0;
	for (size_t at = 0; at < flow.n;) {
		size_t n = flow.n - at < step ? flow.n - at : step;
		int unread = 1;

		must(send(peer, flow.p + at, n, 0) == (ssize_t)n);
		at += n;
		while (unread) {
			ssize_t r = program_receives(fd, buffer, room, 0, SHIM_CALL_RECV);

			cr_assert(r > 0 && r <= (ssize_t)room);
			memcpy(program + program_n, buffer, (size_t)r);
			program_n += (size_t)r;
			ioctl(fd, FIONREAD, &unread);
			/* "Not full" means "drained". */
			cr_assert(r == (ssize_t)room || !unread, "room %zu, step %zu", room, step);
		}
	}
}

static size_t expect_understood(size_t a, size_t b)
{
	size_t n;

	cr_assert(transcript_read(&sent, flow_bytes(&flow)));
	cr_assert(transcript_read(&got, (struct bytes){ program, program_n }), "%zu/%zu: %s", a, b,
		  got.p);
	cr_assert(transcript_is_traced(&got, &sent, &n), "%zu/%zu: %s", a, b, got.p);
	return n;
}

static size_t run(size_t room, size_t step)
{
	int peer, fd = fixture_socket(&peer, true, false);
	size_t n;

	reads_all(fd, peer, room, step);
	n = expect_understood(room, step);
	fixture_close(fd, peer);
	return n;
}

static unsigned with_parent(const struct transcript *t, const char *value)
{
	unsigned n = 0;

	for (const char *p = t->p; (p = strstr(p, value)); p++)
		n++;
	return n;
}

/* ---- over what is there ---- */

#define PARENT_LINE "traceparent: " PARENT "\n"

/* A literal of traceparent behind the fields of a request. */
static void parent_by_hand(uint32_t stream, uint8_t first, bool huffman)
{
	char block[512];
	struct bytes fields = flow_block(&flow, GET_FIELDS("/hand"));
	size_t n = fields.n;

	memcpy(block, fields.p, n);
	memcpy(block + n + 1, "\013traceparent", 12);
	block[n] = (char)first;
	n += 13;
	if (huffman) {
		size_t m = hpack_huffman_put(block + n + 1, 100, BYTES(PARENT));

		block[n] = (char)(0x80 | m);
		n += 1 + m;
	} else {
		block[n++] = TRACEPARENT_LEN;
		memcpy(block + n, PARENT, TRACEPARENT_LEN);
		n += TRACEPARENT_LEN;
	}
	flow_frame(&flow, H2_HEADERS, H2_FLAG_END_HEADERS | H2_FLAG_END_STREAM, stream,
		   (struct bytes){ block, n });
}

Test(h2_inbound, writes_our_id_over_literals_that_make_no_entry)
{
	flow_begin(&flow);
	flow_preface(&flow);
	parent_by_hand(1, 0x00, false);
	parent_by_hand(3, 0x10, false);
	parent_by_hand(5, 0x00, true);
	parent_by_hand(7, 0x10, true);
	for (size_t room = 400; room < 4000; room += 97) {
		uint64_t before = counted(headers_inbound);

		cr_assert_eq(run(room, FLOW_MAX), 0);
		cr_assert_eq(program_n, flow.n);
		/* Where a frame's end came in a later read it stays as it is. */
		cr_assert_geq(with_parent(&got, PARENT) + counted(headers_inbound) - before, 4);
		if (room > flow.n + 2000)
			cr_assert_eq(with_parent(&got, PARENT), 0, "%s", got.p);
	}
	expect_no_h2_in_use();
}

Test(h2_inbound, leaves_entries_of_the_table_alone)
{
	flow_begin(&flow);
	flow_preface(&flow);
	for (uint32_t stream = 1; stream < 20; stream += 2)
		flow_headers(&flow, stream, true, GET_FIELDS("/x") PARENT_LINE);
	parent_by_hand(21, 0x40, true);
	cr_assert_eq(run(16384, FLOW_MAX), 0);
	cr_assert_eq(program_n, flow.n);
	cr_assert_eq(memcmp(program, flow.p, flow.n), 0);
	expect_no_h2_in_use();
}

/* ---- where nothing is ---- */

static void many(unsigned n)
{
	flow_begin(&flow);
	flow_preface(&flow);
	for (unsigned i = 0; i < n; i++) {
		flow_headers(&flow, 2 * i + 1, i & 1, GET_FIELDS("/x"));
		if (!(i & 1))
			flow_data(&flow, 2 * i + 1, true, BYTES("data of the request"));
	}
}

Test(h2_inbound, puts_a_header_into_each_of_many_requests)
{
	many(40);
	cr_assert_eq(run(65536, FLOW_MAX), 40);
	cr_assert_eq(counted(headers_inbound), 40);
	cr_assert_eq(program_n, flow.n + 40 * 69);
	expect_no_h2_in_use();
}

Test(h2_inbound, drains_whatever_the_room_and_the_arrivals)
{
	static const size_t rooms[] = { 1, 9, 71, 200, 288, 300, 512, 1000, 1500, 4096, 16384 };

	many(40);
	for (size_t r = 0; r < sizeof(rooms) / sizeof(rooms[0]); r++)
		for (size_t step = 1; step < flow.n; step += 1 + step / 3)
			cr_assert_leq(run(rooms[r], step), 40);
	expect_no_h2_in_use();
}

/* The head of the frame has gone to the program: its length cannot be changed any more. */
Test(h2_inbound, needs_the_frames_head)
{
	size_t head = H2_PREFACE_LEN + H2_FRAME_HEAD;

	flow_begin(&flow);
	flow_preface(&flow);
	flow_headers(&flow, 1, true, GET_FIELDS("/x"));
	for (size_t cut = 1; cut < flow.n; cut++) {
		int peer, fd = fixture_socket(&peer, true, false);
		static char buffer[8192];
		ssize_t n;

		must(send(peer, flow.p, cut, 0) == (ssize_t)cut);
		n = program_receives(fd, program, 4096, 0, SHIM_CALL_RECV);
		must(send(peer, flow.p + cut, flow.n - cut, 0) == (ssize_t)(flow.n - cut));
		program_n = (size_t)n;
		n = program_receives(fd, buffer, 4096, 0, SHIM_CALL_RECV);
		memcpy(program + program_n, buffer, (size_t)n);
		program_n += (size_t)n;
		cr_assert_eq(expect_understood(cut, 0), cut <= head, "%zu", cut);
		fixture_close(fd, peer);
	}
	expect_no_h2_in_use();
}

Test(h2_inbound, goes_in_before_the_padding)
{
	char payload[512] = { 30, 0, 0, 0, 0, 16 };
	struct bytes block;

	flow_begin(&flow);
	flow_preface(&flow);
	block = flow_block(&flow, GET_FIELDS("/padded"));
	memcpy(payload + 6, block.p, block.n);
	flow_frame(&flow, H2_HEADERS,
		   H2_FLAG_END_HEADERS | H2_FLAG_END_STREAM | H2_FLAG_PADDED | H2_FLAG_PRIORITY, 1,
		   (struct bytes){ payload, 6 + block.n + 30 });
	flow_headers(&flow, 3, true, GET_FIELDS("/padded"));
	flow_continued(&flow, 5, true, GET_FIELDS("/continued"), 2);
	cr_assert_eq(run(16384, FLOW_MAX), 2, "not into CONTINUATION");
	expect_no_h2_in_use();
}

/* ---- calls that ask a question ---- */

Test(h2_inbound, leaves_what_is_only_looked_at_or_waited_for_alone)
{
	static const int flags[] = { MSG_PEEK, MSG_WAITALL };

	many(3);
	for (unsigned i = 0; i < 2; i++) {
		int peer, fd = fixture_socket(&peer, true, false);
		ssize_t n;

		must(send(peer, flow.p, flow.n, 0) == (ssize_t)flow.n);
		n = program_receives(fd, program, flow.n, flags[i], SHIM_CALL_RECV);
		cr_assert_eq(n, (ssize_t)flow.n);
		cr_assert_eq(memcmp(program, flow.p, flow.n), 0);
		if (flags[i] == MSG_PEEK) {
			n = program_receives(fd, program, 16384, 0, SHIM_CALL_RECV);
			program_n = (size_t)n;
			cr_assert_eq(expect_understood(i, 0), 3);
		}
		fixture_close(fd, peer);
	}
	expect_no_h2_in_use();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A program that was told a short count comes again, and not always with the bytes that were left:
 * frames that have not begun to leave may change places, or others may come before them. */
#include "h2_fixture.h"

static struct flow flow, again; /* what the program wrote first; and then all that it meant */
static struct transcript own, wire;
static size_t end_of[64]; /* of blocks and other frames: where something may be put between */
static unsigned ends;

static void note_end(void)
{
	end_of[ends++] = flow.n;
}

static void write_flow(void)
{
	ends = 0;
	flow_begin(&flow);
	flow_preface(&flow);
	note_end();
	flow_headers(&flow, 1, true, GET_FIELDS("/a"));
	note_end();
	flow_headers(&flow, 3, false, POST_FIELDS("/b"));
	note_end();
	flow_data(&flow, 3, true, BYTES("some data"));
	note_end();
	flow_continued(&flow, 5, true, GET_FIELDS("/c"), 3);
	note_end();
	flow_headers(&flow, 7, true, GET_FIELDS("/a"));
	note_end();
}

/* The flow up to the end of what has begun to leave, a frame more, and the rest. */
static void put_between(size_t told)
{
	unsigned i = 0;

	while (end_of[i] < told)
		i++;
	again.n = 0;
	flow_put(&again, flow.p, end_of[i]);
	flow_frame(&again, H2_PING, 0, 0, BYTES("12345678"));
	flow_put(&again, flow.p + end_of[i], flow.n - end_of[i]);
}

static void run(size_t first, size_t limit, unsigned parts, enum shim_call call)
{
	int peer, fd = fixture_socket(&peer, false, false);
	struct iovec part = { flow.p, flow.n };
	size_t told, n;
	ssize_t sent;

	h2_wire_begin(first);
	sent = wire_write(&h2_wire, fd, &part, 1, call);
	told = sent > 0 ? (size_t)sent : 0;
	put_between(told);
	h2_wire.limit = limit;
	h2_write(fd, again.p, told, again.n, parts, call);
	fixture_close(fd, peer);
	cr_assert(transcript_read(&own, flow_bytes(&again)));
	cr_assert(transcript_read(&wire, (struct bytes){ h2_wire.bytes, h2_wire.n }),
		  "first %zu, then %zu: %s", first, limit, wire.p);
	cr_assert(transcript_is_traced(&wire, &own, &n), "first %zu, then %zu: %s\nfor %s", first,
		  limit, wire.p, own.p);
	cr_assert_eq(n, 4, "first %zu, then %zu: %s", first, limit, wire.p);
}

TestSuite(h2_retry, .init = start, .timeout = 60);

Test(h2_retry, may_put_frames_before_those_that_have_not_begun)
{
	write_flow();
	for (size_t first = 0; first < flow.n + 4 * 69; first++)
		for (size_t limit = 3; limit < FLOW_MAX; limit *= 5) {
			run(first, limit, 1, SHIM_CALL_WRITE);
			run(first, limit, 4, SHIM_CALL_WRITEV);
		}
	expect_no_h2_in_use();
}

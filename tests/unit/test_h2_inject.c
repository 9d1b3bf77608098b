/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever way frames are cut by the program and by the kernel, the peer decodes the program's
 * header lists with exactly one traceparent more in each request, all else byte for byte. */
#include "h2_fixture.h"

static struct flow flow;
static struct transcript own, wire;

static void expect_traced(const char *what, size_t a, size_t b)
{
	size_t traceparents;

	cr_assert(transcript_read(&own, flow_bytes(&flow)));
	cr_assert(transcript_read(&wire, (struct bytes){ h2_wire.bytes, h2_wire.n }),
		  "%s %zu/%zu: broken: %s", what, a, b, wire.p);
	cr_assert(transcript_is_traced(&wire, &own, &traceparents), "%s %zu/%zu: %s\nfor %s", what,
		  a, b, wire.p, own.p);
	cr_assert_eq(traceparents, own.requests, "%s %zu/%zu: %s", what, a, b, wire.p);
}

/* ---- what programs write ---- */

static void one_request(void)
{
	flow_preface(&flow);
	flow_headers(&flow, 1, true, GET_FIELDS("/one"));
}

static void requests_with_bodies(void)
{
	flow_preface(&flow);
	flow_headers(&flow, 1, false, POST_FIELDS("/a"));
	flow_data(&flow, 1, false, BYTES("some data"));
	flow_headers(&flow, 3, true, GET_FIELDS("/b"));
	flow_data(&flow, 1, true, BYTES("more"));
	flow_headers(&flow, 5, true, GET_FIELDS("/b"));
}

static void continued(void)
{
	flow_preface(&flow);
	flow_continued(&flow, 1, true, GET_FIELDS("/a"), 3);
	flow_frame(&flow, H2_PING, 0, 0, BYTES("12345678"));
	flow_continued(&flow, 3, false, POST_FIELDS("/c"), 2);
	flow_data(&flow, 3, true, BYTES("x"));
}

static void padded(void)
{
	char payload[512] = { 7, 0, 0, 0, 0, 16 };
	struct bytes block;

	flow_preface(&flow);
	block = flow_block(&flow, GET_FIELDS("/padded"));
	memcpy(payload + 6, block.p, block.n);
	flow_frame(&flow, H2_HEADERS,
		   H2_FLAG_END_HEADERS | H2_FLAG_END_STREAM | H2_FLAG_PADDED | H2_FLAG_PRIORITY, 1,
		   (struct bytes){ payload, 6 + block.n + 7 });
	flow_headers(&flow, 3, true, GET_FIELDS("/padded"));
}

static void (*const programs[])(void) = { one_request, requests_with_bodies, continued, padded };
#define PROGRAMS (sizeof(programs) / sizeof(programs[0]))

static void program(size_t i)
{
	flow_begin(&flow);
	programs[i]();
}

/* ---- every cut and every kernel ---- */

static void run(size_t cut, size_t limit, unsigned parts, enum shim_call call, bool blocking)
{
	int peer, fd = fixture_socket(&peer, false, blocking);

	h2_wire_begin(limit);
	h2_write(fd, flow.p, 0, cut, parts, call);
	h2_write(fd, flow.p, cut, flow.n, parts, call);
	fixture_close(fd, peer);
	cr_assert_eq(block_in_use(), 0, "cut %zu, limit %zu, %u parts", cut, limit, parts);
}

static void run_all(unsigned parts, enum shim_call call)
{
	for (size_t i = 0; i < PROGRAMS; i++) {
		program(i);
		for (size_t limit = 0; limit < flow.n + 80; limit += 1 + limit / 40)
			for (int blocking = 0; blocking < 2; blocking++) {
				run(flow.n, limit, parts, call, blocking);
				expect_traced("limit", limit, i);
			}
	}
	expect_no_h2_in_use();
}

TestSuite(h2_inject, .init = start, .timeout = 120);

Test(h2_inject, survives_every_kernel_with_write)
{
	run_all(1, SHIM_CALL_WRITE);
}

Test(h2_inject, survives_every_kernel_with_writev)
{
	run_all(3, SHIM_CALL_WRITEV);
	run_all(50, SHIM_CALL_WRITEV);
}

/* Nothing but whole traceparents was put in; how many. */
static size_t expect_at_most_all(size_t cut, size_t limit)
{
	size_t traceparents;

	cr_assert(transcript_read(&own, flow_bytes(&flow)));
	cr_assert(transcript_read(&wire, (struct bytes){ h2_wire.bytes, h2_wire.n }), "cut %zu/%zu",
		  cut, limit);
	cr_assert(transcript_is_traced(&wire, &own, &traceparents), "cut %zu/%zu", cut, limit);
	return traceparents;
}

/* A block whose first bytes have left before it was whole gets none. */
static void expect_all_but_one(size_t cut, size_t limit)
{
	cr_assert_geq(expect_at_most_all(cut, limit) + 1, own.requests, "cut %zu/%zu: %s", cut,
		      limit, wire.p);
}

Test(h2_inject, survives_every_cut_of_the_program)
{
	static const size_t limits[] = { 1, 7, 60, 0, 100000 };

	for (size_t i = 0; i < PROGRAMS; i++) {
		program(i);
		for (size_t cut = 0; cut <= flow.n; cut++)
			for (size_t l = 0; l < 5; l++) {
				run(cut, limits[l], 1, SHIM_CALL_SEND, l & 1);
				expect_all_but_one(cut, limits[l]);
				run(cut, limits[l], 3, SHIM_CALL_SENDMSG, !(l & 1));
				expect_all_but_one(cut, limits[l]);
			}
	}
	expect_no_h2_in_use();
}

Test(h2_inject, survives_bytes_one_by_one)
{
	for (size_t i = 0; i < PROGRAMS; i++) {
		int peer, fd = fixture_socket(&peer, false, false);

		program(i);
		h2_wire_begin(FLOW_MAX);
		for (size_t at = 0; at < flow.n; at++)
			h2_write(fd, flow.p, at, at + 1, 1, SHIM_CALL_SEND);
		cr_assert_eq(h2_wire.n, flow.n, "nothing can be put in");
		cr_assert_eq(memcmp(h2_wire.bytes, flow.p, flow.n), 0);
		fixture_close(fd, peer);
	}
	expect_no_h2_in_use();
}

static void many_requests(unsigned n)
{
	flow_begin(&flow);
	flow_preface(&flow);
	for (unsigned i = 0; i < n; i++)
		flow_headers(&flow, 2 * i + 1, true, GET_FIELDS("/many"));
}

Test(h2_inject, reaches_each_of_many_requests_in_one_write)
{
	static const size_t limits[] = { 100000, 4096, 1000, 333, 20, 1 };

	for (unsigned i = 0; i < 6; i++)
		for (unsigned parts = 1; parts <= 1024; parts *= 32)
			for (int blocking = 0; blocking < 2; blocking++) {
				many_requests(100);
				run(flow.n, limits[i], parts,
				    parts == 1 ? SHIM_CALL_WRITE : SHIM_CALL_WRITEV, blocking);
				expect_traced("many", limits[i], parts);
			}
	many_requests(700);
	run(flow.n, 100000, 1, SHIM_CALL_WRITE, true);
	expect_traced("700", 0, 0);
	expect_no_h2_in_use();
}

/* A body that fills what a call can take, and a request at its very end. */
Test(h2_inject, reaches_a_request_behind_a_large_body)
{
	static char body[16000];

	memset(body, 'b', sizeof(body));
	flow_begin(&flow);
	flow_preface(&flow);
	flow_headers(&flow, 1, false, POST_FIELDS("/large"));
	for (unsigned i = 0; i < 10; i++)
		flow_data(&flow, 1, i == 9, (struct bytes){ body, sizeof(body) });
	flow_headers(&flow, 3, true, GET_FIELDS("/end"));
	for (size_t limit = 1000; limit < FLOW_MAX; limit = limit * 3 / 2) {
		run(flow.n, limit, 1, SHIM_CALL_WRITE, false);
		expect_traced("write", limit, 0);
		run(flow.n, limit, 5, SHIM_CALL_WRITEV, false);
		expect_traced("writev", limit, 0);
		run(flow.n, limit, 1024, SHIM_CALL_SENDMSG, true);
		expect_traced("sendmsg", limit, 0);
	}
	expect_no_h2_in_use();
}

/* An independent peer takes the connection as a whole. */
static int count_request(nghttp2_session *s, const nghttp2_frame *f, void *arg)
{
	(void)s;
	if (f->hd.type == NGHTTP2_HEADERS)
		++*(unsigned *)arg;
	return 0;
}

static int count_traceparent(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name,
			     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags,
			     void *arg)
{
	(void)s, (void)f, (void)value, (void)flags;
	if (name_n == 11 && memcmp(name, "traceparent", 11) == 0 && value_n == 55)
		*(unsigned *)arg += 1000;
	return 0;
}

Test(h2_inject, is_taken_by_a_server)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_session *session;
	unsigned seen = 0;

	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, count_request);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, count_traceparent);
	nghttp2_session_server_new(&session, callbacks, &seen);
	many_requests(90);
	run(flow.n, 777, 1, SHIM_CALL_WRITE, false);
	cr_assert_eq(nghttp2_session_mem_recv(session, (uint8_t *)h2_wire.bytes, h2_wire.n),
		     (ssize_t)h2_wire.n);
	cr_assert_eq(seen, 90 * 1001);
	nghttp2_session_del(session);
	nghttp2_session_callbacks_del(callbacks);
}

/* ---- the program comes again with something else ---- */

/* Where the frames of the flow end. */
static bool ends_frame(size_t at)
{
	size_t end = H2_PREFACE_LEN;

	while (end < at)
		end += H2_FRAME_HEAD + h2_frame_unpack(flow.p + end).length;
	return end == at;
}

/* The kernel has taken `first` bytes of all; the rest comes in pieces of n. */
static void run_pieces(size_t first, size_t n, enum shim_call call, bool blocking)
{
	int peer, fd = fixture_socket(&peer, false, blocking);
	struct iovec part = { flow.p, flow.n };
	ssize_t sent;
	size_t at;

	h2_wire_begin(first);
	sent = wire_write(&h2_wire, fd, &part, 1, call);
	at = sent > 0 ? (size_t)sent : 0;
	h2_wire.limit = FLOW_MAX;
	while (at < flow.n) {
		size_t piece = flow.n - at < n ? flow.n - at : n;

		/* All is taken, so all is told; and nothing of ours is left behind. */
		cr_assert_eq(h2_write(fd, flow.p, at, at + piece, 1, call), 1,
			     "first %zu, pieces of %zu at %zu", first, n, at);
		at += piece;
		if (at >= H2_PREFACE_LEN && ends_frame(at))
			cr_assert(transcript_read(&wire,
						  (struct bytes){ h2_wire.bytes, h2_wire.n }),
				  "first %zu, pieces of %zu: stuck at %zu", first, n, at);
	}
	fixture_close(fd, peer);
}

Test(h2_inject, survives_retries_with_less)
{
	for (size_t i = 0; i < PROGRAMS; i++) {
		program(i);
		for (size_t first = 1; first < flow.n + 200; first++)
			for (size_t n = 1; n < flow.n; n += 1 + n / 2) {
				run_pieces(first, n, SHIM_CALL_WRITE, first & 1);
				expect_at_most_all(first, n);
				run_pieces(first, n, SHIM_CALL_WRITEV, !(first & 1));
				expect_at_most_all(first, n);
			}
	}
	expect_no_h2_in_use();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that pass on the traceparent of one that is being served: another id stands in its
 * place, whatever form it has in the block, and the peer's table stays in step. */
#include "h2_fixture.h"

static struct flow flow;
static struct transcript own, wire;
static char passed[56]; /* what the program found in the request it serves */
static int served, served_peer;

/* A request with PARENT is read: the program finds our id in it, or PARENT itself. */
static void serve_with(const char *variable, bool rewritten)
{
	const char *got;

	spans_main = getpid();
	fixture_start(variable);
	shim_before_close_range(0, ~0u);
	served = fixture_socket(&served_peer, true, true);
	got = program_reads(served, served_peer,
			    "GET /x HTTP/1.1\r\nHost: a\r\ntraceparent: " PARENT "\r\n\r\n");
	snprintf(passed, sizeof(passed), "%s", traceparent_in(got));
	cr_assert_eq(strcmp(passed, PARENT) == 0, !rewritten);
}

static void serve(bool rewritten)
{
	serve_with(rewritten ? "TAGALONG_INBOUND_HEADER=on" : "TAGALONG_INBOUND_HEADER=off",
		   rewritten);
}

static void expect_all_closed(int fd, int peer)
{
	fixture_close(fd, peer);
	fixture_close(served, served_peer);
	expect_no_h2_in_use();
}

static const char *fields_with(const char *path, const char *never, const char *value)
{
	static char text[512];

	snprintf(text, sizeof(text), GET_FIELDS("%s") "%straceparent: %s\nx-end: 1\n", path, never,
		 value);
	return text;
}

/* The n-th traceparent that is on the wire. */
static const char *on_wire(unsigned n)
{
	static char value[2][56];
	static unsigned at;
	const char *p = wire.p;

	for (unsigned i = 0; i <= n; i++) {
		p = strstr(p, "traceparent: ");
		cr_assert_not_null(p, "%u of %s", n, wire.p);
		p += 13;
	}
	at = !at;
	memcpy(value[at], p, 55);
	return value[at];
}

static void send_flow(int fd, size_t limit)
{
	size_t n;

	h2_wire_begin(limit);
	h2_write(fd, flow.p, 0, flow.n, 1, SHIM_CALL_WRITE);
	cr_assert(transcript_read(&own, flow_bytes(&flow)));
	cr_assert(transcript_read(&wire, (struct bytes){ h2_wire.bytes, h2_wire.n }), "%s", wire.p);
	cr_assert(transcript_is_traced(&wire, &own, &n), "%s", wire.p);
	cr_assert_eq(n, 0, "it had one");
}

/* It is in the trace, and is not what the program wrote, nor any other's. */
static void expect_ours(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		cr_assert_eq(memcmp(on_wire(i), PARENT, 36), 0);
		cr_assert_str_neq(on_wire(i), passed);
		cr_assert_str_neq(on_wire(i), PARENT);
		for (unsigned j = 0; j < i; j++)
			cr_assert_str_neq(on_wire(i), on_wire(j));
	}
}

TestSuite(h2_replace, .timeout = 60);

/* Added to the table with a literal name, then an index, then with an indexed name. */
static void indexed(size_t limit)
{
	int peer, fd = fixture_socket(&peer, false, false);
	uint64_t rewritten = counted(headers_rewritten);

	flow_begin(&flow);
	flow_preface(&flow);
	flow_headers(&flow, 1, true, fields_with("/a", "", passed));
	flow_headers(&flow, 3, true, fields_with("/a", "", passed));
	flow_headers(&flow, 5, true, fields_with("/b", "!", passed));
	flow_headers(&flow, 7, true, fields_with("/b", "", passed));
	send_flow(fd, limit);
	expect_ours(0, 4);
	cr_assert_eq(counted(headers_rewritten) - rewritten, 4);
	fixture_close(fd, peer);
}

Test(h2_replace, puts_our_id_in_place_of_ours)
{
	serve(true);
	for (size_t limit = 1; limit < 900; limit++)
		indexed(limit);
	fixture_close(served, served_peer);
	expect_no_h2_in_use();
}

Test(h2_replace, puts_our_id_in_place_of_one_that_was_received)
{
	serve(false);
	for (size_t limit = 1; limit < 900; limit++)
		indexed(limit);
}

/* Each form by hand: its first byte, a plain string or a coded one, of the name and of the value.
 */
static size_t put_string(char *to, struct bytes text, bool huffman)
{
	if (!huffman) {
		to[0] = (char)text.n;
		memcpy(to + 1, text.p, text.n);
		return text.n + 1;
	}
	to[0] = (char)(0x80 | hpack_huffman_put(to + 1, 100, text));
	return (size_t)(to[0] & 0x7f) + 1;
}

static void by_hand(uint8_t first, bool huffman_name, bool huffman_value, const char *value)
{
	char block[512];
	struct bytes fields = flow_block(&flow, GET_FIELDS("/hand"));
	size_t n = fields.n;

	memcpy(block, fields.p, n);
	block[n++] = (char)first;
	n += put_string(block + n, BYTES("traceparent"), huffman_name);
	n += put_string(block + n, bytes_of(value), huffman_value);
	flow_frame(&flow, H2_HEADERS, H2_FLAG_END_HEADERS | H2_FLAG_END_STREAM, 1,
		   (struct bytes){ block, n });
}

Test(h2_replace, knows_each_literal)
{
	static const uint8_t forms[] = { 0x00, 0x10, 0x40 };

	serve(true);
	for (unsigned i = 0; i < 12; i++) {
		int peer, fd = fixture_socket(&peer, false, false);
		char before[56];

		flow_begin(&flow);
		flow_preface(&flow);
		by_hand(forms[i % 3], i & 4, i >= 6, passed);
		for (size_t limit = 1; limit < 500; limit += 13) {
			fixture_close(fd, peer);
			fd = fixture_socket(&peer, false, false);
			send_flow(fd, limit);
			expect_ours(0, 1);
			strcpy(before, on_wire(0));
		}
		/* As much as the program's the peer's table holds: the entry is the newest. */
		if (forms[i % 3] == 0x40) {
			flow_frame(&flow, H2_HEADERS, H2_FLAG_END_HEADERS | H2_FLAG_END_STREAM, 3,
				   BYTES("\x82\x86\x84\xbe"));
			fixture_close(fd, peer);
			fd = fixture_socket(&peer, false, false);
			send_flow(fd, 77);
			expect_ours(0, 2);
		}
		fixture_close(fd, peer);
	}
}

/* The peer's table has our id where the program's has the one that was received: when that means
 * nothing to us any more, an index to it is written out. */
Test(h2_replace, writes_out_what_an_index_does_not_mean_any_more)
{
	int peer, fd;
	size_t split;

	serve(false);
	for (size_t limit = 1; limit < 600; limit += 7) {
		fd = fixture_socket(&peer, false, false);
		flow_begin(&flow);
		flow_preface(&flow);
		flow_headers(&flow, 1, true, fields_with("/a", "", passed));
		split = flow.n;
		flow_headers(&flow, 3, true, fields_with("/a", "", passed));
		flow_headers(&flow, 5, true, fields_with("/a", "", passed));
		h2_wire_begin(limit);
		h2_write(fd, flow.p, 0, split, 1, SHIM_CALL_WRITE);
		program_writes(served, RESPONSE);
		h2_write(fd, flow.p, split, flow.n, 1, SHIM_CALL_WRITE);
		cr_assert(transcript_read(&wire, (struct bytes){ h2_wire.bytes, h2_wire.n }));
		cr_assert_str_neq(on_wire(0), PARENT);
		cr_assert_str_eq(on_wire(1), PARENT);
		cr_assert_str_eq(on_wire(2), PARENT);
		fixture_close(fd, peer);
		program_reads(served, served_peer,
			      "GET /x HTTP/1.1\r\nHost: a\r\ntraceparent: " PARENT "\r\n\r\n");
	}
}

Test(h2_replace, leaves_the_programs_own_alone)
{
	static const char foreign[] = "00-11111111111111111111111111111111-2222222222222222-01";
	int peer, fd;

	serve(true);
	fd = fixture_socket(&peer, false, false);
	flow_begin(&flow);
	flow_preface(&flow);
	for (unsigned i = 0; i < 3; i++)
		flow_headers(&flow, 2 * i + 1, true, fields_with("/own", "", foreign));
	flow_headers(&flow, 7, true, fields_with("/own", "!", foreign));
	flow_headers(&flow, 9, true, fields_with("/own", "", "nonsense"));
	h2_wire_begin(FLOW_MAX);
	h2_write(fd, flow.p, 0, flow.n, 1, SHIM_CALL_WRITE);
	cr_assert_eq(h2_wire.n, flow.n);
	cr_assert_eq(memcmp(h2_wire.bytes, flow.p, flow.n), 0);
	expect_all_closed(fd, peer);
	cr_assert_eq(counted(headers_rewritten), 0);
}

/* ---- hosts that may not have ours ---- */

static void expect_withheld(unsigned i)
{
	cr_assert_str_neq(passed, PARENT);
	cr_assert_str_eq(on_wire(i), PARENT, "%u of %s", i, wire.p);
}

Test(h2_replace, gives_a_host_that_may_not_have_ours_what_came_in)
{
	int peer, fd;

	serve_with("TAGALONG_PROPAGATE_TO=*.internal", true);
	for (size_t limit = 1; limit < 900; limit += 3) {
		fd = fixture_socket(&peer, false, false);
		flow_begin(&flow);
		flow_preface(&flow);
		flow_headers(&flow, 1, true, fields_with("/a", "", passed));
		flow_headers(&flow, 3, true, fields_with("/a", "", passed));
		flow_headers(&flow, 5, true, fields_with("/b", "!", passed));
		flow_headers(&flow, 7, true, fields_with("/b", "", passed));
		send_flow(fd, limit);
		for (unsigned i = 0; i < 4; i++)
			expect_withheld(i);
		fixture_close(fd, peer);
	}
	fixture_close(served, served_peer);
	expect_no_h2_in_use();
}

Test(h2_replace, withholds_ours_in_each_literal)
{
	static const uint8_t forms[] = { 0x00, 0x10, 0x40 };
	int peer, fd;

	serve_with("TAGALONG_PROPAGATE_TO=*.internal", true);
	for (unsigned i = 0; i < 12; i++) {
		flow_begin(&flow);
		flow_preface(&flow);
		by_hand(forms[i % 3], i & 4, i >= 6, passed);
		fd = fixture_socket(&peer, false, false);
		send_flow(fd, 77);
		expect_withheld(0);
		fixture_close(fd, peer);
	}
}

/* The program's table has our id, the peer's what came in. */
Test(h2_replace, knows_by_host_what_an_index_is_to_mean)
{
	char allowed[256];
	int peer, fd;

	serve_with("TAGALONG_PROPAGATE_TO=*.internal", true);
	fd = fixture_socket(&peer, false, false);
	flow_begin(&flow);
	flow_preface(&flow);
	flow_headers(&flow, 1, true, fields_with("/a", "", passed));
	snprintf(allowed, sizeof(allowed),
		 ":method: GET\n:scheme: http\n:path: /\n:authority: b.internal\ntraceparent: %s\n",
		 passed);
	flow_headers(&flow, 3, true, allowed);
	flow_headers(&flow, 5, true, fields_with("/a", "", passed));
	send_flow(fd, FLOW_MAX);
	expect_withheld(0);
	expect_ours(1, 2);
	expect_withheld(2);
	expect_all_closed(fd, peer);
}

/* Answered, it is not known any more what came in: ids of zeros are no context. */
Test(h2_replace, withholds_ours_when_the_request_is_over)
{
	int peer, fd;

	serve_with("TAGALONG_PROPAGATE_TO=*.internal", true);
	program_writes(served, RESPONSE);
	fd = fixture_socket(&peer, false, false);
	flow_begin(&flow);
	flow_preface(&flow);
	flow_headers(&flow, 1, true, fields_with("/a", "", passed));
	h2_wire_begin(FLOW_MAX);
	h2_write(fd, flow.p, 0, flow.n, 1, SHIM_CALL_WRITE);
	cr_assert(transcript_read(&wire, (struct bytes){ h2_wire.bytes, h2_wire.n }));
	cr_assert_eq(memcmp(on_wire(0), "00-00000000000000000000000000000000-0000000000000000-00",
			    55),
		     0, "%s", wire.p);
	expect_all_closed(fd, peer);
}

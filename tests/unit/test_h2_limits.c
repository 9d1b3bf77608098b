/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that want our memory: what is held stays bounded, the connection is given up and counted,
 * and nothing is left when it is closed. */
#include "h2_fixture.h"
#include "shim/h2_ahead.h"

static struct flow flow;
static int fd, peer;

static void open_served(void)
{
	start();
	fd = fixture_socket(&peer, true, false);
	flow_begin(&flow);
	flow_preface(&flow);
	h2_reads(fd, flow_bytes(&flow), 100);
	flow.n = 0;
}

TestSuite(h2_limits, .init = open_served, .timeout = 100);

static void read_flow(void)
{
	h2_reads(fd, flow_bytes(&flow), FLOW_MAX);
	flow.n = 0;
}

/* The table's entry is gone: nobody looks at it any more, and it holds nothing. */
static void expect_given_up(uint64_t counter)
{
	cr_assert_eq(counter, 1);
	cr_assert_null(conn_of(fd));
	expect_no_h2_in_use();
	fixture_close(fd, peer);
}

static void expect_followed(unsigned blocks)
{
	cr_assert_not_null(conn_of(fd));
	cr_assert_leq(block_in_use(), blocks);
	cr_assert_eq(counted(opaque_limit) + counted(opaque_memory) + counted(opaque_framing), 0);
}

/* ---- blocks ---- */

static void continuations(size_t n, unsigned count)
{
	static char part[16384];

	flow_frame(&flow, H2_HEADERS, 0, 1, flow_block(&flow, GET_FIELDS("/x")));
	read_flow();
	memset(part, 0x82, sizeof(part));
	for (unsigned i = 0; i < count && conn_of(fd); i++) {
		flow_frame(&flow, H2_CONTINUATION, 0, 1, (struct bytes){ part, n });
		read_flow();
		cr_assert_leq(block_in_use(), 3);
	}
}

Test(h2_limits, gives_up_a_block_without_an_end)
{
	continuations(16384, 10);
	expect_given_up(counted(opaque_limit));
}

Test(h2_limits, gives_up_a_block_without_an_end_in_small_frames)
{
	continuations(1, 100000);
	expect_given_up(counted(opaque_limit));
}

/* They cost the peer nine bytes each and us none: there is nothing to give up. */
Test(h2_limits, holds_nothing_for_empty_continuations)
{
	continuations(0, 100000);
	expect_followed(3);
	fixture_close(fd, peer);
	expect_no_h2_in_use();
}

Test(h2_limits, gives_up_a_frame_that_is_too_long_to_be_looked_at)
{
	/* Its head is enough. */
	flow_put(&flow, "\1\0\1\1\4\0\0\0\1", H2_FRAME_HEAD);
	read_flow();
	expect_given_up(counted(opaque_limit));
}

/* An entry of 4,000 bytes, and a block of references to it: 60 MB of header list. */
Test(h2_limits, survives_a_header_bomb)
{
	static char field[4200], block[16000];
	int at = sprintf(field, GET_FIELDS("/bomb") "x-bomb: ");

	memset(field + at, 'b', 3900);
	strcpy(field + at + 3900, "\n");
	flow_headers(&flow, 1, true, field);
	read_flow();
	memcpy(block, "\x82\x86\x84", 3);
	memset(block + 3, 0xbe, sizeof(block) - 3);
	for (uint32_t stream = 3; stream < 23; stream += 2) {
		flow_frame(&flow, H2_HEADERS, H2_FLAG_END_HEADERS | H2_FLAG_END_STREAM, stream,
			   (struct bytes){ block, sizeof(block) });
		read_flow();
		cr_assert_leq(hpack_memory_in_use(), 2 * HPACK_HELD_MAX);
		cr_assert_leq(block_in_use(), 30);
	}
	cr_assert_not_null(conn_of(fd));
	cr_assert_eq(exchange_in_use(), 11);
	fixture_close(fd, peer);
	expect_no_h2_in_use();
}

Test(h2_limits, gives_up_a_table_that_is_too_large)
{
	/* The program allows it, the peer says that it has heard so. */
	flow_setting(&flow, 1, 1u << 20);
	h2_wire_begin(FLOW_MAX);
	h2_write(fd, flow.p, 0, flow.n, 1, SHIM_CALL_WRITE);
	expect_given_up(counted(opaque_limit));
}

/* ---- streams ---- */

Test(h2_limits, follows_a_hundred_thousand_resets)
{
	for (uint32_t i = 0; i < 100000; i++) {
		flow_headers(&flow, 2 * i + 1, true, GET_FIELDS("/reset"));
		flow_frame(&flow, H2_RST_STREAM, 0, 2 * i + 1, BYTES("\0\0\0\10"));
		if (flow.n < FLOW_MAX / 2)
			continue;
		read_flow();
		cr_assert_eq(exchange_in_use(), 0);
	}
	read_flow();
	cr_assert_eq(counted(exchanges_server), 100000);
	expect_followed(1);
	fixture_close(fd, peer);
	expect_no_h2_in_use();
}

static void open_streams(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		flow_headers(&flow, 2 * i + 1, true, GET_FIELDS("/open"));
	read_flow();
}

Test(h2_limits, gives_up_past_1024_streams)
{
	open_streams(H2_STREAMS_MAX);
	cr_assert_eq(exchange_in_use(), H2_STREAMS_MAX);
	expect_followed(H2_STREAMS_MAX);
	flow_headers(&flow, 2 * H2_STREAMS_MAX + 1, true, GET_FIELDS("/one-more"));
	read_flow();
	expect_given_up(counted(opaque_limit));
	cr_assert_eq(counted(exchanges_server), H2_STREAMS_MAX);
}

/* Those that are sent: what is written goes out whole all the same. */
Test(h2_limits, gives_up_past_1024_streams_of_ours)
{
	static struct transcript own, wire;
	size_t n;

	fixture_close(fd, peer);
	fd = fixture_socket(&peer, false, false);
	flow_preface(&flow);
	for (uint32_t i = 0; i < H2_STREAMS_MAX + 10; i++)
		flow_headers(&flow, 2 * i + 1, true, GET_FIELDS("/open"));
	h2_wire_begin(5000);
	h2_write(fd, flow.p, 0, flow.n, 1, SHIM_CALL_WRITE);
	cr_assert(transcript_read(&own, flow_bytes(&flow)));
	cr_assert(transcript_read(&wire, (struct bytes){ h2_wire.bytes, h2_wire.n }));
	cr_assert(transcript_is_traced(&wire, &own, &n));
	/* Those that were looked at together with the one too many go as they are. */
	cr_assert_geq(n, H2_STREAMS_MAX - H2_AHEAD_MAX - 20, "%zu", n);
	expect_given_up(counted(opaque_limit));
}

/* ---- SETTINGS ---- */

Test(h2_limits, gives_up_settings_that_nobody_acknowledges)
{
	for (unsigned i = 0; i < 1000 && conn_of(fd); i++) {
		flow_setting(&flow, 1, i % 5000);
		read_flow();
	}
	expect_given_up(counted(opaque_limit));
}

Test(h2_limits, follows_settings_that_are_acknowledged_without_end)
{
	static struct flow answers;

	flow_begin(&answers);
	flow_frame(&answers, H2_SETTINGS, 0, 0, BYTES(""));
	flow_frame(&answers, H2_SETTINGS, H2_FLAG_ACK, 0, BYTES(""));
	h2_wire_begin(FLOW_MAX);
	h2_write(fd, answers.p, 0, answers.n, 1, SHIM_CALL_WRITE);
	for (unsigned i = 0; i < 100000; i++) {
		flow_setting(&flow, 1, i % 5000);
		read_flow();
		h2_wire_begin(FLOW_MAX);
		h2_write(fd, answers.p, H2_FRAME_HEAD, answers.n, 1, SHIM_CALL_WRITE);
	}
	expect_followed(0);
	fixture_close(fd, peer);
	expect_no_h2_in_use();
}

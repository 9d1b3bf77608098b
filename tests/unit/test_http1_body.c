/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include "guard.h"
#include "shim/wire/http1.h"

struct body_case {
	struct bytes text;
	size_t used;
	enum http1_body_state state;
	uint64_t size;
};

#define WHOLE(text, size)                                                       \
	{                                                                       \
		{ (text), sizeof(text) - 1 }, sizeof(text) - 1, BODY_DONE, size \
	}
#define LOST(text, used, size)                                     \
	{                                                          \
		{ (text), sizeof(text) - 1 }, used, BODY_BAD, size \
	}
#define PART(text, st, size)                                             \
	{                                                                \
		{ (text), sizeof(text) - 1 }, sizeof(text) - 1, st, size \
	}

static const struct body_case chunked[] = {
	WHOLE("0\r\n\r\n", 0),
	WHOLE("5\r\nhello\r\n0\r\n\r\n", 5),
	WHOLE("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", 11),
	WHOLE("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", 20),
	WHOLE("0000000000000005\r\nhello\r\n0000\r\n\r\n", 5),
	WHOLE("2\r\n\r\n\r\n0\r\n\r\n", 2), /* payload that looks like framing */
	WHOLE("5;a\r\nhello\r\n0;b=c;d=\"e; f\"\r\n\r\n", 5),
	WHOLE("5 ; a = b\r\nhello\r\n0\t\r\n\r\n", 5),
	WHOLE("5   \r\nhello\r\n0\r\n\r\n", 5), /* padded */
	WHOLE("5;chunk-signature=0123456789abcdef0123456789abcdef\r\nhello\r\n0;\r\n\r\n", 5),
	WHOLE("0\r\nA: b\r\n\r\n", 0),
	WHOLE("1\r\nx\r\n0\r\nA: b\r\nGrpc-Status: 0\r\nC:\r\n\r\n", 1),
	{ BYTES("0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), 5, BODY_DONE, 0 },
	{ BYTES("1\r\nx\r\n0\r\nA: b\r\n\r\nrest"), 17, BODY_DONE, 1 },
	PART("", BODY_AWAIT_CHUNK_SIZE, 0),
	PART("5\r", BODY_AWAIT_CHUNK_SIZE_LF, 0),
	PART("5 ", BODY_AWAIT_CHUNK_EXTENSION, 0),
	PART("5;a", BODY_IN_CHUNK_EXTENSION, 0),
	PART("5\r\nhell", BODY_CHUNK_DATA, 4),
	PART("5\r\nhello", BODY_AWAIT_CHUNK_CR, 5),
	PART("5\r\nhello\r", BODY_AWAIT_CHUNK_LF, 5),
	PART("0\r\n", BODY_AWAIT_TRAILER, 0),
	PART("0\r\nA: b", BODY_IN_TRAILER, 0),
	PART("0\r\nA: b\r", BODY_TRAILER_LF, 0),
	PART("0\r\n\r", BODY_END_LF, 0),
	PART("7fffffffffffffff\r\nabc", BODY_CHUNK_DATA, 3),
	LOST("\r\n", 0, 0),
	LOST("g\r\n", 0, 0),
	LOST(" 5\r\n", 0, 0),
	LOST("+5\r\n", 0, 0),
	LOST("-5\r\n", 0, 0),
	LOST("0x5\r\n", 1, 0),
	LOST(";a\r\n", 0, 0),
	LOST("5,\r\n", 1, 0),
	LOST("5 5\r\n", 2, 0),
	LOST("5_5\r\n", 1, 0),
	LOST("5\nhello", 1, 0),
	LOST("5\rx", 2, 0),
	LOST("5;a\nb\r\n", 3, 0),
	LOST("5;a\rb\r\n", 4, 0),
	LOST("5;\0\r\n", 2, 0),
	LOST("8000000000000000\r\n", 15, 0),
	LOST("ffffffffffffffff\r\n", 15, 0),
	LOST("00000000000000005\r\n", 16, 0),
	LOST("5\r\nhelloX\r\n", 8, 5),
	LOST("5\r\nhello\n0\r\n", 8, 5),
	LOST("5\r\nhello\rX", 9, 5),
	LOST("0\r\n\n", 3, 0),
	LOST("0\r\n\rX", 4, 0),
	LOST("0\r\n: x\r\n\r\n", 3, 0),
	LOST("0\r\n x\r\n\r\n", 3, 0),
	LOST("0\r\nA: b\n\r\n", 7, 0),
	LOST("0\r\nA: \0\r\n\r\n", 6, 0),
	LOST("0\r\nA: b\rC", 8, 0),
};
#define EACH_CASE(c)                                      \
	const struct body_case *c = chunked;              \
	c < chunked + sizeof(chunked) / sizeof(*chunked); \
	c++

static struct http1_body new_body(enum http1_body_state state, uint64_t remaining)
{
	return (struct http1_body){ .state = state, .remaining = remaining };
}

static void expect_case(const struct body_case *c, const struct http1_body *body, size_t used)
{
	cr_expect_eq(used, c->used, "%s: %zu used", c->text.p, used);
	cr_expect_eq(body->state, c->state, "%s: state %d", c->text.p, body->state);
	cr_expect_eq(body->size, c->size, "%s", c->text.p);
}

Test(http1_body, follows_chunks_to_their_end)
{
	for (EACH_CASE(c)) {
		struct bytes in = guard_copy(c->text.p, c->text.n);
		struct http1_body body = new_body(BODY_AWAIT_CHUNK_SIZE, 0);

		expect_case(c, &body, http1_body_feed(&body, in));
		guard_free(in);
	}
}

Test(http1_body, follows_chunks_cut_at_every_length)
{
	for (EACH_CASE(c)) {
		for (size_t cut = 0; cut <= c->text.n; cut++) {
			struct bytes a = guard_copy(c->text.p, cut);
			struct bytes b = guard_copy(c->text.p + cut, c->text.n - cut);
			struct http1_body body = new_body(BODY_AWAIT_CHUNK_SIZE, 0);
			size_t used = http1_body_feed(&body, a);

			if (used == cut)
				used += http1_body_feed(&body, b);
			expect_case(c, &body, used);
			guard_free(a);
			guard_free(b);
		}
	}
}

Test(http1_body, follows_chunks_byte_by_byte)
{
	for (EACH_CASE(c)) {
		struct http1_body body = new_body(BODY_AWAIT_CHUNK_SIZE, 0);
		size_t used = 0;

		for (size_t i = 0; i < c->text.n; i++)
			used += http1_body_feed(&body, (struct bytes){ c->text.p + i, 1 });
		expect_case(c, &body, used);
	}
}

Test(http1_body, counts_down_a_length)
{
	struct http1_body body = new_body(BODY_LENGTH, 5);

	cr_expect_eq(http1_body_feed(&body, BYTES("")), 0);
	cr_expect_eq(http1_body_feed(&body, BYTES("abc")), 3);
	cr_expect_eq(body.state, BODY_LENGTH);
	cr_expect_eq(http1_body_feed(&body, BYTES("deGET")), 2);
	cr_expect_eq(body.state, BODY_DONE);
	cr_expect_eq(body.size, 5);
	cr_expect_eq(http1_body_feed(&body, BYTES("GET")), 0);
}

Test(http1_body, takes_everything_until_close)
{
	struct http1_body body = new_body(BODY_UNTIL_CLOSE, 0);

	cr_expect_eq(http1_body_feed(&body, BYTES("0\r\n\r\n")), 5);
	cr_expect(http1_body_skip(&body, 1ull << 40));
	cr_expect_eq(body.state, BODY_UNTIL_CLOSE);
	cr_expect_eq(body.size, (1ull << 40) + 5);
}

Test(http1_body, stays_lost_and_takes_nothing)
{
	struct http1_body body = new_body(BODY_BAD, 0);

	cr_expect_eq(http1_body_feed(&body, BYTES("0\r\n\r\n")), 0);
	cr_expect_eq(body.state, BODY_BAD);
	cr_expect_not(http1_body_skip(&body, 1));
}

Test(http1_body, skips_unseen_bytes_inside_payload_only)
{
	struct http1_body body = new_body(BODY_LENGTH, 10);

	cr_expect_not(http1_body_skip(&body, 11));
	cr_expect_eq(body.remaining, 10);
	cr_expect(http1_body_skip(&body, 4));
	cr_expect(http1_body_skip(&body, 6));
	cr_expect_eq(body.state, BODY_DONE);
	cr_expect_eq(body.size, 10);
	cr_expect(http1_body_skip(&body, 0));
	cr_expect_not(http1_body_skip(&body, 1));

	body = new_body(BODY_AWAIT_CHUNK_SIZE, 0);
	cr_expect_not(http1_body_skip(&body, 1));
	http1_body_feed(&body, BYTES("5\r\n"));
	cr_expect_not(http1_body_skip(&body, 6)); /* the CRLF would be unseen */
	cr_expect(http1_body_skip(&body, 5));
	cr_expect_not(http1_body_skip(&body, 1));
	cr_expect_eq(http1_body_feed(&body, BYTES("\r\n0\r\n\r\n")), 7);
	cr_expect_eq(body.state, BODY_DONE);
	cr_expect_eq(body.size, 5);
}

/* `start`, then n bytes of 'x' in pieces, then `end`: the state after it. */
static enum http1_body_state feed_long(const char *start, size_t n, const char *end)
{
	static char text[4096];
	struct http1_body body = new_body(BODY_AWAIT_CHUNK_SIZE, 0);

	memset(text, 'x', sizeof(text));
	http1_body_feed(&body, bytes_of(start));
	for (size_t piece; n; n -= piece) {
		piece = n < sizeof(text) ? n : sizeof(text);
		http1_body_feed(&body, (struct bytes){ text, piece });
	}
	http1_body_feed(&body, bytes_of(end));
	return body.state;
}

Test(http1_body, has_a_ceiling_of_trailers_and_extensions)
{
	cr_expect_eq(feed_long("1;", HTTP1_HEAD_MAX, "\r\n"), BODY_CHUNK_DATA);
	cr_expect_eq(feed_long("1;", HTTP1_HEAD_MAX + 1, "\r\n"), BODY_BAD);
	cr_expect_eq(feed_long("0\r\nA", HTTP1_HEAD_MAX - 2, "\r\n\r\n"), BODY_DONE);
	cr_expect_eq(feed_long("0\r\nA", HTTP1_HEAD_MAX, "\r\n\r\n"), BODY_BAD);
}

Test(http1_body, counts_extensions_of_each_chunk_anew)
{
	struct http1_body body = new_body(BODY_AWAIT_CHUNK_SIZE, 0);

	for (unsigned i = 0; i < 10000; i++)
		http1_body_feed(&body, BYTES("1;signature=0123456789abcdef\r\nx\r\n"));
	http1_body_feed(&body, BYTES("0\r\n\r\n"));
	cr_expect_eq(body.state, BODY_DONE);
	cr_expect_eq(body.size, 10000);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "hpack_blocks.h"
#include "shim/h2_head.h"

#define ROOM 4096

/* One field of a list. */
struct pair {
	const char *name;
	struct bytes value;
};

#define PAIR(name, value)               \
	{                               \
		(name), BYTES_OF(value) \
	}
#define BYTES_OF(value)                  \
	{                                \
		value, sizeof(value) - 1 \
	}
#define END                     \
	{                       \
		NULL,           \
		{               \
			NULL, 0 \
		}               \
	}

static struct bytes block_for(const struct pair *fields)
{
	static char block[200000];
	size_t n = 0;

	for (; fields->name; fields++) {
		size_t put = hpack_put(block + n, sizeof(block) - n, bytes_of(fields->name),
				       fields->value);

		cr_assert_gt(put, 0);
		n += put;
	}
	return (struct bytes){ block, n };
}

/* The room ends at a guard page: guard_free() it. */
static struct h2_head decode(const struct pair *fields, bool request, struct bytes room)
{
	struct hpack *h = hpack_open();
	struct bytes block = block_for(fields), copy = guard_copy(block.p, block.n);
	struct h2_head out;

	cr_assert_eq(h2_head_decode(&out, h, copy, request, (char *)room.p, room.n), 0);
	hpack_close(h);
	guard_free(copy);
	return out;
}

static struct bytes make_room(size_t n)
{
	static const char zeros[2 * H2_LIST_MAX];

	return guard_copy(zeros, n);
}

static bool same(struct bytes is, const char *should)
{
	return bytes_equal(is, bytes_of(should));
}

static const struct pair get[] = {
	PAIR(":method", "GET"),
	PAIR(":scheme", "https"),
	PAIR(":authority", "a.test:8443"),
	PAIR(":path", "/a?b=c"),
	PAIR("accept", "*/*"),
	PAIR("traceparent", "00-1-2-3"),
	PAIR("cookie", "a=b"),
	PAIR("cookie", "c=d"),
	PAIR("content-length", "12"),
	PAIR("te", "trailers"),
	END,
};

static const char get_lines[] =
	"host: a.test:8443\r\naccept: */*\r\ntraceparent: 00-1-2-3\r\n"
	"cookie: a=b\r\ncookie: c=d\r\ncontent-length: 12\r\nte: trailers\r\n\r\n";

Test(h2_head, lays_a_request_out_as_http1)
{
	struct bytes room = make_room(ROOM);
	struct h2_head out = decode(get, true, room);
	const struct http1_head *head = &out.head;
	size_t cost = 0;

	for (size_t i = 0; get[i].name; i++)
		cost += strlen(get[i].name) + get[i].value.n + 32;
	cr_expect(!out.malformed && !out.cut && !out.trailers);
	cr_expect(head->request && head->http2 && head->minor == 0);
	cr_expect(same(head->method, "GET") && same(head->target, "/a?b=c"));
	cr_expect(same(head->scheme, "https") && same(head->field[HTTP1_HOST], "a.test:8443"));
	cr_expect(same(out.whole, get_lines));
	cr_expect_eq(head->header_count, 7);
	cr_expect_eq(head->count[HTTP1_TRACEPARENT], 1);
	cr_expect(head->has_length && head->content_length == 12);
	cr_expect_eq(out.list_size, cost);
	cr_expect_eq(out.protocol.n, 0);
	guard_free(room);
}

Test(h2_head, is_walked_like_one_of_http1)
{
	struct bytes room = make_room(ROOM);
	struct h2_head out = decode(get, true, room);
	struct http1_header header;
	size_t pos = out.head.headers;
	unsigned n = 0;

	for (; http1_next_header(&out.head, out.whole, &pos, &header); n++) {
		const struct pair *p = n ? &get[n + 3] : &get[2];

		cr_expect(same(header.name, n ? p->name : "host"));
		cr_expect(bytes_equal(header.value, p->value));
	}
	cr_expect_eq(n, 7);
	cr_expect_eq(pos, out.head.blank);
	cr_expect_eq(out.head.length, out.whole.n);
	guard_free(room);
}

Test(h2_head, lays_out_responses_and_trailers)
{
	static const struct pair response[] = { PAIR(":status", "503"), PAIR("grpc-status", "14"),
						END };
	static const struct pair trailers[] = { PAIR("grpc-status", "0"), PAIR("grpc-message", ""),
						END };
	struct bytes room = make_room(ROOM);
	struct h2_head out = decode(response, false, room);

	cr_expect(!out.malformed && !out.trailers && out.head.status == 503 && !out.head.request);
	cr_expect(same(out.whole, "grpc-status: 14\r\n\r\n"));
	for (int request = 0; request < 2; request++) {
		out = decode(trailers, request, room);
		cr_expect(!out.malformed && out.trailers && out.head.status == 0);
		cr_expect(same(out.head.field[HTTP1_GRPC_STATUS], "0"));
		cr_expect_eq(out.head.count[HTTP1_GRPC_MESSAGE], 1);
		cr_expect(same(out.whole, "grpc-status: 0\r\ngrpc-message: \r\n\r\n"));
	}
	out = decode(trailers + 2, true, room);
	cr_expect(!out.malformed && out.trailers && same(out.whole, "\r\n"));
	guard_free(room);
}

/* What gRPC's libraries agree on with each other: a NUL, then the bytes themselves. */
Test(h2_head, writes_binary_metadata_as_text)
{
	static const struct pair trailers[] = {
		PAIR("grpc-status", "5"),    PAIR("grpc-status-details-bin", "\0\x08\x05\r\n "),
		PAIR("a-bin", "\0"),         PAIR("b-bin", "\0\xff"),
		PAIR("c-bin", "\0\xff\xee"), PAIR("d-bin", "\0\xff\xee\xdd"),
		PAIR("e-bin", "/+7d"),       END
	};
	struct bytes room = make_room(ROOM);
	struct h2_head out = decode(trailers, false, room);

	cr_expect(!out.malformed && out.trailers && !out.cut);
	cr_expect(same(out.head.field[HTTP1_GRPC_STATUS], "5"));
	cr_expect(same(out.whole, "grpc-status: 5\r\ngrpc-status-details-bin: CAUNCiA\r\n"
				  "a-bin: \r\nb-bin: /w\r\nc-bin: /+4\r\nd-bin: /+7d\r\n"
				  "e-bin: /+7d\r\n\r\n"));
	cr_expect_eq(out.head.header_count, 7);
	guard_free(room);
	for (size_t n = 0; n < out.whole.n; n++) {
		room = make_room(n);
		cr_expect(decode(trailers, false, room).cut, "%zu", n);
		guard_free(room);
	}
}

#define REQUEST PAIR(":method", "GET"), PAIR(":scheme", "http"), PAIR(":path", "/")

Test(h2_head, takes_the_host_from_the_authority)
{
	static const struct pair both[] = { REQUEST, PAIR(":authority", "a"), PAIR("host", "b"),
					    END };
	static const struct pair host[] = { REQUEST, PAIR("host", "b"), END };
	static const struct pair none[] = { REQUEST, END };
	struct bytes room = make_room(ROOM);
	struct h2_head out = decode(both, true, room);

	cr_expect(same(out.head.field[HTTP1_HOST], "a") && !out.malformed);
	cr_expect_eq(out.head.count[HTTP1_HOST], 2);
	out = decode(host, true, room);
	cr_expect(same(out.head.field[HTTP1_HOST], "b") && !out.malformed);
	out = decode(none, true, room);
	cr_expect(out.head.count[HTTP1_HOST] == 0 && !out.malformed);
	guard_free(room);
}

Test(h2_head, knows_both_forms_of_connect)
{
	static const struct pair tunnel[] = { PAIR(":method", "CONNECT"), PAIR(":authority", "a:1"),
					      END };
	static const struct pair socket[] = {
		PAIR(":method", "CONNECT"), PAIR(":protocol", "websocket"),
		PAIR(":scheme", "https"),   PAIR(":path", "/chat"),
		PAIR(":authority", "a"),    END,
	};
	struct bytes room = make_room(ROOM);
	struct h2_head out = decode(tunnel, true, room);

	cr_expect(!out.malformed && same(out.head.target, "a:1") && out.protocol.n == 0);
	cr_expect(same(out.head.field[HTTP1_HOST], "a:1"));
	out = decode(socket, true, room);
	cr_expect(!out.malformed && same(out.head.target, "/chat"));
	cr_expect(same(out.protocol, "websocket"));
	guard_free(room);
}

static const struct pair malformed_requests[][8] = {
	{ PAIR(":scheme", "http"), PAIR(":path", "/"), END },
	{ PAIR(":method", "GET"), PAIR(":path", "/"), END },
	{ PAIR(":method", "GET"), PAIR(":scheme", "http"), END },
	{ REQUEST, PAIR(":path", "/"), END },
	{ REQUEST, PAIR(":status", "200"), END },
	{ REQUEST, PAIR(":protocol", "websocket"), END },
	{ REQUEST, PAIR(":other", "x"), END },
	{ REQUEST, PAIR(":", "x"), END },
	{ REQUEST, PAIR("", "x"), END },
	{ REQUEST, PAIR("a", "b"), PAIR(":authority", "x"), END },
	{ PAIR("a", "b"), REQUEST, END },
	{ PAIR(":method", "GET"), PAIR(":scheme", "http"), PAIR(":path", ""), END },
	{ PAIR(":method", "GET"), PAIR(":scheme", "http"), PAIR(":path", "/a b"), END },
	{ PAIR(":method", "G T"), PAIR(":scheme", "http"), PAIR(":path", "/"), END },
	{ PAIR(":method", ""), PAIR(":scheme", "http"), PAIR(":path", "/"), END },
	{ PAIR(":method", "GET"), PAIR(":scheme", "http"), PAIR(":path", "/\r\na: b"), END },
	{ REQUEST, PAIR(":authority", " a"), END },
	{ PAIR(":method", "CONNECT"), END },
	{ PAIR(":method", "CONNECT"), PAIR(":authority", "a"), PAIR(":path", "/"), END },
	{ PAIR(":method", "CONNECT"), PAIR(":authority", "a"), PAIR(":protocol", "x"), END },
	{ REQUEST, PAIR("Accept", "x"), END },
	{ REQUEST, PAIR("a b", "x"), END },
	{ REQUEST, PAIR("a:", "x"), END },
	{ REQUEST, PAIR("a\x80", "x"), END },
	{ REQUEST, PAIR("a", "x\ny"), END },
	{ REQUEST, PAIR("a", "x\r\nhost: b"), END },
	{ REQUEST, PAIR("a", "x\0y"), END },
	{ REQUEST, PAIR("a", "\0y"), END },
	{ REQUEST, PAIR("a-bin", "x\0"), END },
	{ REQUEST, PAIR("-bin", "\0"), END },
	{ REQUEST, PAIR("a", " x"), END },
	{ REQUEST, PAIR("a", "x\t"), END },
	{ REQUEST, PAIR("connection", "close"), END },
	{ REQUEST, PAIR("transfer-encoding", "chunked"), END },
	{ REQUEST, PAIR("keep-alive", "1"), END },
	{ REQUEST, PAIR("proxy-connection", "close"), END },
	{ REQUEST, PAIR("upgrade", "h2c"), END },
	{ REQUEST, PAIR("te", "gzip"), END },
	{ REQUEST, PAIR("content-length", "1"), PAIR("content-length", "2"), END },
	{ REQUEST, PAIR("content-length", "-1"), END },
	{ PAIR(":authority", "a"), END },
	{ PAIR(":status", "200"), END },
	{ PAIR("a", "b"), PAIR(":path", "/"), END }, /* trailers have none */
};

static const struct pair malformed_responses[][4] = {
	{ PAIR(":status", ""), END },
	{ PAIR(":status", "20"), END },
	{ PAIR(":status", "2000"), END },
	{ PAIR(":status", "+20"), END },
	{ PAIR(":status", "099"), END },
	{ PAIR(":status", "101"), END },
	{ PAIR(":status", "200"), PAIR(":status", "200"), END },
	{ PAIR(":status", "200"), PAIR(":path", "/"), END },
	{ PAIR(":path", "/"), END },
	{ PAIR("a", "b"), PAIR(":status", "200"), END },
};

static void expect_malformed(const struct pair *fields, bool request, size_t i)
{
	struct bytes room = make_room(ROOM);
	struct h2_head out = decode(fields, request, room);
	struct http1_header header;
	size_t pos = 0, lines = 0;

	cr_expect(out.malformed && !out.cut && !out.trailers, "%zu", i);
	while (http1_next_header(&out.head, out.whole, &pos, &header))
		lines++;
	cr_expect_eq(lines, out.head.header_count, "%zu", i);
	cr_expect_eq(pos, out.head.blank, "%zu", i);
	guard_free(room);
}

Test(h2_head, marks_malformed_lists_and_keeps_one_line_a_field)
{
	for (size_t i = 0; i < COUNT(malformed_requests); i++)
		expect_malformed(malformed_requests[i], true, i);
	for (size_t i = 0; i < COUNT(malformed_responses); i++)
		expect_malformed(malformed_responses[i], false, i);
}

Test(h2_head, tells_the_place_of_the_first_traceparent)
{
	/* GET http / , traceparent: a (Huffman, never indexed), traceparent: bc */
	struct bytes room = make_room(ROOM);
	struct bytes block = block_of("20 82 86 84 10 0b 7472616365706172656e74 81 1f"
				      "00 0b 7472616365706172656e74 02 62 63");
	struct hpack *h = hpack_open();
	struct h2_head out;
	const struct hpack_field *place = &out.traceparent_place;

	cr_assert_eq(h2_head_decode(&out, h, block, true, (char *)room.p, room.n), 0);
	cr_expect_eq(out.head.count[HTTP1_TRACEPARENT], 2);
	cr_expect(same(out.head.field[HTTP1_TRACEPARENT], "a"));
	cr_expect(same(place->name, "traceparent") && same(place->value, "a"));
	cr_expect(place->name.p > room.p && place->name.p < room.p + room.n);
	cr_expect(place->at == 4 && place->end == 19 && place->value_at == 18);
	cr_expect(place->huffman && place->form == HPACK_NEVER_INDEXED);
	hpack_close(h);
	guard_free(block);
	guard_free(room);
}

Test(h2_head, tells_no_text_of_a_padded_traceparent)
{
	static const struct pair padded[] = { REQUEST, PAIR("traceparent", " 00-1"), END };
	struct bytes room = make_room(ROOM);
	struct h2_head out = decode(padded, true, room);

	cr_expect(out.malformed && same(out.head.field[HTTP1_TRACEPARENT], "00-1"));
	cr_expect(out.traceparent_place.value.n == 0 && out.traceparent_place.name.n == 0);
	cr_expect_eq(out.traceparent_place.end - out.traceparent_place.value_at, 5);
	guard_free(room);
}

/* Any room: what does not fit is missing whole, and counted all the same. */
Test(h2_head, drops_what_has_no_room)
{
	bool whole = false;

	for (size_t n = 0; n < 256; n++) {
		struct bytes room = make_room(n);
		struct h2_head out = decode(get, true, room);
		struct http1_header header;
		size_t pos = 0, lines = 0;

		while (http1_next_header(&out.head, out.whole, &pos, &header))
			lines++;
		cr_expect_eq(lines, out.head.header_count, "%zu", n);
		cr_expect(!out.malformed, "%zu", n);
		cr_expect(out.cut || same(out.whole, get_lines), "%zu", n);
		cr_expect(out.whole.n >= 2 && out.head.blank + 2 == out.head.length, "%zu", n);
		cr_expect_eq(out.head.count[HTTP1_TRACEPARENT], 1);
		cr_expect_eq(out.head.count[HTTP1_HOST], 1);
		cr_expect_eq(out.head.content_length, 12);
		cr_expect_eq(out.head.field[HTTP1_TRACEPARENT].n,
			     out.traceparent_place.name.n ? 8 : 0);
		cr_expect_gt(out.traceparent_place.value_at, 0);
		cr_expect(!whole || !out.cut); /* more room is never worse */
		whole |= !out.cut;
		guard_free(room);
	}
	cr_expect(whole);
}

Test(h2_head, keeps_no_more_than_the_ceiling_and_reads_on)
{
	static char text[20000];
	struct pair fields[8] = { REQUEST };
	struct bytes room = make_room(2 * H2_LIST_MAX);
	struct h2_head out;

	memset(text, 'x', sizeof(text));
	for (unsigned i = 3; i < 7; i++)
		fields[i] = (struct pair){ "a", { text, sizeof(text) } };
	out = decode(fields, true, room);
	cr_expect(out.cut && !out.malformed);
	cr_expect_eq(out.head.header_count, 3);
	cr_expect_gt(out.list_size, 4 * sizeof(text));
	guard_free(room);
}

Test(h2_head, needs_neither_fields_nor_room)
{
	struct hpack *h = hpack_open();
	struct bytes room = make_room(2);
	struct h2_head out;

	cr_expect_eq(h2_head_decode(&out, h, (struct bytes){ 0 }, true, NULL, 0), 0);
	cr_expect(out.trailers && !out.cut && !out.malformed && same(out.whole, "\r\n"));
	cr_expect_eq(h2_head_decode(&out, h, BYTES("\x82\x86\x84"), true, NULL, 0), 0);
	cr_expect(!out.trailers && out.cut && !out.malformed && same(out.whole, "\r\n"));
	cr_expect_eq(h2_head_decode(&out, h, (struct bytes){ 0 }, true, (char *)room.p, 2), 0);
	cr_expect(out.trailers && !out.cut && same(out.whole, "\r\n"));
	guard_free(room);
	hpack_close(h);
}

Test(h2_head, says_when_compression_is_broken)
{
	struct hpack *h = hpack_open();
	struct h2_head out;
	char room[64];

	cr_expect_eq(h2_head_decode(&out, h, BYTES("\x82\xbe"), true, room, sizeof(room)),
		     -EBADMSG);
	hpack_close(h);
}

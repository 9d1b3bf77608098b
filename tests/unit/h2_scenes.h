/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded connections of HTTP/2: what client and server say by turns, and the spans that the
 * client and the server make of it. */
#ifndef TESTS_H2_SCENES_H
#define TESTS_H2_SCENES_H

#include "h2_flow.h"

#define TURNS_MAX 16

/* What one side says before the other one speaks again. */
struct turn {
	bool server;
	size_t from, to; /* of the bytes of that side */
};

struct recording {
	struct flow client, server;
	struct turn turn[TURNS_MAX];
	unsigned turns;
};

static struct recording rec;

static inline struct flow *says(bool server)
{
	struct flow *f = server ? &rec.server : &rec.client;

	if (rec.turns)
		rec.turn[rec.turns - 1].to =
			(rec.turn[rec.turns - 1].server ? &rec.server : &rec.client)->n;
	must(rec.turns < TURNS_MAX);
	rec.turn[rec.turns++] = (struct turn){ server, f->n, f->n };
	return f;
}

static inline struct flow *client(void)
{
	return says(false);
}

static inline struct flow *server(void)
{
	return says(true);
}

static inline void record(void (*scene)(void))
{
	flow_begin(&rec.client);
	flow_begin(&rec.server);
	rec.turns = 0;
	scene();
	says(false); /* sets the last one's end */
	rec.turns--;
}

static inline void flow_text(struct flow *f, const char *text)
{
	flow_put(f, text, strlen(text));
}

#define ACK(f)           flow_frame(f, H2_SETTINGS, H2_FLAG_ACK, 0, BYTES(""))
#define GRPC_FIELDS      POST_FIELDS("/shop.Cart/Add") "content-type: application/grpc\nte: trailers\n"
#define GRPC_ANSWER      ":status: 200\ncontent-type: application/grpc\n"
#define GRPC_MESSAGE     BYTES("\0\0\0\0\5hello")
#define WINDOW(f, s)     flow_frame(f, H2_WINDOW_UPDATE, 0, s, BYTES("\0\0\1\0"))
#define RESET(f, s, err) flow_frame(f, H2_RST_STREAM, 0, s, BYTES("\0\0\0" err))

static void open_both(void)
{
	flow_preface(client());
	flow_frame(server(), H2_SETTINGS, 0, 0, BYTES("\0\3\0\0\0\100"));
	ACK(&rec.server);
}

static void scene_get(void)
{
	struct flow *f;

	open_both();
	f = client();
	ACK(f);
	flow_headers(f, 1, true, GET_FIELDS("/get"));
	f = server();
	flow_headers(f, 1, false, ":status: 200\nserver: test\n");
	flow_data(f, 1, false, BYTES("hello "));
	flow_data(f, 1, true, BYTES("world"));
	f = client();
	flow_headers(f, 3, true, GET_FIELDS("/get"));
	flow_headers(f, 5, true, GET_FIELDS("/third"));
	f = server();
	flow_headers(f, 5, true, ":status: 404\nserver: test\n");
	flow_headers(f, 3, true, ":status: 500\nserver: test\n");
}

static void scene_post(void)
{
	struct flow *f = client();

	flow_preface(f);
	flow_headers(f, 1, false, POST_FIELDS("/post") "expect: 100-continue\n");
	f = server();
	flow_frame(f, H2_SETTINGS, 0, 0, BYTES(""));
	flow_headers(f, 1, false, ":status: 100\n");
	flow_headers(f, 1, false, ":status: 103\nlink: </a.css>\n");
	f = client();
	flow_data(f, 1, false, BYTES("data"));
	flow_frame(f, H2_PING, 0, 0, BYTES("abcdefgh"));
	flow_frame(f, H2_DATA, H2_FLAG_PADDED, 1, BYTES("\3data\0\0\0"));
	flow_headers(f, 1, true, "x-checksum: 12\n");
	f = server();
	WINDOW(f, 0);
	flow_frame(f, H2_PING, H2_FLAG_ACK, 0, BYTES("abcdefgh"));
	flow_headers(f, 1, false, ":status: 201\nserver: test\n");
	flow_data(f, 1, false, BYTES(""));
	flow_data(f, 1, false, BYTES("made"));
	flow_headers(f, 1, true, "x-trailer: 1\n");
}

static void scene_frames(void)
{
	char payload[256] = { 5, 0, 0, 0, 0, 3 };
	struct bytes block;
	struct flow *f;

	open_both();
	f = client();
	flow_frame(f, 0x42, 0xff, 1, BYTES("unknown"));
	flow_frame(f, H2_PRIORITY, 0, 7, BYTES("\0\0\0\0\7"));
	block = flow_block(f, GET_FIELDS("/padded"));
	memcpy(payload + 6, block.p, block.n);
	flow_frame(f, H2_HEADERS,
		   H2_FLAG_END_HEADERS | H2_FLAG_END_STREAM | H2_FLAG_PADDED | H2_FLAG_PRIORITY, 1,
		   (struct bytes){ payload, block.n + 6 + 5 });
	flow_continued(f, 3, true, GET_FIELDS("/continued"), 4);
	f = server();
	block = flow_block(f, GET_FIELDS("/pushed"));
	memcpy(payload, "\0\0\0\2", 4);
	memcpy(payload + 4, block.p, block.n);
	flow_frame(f, H2_PUSH_PROMISE, H2_FLAG_END_HEADERS, 1,
		   (struct bytes){ payload, block.n + 4 });
	flow_continued(f, 1, true, ":status: 200\nserver: test\nx-long: aaaaaaaa\n", 3);
	flow_headers(f, 2, true, ":status: 200\n");
	flow_frame(f, 0x43, 0, 0, BYTES(""));
	flow_headers(f, 3, true, ":status: 302\nserver: test\n");
}

static void scene_resets(void)
{
	struct flow *f;

	open_both();
	f = client();
	flow_headers(f, 1, true, GET_FIELDS("/cancelled"));
	flow_headers(f, 3, true, GET_FIELDS("/refused"));
	flow_headers(f, 5, true, GET_FIELDS("/goes-away"));
	flow_headers(f, 7, true, GET_FIELDS("/too-young"));
	RESET(f, 1, "\10");
	f = server();
	RESET(f, 3, "\7");
	flow_frame(f, H2_GOAWAY, 0, 0, BYTES("\0\0\0\5\0\0\0\0bye"));
	flow_headers(f, 5, true, ":status: 200\n");
}

static void scene_connect(void)
{
	struct flow *f;

	open_both();
	f = client();
	flow_headers(f, 1, false, ":method: CONNECT\n:authority: b.example:443\n");
	flow_headers(server(), 1, false, ":status: 200\n");
	flow_data(client(), 1, false, BYTES("tunnel"));
	f = server();
	flow_data(f, 1, false, BYTES("lennut"));
	f = client();
	flow_data(f, 1, true, BYTES(""));
	flow_headers(f, 3, true, GET_FIELDS("/beside"));
	flow_headers(server(), 3, true, ":status: 204\n");
}

static void scene_grpc(void)
{
	struct flow *f;

	open_both();
	f = client();
	flow_headers(f, 1, false, GRPC_FIELDS);
	flow_data(f, 1, true, GRPC_MESSAGE);
	f = server();
	flow_headers(f, 1, false, GRPC_ANSWER);
	flow_data(f, 1, false, GRPC_MESSAGE);
	flow_headers(f, 1, true, "grpc-status: 0\n");
	f = client();
	flow_headers(f, 3, false, GRPC_FIELDS);
	flow_data(f, 3, false, GRPC_MESSAGE);
	f = server();
	flow_headers(f, 3, false, GRPC_ANSWER);
	flow_data(f, 3, false, GRPC_MESSAGE);
	f = client();
	flow_data(f, 3, true, GRPC_MESSAGE);
	flow_headers(f, 5, false, GRPC_FIELDS);
	flow_data(f, 5, true, GRPC_MESSAGE);
	f = server();
	flow_headers(f, 5, true, GRPC_ANSWER "grpc-status: 5\n");
	flow_data(f, 3, false, GRPC_MESSAGE);
	flow_headers(f, 3, true, "grpc-status: 14\ngrpc-message: gone\n");
}

/* The client allows a smaller table, then the server a larger one. */
static void scene_tables(void)
{
	struct flow *f = client();

	flow_put(f, H2_PREFACE, H2_PREFACE_LEN);
	flow_setting(f, 1, 128);
	flow_headers(f, 1, true, GET_FIELDS("/table") "x-a: 1111\n");
	f = server();
	flow_setting(f, 1, 8192);
	ACK(f);
	must(nghttp2_hd_deflate_change_table_size(f->deflater, 128) == 0);
	flow_headers(f, 1, true, ":status: 200\nserver: test\nx-b: 2\nx-c: 3\nx-d: 4\nx-e: 5\n");
	f = client();
	ACK(f);
	must(nghttp2_hd_deflate_change_table_size(f->deflater, 0) == 0);
	must(nghttp2_hd_deflate_change_table_size(f->deflater, 4096) == 0);
	flow_headers(f, 3, true, GET_FIELDS("/table") "x-a: 1111\n");
	flow_headers(f, 5, true, GET_FIELDS("/table") "x-a: 1111\n");
	f = server();
	flow_headers(f, 3, true, ":status: 200\nserver: test\nx-b: 2\nx-c: 3\nx-d: 4\nx-e: 5\n");
	flow_headers(f, 5, true, ":status: 204\nserver: test\nx-d: 4\nx-e: 5\n");
}

static void scene_server_first(void)
{
	struct flow *f = server();

	flow_setting(f, 3, 100);
	WINDOW(f, 0);
	f = client();
	flow_preface(f);
	ACK(f);
	flow_headers(f, 1, true, GET_FIELDS("/late"));
	f = server();
	ACK(f);
	flow_headers(f, 1, true, ":status: 200\n");
}

static void scene_upgrade(void)
{
	struct flow *f = client();

	flow_text(f, "GET /old HTTP/1.1\r\nHost: a.example\r\n");
	flow_text(f, "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n");
	flow_text(f, "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n");
	f = server();
	flow_text(f, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n");
	flow_text(f, "Upgrade: h2c\r\n\r\n");
	flow_setting(f, 3, 100);
	flow_headers(f, 1, false, ":status: 200\nserver: test\n");
	flow_data(f, 1, true, BYTES("new"));
	f = client();
	flow_preface(f);
	ACK(f);
	flow_headers(f, 3, true, GET_FIELDS("/second"));
	f = server();
	ACK(f);
	flow_headers(f, 3, true, ":status: 200\nserver: test\n");
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded connections, replayed at every cut of the bytes of either side, at both sides: the spans
 * are always the same. */
#include "h2_fixture.h"
#include "h2_scenes.h"

static char told[8192];     /* the spans of one replay, in words */
static char expected[8192]; /* of the replay without a cut */

static void begin(void)
{
	spans_start(NULL);
	shim_before_close_range(0, ~0u); /* what the test program inherited */
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Kind, name, status, error: in the order of the alphabet. */
static void tell(size_t from, size_t to, char *out, size_t size)
{
	static char line[64][256];
	const char *lines[64];
	size_t n = 0, at = 0;

	*out = 0;
	for (size_t i = from; i < to && n < 64; i++, n++) {
		json_t *s = span_at(i);
		const char *rpc = span_attribute(s, "rpc.response.status_code");

		snprintf(line[n], sizeof(line[n]), "%s %s", span_field(s, "name"),
			 span_attribute(s, "error.type"));
		snprintf(line[n] + strlen(line[n]), 64, "|%s%s",
			 span_attribute(s, "http.response.status_code"), rpc);
		cr_assert(span_kind(s) == KIND_CLIENT || span_kind(s) == KIND_SERVER);
		lines[n] = line[n];
	}
	qsort(lines, n, sizeof(lines[0]), by_text);
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(out + at, size - at, "%s\n", lines[i]);
}

/* Bytes [from, to) of a side, as the program that is `server` or its client sees them. */
static void move(int fd, bool server, bool of_server, size_t from, size_t to)
{
	const struct flow *f = of_server ? &rec.server : &rec.client;

	if (from == to)
		return;
	if (server == of_server) {
		h2_wire_begin(FLOW_MAX);
		must(h2_write(fd, f->p, from, to, 1, SHIM_CALL_WRITE) == 1);
	} else {
		h2_reads(fd, (struct bytes){ f->p + from, to - from }, FLOW_MAX);
	}
}

/* The bytes of `cut_server` are cut at `cut`, and if it is SIZE_MAX everywhere. */
static void replay(bool server, bool cut_server, size_t cut)
{
	int peer, fd = fixture_socket(&peer, server, false);

	for (unsigned i = 0; i < rec.turns; i++) {
		const struct turn *t = &rec.turn[i];
		size_t at = t->from;

		if (t->server == cut_server && cut > t->from && cut < t->to) {
			move(fd, server, t->server, at, cut);
			at = cut;
		}
		while (t->server == cut_server && cut == SIZE_MAX && at < t->to) {
			move(fd, server, t->server, at, at + 1);
			at++;
		}
		move(fd, server, t->server, at, t->to);
	}
	fixture_close(fd, peer);
}

static void expect_the_same(bool server, bool cut_server, size_t cut, bool first)
{
	size_t before = json_array_size(spans);

	replay(server, cut_server, cut);
	spans_read();
	tell(before, json_array_size(spans), told, sizeof(told));
	if (first)
		strcpy(expected, told);
	cr_assert_str_eq(told, expected, "%s, %s cut at %zu: %s", server ? "server" : "client",
			 cut_server ? "server's" : "client's", cut, told);
	json_array_clear(spans);
}

/* What is told at a client and at a server. */
static void expect(void (*scene)(void), const char *at_client, const char *at_server)
{
	record(scene);
	for (int server = 0; server < 2; server++) {
		expect_the_same(server, false, 0, true);
		cr_assert_str_eq(expected, server ? at_server : at_client, "%d: %s", server,
				 expected);
		for (int side = 0; side < 2; side++) {
			size_t n = side ? rec.server.n : rec.client.n;

			for (size_t cut = 1; cut < n; cut++)
				expect_the_same(server, side, cut, false);
			expect_the_same(server, side, SIZE_MAX, false);
		}
	}
	cr_assert_eq(counted(opaque_framing) + counted(opaque_memory) + counted(opaque_limit), 0);
	expect_no_h2_in_use();
}

TestSuite(h2_stream, .init = begin, .fini = spans_stop, .timeout = 300);

Test(h2_stream, follows_requests_in_any_order)
{
	expect(scene_get, "GET /get 500|500\nGET /get |200\nGET /third 404|404\n",
	       "GET /get 500|500\nGET /get |200\nGET /third |404\n");
}

Test(h2_stream, follows_bodies_trailers_and_interim_responses)
{
	expect(scene_post, "POST /post |201\n", "POST /post |201\n");
}

Test(h2_stream, passes_by_padding_priority_pushes_and_what_it_does_not_know)
{
	expect(scene_frames, "GET /continued |302\nGET /padded |200\n",
	       "GET /continued |302\nGET /padded |200\n");
}

Test(h2_stream, tells_who_reset)
{
	expect(scene_resets,
	       "GET /cancelled cancel|\nGET /goes-away |200\nGET /refused refused_stream|\nGET "
	       "/too-young refused_stream|\n",
	       "GET /cancelled cancel|\nGET /goes-away |200\nGET /refused refused_stream|\nGET "
	       "/too-young refused_stream|\n");
}

Test(h2_stream, tells_a_tunnels_opening)
{
	expect(scene_connect, "CONNECT |200\nGET /beside |204\n",
	       "CONNECT |200\nGET /beside |204\n");
}

Test(h2_stream, follows_calls_of_grpc)
{
	expect(scene_grpc,
	       "shop.Cart/Add NOT_FOUND|NOT_FOUND\nshop.Cart/Add "
	       "UNAVAILABLE|UNAVAILABLE\nshop.Cart/Add |OK\n",
	       "shop.Cart/Add UNAVAILABLE|UNAVAILABLE\nshop.Cart/Add |NOT_FOUND\nshop.Cart/Add "
	       "|OK\n");
}

Test(h2_stream, follows_tables_that_change)
{
	expect(scene_tables, "GET /table |200\nGET /table |200\nGET /table |204\n",
	       "GET /table |200\nGET /table |200\nGET /table |204\n");
}

Test(h2_stream, lets_the_server_speak_first)
{
	expect(scene_server_first, "GET /late |200\n", "GET /late |200\n");
}

Test(h2_stream, follows_an_upgrade)
{
	expect(scene_upgrade, "GET /old |200\nGET /second |200\n",
	       "GET /old |200\nGET /second |200\n");
}

#define LONG_PATH 3000

static char long_path[LONG_PATH + 1];

static void scene_long(void)
{
	char text[LONG_PATH + 200];

	open_both();
	snprintf(text, sizeof(text),
		 ":method: GET\n:scheme: http\n:path: %s\n:authority: localhost\n", long_path);
	ACK(client());
	flow_headers(&rec.client, 1, true, text);
	flow_headers(server(), 1, true, ":status: 200\n");
}

/* What is kept of a head is as long as the texts of its pseudo fields, too. */
Test(h2_stream, keeps_a_long_path)
{
	memset(long_path, 'p', LONG_PATH);
	long_path[0] = '/';
	record(scene_long);
	for (int server = 0; server < 2; server++) {
		const char *path;

		replay(server, false, 0);
		spans_read();
		cr_assert_eq(json_array_size(spans), 1);
		path = span_attribute(span_at(0), server ? "url.path" : "url.full");
		cr_assert(strstr(path, long_path), "%d: %.40s", server, path);
		json_array_clear(spans);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include "guard.h"
#include "shim/wire/http1.h"

enum end { NONE, LENGTH_5, CHUNKED, UNTIL_CLOSE, BAD };

/* NUL stands as '@' in `lines`, so that they are strings. */
static struct bytes build(char *text, const char *start, const char *lines)
{
	int n = sprintf(text, "%s\r\n%s\r\n", start, lines);

	for (char *c = text; c < text + n; c++)
		if (*c == '@')
			*c = '\0';
	return guard_copy(text, (size_t)n);
}

static enum end end_of(struct http1_body body)
{
	cr_expect_eq(body.size, 0);
	cr_expect_eq(body.remaining, body.state == BODY_LENGTH ? 5 : 0);
	switch (body.state) {
	case BODY_DONE:
		return NONE;
	case BODY_LENGTH:
		return LENGTH_5;
	case BODY_AWAIT_CHUNK_SIZE:
		return CHUNKED;
	case BODY_UNTIL_CLOSE:
		return UNTIL_CLOSE;
	default:
		return BAD;
	}
}

static enum end request_end(const char *start, const char *lines)
{
	char text[512];
	struct bytes in = build(text, start, lines);
	struct http1_head head;
	enum end end = BAD;

	cr_assert_eq(http1_parse_request(&head, in, 0), (ssize_t)in.n, "%s", lines);
	end = end_of(http1_request_body(&head));
	if (head.framing_bad)
		cr_expect_eq(end, BAD, "%s", lines);
	guard_free(in);
	return end;
}

static enum end response_end(const char *start, const char *lines, const char *method, bool *tunnel)
{
	char text[512];
	struct bytes in = build(text, start, lines);
	struct http1_head head;
	enum end end = BAD;

	cr_assert_eq(http1_parse_response(&head, in, 0), (ssize_t)in.n, "%s", lines);
	end = end_of(http1_response_body(&head, bytes_of(method), tunnel));
	guard_free(in);
	return end;
}

/* The same lines mean the same in both directions but where a length is missing. */
static const struct {
	const char *lines;
	enum end request, response;
} table[] = {
	{ "", NONE, UNTIL_CLOSE },
	{ "Content-Length: 5\r\n", LENGTH_5, LENGTH_5 },
	{ "content-length:5\r\n", LENGTH_5, LENGTH_5 },
	{ "Content-Length: \t5 \t\r\n", LENGTH_5, LENGTH_5 },
	{ "Content-Length: 005\r\n", LENGTH_5, LENGTH_5 },
	{ "Content-Length: 0\r\n", NONE, NONE },
	{ "Content-Length: 5\r\nContent-Length: 5\r\n", LENGTH_5, LENGTH_5 },
	{ "Content-Length: 5\r\nContent-Length: 6\r\n", BAD, BAD },
	{ "Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 6\r\n", BAD, BAD },
	{ "Content-Length: 5\r\nContent-Length:\r\n", BAD, BAD },
	{ "Content-Length:\r\n", BAD, BAD },
	{ "Content-Length: 5, 5\r\n", BAD, BAD },
	{ "Content-Length: 5,\r\n", BAD, BAD },
	{ "Content-Length: +5\r\n", BAD, BAD },
	{ "Content-Length: -5\r\n", BAD, BAD },
	{ "Content-Length: -0\r\n", BAD, BAD },
	{ "Content-Length: 0x5\r\n", BAD, BAD },
	{ "Content-Length: 5.0\r\n", BAD, BAD },
	{ "Content-Length: 5 5\r\n", BAD, BAD },
	{ "Content-Length: 5;a\r\n", BAD, BAD },
	{ "Content-Length: \x0b"
	  "5\r\n",
	  BAD, BAD },
	{ "Content-Length: five\r\n", BAD, BAD },
	{ "Content-Length: 9223372036854775808\r\n", BAD, BAD },
	{ "Content-Length: 18446744073709551621\r\n", BAD, BAD },
	{ "Content-Length: 4294967296999999999999999999999999999999\r\n", BAD, BAD },
	{ "Content-Length:\r\n 5\r\n", BAD, BAD },
	{ "Content-Length: 5\r\n \r\n", BAD, BAD },
	{ "Content-Length : 5\r\n", BAD, BAD },
	{ "Content-Length\t: 5\r\n", BAD, BAD },
	{ "Content-Length: 5\rX: y\r\n", BAD, BAD },
	{ "Content-Length: 5@\r\n", BAD, BAD },
	{ "Content-Length: 5\nX: y\r\n", BAD, LENGTH_5 },
	{ "Content_Length: 5\r\n", NONE, UNTIL_CLOSE },
	{ "Transfer-Encoding: chunked\r\n", CHUNKED, CHUNKED },
	{ "TRANSFER-ENCODING:CHUNKED\t\r\n", CHUNKED, CHUNKED },
	{ "Transfer-Encoding: gzip, chunked\r\n", CHUNKED, CHUNKED },
	{ "Transfer-Encoding: x-gzip,deflate ,chunked\r\n", CHUNKED, CHUNKED },
	{ "Transfer-Encoding: gzip\r\n", BAD, UNTIL_CLOSE },
	{ "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", BAD, BAD },
	{ "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", BAD, BAD },
	{ "Content-Length: 5\r\nTransfer-Encoding: gzip\r\n", BAD, BAD },
	{ "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", BAD, BAD },
	{ "Transfer-Encoding: chunked, identity\r\n", BAD, BAD },
	{ "Transfer-Encoding: chunked, gzip\r\n", BAD, BAD },
	{ "Transfer-Encoding: chunked, chunked\r\n", BAD, BAD },
	{ "Transfer-Encoding: identity\r\n", BAD, BAD },
	{ "Transfer-Encoding: identity, chunked\r\n", BAD, BAD },
	{ "Transfer-Encoding: xchunked\r\n", BAD, BAD },
	{ "Transfer-Encoding: chunkedx\r\n", BAD, BAD },
	{ "Transfer-Encoding: chunked;a=b\r\n", BAD, BAD },
	{ "Transfer-Encoding: \"chunked\"\r\n", BAD, BAD },
	{ "Transfer-Encoding: x chunked\r\n", BAD, BAD },
	{ "Transfer-Encoding: \x0b"
	  "chunked\r\n",
	  BAD, BAD },
	{ "Transfer-Encoding: chunked\x0c\r\n", BAD, BAD },
	{ "Transfer-Encoding: , chunked\r\n", BAD, BAD },
	{ "Transfer-Encoding: chunked,\r\n", BAD, BAD },
	{ "Transfer-Encoding:\r\n", BAD, BAD },
	{ "Transfer-Encoding:\r\n chunked\r\n", BAD, BAD },
	{ "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", BAD, BAD },
	{ "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", BAD, BAD },
	{ "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", BAD, BAD },
	{ "Transfer-Encoding : chunked\r\n", BAD, BAD },
	{ "Transfer-Encoding: chunked\r\r\n", BAD, BAD },
	{ "Transfer-Encoding: chunked@\r\n", BAD, BAD },
	{ "Foo : bar\r\n", BAD, BAD },
	{ "Foo bar: x\r\n", BAD, BAD },
	{ "F\xc3\xb6: x\r\n", BAD, BAD },
	{ "Foo: a\rb\r\n", BAD, BAD },
	{ "Foo: a@b\r\n", BAD, BAD },
	{ "Foo: a\nBar: b\r\n", BAD, UNTIL_CLOSE },
	{ "Foo: a\x01\x7f b\r\n", NONE, UNTIL_CLOSE },
	{ "Foo: a\r\n b\r\n", NONE, UNTIL_CLOSE },
	{ "Foo:\r\n Content-Length: 5\r\n", NONE, UNTIL_CLOSE },
};

Test(http1_framing, finds_the_end_of_request_bodies)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		cr_expect_eq(request_end("POST / HTTP/1.1", table[i].lines), table[i].request, "%s",
			     table[i].lines);
}

Test(http1_framing, finds_the_end_of_response_bodies)
{
	bool tunnel = true;

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		cr_expect_eq(response_end("HTTP/1.1 200 OK", table[i].lines, "GET", &tunnel),
			     table[i].response, "%s", table[i].lines);
		cr_expect_not(tunnel);
	}
}

Test(http1_framing, knows_no_transfer_coding_in_http_1_0)
{
	bool tunnel;

	cr_expect_eq(request_end("POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n"), BAD);
	cr_expect_eq(response_end("HTTP/1.0 200 OK", "Transfer-Encoding: chunked\r\n", "GET",
				  &tunnel),
		     BAD);
	cr_expect_eq(request_end("POST / HTTP/1.0", "Content-Length: 5\r\n"), LENGTH_5);
	cr_expect_eq(response_end("HTTP/1.0 200 OK", "Connection: keep-alive\r\n", "GET", &tunnel),
		     UNTIL_CLOSE);
}

Test(http1_framing, ends_some_responses_with_their_head)
{
	static const char *const starts[] = { "HTTP/1.1 100 Continue", "HTTP/1.1 103 Early Hints",
					      "HTTP/1.1 204 No Content",
					      "HTTP/1.1 304 Not Modified" };
	static const char *const lines[] = { "", "Content-Length: 5\r\n",
					     "Transfer-Encoding: chunked\r\n" };
	bool tunnel;

	for (size_t i = 0; i < 4; i++)
		for (size_t j = 0; j < 3; j++) {
			cr_expect_eq(response_end(starts[i], lines[j], "GET", &tunnel), NONE);
			cr_expect_not(tunnel);
		}
	for (size_t j = 0; j < 3; j++)
		cr_expect_eq(response_end("HTTP/1.1 200 OK", lines[j], "HEAD", &tunnel), NONE);
	cr_expect_eq(response_end("HTTP/1.1 200 OK", "Content-Length: 5\r\n", "head", &tunnel),
		     LENGTH_5); /* methods are case-sensitive */
	cr_expect_eq(response_end("HTTP/1.1 205 Reset Content", "Content-Length: 5\r\n", "GET",
				  &tunnel),
		     LENGTH_5);
}

Test(http1_framing, tells_when_the_stream_stops_being_http)
{
	bool tunnel = false;

	cr_expect_eq(response_end("HTTP/1.1 101 Switching Protocols",
				  "Upgrade: websocket\r\nConnection: Upgrade\r\n", "GET", &tunnel),
		     NONE);
	cr_expect(tunnel);
	tunnel = false;
	cr_expect_eq(response_end("HTTP/1.1 200 Connected", "Content-Length: 5\r\n", "CONNECT",
				  &tunnel),
		     NONE);
	cr_expect(tunnel);
	cr_expect_eq(response_end("HTTP/1.1 407 No", "Content-Length: 5\r\n", "CONNECT", &tunnel),
		     LENGTH_5);
	cr_expect_not(tunnel);
}

Test(http1_framing, knows_no_body_of_a_connect_request)
{
	cr_expect_eq(request_end("CONNECT h:443 HTTP/1.1", ""), NONE);
	cr_expect_eq(request_end("CONNECT h:443 HTTP/1.1", "Content-Length: 0\r\n"), NONE);
	cr_expect_eq(request_end("CONNECT h:443 HTTP/1.1", "Content-Length: 5\r\n"), BAD);
	cr_expect_eq(request_end("CONNECT h:443 HTTP/1.1", "Transfer-Encoding: chunked\r\n"), BAD);
}

Test(http1_framing, is_unsure_of_requests_that_mix_line_ends)
{
	struct http1_head head;

	cr_assert_gt(http1_parse_request(&head, BYTES("GET / HTTP/1.1\r\nA: b\n\n"), 0), 0);
	cr_expect(head.framing_bad && head.bare_lf);
	cr_assert_gt(http1_parse_request(&head, BYTES("GET / HTTP/1.1\nA: b\r\n\r\n"), 0), 0);
	cr_expect(head.framing_bad && !head.bare_lf);
	cr_assert_gt(http1_parse_request(&head, BYTES("GET / HTTP/1.1\r\nA: b\r\n\n"), 0), 0);
	cr_expect(head.framing_bad && !head.bare_lf);
	cr_assert_gt(http1_parse_request(&head, BYTES("GET / HTTP/1.1\nA: b\n\r\n"), 0), 0);
	cr_expect(head.framing_bad && head.bare_lf);
	cr_assert_gt(http1_parse_request(&head, BYTES("GET / HTTP/1.1\nA: b\n c\n\n"), 0), 0);
	cr_expect(!head.framing_bad && head.bare_lf);
	cr_assert_gt(http1_parse_request(&head, BYTES("GET / HTTP/1.1\nA: b\r\n c\n\n"), 0), 0);
	cr_expect(head.framing_bad);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "exporter/http_reply.h"
#include "guard.h"

static char room[HTTP_REPLY_BODY_MAX];
static struct http_reply reply;

/* Feeds text in pieces of `step` bytes; the last answer. */
static int feed(struct bytes text, size_t step)
{
	int result = 0;

	http_reply_init(&reply, room);
	for (size_t at = 0; at < text.n && result == 0; at += step) {
		size_t n = text.n - at < step ? text.n - at : step;
		struct bytes piece = guard_copy(text.p + at, n);

		result = http_reply_feed(&reply, piece);
		guard_free(piece);
	}
	return result;
}

/* The same result however the text is cut. */
static int feed_all(const char *text)
{
	struct bytes b = bytes_of(text);
	int whole = feed(b, b.n ? b.n : 1);

	for (size_t step = 1; step <= 7; step++) {
		int cut = feed(b, step);

		/* Bytes behind the end come with it or not at all. */
		cr_expect(cut == whole, "%s in pieces of %zu: %d, not %d", text, step, cut, whole);
	}
	return feed(b, b.n ? b.n : 1);
}

static bool body_is(const char *text)
{
	return bytes_equal(reply.body, bytes_of(text));
}

Test(http_reply, with_a_length)
{
	cr_expect_eq(feed_all("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"), 1);
	cr_expect_eq(reply.status, 200);
	cr_expect(body_is("abc"));
	cr_expect(reply.keep_alive);
	cr_expect_eq(feed_all("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"), 0);
	cr_expect_eq(feed_all("HTTP/1.1 400 Bad Request\r\ncontent-length:0\r\n\r\n"), 1);
	cr_expect_eq(reply.status, 400);
}

Test(http_reply, in_chunks)
{
	cr_expect_eq(feed_all("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			      "3\r\nabc\r\n0a;x=\"y\"\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"),
		     1);
	cr_expect(body_is("abc0123456789"));
	cr_expect(reply.keep_alive);
	cr_expect_eq(
		feed_all("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
		1);
	cr_expect(reply.encoded);
}

Test(http_reply, until_the_connection_closes)
{
	cr_expect_eq(feed_all("HTTP/1.1 200 OK\r\n\r\nabc"), 0);
	cr_expect_eq(http_reply_end(&reply), 1);
	cr_expect_not(reply.keep_alive);
	cr_expect(body_is("abc"));
}

Test(http_reply, without_a_body)
{
	cr_expect_eq(feed_all("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"), 1);
	cr_expect_eq(feed_all("HTTP/1.1 304\r\n\r\n"), 1);
	cr_expect_eq(feed_all("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"), 1);
}

Test(http_reply, interim_responses_are_passed_over)
{
	cr_expect_eq(
		feed_all("HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n"
			 "HTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\nContent-Length: 7\r\n\r\n"
			 "HTTP/1.1 503 No\r\nContent-Length: 1\r\n\r\nx"),
		1);
	cr_expect_eq(reply.status, 503);
	cr_expect(reply.keep_alive);
	cr_expect_str_eq(reply.retry_after, "");
	cr_expect(body_is("x"));
}

Test(http_reply, connection_says_whether_it_stays)
{
	feed_all("HTTP/1.1 200 OK\r\nConnection: foo, Close\r\nContent-Length: 0\r\n\r\n");
	cr_expect_not(reply.keep_alive);
	feed_all("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n");
	cr_expect_not(reply.keep_alive);
	feed_all("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n");
	cr_expect(reply.keep_alive);
	/* Bytes that nobody asked for. */
	feed(BYTES("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP"), 100);
	cr_expect_not(reply.keep_alive);
}

Test(http_reply, two_framings_are_not_trusted_for_another_request)
{
	cr_expect_eq(
		feed_all("HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n"
			 "\r\n0\r\n\r\n"),
		1);
	cr_expect_not(reply.keep_alive);
}

Test(http_reply, equal_lengths_are_one_and_different_ones_an_error)
{
	cr_expect_eq(
		feed_all("HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\nContent-Length: 1\r\n\r\nx"),
		1);
	cr_expect_eq(feed_all("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx"),
		     -EPROTO);
	cr_expect_eq(feed_all("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), -EPROTO);
	cr_expect_eq(feed_all("HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n"), -EPROTO);
	cr_expect_eq(feed_all("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"),
		     -EPROTO);
}

Test(http_reply, bare_line_feeds_and_folded_lines_do_no_harm)
{
	cr_expect_eq(feed_all("HTTP/1.1 200 OK\nX: a\n b: c\n\tcontent-length: 9\nContent-Length: "
			      "2\n\nok"),
		     1);
	cr_expect(body_is("ok"));
}

Test(http_reply, retry_after_is_kept_as_text)
{
	feed_all("HTTP/1.1 503 X\r\nRetry-After:  Sun, 06 Nov 1994 08:49:37 GMT "
		 "\r\nContent-Length: 0\r\n\r\n");
	cr_expect_str_eq(reply.retry_after, "Sun, 06 Nov 1994 08:49:37 GMT");
	feed_all("HTTP/1.1 503 X\r\nRetry-After: "
		 "0000000000000000000000000000000000000000000000000000000001\r\n\r\n");
	cr_expect_str_eq(reply.retry_after, "");
}

Test(http_reply, what_is_not_http_is_found_out_at_the_first_bytes)
{
	cr_expect_eq(feed_all("\x15\x03\x01"), -EPROTO);
	cr_expect_eq(feed_all("SSH-2.0"), -EPROTO);
	cr_expect_eq(feed_all("HTTP/2"), -EPROTO);
	cr_expect_eq(feed_all("\r\n"), -EPROTO);
	cr_expect_eq(feed_all("HTTP/1.1 2x0 OK\r\n"), -EPROTO);
	cr_expect_eq(feed_all("HTTP/1.1 099 OK\r\n"), -EPROTO);
	cr_expect_eq(feed_all("HTTP/1.1 2000 OK\r\n"), -EPROTO);
	cr_expect_eq(feed_all("HTTP/1.1 20\r\n"), -EPROTO);
	cr_expect_eq(feed_all("HTTP/1.1 101 Switching Protocols\r\n"), -EPROTO);
}

Test(http_reply, bad_chunks_are_an_error)
{
	static const char *const bad[] = { "\r\n",    "g\r\n",   " \r\n",       "-1\r\n",
					   "0x1\r\n", "1 2\r\n", "2\r\nabc\r\n" };
	char text[200];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text),
			 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s", bad[i]);
		cr_expect_eq(feed_all(text), -EPROTO, "%s", bad[i]);
	}
	cr_expect_eq(feed_all("HTTP/1.1 200 OK\r\nTransfer-Encoding: "
			      "chunked\r\n\r\nffffffffffffffff\r\n"),
		     -EFBIG);
}

Test(http_reply, past_the_limits_it_gives_up)
{
	static char big[HTTP_REPLY_HEAD_MAX + 100];
	static const char head[] = "HTTP/1.1 200 OK\r\nX: ";
	struct bytes b = { big, sizeof(big) };
	char line[100];

	memset(big, 'a', sizeof(big));
	memcpy(big, head, sizeof(head) - 1);
	cr_expect_eq(feed(b, 4096), -EFBIG);
	for (size_t i = sizeof(head); i < sizeof(big); i += 20)
		big[i] = '\n';
	cr_expect_eq(feed(b, 4096), -EFBIG);
	snprintf(line, sizeof(line), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n",
		 HTTP_REPLY_BODY_MAX + 1);
	cr_expect_eq(feed_all(line), -EFBIG);
	snprintf(line, sizeof(line), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n",
		 HTTP_REPLY_BODY_MAX);
	cr_expect_eq(feed_all(line), 0);
}

Test(http_reply, a_body_of_the_limit_is_kept_whole_and_one_byte_more_is_not)
{
	static char body[65536];
	int result;

	memset(body, 'b', sizeof(body));
	http_reply_init(&reply, room);
	cr_expect_eq(http_reply_feed(&reply, BYTES("HTTP/1.1 200 OK\r\n\r\n")), 0);
	for (size_t n = 0; n < HTTP_REPLY_BODY_MAX; n += sizeof(body))
		cr_assert_eq(http_reply_feed(&reply, (struct bytes){ body, sizeof(body) }), 0);
	result = http_reply_feed(&reply, BYTES("x"));
	cr_expect_eq(result, -EFBIG);
	cr_expect_eq(reply.body.n, HTTP_REPLY_BODY_MAX);
}

Test(http_reply, an_end_after_the_head_leaves_the_status)
{
	feed_all("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
	cr_expect_eq(http_reply_end(&reply), 1);
	cr_expect_eq(reply.status, 200);
	cr_expect_eq(reply.body.n, 0, "half a message is none");
	feed_all("HTTP/1.1 200 OK\r\nContent-Le");
	cr_expect_eq(http_reply_end(&reply), -ECONNRESET);
	feed_all("");
	cr_expect_eq(http_reply_end(&reply), -ECONNRESET);
	feed_all("HTTP/1.1 100 Continue\r\n\r\n");
	cr_expect_eq(http_reply_end(&reply), -ECONNRESET);
}

Test(http_reply, long_lines_are_read_over)
{
	static char text[8192] = "HTTP/1.1 200 OK\r\nX-Long: ";
	size_t n = strlen(text);

	memset(text + n, 'x', 6000);
	strcpy(text + n + 6000, "\r\nContent-Length: 2\r\n\r\nok");
	cr_expect_eq(feed_all(text), 1);
	cr_expect(body_is("ok"));
}

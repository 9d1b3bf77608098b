/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include "guard.h"
#include "shim/wire/http1.h"

struct sample {
	const char *text;
	bool request;
	unsigned headers;
	const char *method, *target; /* of a request */
	unsigned status;
	unsigned minor;
	bool bare_lf;
};

#define REQUEST(text, n, method, target)                   \
	{                                                  \
		text, true, n, method, target, 0, 1, false \
	}
#define RESPONSE(text, n, status)                            \
	{                                                    \
		text, false, n, NULL, NULL, status, 1, false \
	}

static const struct sample samples[] = {
	REQUEST("GET / HTTP/1.1\r\n\r\n", 0, "GET", "/"),
	REQUEST("GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n", 1, "GET", "/a?b=c"),
	REQUEST("GET http://h:80/a HTTP/1.1\r\nHost: h\r\n\r\n", 1, "GET", "http://h:80/a"),
	REQUEST("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", 1, "CONNECT", "h:443"),
	REQUEST("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 1, "OPTIONS", "*"),
	REQUEST("M-SEARCH * HTTP/1.1\r\nMX: 1\r\n\r\n", 1, "M-SEARCH", "*"),
	REQUEST("get /\xc3\xa4\"<>` HTTP/1.1\r\nA:b\r\n\r\n", 1, "get", "/\xc3\xa4\"<>`"),
	REQUEST("AbcdefghijklmnopqrstuvwX /method-of-24 HTTP/1.1\r\n\r\n", 0,
		"AbcdefghijklmnopqrstuvwX", "/method-of-24"),
	REQUEST("\r\n\n\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n", 1, "GET", "/"),
	REQUEST("GET / HTTP/1.1\r\nA: one\r\n two\r\n\tthree\r\nB:\r\n\r\n", 2, "GET", "/"),
	REQUEST("GET / HTTP/1.1\r\nX_y.z!#$%&'*+^`|~: odd but a token\r\n\r\n", 1, "GET", "/"),
	{ "GET /old HTTP/1.0\r\n\r\n", true, 0, "GET", "/old", 0, 0, false },
	{ "GET / HTTP/1.1\nHost: x\n\n", true, 1, "GET", "/", 0, 1, true },
	{ "GET / HTTP/1.1\n\n", true, 0, "GET", "/", 0, 1, true },
	RESPONSE("HTTP/1.1 200 OK\r\nA: b\r\n\r\n", 1, 200),
	RESPONSE("HTTP/1.1 200 \r\nA: b\r\n\r\n", 1, 200),
	RESPONSE("HTTP/1.1 200\r\nA: b\r\n\r\n", 1, 200),
	RESPONSE("HTTP/1.1 404 Nicht \xe4 gefunden\tda\r\n\r\n", 0, 404),
	RESPONSE("HTTP/1.1 999 Request denied\r\n\r\n", 0, 999),
	RESPONSE("HTTP/1.1 100 Continue\r\n\r\n", 0, 100),
	{ "HTTP/1.0 200 OK\nA: b\n\n", false, 1, NULL, NULL, 200, 0, true },
	{ "HTTP/1.0 200 OK\r\nA: from a script\n\n", false, 1, NULL, NULL, 200, 0, true },
};
#define EACH_SAMPLE(s)                                    \
	const struct sample *s = samples;                 \
	s < samples + sizeof(samples) / sizeof(*samples); \
	s++

static ssize_t parse(bool request, struct http1_head *head, struct bytes in, size_t seen)
{
	return request ? http1_parse_request(head, in, seen) : http1_parse_response(head, in, seen);
}

static void expect_sample(const struct sample *s, const struct http1_head *head, struct bytes in)
{
	size_t n = strlen(s->text), blank = n - (in.p[n - 2] == '\r' ? 2 : 1);

	cr_expect_eq(head->request, s->request);
	cr_expect_eq(head->length, n, "%s", s->text);
	cr_expect_eq(head->blank, blank, "%s: %zu", s->text, head->blank);
	cr_expect_eq(head->header_count, s->headers, "%s: %u", s->text, head->header_count);
	cr_expect_eq(head->minor, s->minor);
	cr_expect_eq(head->status, s->status, "%s", s->text);
	cr_expect_eq(head->bare_lf, s->bare_lf, "%s", s->text);
	cr_expect_not(head->framing_bad, "%s", s->text);
	if (!s->request)
		return;
	cr_expect(bytes_equal(head->method, bytes_of(s->method)), "%s", s->text);
	cr_expect(bytes_equal(head->target, bytes_of(s->target)), "%s", s->text);
	cr_expect(head->target.p > in.p && head->target.p < in.p + n);
}

Test(http1_head, reads_every_start_line_and_counts_the_headers)
{
	for (EACH_SAMPLE(s)) {
		struct bytes in = guard_copy(s->text, strlen(s->text));
		struct http1_head head;

		cr_assert_eq(parse(s->request, &head, in, 0), (ssize_t)in.n, "%s", s->text);
		expect_sample(s, &head, in);
		guard_free(in);
	}
}

Test(http1_head, asks_for_more_at_every_cut)
{
	struct http1_head head;

	for (EACH_SAMPLE(s)) {
		for (size_t n = 0; n < strlen(s->text); n++) {
			struct bytes in = guard_copy(s->text, n);

			for (size_t seen = 0; seen <= n; seen++)
				cr_assert_eq(parse(s->request, &head, in, seen), HTTP1_MORE,
					     "%s cut at %zu, %zu seen", s->text, n, seen);
			guard_free(in);
		}
	}
}

Test(http1_head, gives_the_same_answer_whatever_was_seen_and_whatever_follows)
{
	char text[512];

	for (EACH_SAMPLE(s)) {
		size_t n = strlen(s->text);

		memcpy(text, s->text, n);
		memcpy(text + n, "\r\n\r\nGET", 7);
		for (size_t more = 0; more <= 7; more++) {
			struct bytes in = guard_copy(text, n + more);

			for (size_t seen = 0; seen < n; seen++) {
				struct http1_head head;

				cr_assert_eq(parse(s->request, &head, in, seen), (ssize_t)n);
				expect_sample(s, &head, in);
			}
			guard_free(in);
		}
	}
}

Test(http1_head, refuses_what_is_no_head)
{
	static const struct {
		const char *text;
		bool request;
	} bad[] = {
		{ "GET /\r\n\r\n", true }, /* HTTP/0.9 */
		{ "GET  / HTTP/1.1\r\n\r\n", true },
		{ "GET /  HTTP/1.1\r\n\r\n", true },
		{ "GET /a b HTTP/1.1\r\n\r\n", true },
		{ "GET\t/ HTTP/1.1\r\n\r\n", true },
		{ " GET / HTTP/1.1\r\n\r\n", true },
		{ "GET / HTTP/1.1 \r\n\r\n", true },
		{ "GET / HTTP/1.10\r\n\r\n", true },
		{ "GET / HTTP/2.0\r\n\r\n", true },
		{ "GET / HTTP/1.x\r\n\r\n", true },
		{ "GET / http/1.1\r\n\r\n", true },
		{ "GET / HTTP/1.1\rX\n\r\n", true },
		{ "GET /\r HTTP/1.1\r\n\r\n", true },
		{ "GET /\x7f HTTP/1.1\r\n\r\n", true },
		{ "GET /a-longer-target/with\x7f-in-it HTTP/1.1\r\n\r\n", true },
		{ "GET /a-longer-target/with\t-in-it HTTP/1.1\r\n\r\n", true },
		{ "G(T / HTTP/1.1\r\n\r\n", true },
		{ "-GET / HTTP/1.1\r\n\r\n", true },
		{ "/ HTTP/1.1\r\n\r\n", true },
		{ "AbcdefghijklmnopqrstuvwXY / HTTP/1.1\r\n\r\n", true },
		{ "HTTP/1.1 200 OK\r\n\r\n", true },
		{ "GET / HTTP/1.1\r\nno colon here\r\n\r\n", true },
		{ "GET / HTTP/1.1\r\n: no name\r\n\r\n", true },
		{ "GET / HTTP/1.1\r\n : no name\r\n\r\n", true },
		{ "GET / HTTP/1.1\r\n Host: continues the start line\r\n\r\n", true },
		{ "GET / HTTP/1.1\r\nHo\x01st: x\r\n\r\n", true },
		{ "GET / HTTP/1.1\r\n\rHost: x\r\n\r\n", true },
		{ "GET / HTTP/1.1\r\nA: b\r\n\r \r\n\r\n", true },
		{ "\r\rGET / HTTP/1.1\r\n\r\n", true },
		{ "HTTP/1.1 20 OK\r\n\r\n", false },
		{ "HTTP/1.1 2000 OK\r\n\r\n", false },
		{ "HTTP/1.1 099 OK\r\n\r\n", false },
		{ "HTTP/1.1  200 OK\r\n\r\n", false },
		{ "HTTP/1.1 200OK\r\n\r\n", false },
		{ "HTTP/1.1\r\n\r\n", false },
		{ "HTTP/1.1 2x0 OK\r\n\r\n", false },
		{ "HTTP/1.1 200 a\rb\r\n\r\n", false },
		{ "HTTP/2 200 OK\r\n\r\n", false },
		{ "HTTP/1 200 OK\r\n\r\n", false },
		{ "ICY 200 OK\r\n\r\n", false },
		{ "\r\nHTTP/1.1 200 OK\r\n\r\n", false },
		{ "GET / HTTP/1.1\r\n\r\n", false },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		size_t n = strlen(bad[i].text);
		struct bytes in = guard_copy(bad[i].text, n);
		struct http1_head head;

		cr_expect_eq(parse(bad[i].request, &head, in, 0), HTTP1_BAD, "%s", bad[i].text);
		cr_expect_eq(parse(bad[i].request, &head, in, n - 1), HTTP1_BAD, "%s", bad[i].text);
		guard_free(in);
		for (size_t cut = 1; cut < n; cut++) {
			in = guard_copy(bad[i].text, cut);
			cr_expect_leq(parse(bad[i].request, &head, in, cut - 1), 0);
			guard_free(in);
		}
	}
}

Test(http1_head, refuses_other_protocols_early_also_byte_by_byte)
{
	struct http1_head head;

	for (size_t n = 1; n <= 6; n++) {
		struct bytes hello = { "EHLO x\r\n", n }, banner = { "HTTP/2 200\r\n", n };

		cr_expect_eq(http1_parse_request(&head, hello, n - 1), HTTP1_MORE);
		cr_expect_eq(http1_parse_response(&head, banner, n - 1),
			     n < 6 ? HTTP1_MORE : HTTP1_BAD);
	}
	cr_expect_eq(http1_parse_request(&head, BYTES("EHLO x\r\n"), 7), HTTP1_BAD);
	cr_expect_eq(http1_parse_request(&head, BYTES("PING\r\nPING\r\nPING\r\nPING\r\nPING\r\n"),
					 29),
		     HTTP1_BAD);
	cr_expect_eq(http1_parse_response(&head, BYTES("220 mail\r\n"), 9), HTTP1_BAD);
}

Test(http1_head, refuses_nul_in_names_and_start_lines)
{
	struct bytes heads[] = { BYTES("GET /\0 HTTP/1.1\r\n\r\n"),
				 BYTES("G\0T / HTTP/1.1\r\n\r\n"),
				 BYTES("GET / HTTP/1.1\r\nA\0: b\r\n\r\n"),
				 BYTES("GET / HTTP/1.1\0\r\n\r\n") };
	struct bytes answer = BYTES("HTTP/1.1 200 O\0K\r\n\r\n");
	struct http1_head head;

	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
		cr_expect_eq(http1_parse_request(&head, heads[i], 0), HTTP1_BAD, "%zu", i);
	cr_expect_eq(http1_parse_response(&head, answer, 0), HTTP1_BAD);
}

/* "GET / HTTP/1.1\r\n", `count` short lines, and padding so that the whole has n bytes. */
static struct bytes build_head(char *text, size_t n, unsigned count)
{
	size_t at = (size_t)sprintf(text, "GET / HTTP/1.1\r\n");

	for (unsigned i = 1; i < count; i++)
		at += (size_t)sprintf(text + at, "A:\r\n");
	memset(text + at, 'x', n - at);
	text[at + 1] = ':';
	memcpy(text + n - 4, "\r\n\r\n", 4);
	return (struct bytes){ text, n };
}

Test(http1_head, has_a_ceiling_of_bytes_and_of_lines)
{
	static char text[HTTP1_HEAD_MAX + 100];
	struct http1_head head;
	struct bytes in;

	in = build_head(text, HTTP1_HEAD_MAX, 1);
	cr_expect_eq(http1_parse_request(&head, in, 0), HTTP1_HEAD_MAX);
	in.n--;
	cr_expect_eq(http1_parse_request(&head, in, 0), HTTP1_MORE);
	in = build_head(text, HTTP1_HEAD_MAX + 1, 1);
	cr_expect_eq(http1_parse_request(&head, in, 0), HTTP1_BAD);
	in.n--;
	cr_expect_eq(http1_parse_request(&head, in, 0), HTTP1_BAD);
	cr_expect_eq(http1_parse_request(&head, in, in.n - 1), HTTP1_BAD);

	in = build_head(text, 8000, HTTP1_HEADERS_MAX);
	cr_expect_eq(http1_parse_request(&head, in, 0), 8000);
	cr_expect_eq(head.header_count, HTTP1_HEADERS_MAX);
	in = build_head(text, 8000, HTTP1_HEADERS_MAX + 1);
	cr_expect_eq(http1_parse_request(&head, in, 0), HTTP1_BAD);
}

Test(http1_head, takes_a_few_empty_lines_before_a_request)
{
	char text[64] = "";
	struct http1_head head;

	for (unsigned lines = 0; lines < 12; lines++) {
		size_t at = 2 * lines;
		ssize_t expected = lines <= 8 ? (ssize_t)at + 18 : HTTP1_BAD;

		memset(text, '\r', at);
		for (size_t i = 1; i < at; i += 2)
			text[i] = '\n';
		strcpy(text + at, "GET / HTTP/1.1\r\n\r\n");
		cr_expect_eq(http1_parse_request(&head, bytes_of(text), 0), expected, "%u", lines);
	}
}

Test(http1_head, survives_a_large_head_byte_by_byte)
{
	static char text[HTTP1_HEAD_MAX];
	struct bytes in = build_head(text, HTTP1_HEAD_MAX, 300);
	struct http1_head head;

	for (size_t n = 1; n < in.n; n++)
		cr_assert_eq(http1_parse_request(&head, (struct bytes){ in.p, n }, n - 1),
			     HTTP1_MORE);
	cr_assert_eq(http1_parse_request(&head, in, in.n - 1), HTTP1_HEAD_MAX);
}

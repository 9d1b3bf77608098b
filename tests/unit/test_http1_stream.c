/* SPDX-License-Identifier: Apache-2.0 */
/* Whole streams: where messages end must not depend on how their bytes come. */
#include <criterion/criterion.h>
#include "guard.h"
#include "shim/wire/http1.h"

#define STREAM_MAX   200000
#define MESSAGES_MAX 1000

static uint64_t random_state = 0x9e3779b97f4a7c15;

static unsigned pick(unsigned n) /* xorshift: the same numbers in every run */
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)(random_state >> 33) % n;
}

#define CHUNKED_PUT "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_OK  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static const char *const requests[] = {
	"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"\r\nGET /after-an-empty-line HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /bare HTTP/1.1\nHost: a\nX: y\n\n",
	"POST / HTTP/1.1\r\nContent-Length: 20\r\n\r\nGET / HTTP/1.1\r\n\r\n..",
	"POST / HTTP/1.0\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n\r\n\r",
	CHUNKED_PUT "5;x=y\r\n\r\n0\r\n\r\n1\r\nz\r\n0\r\nA: b\r\nC: d\r\n\r\n",
	"DELETE /x HTTP/1.1\r\nA: one\r\n two\r\nContent-Length: 0\r\n\r\n",
};
static const char *const responses[] = {
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/",
	"HTTP/1.1 100\r\n\r\n",
	"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n",
	"HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\n\r\n",
	"HTTP/1.1 200 OK\nContent-Length: 3\n\n\n\n\n",
	CHUNKED_OK "a\r\n0123456789\r\n00\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\nT: u\r\n\r\n",
};

struct stream {
	bool request;
	char bytes[STREAM_MAX];
	size_t n;
	size_t ends[MESSAGES_MAX]; /* as built */
	unsigned count;
};

static void build(struct stream *s, bool request)
{
	s->request = request;
	s->n = 0;
	for (s->count = 0; s->count < MESSAGES_MAX; s->count++) {
		const char *text = request ? requests[pick(7)] : responses[pick(7)];

		memcpy(s->bytes + s->n, text, strlen(text));
		s->n += strlen(text);
		s->ends[s->count] = s->n;
	}
}

/* What a connection holds between reads. */
struct follower {
	bool in_body;
	struct http1_body body;
	size_t start, seen; /* of the head that is awaited, in the stream */
	unsigned count;
};

static size_t follow_head(struct follower *f, const struct stream *s, size_t at, size_t end)
{
	struct bytes in = { s->bytes + f->start, end - f->start };
	struct http1_head head;
	bool tunnel = false;
	ssize_t n = s->request ? http1_parse_request(&head, in, f->seen)
			       : http1_parse_response(&head, in, f->seen);

	cr_assert_neq(n, HTTP1_BAD);
	f->seen = in.n;
	if (n == HTTP1_MORE)
		return end;
	cr_assert_gt(f->start + (size_t)n, at, "the head was whole before");
	f->body = s->request ? http1_request_body(&head)
			     : http1_response_body(&head, BYTES("GET"), &tunnel);
	f->in_body = true;
	return f->start + (size_t)n;
}

/* Bytes [at, end) of the stream arrive. */
static void follow(struct follower *f, const struct stream *s, size_t at, size_t end)
{
	while (at < end || (f->in_body && f->body.state == BODY_DONE)) {
		if (!f->in_body) {
			at = follow_head(f, s, at, end);
			continue;
		}
		at += http1_body_feed(&f->body, (struct bytes){ s->bytes + at, end - at });
		cr_assert_neq(f->body.state, BODY_BAD);
		if (f->body.state != BODY_DONE)
			continue;
		cr_assert_lt(f->count, s->count);
		cr_assert_eq(at, s->ends[f->count], "message %u", f->count);
		*f = (struct follower){ .start = at, .count = f->count + 1 };
	}
}

static void expect_same_ends(const struct stream *s, unsigned largest)
{
	struct follower f = { 0 };
	size_t n;

	for (size_t at = 0; at < s->n; at += n) {
		n = 1 + pick(largest);
		if (n > s->n - at)
			n = s->n - at;
		follow(&f, s, at, at + n);
	}
	cr_assert_eq(f.count, s->count);
}

static struct stream stream;

static void expect_same_ends_in_all_pieces(bool request)
{
	static const unsigned largest[] = { 1, 2, 3, 7, 20, 60, 200, 1000, 20000, STREAM_MAX };

	for (unsigned round = 0; round < 5; round++) {
		build(&stream, request);
		for (unsigned i = 0; i < sizeof(largest) / sizeof(*largest); i++)
			expect_same_ends(&stream, largest[i]);
	}
}

Test(http1_stream, ends_pipelined_requests_at_the_same_bytes_in_any_pieces)
{
	expect_same_ends_in_all_pieces(true);
}

Test(http1_stream, ends_responses_at_the_same_bytes_in_any_pieces)
{
	expect_same_ends_in_all_pieces(false);
}

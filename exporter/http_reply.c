/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/http_reply.h"

#include <errno.h>

void http_reply_init(struct http_reply *r, char *body_room)
{
	memset(r, 0, offsetof(struct http_reply, line));
	r->line_n = 0;
	r->line_cut = false;
	r->body.p = body_room;
}

/* "HTTP/1.1 200 OK": RFC 9112 section 4. The reason, and the space before it, may be missing. */
static int read_status_line(struct http_reply *r, struct bytes line)
{
	int status = 0;

	if (line.n < 12 || memcmp(line.p, "HTTP/1.", 7) != 0 || line.p[8] != ' ' ||
	    (line.n > 12 && line.p[12] != ' '))
		return -EPROTO;
	for (size_t i = 9; i < 12; i++) {
		if (line.p[i] < '0' || line.p[i] > '9')
			return -EPROTO;
		status = status * 10 + (line.p[i] - '0');
	}
	if (status < 100 || status == 101) /* nobody asked for another protocol */
		return -EPROTO;
	r->version_1_0 = line.p[7] == '0';
	r->keep_alive = !r->version_1_0;
	r->line_status = status;
	r->chunked = r->other_coding = r->has_length = r->encoded = false;
	r->retry_after[0] = '\0';
	r->state = REPLY_AWAIT_HEADER;
	return 0;
}

static void read_connection(struct http_reply *r, struct bytes value)
{
	while (value.p) {
		struct bytes token = bytes_trim(bytes_split(&value, ','));

		if (bytes_equal_nocase(token, BYTES("close")))
			r->keep_alive = false;
		else if (r->version_1_0 && bytes_equal_nocase(token, BYTES("keep-alive")))
			r->keep_alive = true;
	}
}

/* The framing is chunked only if that is the last coding (RFC 9112 section 6.3). */
static void read_transfer_encoding(struct http_reply *r, struct bytes value)
{
	while (value.p) {
		struct bytes token = bytes_trim(bytes_split(&value, ','));

		if (token.n == 0)
			continue;
		r->chunked = bytes_equal_nocase(token, BYTES("chunked"));
		if (!r->chunked)
			r->other_coding = true;
	}
}

/* Several equal lengths are one (RFC 9112 section 6.3); different ones are an attack or a bug. */
static int read_length(struct http_reply *r, struct bytes value)
{
	uint64_t n;

	while (value.p) {
		if (bytes_to_u64(bytes_trim(bytes_split(&value, ',')), &n))
			return -EPROTO;
		if (r->has_length && n != r->length)
			return -EPROTO;
		r->has_length = true;
		r->length = n;
	}
	return 0;
}

static int read_header(struct http_reply *r, struct bytes line)
{
	struct bytes value = line, name = bytes_split(&value, ':');

	/* A folded line continues a value: none that we look at is ever folded. */
	if (line.p[0] == ' ' || line.p[0] == '\t' || !value.p)
		return 0;
	value = bytes_trim(value);
	if (bytes_equal_nocase(name, BYTES("connection")))
		read_connection(r, value);
	else if (bytes_equal_nocase(name, BYTES("content-length")))
		return r->line_cut ? -EPROTO : read_length(r, value);
	else if (bytes_equal_nocase(name, BYTES("transfer-encoding")))
		read_transfer_encoding(r, value);
	else if (bytes_equal_nocase(name, BYTES("content-encoding")))
		r->encoded = !bytes_equal_nocase(value, BYTES("identity"));
	else if (bytes_equal_nocase(name, BYTES("retry-after")) &&
		 value.n < sizeof(r->retry_after)) {
		memcpy(r->retry_after, value.p, value.n);
		r->retry_after[value.n] = '\0';
	}
	return 0;
}

/* The blank line: how the body is framed. */
static int end_head(struct http_reply *r)
{
	if (r->line_status <
	    200) { /* 100 Continue, 103 Early Hints: the response is still to come */
		r->state = REPLY_AWAIT_STATUS_LINE;
		return 0;
	}
	r->status = r->line_status;
	r->left = 0;
	if (r->status == 204 || r->status == 304) {
		r->state = REPLY_DONE;
	} else if (r->chunked) {
		r->state = REPLY_AWAIT_CHUNK_SIZE;
		if (r->has_length) /* both: somebody on the way may have seen the other end */
			r->keep_alive = false;
	} else if (r->other_coding || !r->has_length) {
		r->state = REPLY_AWAIT_CLOSE;
		r->keep_alive = false;
	} else {
		r->left = r->length;
		r->state = r->left ? REPLY_AWAIT_LENGTH : REPLY_DONE;
		if (r->left > HTTP_REPLY_BODY_MAX)
			return -EFBIG;
	}
	if (r->other_coding)
		r->encoded = true;
	return 0;
}

/* "1a", perhaps with an extension behind a semicolon. */
static int read_chunk_size(struct http_reply *r, struct bytes line)
{
	struct bytes extension = line, digits = bytes_trim(bytes_split(&extension, ';'));
	uint64_t n = 0;

	if (digits.n == 0)
		return -EPROTO;
	for (size_t i = 0; i < digits.n; i++) {
		char c = ascii_lower(digits.p[i]);
		unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
							: 16;

		if (digit > 15)
			return -EPROTO;
		n = n << 4 | digit;
		if (n > HTTP_REPLY_BODY_MAX)
			return -EFBIG;
	}
	r->left = n;
	r->state = n ? REPLY_AWAIT_CHUNK_DATA : REPLY_AWAIT_TRAILER;
	return 0;
}

static int read_line(struct http_reply *r)
{
	struct bytes line = { r->line, r->line_n };

	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	switch (r->state) {
	case REPLY_AWAIT_STATUS_LINE:
		return read_status_line(r, line);
	case REPLY_AWAIT_HEADER:
		return line.n ? read_header(r, line) : end_head(r);
	case REPLY_AWAIT_CHUNK_SIZE:
		return read_chunk_size(r, line);
	case REPLY_AWAIT_CHUNK_END:
		r->state = REPLY_AWAIT_CHUNK_SIZE;
		return line.n ? -EPROTO : 0;
	default: /* trailer */
		if (!line.n)
			r->state = REPLY_DONE;
		return 0;
	}
}

/* What cannot be the start of a status line is found out at once: a TLS server's alert has no line
 * end, and waiting for one would cost the whole timeout. */
static bool is_foreign(const struct http_reply *r)
{
	static const char start[] = "HTTP/1.";
	size_t n = r->line_n < sizeof(start) - 1 ? r->line_n : sizeof(start) - 1;

	return r->state == REPLY_AWAIT_STATUS_LINE && memcmp(r->line, start, n) != 0;
}

/* Gathers one line; *in moves past what was taken. */
static int feed_line(struct http_reply *r, struct bytes *in)
{
	const char *end = memchr(in->p, '\n', in->n);
	size_t n = end ? (size_t)(end - in->p) : in->n;
	size_t fits = sizeof(r->line) - r->line_n;
	int err;

	r->head_n += n + 1;
	if (r->head_n > HTTP_REPLY_HEAD_MAX)
		return -EFBIG;
	if (n > fits)
		r->line_cut = true;
	memcpy(r->line + r->line_n, in->p, n < fits ? n : fits);
	r->line_n += n < fits ? n : fits;
	*in = (struct bytes){ in->p + n + !!end, in->n - n - !!end };
	if (is_foreign(r))
		return -EPROTO;
	if (!end)
		return 0;
	err = read_line(r);
	r->line_n = 0;
	r->line_cut = false;
	return err;
}

static int feed_body(struct http_reply *r, struct bytes *in)
{
	size_t n = in->n;

	if (r->state != REPLY_AWAIT_CLOSE && n > r->left)
		n = r->left;
	if (n > HTTP_REPLY_BODY_MAX - r->body.n)
		return -EFBIG;
	memcpy((char *)r->body.p + r->body.n, in->p, n);
	r->body.n += n;
	*in = (struct bytes){ in->p + n, in->n - n };
	if (r->state == REPLY_AWAIT_CLOSE)
		return 0;
	r->left -= n;
	if (r->left == 0)
		r->state = r->state == REPLY_AWAIT_LENGTH ? REPLY_DONE : REPLY_AWAIT_CHUNK_END;
	return 0;
}

int http_reply_feed(struct http_reply *r, struct bytes in)
{
	int err = 0;

	while (!err && in.n && r->state != REPLY_DONE) {
		r->any = true;
		if (r->state == REPLY_AWAIT_LENGTH || r->state == REPLY_AWAIT_CLOSE ||
		    r->state == REPLY_AWAIT_CHUNK_DATA)
			err = feed_body(r, &in);
		else
			err = feed_line(r, &in);
	}
	if (err)
		return err;
	if (r->state == REPLY_DONE && in.n)
		r->keep_alive = false;
	return r->state == REPLY_DONE;
}

int http_reply_end(struct http_reply *r)
{
	bool whole = r->state == REPLY_AWAIT_CLOSE || r->state == REPLY_DONE;

	r->keep_alive = false;
	if (!r->status)
		return -ECONNRESET;
	if (!whole)
		r->body.n = 0;
	return 1;
}

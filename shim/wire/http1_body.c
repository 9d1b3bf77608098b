/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies as they pass: RFC 9112 sections 6 and 7.1. */
#include "shim/wire/http1.h"
#include "shim/wire/http1_scan.h"

/* Wire code: bytes in, views out. No allocation, no globals, no I/O, no system call; nothing reads
 * past in.n; every loop ends at a named ceiling or at the end of the bytes. */
#define malloc           wire_code_must_not_allocate

#define CHUNK_DIGITS_MAX 16 /* leading zeros count */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Payload: up to `remaining` bytes of n. */
static size_t skip_payload(struct http1_body *body, uint64_t n, enum http1_body_state after)
{
	if (n > body->remaining)
		n = body->remaining;
	body->remaining -= n;
	body->size += n;
	if (body->remaining == 0)
		body->state = after;
	return (size_t)n;
}

static enum http1_body_state after_size_digit(struct http1_body *body, int digit)
{
	if (body->digits == CHUNK_DIGITS_MAX || body->remaining > INT64_MAX >> 4)
		return BODY_BAD;
	body->remaining = body->remaining << 4 | (unsigned)digit;
	body->digits++;
	return BODY_AWAIT_CHUNK_SIZE;
}

static enum http1_body_state after_size(struct http1_body *body, char c)
{
	int digit = hex_digit(c);

	if (digit >= 0)
		return after_size_digit(body, digit);
	if (body->digits == 0)
		return BODY_BAD;
	if (c == '\r')
		return BODY_AWAIT_CHUNK_SIZE_LF;
	if (c == ';')
		return BODY_IN_CHUNK_EXTENSION;
	/* RFC 9112 section 7.1.1 allows white space before an extension; some servers pad with it.
	 */
	return is_blank(c) ? BODY_AWAIT_CHUNK_EXTENSION : BODY_BAD;
}

/* The line of a size ended: payload, or the trailers when the size was 0. */
static enum http1_body_state after_size_line(struct http1_body *body)
{
	body->digits = 0;
	body->trailer = 0;
	return body->remaining ? BODY_CHUNK_DATA : BODY_AWAIT_TRAILER;
}

/* What one byte of chunk framing leads to. A bare LF is never taken for a line end here: of those
 * who take it some look for it in extensions and some do not, and servers in use never send it. */
static enum http1_body_state after_byte(struct http1_body *body, char c)
{
	switch (body->state) {
	case BODY_AWAIT_CHUNK_SIZE:
		return after_size(body, c);
	case BODY_AWAIT_CHUNK_EXTENSION:
		if (c == '\r')
			return BODY_AWAIT_CHUNK_SIZE_LF;
		if (c == ';')
			return BODY_IN_CHUNK_EXTENSION;
		return is_blank(c) ? BODY_AWAIT_CHUNK_EXTENSION : BODY_BAD;
	case BODY_IN_CHUNK_EXTENSION:
		return c == '\r' ? BODY_AWAIT_CHUNK_SIZE_LF : BODY_BAD;
	case BODY_AWAIT_CHUNK_SIZE_LF:
		return c == '\n' ? after_size_line(body) : BODY_BAD;
	case BODY_AWAIT_CHUNK_CR:
		return c == '\r' ? BODY_AWAIT_CHUNK_LF : BODY_BAD;
	case BODY_AWAIT_CHUNK_LF:
		return c == '\n' ? BODY_AWAIT_CHUNK_SIZE : BODY_BAD;
	case BODY_AWAIT_TRAILER:
		if (c == '\r')
			return BODY_END_LF;
		return is_token_char((uint8_t)c) ? BODY_IN_TRAILER : BODY_BAD;
	case BODY_IN_TRAILER:
		return c == '\r' ? BODY_TRAILER_LF : BODY_BAD;
	case BODY_TRAILER_LF:
		return c == '\n' ? BODY_AWAIT_TRAILER : BODY_BAD;
	case BODY_END_LF:
		return c == '\n' ? BODY_DONE : BODY_BAD;
	default:
		return BODY_BAD;
	}
}

/* Text of an extension or a trailer before the control character that ends it. */
static size_t skip_text(struct http1_body *body, struct bytes in)
{
	size_t n = (size_t)(scan_value(in.p, in.p + in.n) - in.p);

	if (n > HTTP1_HEAD_MAX - body->trailer) {
		body->state = BODY_BAD;
		return HTTP1_HEAD_MAX - body->trailer;
	}
	body->trailer += (uint32_t)n;
	return n;
}

/* One step: some payload, some text, or one byte of framing. */
static size_t take(struct http1_body *body, struct bytes in)
{
	size_t n = 0;

	switch (body->state) {
	case BODY_LENGTH:
		return skip_payload(body, in.n, BODY_DONE);
	case BODY_CHUNK_DATA:
		return skip_payload(body, in.n, BODY_AWAIT_CHUNK_CR);
	case BODY_UNTIL_CLOSE:
		body->size += in.n;
		return in.n;
	case BODY_IN_CHUNK_EXTENSION:
	case BODY_IN_TRAILER:
		n = skip_text(body, in);
		if (n == in.n || body->state == BODY_BAD)
			return n;
		break;
	case BODY_AWAIT_CHUNK_EXTENSION:
	case BODY_AWAIT_TRAILER:
		if (body->trailer++ == HTTP1_HEAD_MAX) {
			body->state = BODY_BAD;
			return 0;
		}
		break;
	default:
		break;
	}
	body->state = after_byte(body, in.p[n]);
	return body->state == BODY_BAD ? n : n + 1;
}

size_t http1_body_feed(struct http1_body *body, struct bytes in)
{
	size_t used = 0;

	while (used < in.n && body->state != BODY_DONE && body->state != BODY_BAD)
		used += take(body, (struct bytes){ in.p + used, in.n - used });
	return used;
}

bool http1_body_skip(struct http1_body *body, uint64_t n)
{
	bool payload = body->state == BODY_LENGTH || body->state == BODY_CHUNK_DATA;

	if (n == 0)
		return true;
	if (body->state == BODY_UNTIL_CLOSE) {
		body->size += n;
		return true;
	}
	if (!payload || n > body->remaining)
		return false;
	skip_payload(body, n, body->state == BODY_LENGTH ? BODY_DONE : BODY_AWAIT_CHUNK_CR);
	return true;
}

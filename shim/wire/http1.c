/* SPDX-License-Identifier: Apache-2.0 */
/* Heads as a whole: how they are found in bytes that come in pieces. */
#include "shim/wire/http1.h"
#include "shim/wire/http1_scan.h"

/* Wire code: bytes in, views out. No allocation, no globals, no I/O, no system call; nothing reads
 * past in.n; every loop ends at a named ceiling or at the end of the bytes. */
#define malloc wire_code_must_not_allocate

/* Is the blank line in `in`, which was not in its first `seen` bytes? The line end before it may
 * have been among them, and its own CR. */
static bool has_blank_line(struct bytes in, size_t seen)
{
	const char *p = in.p + (seen > 2 ? seen - 2 : 0), *end = in.p + in.n;

	while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
		p++;
		if (p < end && *p == '\n')
			return true;
		if (end - p >= 2 && p[0] == '\r' && p[1] == '\n')
			return true;
	}
	return false;
}

static ssize_t read_start_line(struct http1_head *head, struct bytes in, bool request)
{
	return request ? http1_read_request_line(head, in) : http1_read_status_line(head, in);
}

/* The first bytes again, a bounded number: what is no HTTP at all is told before the ceiling. */
static ssize_t recheck(struct bytes in, bool request)
{
	struct http1_head head;

	if (in.n > HTTP1_METHOD_MAX + 1)
		in.n = HTTP1_METHOD_MAX + 1;
	return read_start_line(&head, in, request) == HTTP1_BAD ? HTTP1_BAD : HTTP1_MORE;
}

/* `in` is at most HTTP1_HEAD_MAX bytes. */
static ssize_t parse(struct http1_head *head, struct bytes in, size_t seen, bool request)
{
	ssize_t at = request ? http1_skip_empty_lines(in) : 0, n;
	struct bytes rest;

	if (at < 0)
		return HTTP1_BAD;
	rest = (struct bytes){ in.p + at, in.n - (size_t)at };
	if (rest.n == 0 || (request && rest.n == 1 && rest.p[0] == '\r'))
		return HTTP1_MORE;
	if (seen > (size_t)at) {
		if (seen > in.n || !has_blank_line(rest, seen - (size_t)at))
			return recheck(rest, request);
	}
	/* In place: a copy of it would cost as much as a few header lines. */
	*head = (struct http1_head){ 0 };
	n = read_start_line(head, rest, request);
	return n > 0 ? http1_read_fields(head, in, (size_t)(at + n)) : n;
}

static ssize_t parse_bounded(struct http1_head *head, struct bytes in, size_t seen, bool request)
{
	ssize_t n;

	if (in.n < HTTP1_HEAD_MAX)
		return parse(head, in, seen, request);
	in.n = HTTP1_HEAD_MAX;
	n = parse(head, in, seen, request);
	return n == HTTP1_MORE ? HTTP1_BAD : n;
}

ssize_t http1_parse_request(struct http1_head *head, struct bytes in, size_t seen)
{
	return parse_bounded(head, in, seen, true);
}

ssize_t http1_parse_response(struct http1_head *head, struct bytes in, size_t seen)
{
	return parse_bounded(head, in, seen, false);
}

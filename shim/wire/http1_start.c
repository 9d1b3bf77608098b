/* SPDX-License-Identifier: Apache-2.0 */
/* Start lines (RFC 9112 sections 3 and 4) and what a stream looks like by its first bytes. */
#include "shim/wire/http1.h"
#include "shim/wire/http1_scan.h"

/* Wire code: bytes in, views out. No allocation, no globals, no I/O, no system call; nothing reads
 * past in.n; every loop ends at a named ceiling or at the end of the bytes. */
#define malloc wire_code_must_not_allocate

/* Like the parsers: the length of `literal` when `in` starts with it, HTTP1_MORE when it still may.
 */
static inline ssize_t match(struct bytes in, struct bytes literal)
{
	if (in.n >= literal.n) /* of a length that the compiler knows */
		return memcmp(in.p, literal.p, literal.n) == 0 ? (ssize_t)literal.n : HTTP1_BAD;
	return memcmp(in.p, literal.p, in.n) == 0 ? HTTP1_MORE : HTTP1_BAD;
}

/* "HTTP/1." and a digit. */
static ssize_t match_version(struct bytes in, uint8_t *minor)
{
	ssize_t n = match(in, BYTES("HTTP/1."));
	uint8_t digit;

	if (n <= 0)
		return n;
	if ((size_t)n == in.n)
		return HTTP1_MORE;
	digit = (uint8_t)(in.p[n] - '0');
	if (digit > 9)
		return HTTP1_BAD;
	*minor = digit;
	return n + 1;
}

/* CRLF or a bare LF at p: the offset after it from `start`. */
static ssize_t match_line_end(const char *start, const char *p, const char *end)
{
	if (p < end && *p == '\r')
		p++;
	if (p == end)
		return HTTP1_MORE;
	return *p == '\n' ? p + 1 - start : HTTP1_BAD;
}

ssize_t http1_skip_empty_lines(struct bytes in)
{
	size_t at = 0;

	for (unsigned lines = 0; lines <= HTTP1_EMPTY_LINES_MAX; lines++) {
		if (at < in.n && in.p[at] == '\n')
			at++;
		else if (in.n - at >= 2 && in.p[at] == '\r' && in.p[at + 1] == '\n')
			at += 2;
		else
			return (ssize_t)at;
	}
	return HTTP1_BAD;
}

/* method SP. A method is a token of any letters; one that starts otherwise is some other protocol.
 */
static ssize_t read_method(struct bytes *method, struct bytes in)
{
	size_t n = 0;

	if (in.n && (uint8_t)((in.p[0] | 0x20) - 'a') >= 26)
		return HTTP1_BAD;
	while (n < in.n && n <= HTTP1_METHOD_MAX && is_token_char((uint8_t)in.p[n]))
		n++;
	if (n > HTTP1_METHOD_MAX)
		return HTTP1_BAD;
	if (n == in.n)
		return HTTP1_MORE;
	*method = (struct bytes){ in.p, n };
	return in.p[n] == ' ' ? (ssize_t)n + 1 : HTTP1_BAD;
}

/* One SP between the parts and none inside the target: receivers that take more disagree about
 * where the target ends. Which of the four forms it has is not looked at. */
ssize_t http1_read_request_line(struct http1_head *head, struct bytes in)
{
	const char *end = in.p + in.n, *target, *p;
	ssize_t n = read_method(&head->method, in);

	if (n <= 0)
		return n;
	target = in.p + n;
	p = scan_target(target, end);
	if (p == end)
		return HTTP1_MORE;
	if (*p != ' ' || p == target)
		return HTTP1_BAD;
	head->target = (struct bytes){ target, (size_t)(p - target) };
	p++;
	n = match_version((struct bytes){ p, (size_t)(end - p) }, &head->minor);
	if (n <= 0)
		return n;
	head->request = true;
	return match_line_end(in.p, p + n, end);
}

/* Three digits, then SP and a reason, or nothing: some servers leave the SP out with the reason. */
ssize_t http1_read_status_line(struct http1_head *head, struct bytes in)
{
	const char *end = in.p + in.n, *p;
	ssize_t n = match_version(in, &head->minor);
	unsigned status = 0;

	if (n <= 0)
		return n;
	p = in.p + n;
	if (p == end)
		return HTTP1_MORE;
	if (*p++ != ' ')
		return HTTP1_BAD;
	for (unsigned i = 0; i < 3; i++, p++) {
		if (p == end)
			return HTTP1_MORE;
		if (*p < (i == 0 ? '1' : '0') || *p > '9')
			return HTTP1_BAD;
		status = status * 10 + (unsigned)(*p - '0');
	}
	head->status = (uint16_t)status;
	if (p < end && *p == ' ') {
		p = scan_value(p, end);
		/* A reason may hold anything but what ends lines for somebody. */
		while (p < end && *p != '\r' && *p != '\n' && *p != '\0')
			p = scan_value(p + 1, end);
	}
	return match_line_end(in.p, p, end);
}

/* "HTTP/1.x " is enough: no other protocol starts so, and a method has no slash. */
static int sniff_response(struct bytes in)
{
	uint8_t minor;
	ssize_t n = match_version(in, &minor);

	if (n <= 0)
		return (int)n;
	if ((size_t)n == in.n)
		return HTTP1_MORE;
	return in.p[n] == ' ' ? HTTP1_START_RESPONSE : HTTP1_BAD;
}

uint16_t http1_peek_status(struct bytes in)
{
	uint8_t minor;
	ssize_t n = match_version(in, &minor);
	unsigned status = 0;

	if (n <= 0 || in.n < (size_t)n + 4 || in.p[n] != ' ')
		return 0;
	for (ssize_t i = n + 1; i < n + 4; i++) {
		if (in.p[i] < '0' || in.p[i] > '9')
			return 0;
		status = status * 10 + (unsigned)(in.p[i] - '0');
	}
	return status >= 200 || status == 101 ? (uint16_t)status : 0;
}

static int sniff_request(struct bytes in)
{
	ssize_t at = http1_skip_empty_lines(in), n;
	struct http1_head head;

	if (at < 0)
		return HTTP1_BAD;
	if (in.n - (size_t)at == 1 && in.p[at] == '\r')
		return HTTP1_MORE;
	n = http1_read_request_line(&head, (struct bytes){ in.p + at, in.n - (size_t)at });
	return n > 0 ? HTTP1_START_REQUEST : (int)n;
}

int http1_sniff(struct bytes in)
{
	bool full = in.n >= HTTP1_HEAD_MAX;
	ssize_t n;
	int start;

	if (in.n == 0)
		return HTTP1_MORE;
	if (full)
		in.n = HTTP1_HEAD_MAX;
	start = sniff_response(in);
	if (start > 0)
		return start;
	n = match(in, BYTES("PRI * HTTP/2.0"));
	if (n > 0)
		return HTTP1_START_H2_PREFACE;
	if (start == HTTP1_MORE || n == HTTP1_MORE)
		return HTTP1_MORE;
	start = sniff_request(in);
	return start == HTTP1_MORE && full ? HTTP1_BAD : start;
}

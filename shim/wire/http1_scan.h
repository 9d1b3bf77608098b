/* SPDX-License-Identifier: Apache-2.0 */
/* What the http1 files share and nobody else includes: sixteen bytes at a time over a head, never
 * one past its end. Vectors are the compiler's own, so one text serves every little-endian 64-bit
 * processor. */
#ifndef SHIM_WIRE_HTTP1_SCAN_H
#define SHIM_WIRE_HTTP1_SCAN_H

#include "base/vector.h"
#include "shim/wire/http1.h"

#define HTTP1_METHOD_MAX      24 /* bytes of a method; past it HTTP1_BAD */
#define HTTP1_EMPTY_LINES_MAX 8  /* before a request line; past it HTTP1_BAD */

/* First byte of [p, end) for which `stop` holds, or end. `hits` is the same test on 16 bytes. */
static inline __attribute__((always_inline)) const char *
scan(const char *p, const char *end, vec16 (*hits)(vec16), bool (*stop)(uint8_t))
{
	/* As numbers, since end - 16 may be before all that is pointed into. */
	for (; (uintptr_t)p + 16 <= (uintptr_t)end; p += 16) {
		vec16 x;
		unsigned at;

		__builtin_memcpy(&x, p, sizeof(x));
		at = vec16_first(hits(x));
		if (at < 16)
			return p + at;
	}
	while (p < end && !stop((uint8_t)*p))
		p++;
	return p;
}

static inline vec16 name_hits(vec16 x)
{
	vec16 letter = (x | 0x20) - 'a', digit = x - '0';

	return (vec16) ~((letter < 26) | (digit < 10) | (x == '-'));
}

static inline bool name_stop(uint8_t c)
{
	return !((uint8_t)((c | 0x20) - 'a') < 26 || (uint8_t)(c - '0') < 10 || c == '-');
}

/* Past letters, digits and dashes: what nearly every field name is made of. */
static inline const char *scan_name(const char *p, const char *end)
{
	return scan(p, end, name_hits, name_stop);
}

static inline vec16 value_hits(vec16 x)
{
	return (vec16)((x < 0x20) & (x != '\t'));
}

static inline bool value_stop(uint8_t c)
{
	return c < 0x20 && c != '\t';
}

/* To the next control character but for tabs. */
static inline const char *scan_value(const char *p, const char *end)
{
	return scan(p, end, value_hits, value_stop);
}

static inline vec16 target_hits(vec16 x)
{
	return (vec16)((x <= ' ') | (x == 0x7f));
}

static inline bool target_stop(uint8_t c)
{
	return c <= ' ' || c == 0x7f;
}

/* To the next space or control character. */
static inline const char *scan_target(const char *p, const char *end)
{
	return scan(p, end, target_hits, target_stop);
}

/* tchar of RFC 9110 section 5.6.2. */
static inline bool is_token_char(uint8_t c)
{
	static const uint64_t set[4] = { 0x03ff6cfa00000000, 0x57ffffffc7fffffe };

	return set[c >> 6] >> (c & 63) & 1;
}

static inline bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Trims what a folded value may have at its ends too: the line ends (RFC 9112 section 5.2). */
static inline struct bytes trim_lines(struct bytes b)
{
	while (b.n && (is_blank(b.p[0]) || b.p[0] == '\r' || b.p[0] == '\n'))
		b.p++, b.n--;
	while (b.n && (is_blank(b.p[b.n - 1]) || b.p[b.n - 1] == '\r' || b.p[b.n - 1] == '\n'))
		b.n--;
	return b;
}

/* ---- http1_start.c: start lines. Offset after the line, HTTP1_MORE or HTTP1_BAD; the bytes at
 * hand are judged even when the line is not whole. Only the fields of the start line are set. */
ssize_t http1_read_request_line(struct http1_head *head, struct bytes in);
ssize_t http1_read_status_line(struct http1_head *head, struct bytes in);
/* Offset after the empty lines at the start, HTTP1_BAD past HTTP1_EMPTY_LINES_MAX. */
ssize_t http1_skip_empty_lines(struct bytes in);

/* ---- http1_fields.c: the header lines from offset `at` on and the blank line. */
ssize_t http1_read_fields(struct http1_head *head, struct bytes in, size_t at);

/* ---- http1_framing.c: what a field says about the body; head->count[id] counts it already. Only
 * these fields say something. */
static inline bool http1_field_frames(enum http1_field id)
{
	return id >= HTTP1_CONTENT_LENGTH && id <= HTTP1_EXPECT;
}

void http1_note_field(struct http1_head *head, enum http1_field id, struct bytes value);
/* After the last field. */
void http1_judge_framing(struct http1_head *head);

#endif

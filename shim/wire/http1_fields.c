/* SPDX-License-Identifier: Apache-2.0 */
/* Header lines (RFC 9112 section 5). */
#include "shim/wire/http1.h"
#include "shim/wire/http1_scan.h"

/* Wire code: bytes in, views out. No allocation, no globals, no I/O, no system call; nothing reads
 * past in.n; every loop ends at a named ceiling or at the end of the bytes. */
#define malloc wire_code_must_not_allocate

struct line {
	struct bytes name, value; /* trimmed */
	const char *next;         /* the line after it */
	bool odd;                 /* some receivers drop it, cut it or end the head here */
	bool folded;
	bool bare, crlf; /* line ends seen */
};

/* Finds the LF that ends the value at p, over obs-fold lines: a line that starts with a space goes
 * on with the one before, so the first byte of the next line must be there. NULL: not yet. */
static const char *find_value_end(struct line *line, const char *p, const char *end)
{
	for (;; p++) {
		p = scan_value(p, end);
		if (p == end)
			return NULL;
		if (*p == '\r' && p + 1 < end && p[1] == '\n') {
			p++;
			line->crlf = true;
		} else if (*p == '\n') {
			line->bare = true;
		} else {
			/* RFC 9112 section 2.2: a bare CR ends a line for some, is a space for
			 * others; a NUL cuts the value for some. */
			line->odd |= *p == '\r' || *p == '\0';
			continue;
		}
		if (p + 1 == end)
			return NULL;
		if (!is_blank(p[1]))
			return p;
		line->folded = true;
	}
}

/* From `start` to the colon. RFC 9112 section 5.1: white space before it must be refused by servers
 * and taken away by proxies; parsers that do neither end the head there or drop the line. So with
 * any other name that is no token. */
static ssize_t find_colon(struct line *line, const char *start, const char *end)
{
	const char *p = scan_name(start, end);

	while (p < end && *p != ':') {
		if (value_stop((uint8_t)*p))
			return HTTP1_BAD;
		line->odd |= !is_token_char((uint8_t)*p);
		p++;
	}
	if (p == start)
		return p == end ? HTTP1_MORE : HTTP1_BAD;
	return p == end ? HTTP1_MORE : p - start;
}

/* One header line that starts at p, not the blank one. 1, HTTP1_MORE or HTTP1_BAD. */
static inline ssize_t read_line(struct line *line, const char *p, const char *end)
{
	const char *value, *lf;
	ssize_t n;

	*line = (struct line){ 0 };
	n = find_colon(line, p, end);
	if (n <= 0)
		return n;
	line->name = (struct bytes){ p, (size_t)n };
	if (line->odd) {
		line->name = bytes_trim(line->name);
		if (line->name.n == 0 || is_blank(*p))
			return HTTP1_BAD; /* a continuation of the start line */
	}
	value = p + n + 1;
	lf = find_value_end(line, value, end);
	if (!lf)
		return HTTP1_MORE;
	line->value = trim_lines((struct bytes){ value, (size_t)(lf - value) });
	line->next = lf + 1;
	return 1;
}

/* 1 when the blank line stands at p, 0 when a header line does; HTTP1_BAD is -1, 2: not told yet.
 */
enum at_blank { IS_HEADER, IS_BLANK, NOT_TOLD };
static inline enum at_blank look_for_blank(const char *p, const char *end)
{
	if (p == end || (*p == '\r' && p + 1 == end))
		return NOT_TOLD;
	return *p == '\n' || (*p == '\r' && p[1] == '\n') ? IS_BLANK : IS_HEADER;
}

static inline uint64_t load64(const char *p)
{
	uint64_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v | 0x2020202020202020;
}

static inline uint32_t load32(const char *p)
{
	uint32_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v | 0x20202020;
}

/* Equal but for case, both of n bytes, `lower` of letters, digits and dashes: in a token | 0x20
 * makes none of these from anything but themselves in upper case. Overlapping words. */
static inline __attribute__((always_inline)) bool same_name(const char *p, const char *lower,
							    size_t n)
{
	if (n < 4)
		return (p[0] | 0x20) == lower[0] && (p[1] | 0x20) == lower[1];
	if (n < 8)
		return load32(p) == load32(lower) && load32(p + n - 4) == load32(lower + n - 4);
	if (n > 16 && load64(p + 8) != load64(lower + 8))
		return false;
	return load64(p) == load64(lower) && load64(p + n - 8) == load64(lower + n - 8);
}

/* By length and first letter; two of one kind differ in the sixth letter, after "x-b3-".
 * HTTP1_FIELD_COUNT: none. */
static inline enum http1_field candidate(struct bytes name)
{
#define KEY(n, first) ((unsigned)(n) << 8 | (unsigned)(first))
	switch (KEY(name.n, name.p[0] | 0x20)) {
	case KEY(2, 'b'):
		return HTTP1_B3;
	case KEY(4, 'h'):
		return HTTP1_HOST;
	case KEY(6, 'e'):
		return HTTP1_EXPECT;
	case KEY(7, 'u'):
		return HTTP1_UPGRADE;
	case KEY(7, 'b'):
		return HTTP1_BAGGAGE;
	case KEY(9, 'f'):
		return HTTP1_FORWARDED;
	case KEY(10, 'u'):
		return HTTP1_USER_AGENT;
	case KEY(10, 'c'):
		return HTTP1_CONNECTION;
	case KEY(10, 't'):
		return HTTP1_TRACESTATE;
	case KEY(10, 'x'):
		return HTTP1_B3_FLAGS;
	case KEY(11, 't'):
		return HTTP1_TRACEPARENT;
	case KEY(11, 'x'):
		return HTTP1_B3_SPAN_ID;
	case KEY(12, 'c'):
		return HTTP1_CONTENT_TYPE;
	case KEY(12, 'x'):
		return (name.p[5] | 0x20) == 't' ? HTTP1_B3_TRACE_ID : HTTP1_B3_SAMPLED;
	case KEY(13, 'u'):
		return HTTP1_UBER_TRACE_ID;
	case KEY(14, 'c'):
		return HTTP1_CONTENT_LENGTH;
	case KEY(15, 'x'):
		return HTTP1_X_FORWARDED_FOR;
	case KEY(16, 'x'):
		return HTTP1_X_FORWARDED_HOST;
	case KEY(17, 't'):
		return HTTP1_TRANSFER_ENCODING;
	case KEY(17, 'x'):
		return HTTP1_X_FORWARDED_PROTO;
	default:
		return HTTP1_FIELD_COUNT;
	}
#undef KEY
}

/* HTTP1_FIELD_COUNT when nobody looks at it. */
static inline enum http1_field look_up(struct bytes name)
{
	static const char names[HTTP1_FIELD_COUNT][20] = {
#define FIELD(id, name) name,
		HTTP1_FIELDS(FIELD)
#undef FIELD
	};
	enum http1_field id = candidate(name);

	if (id == HTTP1_FIELD_COUNT || !same_name(name.p, names[id], name.n))
		return HTTP1_FIELD_COUNT;
	return id;
}

static inline void keep_field(struct http1_head *head, const struct line *line)
{
	enum http1_field id = look_up(line->name);

	head->framing_bad |= line->odd;
	if (id == HTTP1_FIELD_COUNT)
		return;
	if (head->count[id] == 0)
		head->field[id] = line->value;
	if (head->count[id] < 255)
		head->count[id]++;
	/* A length or coding on a continuation line is read by some and lost by others. */
	if (line->folded && (id == HTTP1_CONTENT_LENGTH || id == HTTP1_TRANSFER_ENCODING))
		head->framing_bad = true;
	http1_note_field(head, id, line->value);
}

ssize_t http1_read_fields(struct http1_head *head, struct bytes in, size_t at)
{
	const char *p = in.p + at, *end = in.p + in.n;
	bool bare = at >= 2 && p[-2] != '\r', crlf = !bare;
	enum at_blank blank;
	struct line line;
	ssize_t n;

	head->headers = at;
	for (;; p = line.next) {
		blank = look_for_blank(p, end);
		if (blank != IS_HEADER)
			break;
		if (head->header_count == HTTP1_HEADERS_MAX)
			return HTTP1_BAD;
		n = read_line(&line, p, end);
		if (n <= 0)
			return n;
		head->header_count++;
		bare |= line.bare;
		crlf |= line.crlf;
		keep_field(head, &line);
	}
	if (blank == NOT_TOLD)
		return HTTP1_MORE;
	head->blank = (size_t)(p - in.p);
	head->length = head->blank + (*p == '\r' ? 2 : 1);
	head->bare_lf = p[-2] != '\r';
	/* Servers that know CRLF alone take a bare LF for part of a value, so that lines appear or
	 * vanish. Clients do not, and CGI scripts often end their lines so under a CRLF status
	 * line. */
	if (head->request && (bare || *p == '\n') && (crlf || *p == '\r'))
		head->framing_bad = true;
	http1_judge_framing(head);
	return (ssize_t)head->length;
}

bool http1_next_header(const struct http1_head *head, struct bytes in, size_t *pos,
		       struct http1_header *header)
{
	struct line line;

	if (*pos >= head->blank || read_line(&line, in.p + *pos, in.p + head->length) <= 0)
		return false;
	*header = (struct http1_header){ line.name, line.value };
	*pos = (size_t)(line.next - in.p);
	return true;
}

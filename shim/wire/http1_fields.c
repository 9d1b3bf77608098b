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

/* One header line of whatever shape. 1, HTTP1_MORE or HTTP1_BAD. */
static __attribute__((noinline)) ssize_t read_any_line(struct line *line, const char *p,
						       const char *end)
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

/* One header line that starts at p, not the blank one. 1, HTTP1_MORE or HTTP1_BAD. Nearly all are a
 * token, a colon, and text up to a CRLF with another line behind it. */
static inline __attribute__((always_inline)) ssize_t read_line(struct line *line, const char *p,
							       const char *end)
{
	const char *colon = scan_name(p, end), *value, *cr, *last;
	struct line any;
	ssize_t n;

	if (colon == p || colon == end || *colon != ':')
		goto any;
	value = colon + 1;
	cr = last = scan_value(value, end);
	if (end - cr < 3 || cr[0] != '\r' || cr[1] != '\n' || is_blank(cr[2]))
		goto any;
	while (is_blank(*value)) /* the CR is not */
		value++;
	while (last > value && is_blank(last[-1]))
		last--;
	*line = (struct line){
		.name = { p, (size_t)(colon - p) },
		.value = { value, (size_t)(last - value) },
		.next = cr + 2,
		.crlf = true,
	};
	return 1;
any: /* into a struct of its own: *line stays in registers */
	n = read_any_line(&any, p, end);
	*line = any;
	return n;
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

/* Where a field stands in the table below: by its length, its first letter and one in the middle,
 * | 0x20. Two in one place would be an error of the compiler's. */
#define KEY(n, first, middle) (((n) + 2 * (first) + 6 * (middle)) % 128)

static inline unsigned key_of(struct bytes name)
{
	return KEY((unsigned)name.n, (uint8_t)name.p[0] | 0x20u,
		   (uint8_t)name.p[name.n / 2] | 0x20u);
}

/* HTTP1_FIELD_COUNT when nobody looks at it. */
static inline enum http1_field look_up(struct bytes name)
{
	static const struct {
		char name[19];
		uint8_t n;
	} fields[HTTP1_FIELD_COUNT] = {
#define FIELD(id, name) { name, sizeof(name) - 1 },
		HTTP1_FIELDS(FIELD)
#undef FIELD
	};
	/* Where none belongs stands the first of all, which no such name is equal to. */
	static const uint8_t by_key[128] = {
		[KEY(2, 'b', '3')] = HTTP1_B3,
		[KEY(4, 'h', 's')] = HTTP1_HOST,
		[KEY(6, 'e', 'e')] = HTTP1_EXPECT,
		[KEY(7, 'u', 'r')] = HTTP1_UPGRADE,
		[KEY(7, 'b', 'g')] = HTTP1_BAGGAGE,
		[KEY(9, 'f', 'a')] = HTTP1_FORWARDED,
		[KEY(10, 'u', 'a')] = HTTP1_USER_AGENT,
		[KEY(10, 'c', 'c')] = HTTP1_CONNECTION,
		[KEY(10, 't', 's')] = HTTP1_TRACESTATE,
		[KEY(10, 'x', 'f')] = HTTP1_B3_FLAGS,
		[KEY(11, 't', 'p')] = HTTP1_TRACEPARENT,
		[KEY(11, 'x', 's')] = HTTP1_B3_SPAN_ID,
		[KEY(11, 'g', 's')] = HTTP1_GRPC_STATUS,
		[KEY(12, 'c', 't')] = HTTP1_CONTENT_TYPE,
		[KEY(12, 'g', 'e')] = HTTP1_GRPC_MESSAGE,
		[KEY(12, 'g', 'i')] = HTTP1_GRPC_TIMEOUT,
		[KEY(12, 'x', 'r')] = HTTP1_B3_TRACE_ID,
		[KEY(12, 'x', 'a')] = HTTP1_B3_SAMPLED,
		[KEY(13, 'u', 'r')] = HTTP1_UBER_TRACE_ID,
		[KEY(14, 'c', '-')] = HTTP1_CONTENT_LENGTH,
		[KEY(15, 'x', 'r')] = HTTP1_X_FORWARDED_FOR,
		[KEY(16, 'x', 'd')] = HTTP1_X_FORWARDED_HOST,
		[KEY(17, 't', '-')] = HTTP1_TRANSFER_ENCODING,
		[KEY(17, 'x', 'd')] = HTTP1_X_FORWARDED_PROTO,
	};
	enum http1_field id = by_key[key_of(name)];

	if (name.n != fields[id].n || !same_name(name.p, fields[id].name, name.n))
		return HTTP1_FIELD_COUNT;
	return id;
}
#undef KEY

enum http1_field http1_field_of(struct bytes name)
{
	return name.n ? look_up(name) : HTTP1_FIELD_COUNT;
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
	if (http1_field_frames(id))
		http1_note_field(head, id, line->value);
}

ssize_t http1_read_fields(struct http1_head *head, struct bytes in, size_t at)
{
	const char *p = in.p + at, *end = in.p + in.n;
	bool bare = at >= 2 && p[-2] != '\r', crlf = !bare;
	unsigned lines = 0;
	enum at_blank blank;
	struct line line;
	ssize_t n;

	head->headers = at;
	for (;; p = line.next, lines++) {
		blank = look_for_blank(p, end);
		if (blank != IS_HEADER)
			break;
		if (lines == HTTP1_HEADERS_MAX)
			return HTTP1_BAD;
		n = read_line(&line, p, end);
		if (n <= 0)
			return n;
		bare |= line.bare;
		crlf |= line.crlf;
		keep_field(head, &line);
	}
	if (blank == NOT_TOLD)
		return HTTP1_MORE;
	head->header_count = lines;
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

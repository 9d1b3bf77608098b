/* SPDX-License-Identifier: Apache-2.0 */
/* Routes as text: matching a pattern, and telling identifiers from words in a path.
 * Pure: bytes in, bytes out. No memory, no globals, no I/O, nothing read past the view. */
#include "shim/wire/route_text.h"
#include "shim/wire/url.h"

#define malloc wire_code_must_not_allocate

/* Length of the segment at b's start: up to the next '/'. */
static size_t segment_length(struct bytes b)
{
	const char *slash = b.n ? memchr(b.p, '/', b.n) : NULL;

	return slash ? (size_t)(slash - b.p) : b.n;
}

static struct bytes skip(struct bytes b, size_t n)
{
	return n ? (struct bytes){ b.p + n, b.n - n } : b;
}

/* One segment of the path against one of the pattern. */
static bool segment_match(struct bytes pattern, struct bytes segment)
{
	if (pattern.n >= 2 && pattern.p[0] == '{' && pattern.p[pattern.n - 1] == '}')
		return segment.n > 0;
	if (pattern.n == 1 && pattern.p[0] == '*')
		return segment.n > 0;
	return bytes_equal(pattern, segment);
}

bool route_match(struct bytes pattern, struct bytes path)
{
	bool rest = pattern.n && pattern.p[pattern.n - 1] == '*';

	if (rest)
		pattern.n--;
	for (;;) {
		struct bytes want = { pattern.p, segment_length(pattern) };
		struct bytes have = { path.p, segment_length(path) };

		/* The pattern's last segment and the star after it: "/static/" "*", "/img" "*". */
		if (rest && want.n == pattern.n)
			return want.n == 0 || bytes_start_with(path, want);
		if (!segment_match(want, have))
			return false;
		pattern = skip(pattern, want.n);
		path = skip(path, have.n);
		if (!pattern.n || !path.n)
			return !pattern.n && !path.n;
		pattern = skip(pattern, 1); /* the '/' of both */
		path = skip(path, 1);
	}
}

enum {
	CLASS_DIGIT = 1 << 0,
	CLASS_HEX = 1 << 1,    /* a to f */
	CLASS_LETTER = 1 << 2, /* g to z */
	CLASS_DASH = 1 << 3,
	CLASS_DOT = 1 << 4, /* and the other marks of RFC 3986's unreserved characters */
	CLASS_OTHER = 1 << 5,
	CLASS_END = 1 << 6, /* of a segment, or of what is named of it */
};

/* 0 stands for CLASS_OTHER. */
static const uint8_t classes[256] = {
	['0' ... '9'] = CLASS_DIGIT,
	['a' ... 'f'] = CLASS_HEX,
	['A' ... 'F'] = CLASS_HEX,
	['g' ... 'z'] = CLASS_LETTER,
	['G' ... 'Z'] = CLASS_LETTER,
	['-'] = CLASS_DASH,
	['.'] = CLASS_DOT,
	['_'] = CLASS_DOT,
	['~'] = CLASS_DOT,
	['/'] = CLASS_END,
	[';'] = CLASS_END,
};

static unsigned class_of(char c)
{
	return classes[(unsigned char)c];
}

/* The bytes before the segment's end or its parameters, and which classes occur among them at all:
 * enough to tell most words and most identifiers. */
static struct route_segment segment_at(const char *p, const char *end)
{
	struct route_segment s = { { p, 0 }, 0 };

	for (; p < end; p++) {
		unsigned class = class_of(*p);

		if (class == CLASS_END)
			break;
		s.classes |= class ? class : CLASS_OTHER;
	}
	s.text.n = (size_t)(p - s.text.p);
	return s;
}

static bool uuid_shaped(struct bytes s)
{
	if (s.n != 36)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (!(class_of(s.p[i]) & (dash ? CLASS_DASH : CLASS_DIGIT | CLASS_HEX)))
			return false;
	}
	return true;
}

/* "dQw4w9WgXcQ", "01ARZ3NDEKTSV4RRFFQ69G5FAV": letters and digits take turns as in no word. Not
 * "oauth2-authorize-v2" or "GetUserV2ById". */
static bool token_shaped(struct bytes s)
{
	unsigned switches = 0;         /* from a letter to a digit or back, inside one run */
	unsigned run = 0, run_max = 0; /* without dash or dot */
	bool digit, before = false;

	for (size_t i = 0; i < s.n; i++, before = digit) {
		unsigned class = class_of(s.p[i]);

		digit = class == CLASS_DIGIT;
		run = class & (CLASS_DASH | CLASS_DOT) ? 0 : run + 1;
		if (run > run_max)
			run_max = run;
		if (run > 1 && digit != before)
			switches++;
	}
	return switches >= 4 || run_max >= 32 || (run_max >= 20 && switches >= 3);
}

bool route_segment_is_id(struct route_segment segment)
{
	struct bytes s = segment.text;
	unsigned in = segment.classes;

	if (s.n > 2 && s.p[0] == '0' && ascii_lower(s.p[1]) == 'x') {
		s = skip(s, 2);
		in = segment_at(s.p, s.p + s.n).classes;
	}
	if (!(in & CLASS_DIGIT))
		return in == CLASS_HEX && s.n >= ROUTE_HEX_MIN;
	if (!(in & ~(unsigned)(CLASS_DIGIT | CLASS_DASH))) /* "42", "-7", "2024-01-31" */
		return true;
	if (in & CLASS_OTHER)
		return false;
	if (!(in & ~(unsigned)(CLASS_DIGIT | CLASS_HEX)) && s.n >= ROUTE_HEX_MIN)
		return true;
	return s.n >= ROUTE_TOKEN_MIN && (uuid_shaped(s) || token_shaped(s));
}

bool route_next_segment(struct bytes path, size_t *pos, struct route_segment *segment)
{
	const char *p, *end;

	if (*pos >= path.n)
		return false;
	p = path.p + *pos;
	end = path.p + path.n;
	*segment = segment_at(*p == '/' ? p + 1 : p, end);
	p = segment->text.p + segment->text.n;
	*pos = (size_t)(p - path.p) + segment_length((struct bytes){ p, (size_t)(end - p) });
	return true;
}

void route_put_template(struct text *out, struct bytes path)
{
	struct route_segment segment;
	size_t pos = 0;

	if (path.n && path.p[0] != '/') {
		text_put(out, path);
		return;
	}
	while (route_next_segment(path, &pos, &segment)) {
		text_put_char(out, '/');
		text_put(out, route_segment_is_id(segment) ? BYTES("{id}") : segment.text);
		if (out->cut)
			return;
	}
}

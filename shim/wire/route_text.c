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

enum char_class { CLASS_OTHER, CLASS_SEPARATOR, CLASS_DIGIT, CLASS_HEX, CLASS_LETTER };

static enum char_class char_class(char c)
{
	char lower = ascii_lower(c);

	if (c >= '0' && c <= '9')
		return CLASS_DIGIT;
	if (lower >= 'a' && lower <= 'f')
		return CLASS_HEX;
	if (lower >= 'g' && lower <= 'z')
		return CLASS_LETTER;
	if (c == '-' || c == '_' || c == '.' || c == '~')
		return CLASS_SEPARATOR;
	return CLASS_OTHER;
}

/* What one pass over a segment counts. */
struct segment_shape {
	unsigned digits, hex, letters, dashes, separators, others;
	unsigned switches; /* from a letter to a digit or back, inside one run without separator */
	unsigned run_max;  /* longest run without separator */
};

static struct segment_shape shape_of(struct bytes s)
{
	struct segment_shape shape = { 0 };
	enum char_class before = CLASS_SEPARATOR;
	unsigned run = 0;

	for (size_t i = 0; i < s.n; i++) {
		enum char_class class = char_class(s.p[i]);

		run = class == CLASS_SEPARATOR ? 0 : run + 1;
		if (run > shape.run_max)
			shape.run_max = run;
		shape.digits += class == CLASS_DIGIT;
		shape.hex += class == CLASS_HEX;
		shape.letters += class == CLASS_LETTER;
		shape.separators += class == CLASS_SEPARATOR;
		shape.dashes += s.p[i] == '-';
		shape.others += class == CLASS_OTHER;
		if ((class == CLASS_DIGIT) != (before == CLASS_DIGIT) && run > 1)
			shape.switches++;
		before = class;
	}
	return shape;
}

static bool uuid_shaped(struct bytes s, const struct segment_shape *shape)
{
	return s.n == 36 && shape->dashes == 4 && shape->digits + shape->hex == 32 &&
	       s.p[8] == '-' && s.p[13] == '-' && s.p[18] == '-' && s.p[23] == '-';
}

bool route_segment_is_id(struct bytes s)
{
	struct segment_shape shape;

	if (!s.n)
		return false;
	if (s.n > 2 && s.p[0] == '0' && ascii_lower(s.p[1]) == 'x')
		s = skip(s, 2);
	shape = shape_of(s);
	/* "42", "-7", "2024-01-31" */
	if (shape.digits && shape.digits + shape.dashes == s.n)
		return true;
	if (s.n >= ROUTE_HEX_MIN && shape.digits + shape.hex == s.n)
		return true;
	if (uuid_shaped(s, &shape))
		return true;
	if (shape.others)
		return false;
	/* "dQw4w9WgXcQ", "01ARZ3NDEKTSV4RRFFQ69G5FAV"; but not "oauth2-token" or "GetUserV2ById" */
	if (s.n >= 10 && shape.switches >= 4)
		return true;
	return shape.digits &&
	       (shape.run_max >= 32 || (shape.run_max >= 20 && shape.switches >= 3));
}

bool route_next_segment(struct bytes path, size_t *pos, struct bytes *segment)
{
	size_t slash;

	if (*pos >= path.n)
		return false;
	slash = path.p[*pos] == '/';
	*segment = skip(path, *pos + slash);
	segment->n = segment_length(*segment);
	*pos += slash + segment->n;
	return true;
}

struct bytes route_without_parameters(struct bytes segment)
{
	const char *semicolon = segment.n ? memchr(segment.p, ';', segment.n) : NULL;

	if (semicolon)
		segment.n = (size_t)(semicolon - segment.p);
	return segment;
}

void route_put_template(struct text *out, struct bytes path)
{
	struct bytes segment;
	size_t pos = 0;

	if (path.n && path.p[0] != '/') {
		text_put(out, path);
		return;
	}
	while (route_next_segment(path, &pos, &segment)) {
		segment = route_without_parameters(segment);
		text_put_char(out, '/');
		text_put(out, route_segment_is_id(segment) ? BYTES("{id}") : segment);
		if (out->cut)
			return;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A header list is read in one go. The texts of pseudo header fields come first in the room, since
 * they come first in the list; the lines follow. */
#include "shim/h2_head.h"

#include "base/text.h"
#include "shim/wire/http1_scan.h"

#define TEXT_ROOM  512 /* on the stack of a program's thread; longer strings take a block */
#define FIELD_COST 32  /* RFC 9113 section 6.5.2 */

/* Pseudo header fields. */
#define PSEUDO_FIELDS(X)          \
	X(METHOD, "method")       \
	X(SCHEME, "scheme")       \
	X(AUTHORITY, "authority") \
	X(PATH, "path")           \
	X(PROTOCOL, "protocol")   \
	X(STATUS, "status")

enum pseudo {
#define PSEUDO(id, name) PSEUDO_##id,
	PSEUDO_FIELDS(PSEUDO)
#undef PSEUDO
		PSEUDO_COUNT
};

struct reading {
	struct h2_head *out;
	char *room;
	size_t size, used; /* of the room; what the blank line takes is not in size */
	bool reserved;     /* there is something for the blank line */
	size_t lines;      /* offset of the first line */
	bool known_only;   /* what nobody looks at is passed by */
	bool in_lines;     /* no pseudo header field may follow */
	unsigned seen;     /* pseudo header fields, a bit each */
	struct bytes pseudo[PSEUDO_COUNT]; /* the first of each, kept in the room */
};

static bool fits(struct reading *r, size_t n)
{
	bool fit = r->reserved && r->out->list_size <= H2_LIST_MAX && n <= r->size - r->used;

	r->out->cut |= !fit;
	return fit;
}

/* Appends to the room; returns where it stands now. */
static struct bytes append(struct reading *r, struct bytes text)
{
	struct bytes kept = { r->room + r->used, text.n };

	if (text.n)
		memcpy(r->room + r->used, text.p, text.n);
	r->used += text.n;
	return kept;
}

/* A whole line or nothing. Returns its value, without an address when it was dropped. */
static struct bytes append_line(struct reading *r, struct bytes name, struct bytes value)
{
	struct bytes kept = { 0 };
	size_t n;

	if (__builtin_add_overflow(name.n, value.n, &n) || !fits(r, n + 4))
		return kept;
	append(r, name);
	append(r, BYTES(": "));
	kept = append(r, value);
	append(r, BYTES("\r\n"));
	r->out->head.header_count++;
	return kept;
}

/* Libraries of gRPC that know each other send binary metadata as it is, behind a NUL. */
static bool is_binary(const struct hpack_field *field)
{
	struct bytes name = field->name, suffix = BYTES("-bin");

	return field->value.n && !field->value.p[0] && name.n > suffix.n &&
	       memcmp(name.p + name.n - suffix.n, suffix.p, suffix.n) == 0;
}

/* As it is sent to all others: base64, not padded. */
static void append_binary(struct reading *r, const struct hpack_field *field)
{
	struct bytes value = { field->value.p + 1, field->value.n - 1 };
	size_t n = value.n / 3 * 4 + (value.n % 3 ? value.n % 3 + 1 : 0);
	struct text line;

	if (!fits(r, field->name.n + n + 4))
		return;
	line = (struct text){ .p = r->room + r->used, .size = r->size - r->used };
	text_put(&line, field->name);
	text_put(&line, BYTES(": "));
	text_put_base64(&line, (const uint8_t *)value.p, value.n, false);
	text_put(&line, BYTES("\r\n"));
	r->used += line.n;
	r->out->head.header_count++;
}

/* One that frames the body or shapes the connection of HTTP/1 has no place in HTTP/2 (RFC 9113
 * section 8.2.2). */
static bool of_one_connection(enum http1_field id, struct bytes name, struct bytes value)
{
	if (id == HTTP1_CONNECTION || id == HTTP1_UPGRADE || id == HTTP1_TRANSFER_ENCODING)
		return true;
	if (bytes_equal(name, BYTES("te")))
		return !bytes_equal_nocase(value, BYTES("trailers"));
	return bytes_equal(name, BYTES("proxy-connection")) ||
	       bytes_equal(name, BYTES("keep-alive"));
}

/* Nearly all are of these letters and dashes. */
static inline bool good_name_char(uint8_t c)
{
	return (uint8_t)(c - 'a') < 26 || c == '-' ||
	       (is_token_char(c) && (uint8_t)(c - 'A') >= 26);
}

static bool good_name(struct bytes name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!good_name_char((uint8_t)name.p[i]))
			return false;
	return name.n > 0;
}

/* Any of the eight below a space. */
static inline uint64_t control_in(uint64_t word)
{
	const uint64_t high = 0x8080808080808080, spaces = 0x2020202020202020;

	return (word - spaces) & ~word & high;
}

/* Any of the n bytes, up to 16 of them. */
static inline bool control_in_short(const char *p, size_t n)
{
	uint64_t first = 0, last = 0;

	if (n >= 8) {
		memcpy(&first, p, 8);
		memcpy(&last, p + n - 8, 8);
		return control_in(first) | control_in(last);
	}
	if (n >= 4) {
		memcpy(&first, p, 4);
		memcpy((char *)&first + 4, p + n - 4, 4);
		return control_in(first);
	}
	for (size_t i = 0; i < n; i++)
		if ((uint8_t)p[i] < 0x20)
			return true;
	return false;
}

/* RFC 9113 section 8.2.1: what would end the line for somebody. */
static bool breaks_line(struct bytes value)
{
	const char *end = value.p + value.n, *p = scan_value(value.p, end);

	for (; p < end; p = scan_value(p + 1, end))
		if (*p == '\r' || *p == '\n' || *p == '\0')
			return true;
	return false;
}

static inline bool one_line(struct bytes value)
{
	if (value.n <= 16 && !control_in_short(value.p, value.n))
		return true;
	return !breaks_line(value);
}

static bool padded(struct bytes value)
{
	return value.n && (is_blank(value.p[0]) || is_blank(value.p[value.n - 1]));
}

/* The value that is kept of a padded one is not what stands in the block. */
static void note_place(struct hpack_field *place, const struct hpack_field *field,
		       struct bytes kept)
{
	*place = *field;
	place->name = place->value = (struct bytes){ 0 };
	if (!kept.p || kept.n != field->value.n)
		return;
	place->name = (struct bytes){ kept.p - 2 - field->name.n, field->name.n };
	place->value = kept;
}

static void note_field(struct reading *r, const struct hpack_field *field, enum http1_field id,
		       struct bytes kept)
{
	struct http1_head *head = &r->out->head;

	if (head->count[id] == 0)
		head->field[id] = kept;
	if (id == HTTP1_TRACEPARENT && head->count[id] == 0)
		note_place(&r->out->traceparent_place, field, kept);
	if (head->count[id] < 255)
		head->count[id]++;
	if (id == HTTP1_CONTENT_LENGTH || id == HTTP1_EXPECT)
		http1_note_field(head, id, field->value);
}

/* From here on there are lines. */
static void begin_lines(struct reading *r)
{
	struct bytes kept = { 0 }, authority = r->pseudo[PSEUDO_AUTHORITY];
	const struct hpack_field of_authority = { .value = authority };

	if (r->in_lines)
		return;
	r->in_lines = true;
	r->lines = r->used;
	if (!(r->seen & 1u << PSEUDO_AUTHORITY))
		return;
	if (authority.p)
		kept = append_line(r, BYTES("host"), authority);
	note_field(r, &of_authority, HTTP1_HOST, kept);
}

/* A name that was found but for its case is of letters, digits and dashes: in lower case all have
 * this bit, in upper case letters have not. */
static bool found_in_lower_case(struct bytes name)
{
	const uint64_t bits = 0x2020202020202020;
	uint64_t word, all = bits;
	size_t i = 0;

	for (; i + sizeof(word) <= name.n; i += sizeof(word)) {
		memcpy(&word, name.p + i, sizeof(word));
		all &= word;
	}
	for (; i < name.n; i++)
		all &= (uint8_t)name.p[i] | ~(uint64_t)0x20;
	return all == bits;
}

static void read_field(struct reading *r, const struct hpack_field *field)
{
	struct bytes value = bytes_trim(field->value), kept;
	enum http1_field id = http1_field_of(field->name);
	bool good;

	if (id == HTTP1_FIELD_COUNT && r->known_only)
		return;
	good = id == HTTP1_FIELD_COUNT ? good_name(field->name) : found_in_lower_case(field->name);
	if (!good || !one_line(field->value)) {
		if (good && is_binary(field))
			append_binary(r, field);
		else
			r->out->malformed = true;
		return;
	}
	r->out->malformed |= padded(field->value) || of_one_connection(id, field->name, value);
	kept = append_line(r, field->name, value);
	if (id != HTTP1_FIELD_COUNT)
		note_field(r, field, id, kept);
}

/* The only one it may be, by its length and a letter. */
static inline enum pseudo likely_pseudo(struct bytes name)
{
	switch (name.n) {
	case 5:
		return PSEUDO_PATH;
	case 7:
		return name.p[2] == 'e'   ? PSEUDO_METHOD
		       : name.p[2] == 'c' ? PSEUDO_SCHEME
					  : PSEUDO_STATUS;
	case 9:
		return PSEUDO_PROTOCOL;
	case 10:
		return PSEUDO_AUTHORITY;
	default:
		return PSEUDO_COUNT;
	}
}

static enum pseudo pseudo_of(struct bytes name)
{
	static const char names[PSEUDO_COUNT][12] = {
#define PSEUDO(id, name) ":" name,
		PSEUDO_FIELDS(PSEUDO)
#undef PSEUDO
	};
	enum pseudo id = likely_pseudo(name);

	return id < PSEUDO_COUNT && memcmp(name.p, names[id], name.n) == 0 ? id : PSEUDO_COUNT;
}

/* Exactly three digits; 0 for anything else. RFC 9113 section 8.6: there is no 101. */
static uint16_t status_of(struct bytes text)
{
	uint64_t status;

	if (text.n != 3 || bytes_to_u64(text, &status) != 0 || status < 100 || status == 101)
		return 0;
	return (uint16_t)status;
}

/* RFC 9113 section 8.3: before all others, known ones only, none twice. */
static void read_pseudo(struct reading *r, const struct hpack_field *field)
{
	enum pseudo id = pseudo_of(field->name);

	if (id == PSEUDO_COUNT || r->in_lines || (r->seen & 1u << id) || !one_line(field->value) ||
	    padded(field->value)) {
		r->out->malformed = true;
		r->seen |= 1u << PSEUDO_COUNT;
		return;
	}
	r->seen |= 1u << id;
	if (id == PSEUDO_STATUS)
		r->out->head.status = status_of(field->value);
	if (fits(r, field->value.n))
		r->pseudo[id] = append(r, field->value);
}

static bool all_seen(const struct reading *r, unsigned needed, unsigned allowed)
{
	return (r->seen & needed) == needed && !(r->seen & ~allowed);
}

/* What a request line could not say either. A text that was dropped is taken for good. */
static bool good_target(struct bytes target)
{
	return !target.p ||
	       (target.n && scan_target(target.p, target.p + target.n) == target.p + target.n);
}

static bool good_method(struct bytes method)
{
	for (size_t i = 0; i < method.n; i++)
		if (!is_token_char((uint8_t)method.p[i]))
			return false;
	return !method.p || method.n;
}

/* RFC 9113 sections 8.3.1 and 8.5; RFC 8441 section 4. */
static bool read_request(struct reading *r)
{
	const unsigned method = 1u << PSEUDO_METHOD, authority = 1u << PSEUDO_AUTHORITY;
	const unsigned rest = 1u << PSEUDO_SCHEME | 1u << PSEUDO_PATH;
	const unsigned protocol = 1u << PSEUDO_PROTOCOL;
	struct http1_head *head = &r->out->head;
	bool connect = bytes_equal(r->pseudo[PSEUDO_METHOD], BYTES("CONNECT"));
	bool tunnel = connect && !(r->seen & protocol);

	head->method = r->pseudo[PSEUDO_METHOD];
	head->scheme = r->pseudo[PSEUDO_SCHEME];
	head->target = r->pseudo[tunnel ? PSEUDO_AUTHORITY : PSEUDO_PATH];
	r->out->protocol = r->pseudo[PSEUDO_PROTOCOL];
	if (!good_method(head->method) || !good_target(head->target))
		return false;
	if (tunnel)
		return all_seen(r, method | authority, method | authority);
	if (connect)
		return all_seen(r, method | rest | authority | protocol,
				method | rest | authority | protocol);
	return all_seen(r, method | rest, method | rest | authority);
}

static bool good_response(const struct reading *r)
{
	const unsigned status = 1u << PSEUDO_STATUS;

	return all_seen(r, status, status) && r->out->head.status;
}

static void finish(struct reading *r)
{
	struct http1_head *head = &r->out->head;
	size_t end;

	begin_lines(r);
	end = r->used;
	r->out->whole = BYTES("\r\n");
	if (r->reserved) {
		memcpy(r->room + end, "\r\n", 2);
		r->out->whole = (struct bytes){ r->room + r->lines, end + 2 - r->lines };
	}
	head->length = r->out->whole.n;
	head->blank = head->length - 2;
	r->out->trailers = r->seen == 0;
	if (!r->out->trailers && !(head->request ? read_request(r) : good_response(r)))
		r->out->malformed = true;
	r->out->malformed |= head->framing_bad;
}

static int decode(struct reading *r, struct hpack *h, struct bytes block)
{
	struct h2_head *out = r->out;
	struct hpack_field field;
	char text[TEXT_ROOM];
	size_t pos = 0;
	int n;

	hpack_lend(h, text, sizeof(text));
	while ((n = hpack_next(h, block, &pos, &field)) > 0) {
		bool pseudo = field.name.n && field.name.p[0] == ':';

		if (!pseudo)
			begin_lines(r);
		out->list_size += field.name.n + field.value.n + FIELD_COST;
		if (pseudo)
			read_pseudo(r, &field);
		else
			read_field(r, &field);
	}
	if (n == 0)
		finish(r);
	return n;
}

static void begin(struct reading *r, bool request, char *room, size_t size)
{
	*r->out = (struct h2_head){ .head = { .request = request, .http2 = true } };
	r->room = room;
	r->reserved = size >= 2;
	r->size = r->reserved ? size - 2 : 0;
}

int h2_head_decode(struct h2_head *out, struct hpack *h, struct bytes block, bool request,
		   char *room, size_t size)
{
	struct reading r = { .out = out };

	begin(&r, request, room, size);
	return decode(&r, h, block);
}

int h2_head_decode_known(struct h2_head *out, struct hpack *h, struct bytes block, bool request,
			 char *room, size_t size)
{
	struct reading r = { .out = out, .known_only = true };

	begin(&r, request, room, size);
	return decode(&r, h, block);
}

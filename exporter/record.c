// SPDX-License-Identifier: Apache-2.0
/* Record layout: struct record_head, then fields. A field is its key and length (two uint16), its
 * bytes, and zeros up to the next multiple of 4. A record that would end on an odd multiple of 4
 * carries one empty field FIELD_PAD, so that zeros never look like an attribute. */
#include <sys/types.h>
#include "exporter/record.h"

#define FIELD_HEAD   4
#define FIELD_PAD    0xffffu
#define SENSIBLE_MIN 32 /* less than this of a longer value says nothing: dropped */

_Static_assert(sizeof(struct record_head) == 64, "the record format has no hidden padding");
_Static_assert(sizeof(struct record_link) == 32, "the record format has no hidden padding");
_Static_assert(RECORD_VALUE_MAX + 512 < UINT16_MAX, "field lengths are 16 bits wide");

static const struct {
	const char *key;
	enum attribute_type type;
} attributes[ATTRIBUTE_COUNT] = {
#define ATTRIBUTE(id, name, kind) [ATTRIBUTE_##id] = { name, ATTRIBUTE_##kind },
#include "exporter/attributes.def"
#undef ATTRIBUTE
};

const char *attribute_key(enum attribute a)
{
	return attributes[a].key;
}

enum attribute_type attribute_type(enum attribute a)
{
	return attributes[a].type;
}

/* Values are short: a call to memcpy() would cost more than the copy itself. Blocks overlap instead
 * of a tail loop, and nothing outside of the source is read. */
static inline void copy_value(char *to, const char *from, size_t n)
{
	if (n > 64) {
		memcpy(to, from, n);
	} else if (n >= 8) {
		for (size_t i = 0; i + 8 < n; i += 8)
			__builtin_memcpy(to + i, from + i, 8);
		__builtin_memcpy(to + n - 8, from + n - 8, 8);
	} else if (n >= 4) {
		__builtin_memcpy(to, from, 4);
		__builtin_memcpy(to + n - 4, from + n - 4, 4);
	} else {
		for (size_t i = 0; i < n; i++)
			to[i] = from[i];
	}
}

void record_begin(struct record *r, void *room, size_t size)
{
	struct record_head *head = room;

	if (size > RECORD_MAX)
		size = RECORD_MAX;
	*head = (struct record_head){ .size = sizeof(*head) };
	*r = (struct record){ .head = head, .n = sizeof(*head), .room = size & ~(size_t)7 };
}

/* Bytes a field may hold now; its head is paid for. */
static inline size_t field_room(const struct record *r)
{
	return r->room - r->n > FIELD_HEAD ? r->room - r->n - FIELD_HEAD : 0;
}

/* Starts a field of n bytes, which have room, and returns where they go. */
static inline char *field_open(struct record *r, unsigned key, size_t n)
{
	char *at = (char *)r->head + r->n;
	uint16_t field[2] = { (uint16_t)key, (uint16_t)n };

	__builtin_memcpy(at, field, sizeof(field));
	if (n & 3) /* zeros behind the value, before it is written */
		__builtin_memset(at + FIELD_HEAD + (n & ~(size_t)3), 0, 4);
	r->n += FIELD_HEAD + ((n + 3) & ~(size_t)3);
	return at + FIELD_HEAD;
}

/* The longest start of v within n bytes that does not end inside a UTF-8 sequence. */
static size_t cut_text(struct bytes v, size_t n)
{
	size_t back = 0;

	while (back < 3 && back < n && ((unsigned char)v.p[n - back] & 0xc0) == 0x80)
		back++;
	return ((unsigned char)v.p[n - back] & 0xc0) == 0x80 ? n : n - back;
}

/* W3C Trace Context: a tracestate is shortened by whole entries, from the right. */
static size_t cut_trace_state(struct bytes v, size_t n)
{
	while (n && v.p[n] != ',')
		n--;
	return n;
}

/* How many bytes of v go into `room` bytes; -1 when none should (and v is not empty). */
static inline ssize_t fit_value(struct bytes v, size_t room, size_t (*cut)(struct bytes, size_t))
{
	size_t limit = room < RECORD_VALUE_MAX ? room : RECORD_VALUE_MAX;

	if (v.n <= limit)
		return (ssize_t)v.n;
	if (limit < SENSIBLE_MIN)
		return -1;
	return (ssize_t)cut(v, limit);
}

static inline void count_up(uint16_t *counter)
{
	if (*counter < UINT16_MAX)
		(*counter)++;
}

/* A value that does not fit as it is. */
static __attribute__((noinline)) void put_cut(struct record *r, unsigned key, struct bytes value)
{
	ssize_t n = -1;

	if (r->room - r->n >= FIELD_HEAD)
		n = fit_value(value, field_room(r),
			      key == RECORD_TRACE_STATE ? cut_trace_state : cut_text);
	if (n < 0) {
		if (key < ATTRIBUTE_COUNT)
			count_up(&r->head->dropped);
		return;
	}
	count_up(&r->head->cut_values);
	copy_value(field_open(r, key, (size_t)n), value.p, (size_t)n);
}

void record_put(struct record *r, unsigned key, struct bytes value)
{
	if (value.n > RECORD_VALUE_MAX || FIELD_HEAD + value.n > r->room - r->n)
		put_cut(r, key, value);
	else
		copy_value(field_open(r, key, value.n), value.p, value.n);
}

void record_put_int(struct record *r, unsigned key, int64_t value)
{
	if (field_room(r) < sizeof(value)) {
		count_up(&r->head->dropped);
		return;
	}
	__builtin_memcpy(field_open(r, key, sizeof(value)), &value, sizeof(value));
}

void record_put_header(struct record *r, unsigned key, struct bytes name, struct bytes value)
{
	size_t room = field_room(r);
	ssize_t n = -1;
	char *at;

	if (name.n && name.n <= RECORD_HEADER_NAME_MAX && room > name.n &&
	    !memchr(name.p, 0, name.n))
		n = fit_value(value, room - name.n - 1, cut_text);
	if (n < 0) {
		count_up(&r->head->dropped);
		return;
	}
	if ((size_t)n < value.n)
		count_up(&r->head->cut_values);
	at = field_open(r, key, name.n + 1 + (size_t)n);
	copy_value(at, name.p, name.n);
	at[name.n] = 0;
	copy_value(at + name.n + 1, value.p, (size_t)n);
}

void record_put_link(struct record *r, const struct record_link *link, struct bytes trace_state)
{
	size_t room = field_room(r);
	ssize_t n;
	char *at;

	if (room < sizeof(*link)) {
		count_up(&r->head->dropped_links);
		return;
	}
	n = fit_value(trace_state, room - sizeof(*link), cut_trace_state);
	if (n < 0)
		n = 0;
	at = field_open(r, RECORD_LINK, sizeof(*link) + (size_t)n);
	__builtin_memcpy(at, link, sizeof(*link));
	copy_value(at + sizeof(*link), trace_state.p, (size_t)n);
}

size_t record_end(struct record *r)
{
	if (r->n & 7) /* room is a multiple of 8, so this always fits */
		field_open(r, FIELD_PAD, 0);
	r->head->size = (uint32_t)r->n;
	return r->n;
}

static inline bool is_zero(const uint8_t *p, size_t n)
{
	uint8_t any = 0;

	for (size_t i = 0; i < n; i++)
		any |= p[i];
	return !any;
}

static bool field_check(unsigned key, struct bytes value)
{
	if (key < ATTRIBUTE_COUNT)
		return attributes[key].type != ATTRIBUTE_INT || value.n == sizeof(int64_t);
	switch (key) {
	case RECORD_NAME:
	case RECORD_TRACE_STATE:
	case RECORD_STATUS_MESSAGE:
		return true;
	case RECORD_LINK:
		return value.n >= sizeof(struct record_link);
	case RECORD_REQUEST_HEADER:
	case RECORD_RESPONSE_HEADER:
	case RECORD_REQUEST_METADATA:
	case RECORD_RESPONSE_METADATA:
		return value.n > 1 && value.p[0] && memchr(value.p, 0, value.n);
	case FIELD_PAD:
		return value.n == 0;
	default:
		return false;
	}
}

/* One field at *pos, of whatever key. False: there is no whole field before `size`. */
static bool field_read(const struct record_head *head, size_t size, size_t *pos,
		       struct record_field_view *field)
{
	const char *at = (const char *)head + *pos;
	uint16_t raw[2];

	if (size - *pos < FIELD_HEAD)
		return false;
	__builtin_memcpy(raw, at, sizeof(raw));
	if (size - *pos - FIELD_HEAD < (((size_t)raw[1] + 3) & ~(size_t)3))
		return false;
	*field = (struct record_field_view){ raw[0], { at + FIELD_HEAD, raw[1] } };
	*pos += FIELD_HEAD + (((size_t)raw[1] + 3) & ~(size_t)3);
	return true;
}

bool record_check(const struct record_head *head, size_t size)
{
	struct record_field_view field;
	size_t pos = sizeof(*head), end;

	if (((uintptr_t)head & 7) || size < sizeof(*head))
		return false;
	end = *(const volatile uint32_t *)&head->size; /* once: another process may write here */
	if (end < sizeof(*head) || end > size || end > RECORD_MAX || (end & 7))
		return false;
	if (head->kind < SPAN_INTERNAL || head->kind > SPAN_CONSUMER ||
	    head->status > STATUS_ERROR || head->parent_remote > 1 ||
	    is_zero(head->trace_id, sizeof(head->trace_id)) ||
	    is_zero(head->span_id, sizeof(head->span_id)))
		return false;
	while (pos < end)
		if (!field_read(head, end, &pos, &field) || !field_check(field.key, field.value))
			return false;
	return true;
}

bool record_next(const struct record_head *head, size_t *pos, struct record_field_view *field)
{
	size_t at = *pos ? *pos : sizeof(*head);
	bool found;

	do
		found = at < head->size && field_read(head, head->size, &at, field);
	while (found && field->key == FIELD_PAD);
	*pos = at;
	return found;
}

int64_t record_int(const struct record_field_view *field)
{
	int64_t value = 0;

	if (field->value.n == sizeof(value))
		__builtin_memcpy(&value, field->value.p, sizeof(value));
	return value;
}

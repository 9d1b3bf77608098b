// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include "exporter/record.h"
#include "record_fixture.h"

static struct fixture fixture;

static struct bytes value_of(const struct record_head *head, unsigned key)
{
	struct record_field_view field;
	size_t pos = 0;

	while (record_next(head, &pos, &field))
		if (field.key == key)
			return field.value;
	return (struct bytes){ NULL, 0 };
}

static unsigned count_fields(const struct record_head *head)
{
	struct record_field_view field;
	unsigned n = 0;
	size_t pos = 0;

	while (record_next(head, &pos, &field))
		n++;
	return n;
}

Test(record, gives_back_what_was_put)
{
	struct record_field_view field;
	size_t pos = 0;

	fixture_begin(&fixture, 0x11, 0x22);
	record_put(&fixture.r, RECORD_NAME, BYTES("GET"));
	record_put(&fixture.r, ATTRIBUTE_URL_PATH, BYTES("/a"));
	record_put_int(&fixture.r, ATTRIBUTE_SERVER_PORT, -2);
	record_put(&fixture.r, ATTRIBUTE_URL_QUERY, BYTES(""));
	fixture_end(&fixture);
	cr_assert(record_check(fixture.r.head, fixture.r.head->size));
	cr_assert_eq(fixture.r.head->size % 8, 0);

	cr_assert(record_next(fixture.r.head, &pos, &field));
	cr_assert(field.key == RECORD_NAME && bytes_equal(field.value, BYTES("GET")));
	cr_assert(record_next(fixture.r.head, &pos, &field));
	cr_assert(field.key == ATTRIBUTE_URL_PATH && bytes_equal(field.value, BYTES("/a")));
	cr_assert(record_next(fixture.r.head, &pos, &field));
	cr_assert(field.key == ATTRIBUTE_SERVER_PORT && record_int(&field) == -2);
	cr_assert(record_next(fixture.r.head, &pos, &field));
	cr_assert(field.key == ATTRIBUTE_URL_QUERY && field.value.n == 0);
	cr_assert_not(record_next(fixture.r.head, &pos, &field));
	cr_assert_not(record_next(fixture.r.head, &pos, &field));
}

Test(record, keeps_values_of_every_length_whole)
{
	static char value[RECORD_VALUE_MAX];

	for (size_t n = 0; n <= sizeof(value); n += n < 300 ? 1 : 397) {
		for (size_t i = 0; i < n; i++)
			value[i] = (char)('a' + (i * 7 + n) % 26);
		fixture_begin(&fixture, 1, 1);
		record_put(&fixture.r, ATTRIBUTE_URL_PATH,
			   (struct bytes){ memcpy(guard_room(n), value, n), n });
		record_put_int(&fixture.r, ATTRIBUTE_SERVER_PORT, 1);
		fixture_end(&fixture);
		cr_assert(record_check(fixture.r.head, fixture.r.head->size));
		cr_assert(bytes_equal(value_of(fixture.r.head, ATTRIBUTE_URL_PATH),
				      (struct bytes){ value, n }));
		cr_assert_eq(count_fields(fixture.r.head), 2, "%zu", n);
		cr_assert_eq(fixture.r.head->cut_values, 0);
	}
}

Test(record, cuts_long_values_on_a_utf8_border)
{
	static char value[RECORD_VALUE_MAX + 8];
	struct bytes kept;

	/* U+20AC is three bytes: at each offset the cut falls elsewhere within it */
	for (size_t offset = 0; offset < 3; offset++) {
		memset(value, 'x', sizeof(value));
		for (size_t i = offset; i + 3 <= sizeof(value); i += 3)
			memcpy(value + i, "\xe2\x82\xac", 3);
		fixture_begin(&fixture, 1, 1);
		record_put(&fixture.r, ATTRIBUTE_URL_PATH, (struct bytes){ value, sizeof(value) });
		kept = value_of(fixture_end(&fixture), ATTRIBUTE_URL_PATH);
		cr_assert(kept.n <= RECORD_VALUE_MAX && kept.n > RECORD_VALUE_MAX - 3);
		cr_assert_eq((kept.n - offset) % 3, 0);
		cr_assert_eq(fixture.r.head->cut_values, 1);
	}
}

Test(record, cuts_bytes_that_are_no_text_anywhere)
{
	static char value[RECORD_VALUE_MAX + 8];

	memset(value, 0x80, sizeof(value));
	fixture_begin(&fixture, 1, 1);
	record_put(&fixture.r, ATTRIBUTE_URL_PATH, (struct bytes){ value, sizeof(value) });
	cr_assert_eq(value_of(fixture_end(&fixture), ATTRIBUTE_URL_PATH).n, RECORD_VALUE_MAX);
}

Test(record, cuts_a_tracestate_between_its_entries)
{
	static char state[RECORD_VALUE_MAX + 100];
	struct bytes kept;

	for (size_t i = 0; i < sizeof(state); i++)
		state[i] = i % 100 == 99 ? ',' : i % 100 == 5 ? '=' : 'v';
	fixture_begin(&fixture, 1, 1);
	record_put(&fixture.r, RECORD_TRACE_STATE, (struct bytes){ state, sizeof(state) });
	kept = value_of(fixture_end(&fixture), RECORD_TRACE_STATE);
	cr_assert_eq(kept.n, 8099);
}

Test(record, drops_and_counts_what_finds_no_room)
{
	static char value[RECORD_VALUE_MAX];
	struct record_link link = { .trace_id = { 1 }, .span_id = { 1 } };

	memset(value, 'x', sizeof(value));
	fixture_begin(&fixture, 1, 1);
	record_put(&fixture.r, ATTRIBUTE_URL_PATH, (struct bytes){ value, sizeof(value) });
	record_put(&fixture.r, ATTRIBUTE_URL_FULL, (struct bytes){ value, sizeof(value) });
	cr_assert_eq(fixture.r.head->cut_values, 1);
	cr_assert_eq(fixture.r.head->dropped, 0);
	record_put(&fixture.r, ATTRIBUTE_URL_QUERY, BYTES("q"));
	record_put_int(&fixture.r, ATTRIBUTE_SERVER_PORT, 80);
	record_put_header(&fixture.r, RECORD_REQUEST_HEADER, BYTES("a"), BYTES("b"));
	record_put_link(&fixture.r, &link, BYTES("a=b"));
	record_put(&fixture.r, RECORD_STATUS_MESSAGE, BYTES("no attribute"));
	fixture_end(&fixture);
	cr_assert_eq(fixture.r.head->dropped, 3);
	cr_assert_eq(fixture.r.head->dropped_links, 1);
	cr_assert_eq(fixture.r.head->size, RECORD_MAX);
	cr_assert(record_check(fixture.r.head, RECORD_MAX));
}

Test(record, never_writes_past_its_room)
{
	for (size_t room = sizeof(struct record_head); room < 800; room++) {
		char *end = (char *)guard_room(room & ~(size_t)7);
		struct record_link link = { .trace_id = { 1 }, .span_id = { 1 } };
		struct record r;

		record_begin(&r, end, room & ~(size_t)7);
		r.head->kind = SPAN_CLIENT;
		memset(r.head->trace_id, 1, 24);
		fixture_put_usual(&r);
		record_put_header(&r, RECORD_REQUEST_HEADER, BYTES("x-header"), BYTES("value"));
		record_put_link(&r, &link, BYTES("vendor=value"));
		fixture_put_usual(&r);
		record_end(&r);
		cr_assert(record_check(r.head, r.head->size), "room %zu", room);
	}
}

Test(record, keeps_headers_and_links)
{
	struct record_link link = { .flags = 1, .remote = 1 }, read;
	struct bytes value;

	memset(link.trace_id, 0xab, 16);
	memset(link.span_id, 0xcd, 8);
	fixture_begin(&fixture, 1, 1);
	record_put_header(&fixture.r, RECORD_RESPONSE_HEADER, BYTES("x-id"), BYTES(""));
	record_put_link(&fixture.r, &link, BYTES("a=1,b=2"));
	fixture_end(&fixture);
	cr_assert(record_check(fixture.r.head, fixture.r.head->size));
	value = value_of(fixture.r.head, RECORD_RESPONSE_HEADER);
	cr_assert(bytes_equal(value, (struct bytes){ "x-id\0", 5 }));
	value = value_of(fixture.r.head, RECORD_LINK);
	memcpy(&read, value.p, sizeof(read));
	cr_assert_arr_eq(&read, &link, sizeof(link));
	cr_assert(bytes_equal((struct bytes){ value.p + 32, value.n - 32 }, BYTES("a=1,b=2")));
}

Test(record, keeps_metadata_apart_from_headers)
{
	fixture_begin(&fixture, 1, 1);
	record_put_header(&fixture.r, RECORD_REQUEST_METADATA, BYTES("key-bin"), BYTES("AAEC"));
	record_put_header(&fixture.r, RECORD_RESPONSE_METADATA, BYTES("key-bin"), BYTES(""));
	fixture_end(&fixture);
	cr_assert(record_check(fixture.r.head, fixture.r.head->size));
	cr_assert(bytes_equal(value_of(fixture.r.head, RECORD_REQUEST_METADATA),
			      (struct bytes){ "key-bin\0AAEC", 12 }));
	cr_assert(bytes_equal(value_of(fixture.r.head, RECORD_RESPONSE_METADATA),
			      (struct bytes){ "key-bin\0", 8 }));
}

Test(record, refuses_headers_without_a_sensible_name)
{
	static char name[RECORD_HEADER_NAME_MAX + 1];

	memset(name, 'n', sizeof(name));
	fixture_begin(&fixture, 1, 1);
	record_put_header(&fixture.r, RECORD_REQUEST_HEADER, BYTES(""), BYTES("v"));
	record_put_header(&fixture.r, RECORD_REQUEST_HEADER, BYTES("a\0b"), BYTES("v"));
	record_put_header(&fixture.r, RECORD_REQUEST_HEADER, (struct bytes){ name, sizeof(name) },
			  BYTES("v"));
	cr_assert_eq(count_fields(fixture_end(&fixture)), 0);
	cr_assert_eq(fixture.r.head->dropped, 3);
}

Test(record, is_refused_when_cut_at_any_length)
{
	struct bytes whole;

	fixture_begin(&fixture, 1, 1);
	fixture_put_usual(&fixture.r);
	fixture_end(&fixture);
	whole = (struct bytes){ fixture.room, fixture.r.head->size };
	for (size_t n = 0; n < whole.n; n += 8) {
		char *copy = guard_room(n);

		memcpy(copy, whole.p, n);
		cr_assert_not(record_check((void *)copy, n), "%zu", n);
		if (n >= sizeof(struct record_head)) {
			((struct record_head *)copy)->size =
				(uint32_t)n; /* may be sane: not read past */
			record_check((void *)copy, n);
		}
	}
}

Test(record, survives_every_flipped_byte)
{
	size_t size;
	char *copy;

	fixture_begin(&fixture, 1, 1);
	fixture_put_usual(&fixture.r);
	fixture_end(&fixture);
	size = fixture.r.head->size;
	copy = guard_room(size);
	for (size_t i = 0; i < size; i++) {
		for (unsigned flip = 1; flip < 256; flip += 2) {
			struct record_field_view field;
			size_t pos = 0;

			memcpy(copy, fixture.room, size);
			copy[i] ^= (char)flip;
			if (!record_check((void *)copy, size))
				continue;
			while (record_next((void *)copy, &pos, &field))
				cr_assert(field.value.p + field.value.n <= copy + size);
		}
	}
}

Test(record, refuses_impossible_heads)
{
	struct record_head *head = fixture.r.head;

#define REFUSES(change)                                                 \
	do {                                                            \
		fixture_begin(&fixture, 1, 1);                          \
		fixture_end(&fixture);                                  \
		head = fixture.r.head;                                  \
		cr_assert(record_check(head, 64));                      \
		change;                                                 \
		cr_assert_not(record_check(head, RECORD_MAX), #change); \
	} while (0)
	REFUSES(head->kind = 0);
	REFUSES(head->kind = 6);
	REFUSES(head->status = 3);
	REFUSES(head->parent_remote = 2);
	REFUSES(head->size = 0);
	REFUSES(head->size = 60);
	REFUSES(head->size = 68);
	REFUSES(head->size = RECORD_MAX + 8);
	REFUSES(head->size = UINT32_MAX);
	REFUSES(memset(head->trace_id, 0, 16));
	REFUSES(memset(head->span_id, 0, 8));
	REFUSES(head = (void *)((char *)head + 4));
#undef REFUSES
}

Test(record, knows_key_and_type_of_each_attribute)
{
	cr_assert_str_eq(attribute_key(ATTRIBUTE_HTTP_REQUEST_METHOD), "http.request.method");
	cr_assert_str_eq(attribute_key(ATTRIBUTE_OLD_NET_PEER_PORT), "net.peer.port");
	cr_assert_eq(attribute_type(ATTRIBUTE_SERVER_PORT), ATTRIBUTE_INT);
	cr_assert_eq(attribute_type(ATTRIBUTE_URL_PATH), ATTRIBUTE_STRING);
}

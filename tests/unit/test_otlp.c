// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include "exporter/otlp.h"
#include "exporter/span_message.h"
#include "exporter/utf8.h"
#include "otlp_fixture.h"

static struct arena arena, unpacked;

static void *take(void *data, size_t n)
{
	return arena_alloc(data, n);
}

static void give(void *data, void *p)
{
	(void)data, (void)p;
}

static ProtobufCAllocator allocator = { take, give, &unpacked };

static Otlp__ExportTraceServiceRequest *encode(const struct record_head *const *records, size_t n)
{
	Otlp__ExportTraceServiceRequest *request;
	struct bytes out;
	uint8_t *again;

	arena_free(&arena);
	arena_free(&unpacked);
	arena_init(&arena, 8 << 20);
	arena_init(&unpacked, 8 << 20);
	cr_assert_eq(otlp_encode(&arena, &fixture_resource, records, n, &out), 0);
	request = otlp__export_trace_service_request__unpack(&allocator, out.n,
							     (const uint8_t *)out.p);
	cr_assert_not_null(request);
	/* lengths are minimal and fields in order: another encoder writes the same bytes */
	cr_assert_eq(otlp__export_trace_service_request__get_packed_size(request), out.n);
	again = malloc(out.n);
	otlp__export_trace_service_request__pack(request, again);
	cr_assert_arr_eq(again, out.p, out.n);
	free(again);
	cr_assert_eq(request->n_resource_spans, 1);
	cr_assert_eq(request->resource_spans[0]->n_scope_spans, 1);
	cr_assert_eq(request->resource_spans[0]->scope_spans[0]->n_spans, n);
	return request;
}

static Otlp__Span *encode_one(struct fixture *f)
{
	const struct record_head *record = fixture_end(f);

	cr_assert(record_check(record, record->size));
	return encode(&record, 1)->resource_spans[0]->scope_spans[0]->spans[0];
}

static Otlp__AnyValue *value_of(const Otlp__Span *span, const char *key)
{
	Otlp__AnyValue *found = NULL;

	for (size_t i = 0; i < span->n_attributes; i++) {
		if (strcmp(span->attributes[i]->key, key) != 0)
			continue;
		cr_assert_null(found, "%s is there twice", key);
		found = span->attributes[i]->value;
	}
	return found;
}

static const char *text_of(const Otlp__Span *span, const char *key)
{
	Otlp__AnyValue *value = value_of(span, key);

	if (!value || value->value_case != OTLP__ANY_VALUE__VALUE_STRING_VALUE)
		return "(none)";
	return value->string_value;
}

static bool id_is(ProtobufCBinaryData id, uint8_t byte, size_t n)
{
	for (size_t i = 0; i < id.len; i++)
		if (id.data[i] != byte)
			return false;
	return id.len == n;
}

Test(otlp, says_who_and_what_we_are)
{
	Otlp__ResourceSpans *rs;
	Otlp__Resource *r;

	fixture_batch();
	fixture_resource.lost = 3;
	rs = encode(fixture_records, FIXTURE_SPANS)->resource_spans[0];
	cr_assert_str_eq(rs->schema_url, "https://opentelemetry.io/schemas/1.44.0");
	cr_assert_str_eq(rs->scope_spans[0]->schema_url, "https://opentelemetry.io/schemas/1.44.0");
	cr_assert_str_eq(rs->scope_spans[0]->scope->name, "tagalong");
	cr_assert_str_eq(rs->scope_spans[0]->scope->version, TAGALONG_VERSION);
	r = rs->resource;
	cr_assert_eq(r->n_attributes, 4);
	cr_assert_str_eq(r->attributes[0]->key, "service.name");
	cr_assert_str_eq(r->attributes[0]->value->string_value, "shop \"7\"");
	cr_assert_eq(r->attributes[1]->value->value_case, OTLP__ANY_VALUE__VALUE_INT_VALUE);
	cr_assert_eq(r->attributes[1]->value->int_value, 4711);
	cr_assert_eq(r->attributes[2]->value->value_case, OTLP__ANY_VALUE__VALUE_STRING_VALUE);
	cr_assert_str_eq(r->attributes[2]->value->string_value, "");
	cr_assert_str_eq(r->attributes[3]->value->string_value, "\xef\xbf\xbd");
	cr_assert_eq(r->dropped_attributes_count, 3);
}

Test(otlp, maps_a_server_span)
{
	Otlp__Span *s;

	fixture_batch();
	s = encode(fixture_records, 1)->resource_spans[0]->scope_spans[0]->spans[0];
	cr_assert(id_is(s->trace_id, 0x11, 16));
	cr_assert(id_is(s->span_id, 0x21, 8));
	cr_assert_eq(s->parent_span_id.len, 0);
	cr_assert_str_eq(s->name, "GET /users/{id}");
	cr_assert_eq(s->kind, OTLP__SPAN__SPAN_KIND__SPAN_KIND_SERVER);
	cr_assert_eq(s->start_time_unix_nano, 1700000000000000000u);
	cr_assert_eq(s->end_time_unix_nano, 1700000000001500000u);
	cr_assert_eq(s->n_attributes, 12);
	cr_assert_str_eq(text_of(s, "http.request.method"), "GET");
	cr_assert_str_eq(text_of(s, "user_agent.original"), "curl/7.88.1");
	cr_assert_eq(value_of(s, "http.response.status_code")->value_case,
		     OTLP__ANY_VALUE__VALUE_INT_VALUE);
	cr_assert_eq(value_of(s, "http.response.status_code")->int_value, 200);
	cr_assert_null(s->status);
	cr_assert_eq(s->flags, 0x101);
	cr_assert_eq(s->n_events + s->n_links + s->dropped_attributes_count +
			     s->dropped_links_count + s->dropped_events_count,
		     0);
	cr_assert_str_eq(s->trace_state, "");
}

Test(otlp, maps_parents_errors_and_odd_values)
{
	Otlp__Span **spans, *s;

	fixture_batch();
	spans = encode(fixture_records, FIXTURE_SPANS)->resource_spans[0]->scope_spans[0]->spans;
	s = spans[1];
	cr_assert(id_is(s->parent_span_id, 0x21, 8));
	cr_assert_eq(s->flags, 0x101);
	cr_assert_eq(s->status->code, OTLP__STATUS__STATUS_CODE__STATUS_CODE_ERROR);
	cr_assert_str_eq(s->status->message, "connection \"reset\"\tby\\peer\x01");
	s = spans[3];
	cr_assert_eq(s->flags, 0x303, "a remote parent, and the flags of the span's own context");
	cr_assert_str_eq(s->name,
			 "\xef\xbf\xbd cut \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd a\xef\xbf\xbd"
			 "b");
	cr_assert_eq(value_of(s, "server.port")->int_value, INT64_MIN);
	cr_assert_eq(value_of(s, "client.port")->int_value, INT64_MAX);
	cr_assert_eq(value_of(s, "network.peer.port")->value_case,
		     OTLP__ANY_VALUE__VALUE_INT_VALUE);
	cr_assert_eq(s->dropped_attributes_count, 7);
	cr_assert_eq(s->dropped_links_count, 2);
	s = spans[4];
	cr_assert_str_eq(s->name, "unknown", "receivers want a name");
	cr_assert_eq(s->end_time_unix_nano, s->start_time_unix_nano, "the clock was set back");
	cr_assert_eq(s->flags, 0x100);
	cr_assert_eq(s->kind, OTLP__SPAN__SPAN_KIND__SPAN_KIND_INTERNAL);
}

Test(otlp, maps_links_tracestate_and_headers)
{
	Otlp__Span *s;
	Otlp__ArrayValue *values;

	fixture_batch();
	s = encode(&fixture_records[2], 1)->resource_spans[0]->scope_spans[0]->spans[0];
	cr_assert_str_eq(s->trace_state, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
	cr_assert_eq(s->n_links, 2);
	cr_assert(id_is(s->links[0]->trace_id, 0x55, 16) && id_is(s->links[0]->span_id, 0x66, 8));
	cr_assert_eq(s->links[0]->flags, 0x303);
	cr_assert_str_eq(s->links[0]->trace_state, "vendor=1");
	cr_assert_eq(s->links[1]->flags, 0x100);
	cr_assert_eq(s->n_attributes, 2, "lines of one header are one attribute");
	values = value_of(s, "http.request.header.x-id")->array_value;
	cr_assert_eq(values->n_values, 2);
	cr_assert_str_eq(values->values[0]->string_value, "one");
	cr_assert_str_eq(values->values[1]->string_value, "\xef\xbf\xbd two");
	values = value_of(s, "http.response.header.etag")->array_value;
	cr_assert_eq(values->n_values, 1);
	cr_assert_str_eq(values->values[0]->string_value, "");
}

Test(otlp, gives_a_description_to_errors_only)
{
	static struct fixture f;
	Otlp__Span *s;

	fixture_config();
	fixture_begin(&f, 1, 1);
	record_put(&f.r, RECORD_STATUS_MESSAGE, BYTES("why"));
	cr_assert_null(encode_one(&f)->status);
	f.r.head->status = STATUS_OK;
	s = encode_one(&f);
	cr_assert_eq(s->status->code, OTLP__STATUS__STATUS_CODE__STATUS_CODE_OK);
	cr_assert_str_eq(s->status->message, "");
	fixture_begin(&f, 1, 1);
	f.r.head->status = STATUS_ERROR;
	cr_assert_str_eq(encode_one(&f)->status->message, "");
}

Test(otlp, writes_each_key_once_with_its_last_value)
{
	static struct fixture f;
	Otlp__Span *s;

	fixture_config();
	config.attribute_count_limit = 2;
	fixture_begin(&f, 1, 1);
	record_put(&f.r, ATTRIBUTE_URL_PATH, BYTES("/first"));
	record_put_int(&f.r, ATTRIBUTE_SERVER_PORT, 1);
	record_put(&f.r, ATTRIBUTE_URL_PATH, BYTES("/second"));
	record_put_int(&f.r, ATTRIBUTE_SERVER_PORT, 2);
	s = encode_one(&f);
	cr_assert_str_eq(text_of(s, "url.path"), "/second");
	cr_assert_eq(value_of(s, "server.port")->int_value, 2);
	cr_assert_eq(s->n_attributes, 2);
	cr_assert_eq(s->dropped_attributes_count, 0);
}

Test(otlp, keeps_the_count_limits_and_counts_the_rest)
{
	static struct fixture f;
	struct record_link link = { .trace_id = { 1 }, .span_id = { 1 } };
	Otlp__Span *s;

	fixture_config();
	fixture_begin(&f, 1, 1);
	fixture_put_usual(&f.r);
	record_put_header(&f.r, RECORD_REQUEST_HEADER, BYTES("a"), BYTES("1"));
	record_put_header(&f.r, RECORD_REQUEST_HEADER, BYTES("b"), BYTES("2"));
	for (int i = 0; i < 5; i++)
		record_put_link(&f.r, &link, BYTES("k=v"));
	for (uint32_t limit = 0; limit < 20; limit++) {
		config.attribute_count_limit = limit;
		config.link_count_limit = limit;
		s = encode_one(&f);
		cr_assert_eq(s->n_attributes, limit < 14 ? limit : 14);
		cr_assert_eq(s->n_attributes + s->dropped_attributes_count, 14);
		cr_assert_eq(s->n_links, limit < 5 ? limit : 5);
		cr_assert_eq(s->n_links + s->dropped_links_count, 5);
	}
	config.attribute_count_limit = 13;
	s = encode_one(&f);
	cr_assert_not_null(value_of(s, "http.request.header.a"));
	cr_assert_null(value_of(s, "http.request.header.b"));
}

Test(otlp, counts_the_value_limit_in_characters)
{
	static struct fixture f;
	Otlp__Span *s;

	fixture_config();
	fixture_begin(&f, 1, 1);
	record_put(&f.r, RECORD_NAME, BYTES("a long name stays"));
	record_put(&f.r, ATTRIBUTE_URL_PATH, BYTES("\xe2\x82\xac\xf0\x9f\x98\x80xyz"));
	record_put(&f.r, ATTRIBUTE_URL_QUERY, BYTES("\xff\xff\xff\xff"));
	record_put_header(&f.r, RECORD_REQUEST_HEADER, BYTES("name"), BYTES("12345"));
	record_put_int(&f.r, ATTRIBUTE_SERVER_PORT, 123456);
	config.value_length_limit = "3";
	s = encode_one(&f);
	cr_assert_str_eq(text_of(s, "url.path"), "\xe2\x82\xac\xf0\x9f\x98\x80x");
	cr_assert_str_eq(text_of(s, "url.query"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	cr_assert_str_eq(
		value_of(s, "http.request.header.name")->array_value->values[0]->string_value,
		"123");
	cr_assert_eq(value_of(s, "server.port")->int_value, 123456);
	cr_assert_str_eq(s->name, "a long name stays");
	config.value_length_limit = "0";
	cr_assert_str_eq(text_of(encode_one(&f), "url.path"), "");
	config.value_length_limit = "2147483647";
	cr_assert_str_eq(text_of(encode_one(&f), "url.path"), "\xe2\x82\xac\xf0\x9f\x98\x80xyz");
}

Test(otlp, gathers_metadata_under_its_own_keys)
{
	static struct fixture f;
	Otlp__ArrayValue *tenants;
	Otlp__Span *s;

	fixture_config();
	fixture_begin(&f, 1, 1);
	record_put_header(&f.r, RECORD_REQUEST_HEADER, BYTES("tenant"), BYTES("header"));
	record_put_header(&f.r, RECORD_REQUEST_METADATA, BYTES("Tenant"), BYTES("a"));
	record_put_header(&f.r, RECORD_RESPONSE_METADATA, BYTES("tenant"), BYTES("z"));
	record_put_header(&f.r, RECORD_REQUEST_METADATA, BYTES("tenant"), BYTES("b"));
	s = encode_one(&f);
	cr_assert_eq(s->n_attributes, 3);
	tenants = value_of(s, "rpc.request.metadata.tenant")->array_value;
	cr_assert_eq(tenants->n_values, 2);
	cr_assert_str_eq(tenants->values[0]->string_value, "a");
	cr_assert_str_eq(tenants->values[1]->string_value, "b");
	tenants = value_of(s, "rpc.response.metadata.tenant")->array_value;
	cr_assert_eq(tenants->n_values, 1);
	cr_assert_str_eq(tenants->values[0]->string_value, "z");
}

Test(otlp, replaces_what_is_not_utf8_by_maximal_parts)
{
	/* as bytes.decode('utf-8', 'replace') has it */
	static const struct {
		const char *in, *out;
	} cases[] = {
#define R "\xef\xbf\xbd"
		{ "plain", "plain" },
		{ "\x7f\t\r\n", "\x7f\t\r\n" },
		{ "\xc3\xa9", "\xc3\xa9" },
		{ "\xc3", R },
		{ "\xc3z", R "z" },
		{ "\xc0\x80", R R },
		{ "\xc1\xbf", R R },
		{ "\xe0\x9f\xbf", R R R },
		{ "\xe0\xa0\x80", "\xe0\xa0\x80" },
		{ "\xe2\x82", R },
		{ "\xe2\x82z", R "z" },
		{ "\xed\x9f\xbf", "\xed\x9f\xbf" },
		{ "\xed\xa0\x80", R R R },
		{ "\xf0\x90\x80", R },
		{ "\xf0\x8f\xbf\xbf", R R R R },
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
		{ "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" },
		{ "\xf4\x90\x80\x80", R R R R },
		{ "\xf5\x80", R R },
		{ "\xff\xfe", R R },
		{ "a\x80\x80z", "a" R R "z" },
		{ "\xf0\x9f\xc3\xa9", R "\xc3\xa9" },
#undef R
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct bytes in = guard_copy(cases[i].in, strlen(cases[i].in));
		char *out = guard_room(in.n * UTF8_GROWTH);
		size_t n = utf8_clean(out, in, UTF8_NO_LIMIT);

		cr_assert(bytes_equal((struct bytes){ out, n }, bytes_of(cases[i].out)), "case %zu",
			  i);
		cr_assert_eq(utf8_clean(out, in, 0), 0);
		guard_free(in);
	}
}

Test(otlp, says_when_memory_is_out_at_every_step)
{
	struct bytes out = BYTES("untouched");
	unsigned failed = 0;
	int err = -1;

	fixture_batch();
	for (size_t left = 0; err; left += 16) {
		arena_left(&arena, left);
		err = otlp_encode(&arena, &fixture_resource, fixture_records, FIXTURE_SPANS, &out);
		cr_assert(err == 0 || err == -ENOMEM);
		cr_assert(err == 0 || bytes_equal(out, BYTES("untouched")));
		failed += err != 0;
		cr_assert_lt(left, ARENA_CHUNK);
	}
	cr_assert_gt(failed, 100);
	cr_assert_gt(out.n, 500);
}

Test(otlp, stays_inside_its_scratch_at_every_size)
{
	struct span_limits limits;
	size_t fits[FIXTURE_SPANS] = { 0 };

	fixture_batch();
	limits = span_limits_read();
	for (unsigned i = 0; i < FIXTURE_SPANS; i++) {
		for (size_t size = 0; !fits[i]; size += 8) {
			struct scratch s = { guard_room(size), 0, size };

			if (span_message(&s, fixture_records[i], &limits))
				fits[i] = size;
		}
	}
	for (size_t size = 0, done = 0; !done; size += 8) {
		struct scratch s = { guard_room(size), 0, size };

		done = resource_message(&s, &fixture_resource) != NULL;
	}
	for (unsigned i = 0; i < FIXTURE_SPANS; i++) {
		struct scratch s;

		arena_free(&arena);
		arena_init(&arena, 1 << 20);
		cr_assert_eq(span_scratch(&s, &arena, &fixture_records[i], 1), 0);
		cr_assert_geq(s.size, fits[i]);
	}
}

/* Fills a record to the brim with one kind of field. */
static void fill(struct record *r, int kind)
{
	static const char big[RECORD_VALUE_MAX] = { [0 ... RECORD_VALUE_MAX - 1] = (char)0xff };
	struct record_link link = { .trace_id = { 1 }, .span_id = { 1 } };
	char name[] = "aaa";

	for (unsigned i = 0; i < 5000 && r->room - r->n > 300; i++) {
		name[0] = (char)('a' + i % 26);
		name[1] = (char)('a' + i / 26 % 26);
		if (kind == 0)
			record_put_header(r, RECORD_REQUEST_HEADER, BYTES("a"), BYTES(""));
		else if (kind == 1)
			record_put_header(r, RECORD_RESPONSE_HEADER, bytes_of(name), BYTES("\xff"));
		else if (kind == 2)
			record_put_link(r, &link, BYTES(""));
		else if (kind == 3)
			record_put(r, i % ATTRIBUTE_COUNT, BYTES(""));
		else if (kind == 4)
			record_put(r, ATTRIBUTE_URL_PATH, (struct bytes){ big, sizeof(big) });
		else if (kind == 5)
			record_put_header(r, RECORD_REQUEST_HEADER, (struct bytes){ big, 256 },
					  BYTES("v"));
		else
			record_put(r, RECORD_NAME, (struct bytes){ big, 200 });
	}
}

Test(otlp, never_fails_on_a_legal_record)
{
	static struct fixture f;

	fixture_config();
	config.attribute_count_limit = 2147483647;
	config.link_count_limit = 2147483647;
	for (int kind = 0; kind < 7; kind++) {
		fixture_begin(&f, 1, 1);
		fill(&f.r, kind);
		if (kind == 3) { /* an INT must hold 8 bytes: leave those out */
			fixture_begin(&f, 1, 1);
			for (unsigned i = 0; i < 2000; i++)
				if (attribute_type(i % ATTRIBUTE_COUNT) != ATTRIBUTE_INT)
					record_put(&f.r, i % ATTRIBUTE_COUNT, BYTES(""));
				else
					record_put_int(&f.r, i % ATTRIBUTE_COUNT, -1);
		}
		encode_one(&f);
	}
}

Test(otlp, encodes_a_full_batch)
{
	static struct fixture f[512];
	static const struct record_head *records[512];
	Otlp__ExportTraceServiceRequest *request;

	fixture_config();
	for (unsigned i = 0; i < 512; i++) {
		fixture_begin(&f[i], (uint8_t)(i + 1), (uint8_t)(i / 2 + 1));
		fixture_put_usual(&f[i].r);
		f[i].r.head->trace_id[0] = f[i].r.head->span_id[0] = 1;
		f[i].r.head->trace_id[1] = f[i].r.head->span_id[1] = 1;
		records[i] = fixture_end(&f[i]);
	}
	request = encode(records, 512);
	cr_assert_str_eq(request->resource_spans[0]->scope_spans[0]->spans[511]->name,
			 "GET /users/{id}");
}

// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "exporter/json.h"
#include "exporter/otlp.h"
#include "otlp_fixture.h"

#define SCHEMA "https://opentelemetry.io/schemas/1.44.0"

static struct arena arena;

static struct bytes encode(const struct record_head *const *records, size_t n)
{
	struct bytes out;

	arena_free(&arena);
	arena_init(&arena, 8 << 20);
	cr_assert_eq(json_encode(&arena, &fixture_resource, records, n, &out), 0);
	return out;
}

Test(json, is_written_as_the_file_exporter_has_it)
{
	static struct fixture f;
	const struct record_head *record;
	struct bytes line;

	fixture_config();
	fixture_add("service.name", "shop", 0);
	fixture_add("process.pid", NULL, 12);
	fixture_begin(&f, 0xab, 0xcd);
	memset(f.r.head->parent_id, 0xef, 8);
	f.r.head->parent_remote = 1;
	f.r.head->status = STATUS_ERROR;
	record_put(&f.r, RECORD_NAME, BYTES("GET /\"x\"\\"));
	record_put(&f.r, RECORD_TRACE_STATE, BYTES("a=1"));
	record_put_int(&f.r, ATTRIBUTE_HTTP_RESPONSE_STATUS_CODE, 500);
	record_put(&f.r, ATTRIBUTE_URL_QUERY, BYTES(""));
	record_put_header(&f.r, RECORD_REQUEST_HEADER, BYTES("A"), BYTES("b"));
	record = fixture_end(&f);
	line = encode(&record, 1);
	cr_assert(
		bytes_equal(line,
			    BYTES("{\"resourceSpans\":[{\"resource\":{\"attributes\":["
				  "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"shop\"}},"
				  "{\"key\":\"process.pid\",\"value\":{\"intValue\":\"12\"}}]},"
				  "\"scopeSpans\":[{\"scope\":{\"name\":\"tagalong\",\"version\":"
				  "\"" TAGALONG_VERSION "\"},\"spans\":[{"
				  "\"traceId\":\"abababababababababababababababab\","
				  "\"spanId\":\"cdcdcdcdcdcdcdcd\","
				  "\"traceState\":\"a=1\","
				  "\"parentSpanId\":\"efefefefefefefef\","
				  "\"name\":\"GET /\\\"x\\\"\\\\\","
				  "\"kind\":2,"
				  "\"startTimeUnixNano\":\"1700000000000000000\","
				  "\"endTimeUnixNano\":\"1700000000001500000\","
				  "\"attributes\":["
				  "{\"key\":\"http.response.status_code\",\"value\":{\"intValue\":"
				  "\"500\"}},"
				  "{\"key\":\"url.query\",\"value\":{\"stringValue\":\"\"}},"
				  "{\"key\":\"http.request.header.a\",\"value\":{\"arrayValue\":{"
				  "\"values\":["
				  "{\"stringValue\":\"b\"}]}}}],"
				  "\"status\":{\"code\":2},"
				  "\"flags\":769}],"
				  "\"schemaUrl\":\"" SCHEMA "\"}],"
				  "\"schemaUrl\":\"" SCHEMA "\"}]}\n")),
		"%.*s", (int)line.n, line.p);
}

Test(json, escapes_what_must_be_and_nothing_else)
{
	static struct fixture f;
	const struct record_head *record;
	char every[128];
	struct bytes line;

	fixture_config();
	for (int i = 0; i < 128; i++)
		every[i] = (char)i;
	fixture_begin(&f, 1, 1);
	record_put(&f.r, RECORD_NAME, (struct bytes){ every + 1, 127 });
	record = fixture_end(&f);
	line = encode(&record, 1);
	cr_assert_not_null(memmem(line.p, line.n, "\"\\u0001\\u0002", 13));
	cr_assert_not_null(memmem(line.p, line.n, "\\u0007\\b\\t\\n\\u000b\\f\\r\\u000e", 27));
	cr_assert_not_null(memmem(line.p, line.n, "\\u001f !\\\"#", 11));
	cr_assert_not_null(memmem(line.p, line.n, "[\\\\]", 4));
	cr_assert_not_null(memmem(line.p, line.n, "~\x7f\"", 3));
	for (size_t i = 0; i + 1 < line.n; i++)
		cr_assert((unsigned char)line.p[i] >= 0x20);
}

static void save(const char *path, struct bytes b)
{
	FILE *f = fopen(path, "w");

	cr_assert_not_null(f);
	cr_assert_eq(fwrite(b.p, 1, b.n, f), b.n);
	fclose(f);
}

/* Run from the top of the tree, as make does. */
static void let_python_compare(const struct record_head *const *records, size_t n)
{
	char folder[] = "/tmp/tagalong-json-XXXXXX", request[64], line[64], command[256];
	struct bytes out;

	cr_assert_not_null(mkdtemp(folder));
	snprintf(request, sizeof(request), "%s/request", folder);
	snprintf(line, sizeof(line), "%s/line", folder);
	save(line, encode(records, n));
	cr_assert_eq(otlp_encode(&arena, &fixture_resource, records, n, &out), 0);
	save(request, out);
	snprintf(command, sizeof(command),
		 "LD_PRELOAD= /usr/bin/python3 tests/unit/otlp_agree.py %s %s", request, line);
	cr_assert_eq(system(command), 0);
	unlink(request);
	unlink(line);
	rmdir(folder);
}

Test(json, says_what_the_protobuf_says, .timeout = 60)
{
	fixture_batch();
	let_python_compare(fixture_records, FIXTURE_SPANS);
}

Test(json, says_what_the_protobuf_says_of_any_bytes, .timeout = 120)
{
	static struct fixture f[40];
	static const struct record_head *records[40];
	char noise[300];

	srand(11);
	fixture_batch();
	config.value_length_limit = "100";
	config.attribute_count_limit = 20;
	for (unsigned i = 0; i < 40; i++) {
		fixture_begin(&f[i], (uint8_t)(i + 1), (uint8_t)(i + 1));
		for (unsigned key = 0; key < ATTRIBUTE_COUNT + 2; key++) {
			struct bytes value = { noise, (size_t)rand() % sizeof(noise) };

			for (size_t j = 0; j < value.n; j++) /* mostly text, also halves of it */
				noise[j] = (char)(rand() % 4 ? rand() % 256 : 0xc3 + rand() % 60);
			if (key >= ATTRIBUTE_COUNT)
				record_put(&f[i].r, RECORD_NAME + key - ATTRIBUTE_COUNT, value);
			else if (attribute_type(key) == ATTRIBUTE_INT)
				record_put_int(&f[i].r, key, (int64_t)rand() * rand() * -2);
			else if (rand() % 2)
				record_put(&f[i].r, key, value);
		}
		records[i] = fixture_end(&f[i]);
	}
	let_python_compare(records, 40);
}

Test(json, says_when_memory_is_out_at_every_step)
{
	struct bytes out = BYTES("untouched");
	unsigned failed = 0;
	int err = -1;

	fixture_batch();
	for (size_t left = 0; err; left += 16) {
		arena_left(&arena, left);
		err = json_encode(&arena, &fixture_resource, fixture_records, FIXTURE_SPANS, &out);
		cr_assert(err == 0 || err == -ENOMEM);
		cr_assert(err == 0 || bytes_equal(out, BYTES("untouched")));
		failed += err != 0;
		cr_assert_lt(left, ARENA_CHUNK);
	}
	cr_assert_gt(failed, 100);
}

/* The ceiling that batch.h promises, on the worst values there are. */
Test(json, grows_no_more_than_promised)
{
	static const char worst[8000] = { [0 ... 7999] = 1 };
	static struct fixture f[64];
	static const struct record_head *records[64];
	size_t bytes = 0;

	fixture_config();
	for (unsigned i = 0; i < 64; i++) {
		fixture_begin(&f[i], 1, 1);
		record_put(&f[i].r, ATTRIBUTE_URL_PATH, (struct bytes){ worst, 8000 });
		record_put(&f[i].r, ATTRIBUTE_URL_QUERY, (struct bytes){ worst, 8000 });
		records[i] = fixture_end(&f[i]);
		bytes += records[i]->size;
	}
	encode(records, 64);
	cr_assert_leq(arena.mapped, bytes * 8 + ARENA_CHUNK);
}

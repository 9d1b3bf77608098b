/* SPDX-License-Identifier: Apache-2.0 */
/* Records, from any bytes that pass record_check(): both encoders take them, and what they make is
 * well-formed: protobuf-c reads the request back, the line is text without control characters. */
#include <stdlib.h>
#include "base/arena.h"
#include "base/config.h"
#include "exporter/console.h"
#include "exporter/json.h"
#include "exporter/otlp.h"
#include "exporter/otlp.pb-c.h"
#include "exporter/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct arena arena;
static struct resource resource;

static void must(bool true_always)
{
	if (!true_always)
		abort();
}

/* A head that is sane; the fields are the fuzzer's. */
static struct record_head *record_of(const uint8_t *data, size_t size)
{
	size_t total = sizeof(struct record_head) + (size & ~(size_t)7);
	struct record_head *head = aligned_alloc(8, total);

	*head = (struct record_head){ .size = (uint32_t)total, .kind = SPAN_SERVER };
	memset(head->trace_id, 1, sizeof(head->trace_id));
	memset(head->span_id, 2, sizeof(head->span_id));
	if (size >= 8) {
		head->status = data[0] % 3;
		head->trace_flags = data[1];
		head->parent_remote = data[2] & 1;
		head->dropped = data[3];
	}
	memcpy(head + 1, data, total - sizeof(*head));
	return head;
}

/* The same record by way of record_put(): fields { key, length, bytes }. */
static const struct record_head *record_put_all(const uint8_t *data, size_t size)
{
	static _Alignas(8) char room[RECORD_MAX];
	struct record r;
	size_t at = 0;

	record_begin(&r, room, sizeof(room));
	r.head->kind = SPAN_CLIENT;
	memset(r.head->trace_id, 1, sizeof(r.head->trace_id));
	memset(r.head->span_id, 3, sizeof(r.head->span_id));
	while (size - at > 2) {
		unsigned key = data[at];
		size_t n = data[at + 1] < size - at - 2 ? data[at + 1] : size - at - 2;
		struct bytes value = { (const char *)data + at + 2, n };

		if (key < ATTRIBUTE_COUNT && attribute_type(key) == ATTRIBUTE_INT)
			record_put_int(&r, key, (int64_t)(n * 1000003 - 500));
		else if (key < ATTRIBUTE_COUNT)
			record_put(&r, key, value);
		else if (key % 4 == 0)
			record_put(&r, RECORD_NAME, value);
		else if (key % 4 == 1)
			record_put_header(&r,
					  n & 1 ? RECORD_REQUEST_HEADER : RECORD_RESPONSE_METADATA,
					  (struct bytes){ value.p, n / 4 }, value);
		else if (key % 4 == 2)
			record_put(&r, RECORD_TRACE_STATE, value);
		else
			record_put(&r, RECORD_STATUS_MESSAGE, value);
		at += 2 + n;
	}
	record_end(&r);
	must(record_check(r.head, r.head->size));
	return r.head;
}

static void encode(const struct record_head *record)
{
	Otlp__ExportTraceServiceRequest *request;
	struct bytes out;

	must(otlp_encode(&arena, &resource, &record, 1, &out) == 0);
	request = otlp__export_trace_service_request__unpack(NULL, out.n, (const uint8_t *)out.p);
	must(request && request->resource_spans[0]->scope_spans[0]->n_spans == 1);
	otlp__export_trace_service_request__free_unpacked(request, NULL);
	must(json_encode(&arena, &resource, &record, 1, &out) == 0);
	for (size_t i = 0; i + 1 < out.n; i++)
		must((uint8_t)out.p[i] >= ' ');
	char *clean = malloc(out.n * UTF8_GROWTH);

	must(utf8_clean(clean, out, UTF8_NO_LIMIT) == out.n && !memcmp(clean, out.p, out.n));
	free(clean);
	must(console_write(9999, &arena, &resource, &record, 1) != 0); /* draws it, to nowhere */
	arena_reset(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record_head *head;

	if (size > RECORD_MAX - sizeof(*head))
		return 0;
	if (!arena.max) {
		arena_init(&arena, 16 << 20);
		config.value_length_limit = "100";
		config.attribute_count_limit = 128;
		config.link_count_limit = 128;
	}
	head = record_of(data, size);
	if (record_check(head, head->size))
		encode(head);
	free(head);
	encode(record_put_all(data, size));
	return 0;
}

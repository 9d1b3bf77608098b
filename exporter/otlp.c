// SPDX-License-Identifier: Apache-2.0
/* The request is written in two rounds over the records: first the spans' sizes, which the lengths
 * of the messages around them need, then the bytes. So no batch of messages is ever held, only one
 * span at a time. */
#include "exporter/otlp.h"

#include "base/arena.h"
#include "base/guard.h"
#include "base/process.h"
#include "base/raw.h"
#include "exporter/span_message.h"

/* Field numbers of the messages around the spans, all length-delimited (wire type 2). */
#define TAG(field)         ((uint8_t)((field) << 3 | 2))
#define TAG_RESOURCE_SPANS TAG(1) /* ExportTraceServiceRequest */
#define TAG_RESOURCE       TAG(1) /* ResourceSpans */
#define TAG_SCOPE_SPANS    TAG(2)
#define TAG_SCOPE          TAG(1) /* ScopeSpans */
#define TAG_SPANS          TAG(2)
#define TAG_SCHEMA_URL     TAG(3) /* both */

/* After so many spans (some 40 us) whoever waits for this processor goes first. */
#define SPANS_AT_A_STRETCH 32

struct encoding {
	const struct record_head *const *records;
	size_t count;
	struct span_limits limits;
	struct scratch scratch;
	Otlp__Resource *resource;
	size_t resource_size, scope_size, spans_size, scope_spans_size, resource_spans_size;
};

static size_t varint_size(uint64_t v)
{
	size_t n = 1;

	while (v >>= 7)
		n++;
	return n;
}

/* A field of n bytes with its tag and length. */
static size_t field_size(size_t n)
{
	return 1 + varint_size(n) + n;
}

static uint8_t *put_field_head(uint8_t *to, uint8_t tag, size_t n)
{
	*to++ = tag;
	for (; n > 0x7f; n >>= 7)
		*to++ = (uint8_t)(n | 0x80);
	*to++ = (uint8_t)n;
	return to;
}

static uint8_t *put_schema_url(uint8_t *to)
{
	to = put_field_head(to, TAG_SCHEMA_URL, sizeof(OTLP_SCHEMA_URL) - 1);
	memcpy(to, OTLP_SCHEMA_URL, sizeof(OTLP_SCHEMA_URL) - 1);
	return to + sizeof(OTLP_SCHEMA_URL) - 1;
}

/* A batch takes about a millisecond. Where all processors are in use a kernel that does not preempt
 * would let the program wait for the end of it, or for the next clock tick. */
static void let_others_run(size_t done)
{
	if (done % SPANS_AT_A_STRETCH == 0 && process_may_call())
		raw_sched_yield();
}

static int measure(struct encoding *e)
{
	const size_t url = field_size(sizeof(OTLP_SCHEMA_URL) - 1);

	e->resource_size = otlp__resource__get_packed_size(e->resource);
	e->scope_size = otlp__instrumentation_scope__get_packed_size(&scope_message);
	for (size_t i = 0; i < e->count; i++) {
		Otlp__Span *span;

		e->scratch.used = 0;
		span = span_message(&e->scratch, e->records[i], &e->limits);
		if (!span)
			return -ENOMEM;
		e->spans_size += field_size(otlp__span__get_packed_size(span));
		let_others_run(i + 1);
	}
	e->scope_spans_size = field_size(e->scope_size) + e->spans_size + url;
	e->resource_spans_size =
		field_size(e->resource_size) + field_size(e->scope_spans_size) + url;
	return 0;
}

static uint8_t *put_spans(struct encoding *e, uint8_t *to)
{
	for (size_t i = 0; i < e->count; i++) {
		Otlp__Span *span;

		e->scratch.used = 0;
		span = span_message(&e->scratch, e->records[i], &e->limits);
		to = put_field_head(to, TAG_SPANS, otlp__span__get_packed_size(span));
		to += otlp__span__pack(span, to);
		let_others_run(i + 1);
	}
	return to;
}

static uint8_t *put_request(struct encoding *e, uint8_t *to)
{
	to = put_field_head(to, TAG_RESOURCE_SPANS, e->resource_spans_size);
	to = put_field_head(to, TAG_RESOURCE, e->resource_size);
	to += otlp__resource__pack(e->resource, to);
	to = put_field_head(to, TAG_SCOPE_SPANS, e->scope_spans_size);
	to = put_field_head(to, TAG_SCOPE, e->scope_size);
	to += otlp__instrumentation_scope__pack(&scope_message, to);
	to = put_spans(e, to);
	to = put_schema_url(to);
	return put_schema_url(to);
}

static int encode(struct arena *a, const struct resource *r,
		  const struct record_head *const *records, size_t n, struct bytes *out)
{
	struct encoding e = { .records = records, .count = n, .limits = span_limits_read() };
	struct scratch for_resource;
	uint8_t *request;
	size_t size;

	if (resource_scratch(&for_resource, a, r) < 0 ||
	    span_scratch(&e.scratch, a, records, n) < 0)
		return -ENOMEM;
	e.resource = resource_message(&for_resource, r);
	if (!e.resource || measure(&e) < 0)
		return -ENOMEM;
	size = field_size(e.resource_spans_size);
	request = arena_alloc(a, size);
	if (!request)
		return -ENOMEM;
	put_request(&e, request);
	*out = (struct bytes){ (const char *)request, size };
	return 0;
}

/* protobuf-c asserts; at the program's end this is the program's own thread. */
int otlp_encode(struct arena *a, const struct resource *r, const struct record_head *const *records,
		size_t n, struct bytes *out)
{
	struct guard g;
	int err;

	if (guard_begin(&g))
		return -EFAULT;
	err = encode(a, r, records, n, out);
	guard_end();
	return err;
}

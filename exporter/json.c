// SPDX-License-Identifier: Apache-2.0
/* Spells the same messages that otlp.c packs, by walking protobuf-c's descriptors: no mapping from
 * records to JSON of its own. Two rounds: the first only counts, then the line is written. */
#include "exporter/json.h"

#include "base/arena.h"
#include "base/raw.h"
#include "exporter/otlp.h"
#include "exporter/span_message.h"

struct json {
	char *p; /* NULL: only counts */
	size_t n;
};

static void put_message(struct json *j, const ProtobufCMessage *m);

static void put(struct json *j, const char *p, size_t n)
{
	if (j->p)
		memcpy(j->p + j->n, p, n);
	j->n += n;
}

static void put_char(struct json *j, char c)
{
	if (j->p)
		j->p[j->n] = c;
	j->n++;
}

static void put_literal(struct json *j, const char *s)
{
	put(j, s, strlen(s));
}

static void put_escaped(struct json *j, char c)
{
	static const char digits[] = "0123456789abcdef";
	static const char named[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* character, its letter, ... */

	put_char(j, '\\');
	for (size_t i = 0; i < sizeof(named) - 1; i += 2) {
		if (named[i] == c) {
			put_char(j, named[i + 1]);
			return;
		}
	}
	put_literal(j, "u00");
	put_char(j, digits[(unsigned char)c >> 4]);
	put_char(j, digits[c & 15]);
}

/* s is UTF-8 (message_text() made it so), which JSON takes as it is. */
static void put_string(struct json *j, const char *s)
{
	const char *from = s;

	put_char(j, '"');
	for (; *s; s++) {
		if ((unsigned char)*s >= 0x20 && *s != '"' && *s != '\\')
			continue;
		put(j, from, (size_t)(s - from));
		put_escaped(j, *s);
		from = s + 1;
	}
	put(j, from, (size_t)(s - from));
	put_char(j, '"');
}

static void put_u64(struct json *j, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + v % 10);
	while (v /= 10);
	put(j, digits + at, sizeof(digits) - at);
}

static void put_i64(struct json *j, int64_t v)
{
	if (v < 0)
		put_char(j, '-');
	put_u64(j, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

#define NS_PER_S 1000000000ull

/* Our fractions are seconds made of nanoseconds: nine decimals are all there is. */
static void put_double(struct json *j, double v)
{
	char decimals[9];
	uint64_t whole, rest;
	size_t n = sizeof(decimals);

	if (!(v > -1e18 && v < 1e18)) { /* nor is JSON able to say infinity */
		put_literal(j, "null");
		return;
	}
	if (v < 0) {
		put_char(j, '-');
		v = -v;
	}
	whole = (uint64_t)v;
	rest = (uint64_t)((v - (double)whole) * (double)NS_PER_S + 0.5);
	put_u64(j, whole + rest / NS_PER_S);
	rest %= NS_PER_S;
	for (size_t i = n; i > 0; rest /= 10)
		decimals[--i] = (char)('0' + rest % 10);
	while (n && decimals[n - 1] == '0')
		n--;
	if (n)
		put_char(j, '.');
	put(j, decimals, n);
}

/* The only bytes here are trace and span ids, which OTLP-JSON wants in hexadecimal. */
static void put_id(struct json *j, const ProtobufCBinaryData *id)
{
	static const char digits[] = "0123456789abcdef";

	put_char(j, '"');
	for (size_t i = 0; i < id->len; i++) {
		put_char(j, digits[id->data[i] >> 4]);
		put_char(j, digits[id->data[i] & 15]);
	}
	put_char(j, '"');
}

/* trace_id becomes "traceId". */
static void put_name(struct json *j, const char *name)
{
	put_char(j, '"');
	for (; *name; name++) {
		if (*name == '_' && name[1])
			put_char(j, (char)(*++name - 'a' + 'A'));
		else
			put_char(j, *name);
	}
	put_literal(j, "\":");
}

/* OTLP-JSON: 64-bit numbers are strings, enumerations are numbers. */
static void put_value(struct json *j, const ProtobufCFieldDescriptor *f, const void *value)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		put_message(j, *(const ProtobufCMessage *const *)value);
		break;
	case PROTOBUF_C_TYPE_STRING:
		put_string(j, *(const char *const *)value);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		put_id(j, value);
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		put_char(j, '"');
		put_i64(j, *(const int64_t *)value);
		put_char(j, '"');
		break;
	case PROTOBUF_C_TYPE_FIXED64:
		put_char(j, '"');
		put_u64(j, *(const uint64_t *)value);
		put_char(j, '"');
		break;
	case PROTOBUF_C_TYPE_BOOL:
		put_literal(j, *(const protobuf_c_boolean *)value ? "true" : "false");
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_ENUM: /* ours are not negative */
		put_u64(j, *(const uint32_t *)value);
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		put_double(j, *(const double *)value);
		break;
	default: /* no message of ours holds one */
		put_literal(j, "null");
	}
}

/* proto3: a field that holds its default is not written. */
static bool is_default(const ProtobufCFieldDescriptor *f, const void *value)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		return *(const ProtobufCMessage *const *)value == NULL;
	case PROTOBUF_C_TYPE_STRING:
		return !*(const char *const *)value || !**(const char *const *)value;
	case PROTOBUF_C_TYPE_BYTES:
		return ((const ProtobufCBinaryData *)value)->len == 0;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return *(const uint64_t *)value == 0;
	default:
		return *(const uint32_t *)value == 0;
	}
}

static size_t count_of(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	const char *base = (const char *)m;
	const void *value = base + f->offset;

	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)(const void *)(base + f->quantifier_offset);
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) /* the one that is set, also when it is 0 */
		return *(const uint32_t *)(const void *)(base + f->quantifier_offset) == f->id;
	return !is_default(f, value);
}

/* Bytes of one in a list; of messages there are pointers. */
static size_t size_of(const ProtobufCFieldDescriptor *f)
{
	return f->type == PROTOBUF_C_TYPE_MESSAGE ? sizeof(void *) : sizeof(uint64_t);
}

static void put_field(struct json *j, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
		      size_t n)
{
	const void *value = (const char *)m + f->offset;

	put_name(j, f->name);
	if (f->label != PROTOBUF_C_LABEL_REPEATED) {
		put_value(j, f, value);
		return;
	}
	put_char(j, '[');
	for (size_t i = 0; i < n; i++) {
		if (i)
			put_char(j, ',');
		put_value(j, f, *(const char *const *)value + i * size_of(f));
	}
	put_char(j, ']');
}

static void put_message(struct json *j, const ProtobufCMessage *m)
{
	bool first = true;

	put_char(j, '{');
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		size_t n = count_of(m, f);

		if (!n)
			continue;
		if (!first)
			put_char(j, ',');
		first = false;
		put_field(j, m, f, n);
	}
	put_char(j, '}');
}

/* ---- one batch ---- */

struct line {
	const struct record_head *const *records;
	size_t count;
	struct span_limits limits;
	struct scratch scratch;
	Otlp__Resource *resource;
};

static int put_spans(struct json *j, struct line *l)
{
	for (size_t i = 0; i < l->count; i++) {
		Otlp__Span *span;

		l->scratch.used = 0;
		span = span_message(&l->scratch, l->records[i], &l->limits);
		if (!span)
			return -ENOMEM;
		if (i)
			put_char(j, ',');
		put_message(j, &span->base);
	}
	return 0;
}

static int put_line(struct json *j, struct line *l)
{
	put_literal(j, "{\"resourceSpans\":[{\"resource\":");
	put_message(j, &l->resource->base);
	put_literal(j, ",\"scopeSpans\":[{\"scope\":");
	put_message(j, &scope_message.base);
	put_literal(j, ",\"spans\":[");
	if (put_spans(j, l) < 0)
		return -ENOMEM;
	put_literal(j, "],\"schemaUrl\":\"" OTLP_SCHEMA_URL "\"}],"
		       "\"schemaUrl\":\"" OTLP_SCHEMA_URL "\"}]}\n");
	return 0;
}

int json_encode(struct arena *a, const struct resource *r, const struct record_head *const *records,
		size_t n, struct bytes *out)
{
	struct line l = { .records = records, .count = n, .limits = span_limits_read() };
	struct scratch for_resource;
	struct json j = { NULL, 0 };

	if (resource_scratch(&for_resource, a, r) < 0 ||
	    span_scratch(&l.scratch, a, records, n) < 0)
		return -ENOMEM;
	l.resource = resource_message(&for_resource, r);
	if (!l.resource || put_line(&j, &l) < 0)
		return -ENOMEM;
	j = (struct json){ arena_alloc(a, j.n), 0 };
	if (!j.p)
		return -ENOMEM;
	put_line(&j, &l);
	*out = (struct bytes){ j.p, j.n };
	return 0;
}

int json_encode_message(struct arena *a, const ProtobufCMessage *m, struct bytes *out)
{
	struct json j = { NULL, 0 };

	put_message(&j, m);
	j = (struct json){ arena_alloc(a, j.n), 0 };
	if (!j.p)
		return -ENOMEM;
	put_message(&j, m);
	*out = (struct bytes){ j.p, j.n };
	return 0;
}

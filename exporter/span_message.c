// SPDX-License-Identifier: Apache-2.0
#include "exporter/span_message.h"

#include "base/config.h"
#include "exporter/utf8.h"

#define FLAG_REMOTE_KNOWN 0x100u /* OTLP Span.flags: whether the parent is remote is known ... */
#define FLAG_REMOTE       0x200u /* ... and it is */
#define HEADER_KEY_MAX    (sizeof("rpc.response.metadata.") + UTF8_GROWTH * RECORD_HEADER_NAME_MAX)
#define LINK_COST         (sizeof(Otlp__Span__Link) + 32)

struct span_limits span_limits_read(void)
{
	struct span_limits limits = {
		.attributes = config.attribute_count_limit,
		.links = config.link_count_limit,
		.value_chars = UTF8_NO_LIMIT,
	};

	bytes_to_u64(bytes_of(config.value_length_limit), &limits.value_chars);
	return limits;
}

int span_scratch(struct scratch *s, struct arena *a, const struct record_head *const *records,
		 size_t n)
{
	const size_t each = MESSAGE_ATTRIBUTE_COST > LINK_COST ? MESSAGE_ATTRIBUTE_COST : LINK_COST;
	size_t most = 0;

	for (size_t i = 0; i < n; i++) {
		struct record_field_view field;
		size_t pos = 0, fields = 2, need;

		while (record_next(records[i], &pos, &field))
			fields++;
		need = fields * each + (size_t)records[i]->size * UTF8_GROWTH + sizeof(Otlp__Span) +
		       sizeof(Otlp__Status);
		most = need > most ? need : most;
	}
	return scratch_init(s, a, most);
}

struct builder {
	struct scratch *scratch;
	const struct span_limits *limits;
	Otlp__Span *span;
	Otlp__KeyValue *known[ATTRIBUTE_COUNT]; /* where a key stands already */
};

/* Makes room for one more attribute: false when the limit is reached (counted). */
static bool may_add_attribute(struct builder *b)
{
	if (b->span->n_attributes < b->limits->attributes)
		return true;
	b->span->dropped_attributes_count++;
	return false;
}

static bool put_attribute(struct builder *b, const struct record_field_view *field)
{
	Otlp__Span *span = b->span;
	enum attribute_type type = attribute_type(field->key);
	char *key = (char *)(uintptr_t)attribute_key(field->key);
	Otlp__AnyValue *value;

	if (!b->known[field->key] && !may_add_attribute(b))
		return true;
	value = type == ATTRIBUTE_INT
			? message_int(b->scratch, record_int(field))
			: message_string(b->scratch, field->value, b->limits->value_chars);
	if (value && type == ATTRIBUTE_STRINGS)
		value = message_array(b->scratch, value);
	if (!value)
		return false;
	if (b->known[field->key]) { /* the same key again overwrites */
		b->known[field->key]->value = value;
		return true;
	}
	b->known[field->key] = message_pair(b->scratch, key, value);
	if (!b->known[field->key])
		return false;
	span->attributes[span->n_attributes++] = b->known[field->key];
	return true;
}

/* Empty: no field that names itself. */
static struct bytes header_prefix(unsigned field)
{
	switch (field) {
	case RECORD_REQUEST_HEADER:
		return BYTES("http.request.header.");
	case RECORD_RESPONSE_HEADER:
		return BYTES("http.response.header.");
	case RECORD_REQUEST_METADATA:
		return BYTES("rpc.request.metadata.");
	case RECORD_RESPONSE_METADATA:
		return BYTES("rpc.response.metadata.");
	default:
		return (struct bytes){ NULL, 0 };
	}
}

/* "http.request.header.<name>" in lower case. */
static char *header_key(struct scratch *s, unsigned field, struct bytes name)
{
	struct bytes prefix = header_prefix(field);
	char key[HEADER_KEY_MAX];
	size_t n;

	if (name.n > RECORD_HEADER_NAME_MAX)
		name.n = RECORD_HEADER_NAME_MAX;
	memcpy(key, prefix.p, prefix.n);
	n = prefix.n + utf8_clean(key + prefix.n, name, UTF8_NO_LIMIT);
	for (size_t i = prefix.n; i < n; i++)
		key[i] = ascii_lower(key[i]);
	return message_text(s, (struct bytes){ key, n }, UTF8_NO_LIMIT);
}

static bool put_header(struct builder *b, const struct record_field_view *field)
{
	struct bytes value = field->value, name = bytes_split(&value, 0);
	Otlp__Span *span = b->span;
	size_t before = b->scratch->used;
	char *key = header_key(b->scratch, field->key, name);
	Otlp__AnyValue *element;

	if (!key)
		return false;
	for (size_t i = 0; i < span->n_attributes; i++) {
		Otlp__KeyValue *had = span->attributes[i];

		if (strlen(had->key) != strlen(key) || memcmp(had->key, key, strlen(key)) != 0)
			continue;
		element = message_string(b->scratch, value, b->limits->value_chars);
		return element &&
		       message_array_append(b->scratch, had->value->array_value, element);
	}
	if (!may_add_attribute(b)) {
		b->scratch->used = before;
		return true;
	}
	element = message_string(b->scratch, value, b->limits->value_chars);
	if (!element)
		return false;
	span->attributes[span->n_attributes] =
		message_pair(b->scratch, key, message_array(b->scratch, element));
	return span->attributes[span->n_attributes++] != NULL;
}

static uint32_t flags_of(uint8_t trace_flags, bool remote)
{
	return trace_flags | FLAG_REMOTE_KNOWN | (remote ? FLAG_REMOTE : 0);
}

static ProtobufCBinaryData id_bytes(const uint8_t *id, size_t n)
{
	return (ProtobufCBinaryData){ n, (uint8_t *)(uintptr_t)id };
}

static bool put_link(struct builder *b, const struct record_field_view *field)
{
	const struct record_link *from = (const struct record_link *)(const void *)field->value.p;
	struct bytes state = { field->value.p + sizeof(*from), field->value.n - sizeof(*from) };
	Otlp__Span__Link *link;

	if (b->span->n_links >= b->limits->links) {
		b->span->dropped_links_count++;
		return true;
	}
	link = scratch_alloc(b->scratch, sizeof(*link));
	if (!link)
		return false;
	otlp__span__link__init(link);
	link->trace_id = id_bytes(from->trace_id, sizeof(from->trace_id));
	link->span_id = id_bytes(from->span_id, sizeof(from->span_id));
	link->flags = flags_of(from->flags, from->remote);
	link->trace_state = message_text(b->scratch, state, UTF8_NO_LIMIT);
	b->span->links[b->span->n_links++] = link;
	return link->trace_state != NULL;
}

static bool put_status(struct builder *b, const struct record_head *head, struct bytes message)
{
	Otlp__Status *status;

	if (head->status == STATUS_UNSET)
		return true;
	status = scratch_alloc(b->scratch, sizeof(*status));
	if (!status)
		return false;
	otlp__status__init(status);
	status->code = (Otlp__Status__StatusCode)head->status;
	if (head->status == STATUS_ERROR) /* a description belongs to errors only */
		status->message = message_text(b->scratch, message, UTF8_NO_LIMIT);
	b->span->status = status;
	return status->message != NULL;
}

static bool put_field(struct builder *b, const struct record_field_view *field)
{
	if (field->key < ATTRIBUTE_COUNT)
		return put_attribute(b, field);
	switch (field->key) {
	case RECORD_NAME:
		b->span->name = message_text(b->scratch, field->value, UTF8_NO_LIMIT);
		return b->span->name != NULL;
	case RECORD_TRACE_STATE:
		b->span->trace_state = message_text(b->scratch, field->value, UTF8_NO_LIMIT);
		return b->span->trace_state != NULL;
	case RECORD_LINK:
		return put_link(b, field);
	case RECORD_REQUEST_HEADER:
	case RECORD_RESPONSE_HEADER:
	case RECORD_REQUEST_METADATA:
	case RECORD_RESPONSE_METADATA:
		return put_header(b, field);
	default:
		return true;
	}
}

/* The arrays of pointers, as long as the record may need them. */
static bool open_arrays(struct builder *b, const struct record_head *head, struct bytes *message)
{
	struct record_field_view field;
	size_t pos = 0, links = 0, attributes = 0;

	while (record_next(head, &pos, &field)) {
		links += field.key == RECORD_LINK;
		attributes += field.key < ATTRIBUTE_COUNT || header_prefix(field.key).n;
		if (field.key == RECORD_STATUS_MESSAGE)
			*message = field.value;
	}
	b->span->attributes = scratch_alloc(b->scratch, attributes * sizeof(void *));
	b->span->links = scratch_alloc(b->scratch, links * sizeof(void *));
	return b->span->attributes && b->span->links;
}

static char no_name[] = "unknown";

Otlp__Span *span_message(struct scratch *s, const struct record_head *head,
			 const struct span_limits *limits)
{
	static const uint8_t no_parent[sizeof(head->parent_id)];
	Otlp__Span *span = scratch_alloc(s, sizeof(*span));
	struct builder b = { .scratch = s, .limits = limits, .span = span };
	struct bytes message = { NULL, 0 };
	struct record_field_view field;
	size_t pos = 0;

	if (!span)
		return NULL;
	otlp__span__init(span);
	span->trace_id = id_bytes(head->trace_id, sizeof(head->trace_id));
	span->span_id = id_bytes(head->span_id, sizeof(head->span_id));
	if (memcmp(head->parent_id, no_parent, sizeof(no_parent)) != 0)
		span->parent_span_id = id_bytes(head->parent_id, sizeof(head->parent_id));
	span->kind = (Otlp__Span__SpanKind)head->kind;
	span->start_time_unix_nano = head->start_ns;
	/* the clock may have been set back in between */
	span->end_time_unix_nano = head->end_ns > head->start_ns ? head->end_ns : head->start_ns;
	span->flags = flags_of(head->trace_flags, head->parent_remote);
	span->dropped_attributes_count = head->dropped;
	span->dropped_links_count = head->dropped_links;
	if (!open_arrays(&b, head, &message))
		return NULL;
	while (record_next(head, &pos, &field))
		if (!put_field(&b, &field))
			return NULL;
	if (!*span->name) /* receivers refuse a span without a name */
		span->name = no_name;
	return put_status(&b, head, message) ? span : NULL;
}

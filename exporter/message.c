// SPDX-License-Identifier: Apache-2.0
#include "exporter/message.h"

#include "base/arena.h"
#include "base/raw.h"
#include "exporter/utf8.h"

#define ALIGNMENT 8

static char scope_name[] = "tagalong", scope_version[] = TAGALONG_VERSION;

const Otlp__InstrumentationScope scope_message = {
	.base = PROTOBUF_C_MESSAGE_INIT(&otlp__instrumentation_scope__descriptor),
	.name = scope_name,
	.version = scope_version,
};

void *scratch_alloc(struct scratch *s, size_t n)
{
	void *p = s->p + s->used;

	n = (n + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	if (n > s->size - s->used)
		return NULL;
	s->used += n;
	return p;
}

int scratch_init(struct scratch *s, struct arena *a, size_t size)
{
	*s = (struct scratch){ .p = arena_alloc(a, size), .size = size };
	return s->p ? 0 : -ENOMEM;
}

char *message_text(struct scratch *s, struct bytes b, uint64_t max_chars)
{
	char *text;

	if (b.n * UTF8_GROWTH + 1 > s->size - s->used)
		return NULL;
	text = s->p + s->used;
	b.n = utf8_clean(text, b, max_chars);
	text[b.n] = 0;
	return scratch_alloc(s, b.n + 1);
}

Otlp__AnyValue *message_string(struct scratch *s, struct bytes b, uint64_t max_chars)
{
	Otlp__AnyValue *value = scratch_alloc(s, sizeof(*value));

	if (!value)
		return NULL;
	otlp__any_value__init(value);
	value->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	value->string_value = message_text(s, b, max_chars);
	return value->string_value ? value : NULL;
}

Otlp__AnyValue *message_int(struct scratch *s, int64_t number)
{
	Otlp__AnyValue *value = scratch_alloc(s, sizeof(*value));

	if (!value)
		return NULL;
	otlp__any_value__init(value);
	value->value_case = OTLP__ANY_VALUE__VALUE_INT_VALUE;
	value->int_value = number;
	return value;
}

Otlp__AnyValue *message_bool(struct scratch *s, bool truth)
{
	Otlp__AnyValue *value = scratch_alloc(s, sizeof(*value));

	if (!value)
		return NULL;
	otlp__any_value__init(value);
	value->value_case = OTLP__ANY_VALUE__VALUE_BOOL_VALUE;
	value->bool_value = truth;
	return value;
}

bool message_array_append(struct scratch *s, Otlp__ArrayValue *array, Otlp__AnyValue *value)
{
	size_t n = array->n_values;

	if (!value)
		return false;
	if ((n & (n - 1)) == 0) { /* 0, 1, 2, 4 ...: full */
		Otlp__AnyValue **longer = scratch_alloc(s, (n ? 2 * n : 1) * sizeof(void *));

		if (!longer)
			return false;
		if (n)
			memcpy(longer, array->values, n * sizeof(void *));
		array->values = longer;
	}
	array->values[array->n_values++] = value;
	return true;
}

Otlp__AnyValue *message_array(struct scratch *s, Otlp__AnyValue *element)
{
	Otlp__AnyValue *value = scratch_alloc(s, sizeof(*value));
	Otlp__ArrayValue *array = scratch_alloc(s, sizeof(*array));

	if (!value || !array)
		return NULL;
	otlp__any_value__init(value);
	otlp__array_value__init(array);
	value->value_case = OTLP__ANY_VALUE__VALUE_ARRAY_VALUE;
	value->array_value = array;
	return message_array_append(s, array, element) ? value : NULL;
}

Otlp__KeyValue *message_pair(struct scratch *s, char *key, Otlp__AnyValue *value)
{
	Otlp__KeyValue *pair = scratch_alloc(s, sizeof(*pair));

	if (!pair || !key || !value)
		return NULL;
	otlp__key_value__init(pair);
	pair->key = key;
	pair->value = value;
	return pair;
}

int resource_scratch(struct scratch *s, struct arena *a, const struct resource *r)
{
	size_t text = 0;

	for (size_t i = 0; i < r->count; i++)
		text += r->attributes[i].key.n + r->attributes[i].value.n;
	return scratch_init(s, a,
			    sizeof(Otlp__Resource) + text * UTF8_GROWTH +
				    (r->count + 1) * MESSAGE_ATTRIBUTE_COST);
}

Otlp__Resource *resource_message(struct scratch *s, const struct resource *r)
{
	Otlp__Resource *message = scratch_alloc(s, sizeof(*message));

	if (!message)
		return NULL;
	otlp__resource__init(message);
	message->attributes = scratch_alloc(s, r->count * sizeof(void *));
	for (size_t i = 0; message->attributes && i < r->count; i++) {
		const struct resource_attribute *a = &r->attributes[i];
		char *key = message_text(s, a->key, UTF8_NO_LIMIT);
		Otlp__AnyValue *value = a->value.p ? message_string(s, a->value, UTF8_NO_LIMIT)
						   : message_int(s, a->number);
		Otlp__KeyValue *pair = message_pair(s, key, value);

		if (!pair)
			return NULL;
		message->attributes[message->n_attributes++] = pair;
	}
	message->dropped_attributes_count = (uint32_t)r->lost;
	return message->attributes ? message : NULL;
}

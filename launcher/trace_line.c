/* SPDX-License-Identifier: Apache-2.0 */
/* One line of OTLP-JSON: a TracesData object. Unknown keys are ignored, ids are hex, 64-bit
 * numbers come as text or as numbers (OTLP specification, "JSON Protobuf Encoding"). */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/grpc.h"
#include "exporter/record.h"
#include "launcher/trace_file.h"

struct resource {
	const char *service, *host;
};

static const char *const old_names[][2] = {
	{ "http.status_code", "http.response.status_code" },
	{ "http.url", "url.full" },
	{ "http.target", "url.path" },
	{ "rpc.status_code", "rpc.response.status_code" }, /* a newer name, in fact */
};

static const char *pooled(struct trace_store *store, const json_t *text)
{
	if (!json_is_string(text) || !json_string_length(text))
		return NULL;
	return trace_store_string(store, json_string_value(text), json_string_length(text));
}

static uint64_t number(const json_t *value)
{
	if (json_is_integer(value))
		return (uint64_t)json_integer_value(value);
	if (json_is_string(value))
		return strtoull(json_string_value(value), NULL, 10);
	return json_is_real(value) ? (uint64_t)json_real_value(value) : 0;
}

static const char *attribute_text(struct trace_store *store, const json_t *value)
{
	return pooled(store, json_object_get(value, "stringValue"));
}

static struct resource read_resource(struct trace_store *store, const json_t *resource)
{
	struct resource out = { 0 };
	const json_t *attribute;
	size_t i;

	json_array_foreach(json_object_get(resource, "attributes"), i, attribute)
	{
		const char *key = json_string_value(json_object_get(attribute, "key"));
		const json_t *value = json_object_get(attribute, "value");

		if (!key)
			continue;
		if (strcmp(key, "service.name") == 0)
			out.service = attribute_text(store, value);
		else if (strcmp(key, "host.name") == 0)
			out.host = attribute_text(store, value);
	}
	if (!out.service)
		out.service = trace_store_string(store, "unknown_service", SIZE_MAX);
	return out;
}

/* Where the request went, the most telling first. */
static void read_target(struct trace_store *store, struct span *span, const char *key,
			const json_t *value, int *rank)
{
	static const char *const keys[] = { "url.full", "url.path", "server.address" };

	for (int i = 0; i < 3; i++)
		if (strcmp(key, keys[i]) == 0 && 3 - i > *rank) {
			span->target = attribute_text(store, value);
			*rank = 3 - i;
		}
}

/* Older spans have the number of it. */
static const char *rpc_status(struct trace_store *store, const json_t *value)
{
	const json_t *code = json_object_get(value, "intValue");
	const char *name;

	if (!code)
		return attribute_text(store, value);
	if (number(code) >= GRPC_STATUS_COUNT)
		return NULL;
	name = grpc_status_name((enum grpc_status)number(code));
	return trace_store_string(store, name, strlen(name));
}

static bool is_rpc_status(const char *key)
{
	return strcmp(key, attribute_key(ATTRIBUTE_RPC_RESPONSE_STATUS_CODE)) == 0 ||
	       strcmp(key, attribute_key(ATTRIBUTE_OLD_RPC_GRPC_STATUS_CODE)) == 0;
}

static void read_attributes(struct trace_store *store, struct span *span, const json_t *attributes)
{
	const json_t *attribute;
	int rank = 0;
	size_t i;

	json_array_foreach(attributes, i, attribute)
	{
		const char *key = json_string_value(json_object_get(attribute, "key"));
		const json_t *value = json_object_get(attribute, "value");

		if (!key)
			continue;
		for (size_t k = 0; k < sizeof(old_names) / sizeof(old_names[0]); k++)
			if (strcmp(key, old_names[k][0]) == 0)
				key = old_names[k][1];
		if (strcmp(key, "tagalong.link") == 0)
			span->link = attribute_text(store, value);
		else if (strcmp(key, "error.type") == 0)
			span->error_type = attribute_text(store, value);
		else if (strcmp(key, "http.response.status_code") == 0)
			span->http_status = (uint16_t)number(json_object_get(value, "intValue"));
		else if (is_rpc_status(key))
			span->rpc_status = rpc_status(store, value);
		else
			read_target(store, span, key, value, &rank);
	}
}

static bool read_id(uint8_t *out, size_t n, const json_t *text)
{
	static const uint8_t zero[16];

	return json_is_string(text) && trace_hex_parse(out, n, json_string_value(text)) &&
	       memcmp(out, zero, n) != 0;
}

static const char *read_span(struct trace_store *store, const struct resource *resource,
			     const json_t *json)
{
	const json_t *parent = json_object_get(json, "parentSpanId");
	const json_t *status = json_object_get(json, "status");
	struct span span = { .service = resource->service, .host = resource->host };
	uint64_t kind = number(json_object_get(json, "kind"));

	if (!read_id(span.trace_id, 16, json_object_get(json, "traceId")))
		return "a span without a valid traceId";
	if (!read_id(span.span_id, 8, json_object_get(json, "spanId")))
		return "a span without a valid spanId";
	if (json_is_string(parent) && json_string_length(parent) &&
	    !trace_hex_parse(span.parent_id, 8, json_string_value(parent)))
		return "a span with an invalid parentSpanId";
	span.start_ns = number(json_object_get(json, "startTimeUnixNano"));
	span.end_ns = number(json_object_get(json, "endTimeUnixNano"));
	if (!span.start_ns)
		return "a span without startTimeUnixNano";
	if (span.end_ns < span.start_ns)
		span.end_ns = span.start_ns;
	span.kind = kind >= KIND_INTERNAL && kind <= KIND_CONSUMER ? (uint8_t)kind : KIND_INTERNAL;
	span.name = pooled(store, json_object_get(json, "name"));
	if (!span.name)
		span.name = trace_store_string(store, "(no name)", SIZE_MAX);
	span.error = number(json_object_get(status, "code")) == 2;
	span.message = pooled(store, json_object_get(status, "message"));
	read_attributes(store, &span, json_object_get(json, "attributes"));
	trace_store_add(store, &span);
	return NULL;
}

static const char *read_resource_spans(struct trace_store *store, const json_t *json)
{
	struct resource resource = read_resource(store, json_object_get(json, "resource"));
	const char *wrong = NULL;
	const json_t *scope, *span;
	size_t i, k;

	json_array_foreach(json_object_get(json, "scopeSpans"), i, scope)
	{
		json_array_foreach(json_object_get(scope, "spans"), k, span)
		{
			const char *what = read_span(store, &resource, span);

			if (!wrong)
				wrong = what;
		}
	}
	return wrong;
}

const char *trace_line_parse(struct trace_store *store, const char *line, size_t n)
{
	json_error_t error;
	json_t *root = json_loadb(line, n, JSON_ALLOW_NUL, &error);
	const json_t *all, *one;
	const char *wrong = NULL;
	size_t i;

	if (!root)
		return "it is not JSON";
	all = json_object_get(root, "resourceSpans");
	if (!json_is_array(all) && !json_object_get(root, "resourceMetrics") &&
	    !json_object_get(root, "resourceLogs"))
		wrong = "it has no resourceSpans";
	json_array_foreach(all, i, one)
	{
		const char *what = read_resource_spans(store, one);

		if (!wrong)
			wrong = what;
	}
	json_decref(root);
	return wrong;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Header lines for outgoing requests. Nothing but [ -~] may stand in them: whatever came in has
 * been parsed, and is looked at here once more. */
#include "base/config.h"
#include "base/vector.h"
#include "shim/propagate.h"

struct lines {
	struct text *out;
	struct bytes end;
	const struct http1_head *existing;
};

static bool carried(const struct lines *lines, enum http1_field field)
{
	return lines->existing && lines->existing->count[field];
}

static bool printable(struct bytes b)
{
	for (; b.n >= sizeof(vec16); b.p += sizeof(vec16), b.n -= sizeof(vec16)) {
		vec16 x;

		memcpy(&x, b.p, sizeof(x));
		if (vec16_first((vec16)((x < ' ') | (x > '~'))) < sizeof(x))
			return false;
	}
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] < ' ' || b.p[i] > '~')
			return false;
	return true;
}

/* The whole line or nothing of it. */
static void put_line(const struct lines *lines, struct bytes name, struct bytes value)
{
	size_t before = lines->out->n;
	size_t n = name.n + 2 + value.n + lines->end.n;

	if (!printable(value))
		return;
	if (n > lines->out->size - before) {
		lines->out->cut = true;
		return;
	}
	text_put(lines->out, name);
	text_put(lines->out, BYTES(": "));
	text_put(lines->out, value);
	text_put(lines->out, lines->end);
}

static void put_tracecontext(const struct lines *lines, const struct span_context *context,
			     struct bytes tracestate)
{
	char value[TRACEPARENT_LEN + 1];

	if (!carried(lines, HTTP1_TRACEPARENT)) {
		traceparent_format(value, context);
		put_line(lines, BYTES("traceparent"), (struct bytes){ value, TRACEPARENT_LEN });
	}
	if (tracestate.n && !carried(lines, HTTP1_TRACESTATE))
		put_line(lines, BYTES("tracestate"), tracestate);
}

static void put_b3(const struct lines *lines, const struct span_context *context, bool debug)
{
	char room[64];
	struct text value = TEXT_ON(room);

	if (carried(lines, HTTP1_B3))
		return;
	b3_format(&value, context, debug);
	put_line(lines, BYTES("b3"), text_bytes(&value));
}

/* Ids of ours beside ids of somebody else's would be a context of nobody's. */
static void put_b3_multi(const struct lines *lines, const struct span_context *context, bool debug)
{
	char room[32];
	struct text value = TEXT_ON(room);
	bool sampled = context->flags & TRACE_FLAG_SAMPLED;

	if (carried(lines, HTTP1_B3_TRACE_ID) || carried(lines, HTTP1_B3_SPAN_ID))
		return;
	text_put_hex(&value, context->trace_id, 16);
	put_line(lines, BYTES("x-b3-traceid"), text_bytes(&value));
	value.n = 0;
	text_put_hex(&value, context->span_id, 8);
	put_line(lines, BYTES("x-b3-spanid"), text_bytes(&value));
	if (carried(lines, HTTP1_B3_SAMPLED) || carried(lines, HTTP1_B3_FLAGS))
		return;
	if (debug)
		put_line(lines, BYTES("x-b3-flags"), BYTES("1"));
	else
		put_line(lines, BYTES("x-b3-sampled"), sampled ? BYTES("1") : BYTES("0"));
}

/* Each member of the baggage as a header of its own; properties behind ';' have no place there. */
static void put_jaeger_baggage(const struct lines *lines, struct bytes baggage)
{
	while (baggage.n) {
		struct bytes value = bytes_split(&baggage, ','), key;
		char room[80];
		struct text header = TEXT_ON(room);

		value = bytes_split(&value, ';');
		key = bytes_trim(bytes_split(&value, '='));
		value = bytes_trim(value);
		text_put(&header, BYTES("uberctx-"));
		text_put(&header, key);
		if (key.n && value.n && !header.cut)
			put_line(lines, text_bytes(&header), value);
	}
}

static void put_jaeger(const struct lines *lines, const struct span_context *context,
		       struct bytes baggage, bool debug)
{
	char room[80];
	struct text value = TEXT_ON(room);

	if (carried(lines, HTTP1_UBER_TRACE_ID))
		return;
	jaeger_format(&value, context, debug);
	put_line(lines, BYTES("uber-trace-id"), text_bytes(&value));
	put_jaeger_baggage(lines, baggage);
}

size_t propagate_format(struct text *out, const struct span_context *context,
			struct bytes tracestate, struct bytes baggage, bool debug,
			struct bytes line_end, const struct http1_head *existing)
{
	struct lines lines = { out, line_end, existing };
	size_t before = out->n;

	for (const uint8_t *name = config.propagator_order; *name != PROPAGATOR_NONE; name++) {
		switch (*name) {
		case PROPAGATOR_TRACECONTEXT:
			put_tracecontext(&lines, context, tracestate);
			break;
		case PROPAGATOR_BAGGAGE:
			if (baggage.n && !carried(&lines, HTTP1_BAGGAGE))
				put_line(&lines, BYTES("baggage"), baggage);
			break;
		case PROPAGATOR_B3:
			put_b3(&lines, context, debug);
			break;
		case PROPAGATOR_B3MULTI:
			put_b3_multi(&lines, context, debug);
			break;
		case PROPAGATOR_JAEGER:
			put_jaeger(&lines, context, baggage, debug);
			break;
		}
	}
	return out->n - before;
}

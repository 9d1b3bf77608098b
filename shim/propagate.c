/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/propagate.h"
#include "base/config.h"

#define JAEGER_ENTRY_MAX 1024 /* bytes of one uberctx-* header; longer ones are left out */

static uint8_t decision_of(bool sampled)
{
	return sampled ? PROPAGATE_RECORD : PROPAGATE_DROP;
}

/* Calls `append` for the value of each header line with this name. */
static int each_line(const struct http1_head *head, struct bytes in, enum http1_field field,
		     struct bytes name, int (*append)(void *, struct bytes), void *arg)
{
	struct http1_header header;
	size_t pos = head->headers;

	if (head->count[field] == 1)
		return append(arg, head->field[field]);
	while (http1_next_header(head, in, &pos, &header)) {
		int err = bytes_equal_nocase(header.name, name) ? append(arg, header.value) : 0;

		if (err)
			return err;
	}
	return 0;
}

struct combined {
	struct text *text;
	unsigned members;
};

static int append_tracestate(void *arg, struct bytes value)
{
	struct combined *c = arg;

	return tracestate_append(c->text, value, &c->members);
}

static int append_baggage(void *arg, struct bytes value)
{
	struct combined *c = arg;

	baggage_append(c->text, value, &c->members);
	return 0;
}

static void extract_tracecontext(struct propagate_in *out, const struct http1_head *head,
				 struct bytes in)
{
	struct combined state = { &out->tracestate, 0 };
	struct span_context context;

	if (head->count[HTTP1_TRACEPARENT] != 1 ||
	    traceparent_parse(&context, head->field[HTTP1_TRACEPARENT]))
		return;
	out->context = context;
	out->valid = out->traceparent = true;
	out->debug = false;
	out->decision = decision_of(context.flags & TRACE_FLAG_SAMPLED);
	out->tracestate.n = 0;
	if (head->count[HTTP1_TRACESTATE] &&
	    each_line(head, in, HTTP1_TRACESTATE, BYTES("tracestate"), append_tracestate, &state))
		out->tracestate.n = 0;
}

/* A context in a format that has no tracestate: what an earlier propagator found stays only if it
 * is of the same trace, told twice. */
static void take_context(struct propagate_in *out, const struct span_context *context, bool debug)
{
	if (out->valid && memcmp(out->context.trace_id, context->trace_id, 16) != 0)
		out->tracestate.n = 0;
	/* Only traceparent tells whether the trace id is random. */
	if (out->valid && memcmp(out->context.trace_id, context->trace_id, 16) == 0)
		out->context.flags &= TRACE_FLAG_RANDOM;
	else
		out->context.flags = 0;
	memcpy(out->context.trace_id, context->trace_id, 16);
	memcpy(out->context.span_id, context->span_id, 8);
	out->context.flags |= context->flags;
	out->valid = true;
	out->debug = debug;
}

static bool b3_single(const struct http1_head *head, struct span_context *context,
		      enum b3_state *state)
{
	bool alone;

	return head->count[HTTP1_B3] &&
	       b3_parse(context, state, &alone, head->field[HTTP1_B3]) == 0;
}

static bool b3_multi(const struct http1_head *head, struct span_context *context,
		     enum b3_state *state)
{
	if (!head->count[HTTP1_B3_TRACE_ID] && !head->count[HTTP1_B3_SAMPLED] &&
	    !head->count[HTTP1_B3_FLAGS])
		return false;
	return b3_parse_multi(context, state, head->field[HTTP1_B3_TRACE_ID],
			      head->field[HTTP1_B3_SPAN_ID], head->field[HTTP1_B3_SAMPLED],
			      head->field[HTTP1_B3_FLAGS]) == 0;
}

/* Both names read both forms, the single header first: OpenTelemetry, API propagators. */
static void extract_b3(struct propagate_in *out, const struct http1_head *head)
{
	static const uint8_t decisions[] = {
		[B3_DEFER] = PROPAGATE_UNDECIDED,
		[B3_DENY] = PROPAGATE_DROP,
		[B3_ACCEPT] = PROPAGATE_RECORD,
		[B3_DEBUG] = PROPAGATE_RECORD,
	};
	struct span_context context;
	enum b3_state state;

	if (!b3_single(head, &context, &state) && !b3_multi(head, &context, &state))
		return;
	if (trace_id_valid(context.trace_id)) {
		take_context(out, &context, state == B3_DEBUG);
		out->decision = decisions[state];
	} else if (!out->valid) { /* a state alone decides for a trace that starts here */
		out->debug = state == B3_DEBUG;
		out->decision = decisions[state];
	}
}

/* Jaeger's baggage is a header an entry, "uberctx-<key>: <value>", the value percent-encoded as in
 * W3C baggage: it travels on as that. */
static void extract_jaeger_baggage(struct propagate_in *out, const struct http1_head *head,
				   struct bytes in)
{
	const struct bytes prefix = BYTES("uberctx-");
	struct http1_header header;
	size_t pos = head->headers;
	unsigned members = 0;

	for (size_t i = 0; i < out->baggage.n; i++)
		members += out->baggage.p[i] == ',';
	members += out->baggage.n != 0;
	while (http1_next_header(head, in, &pos, &header)) {
		char room[JAEGER_ENTRY_MAX];
		struct text entry = TEXT_ON(room);

		if (header.name.n <= prefix.n ||
		    !bytes_equal_nocase((struct bytes){ header.name.p, prefix.n }, prefix))
			continue;
		for (size_t i = prefix.n; i < header.name.n; i++)
			text_put_char(&entry, ascii_lower(header.name.p[i]));
		text_put_char(&entry, '=');
		text_put(&entry, header.value);
		if (!entry.cut)
			baggage_append(&out->baggage, text_bytes(&entry), &members);
	}
}

static void extract_jaeger(struct propagate_in *out, const struct http1_head *head, struct bytes in)
{
	struct span_context context;
	bool debug;

	extract_jaeger_baggage(out, head, in);
	if (!head->count[HTTP1_UBER_TRACE_ID] ||
	    jaeger_parse(&context, &debug, head->field[HTTP1_UBER_TRACE_ID]))
		return;
	take_context(out, &context, debug);
	out->decision = decision_of(context.flags & TRACE_FLAG_SAMPLED);
}

static void extract_baggage(struct propagate_in *out, const struct http1_head *head,
			    struct bytes in)
{
	struct combined baggage = { &out->baggage, 0 };

	if (head->count[HTTP1_BAGGAGE])
		each_line(head, in, HTTP1_BAGGAGE, BYTES("baggage"), append_baggage, &baggage);
}

/* The two texts share the room: baggage may have what tracestate surely leaves. */
static void divide_room(struct propagate_in *out, const struct http1_head *head, char *room,
			size_t size)
{
	size_t state = 0;

	if (head->count[HTTP1_TRACESTATE])
		state = size / 2 < TRACESTATE_MAX ? size / 2 : TRACESTATE_MAX;
	out->tracestate = (struct text){ .p = room, .size = state };
	out->baggage = (struct text){ .p = state ? room + state : room, .size = size - state };
}

void propagate_extract(struct propagate_in *out, const struct http1_head *head, struct bytes in,
		       char *room, size_t room_size)
{
	*out = (struct propagate_in){ .decision = PROPAGATE_UNDECIDED };
	divide_room(out, head, room, room_size);
	for (const uint8_t *name = config.propagator_order; *name != PROPAGATOR_NONE; name++) {
		switch (*name) {
		case PROPAGATOR_TRACECONTEXT:
			extract_tracecontext(out, head, in);
			break;
		case PROPAGATOR_BAGGAGE:
			extract_baggage(out, head, in);
			break;
		case PROPAGATOR_B3:
		case PROPAGATOR_B3MULTI:
			extract_b3(out, head);
			break;
		case PROPAGATOR_JAEGER:
			extract_jaeger(out, head, in);
			break;
		}
	}
}

static bool carries_b3(const struct http1_head *head)
{
	return head->count[HTTP1_B3] || head->count[HTTP1_B3_TRACE_ID] ||
	       head->count[HTTP1_B3_SPAN_ID];
}

bool propagate_head_carries_context(const struct http1_head *head)
{
	for (const uint8_t *name = config.propagator_order; *name != PROPAGATOR_NONE; name++) {
		if (*name == PROPAGATOR_TRACECONTEXT && head->count[HTTP1_TRACEPARENT])
			return true;
		if ((*name == PROPAGATOR_B3 || *name == PROPAGATOR_B3MULTI) && carries_b3(head))
			return true;
		if (*name == PROPAGATOR_JAEGER && head->count[HTTP1_UBER_TRACE_ID])
			return true;
	}
	return false;
}

bool propagate_is_traceparent(struct bytes tracestate, struct bytes baggage)
{
	bool found = false;

	for (const uint8_t *name = config.propagator_order; *name != PROPAGATOR_NONE; name++) {
		if (*name != PROPAGATOR_TRACECONTEXT && *name != PROPAGATOR_BAGGAGE)
			return false;
		found |= *name == PROPAGATOR_TRACECONTEXT;
	}
	return found && !tracestate.n && !baggage.n;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* B3 propagation (openzipkin/b3-propagation): the single header and the X-B3- family.
 * Pure: bytes in, bytes out. No memory, no globals, no I/O, nothing read past the view. */
#include <errno.h>
#include "shim/wire/traceparent.h"

#define malloc wire_code_must_not_allocate

/* 16 bytes, or 8 that are padded on the left. */
static int parse_ids(struct span_context *out, struct bytes trace_id, struct bytes span_id)
{
	struct span_context c = { 0 };
	uint64_t span;
	int err;

	if (trace_id.n == 16)
		err = hex_parse(c.trace_id + 8, 8, trace_id);
	else
		err = hex_parse(c.trace_id, 16, trace_id);
	if (err || hex_parse(c.span_id, 8, span_id))
		return -EINVAL;
	memcpy(&span, c.span_id, 8);
	if (!trace_id_valid(c.trace_id) || !span)
		return -EINVAL;
	*out = c;
	return 0;
}

static uint8_t state_flags(enum b3_state state)
{
	return state == B3_ACCEPT || state == B3_DEBUG ? TRACE_FLAG_SAMPLED : 0;
}

static int parse_state(enum b3_state *state, struct bytes b)
{
	if (b.n != 1)
		return -EINVAL;
	switch (b.p[0]) {
	case '0':
		*state = B3_DENY;
		return 0;
	case '1':
		*state = B3_ACCEPT;
		return 0;
	case 'd':
		*state = B3_DEBUG;
		return 0;
	default:
		return -EINVAL;
	}
}

int b3_parse(struct span_context *out, enum b3_state *state, bool *state_only, struct bytes value)
{
	struct span_context c = { 0 };
	enum b3_state s = B3_DEFER;
	struct bytes rest = bytes_trim(value), trace_id, span_id;
	uint8_t parent[8];
	bool alone = rest.n == 1;

	if (alone) {
		if (parse_state(&s, rest))
			return -EINVAL;
	} else {
		trace_id = bytes_split(&rest, '-');
		span_id = bytes_split(&rest, '-');
		if (parse_ids(&c, trace_id, span_id))
			return -EINVAL;
		if (rest.p && parse_state(&s, bytes_split(&rest, '-')))
			return -EINVAL;
		if (rest.p && hex_parse(parent, 8, rest))
			return -EINVAL;
	}
	c.flags = state_flags(s);
	*out = c;
	*state = s;
	*state_only = alone;
	return 0;
}

/* Old senders write true and false. What is none of them leaves the decision open. */
static enum b3_state multi_state(struct bytes sampled, struct bytes flags)
{
	if (bytes_equal(flags, BYTES("1")))
		return B3_DEBUG;
	if (bytes_equal(sampled, BYTES("1")) || bytes_equal_nocase(sampled, BYTES("true")))
		return B3_ACCEPT;
	if (bytes_equal(sampled, BYTES("0")) || bytes_equal_nocase(sampled, BYTES("false")))
		return B3_DENY;
	return B3_DEFER;
}

int b3_parse_multi(struct span_context *out, enum b3_state *state, struct bytes trace_id,
		   struct bytes span_id, struct bytes sampled, struct bytes flags)
{
	struct span_context c = { 0 };
	enum b3_state s = multi_state(bytes_trim(sampled), bytes_trim(flags));

	trace_id = bytes_trim(trace_id);
	span_id = bytes_trim(span_id);
	if (trace_id.n == 0 && span_id.n == 0) {
		if (s == B3_DEFER)
			return -EINVAL;
	} else if (parse_ids(&c, trace_id, span_id)) {
		return -EINVAL;
	}
	c.flags = state_flags(s);
	*out = c;
	*state = s;
	return 0;
}

void b3_format(struct text *out, const struct span_context *context, bool debug)
{
	bool sampled = context->flags & TRACE_FLAG_SAMPLED;

	text_put_hex(out, context->trace_id, 16);
	text_put_char(out, '-');
	text_put_hex(out, context->span_id, 8);
	text_put_char(out, '-');
	text_put_char(out, debug ? 'd' : sampled ? '1' : '0');
}

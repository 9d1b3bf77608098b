/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/carrier.h"

#include "base/config.h"
#include "base/id.h"

#define TRACE_DIGITS 32
#define SPAN_DIGITS  16

/* Where a header, or the headers of one format, have what. Empty: nowhere; of a traceparent it is
 * known. */
struct places {
	struct span_context context;
	struct bytes trace, span, parent, state;
	bool jaeger; /* the state is a hex digit of flags */
};

/* By PROPAGATOR_*. Both names of B3 read both of its forms. */
#define W3C    (1u << PROPAGATOR_TRACECONTEXT)
#define B3     (1u << PROPAGATOR_B3 | 1u << PROPAGATOR_B3MULTI)
#define JAEGER (1u << PROPAGATOR_JAEGER)

static uint32_t selected(void)
{
	return config.propagators & W3C ? W3C : config.propagators & (B3 | JAEGER);
}

bool carrier_is_traceparent(void)
{
	return selected() & W3C;
}

bool carrier_any(void)
{
	return selected();
}

/* ---- finding ---- */

static bool find_traceparent(struct places *out, const struct http1_head *head)
{
	struct bytes value = head->field[HTTP1_TRACEPARENT];

	if (head->count[HTTP1_TRACEPARENT] != 1 || traceparent_parse(&out->context, value) < 0)
		return false;
	return true;
}

/* Trace, span, state and parent, of which the last two may be left out. */
static bool find_b3(struct places *out, const struct http1_head *head)
{
	struct bytes rest = bytes_trim(head->field[HTTP1_B3]);
	enum b3_state state;
	bool alone;

	if (head->count[HTTP1_B3] != 1 || b3_parse(&out->context, &state, &alone, rest) < 0 ||
	    alone)
		return false;
	out->trace = bytes_split(&rest, '-');
	out->span = bytes_split(&rest, '-');
	out->state = bytes_split(&rest, '-');
	out->parent = rest;
	return true;
}

static bool find_b3_multi(struct places *out, const struct http1_head *head)
{
	const struct bytes *field = head->field;
	enum b3_state state;

	if (head->count[HTTP1_B3_TRACE_ID] != 1 || head->count[HTTP1_B3_SPAN_ID] != 1 ||
	    b3_parse_multi(&out->context, &state, field[HTTP1_B3_TRACE_ID], field[HTTP1_B3_SPAN_ID],
			   field[HTTP1_B3_SAMPLED], field[HTTP1_B3_FLAGS]) < 0)
		return false;
	out->trace = bytes_trim(field[HTTP1_B3_TRACE_ID]);
	out->span = bytes_trim(field[HTTP1_B3_SPAN_ID]);
	if (head->count[HTTP1_B3_SAMPLED] == 1)
		out->state = bytes_trim(field[HTTP1_B3_SAMPLED]);
	return true;
}

/* One with its colons encoded tells a context, but has no places. */
static bool find_jaeger(struct places *out, const struct http1_head *head)
{
	struct bytes rest = bytes_trim(head->field[HTTP1_UBER_TRACE_ID]);
	bool debug;

	if (head->count[HTTP1_UBER_TRACE_ID] != 1 || jaeger_parse(&out->context, &debug, rest) < 0)
		return false;
	out->jaeger = true;
	out->trace = bytes_split(&rest, ':');
	out->span = bytes_split(&rest, ':');
	out->parent = bytes_split(&rest, ':');
	if (rest.n)
		out->state = (struct bytes){ rest.p + rest.n - 1, 1 };
	return true;
}

static const struct {
	uint32_t propagators;
	bool (*find)(struct places *out, const struct http1_head *head);
} formats[] = {
	{ W3C, find_traceparent },
	{ B3, find_b3 },
	{ B3, find_b3_multi },
	{ JAEGER, find_jaeger },
};

#define FORMATS (sizeof(formats) / sizeof(formats[0]))

static bool find(unsigned i, struct places *out, const struct http1_head *head)
{
	if (!(formats[i].propagators & selected()))
		return false;
	*out = (struct places){ .jaeger = false };
	return formats[i].find(out, head);
}

bool carrier_in(const struct http1_head *head)
{
	const uint8_t *count = head->count;

	if (count[HTTP1_TRACEPARENT])
		return true;
	return (selected() & B3 &&
		(count[HTTP1_B3] || count[HTTP1_B3_TRACE_ID] || count[HTTP1_B3_SPAN_ID])) ||
	       (selected() & JAEGER && count[HTTP1_UBER_TRACE_ID]);
}

bool carrier_find(struct span_context *out, const struct http1_head *head)
{
	struct places p;
	bool found = false;

	for (unsigned i = 0; i < FORMATS; i++) {
		if (!find(i, &p, head))
			continue;
		if (!found)
			*out = p.context;
		found = true;
		if (!id_is_own_server(p.context.span_id))
			continue;
		*out = p.context;
		/* We write no id of ours where nothing is recorded, unless we can say so. */
		if (p.span.n && !p.state.n)
			out->flags |= TRACE_FLAG_SAMPLED;
		break;
	}
	return found;
}

/* ---- overwriting ---- */

static char *place_of(const struct carrier_text *t, struct bytes field)
{
	ssize_t at = t->from + (field.p - t->whole.p);

	return at < 0 ? NULL : t->to + at;
}

static char state_of(const struct places *p, const struct span_context *own, char now)
{
	bool sampled = own->flags & TRACE_FLAG_SAMPLED;

	if (!p->jaeger)
		return sampled ? (char)(now == '0' ? '1' : now) : '0';
	if (sampled)
		return now >= '0' && now <= '9' ? (char)('0' | ((now - '0') | 1)) : now;
	return '0';
}

static bool is_there(const struct carrier_text *t, struct bytes field)
{
	return !field.n || place_of(t, field);
}

static bool overwrite(const struct carrier_text *t, const struct places *p,
		      const struct span_context *own, const uint8_t *parent)
{
	bool same_trace = memcmp(p->context.trace_id, own->trace_id, 16) == 0;
	char *state;

	if (p->span.n != SPAN_DIGITS || (!same_trace && p->trace.n != TRACE_DIGITS) ||
	    (p->state.n > 1 && (p->context.flags ^ own->flags) & TRACE_FLAG_SAMPLED) ||
	    !is_there(t, p->trace) || !is_there(t, p->span) || !is_there(t, p->state))
		return false;
	if (!same_trace)
		hex_format(place_of(t, p->trace), own->trace_id, 16);
	hex_format(place_of(t, p->span), own->span_id, 8);
	if (p->parent.n == SPAN_DIGITS)
		hex_format(place_of(t, p->parent), parent, 8);
	if (p->state.n == 1) {
		state = place_of(t, p->state);
		*state = state_of(p, own, *state);
	}
	return true;
}

static bool overwrite_traceparent(const struct carrier_text *t, struct bytes value,
				  const struct span_context *own)
{
	char text[TRACEPARENT_LEN + 1], *at = place_of(t, value);

	if (!at)
		return false;
	traceparent_format(text, own);
	if (value.n == TRACEPARENT_LEN)
		memcpy(at, text, TRACEPARENT_LEN);
	else /* a later version with more behind it: ids and flags only */
		memcpy(at + 3, text + 3, 49);
	return true;
}

bool carrier_overwrite(const struct carrier_text *t, const struct span_context *only,
		       const struct span_context *own, const uint8_t parent[static 8])
{
	struct places p;
	bool any = false;

	if (carrier_is_traceparent())
		return overwrite_traceparent(t, t->head->field[HTTP1_TRACEPARENT], own);
	for (unsigned i = 0; i < FORMATS; i++) {
		if (!find(i, &p, t->head) ||
		    (only && (memcmp(only->trace_id, p.context.trace_id, 16) != 0 ||
			      memcmp(only->span_id, p.context.span_id, 8) != 0)))
			continue;
		any |= overwrite(t, &p, own, parent);
	}
	return any;
}

void carrier_put_line(struct text *line, const struct span_context *own, bool debug,
		      struct bytes line_end)
{
	char value[TRACEPARENT_LEN + 1];

	if (selected() & W3C) {
		traceparent_format(value, own);
		text_put_string(line, "traceparent: ");
		text_put_string(line, value);
	} else if (selected() & B3) {
		text_put_string(line, "b3: ");
		b3_format(line, own, debug);
	} else {
		text_put_string(line, "uber-trace-id: ");
		jaeger_format(line, own, debug);
	}
	text_put(line, line_end);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The uber-trace-id header of Jaeger's clients: {trace-id}:{span-id}:{parent-id}:{flags}.
 * Pure: bytes in, bytes out. No memory, no globals, no I/O, nothing read past the view. */
#include <errno.h>
#include "shim/wire/traceparent.h"

#define malloc         wire_code_must_not_allocate

#define JAEGER_SAMPLED 0x01
#define JAEGER_DEBUG   0x02
#define JAEGER_MAX     (32 + 16 + 16 + 2 + 3) /* decoded, with its colons */

/* A hex number of 1 to 2 * n digits, padded on the left. */
static int parse_padded(uint8_t *out, size_t n, struct bytes hex)
{
	char digits[32];

	if (hex.n == 0 || hex.n > 2 * n)
		return -EINVAL;
	memset(digits, '0', sizeof(digits));
	memcpy(digits + 2 * n - hex.n, hex.p, hex.n);
	return hex_parse(out, n, (struct bytes){ digits, 2 * n });
}

static int percent_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The colons come as %3A from clients that encode header values. */
static int percent_decode(struct text *out, struct bytes in)
{
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];

		if (c == '%') {
			int high = i + 2 < in.n ? percent_digit(in.p[i + 1]) : -1;
			int low = i + 2 < in.n ? percent_digit(in.p[i + 2]) : -1;

			if (high < 0 || low < 0)
				return -EINVAL;
			c = (char)(high << 4 | low);
			i += 2;
		}
		text_put_char(out, c);
		if (out->cut)
			return -EINVAL;
	}
	return 0;
}

int jaeger_parse(struct span_context *out, bool *debug, struct bytes value)
{
	char room[JAEGER_MAX];
	struct text decoded = TEXT_ON(room);
	struct span_context c = { 0 };
	struct bytes rest, trace_id, span_id;
	uint64_t span;
	uint8_t flags;

	if (percent_decode(&decoded, bytes_trim(value)))
		return -EINVAL;
	rest = text_bytes(&decoded);
	trace_id = bytes_split(&rest, ':');
	span_id = bytes_split(&rest, ':');
	bytes_split(&rest, ':'); /* the parent id is deprecated: not looked at */
	if (!rest.p || parse_padded(c.trace_id, 16, trace_id) ||
	    parse_padded(c.span_id, 8, span_id) || parse_padded(&flags, 1, rest))
		return -EINVAL;
	memcpy(&span, c.span_id, 8);
	if (!trace_id_valid(c.trace_id) || !span)
		return -EINVAL;
	c.flags = flags & JAEGER_SAMPLED ? TRACE_FLAG_SAMPLED : 0;
	*out = c;
	/* Debug means something only together with sampled. */
	*debug = (flags & JAEGER_SAMPLED) && (flags & JAEGER_DEBUG);
	return 0;
}

void jaeger_format(struct text *out, const struct span_context *context, bool debug)
{
	bool sampled = context->flags & TRACE_FLAG_SAMPLED;

	text_put_hex(out, context->trace_id, 16);
	text_put_char(out, ':');
	text_put_hex(out, context->span_id, 8);
	text_put_string(out, ":0:");
	text_put_char(out, debug ? '3' : sampled ? '1' : '0');
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Trace context in text form: W3C Trace Context level 2, W3C Baggage, B3, Jaeger. */
#ifndef SHIM_WIRE_TRACEPARENT_H
#define SHIM_WIRE_TRACEPARENT_H

#include "base/bytes.h"
#include "base/text.h"

#define TRACEPARENT_LEN    55
#define TRACESTATE_MEMBERS 32   /* W3C: more make the whole tracestate invalid */
#define TRACESTATE_MAX     8192 /* bytes kept of a combined tracestate */
#define BAGGAGE_MEMBERS    64
#define BAGGAGE_MAX        8192

#define TRACE_FLAG_SAMPLED 0x01
#define TRACE_FLAG_RANDOM  0x02

struct span_context {
	uint8_t trace_id[16];
	uint8_t span_id[8];
	uint8_t flags; /* W3C trace-flags, known bits only */
};

static inline bool trace_id_valid(const uint8_t id[static 16])
{
	uint64_t a, b;

	memcpy(&a, id, 8);
	memcpy(&b, id + 8, 8);
	return (a | b) != 0;
}

/* 0 or -EINVAL, *out untouched then. Surrounding white space is ignored. Version 00 must be 55
 * characters; 01 to fe may be longer after a '-'; ff is invalid; ids all zero or in upper case
 * are invalid. */
int traceparent_parse(struct span_context *out, struct bytes value);

/* Version 00, no terminator needed but written. */
void traceparent_format(char text[static TRACEPARENT_LEN + 1], const struct span_context *context);

/* Appends one header's members to a combined tracestate, in order. All or nothing: one bad
 * member, a 33rd one, or more than TRACESTATE_MAX: -EINVAL, and the caller discards the whole.
 * Empty members are skipped; white space around members is dropped (leading spaces belong to the
 * value, trailing ones do not). *members counts across calls; duplicates keep the first. */
int tracestate_append(struct text *combined, struct bytes value, unsigned *members);

/* Appends the well-formed members of one baggage header up to the limits, whole members only. */
void baggage_append(struct text *combined, struct bytes value, unsigned *members);

/* b3 single header. 0, -EINVAL. *state_only: just a sampling state ("0", "1", "d"), ids zero. */
enum b3_state { B3_DEFER, B3_DENY, B3_ACCEPT, B3_DEBUG };
int b3_parse(struct span_context *out, enum b3_state *state, bool *state_only, struct bytes value);
int b3_parse_multi(struct span_context *out, enum b3_state *state, struct bytes trace_id,
		   struct bytes span_id, struct bytes sampled, struct bytes flags);
void b3_format(struct text *out, const struct span_context *context, bool debug);

/* uber-trace-id. 0 or -EINVAL. Short ids are padded on the left. Values may be percent-encoded. */
int jaeger_parse(struct span_context *out, bool *debug, struct bytes value);
void jaeger_format(struct text *out, const struct span_context *context, bool debug);

/* Lower-case hex of exactly n bytes; -EINVAL for anything else, *out then undefined. */
int hex_parse(uint8_t *out, size_t n, struct bytes hex);
/* The other way; returns where the text ends. */
char *hex_format(char *to, const uint8_t *from, size_t n);

#endif

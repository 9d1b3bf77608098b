/* SPDX-License-Identifier: Apache-2.0 */
/* Trace context in and out of HTTP/1 heads, by the propagators that OTEL_PROPAGATORS names, in its
 * order. Works also with OTEL_SDK_DISABLED: then nothing is recorded, but context travels on. */
#ifndef SHIM_PROPAGATE_H
#define SHIM_PROPAGATE_H

#include "base/text.h"
#include "shim/wire/http1.h"
#include "shim/wire/traceparent.h"

/* What the sender decided about recording. With `valid` it is the parent's decision; without, a
 * decision that came alone (B3 "0"): the new trace follows it instead of asking the sampler. */
enum propagate_decision {
	PROPAGATE_UNDECIDED, /* nothing said: the sampler is asked, as if there were no parent */
	PROPAGATE_DROP,
	PROPAGATE_RECORD
};

struct propagate_in {
	struct span_context context; /* the parent, when valid */
	bool valid;
	bool traceparent;       /* the head has one that is valid, whoever won */
	bool debug;             /* of B3 or Jaeger: goes out again as it came */
	uint8_t decision;       /* enum propagate_decision */
	struct text tracestate; /* combined headers; empty unless valid */
	struct text baggage;    /* combined headers; whether or not valid */
};

/* Room that holds whatever tracestate and baggage may come. With less, what does not fit is left
 * out: a tracestate as a whole, baggage by members. */
#define PROPAGATE_ROOM (TRACESTATE_MAX + BAGGAGE_MAX)

/* Reads a parsed head (`in` as given to the parser). Texts stand in `room` afterwards. The last
 * propagator that finds a valid context wins; one that finds none changes nothing. More than one
 * traceparent is none. */
void propagate_extract(struct propagate_in *out, const struct http1_head *head, struct bytes in,
		       char *room, size_t room_size);

/* Writes whole header lines ("traceparent: 00-...", ended by line_end) for `context`; returns
 * their bytes. What `existing` (the head they will stand in, or NULL) carries already is left
 * out. A line that does not fit is left out and out->cut set. Only bytes of [ -~] between the line
 * ends. */
size_t propagate_format(struct text *out, const struct span_context *context,
			struct bytes tracestate, struct bytes baggage, bool debug,
			struct bytes line_end, const struct http1_head *existing);

/* Whether that is a traceparent and nothing else, for a head that has none of these fields. */
bool propagate_is_traceparent(struct bytes tracestate, struct bytes baggage);

/* Whether the head already carries a trace context of a configured propagator: the program (or
 * whoever it passes on for) traces itself, or passes on what we gave it. */
bool propagate_head_carries_context(const struct http1_head *head);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The headers that carry rule "header": what comes in is given our server span's id, what goes out
 * with that id is known by it. traceparent, or where OTEL_PROPAGATORS leaves tracecontext out the
 * headers of B3 and Jaeger that it names. */
#ifndef SHIM_CARRIER_H
#define SHIM_CARRIER_H

#include "base/text.h"
#include "shim/wire/http1.h"
#include "shim/wire/traceparent.h"

/* Whether tracecontext is selected; whether any propagator is that carries a context. */
bool carrier_is_traceparent(void);
bool carrier_any(void);

/* Whether the head has such headers, good or bad, and traceparent in any case: programs that trace
 * themselves send it. */
bool carrier_in(const struct http1_head *head);

/* The context they tell: one of ours if there is one, else the first that is valid. */
bool carrier_find(struct span_context *out, const struct http1_head *head);

/* A parsed head and the text in which it is to be changed: what stands at whole.p + i stands at
 * to + from + i, and is not there when from + i < 0. */
struct carrier_text {
	const struct http1_head *head;
	struct bytes whole;
	char *to;
	ssize_t from;
};

/* Writes `own`, child of span `parent`, over each that tells a valid context, lies whole in the
 * text, and has the room (an id of 16 digits takes none of 32). `only`: over those alone that tell
 * this context; NULL: any. A traceparent is
 * known to be valid, and to be `only`: it is not parsed again. False: none was. */
bool carrier_overwrite(const struct carrier_text *t, const struct span_context *only,
		       const struct span_context *own, const uint8_t parent[static 8]);

/* A line for a head that has none. */
void carrier_put_line(struct text *line, const struct span_context *own, bool debug,
		      struct bytes line_end);

#endif

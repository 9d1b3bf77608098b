/* SPDX-License-Identifier: Apache-2.0 */
/* Trace context headers: whatever is accepted must be clean enough to be sent on. */
#include <stdlib.h>
#include "shim/wire/traceparent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool true_always)
{
	if (!true_always)
		abort();
}

static void must_be_printable(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		must(b.p[i] >= ' ' && b.p[i] <= '~');
}

static bool same_ids(const struct span_context *a, const struct span_context *b)
{
	return memcmp(a->trace_id, b->trace_id, 16) == 0 && memcmp(a->span_id, b->span_id, 8) == 0;
}

static void traceparent(struct bytes in)
{
	char text[TRACEPARENT_LEN + 1];
	struct span_context c, again;

	if (traceparent_parse(&c, in))
		return;
	traceparent_format(text, &c);
	must(traceparent_parse(&again, (struct bytes){ text, TRACEPARENT_LEN }) == 0);
	must(same_ids(&c, &again) && c.flags == again.flags);
}

static void lists(struct bytes in)
{
	char room[TRACESTATE_MAX + BAGGAGE_MAX];
	struct text t = TEXT_ON(room), again = TEXT_ON(room);
	char copy[TRACESTATE_MAX];
	unsigned members = 0;
	size_t n;

	if (tracestate_append(&t, in, &members) == 0) {
		must(members <= TRACESTATE_MEMBERS && t.n <= TRACESTATE_MAX);
		must_be_printable(text_bytes(&t));
		memcpy(copy, room, n = t.n);
		members = 0;
		must(tracestate_append(&again, (struct bytes){ copy, n }, &members) == 0);
		must(again.n == n && memcmp(room, copy, n) == 0);
	}
	t = (struct text)TEXT_ON(room);
	members = 0;
	baggage_append(&t, in, &members);
	must(members <= BAGGAGE_MEMBERS && t.n <= BAGGAGE_MAX);
	must_be_printable(text_bytes(&t));
}

static void b3(struct bytes in)
{
	struct span_context c, again;
	enum b3_state state;
	bool alone;
	char room[64];
	struct text t = TEXT_ON(room);
	struct bytes rest = in, trace, span, sampled;

	if (b3_parse(&c, &state, &alone, in) == 0 && !alone) {
		b3_format(&t, &c, state == B3_DEBUG);
		must(b3_parse(&again, &state, &alone, text_bytes(&t)) == 0 && !alone);
		must(same_ids(&c, &again) && c.flags == again.flags);
	}
	trace = bytes_split(&rest, '\n');
	span = bytes_split(&rest, '\n');
	sampled = bytes_split(&rest, '\n');
	b3_parse_multi(&c, &state, trace, span, sampled, rest);
}

static void jaeger(struct bytes in)
{
	struct span_context c, again;
	char room[80];
	struct text t = TEXT_ON(room);
	bool debug;

	if (jaeger_parse(&c, &debug, in))
		return;
	jaeger_format(&t, &c, debug);
	must(jaeger_parse(&again, &debug, text_bytes(&t)) == 0);
	must(same_ids(&c, &again) && c.flags == again.flags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { (const char *)data, size };

	traceparent(in);
	lists(in);
	b3(in);
	jaeger(in);
	return 0;
}

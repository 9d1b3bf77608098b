/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/config.h"
#include "guard.h"
#include "shim/propagate.h"

#define TRACE  "12345678901234567890123456789012"
#define OTHER  "80f198ee56343ba864fe8b2a57d3eff7"
#define SPAN   "1234567890123456"
#define PARENT "traceparent: 00-" TRACE "-" SPAN "-01\r\n"

static char room[PROPAGATE_ROOM];
static struct propagate_in in;
static struct http1_head head;

static void use(int first, ...)
{
	size_t n = 0;
	va_list names;

	memset(config.propagator_order, 0, sizeof(config.propagator_order));
	va_start(names, first);
	for (int name = first; name != PROPAGATOR_NONE; name = va_arg(names, int))
		config.propagator_order[n++] = (uint8_t)name;
	va_end(names);
}

static void use_default(void)
{
	use(PROPAGATOR_TRACECONTEXT, PROPAGATOR_BAGGAGE, PROPAGATOR_NONE);
}

TestSuite(propagate, .init = use_default);

static struct bytes parse_head(const char *lines)
{
	static char text[70000];
	struct bytes b;
	int n = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", lines);

	b = guard_copy(text, (size_t)n);
	cr_assert_eq(http1_parse_request(&head, b, 0), n, "%s", text);
	return b;
}

/* Extracts from a head with these lines. */
static void extract(const char *lines)
{
	struct bytes b = parse_head(lines);

	propagate_extract(&in, &head, b, room, sizeof(room));
}

static void came(const char *trace, const char *span, unsigned flags)
{
	uint8_t id[16];

	cr_assert(in.valid);
	cr_assert_eq(hex_parse(id, 16, bytes_of(trace)), 0);
	cr_assert_eq(memcmp(in.context.trace_id, id, 16), 0);
	cr_assert_eq(hex_parse(id, 8, bytes_of(span)), 0);
	cr_assert_eq(memcmp(in.context.span_id, id, 8), 0);
	cr_assert_eq(in.context.flags, flags);
}

static bool is(const struct text *t, const char *want)
{
	return bytes_equal(text_bytes(t), bytes_of(want));
}

Test(propagate, finds_nothing_in_a_head_without_context)
{
	extract("");
	cr_assert_not(in.valid);
	cr_assert_eq(in.decision, PROPAGATE_UNDECIDED);
	cr_assert(is(&in.tracestate, ""));
	cr_assert(is(&in.baggage, ""));
}

Test(propagate, extracts_w3c_context)
{
	extract(PARENT "tracestate: foo=1, bar=2\r\nbaggage: a=1 ; p, b=2\r\n");
	came(TRACE, SPAN, 1);
	cr_assert_eq(in.decision, PROPAGATE_RECORD);
	cr_assert(is(&in.tracestate, "foo=1,bar=2"));
	cr_assert(is(&in.baggage, "a=1;p,b=2"));
	extract("TraceParent: \t00-" TRACE "-" SPAN "-02 \r\nTraceState:\r\n");
	came(TRACE, SPAN, 2);
	cr_assert_eq(in.decision, PROPAGATE_DROP);
}

Test(propagate, combines_repeated_headers_in_order)
{
	extract("tracestate: foo=1,bar=2\r\n" PARENT "baggage: a=1\r\nTRACESTATE: rojo=1\r\n"
		"x: y\r\nbaggage: b=2\r\ntracestate:\r\n");
	came(TRACE, SPAN, 1);
	cr_assert(is(&in.tracestate, "foo=1,bar=2,rojo=1"));
	cr_assert(is(&in.baggage, "a=1,b=2"));
}

Test(propagate, takes_two_traceparents_for_none)
{
	extract(PARENT PARENT "tracestate: foo=1\r\n");
	cr_assert_not(in.valid);
	cr_assert(is(&in.tracestate, ""));
}

Test(propagate, discards_tracestate_without_traceparent)
{
	extract("tracestate: foo=1\r\nbaggage: a=1\r\n");
	cr_assert_not(in.valid);
	cr_assert(is(&in.tracestate, ""));
	cr_assert(is(&in.baggage, "a=1"));
	extract("traceparent: 00-" TRACE "-" SPAN "-01.\r\ntracestate: foo=1\r\n");
	cr_assert_not(in.valid);
	cr_assert(is(&in.tracestate, ""));
	extract("trace-parent: 00-" TRACE "-" SPAN "-01\r\n");
	cr_assert_not(in.valid);
}

Test(propagate, keeps_the_parent_when_the_tracestate_is_bad)
{
	extract(PARENT "tracestate: foo=1\r\ntracestate: bar=\r\n");
	came(TRACE, SPAN, 1);
	cr_assert(is(&in.tracestate, ""));
}

Test(propagate, reads_only_the_propagators_asked_for)
{
	use(PROPAGATOR_NONE);
	extract(PARENT "baggage: a=1\r\nb3: " OTHER "-" SPAN "-1\r\n");
	cr_assert_not(in.valid);
	cr_assert(is(&in.baggage, ""));
	use(PROPAGATOR_BAGGAGE, PROPAGATOR_NONE);
	extract(PARENT "baggage: a=1\r\n");
	cr_assert_not(in.valid);
	cr_assert(is(&in.baggage, "a=1"));
	use(PROPAGATOR_TRACECONTEXT, PROPAGATOR_NONE);
	extract("b3: " OTHER "-" SPAN "-1\r\nuber-trace-id: " OTHER ":" SPAN
		":0:1\r\nbaggage: a=1\r\n");
	cr_assert_not(in.valid);
	cr_assert(is(&in.baggage, ""));
}

Test(propagate, a_later_valid_context_overrides)
{
	use(PROPAGATOR_TRACECONTEXT, PROPAGATOR_B3, PROPAGATOR_NONE);
	extract(PARENT "tracestate: foo=1\r\nb3: " OTHER "-" SPAN "-0\r\n");
	came(OTHER, SPAN, 0);
	cr_assert_eq(in.decision, PROPAGATE_DROP);
	cr_assert(is(&in.tracestate, ""));
	use(PROPAGATOR_B3, PROPAGATOR_TRACECONTEXT, PROPAGATOR_NONE);
	extract(PARENT "tracestate: foo=1\r\nb3: " OTHER "-" SPAN "-0\r\n");
	came(TRACE, SPAN, 1);
	cr_assert(is(&in.tracestate, "foo=1"));
}

Test(propagate, a_failed_extract_changes_nothing)
{
	use(PROPAGATOR_B3, PROPAGATOR_TRACECONTEXT, PROPAGATOR_JAEGER, PROPAGATOR_NONE);
	extract("traceparent: garbage\r\nb3: " OTHER "-" SPAN "-d\r\nuber-trace-id: 0\r\n");
	came(OTHER, SPAN, 1);
	cr_assert(in.debug);
	cr_assert_eq(in.decision, PROPAGATE_RECORD);
}

Test(propagate, the_same_trace_told_twice_keeps_its_tracestate)
{
	use(PROPAGATOR_TRACECONTEXT, PROPAGATOR_B3, PROPAGATOR_NONE);
	extract("traceparent: 00-" TRACE "-" SPAN "-03\r\ntracestate: foo=1\r\n"
		"b3: " TRACE "-" SPAN "-1\r\n");
	came(TRACE, SPAN, 3);
	cr_assert(is(&in.tracestate, "foo=1"));
}

Test(propagate, reads_both_forms_of_b3_under_both_names)
{
	for (int name = PROPAGATOR_B3; name <= PROPAGATOR_B3MULTI; name++) {
		use(name, PROPAGATOR_NONE);
		extract("b3: " OTHER "-" SPAN "-1\r\n");
		came(OTHER, SPAN, 1);
		extract("X-B3-TraceId: " OTHER "\r\nX-B3-SpanId: " SPAN "\r\nX-B3-Sampled: 0\r\n");
		came(OTHER, SPAN, 0);
		cr_assert_eq(in.decision, PROPAGATE_DROP);
		extract("X-B3-TraceId: " OTHER "\r\nX-B3-SpanId: " SPAN "\r\n");
		came(OTHER, SPAN, 0);
		cr_assert_eq(in.decision, PROPAGATE_UNDECIDED);
		/* the single header wins, but not when it is broken */
		extract("b3: " TRACE "-" SPAN "-1\r\nX-B3-TraceId: " OTHER "\r\nX-B3-SpanId: " SPAN
			"\r\n");
		came(TRACE, SPAN, 1);
		extract("b3: x\r\nX-B3-TraceId: " OTHER "\r\nX-B3-SpanId: " SPAN
			"\r\nX-B3-Flags: 1\r\n");
		came(OTHER, SPAN, 1);
		cr_assert(in.debug);
	}
}

Test(propagate, a_b3_state_alone_is_a_decision_without_parent)
{
	use(PROPAGATOR_B3, PROPAGATOR_NONE);
	extract("b3: 0\r\n");
	cr_assert_not(in.valid);
	cr_assert_eq(in.decision, PROPAGATE_DROP);
	extract("b3: d\r\n");
	cr_assert_not(in.valid);
	cr_assert(in.debug);
	cr_assert_eq(in.decision, PROPAGATE_RECORD);
	extract("X-B3-Sampled: 1\r\n");
	cr_assert_not(in.valid);
	cr_assert_eq(in.decision, PROPAGATE_RECORD);
	use(PROPAGATOR_TRACECONTEXT, PROPAGATOR_B3, PROPAGATOR_NONE);
	extract(PARENT "b3: 0\r\n");
	came(TRACE, SPAN, 1);
	cr_assert_eq(in.decision, PROPAGATE_RECORD);
}

Test(propagate, extracts_jaeger_context)
{
	use(PROPAGATOR_JAEGER, PROPAGATOR_NONE);
	extract("Uber-Trace-Id: " OTHER ":" SPAN ":0:3\r\n");
	came(OTHER, SPAN, 1);
	cr_assert(in.debug);
}

Test(propagate, leaves_out_what_has_no_room)
{
	struct bytes b = parse_head(PARENT "tracestate: foo=1,bar=2\r\nbaggage: a=1,bb=22,c=3\r\n");
	char small[16];

	propagate_extract(&in, &head, b, small, sizeof(small));
	came(TRACE, SPAN, 1);
	cr_assert(is(&in.tracestate, ""));
	cr_assert(is(&in.baggage, "a=1,c=3") || is(&in.baggage, "a=1"));
	propagate_extract(&in, &head, b, NULL, 0);
	came(TRACE, SPAN, 1);
	cr_assert(is(&in.baggage, ""));
}

static struct span_context context;

static void make_context(void)
{
	cr_assert_eq(traceparent_parse(&context, BYTES("00-" TRACE "-" SPAN "-03")), 0);
}

/* The lines written into a head that has these already; NULL: none. */
static const char *lines(const char *existing, const char *state, const char *baggage, bool debug)
{
	static char out[4096];
	struct text t = TEXT_ON(out);
	size_t n;

	make_context();
	if (existing)
		parse_head(existing);
	n = propagate_format(&t, &context, bytes_of(state), bytes_of(baggage), debug, BYTES("\r\n"),
			     existing ? &head : NULL);
	cr_assert_eq(n, t.n);
	return text_string(&t);
}

#define OURS "traceparent: 00-" TRACE "-" SPAN "-03\r\n"

Test(propagate, writes_w3c_headers)
{
	cr_assert_str_eq(lines(NULL, "", "", false), OURS);
	cr_assert_str_eq(lines("", "foo=1", "a=1", false),
			 OURS "tracestate: foo=1\r\nbaggage: a=1\r\n");
}

Test(propagate, writes_nothing_without_propagators)
{
	use(PROPAGATOR_NONE);
	cr_assert_str_eq(lines(NULL, "foo=1", "a=1", false), "");
}

Test(propagate, writes_in_the_order_configured)
{
	use(PROPAGATOR_B3, PROPAGATOR_JAEGER, PROPAGATOR_B3MULTI, PROPAGATOR_TRACECONTEXT,
	    PROPAGATOR_NONE);
	cr_assert_str_eq(lines(NULL, "", "a=1", false),
			 "b3: " TRACE "-" SPAN "-1\r\n"
			 "uber-trace-id: " TRACE ":" SPAN ":0:1\r\nuberctx-a: 1\r\n"
			 "x-b3-traceid: " TRACE "\r\nx-b3-spanid: " SPAN
			 "\r\nx-b3-sampled: 1\r\n" OURS);
}

Test(propagate, passes_debug_on)
{
	use(PROPAGATOR_B3, PROPAGATOR_JAEGER, PROPAGATOR_B3MULTI, PROPAGATOR_NONE);
	cr_assert_str_eq(lines(NULL, "", "", true),
			 "b3: " TRACE "-" SPAN "-d\r\n"
			 "uber-trace-id: " TRACE ":" SPAN ":0:3\r\n"
			 "x-b3-traceid: " TRACE "\r\nx-b3-spanid: " SPAN "\r\nx-b3-flags: 1\r\n");
}

Test(propagate, leaves_out_what_the_head_carries)
{
	cr_assert_str_eq(lines(PARENT, "foo=1", "a=1", false),
			 "tracestate: foo=1\r\nbaggage: a=1\r\n");
	cr_assert_str_eq(lines("Tracestate: x=1\r\nBaggage: y=1\r\n", "foo=1", "a=1", false), OURS);
	use(PROPAGATOR_B3, PROPAGATOR_JAEGER, PROPAGATOR_B3MULTI, PROPAGATOR_NONE);
	cr_assert_str_eq(lines("b3: 0\r\nuber-trace-id: x\r\nx-b3-spanid: y\r\n", "", "", false),
			 "");
	cr_assert_str_eq(lines("b3: 0\r\nuber-trace-id: x\r\nx-b3-sampled: 0\r\n", "", "", false),
			 "x-b3-traceid: " TRACE "\r\nx-b3-spanid: " SPAN "\r\n");
}

Test(propagate, uses_the_line_end_of_the_head)
{
	char out[128];
	struct text t = TEXT_ON(out);

	make_context();
	propagate_format(&t, &context, BYTES("a=1"), BYTES(""), false, BYTES("\n"), NULL);
	cr_assert_str_eq(text_string(&t),
			 "traceparent: 00-" TRACE "-" SPAN "-03\ntracestate: a=1\n");
}

Test(propagate, never_writes_a_byte_that_is_not_printable)
{
	cr_assert_str_eq(lines(NULL, "foo=1\r\nevil: 1", "a=\t", false), OURS);
	cr_assert_str_eq(lines(NULL, "foo=\x7f", "a=\xc3\xa9", false), OURS);
}

Test(propagate, writes_whole_lines_or_none)
{
	static const char all[] = OURS "tracestate: foo=1\r\nbaggage: a=1\r\n";

	make_context();
	for (size_t size = 0; size <= sizeof(all); size++) {
		char out[sizeof(all) + 1];
		struct text t = { .p = out, .size = size };
		size_t n = propagate_format(&t, &context, BYTES("foo=1"), BYTES("a=1"), false,
					    BYTES("\r\n"), NULL);

		cr_assert_eq(n, t.n);
		cr_assert_leq(n, size);
		cr_assert(n == 0 || memcmp(out + n - 2, "\r\n", 2) == 0);
		cr_assert_eq(t.cut, size < sizeof(all) - 1);
	}
}

Test(propagate, knows_heads_that_carry_context)
{
	static const struct {
		const char *lines;
		int propagator;
	} cases[] = {
		{ PARENT, PROPAGATOR_TRACECONTEXT },
		{ "traceparent: junk\r\n", PROPAGATOR_TRACECONTEXT },
		{ "b3: 0\r\n", PROPAGATOR_B3 },
		{ "x-b3-traceid: 1\r\n", PROPAGATOR_B3 },
		{ "b3: 0\r\n", PROPAGATOR_B3MULTI },
		{ "x-b3-spanid: 1\r\n", PROPAGATOR_B3MULTI },
		{ "uber-trace-id: 1\r\n", PROPAGATOR_JAEGER },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		parse_head(cases[i].lines);
		use(PROPAGATOR_BAGGAGE, cases[i].propagator, PROPAGATOR_NONE);
		cr_assert(propagate_head_carries_context(&head), "%s", cases[i].lines);
		use(PROPAGATOR_BAGGAGE, PROPAGATOR_NONE);
		cr_assert_not(propagate_head_carries_context(&head));
	}
	use_default();
	parse_head("tracestate: foo=1\r\nbaggage: a=1\r\nb3: 0\r\n");
	cr_assert_not(propagate_head_carries_context(&head));
}

Test(propagate, takes_jaeger_baggage_from_a_header_an_entry)
{
	use(PROPAGATOR_JAEGER, PROPAGATOR_NONE);
	extract("uberctx-User-Id: 7%2C8\r\nUberCtx-tier: gold\r\nuberctx-: x\r\nuberctx-bad: "
		"a\"b\r\n");
	cr_assert_not(in.valid);
	cr_assert(is(&in.baggage, "user-id=7%2C8,tier=gold"));
}

Test(propagate, writes_jaeger_baggage_as_a_header_an_entry)
{
	use(PROPAGATOR_JAEGER, PROPAGATOR_NONE);
	make_context();
	cr_assert_not_null(strstr(lines(NULL, "", "user-id=7%2C8;p=1,tier=gold", false),
				  "uberctx-user-id: 7%2C8\r\nuberctx-tier: gold\r\n"));
}

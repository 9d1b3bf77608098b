/* SPDX-License-Identifier: Apache-2.0 */
/* How exchanges of HTTP/2 end: resets, lost connections, streams without a status. */
#include "call_fixture.h"

static const char *const reset_names[] = {
	"no_error",
	"protocol_error",
	"internal_error",
	"flow_control_error",
	"settings_timeout",
	"stream_closed",
	"frame_size_error",
	"refused_stream",
	"cancel",
	"compression_error",
	"connect_error",
	"enhance_your_calm",
	"inadequate_security",
	"http_1_1_required",
	"_OTHER",
};
#define RESETS 15

/* ---- calls ---- */

Test(request_rpc, says_how_a_call_ended_that_was_reset, .fini = spans_stop)
{
	static const char *const status[RESETS] = {
		"INTERNAL", "INTERNAL",           "INTERNAL",          "INTERNAL",  "INTERNAL",
		"UNKNOWN",  "INTERNAL",           "UNAVAILABLE",       "CANCELLED", "INTERNAL",
		"INTERNAL", "RESOURCE_EXHAUSTED", "PERMISSION_DENIED", "UNKNOWN",   "UNKNOWN",
	};
	static const bool server_error[RESETS] = { 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 0, 1, 1 };
	struct call call;

	spans_start(NULL);
	for (unsigned i = 0; i < 2 * RESETS; i++) {
		call = call_begin(i >= RESETS, AUTHORITY);
		request_note_reset(call.e, i % RESETS, i & 1);
		call_end(&call);
	}
	cr_assert_eq(spans_read(), 2 * RESETS);
	for (unsigned i = 0; i < RESETS; i++) {
		expect_call(i, status[i], true);
		expect_call(RESETS + i, status[i], server_error[i]);
	}
}

Test(request_rpc, tells_a_deadline_from_lost_interest, .fini = spans_stop)
{
	static const char *const timeouts[] = { "1n", "1H", "99999999H", "123456789n", "1x", "" };
	static const char *const status[] = { "DEADLINE_EXCEEDED", "CANCELLED", "CANCELLED",
					      "CANCELLED",         "CANCELLED", "CANCELLED" };

	spans_start(NULL);
	for (unsigned i = 0; i < 12; i++) {
		char lines[96];
		struct call call;

		snprintf(lines, sizeof(lines), AUTHORITY "grpc-timeout: %s\r\n", timeouts[i % 6]);
		call = call_begin(i >= 6, lines);
		request_note_reset(call.e, H2_CANCEL, i < 6);
		call_end(&call);
	}
	cr_assert_eq(spans_read(), 12);
	for (unsigned i = 0; i < 6; i++) {
		expect_call(i, status[i], true);
		expect_call(6 + i, status[i], i == 0);
	}
}

/* grpc-timeout is rounded up, and counts from before the head was sent. */
Test(request_rpc, takes_an_end_shortly_before_the_deadline_for_it, .fini = spans_stop)
{
	static const struct {
		const char *timeout;
		unsigned us;
		bool deadline;
	} all[] = {
		{ "300m", 297000, true },  { "300m", 250000, false }, { "10S", 9800000, true },
		{ "10S", 9000000, false }, { "2m", 1500, true },      { "2m", 900, false },
	};
	const unsigned n = sizeof(all) / sizeof(*all);

	spans_start(NULL);
	for (unsigned i = 0; i < n; i++) {
		char lines[96];
		struct call call;

		snprintf(lines, sizeof(lines), AUTHORITY "grpc-timeout: %s\r\n", all[i].timeout);
		call = call_begin(false, lines);
		cr_expect_eq(request_given_up(call.e,
					      call.e->start_monotonic + all[i].us * 1000ull),
			     all[i].deadline ? GRPC_DEADLINE_EXCEEDED : GRPC_CANCELLED, "%u", i);
		call_end(&call);
	}
}

Test(request_rpc, understands_a_stream_that_ends_without_a_status, .fini = spans_stop)
{
	static const struct {
		unsigned http;
		const char *status;
	} all[] = {
		{ 200, "UNKNOWN" },           { 400, "INTERNAL" },      { 401, "UNAUTHENTICATED" },
		{ 403, "PERMISSION_DENIED" }, { 404, "UNIMPLEMENTED" }, { 415, "UNKNOWN" },
		{ 429, "UNAVAILABLE" },       { 431, "INTERNAL" },      { 500, "UNKNOWN" },
		{ 502, "UNAVAILABLE" },       { 503, "UNAVAILABLE" },   { 504, "UNAVAILABLE" },
	};
	const unsigned n = sizeof(all) / sizeof(*all);

	spans_start(NULL);
	for (unsigned i = 0; i < n; i++) {
		struct call call = call_begin(false, AUTHORITY);

		call_answer(&call, all[i].http, "content-type: text/html\r\n");
		call.e->response_ended = true;
		request_note_reset(call.e, H2_NO_ERROR, true);
		call_end(&call);
	}
	cr_assert_eq(spans_read(), n);
	for (unsigned i = 0; i < n; i++)
		expect_call(i, all[i].status, true);
}

Test(request_rpc, takes_trailers_without_a_status_for_the_end, .fini = spans_stop)
{
	struct call call;

	spans_start(NULL);
	call = call_begin(true, AUTHORITY);
	call_answer(&call, 200, GRPC);
	call_trailers(&call, "x: y\r\n");
	call_end(&call);
	cr_assert_eq(spans_read(), 1);
	expect_call(0, "UNKNOWN", true);
}

Test(request_rpc, says_whom_a_lost_connection_was_lost_to, .fini = spans_stop)
{
	static const struct {
		const char *error, *client, *server;
		bool server_error;
	} all[] = {
		{ "connection_closed", "UNAVAILABLE", "CANCELLED", false },
		{ "connection_reset", "UNAVAILABLE", "CANCELLED", false },
		{ "timeout", "UNAVAILABLE", "CANCELLED", false },
		{ "aborted", "CANCELLED", "UNAVAILABLE", true },
	};

	spans_start(NULL);
	for (unsigned i = 0; i < 8; i++) {
		struct call call = call_begin(i >= 4, AUTHORITY);

		call_answer(&call, 200, GRPC);
		call.e->error = all[i % 4].error;
		call_end(&call);
	}
	cr_assert_eq(spans_read(), 8);
	for (unsigned i = 0; i < 4; i++) {
		expect_call(i, all[i].client, true);
		expect_call(4 + i, all[i].server, all[i].server_error);
	}
}

Test(request_rpc, says_nothing_of_an_end_that_nobody_saw, .fini = spans_stop)
{
	struct call call;

	spans_start_with("OTEL_SEMCONV_STABILITY_OPT_IN=rpc/dup");
	call = call_begin(false, AUTHORITY);
	call_answer(&call, 200, GRPC);
	call_end(&call);
	cr_assert_eq(spans_read(), 1);
	expect_call(0, "", false);
	cr_expect_str_eq(span_attribute(span_at(0), "rpc.grpc.status_code"), "");
	cr_expect_str_eq(span_field(span_at(0), "name"), "shop.v1.Cart/Add");
}

/* ---- HTTP ---- */

#define BEGIN(server) stream_begin(server, "GET /x?y=1", "https", "host: a.example\r\n")

Test(request_rpc, says_of_http2_what_it_says_of_http1, .fini = spans_stop)
{
	json_t *span;

	spans_start_with("OTEL_SEMCONV_STABILITY_OPT_IN=http/dup");
	for (unsigned client = 0; client < 2; client++) {
		struct call call = BEGIN(!client);

		call_answer(&call, 503, "");
		call_trailers(&call, "grpc-status: 0\r\n"); /* means nothing here */
		call_end(&call);
	}
	cr_assert_eq(spans_read(), 2);
	for (size_t i = 0; i < 2; i++) {
		span = span_at(i);
		expect_span(i, i == 0 ? KIND_SERVER : KIND_CLIENT, "503", "503");
		cr_expect_str_eq(span_field(span, "name"), "GET /x");
		cr_expect_str_eq(span_attribute(span, "network.protocol.version"), "2");
		cr_expect_str_eq(span_attribute(span, "network.protocol.name"), "");
		cr_expect_str_eq(span_attribute(span, "http.flavor"), "2.0");
		cr_expect_str_eq(span_attribute(span, "server.port"), "443");
		cr_expect_str_eq(span_attribute(span, "rpc.system.name"), "");
	}
	/* The scheme is the request's, whatever the connection is. */
	cr_expect_str_eq(span_attribute(span_at(0), "url.scheme"), "https");
	cr_expect_str_eq(span_attribute(span_at(0), "url.path"), "/x");
	cr_expect_str_eq(span_attribute(span_at(1), "url.full"), "https://a.example/x?y=1");
}

Test(request_rpc, keeps_a_scheme_of_the_target, .fini = spans_stop)
{
	struct call call;

	spans_start(NULL);
	call = stream_begin(true, "GET http://b.example/y", "https", "host: a.example\r\n");
	call_answer(&call, 200, "");
	call_end(&call);
	call = stream_begin(true, "GET /y", "gopher", "host: a.example\r\n");
	call_answer(&call, 200, "");
	call_end(&call);
	call = stream_begin(true, "GET /y", "", "host: a.example\r\n");
	call_answer(&call, 200, "");
	call_end(&call);
	cr_assert_eq(spans_read(), 3);
	cr_expect_str_eq(span_attribute(span_at(0), "url.scheme"), "http");
	cr_expect_str_eq(span_attribute(span_at(1), "url.scheme"), "gopher");
	cr_expect_str_eq(span_attribute(span_at(2), "url.scheme"), "http");
}

Test(request_rpc, names_the_reset_of_a_request, .fini = spans_stop)
{
	spans_start(NULL);
	for (unsigned i = 0; i < 2 * RESETS; i++) {
		struct call call = BEGIN(i >= RESETS);

		request_note_reset(call.e, i % RESETS, false);
		call_end(&call);
	}
	cr_assert_eq(spans_read(), 2 * RESETS);
	for (unsigned i = 0; i < 2 * RESETS; i++)
		expect_span(i, i >= RESETS ? KIND_SERVER : KIND_CLIENT, "",
			    reset_names[i % RESETS]);
}

Test(request_rpc, knows_which_resets_do_no_harm, .fini = spans_stop)
{
	static const struct {
		bool server, by_us, ended;
		uint32_t reset;
		const char *error;
	} all[] = {
		/* a whole answer, and the rest of the request is not wanted */
		{ true, true, true, H2_NO_ERROR, "" },
		{ false, false, true, H2_NO_ERROR, "" },
		{ true, false, true, H2_CANCEL, "" },
		{ false, true, true, H2_CANCEL, "" },
		{ false, true, true, H2_PROTOCOL_ERROR, "protocol_error" },
		/* half an answer */
		{ false, false, false, H2_NO_ERROR, "no_error" },
		{ false, false, false, H2_CANCEL, "cancel" },
		{ true, false, false, H2_CANCEL, "cancel" },
		{ true, true, false, H2_CANCEL, "cancel" },
		{ false, true, false, H2_CANCEL, "" }, /* the client had enough */
		{ false, true, false, H2_FLOW_CONTROL_ERROR, "flow_control_error" },
	};
	const unsigned n = sizeof(all) / sizeof(*all);

	spans_start(NULL);
	for (unsigned i = 0; i < n; i++) {
		struct call call = BEGIN(all[i].server);

		call_answer(&call, 200, "");
		call.e->response_ended = all[i].ended;
		request_note_reset(call.e, all[i].reset, all[i].by_us);
		call_end(&call);
	}
	cr_assert_eq(spans_read(), n);
	for (unsigned i = 0; i < n; i++)
		expect_span(i, all[i].server ? KIND_SERVER : KIND_CLIENT, "200", all[i].error);
}

Test(request_rpc, keeps_the_first_error, .fini = spans_stop)
{
	struct call call;

	spans_start(NULL);
	call = BEGIN(false);
	request_note_reset(call.e, H2_REFUSED_STREAM, false);
	request_note_reset(call.e, H2_CANCEL, true);
	call_end(&call);
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_CLIENT, "", "refused_stream");
}

Test(request_rpc, goes_without_an_exchange_when_there_is_no_memory, .fini = spans_stop)
{
	static struct exchange *all[EXCHANGES_MAX];
	unsigned n = 0;
	struct call call;

	spans_start(NULL);
	while (n < EXCHANGES_MAX && (all[n] = exchange_open(0)))
		n++;
	call = call_begin(true, AUTHORITY);
	cr_expect_null(call.e);
	conn_release(call.c);
	fixture_close(call.fd, call.peer);
	while (n)
		exchange_close(all[--n]);
	call_make(true, "0");
	cr_assert_eq(spans_read(), 1);
	expect_call(0, "OK", false);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the span of a call of gRPC says. */
#include "base/counters.h"
#include "call_fixture.h"
#include "shim/block.h"

static const char *const names[] = {
	"OK",
	"CANCELLED",
	"UNKNOWN",
	"INVALID_ARGUMENT",
	"DEADLINE_EXCEEDED",
	"NOT_FOUND",
	"ALREADY_EXISTS",
	"PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED",
	"FAILED_PRECONDITION",
	"ABORTED",
	"OUT_OF_RANGE",
	"UNIMPLEMENTED",
	"INTERNAL",
	"UNAVAILABLE",
	"DATA_LOSS",
	"UNAUTHENTICATED",
};

Test(span_rpc, says_of_a_call_what_the_conventions_ask_for, .fini = spans_stop)
{
	json_t *span;

	spans_start_with("OTEL_PROPAGATORS=tracecontext");
	call_make(true, "0");
	call_make(false, "0");
	cr_assert_eq(spans_read(), 2);
	for (size_t i = 0; i < 2; i++) {
		span = span_at(i);
		cr_expect_eq(span_kind(span), i == 0 ? KIND_SERVER : KIND_CLIENT);
		cr_expect_str_eq(span_field(span, "name"), "shop.v1.Cart/Add");
		cr_expect_str_eq(span_attribute(span, "rpc.system.name"), "grpc");
		cr_expect_str_eq(span_attribute(span, "rpc.method"), "shop.v1.Cart/Add");
		cr_expect_str_eq(span_attribute(span, "rpc.method_original"), "");
		cr_expect_str_eq(span_attribute(span, "server.address"), "shop.example");
		cr_expect_str_eq(span_attribute(span, "server.port"), "50051");
		cr_expect_str_eq(span_attribute(span, "network.peer.address"), "192.0.2.7");
		cr_expect_str_eq(span_attribute(span, "network.peer.port"), "4711");
		expect_call(i, "OK", false);
		/* Not of HTTP, and no older names unless they are asked for. */
		cr_expect_str_eq(span_attribute(span, "http.request.method"), "");
		cr_expect_str_eq(span_attribute(span, "http.response.status_code"), "");
		cr_expect_str_eq(span_attribute(span, "url.path"), "");
		cr_expect_str_eq(span_attribute(span, "url.full"), "");
		cr_expect_str_eq(span_attribute(span, "rpc.system"), "");
		cr_expect_str_eq(span_attribute(span, "rpc.service"), "");
		cr_expect_str_eq(span_attribute(span, "rpc.grpc.status_code"), "");
	}
	cr_expect_str_eq(span_attribute(span_at(0), "tagalong.link"), "");
	cr_expect_str_eq(span_attribute(span_at(1), "tagalong.link"), "none");
}

Test(span_rpc, calls_a_servers_failures_errors_and_no_mistakes_of_callers, .fini = spans_stop)
{
	static const bool error[17] = { [2] = 1, [4] = 1, [12] = 1, [13] = 1, [14] = 1, [15] = 1 };
	char code[8];

	spans_start(NULL);
	for (unsigned i = 0; i < 17; i++) {
		snprintf(code, sizeof(code), "%u", i);
		call_make(true, code);
	}
	cr_assert_eq(spans_read(), 17);
	for (unsigned i = 0; i < 17; i++)
		expect_call(i, names[i], error[i]);
}

Test(span_rpc, calls_all_but_ok_an_error_of_a_clients, .fini = spans_stop)
{
	char code[8];

	spans_start(NULL);
	for (unsigned i = 0; i < 17; i++) {
		snprintf(code, sizeof(code), "%u", i);
		call_make(false, code);
	}
	cr_assert_eq(spans_read(), 17);
	for (unsigned i = 0; i < 17; i++)
		expect_call(i, names[i], i != 0);
}

Test(span_rpc, takes_a_status_that_is_none_for_unknown, .fini = spans_stop)
{
	static const char *const odd[] = { "17", "-1", "", "x", "4294967296", "1 2" };

	spans_start(NULL);
	for (size_t i = 0; i < 6; i++)
		call_make(false, odd[i]);
	cr_assert_eq(spans_read(), 6);
	for (size_t i = 0; i < 6; i++)
		expect_call(i, "UNKNOWN", true);
}

Test(span_rpc, reads_the_status_of_a_head_that_is_all_there_is, .fini = spans_stop)
{
	struct call call;

	spans_start(NULL);
	call = call_begin(false, AUTHORITY);
	call_answer(&call, 200, GRPC "grpc-status: 5\r\ngrpc-message: no such cart\r\n");
	call.e->response_ended = true;
	call_end(&call);
	cr_assert_eq(spans_read(), 1);
	expect_call(0, "NOT_FOUND", true);
	cr_expect_str_eq(span_description(span_at(0)), "no such cart");
}

Test(span_rpc, keeps_the_first_status, .fini = spans_stop)
{
	struct call call;

	spans_start(NULL);
	call = call_begin(false, AUTHORITY);
	call_answer(&call, 200, GRPC);
	call_trailers(&call, "grpc-status: 3\r\n");
	call_trailers(&call, "grpc-status: 0\r\n");
	request_note_reset(call.e, H2_CANCEL, false);
	call_end(&call);
	cr_assert_eq(spans_read(), 1);
	expect_call(0, "INVALID_ARGUMENT", true);
}

Test(span_rpc, knows_which_requests_are_calls, .fini = spans_stop)
{
	static const struct {
		const char *request, *type;
		bool call;
	} all[] = {
		{ "POST /a/b", "application/grpc", true },
		{ "POST /a/b", "application/grpc+proto", true },
		{ "POST /a/b", "Application/GRPC; charset=utf-8", true },
		{ "POST /a/b", "application/grpc;x", true },
		{ "POST /a/b", "application/grpc-web", false },
		{ "POST /a/b", "application/grpc-web+proto", false },
		{ "POST /a/b", "application/grpcx", false },
		{ "POST /a/b", "application/json", false },
		{ "GET /a/b", "application/grpc", false },
	};
	const size_t n = sizeof(all) / sizeof(*all);

	spans_start(NULL);
	for (size_t i = 0; i < n; i++) {
		char lines[128];
		struct call call;

		snprintf(lines, sizeof(lines), AUTHORITY "content-type: %s\r\n", all[i].type);
		call = stream_begin(true, all[i].request, "http", lines);
		call_answer(&call, 200, "");
		call_trailers(&call, "grpc-status: 0\r\n");
		call_end(&call);
	}
	cr_assert_eq(spans_read(), n);
	for (size_t i = 0; i < n; i++) {
		const json_t *span = span_at(i);

		cr_expect_str_eq(span_attribute(span, "rpc.system.name"), all[i].call ? "grpc" : "",
				 "%zu", i);
		cr_expect_str_eq(span_attribute(span, "http.response.status_code"),
				 all[i].call ? "" : "200", "%zu", i);
	}
}

Test(span_rpc, does_not_name_what_the_server_does_not_have, .fini = spans_stop)
{
	json_t *span;

	spans_start(NULL);
	call_make(true, "12");
	call_make(false, "12");
	cr_assert_eq(spans_read(), 2);
	span = span_at(0);
	cr_expect_str_eq(span_field(span, "name"), "grpc");
	cr_expect_str_eq(span_attribute(span, "rpc.method"), "_OTHER");
	cr_expect_str_eq(span_attribute(span, "rpc.method_original"), "shop.v1.Cart/Add");
	span = span_at(1); /* the program's own stubs */
	cr_expect_str_eq(span_field(span, "name"), "shop.v1.Cart/Add");
	cr_expect_str_eq(span_attribute(span, "rpc.method"), "shop.v1.Cart/Add");
}

Test(span_rpc, does_not_name_what_is_no_method, .fini = spans_stop)
{
	static const char *const paths[] = { "/", "/x", "/x/", "//x", "*" };
	static const char *const original[] = { "", "x", "x/", "/x", "*" };

	spans_start(NULL);
	for (size_t i = 0; i < 5; i++) {
		char request[32];
		struct call call;

		snprintf(request, sizeof(request), "POST %s", paths[i]);
		call = stream_begin(false, request, "http", AUTHORITY GRPC);
		call_answer(&call, 200, GRPC);
		call_trailers(&call, "grpc-status: 0\r\n");
		call_end(&call);
	}
	cr_assert_eq(spans_read(), 5);
	for (size_t i = 0; i < 5; i++) {
		cr_expect_str_eq(span_field(span_at(i), "name"), "grpc", "%zu", i);
		cr_expect_str_eq(span_attribute(span_at(i), "rpc.method"), "_OTHER");
		cr_expect_str_eq(span_attribute(span_at(i), "rpc.method_original"), original[i],
				 "%zu", i);
	}
}

static void call_method(bool server, unsigned number)
{
	char request[64];
	struct call call;

	snprintf(request, sizeof(request), "POST /made.Up/Name%u", number);
	call = stream_begin(server, request, "http", AUTHORITY GRPC);
	call_answer(&call, 200, GRPC);
	call_trailers(&call, "grpc-status: 0\r\n");
	call_end(&call);
}

Test(span_rpc, names_a_thousand_methods_of_a_server_and_no_more, .fini = spans_stop)
{
	spans_start(NULL);
	for (unsigned i = 0; i < 1003; i++) {
		call_method(true, i);
		if (i % 32 == 0) /* few enough for one line of the file */
			spans_read();
	}
	call_method(true, 999);
	call_method(false, 1002);
	cr_assert_eq(spans_read(), 1005);
	for (unsigned i = 0; i < 1000; i++)
		cr_assert_str_neq(span_attribute(span_at(i), "rpc.method"), "_OTHER");
	for (unsigned i = 1000; i < 1003; i++) {
		cr_expect_str_eq(span_attribute(span_at(i), "rpc.method"), "_OTHER");
		cr_expect_str_eq(span_field(span_at(i), "name"), "grpc");
	}
	cr_expect_str_eq(span_attribute(span_at(1002), "rpc.method_original"), "made.Up/Name1002");
	cr_expect_str_eq(span_field(span_at(1003), "name"), "made.Up/Name999");
	cr_expect_str_eq(span_field(span_at(1004), "name"), "made.Up/Name1002");
}

Test(span_rpc, adds_the_older_names_when_asked_to, .fini = spans_stop)
{
	json_t *span;

	spans_start_with("OTEL_SEMCONV_STABILITY_OPT_IN=rpc/dup");
	call_make(false, "5");
	call_make(true, "12");
	cr_assert_eq(spans_read(), 2);
	span = span_at(0);
	cr_expect_str_eq(span_attribute(span, "rpc.system.name"), "grpc");
	cr_expect_str_eq(span_attribute(span, "rpc.system"), "grpc");
	cr_expect_str_eq(span_attribute(span, "rpc.method"), "shop.v1.Cart/Add");
	cr_expect_str_eq(span_attribute(span, "rpc.service"), "shop.v1.Cart");
	cr_expect_str_eq(span_attribute(span, "rpc.grpc.status_code"), "5");
	expect_call(0, "NOT_FOUND", true);
	cr_expect_str_eq(span_attribute(span_at(1), "rpc.service"), "");
	cr_expect_str_eq(span_attribute(span_at(1), "rpc.grpc.status_code"), "12");
}

Test(span_rpc, decodes_the_message_of_an_error, .fini = spans_stop)
{
	static const struct {
		const char *sent, *said;
	} all[] = {
		{ "caf%C3%A9 closed", "caf\u00e9 closed" },
		{ "100%25", "100%" },
		{ "100%", "100%" },
		{ "%4", "%4" },
		{ "%zz%41", "%zzA" },
		{ "%ff", "\ufffd" },
		{ "", "" },
	};
	const size_t n = sizeof(all) / sizeof(*all);

	spans_start(NULL);
	for (size_t i = 0; i < n; i++) {
		struct call call = call_begin(false, AUTHORITY);
		char lines[96];

		snprintf(lines, sizeof(lines), "grpc-status: 13\r\ngrpc-message: %s\r\n",
			 all[i].sent);
		call_answer(&call, 200, GRPC);
		call_trailers(&call, lines);
		call_end(&call);
	}
	cr_assert_eq(spans_read(), n);
	for (size_t i = 0; i < n; i++)
		cr_expect_str_eq(span_description(span_at(i)), all[i].said, "%zu", i);
}

Test(span_rpc, describes_errors_only, .fini = spans_stop)
{
	struct call call;

	spans_start(NULL);
	call = call_begin(true, AUTHORITY);
	call_answer(&call, 200, GRPC);
	call_trailers(&call, "grpc-status: 5\r\ngrpc-message: no\r\n");
	call_end(&call);
	cr_assert_eq(spans_read(), 1);
	cr_expect_str_eq(span_description(span_at(0)), "");
}

/* A request whose head takes `n` bytes more, answered with a message of `message` bytes. */
static size_t described(size_t n, size_t message)
{
	static char lines[40000];
	struct call call;
	size_t at;

	at = (size_t)snprintf(lines, sizeof(lines), AUTHORITY "x: ");
	memset(lines + at, 'x', n);
	strcpy(lines + at + n, "\r\n");
	call = call_begin(false, lines);
	at = (size_t)snprintf(lines, sizeof(lines), "grpc-status: 13\r\ngrpc-message: ");
	for (size_t i = 0; i < message; i += 3)
		memcpy(lines + at + i, "%41", 3);
	strcpy(lines + at + message / 3 * 3, "\r\n");
	call_answer(&call, 200, GRPC);
	call_trailers(&call, lines);
	call_end(&call);
	spans_read();
	return strlen(span_description(span_at(json_array_size(spans) - 1)));
}

Test(span_rpc, cuts_a_message_that_finds_no_room, .fini = spans_stop)
{
	size_t n;

	spans_start(NULL);
	n = described(0, 6000);
	cr_expect(n > 100 && n < EXCHANGE_TEXT / 3, "%zu", n);
	cr_expect_eq(counted(attributes_cut), 1);
	n = described(5000, 6000); /* the exchange has a block */
	cr_expect_eq(n, 2000, "%zu", n);
	cr_expect_eq(block_in_use(), 0);
}

Test(span_rpc, cuts_a_long_message_without_memory, .fini = spans_stop)
{
	static void *taken[BLOCK_SMALL_COUNT + BLOCK_LARGE_COUNT];
	static char lines[8000];
	struct call call;
	size_t n = 0, size, at;

	spans_start(NULL);
	memset(lines, 'x', 5000);
	memcpy(lines, "x: ", 3);
	strcpy(lines + 5000, "\r\n");
	call = call_begin(false, lines);
	at = (size_t)snprintf(lines, sizeof(lines), "grpc-status: 13\r\ngrpc-message: ");
	memset(lines + at, 'm', 4500);
	strcpy(lines + at + 4500, "\r\n");
	call_answer(&call, 200, GRPC);
	call_trailers(&call, lines);
	for (size = BLOCK_LARGE; n < sizeof(taken) / sizeof(*taken); n++) {
		taken[n] = block_get(size, &at);
		if (!taken[n] && size == BLOCK_LARGE)
			taken[n] = block_get(size = 1, &at);
		if (!taken[n])
			break;
	}
	call_end(&call);
	while (n)
		block_put(taken[--n]);
	cr_assert_eq(spans_read(), 1);
	cr_expect_eq(strlen(span_description(span_at(0))), 768);
}

Test(span_rpc, records_the_metadata_it_is_told_to, .fini = spans_stop)
{
	struct call call;
	json_t *span;

	spans_start_with("OTEL_INSTRUMENTATION_GRPC_CAPTURE_METADATA_SERVER_REQUEST=Tenant,key-bin",
			 "OTEL_INSTRUMENTATION_GRPC_CAPTURE_METADATA_SERVER_RESPONSE=cost,shard",
			 "OTEL_INSTRUMENTATION_GRPC_CAPTURE_METADATA_CLIENT_REQUEST=tenant",
			 "OTEL_INSTRUMENTATION_GRPC_CAPTURE_METADATA_CLIENT_RESPONSE=cost",
			 "OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_REQUEST_HEADERS=tenant");
	for (unsigned client = 0; client < 2; client++) {
		call = call_begin(!client, AUTHORITY
				  "tenant: a\r\ntenant: b\r\nkey-bin: AAEC/w\r\nsecret: s\r\n");
		call_answer(&call, 200, GRPC "shard: 7\r\n");
		call_trailers(&call, "grpc-status: 0\r\ncost: 12\r\n");
		call_end(&call);
	}
	cr_assert_eq(spans_read(), 2);
	span = span_at(0);
	cr_expect_str_eq(span_array(span, "rpc.request.metadata.tenant"), "a|b");
	cr_expect_str_eq(span_array(span, "rpc.request.metadata.key-bin"), "AAEC/w");
	cr_expect_str_eq(span_array(span, "rpc.request.metadata.secret"), "");
	cr_expect_str_eq(span_array(span, "rpc.response.metadata.shard"), "7");
	cr_expect_str_eq(span_array(span, "rpc.response.metadata.cost"), "12");
	cr_expect_str_eq(span_array(span, "http.request.header.tenant"), "");
	span = span_at(1);
	cr_expect_str_eq(span_array(span, "rpc.request.metadata.tenant"), "a|b");
	cr_expect_str_eq(span_array(span, "rpc.request.metadata.key-bin"), "");
	cr_expect_str_eq(span_array(span, "rpc.response.metadata.cost"), "12");
	cr_expect_str_eq(span_array(span, "rpc.response.metadata.shard"), "");
}

Test(span_rpc, takes_the_peers_port_where_a_client_names_none, .fini = spans_stop)
{
	static const char *const lines[] = { "host: shop\r\n", "x: y\r\n" };

	spans_start(NULL);
	for (unsigned i = 0; i < 4; i++) {
		struct call call = call_begin(i < 2, lines[i % 2]);

		call_answer(&call, 200, GRPC "grpc-status: 0\r\n");
		call_end(&call);
	}
	cr_assert_eq(spans_read(), 4);
	cr_expect_str_eq(span_attribute(span_at(0), "server.address"), "shop");
	cr_expect_str_eq(span_attribute(span_at(0), "server.port"), "");
	cr_expect_str_eq(span_attribute(span_at(1), "server.address"), "");
	cr_expect_str_eq(span_attribute(span_at(2), "server.address"), "shop");
	cr_expect_str_eq(span_attribute(span_at(2), "server.port"), "4711");
	cr_expect_str_eq(span_attribute(span_at(3), "server.address"), "192.0.2.7");
	cr_expect_str_eq(span_attribute(span_at(3), "server.port"), "4711");
}

Test(span_rpc, belongs_to_the_callers_trace, .fini = spans_stop)
{
	struct call call;

	spans_start(NULL);
	call = call_begin(true, AUTHORITY "traceparent: " PARENT "\r\n");
	call_answer(&call, 200, GRPC "grpc-status: 0\r\n");
	call_end(&call);
	cr_assert_eq(spans_read(), 1);
	cr_expect_str_eq(span_field(span_at(0), "traceId"), PARENT_TRACE);
	cr_expect_str_eq(span_field(span_at(0), "parentSpanId"), PARENT_SPAN);
}

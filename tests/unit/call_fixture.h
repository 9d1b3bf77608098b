/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanges of HTTP/2 and calls of gRPC, as whoever follows the streams tells of them: heads are
 * written here as lines of HTTP/1. */
#ifndef TESTS_CALL_FIXTURE_H
#define TESTS_CALL_FIXTURE_H

#include <arpa/inet.h>
#include "shim/request.h"
#include "shim/span.h"
#include "shim/wire/grpc.h"
#include "shim_spans.h"

#define GRPC      "content-type: application/grpc\r\n"
#define AUTHORITY "host: shop.example:50051\r\n"
#define METHOD    "/shop.v1.Cart/Add"

struct call {
	int fd, peer;
	struct conn *c;
	struct exchange *e;
	struct link link;
};

static char call_text[65536];

static inline struct bytes call_lines(const char *first, const char *lines)
{
	int n = snprintf(call_text, sizeof(call_text), "%s\r\n%s\r\n", first, lines);

	cr_assert(n > 0 && (size_t)n < sizeof(call_text));
	return (struct bytes){ call_text, (size_t)n };
}

/* Opens the exchange of "POST /pkg.Svc/Meth" on a connection of its own to 192.0.2.7:4711; `e` is
 * NULL when there is no memory. */
static inline struct call stream_begin(bool server, const char *request, const char *scheme,
				       const char *lines)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(4711) };
	struct call call = { .fd = -1 };
	char first[9000];
	struct http1_head head;
	struct bytes whole;

	inet_pton(AF_INET, "192.0.2.7", &address.sin_addr);
	snprintf(first, sizeof(first), "%s HTTP/1.1", request);
	whole = call_lines(first, lines);
	cr_assert_eq(http1_parse_request(&head, whole, 0), (ssize_t)whole.n);
	head.http2 = true;
	head.minor = 0;
	head.scheme = bytes_of(scheme);
	call.fd = fixture_socket(&call.peer, server, false);
	call.c = conn_acquire(call.fd);
	cr_assert_not_null(call.c);
	call.c->unix_socket = false;
	conn_set_peer(call.c, (struct sockaddr *)&address, sizeof(address));
	if (server)
		call.e = request_open_server(call.c, call.fd, &head, whole);
	else
		call.e = request_open_client(call.c, call.fd, &head, whole, &call.link);
	return call;
}

static inline struct call call_begin(bool server, const char *lines)
{
	char all[32768];

	snprintf(all, sizeof(all), GRPC "%s", lines);
	return stream_begin(server, "POST " METHOD, "http", all);
}

/* The head of the response. */
static inline void call_answer(struct call *call, unsigned status, const char *lines)
{
	char first[32];
	struct http1_head head;
	struct bytes whole;

	snprintf(first, sizeof(first), "HTTP/1.1 %u x", status);
	whole = call_lines(first, lines);
	cr_assert_eq(http1_parse_response(&head, whole, 0), (ssize_t)whole.n);
	head.http2 = true;
	request_note_response(call->e, &head, whole);
}

static inline void call_trailers(struct call *call, const char *lines)
{
	struct http1_head head;
	struct bytes whole = call_lines("HTTP/1.1 200 x", lines);

	cr_assert_eq(http1_parse_response(&head, whole, 0), (ssize_t)whole.n);
	head.http2 = true;
	head.status = 0;
	request_note_trailers(call->e, &head, whole);
}

static inline void call_end(struct call *call)
{
	span_end(call->c, call->e);
	exchange_close(call->e);
	conn_release(call->c);
	fixture_close(call->fd, call->peer);
}

/* A whole call that ends with this value of grpc-status. */
static inline void call_make(bool server, const char *status)
{
	struct call call = call_begin(server, AUTHORITY);
	char lines[64];

	snprintf(lines, sizeof(lines), "grpc-status: %s\r\n", status);
	call_answer(&call, 200, GRPC);
	call_trailers(&call, lines);
	call_end(&call);
}

/* Span i ended with this status; it is an error, and error.type says so too, or neither. */
static inline void expect_call(size_t i, const char *status, bool error)
{
	json_t *span = span_at(i);

	cr_expect_str_eq(span_attribute(span, "rpc.response.status_code"), status, "%zu: %s", i,
			 span_attribute(span, "rpc.response.status_code"));
	cr_expect_eq(span_is_error(span), error, "%zu: %s", i, status);
	cr_expect_str_eq(span_attribute(span, "error.type"), error ? status : "", "%zu", i);
}

static inline const char *span_description(const json_t *span)
{
	return span_field(json_object_get(span, "status"), "message");
}

/* The array of an attribute as "a|b"; "" when there is none. */
static inline const char *span_array(const json_t *span, const char *key)
{
	static char out[1024];
	json_t *attributes = json_object_get(span, "attributes"), *a, *v;
	size_t i, k;

	*out = 0;
	json_array_foreach(attributes, i, a)
	{
		json_t *array = json_object_get(json_object_get(a, "value"), "arrayValue");

		if (strcmp(span_field(a, "key"), key) != 0)
			continue;
		json_array_foreach(json_object_get(array, "values"), k, v)
		{
			if (k)
				strcat(out, "|");
			strcat(out, span_field(v, "stringValue"));
		}
	}
	return out;
}

#endif

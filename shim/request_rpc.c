/* SPDX-License-Identifier: Apache-2.0 */
/* What HTTP/2 and gRPC add to an exchange. */
#include "base/clock.h"
#include "base/counters.h"
#include "shim/request_parts.h"
#include "shim/wire/grpc.h"

#define TIMEOUT_SLACK_NS 2000000

/* The scheme may be another one than the connection's, behind a proxy that ends TLS. */
static struct bytes keep_scheme(struct exchange *e, struct bytes scheme)
{
	if (bytes_equal_nocase(scheme, BYTES("http")))
		return BYTES("http");
	if (bytes_equal_nocase(scheme, BYTES("https")))
		return BYTES("https");
	return exchange_keep(e, scheme);
}

void request_begin_http2(struct exchange *e, const struct http1_head *head)
{
	e->http2 = true;
	if (!e->url.scheme.n)
		e->url.scheme = keep_scheme(e, head->scheme);
	e->rpc = bytes_equal(head->method, BYTES("POST")) &&
		 grpc_is_content_type(head->field[HTTP1_CONTENT_TYPE]);
	if (!e->rpc)
		return;
	e->rpc_status = GRPC_NO_STATUS;
	e->rpc_timeout = head->count[HTTP1_GRPC_TIMEOUT]
				 ? grpc_timeout_parse(head->field[HTTP1_GRPC_TIMEOUT])
				 : GRPC_TIMEOUT_NONE;
}

/* As much of the message as there is room for, but no half of an escape (%e2). */
static struct bytes keep_message(struct exchange *e, struct bytes message)
{
	size_t room = e->text.size - e->text.n;

	if (message.n <= room)
		return exchange_keep(e, message);
	count(attributes_cut);
	message.n = room;
	for (size_t i = 1; i <= 2 && i <= room; i++)
		if (message.p[room - i] == '%')
			message.n = room - i;
	return exchange_keep(e, message);
}

void request_note_status(struct exchange *e, const struct http1_head *head)
{
	if (e->rpc_status != GRPC_NO_STATUS || !head->count[HTTP1_GRPC_STATUS])
		return;
	e->rpc_status = (int8_t)grpc_parse_status(head->field[HTTP1_GRPC_STATUS]);
	if (e->sampled && e->rpc_status != GRPC_OK)
		e->rpc_message = keep_message(e, head->field[HTTP1_GRPC_MESSAGE]);
}

void request_note_trailers(struct exchange *e, const struct http1_head *head, struct bytes whole)
{
	e->response_ended = true;
	if (!e->rpc)
		return;
	request_note_status(e, head);
	if (e->sampled)
		request_keep_captured(e, head, whole, request_response_list(e));
}

/* How much earlier than the timeout that was sent a deadline may be: it is rounded up (to two
 * digits by some), and the call began before its head was sent. */
static uint64_t timeout_slack(uint64_t timeout)
{
	uint64_t slack = timeout / 32 + TIMEOUT_SLACK_NS;

	return slack < timeout / 2 ? slack : timeout / 2;
}

/* A caller whose time is over gives up by the same means as one that lost interest. */
int request_given_up(const struct exchange *e, uint64_t now)
{
	uint64_t took = now - e->start_monotonic, timeout = e->rpc_timeout;

	if (timeout == GRPC_TIMEOUT_NONE || took < timeout - timeout_slack(timeout))
		return GRPC_CANCELLED;
	return GRPC_DEADLINE_EXCEEDED;
}

static void note_rpc_reset(struct exchange *e, uint32_t h2_error)
{
	if (e->rpc_status != GRPC_NO_STATUS || e->response_ended)
		return;
	e->rpc_status = (int8_t)(h2_error == H2_CANCEL ? request_given_up(e, clock_monotonic_ns())
						       : (int)grpc_status_of_reset(h2_error));
}

void request_note_reset(struct exchange *e, uint32_t h2_error, bool by_us)
{
	/* The answer is there: the rest of the request is not wanted any more (RFC 9113 section
	 * 8.1), or nothing but the stream is given up. */
	bool no_harm = e->response_ended && (h2_error == H2_NO_ERROR || h2_error == H2_CANCEL);

	if (e->rpc) {
		note_rpc_reset(e, h2_error);
		return;
	}
	/* A client that has read the head and stops reading has had enough. */
	if (!e->server && by_us && h2_error == H2_CANCEL && e->status_seen)
		no_harm = true;
	if (!no_harm && !e->error)
		e->error = h2_error_name(h2_error);
}

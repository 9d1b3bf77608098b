/* SPDX-License-Identifier: Apache-2.0 */
/* From heads to exchanges: what a request read or written opens, and what a response adds. */
#ifndef SHIM_REQUEST_H
#define SHIM_REQUEST_H

#include "shim/conn.h"
#include "shim/link.h"

/* The server exchange of a request that was read; `whole` holds the head. Not yet in the
 * connection's queue. NULL: no memory. */
struct exchange *request_open_server(struct conn *c, int fd, const struct http1_head *head,
				     struct bytes whole);

/* The client exchange of a request about to be written, with its link; one without a span when the
 * request is not ours to trace (link->leave: the program does it itself, or it goes to our own
 * collector). NULL: no memory. */
struct exchange *request_open_client(struct conn *c, int fd, const struct http1_head *head,
				     struct bytes whole, struct link *link);

/* Whether trace headers may be added to this request: not on CONNECT, not to hosts outside
 * TAGALONG_PROPAGATE_TO, not to metadata services. */
bool request_may_carry(const struct conn *c, const struct exchange *e);

/* Notes status, version and captured headers of a response head. */
void request_note_response(struct exchange *e, const struct http1_head *head, struct bytes whole);

/* ---- HTTP/2 (request_rpc.c) ---- */

/* The response ended with trailers, laid out like a head: the status of a call, and captured
 * metadata. Sets e->response_ended. (A response that ends with its head or with data ends when the
 * caller sets that; a head that is all of a response may bring the status of the call.) */
void request_note_trailers(struct exchange *e, const struct http1_head *head, struct bytes whole);

/* The stream was reset (RST_STREAM) by the program or, unless by_us, by its peer. For a stream past
 * the last one that a GOAWAY takes, h2_error is REFUSED_STREAM: like such a stream it was never
 * looked at (RFC 9113 section 6.8). Before span_end(), which the caller calls; what the exchange
 * ended with already stays. */
void request_note_reset(struct exchange *e, uint32_t h2_error, bool by_us);

/* How a call ended that its caller gave up at `now` (monotonic): enum grpc_status. */
int request_given_up(const struct exchange *e, uint64_t now);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Private to shim/request*.c. */
#ifndef SHIM_REQUEST_PARTS_H
#define SHIM_REQUEST_PARTS_H

#include "shim/request.h"
#include "shim/route.h"

/* What the list says of a head is kept with the exchange. */
void request_keep_captured(struct exchange *e, const struct http1_head *head, struct bytes whole,
			   enum header_list list);

/* request_rpc.c: what is known of a request of HTTP/2 beyond the others, and whether it is a call.
 * The target has been split. */
void request_begin_http2(struct exchange *e, const struct http1_head *head);

/* Takes grpc-status and grpc-message, of a head or of trailers, if they are there. */
void request_note_status(struct exchange *e, const struct http1_head *head);

/* The list for this exchange: calls have lists of their own. */
static inline enum header_list request_list(const struct exchange *e, enum header_list list)
{
	return e->rpc ? (enum header_list)(list + METADATA_SERVER_REQUEST) : list;
}

static inline enum header_list request_response_list(const struct exchange *e)
{
	return request_list(e, e->server ? HEADERS_SERVER_RESPONSE : HEADERS_CLIENT_RESPONSE);
}

#endif

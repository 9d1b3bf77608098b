/* SPDX-License-Identifier: Apache-2.0 */
/* Header lists of HTTP/2 (RFC 9113 section 8), laid out as the head of HTTP/1 that says the same.
 */
#ifndef SHIM_H2_HEAD_H
#define SHIM_H2_HEAD_H

#include "shim/hpack.h"
#include "shim/wire/http1.h"

/* Bytes of a decoded header list that are kept; past it, fields are decoded but dropped and `cut`
 * is set. */
#define H2_LIST_MAX 65536

struct h2_head {
	/* As if it were HTTP/1: http2, minor = 0, request, method, target, status, scheme, the
	 * fields and their counts (those of dropped ones too), has_length and content_length.
	 * headers, blank, length and header_count are those of `whole`, for http1_next_header(). */
	struct http1_head head;
	/* "name: value\r\n" lines, then "\r\n". :authority is its first line, as "host"; the other
	 * pseudo header fields are not in there, nor is a field that would not be one line.
	 * Binary metadata that gRPC sent as it is stands there as base64. */
	struct bytes whole;
	struct bytes protocol; /* :protocol (RFC 8441), else empty */
	size_t list_size;      /* RFC 9113 section 6.5.2: name + value + 32 for each */
	bool malformed;        /* RFC 9113 sections 8.1 to 8.3, 8.5; RFC 8441 */
	bool cut;              /* something is missing in the texts for want of room */
	bool trailers;         /* no pseudo header field at all */
	/* The first traceparent field: its place in the block, its texts in `whole` (empty when
	 * dropped or padded). There are head.count[HTTP1_TRACEPARENT]. */
	struct hpack_field traceparent_place;
};

/* Decodes a whole block into *out, texts in `room` (4 KiB usually suffice). request: what is
 * expected. 0; -EBADMSG: compression broken, the connection is lost; -ENOMEM. A malformed list is
 * no error: out->malformed. */
int h2_head_decode(struct h2_head *out, struct hpack *h, struct bytes block, bool request,
		   char *room, size_t size);

/* The same where nobody walks the lines: fields that are not among HTTP1_FIELDS are neither kept
 * nor judged. */
int h2_head_decode_known(struct h2_head *out, struct hpack *h, struct bytes block, bool request,
			 char *room, size_t size);

#endif

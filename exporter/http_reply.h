/* SPDX-License-Identifier: Apache-2.0 */
/* Reads one HTTP/1.x response, however it is cut: only what an OTLP exporter needs of it. Pure
 * function on bytes; the body goes to memory the caller offers. */
#ifndef EXPORTER_HTTP_REPLY_H
#define EXPORTER_HTTP_REPLY_H

#include <sys/types.h>
#include "base/bytes.h"

#define HTTP_REPLY_LINE_MAX 1024    /* bytes of a line that are kept: more of it is not needed */
#define HTTP_REPLY_HEAD_MAX 262144  /* bytes of all heads, chunk lines and trailers together */
#define HTTP_REPLY_BODY_MAX 4194304 /* the OTLP limit of a response */

enum http_reply_state {
	REPLY_AWAIT_STATUS_LINE,
	REPLY_AWAIT_HEADER,
	REPLY_AWAIT_LENGTH, /* body bytes, `left` of them */
	REPLY_AWAIT_CLOSE,  /* body bytes until the connection ends */
	REPLY_AWAIT_CHUNK_SIZE,
	REPLY_AWAIT_CHUNK_DATA,
	REPLY_AWAIT_CHUNK_END,
	REPLY_AWAIT_TRAILER,
	REPLY_DONE
};

struct http_reply {
	int status;           /* of the final response, 0 until its head is complete */
	bool keep_alive;      /* the connection may be used again (when DONE) */
	bool encoded;         /* Content-Encoding: the body cannot be read here */
	struct bytes body;    /* so far */
	char retry_after[48]; /* the header's value, "" without one */

	/* private */
	enum http_reply_state state;
	int line_status; /* of the head being read */
	bool chunked, other_coding, has_length, version_1_0, any;
	uint64_t length, left, head_n;
	char line[HTTP_REPLY_LINE_MAX];
	size_t line_n;
	bool line_cut;
};

/* body_room: HTTP_REPLY_BODY_MAX bytes that become resident as they are used. */
void http_reply_init(struct http_reply *r, char *body_room);

/* Takes in[0..n). 1: the response is complete (what is behind it: keep_alive is then false); 0:
 * more is needed; -EPROTO: this is not HTTP/1; -EFBIG: past a limit. */
int http_reply_feed(struct http_reply *r, struct bytes in);

/* The connection has ended. 1: that completes the response, or cuts it after its status, which then
 * counts (the receiver has decided); -ECONNRESET: there is none. */
int http_reply_end(struct http_reply *r);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.0 and 1.1 messages (RFC 9112): heads and body framing. Bytes in, views out: nothing
 * here allocates, keeps globals or does I/O. */
#ifndef SHIM_WIRE_HTTP1_H
#define SHIM_WIRE_HTTP1_H

#include <sys/types.h>
#include "base/bytes.h"

#define HTTP1_HEAD_MAX    65536 /* bytes of a head; past it HTTP1_BAD */
#define HTTP1_HEADERS_MAX 512   /* header lines; past it HTTP1_BAD */

#define HTTP1_MORE        0    /* the head is not whole yet */
#define HTTP1_BAD         (-1) /* not HTTP/1, or past a ceiling: leave the connection alone */

/* Header fields that are looked at; the first value of each is kept as a view. */
#define HTTP1_FIELDS(X)                           \
	X(HOST, "host")                           \
	X(USER_AGENT, "user-agent")               \
	X(CONTENT_LENGTH, "content-length")       \
	X(TRANSFER_ENCODING, "transfer-encoding") \
	X(CONNECTION, "connection")               \
	X(UPGRADE, "upgrade")                     \
	X(EXPECT, "expect")                       \
	X(CONTENT_TYPE, "content-type")           \
	X(TRACEPARENT, "traceparent")             \
	X(TRACESTATE, "tracestate")               \
	X(BAGGAGE, "baggage")                     \
	X(B3, "b3")                               \
	X(B3_TRACE_ID, "x-b3-traceid")            \
	X(B3_SPAN_ID, "x-b3-spanid")              \
	X(B3_SAMPLED, "x-b3-sampled")             \
	X(B3_FLAGS, "x-b3-flags")                 \
	X(UBER_TRACE_ID, "uber-trace-id")         \
	X(FORWARDED, "forwarded")                 \
	X(X_FORWARDED_FOR, "x-forwarded-for")     \
	X(X_FORWARDED_PROTO, "x-forwarded-proto") \
	X(X_FORWARDED_HOST, "x-forwarded-host")   \
	X(GRPC_STATUS, "grpc-status")             \
	X(GRPC_MESSAGE, "grpc-message")           \
	X(GRPC_TIMEOUT, "grpc-timeout")

enum http1_field {
#define FIELD(id, name) HTTP1_##id,
	HTTP1_FIELDS(FIELD)
#undef FIELD
		HTTP1_FIELD_COUNT
};

/* Which of them has this name, a token in any case; HTTP1_FIELD_COUNT: none. */
enum http1_field http1_field_of(struct bytes name);

struct http1_head {
	bool request;
	bool http2;          /* laid out from a header block of HTTP/2 */
	uint8_t minor;       /* of HTTP/1.minor */
	uint16_t status;     /* of a response */
	struct bytes method; /* of a request, as sent */
	struct bytes target; /* of a request, as sent */
	struct bytes scheme; /* :scheme of HTTP/2, else empty */
	size_t length;       /* of the head with its blank line */
	size_t headers;      /* offset of the first header line */
	size_t blank;        /* offset of the "\r\n" or "\n" that is the blank line */
	unsigned header_count;
	bool bare_lf; /* the line before the blank line ends in a bare LF */
	/* First value of each field, trimmed; obs-fold continuation lines are part of it as they
	 * stand. n == 0 and count 0 when absent. */
	struct bytes field[HTTP1_FIELD_COUNT];
	uint8_t count[HTTP1_FIELD_COUNT]; /* how often it occurs, at most 255 */
	/* Body framing as far as the head alone tells (RFC 9112 section 6): */
	bool framing_bad;  /* both lengths, differing lengths, a bad one, odd codings: unsure */
	bool chunked;      /* the final transfer coding is chunked */
	bool coding_other; /* a transfer coding that is not chunked comes last */
	bool has_length;
	uint64_t content_length;
	bool close, keep_alive, upgrade; /* tokens of Connection */
	bool expect_continue;
};

/* Parses the head at the start of `in`. Returns its length, HTTP1_MORE or HTTP1_BAD; *head is
 * undefined unless positive. `seen`: how many bytes were there at the last HTTP1_MORE (0 at first),
 * so that a head that comes byte by byte costs no more than its length. A request may be preceded
 * by empty lines (RFC 9112 section 2.2); they count into the length. Lenient where receivers are:
 * bare LF line ends, obs-fold; strict where framing could be lost. */
ssize_t http1_parse_request(struct http1_head *head, struct bytes in, size_t seen);
ssize_t http1_parse_response(struct http1_head *head, struct bytes in, size_t seen);

/* The status of a final response (or 101) that begins with these bytes; 0 when they do not tell, or
 * the response is an interim one. */
uint16_t http1_peek_status(struct bytes in);

/* What the first bytes of a stream look like. HTTP1_MORE: too few to tell; HTTP1_BAD: neither. */
enum http1_start { HTTP1_START_REQUEST = 1, HTTP1_START_RESPONSE = 2, HTTP1_START_H2_PREFACE = 3 };
int http1_sniff(struct bytes in);

/* Walks the header lines of a parsed head (`in` as given to the parser). pos starts at
 * head->headers; false at the end. */
struct http1_header {
	struct bytes name, value; /* value trimmed */
};
bool http1_next_header(const struct http1_head *head, struct bytes in, size_t *pos,
		       struct http1_header *header);

/* True when the comma list `value` holds `token`, case ignored, parameters after ';' ignored. */
bool http1_list_has(struct bytes value, struct bytes token);

/* One body. */
enum http1_body_state {
	BODY_DONE,   /* nothing left: the message is complete */
	BODY_LENGTH, /* `remaining` bytes left */
	BODY_UNTIL_CLOSE,
	BODY_BAD, /* framing lost */
	BODY_AWAIT_CHUNK_SIZE,
	BODY_AWAIT_CHUNK_EXTENSION,
	BODY_IN_CHUNK_EXTENSION,
	BODY_AWAIT_CHUNK_SIZE_LF,
	BODY_CHUNK_DATA,
	BODY_AWAIT_CHUNK_CR,
	BODY_AWAIT_CHUNK_LF,
	BODY_AWAIT_TRAILER,
	BODY_IN_TRAILER,
	BODY_TRAILER_LF,
	BODY_END_LF
};

struct http1_body {
	enum http1_body_state state;
	uint8_t digits;     /* of the chunk size so far */
	uint32_t trailer;   /* bytes of trailers, or of this chunk's extension, so far: bounded by
			     * HTTP1_HEAD_MAX */
	uint64_t remaining; /* of the length or the chunk */
	uint64_t size;      /* payload bytes so far */
};

/* The body that follows a request head: RFC 9112 section 6.3. */
struct http1_body http1_request_body(const struct http1_head *head);

/* The body that follows a final or interim response to `method` (view of the request's). 1xx but
 * 101, 204, 304 and answers to HEAD have none. 101 and 2xx to CONNECT: *tunnel is set. */
struct http1_body http1_response_body(const struct http1_head *head, struct bytes method,
				      bool *tunnel);

/* Takes body bytes; returns how many belong to this body. The state is BODY_DONE once it is
 * whole, BODY_BAD when framing is lost. Payload costs nothing per byte: chunks and lengths are
 * skipped, only chunk heads are read. */
size_t http1_body_feed(struct http1_body *body, struct bytes in);

/* The same for n bytes that nobody can look at (sendfile, splice). False: they cannot be part of
 * this body (chunk framing would be inside). */
bool http1_body_skip(struct http1_body *body, uint64_t n);

#endif

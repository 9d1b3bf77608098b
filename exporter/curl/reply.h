/* SPDX-License-Identifier: Apache-2.0 */
/* What a receiver answers, gathered line by line and piece by piece. */
#ifndef EXPORTER_CURL_REPLY_H
#define EXPORTER_CURL_REPLY_H

#include "exporter/curl/gzip.h"

#define REPLY_HEAD_MAX  (64 << 10) /* all header lines and trailers together */
#define REPLY_BODY_MAX  (4 << 20)  /* OTLP's limit of a response */
#define REPLY_VALUE_MAX 8192       /* of one header that is kept */

/* A header's value, the last one given. */
struct reply_value {
	char p[REPLY_VALUE_MAX];
	size_t n; /* 0: not there, or longer than fits */
};

struct reply {
	unsigned http_status; /* 0: there is none yet */
	struct gzip_buffer body;
	size_t head_n;
	bool too_large; /* a limit was passed: the rest was not taken */
	bool no_memory;
	struct reply_value content_type, content_encoding, retry_after;
	bool has_grpc_status;
	struct reply_value grpc_status, grpc_message, grpc_details, grpc_encoding;
};

/* For the next answer; memory is kept. */
void reply_reset(struct reply *r);

/* A header line or a trailer, with its line end or without. A status line starts over: what came
 * before was an interim answer. False: enough, a limit is passed. */
bool reply_add_line(struct reply *r, struct bytes line);

/* A piece of the body. False: enough. */
bool reply_add_body(struct reply *r, struct bytes piece);

static inline struct bytes reply_bytes(const struct reply_value *v)
{
	return (struct bytes){ v->p, v->n };
}

static inline struct bytes reply_body(const struct reply *r)
{
	return (struct bytes){ r->body.p, r->body.n };
}

#endif

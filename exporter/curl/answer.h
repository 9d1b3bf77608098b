/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer means: is the batch settled, and what is to be said of it. */
#ifndef EXPORTER_CURL_ANSWER_H
#define EXPORTER_CURL_ANSWER_H

#include "base/text.h"
#include "exporter/curl/reply.h"
#include "exporter/outcome.h"

#define ANSWER_SAID_MAX 200 /* bytes of the receiver's words that we repeat */

struct answer {
	bool final;        /* false: worth another try */
	enum loss loss;    /* LOSS_NONE: accepted, but for `rejected` */
	uint32_t rejected; /* items, by a partial success */
	uint64_t asked_ms; /* how long to wait before another try, 0: nothing was said */
	char status[64];   /* "503", "grpc-status UNAVAILABLE"; "" when accepted */
	char said[ANSWER_SAID_MAX + 1]; /* the receiver's words, fit for a log line, or "" */
};

/* Of an answer over HTTP, or over gRPC; r->http_status is not 0. now_unix_s: for a Retry-After that
 * is a date. */
void answer_read_http(struct answer *a, const struct reply *r, uint64_t now_unix_s);
void answer_read_grpc(struct answer *a, const struct reply *r, uint64_t now_unix_s);

/* A gRPC call whose stream was reset. */
void answer_read_reset(struct answer *a, unsigned error_code);

#endif

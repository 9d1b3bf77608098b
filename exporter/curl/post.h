/* SPDX-License-Identifier: Apache-2.0 */
/* One POST after the other to one destination by libcurl, on connections that are kept. */
#ifndef EXPORTER_CURL_POST_H
#define EXPORTER_CURL_POST_H

#include <curl/curl.h>
#include "exporter/curl/destination.h"
#include "exporter/curl/reply.h"

struct post {
	const struct destination *to;
	const _Atomic uint32_t *stop;
	void (*meanwhile)(void *arg); /* NULL, or called while an answer is awaited */
	void *meanwhile_arg;
	CURLM *multi; /* holds the connections */
	CURL *easy;
	bool kept_only;    /* no new connection may be opened */
	bool wants_socket; /* one was, or would have been */
	struct reply reply;
	char error[CURL_ERROR_SIZE]; /* libcurl's words on the last request */
};

enum post_result {
	POST_ANSWERED, /* reply holds it */
	POST_FAILED,   /* no answer: post_error() says why */
	POST_REFUSED,  /* such an answer as no second try will make better: post_error() */
	POST_RESET,    /* HTTP/2: the stream was reset, *reset is the error code */
	POST_NO_MEMORY,
	POST_STOPPED
};

/* 0 or -ENOMEM. d and stop must outlive p. */
int post_init(struct post *p, const struct destination *d, const _Atomic uint32_t *stop);
void post_free(struct post *p);

/* Sends body with these headers; waits until deadline_ns (monotonic), or until *stop is set. */
enum post_result post_send(struct post *p, struct curl_slist *headers, struct bytes body,
			   uint64_t deadline_ns, unsigned *reset);

/* Why the last request failed; the same words for the same cause. */
const char *post_error(const struct post *p);

#endif

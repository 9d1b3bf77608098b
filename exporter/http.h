/* SPDX-License-Identifier: Apache-2.0 */
/* Posts one body to the endpoint over plain HTTP/1.1, on a connection that is kept. One thread at a
 * time. */
#ifndef EXPORTER_HTTP_H
#define EXPORTER_HTTP_H

#include "exporter/endpoint.h"
#include "exporter/http_reply.h"
#include "exporter/resolver.h"

#define HTTP_REQUEST_MAX 67108864 /* the OTLP limit of a request body */

struct http_client {
	const struct endpoint *endpoint;
	struct resolver *resolver;
	struct net_socket socket;
	bool connected;
	char *body_room; /* of the reply, HTTP_REPLY_BODY_MAX bytes, mapped while it is needed */
	/* Here, since the calling thread's stack may be small; last, as nobody clears it: most
	 * processes never send, and need not touch its pages. */
	char received[4096];
};

/* slot: of the connection. stop: see struct net_socket. */
void http_init(struct http_client *c, const struct endpoint *e, struct resolver *r,
	       enum own_fd_slot slot, const _Atomic uint32_t *stop);

/* 0: reply->status and reply->body are there, good until the next call. Otherwise
 * no answer: -ENOENT (the name is not known), -ECONNREFUSED, -ECONNRESET, -ETIMEDOUT and the like
 * (worth another try), -EPROTO (not HTTP), -EFBIG (body or answer over the limit), -ENOMEM,
 * -ECANCELED (stop). A kept connection that the server had closed meanwhile is replaced, once. */
int http_post(struct http_client *c, struct bytes body, uint64_t deadline_ns,
	      struct http_reply *reply);

/* Gives back memory; the connection stays. */
void http_idle(struct http_client *c);

/* Closes the connection too. */
void http_close(struct http_client *c);

/* After fork(): the connection is the parent's, only our copy of the descriptor goes. */
static inline void http_child(struct http_client *c)
{
	http_close(c);
}

#endif

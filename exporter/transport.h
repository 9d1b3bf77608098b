/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP over HTTP with retries: one batch in, its outcome out. */
#ifndef EXPORTER_TRANSPORT_H
#define EXPORTER_TRANSPORT_H

#include "exporter/complaint.h"
#include "exporter/http.h"
#include "exporter/outcome.h"

struct transport {
	struct endpoint endpoint;
	struct resolver resolver;
	struct http_client http;
	struct http_reply reply; /* here, since the calling thread's stack may be small */
	struct complaints complaints;
	_Atomic uint32_t *stop;
	_Atomic uint32_t failing; /* the last attempt got no final answer */
};

/* Reads the configuration and the files of the resolver; warnings go to the log. stop: a word that
 * is set, and woken as a futex, to end all waits. */
void transport_init(struct transport *t, const struct config *c, _Atomic uint32_t *stop);

/* Posts one encoded request, with retries until the deadline. Waits; several seconds if need be. */
void transport_send(struct transport *t, struct bytes request, uint64_t deadline_ns,
		    struct outcome *o);

static inline bool transport_failing(const struct transport *t)
{
	return atomic_load_explicit(&t->failing, memory_order_relaxed);
}

/* Nothing to do for a while: memory goes back, the connection stays. */
void transport_idle(struct transport *t);

/* In a new process: no connection, no memory of failures. */
void transport_child(struct transport *t);

#endif

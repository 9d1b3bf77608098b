/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP over HTTP with retries: one batch in, its outcome out. */
#ifndef EXPORTER_TRANSPORT_H
#define EXPORTER_TRANSPORT_H

#include "exporter/complaint.h"
#include "exporter/http.h"
#include "exporter/outcome.h"

struct transport {
	const char *what; /* is sent: "spans" */
	struct endpoint endpoint;
	struct resolver resolver;
	struct http_client http;
	struct http_reply reply; /* here, since the calling thread's stack may be small */
	struct complaints complaints;
	_Atomic uint32_t *stop;
	_Atomic uint32_t failing; /* the last attempt got no final answer */
	/* For transport_owns(), which other threads ask: what was known at the start, and whom we
	 * spoke to last (IPv6, or IPv4 mapped into it; half of a new one with half of an old one is
	 * nobody). */
	struct net_address known[RESOLVER_ADDRESSES];
	unsigned known_count;
	_Atomic uint64_t peer[2];
};

/* Reads the configuration and the files of the resolver; warnings go to the log. stop: a word that
 * is set, and woken as a futex, to end all waits. quiet: no warnings, it is only for the case that
 * the supervisor fails. */
void transport_init(struct transport *t, const struct config *c, _Atomic uint32_t *stop,
		    bool quiet);

/* The same for metrics, with a connection of its own. */
void transport_init_metrics(struct transport *t, const struct config *c, _Atomic uint32_t *stop,
			    bool quiet);

/* Posts one encoded request, with retries until the deadline. Waits; several seconds if need be. */
void transport_send(struct transport *t, struct bytes request, uint64_t deadline_ns,
		    struct outcome *o);

/* One attempt, whatever comes of it: for what is told again the next time. LOSS_RETRIES: there may
 * be one. */
void transport_try(struct transport *t, struct bytes request, uint64_t deadline_ns,
		   struct outcome *o);

/* True when address:port is where this transport sends. Any thread may ask. */
bool transport_owns(const struct transport *t, struct bytes host, uint16_t port);

static inline bool transport_failing(const struct transport *t)
{
	return atomic_load_explicit(&t->failing, memory_order_relaxed);
}

/* Nothing to do for a while: memory goes back, the connection stays. */
void transport_idle(struct transport *t);

/* In a new process: no connection, no memory of failures. */
void transport_child(struct transport *t);

#endif

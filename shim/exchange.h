/* SPDX-License-Identifier: Apache-2.0 */
/* An exchange: one request and its response, as the server or as the client of it. It is owned by
 * its connection and changed under the connection's lock; the atomic words may be read from any
 * thread that looks for the parent of a request (link.c). */
#ifndef SHIM_EXCHANGE_H
#define SHIM_EXCHANGE_H

#include <stdatomic.h>
#include "base/bytes.h"
#include "base/text.h"
#include "shim/wire/traceparent.h"
#include "shim/wire/url.h"

#define EXCHANGES_MAX      16384 /* open at once in the process */
#define EXCHANGE_TEXT      704   /* bytes of text an exchange holds itself; more needs a block */
#define EXCHANGE_VALUE_MAX 8192  /* bytes kept of one header or target */
#define EXCHANGE_CAPTURES  16    /* captured headers a side */

/* A span context that other threads read while its owner may give it up: see exchange_peek(). */
struct shared_context {
	_Atomic uint64_t trace_high, trace_low, span;
	_Atomic uint32_t flags;
};

struct captured_header {
	struct bytes name, value; /* views into the exchange's text */
};

struct exchange {
	uint64_t pool_link;          /* the pool's while it is free */
	_Atomic uint32_t generation; /* odd while open; rises at open and at close */
	uint32_t next; /* in its connection's queue, or bucket of streams: index + 1 */
	struct shared_context context;  /* of our span; of the caller's when there is no span */
	struct shared_context received; /* as it came in, all zero if nothing (valid) did */
	_Atomic bool thread_ok;         /* rule "thread" may use it */
	_Atomic bool answered;          /* no candidate any more but for exact rules */
	_Atomic bool candidate;         /* a server exchange that is no stream */
	_Atomic bool rewritten;         /* the program sees our id in place of the received one */
	_Atomic int32_t read_from;      /* the descriptor; -1: read after a wait for it alone */
	/* Read by the thread that inherits them, which looks afterwards whether they still stood
	 * there: written by exchange_set_texts() alone. */
	struct bytes tracestate, baggage; /* views into text */
	_Atomic bool debug;               /* b3 and jaeger */
	bool server;
	bool asked;       /* its context was told to the program's script: question.h */
	bool sampled;     /* a span will be written */
	bool excluded;    /* no span of ours, context passes */
	bool measured;    /* its end has been told */
	bool traceparent; /* a valid one was received */
	bool parent_remote;
	bool status_seen;
	bool request_done, streaming;
	uint8_t minor; /* HTTP/1.minor */
	bool http2;
	bool response_ended; /* HTTP/2: its last frame (END_STREAM) has passed */
	bool rpc;            /* a call of gRPC: an RPC span in place of an HTTP span */
	int8_t rpc_status;   /* of an rpc: enum grpc_status, GRPC_NO_STATUS while none came */
	uint8_t response_minor;
	uint8_t link;     /* enum link_rule, clients */
	uint8_t captures; /* in exchange_captured(), request headers first */
	uint8_t captured_requests;
	uint8_t stream_state; /* HTTP/2: enum h2_stream_state */
	uint16_t status;
	uint16_t status_coming; /* of an answer that is being sent, 0 not known */
	uint32_t stream;        /* HTTP/2: its number on the connection */
	uint32_t reader;        /* thread that read the request */
	uint32_t forks;         /* process-wide count when it opened */
	uint64_t start_ns;      /* since 1970 */
	uint64_t start_monotonic, end_monotonic;
	uint64_t rpc_timeout; /* ns that the caller waits, GRPC_TIMEOUT_NONE */
	uint8_t parent_id[8];
	const char *error; /* error.type, a literal, NULL none */
	/* Views into text (or literals). */
	struct bytes method, target, host, user_agent;
	struct url_target url;    /* the parts of `target` */
	struct bytes server_name; /* the host that is asked for, without port; may be empty */
	uint16_t server_port;     /* 0: not said */
	struct bytes rpc_message; /* grpc-message as on the wire */
	struct bytes forwarded_client, forwarded_proto, forwarded_host;
	struct link_candidates *links; /* rule "none": in a block, or NULL */
	struct text text;
	char *block; /* what `text` lives in when it is not `own` */
	char own[EXCHANGE_TEXT];
};

int exchange_init(void);

/* An open exchange with all fields zero, text of at least text_size bytes; NULL: no memory. */
struct exchange *exchange_open(size_t text_size);
void exchange_close(struct exchange *e);

void exchange_set_texts(struct exchange *e, struct bytes tracestate, struct bytes baggage,
			bool debug);

/* Copies b into the exchange's text; empty when it does not fit. */
struct bytes exchange_keep(struct exchange *e, struct bytes b);

/* Where its EXCHANGE_CAPTURES captured headers stand: not in it, since few programs have any, and
 * memory that is never touched costs nothing. */
struct captured_header *exchange_captured(const struct exchange *e);

/* Server exchanges that are open candidates now. */
unsigned exchange_open_count(void);

/* Open ones of either side whose span is still to be written. Right only while nobody opens or
 * closes any: a number for the counters. */
uint32_t exchange_unfinished(void);

uint32_t exchange_in_use(void); /* all that are open, for tests */

/* In a forked child: all of the parent's are forgotten. */
void exchange_forget_all(void);

/* What another thread may know of an exchange. False when it was closed meanwhile. */
struct exchange_view {
	struct span_context context, received;
	bool candidate, answered, thread_ok, rewritten, has_received;
	int32_t read_from;
	uint32_t index, generation;
};
bool exchange_peek(uint32_t index, struct exchange_view *view);

/* Texts of an exchange that another thread may own: where they stand is read before it is looked at
 * whether it still stands, and again after they were copied. */
static inline struct bytes exchange_text(const struct bytes *b)
{
	return (struct bytes){ __atomic_load_n(&b->p, __ATOMIC_ACQUIRE),
			       __atomic_load_n(&b->n, __ATOMIC_ACQUIRE) };
}

static inline bool exchange_stands(const struct exchange *e, uint32_t generation)
{
	__asm__ volatile("" ::: "memory");
	return atomic_load_explicit(&e->generation, memory_order_acquire) == generation;
}

/* Calls fn for each open server exchange until it returns false. */
void exchange_each(bool (*fn)(void *arg, const struct exchange_view *view), void *arg);

struct exchange *exchange_at(uint32_t index);
uint32_t exchange_index(const struct exchange *e);

void shared_context_set(struct shared_context *s, const struct span_context *c);
void shared_context_get(struct span_context *c, const struct shared_context *s);

/* Makes e a candidate for links, or stops it being one (answered, a stream): counted. */
void exchange_set_candidate(struct exchange *e, bool on);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The streams of one HTTP/2 connection: exchanges, found by their number. */
#include "base/clock.h"
#include "base/counters.h"
#include "shim/h2.h"
#include "shim/link.h"
#include "shim/process_state.h"
#include "shim/request.h"
#include "shim/span.h"

static uint32_t *bucket_of(struct h2 *h, uint32_t stream)
{
	/* Clients count by two. */
	return &h->bucket[stream / 2 % H2_BUCKETS];
}

struct exchange *h2_find(struct h2 *h, uint32_t stream)
{
	for (uint32_t i = *bucket_of(h, stream); i;) {
		struct exchange *e = exchange_at(i - 1);

		if (e->stream == stream)
			return e;
		i = e->next;
	}
	return NULL;
}

void h2_add(struct conn *c, struct exchange *e, uint32_t stream)
{
	uint32_t *bucket = bucket_of(c->h2, stream);

	e->stream = stream;
	e->next = *bucket;
	*bucket = exchange_index(e) + 1;
	c->h2->streams++;
}

static void remove_stream(struct h2 *h, struct exchange *e)
{
	uint32_t *at = bucket_of(h, e->stream);

	while (*at != exchange_index(e) + 1)
		at = &exchange_at(*at - 1)->next;
	*at = e->next;
	h->streams--;
	exchange_close(e);
}

void h2_stream_complete(struct conn *c, struct exchange *e)
{
	if (e->server)
		link_on_answered(e);
	if (!e->end_monotonic)
		e->end_monotonic = clock_monotonic_ns();
	span_end(c, e);
	remove_stream(c->h2, e);
}

void h2_stream_left(struct exchange *e)
{
	if (!(e->stream_state & H2_STREAM_UNSENT))
		return;
	if (e->stream_state & H2_STREAM_INSERTED)
		count(headers_injected);
	else if (e->stream_state & H2_STREAM_REPLACED)
		count(headers_rewritten);
	e->stream_state &= (uint8_t)~H2_STREAM_UNSENT;
	count(exchanges_client);
}

void h2_stream_over(struct conn *c, uint32_t stream, bool response)
{
	struct exchange *e = h2_find(c->h2, stream);

	if (!e)
		return;
	if (response) {
		e->response_ended = true;
		h2_stream_complete(c, e);
	} else {
		e->stream_state |= H2_STREAM_REQUEST_OVER;
	}
}

/* A request that never left causes no span. */
static void end_unsent(struct exchange *e)
{
	if (!(e->stream_state & H2_STREAM_UNSENT))
		return;
	e->sampled = false;
	e->measured = true;
}

void h2_stream_reset(struct conn *c, struct exchange *e, uint32_t code, bool by_us)
{
	/* Who resets it has seen it, if the thread that sends it does not say so yet. */
	if (by_us)
		end_unsent(e);
	else
		h2_stream_left(e);
	request_note_reset(e, code, by_us);
	h2_stream_complete(c, e);
}

/* Calls fn for each stream; it may take that one away. */
static void each_stream(struct conn *c, void (*fn)(struct conn *c, struct exchange *e, void *arg),
			void *arg)
{
	for (unsigned b = 0; b < H2_BUCKETS && c->h2->streams; b++) {
		for (uint32_t i = c->h2->bucket[b]; i;) {
			struct exchange *e = exchange_at(i - 1);

			i = e->next;
			fn(c, e, arg);
		}
	}
}

struct goaway {
	uint32_t last;
	bool by_us;
};

static void refuse_younger(struct conn *c, struct exchange *e, void *arg)
{
	const struct goaway *g = arg;

	/* Who says it speaks of the streams that the other side opened. */
	if (e->stream > g->last && e->server == g->by_us)
		h2_stream_reset(c, e, H2_REFUSED_STREAM, g->by_us);
}

void h2_goaway(struct conn *c, uint32_t last, bool by_us)
{
	each_stream(c, refuse_younger, &(struct goaway){ last, by_us });
}

struct ending {
	const char *error;
	bool writing;
};

static void end_one(struct conn *c, struct exchange *e, void *arg)
{
	const struct ending *end = arg;
	bool elsewhere = !e->status_seen && e->forks != atomic_load_explicit(&process_state.forks,
									     memory_order_relaxed);

	if (end->writing)
		h2_stream_left(e);
	end_unsent(e);
	if (e->server && elsewhere && !c->error && !c->eof) {
		/* The child that has the connection too may be answering: that is its span. */
		if (e->sampled)
			count(spans_dropped_shared);
		e->sampled = false;
		e->measured = true;
	} else if (!e->error && !(end->writing && e->stream_state & H2_STREAM_ENDING) &&
		   !(!e->server && e->status_seen && !c->eof && !c->error)) {
		/* Not whole; but a client that has read the head and closes first has had enough,
		 * and an answer whose end another thread is sending has arrived, or soon will. */
		e->error = end->error;
	}
	span_end(c, e);
	remove_stream(c->h2, e);
}

void h2_end_streams(struct conn *c, const char *error)
{
	bool writing = atomic_load_explicit(&c->writing, memory_order_relaxed);

	each_stream(c, end_one, &(struct ending){ error, writing });
}

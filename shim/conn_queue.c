/* SPDX-License-Identifier: Apache-2.0 */
/* The exchanges of a connection of HTTP/1, oldest first: answers come in the order of requests. */
#include "base/counters.h"
#include "shim/conn.h"
#include "shim/h2.h"
#include "shim/process_state.h"
#include "shim/span.h"

void conn_push(struct conn *c, struct exchange *e)
{
	uint32_t i = exchange_index(e) + 1;

	e->next = 0;
	if (c->queue_tail)
		exchange_at(c->queue_tail - 1)->next = i;
	else
		c->queue_head = i;
	c->queue_tail = i;
	c->queued++;
}

struct exchange *conn_oldest(struct conn *c)
{
	return c->queue_head ? exchange_at(c->queue_head - 1) : NULL;
}

void conn_pop(struct conn *c)
{
	struct exchange *e = conn_oldest(c);

	c->queue_head = e->next;
	if (!c->queue_head)
		c->queue_tail = 0;
	c->queued--;
	exchange_close(e);
}

/* Whether the end of the stream is a proper end of the message that was under way. */
static bool ends_properly(const struct conn *c, const struct exchange *e)
{
	const struct direction *response = e->server ? &c->out : &c->in;

	if (!e->status_seen)
		return false;
	if (response->in_body && response->body.state == BODY_UNTIL_CLOSE)
		return !c->error;
	/* A client that has read the head and closes first has had enough: no error. */
	return !e->server && !c->eof && !c->error;
}

void conn_end_exchanges(struct conn *c, const char *error)
{
	struct exchange *e;

	if (c->h2)
		h2_end_streams(c, error);
	e = conn_oldest(c);
	if (e && e->server && !e->status_seen && !c->error &&
	    atomic_load_explicit(&c->writing, memory_order_relaxed)) {
		/* Another thread is sending the answer: the client has it, or soon will. */
		e->status = e->status_coming;
		e->status_seen = e->status != 0;
		if (e->status_seen)
			error = NULL;
	}
	while ((e = conn_oldest(c)) != NULL) {
		bool elsewhere =
			!e->status_seen && e->forks != atomic_load_explicit(&process_state.forks,
									    memory_order_relaxed);

		/* The child that has the connection too may be answering: that is its span. */
		if (e->server && elsewhere && !c->error && !c->eof) {
			if (e->sampled)
				count(spans_dropped_shared);
		} else {
			if (!e->error && !ends_properly(c, e))
				e->error = error;
			span_end(c, e);
		}
		conn_pop(c);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a header block says (RFC 9113 section 8): a request, interim and final responses, trailers.
 * Each is decoded, whatever becomes of it: the table behind the indexes goes on. */
#include "shim/h2_block.h"

#include "base/clock.h"
#include "base/config.h"
#include "base/counters.h"
#include "shim/block.h"
#include "shim/flow.h"
#include "shim/request.h"
#include "shim/route.h"
#include "shim/span.h"

/* Lists are longer than their blocks by what the tables hold. */
#define LIST_ROOM 32768

/* Whether more is recorded, or passed on, than the fields that are always looked at. */
static bool lines_are_walked(void)
{
	return !route_captures_nothing() || config.propagators & 1u << PROPAGATOR_JAEGER;
}

int h2_decode(const struct h2_block *b, struct h2_decoded *d)
{
	struct hpack *hpack = b->out ? b->c->h2->out.hpack : b->c->h2->in.hpack;
	bool request = (b->c->role == CONN_CLIENT) == b->out || b->type == H2_PUSH_PROMISE;

	d->opened = NULL;
	if (!d->room)
		d->room = block_get(LIST_ROOM, &d->size);
	if (!d->room)
		d->room = block_get(BLOCK_SMALL, &d->size);
	if (!d->room)
		return -ENOMEM;
	return (lines_are_walked() ? h2_head_decode : h2_head_decode_known)(&d->head, hpack,
									    b->bytes, request,
									    d->room, d->size);
}

void h2_decoded_free(struct h2_decoded *d)
{
	block_put(d->room);
	d->room = NULL;
}

static struct h2_side *side_of(const struct h2_block *b)
{
	return b->out ? &b->c->h2->out : &b->c->h2->in;
}

static bool is_request(const struct h2_block *b)
{
	return b->type == H2_HEADERS && (b->c->role == CONN_CLIENT) == b->out;
}

bool h2_block_is_new_request(const struct h2_block *b)
{
	/* RFC 9113 section 5.1.1: odd, and larger than all before. */
	return is_request(b) && b->stream % 2 && b->stream > side_of(b)->last_stream;
}

static int take_request(const struct h2_block *b, struct h2_decoded *d, bool dontwait)
{
	const struct http1_head *head = &d->head.head;
	struct conn *c = b->c;
	struct exchange *e;

	side_of(b)->last_stream = b->stream;
	if (d->head.malformed || d->head.trailers)
		return 0; /* the receiver resets it */
	if (c->h2->streams == H2_STREAMS_MAX)
		return -EMSGSIZE;
	if (b->out)
		e = request_open_client(c, b->fd, head, d->head.whole, &d->link);
	else
		e = request_open_server(c, b->fd, head, d->head.whole);
	if (!e)
		return -ENOMEM;
	if (!b->out)
		link_on_request_read(e, c, conn_descriptor(c, b->fd), dontwait, c->h2->streams > 0);
	h2_add(c, e, b->stream);
	if (!b->out)
		flow_note_request(c, e);
	d->opened = e;
	return 0;
}

static bool is_event_stream(const struct http1_head *head)
{
	return bytes_start_with(head->field[HTTP1_CONTENT_TYPE], BYTES("text/event-stream"));
}

static void take_response(const struct h2_block *b, const struct h2_decoded *d)
{
	const struct http1_head *head = &d->head.head;
	struct exchange *e = h2_find(b->c->h2, b->stream);

	if (!e || d->head.malformed)
		return;
	h2_stream_left(e); /* the thread that sends it may not have come back to say so */
	if (d->head.trailers) {
		request_note_trailers(e, head, d->head.whole);
		return;
	}
	if (head->status < 200)
		return;
	request_note_response(e, head, d->head.whole);
	if (e->server && !atomic_load_explicit(&e->answered, memory_order_relaxed))
		link_on_answer(e);
	if (bytes_equal(e->method, BYTES("CONNECT")) && head->status < 300) {
		/* What follows is a tunnel's. */
		h2_stream_complete(b->c, e);
	} else if (is_event_stream(head)) {
		/* A stream's span is its opening; it is no candidate for links any more. */
		e->end_monotonic = clock_monotonic_ns();
		e->streaming = true;
		span_end(b->c, e);
	}
}

int h2_block_take(const struct h2_block *b, struct h2_decoded *d, bool dontwait)
{
	if (h2_block_is_new_request(b))
		return take_request(b, d, dontwait);
	/* Trailers of a request say nothing that is recorded, and a push is not followed. */
	if (!is_request(b) && b->type == H2_HEADERS)
		take_response(b, d);
	return 0;
}

void h2_block_over(const struct h2_block *b)
{
	if (b->ends && b->type == H2_HEADERS)
		h2_stream_over(b->c, b->stream, !is_request(b));
}

/* A request that is seen only now that it has been sent: it gets its exchange, but no header. */
static void left_unprepared(struct h2_decoded *d)
{
	struct exchange *e = d->opened;

	count(exchanges_client);
	if (!d->link.leave)
		count(inject_skipped_vector);
	if (!d->link.rewrite)
		return;
	/* Our server span's id has left: it is the next server's parent. */
	e->sampled = false;
	count(exchanges_left_to_program);
}

ssize_t h2_block_moved(const struct h2_block *b, struct inbound_place *place, ssize_t frame)
{
	bool dontwait = place && place->piece->dontwait;
	struct h2_decoded d;
	ssize_t added;

	d.room = NULL;
	added = h2_decode(b, &d);
	if (!added)
		added = h2_block_take(b, &d, dontwait);
	if (!added && d.opened && b->out)
		left_unprepared(&d);
	if (!added && d.opened && !b->out) {
		if (place)
			added = (ssize_t)h2_inbound_rewrite(b, &d, place, frame);
		exchange_set_candidate(d.opened, true);
	}
	h2_decoded_free(&d);
	if (added >= 0)
		h2_block_over(b);
	return added;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Two state machines a connection, one a direction: heads and bodies by turns. The first bytes
 * decide the role: a request read makes us its server, a request written its client. */
#include "shim/stream.h"

#include "base/clock.h"
#include "base/counters.h"
#include "shim/block.h"
#include "shim/flow.h"
#include "shim/h2.h"
#include "shim/inbound.h"
#include "shim/link.h"
#include "shim/process_state.h"
#include "shim/request.h"
#include "shim/span.h"
#include "shim/tls.h"

static void give_up_framing(struct conn *c, int fd)
{
	count(opaque_framing);
	conn_give_up(c, fd);
}

/* ---- heads ---- */

static bool carry_room(struct direction *d, size_t more)
{
	size_t size, need = d->carried + more;
	char *block;

	if (d->carry && need <= d->carry_size)
		return true;
	block = block_get(need, &size);
	if (!block)
		return false;
	if (d->carry)
		memcpy(block, d->carry, d->carried);
	block_put(d->carry);
	d->carry = block;
	d->carry_size = (uint32_t)size;
	return true;
}

static ssize_t parse(struct http1_head *head, struct bytes in, size_t seen, bool request)
{
	return request ? http1_parse_request(head, in, seen) : http1_parse_response(head, in, seen);
}

int direction_join(struct direction *d, struct bytes rest, struct bytes *whole)
{
	size_t add = rest.n;

	if (!d->carried) {
		*whole = rest;
		return 0;
	}
	/* One more than allowed: the parser shall see that it is too long. */
	if (d->carried + add > HTTP1_HEAD_MAX + 1)
		add = HTTP1_HEAD_MAX + 1 - d->carried;
	if (!carry_room(d, add))
		return -ENOMEM;
	memcpy(d->carry + d->carried, rest.p, add);
	*whole = (struct bytes){ d->carry, d->carried + add };
	return 0;
}

static int keep_rest(struct direction *d, struct bytes rest)
{
	if (d->carried + rest.n > HTTP1_HEAD_MAX)
		return -EMSGSIZE;
	if (!carry_room(d, rest.n))
		return -ENOMEM;
	memcpy(d->carry + d->carried, rest.p, rest.n);
	d->carried += (uint32_t)rest.n;
	return 0;
}

ssize_t direction_head(struct direction *d, struct bytes rest, bool request,
		       struct http1_head *head, struct bytes *whole)
{
	int err = direction_join(d, rest, whole);
	ssize_t n;

	if (err)
		return err;
	n = parse(head, *whole, d->carried, request);
	if (n < 0)
		return -EBADMSG;
	return n > 0 ? n - (ssize_t)d->carried : 0;
}

/* What can still be said of the answer whose head cannot be followed. */
static void note_unread_answer(struct conn *c, const struct direction *d, struct bytes rest,
			       ssize_t err)
{
	struct exchange *e = conn_oldest(c);
	struct bytes start = d->carried ? (struct bytes){ d->carry, d->carried } : rest;

	if (!e || e->status_seen)
		return;
	e->status = http1_peek_status(start);
	e->status_seen = e->status != 0;
	if (!e->status_seen && err == -EBADMSG)
		e->error = "_OTHER";
}

static void head_failed(struct conn *c, int fd, const struct direction *d, ssize_t err)
{
	if (err == -ENOMEM)
		count(opaque_memory);
	else if (err == -EMSGSIZE)
		count(opaque_limit);
	else if (c->role == CONN_NEW)
		count(connections_other);
	else
		count(opaque_framing);
	/* Requests may come in another protocol. (What the program says first is no request, nor
	 * what comes on a descriptor that it was started with.) */
	if (c->inbound && d == &c->in && process_flag(listener))
		conn_note_unseen(c);
	conn_give_up(c, fd);
}

/* ---- the end of an exchange ---- */

static void response_complete(struct conn *c, struct exchange *e)
{
	if (e->server)
		link_on_answered(e);
	if (!e->end_monotonic)
		e->end_monotonic = clock_monotonic_ns();
	span_end(c, e);
	conn_pop(c);
}

/* ---- server: requests come in ---- */

/* The program reads the next request while its last answer is still being sent by somebody: that
 * answer is over. */
static void note_answered_before(struct conn *c)
{
	struct exchange *e = conn_oldest(c);

	if (!e || !atomic_load_explicit(&c->writing, memory_order_relaxed))
		return;
	link_on_answered(e);
	if (!e->end_monotonic)
		e->end_monotonic = clock_monotonic_ns();
}

static size_t request_read(struct conn *c, int fd, const struct http1_head *head,
			   struct bytes whole, struct inbound_place *place)
{
	struct exchange *e;
	size_t added;

	if (head->framing_bad || c->queued >= PIPELINE_MAX - 1) {
		if (head->framing_bad)
			count(opaque_framing);
		else
			count(opaque_limit);
		conn_give_up(c, fd);
		return 0;
	}
	note_answered_before(c);
	e = request_open_server(c, fd, head, whole);
	if (!e) {
		count(opaque_memory);
		conn_give_up(c, fd);
		return 0;
	}
	/* Published before it is a candidate: other threads see a whole exchange. */
	link_on_request_read(e, c, conn_descriptor(c, fd), place->piece->dontwait, c->queued > 0);
	added = inbound_rewrite(e, head, whole, place);
	exchange_set_candidate(e, true);
	conn_push(c, e);
	flow_note_request(c, e);
	c->upgrade_table = stream_upgrade_table(head, whole);
	c->in.body = http1_request_body(head);
	if (bytes_equal(e->method, BYTES("CONNECT")))
		c->in.body.state = BODY_UNTIL_CLOSE;
	c->in.in_body = c->in.body.state != BODY_DONE;
	return added;
}

static void body_moved(struct conn *c, int fd, struct direction *d)
{
	if (d->body.state == BODY_BAD) {
		give_up_framing(c, fd);
		return;
	}
	if (d->body.state != BODY_DONE)
		return;
	d->in_body = false;
}

/* ---- responses, in either direction ---- */

static bool is_event_stream(const struct http1_head *head)
{
	return head->field[HTTP1_CONTENT_TYPE].n >= 17 &&
	       bytes_equal_nocase((struct bytes){ head->field[HTTP1_CONTENT_TYPE].p, 17 },
				  BYTES("text/event-stream"));
}

/* The request that is answered. The answer may be read before the call that writes the request has
 * returned in another thread, or before all of a request that is refused has left. */
static struct exchange *answered_request(struct conn *c)
{
	struct exchange *e = conn_oldest(c);

	if (e || c->role != CONN_CLIENT || !c->alter.exchange)
		return e;
	e = c->alter.exchange;
	c->alter.exchange = NULL;
	conn_push(c, e);
	count(exchanges_client);
	return e;
}

static void response_head(struct conn *c, int fd, struct direction *d,
			  const struct http1_head *head, struct bytes whole)
{
	struct exchange *e = answered_request(c);
	struct direction *requests = d == &c->out ? &c->in : &c->out;
	bool tunnel = false;

	if (e && head->framing_bad && head->status >= 200)
		request_note_response(e, head, whole);
	if (!e || head->framing_bad) {
		/* An answer to nothing we saw (408 on an idle connection, say). */
		give_up_framing(c, fd);
		return;
	}
	d->body = http1_response_body(head, e->method, &tunnel);
	if (head->status >= 100 && head->status < 200 && !tunnel)
		return;
	request_note_response(e, head, whole);
	/* Unless the look before the call has told it already (an answer in one piece). */
	if (e->server && !e->status_coming &&
	    !atomic_load_explicit(&e->answered, memory_order_relaxed))
		link_on_answer(e);
	if (tunnel && stream_switches_to_h2(head)) {
		stream_upgrade(c, fd, d);
		return;
	}
	if (tunnel) {
		if (c->role == CONN_CLIENT)
			tls_look(); /* what passes in there is seen by nobody here */
		count(opaque_switched);
		response_complete(c, e);
		c->switched = true;
		conn_give_up(c, fd);
		return;
	}
	if (requests->in_body && requests->body.state == BODY_UNTIL_CLOSE && c->queued == 1) {
		/* CONNECT was refused: HTTP goes on, unless tunnel bytes were sent already. */
		if (requests->body.size) {
			give_up_framing(c, fd);
			return;
		}
		requests->in_body = false;
		atomic_store_explicit(&c->body_out, false, memory_order_relaxed);
	}
	if (is_event_stream(head)) {
		/* A stream's span is its opening; it is no candidate for links any more. */
		e->end_monotonic = clock_monotonic_ns();
		e->streaming = true;
		span_end(c, e);
	}
	d->in_body = d->body.state != BODY_DONE;
	if (!d->in_body)
		response_complete(c, e);
}

static void response_body_moved(struct conn *c, int fd, struct direction *d)
{
	body_moved(c, fd, d);
	if (c->role != CONN_OPAQUE && !d->in_body && conn_oldest(c))
		response_complete(c, conn_oldest(c));
}

/* ---- bytes ---- */

/* A request head that is seen only now that it has been sent (a second one in the same call): it
 * gets its exchange, but no header. */
static void head_unprepared(struct conn *c, int fd, const struct http1_head *head,
			    struct bytes whole)
{
	struct http1_body body = http1_request_body(head);
	struct exchange *e = NULL;
	struct link link;

	if (head->framing_bad) {
		count(opaque_framing);
	} else if (c->queued >= PIPELINE_MAX - 1) {
		count(opaque_limit);
	} else {
		e = request_open_client(c, fd, head, whole, &link);
		if (e && link.rewrite) {
			/* Our server span's id has left: it is the next server's parent. */
			e->sampled = false;
			count(exchanges_left_to_program);
		}
		if (e) {
			stream_request_sent(c, e, &body);
			return;
		}
		count(opaque_memory);
	}
	conn_give_up(c, fd);
}

/* One head out of `rest`; returns the bytes taken from it, and what was put in. */
static size_t take_head(struct conn *c, int fd, struct direction *d, struct bytes rest,
			struct inbound_place *place)
{
	int decided = stream_decide_role(c, rest, d == &c->out);
	bool request = (d == &c->in) == (c->role != CONN_CLIENT);
	struct http1_head head;
	struct bytes whole;
	ssize_t n = decided;

	if (c->h2)
		return 0; /* not a head of this kind */
	if (decided > 0)
		n = direction_head(d, rest, request, &head, &whole);
	if (n == 0)
		n = keep_rest(d, rest);
	if (n < 0 && !request)
		note_unread_answer(c, d, rest, n);
	if (n < 0 && c->role == CONN_NEW)
		tls_on_other(c, fd, rest);
	if (n < 0)
		head_failed(c, fd, d, n);
	if (n <= 0)
		return rest.n;
	if (place)
		place->offset = (rest.p - place->piece->p) - (ssize_t)d->carried;
	if (!request)
		response_head(c, fd, d, &head, whole);
	else if (place)
		n += (ssize_t)request_read(c, fd, &head, whole, place);
	else
		head_unprepared(c, fd, &head, whole);
	direction_reset(d);
	return (size_t)n;
}

/* Some of a frame of HTTP/2; all of `rest` when the connection is given up. */
static size_t take_frame(struct conn *c, int fd, struct bytes rest, struct inbound_place *place)
{
	ssize_t n = h2_feed(c, fd, rest, place);

	if (n >= 0)
		return (size_t)n;
	h2_give_up(c, fd, (int)n);
	return rest.n;
}

void stream_received(struct conn *c, int fd, struct piece *piece)
{
	struct inbound_place place = { .piece = piece };
	size_t at = 0;

	c->read = true;
	while (at < piece->n && c->role != CONN_OPAQUE) {
		struct bytes rest = { piece->p + at, piece->n - at };

		if (c->h2) {
			at += take_frame(c, fd, rest, &place);
			continue;
		}
		if (!c->in.in_body) {
			at += take_head(c, fd, &c->in, rest, &place);
			continue;
		}
		at += http1_body_feed(&c->in.body, rest);
		if (c->role == CONN_CLIENT)
			response_body_moved(c, fd, &c->in);
		else
			body_moved(c, fd, &c->in);
	}
}

void stream_sent(struct conn *c, int fd, struct bytes sent)
{
	size_t at = 0;

	c->written = true;
	while (at < sent.n && c->role != CONN_OPAQUE) {
		struct bytes rest = { sent.p + at, sent.n - at };

		if (c->h2) {
			at += take_frame(c, fd, rest, NULL);
			continue;
		}
		if (!c->out.in_body) {
			at += take_head(c, fd, &c->out, rest, NULL);
			continue;
		}
		at += http1_body_feed(&c->out.body, rest);
		if (c->role == CONN_SERVER)
			response_body_moved(c, fd, &c->out);
		else
			body_moved(c, fd, &c->out);
	}
}

void stream_answer_over(struct conn *c)
{
	struct exchange *e = conn_oldest(c);

	if (!e->status_seen) {
		e->status = e->status_coming;
		e->status_seen = true;
	}
	direction_reset(&c->out);
	c->out.in_body = false;
	atomic_store_explicit(&c->body_out, false, memory_order_relaxed);
	response_complete(c, e);
}

void stream_skipped(struct conn *c, int fd, bool out, uint64_t n)
{
	struct direction *d = out ? &c->out : &c->in;

	if (c->role == CONN_OPAQUE || !n)
		return;
	if (c->h2) {
		if (!h2_skip(c, fd, out, n))
			give_up_framing(c, fd);
		return;
	}
	if (!d->in_body || !http1_body_skip(&d->body, n)) {
		give_up_framing(c, fd);
		return;
	}
	if ((c->role == CONN_SERVER) == out)
		response_body_moved(c, fd, d);
	else
		body_moved(c, fd, d);
}

static void note_error(struct conn *c, int error)
{
	if (!c->error)
		c->error = error == ECONNRESET || error == EPIPE ? "connection_reset"
			   : error == ETIMEDOUT                  ? "timeout"
								 : "_OTHER";
}

void stream_write_failed(struct conn *c, int error)
{
	if (c->role == CONN_CLIENT)
		note_error(c, error);
	else
		stream_ended(c, error);
}

void stream_ended(struct conn *c, int error)
{
	if (c->role == CONN_OPAQUE)
		return;
	if (error == 0)
		c->eof = true;
	else
		note_error(c, error);
	/* A server may still answer after the client has closed its half; a client has nothing more
	 * to wait for. */
	if (c->role == CONN_CLIENT || error)
		conn_end_exchanges(c, c->error ? c->error : "connection_closed");
}

void stream_request_sent(struct conn *c, struct exchange *e, const struct http1_body *body)
{
	c->out.body = *body;
	c->out.in_body = c->out.body.state != BODY_DONE;
	if (!e)
		return;
	if (bytes_equal(e->method, BYTES("CONNECT"))) {
		c->out.body.state = BODY_UNTIL_CLOSE;
		c->out.in_body = true;
	}
	conn_push(c, e);
	count(exchanges_client);
}

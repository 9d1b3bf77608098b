/* SPDX-License-Identifier: Apache-2.0 */
/* The image of a request head of HTTP/1: our lines behind its last line, or our id in place of the
 * one that the program passes on. */
#include "base/config.h"
#include "base/counters.h"
#include "base/id.h"
#include "shim/block.h"
#include "shim/carrier.h"
#include "shim/inject.h"
#include "shim/limits.h"
#include "shim/link.h"
#include "shim/propagate.h"
#include "shim/request.h"
#include "shim/stream.h"
#include "shim/vector.h"

/* A traceparent line and those of B3 or Jaeger; tracestate and baggage come extra. */
#define LINES_ROOM 256

/* The room an image needs: the head, our lines, and behind them what the call wants there. */
static size_t image_room(const struct exchange *e, size_t before, const struct shim_write *w)
{
	/* Jaeger writes a header line for each entry of the baggage. */
	size_t lines = LINES_ROOM + e->tracestate.n + 4 * e->baggage.n;
	size_t rest = w->program_bytes > before ? w->program_bytes - before : 0;

	if (vector_is_single(w))
		return before + lines + (rest < BLOCK_SMALL / 2 ? rest : BLOCK_SMALL / 2);
	return before + lines + vector_room(w);
}

static bool image_begin(struct conn *c, const struct shim_write *w, const char *unsent,
			size_t before)
{
	struct alteration *a = &c->alter;

	a->image = block_get(image_room(a->exchange, before, w), &a->image_size);
	if (!a->image) {
		count(inject_skipped_memory);
		return false;
	}
	memcpy(a->image, unsent, before);
	a->before = before;
	return true;
}

static void image_drop(struct alteration *a)
{
	block_put(a->image);
	a->image = NULL;
	a->before = a->added = 0;
}

/* Our lines behind what the image holds of the head: those formats that it does not carry already.
 * False: none, or they would push it across a limit. */
static bool add_lines(struct alteration *a, const struct span_context *own,
		      const struct http1_head *head)
{
	struct exchange *e = a->exchange;
	struct text lines = { .p = a->image + a->before, .size = a->image_size - a->before };

	a->added = propagate_format(&lines, own, e->tracestate, e->baggage, e->debug,
				    head->bare_lf ? BYTES("\n") : BYTES("\r\n"), head);
	if (a->added && limits_allow(head, text_bytes(&lines)))
		return true;
	if (a->added)
		count(inject_skipped_limit);
	a->added = 0;
	return false;
}

/* An image in which `own`, child of `parent`, stands in place of what was `found`. False: that has
 * left already, or there is no memory. */
static bool replace(struct conn *c, const struct shim_write *w, const struct carrier_text *in,
		    const struct span_context *found, const struct span_context *own)
{
	struct alteration *a = &c->alter;
	struct carrier_text text = *in;
	size_t carried = c->out.carried;

	text.from = -(ssize_t)carried;
	if (in->head->blank < carried ||
	    !image_begin(c, w, in->whole.p + carried, in->head->blank - carried))
		return false;
	text.to = a->image;
	if (carrier_overwrite(&text, found, own, a->exchange->parent_id))
		return true;
	image_drop(a);
	return false;
}

/* Rule "header": the program passes our server span's id on, or what it `found` in its place. */
static void rewrite(struct conn *c, const struct shim_write *w, const struct carrier_text *text,
		    const struct span_context *found)
{
	struct exchange *e = c->alter.exchange;
	struct span_context own;

	shared_context_get(&own, &e->context);
	if (replace(c, w, text, found, &own)) {
		add_lines(&c->alter, &own, text->head);
		return;
	}
	/* It has left already: the next server's parent is our server span. */
	e->sampled = false;
	count(exchanges_left_to_program);
}

/* Our id is not for this host: it gets what the caller had sent, or where nothing is known of that
 * ids of zeros, which are no context (W3C Trace Context section 3.2.2.3). */
static void withhold(struct conn *c, const struct shim_write *w, const struct carrier_text *text,
		     const struct span_context *found)
{
	struct span_context before = { .flags = 0 };

	if (!id_is_own_server(found->span_id))
		return;
	link_received(&before, found);
	replace(c, w, text, found, &before);
}

static void insert(struct conn *c, const struct shim_write *w, const struct http1_head *head,
		   struct bytes whole)
{
	struct alteration *a = &c->alter;
	size_t carried = c->out.carried;
	struct span_context own;

	shared_context_get(&own, &a->exchange->context);
	if (!trace_id_valid(own.trace_id))
		return;
	if (head->blank < carried) {
		count(inject_skipped_vector);
		return;
	}
	if (!image_begin(c, w, whole.p + carried, head->blank - carried))
		return;
	if (!add_lines(a, &own, head))
		image_drop(a);
}

void inject_prepare(struct conn *c, struct shim_write *w, const struct http1_head *head,
		    struct bytes whole, size_t length)
{
	struct alteration *a = &c->alter;
	const struct carrier_text text = { head, whole, NULL, 0 };
	struct link link;

	if (head->framing_bad || c->queued >= PIPELINE_MAX - 1)
		return;
	a->exchange = request_open_client(c, w->fd, head, whole, &link);
	if (!a->exchange)
		return;
	a->head = length;
	a->body = http1_request_body(head);
	c->upgrade_table = stream_upgrade_table(head, whole);
	w->prepared = true;
	if (link.leave)
		return;
	if (!request_may_carry(c, a->exchange)) {
		count(inject_skipped_target);
		if (link.rewrite)
			withhold(c, w, &text, &link.found);
	} else if (link.rewrite) {
		rewrite(c, w, &text, &link.found);
	} else {
		insert(c, w, head, whole);
	}
	if (!a->image)
		return;
	if (!vector_offer(w, a)) {
		count(inject_skipped_vector);
		image_drop(a);
		w->iov = (struct iovec *)(uintptr_t)w->program;
		w->iovcnt = w->program_count;
	}
}

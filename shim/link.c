/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/link.h"

#include "base/config.h"
#include "base/counters.h"
#include "base/id.h"
#include "base/raw.h"
#include "base/thread.h"
#include "exporter/exporter.h"
#include "shim/caller.h"
#include "shim/carrier.h"
#include "shim/conn.h"
#include "shim/flow.h"
#include "shim/process_state.h"

struct bytes link_rule_name(enum link_rule rule)
{
	static const struct bytes name[] = {
		[LINK_RULE_HEADER] = BYTES("header"), [LINK_RULE_FLOW] = BYTES("flow"),
		[LINK_RULE_THREAD] = BYTES("thread"), [LINK_RULE_PROCESS] = BYTES("process"),
		[LINK_RULE_ONLY] = BYTES("only"),     [LINK_RULE_NONE] = BYTES("none"),
	};

	return name[rule];
}

void link_count(enum link_rule rule)
{
	switch (rule) {
	case LINK_RULE_HEADER:
		count(link_header);
		break;
	case LINK_RULE_FLOW:
		count(link_flow);
		break;
	case LINK_RULE_THREAD:
		count(link_thread);
		break;
	case LINK_RULE_PROCESS:
		count(link_process);
		break;
	case LINK_RULE_ONLY:
		count(link_only);
		break;
	case LINK_RULE_NONE:
		count(link_none);
		break;
	}
}

/* ---- rule "header" ---- */

struct same_header {
	const struct span_context *wanted;
	struct exchange_view found;
	unsigned count;
};

static bool match_received(void *arg, const struct exchange_view *view)
{
	struct same_header *s = arg;

	if (!view->has_received || view->rewritten ||
	    memcmp(view->received.span_id, s->wanted->span_id, 8) != 0 ||
	    memcmp(view->received.trace_id, s->wanted->trace_id, 16) != 0)
		return true;
	s->found = *view;
	return ++s->count < 2;
}

static void from_view(struct link *link, enum link_rule rule, const struct exchange_view *view)
{
	link->rule = rule;
	link->parent = view->context;
	link->has_parent = trace_id_valid(view->context.trace_id);
	/* Without a span of ours between, the caller is the parent. */
	link->parent_remote =
		view->has_received && memcmp(view->context.span_id, view->received.span_id, 8) == 0;
	link->exchange = view->index;
	link->generation = view->generation;
}

/* The head carries a context: our own id means exactly one request; a received one that we
 * could not rewrite means it when just one open exchange received it. Otherwise the program traces
 * itself. */
static void link_by_header(struct link *link, const struct http1_head *head)
{
	struct same_header same = { 0 };
	struct span_context context;

	link->leave = true;
	if (!carrier_find(&context, head))
		return;
	link->found = context;
	if (id_is_own_server(context.span_id)) {
		if (!process_flag(carries))
			process_flag_set(forwards);
		link->rule = LINK_RULE_HEADER;
		link->parent = context;
		link->has_parent = true;
		link->leave = false;
		link->rewrite = true;
		return;
	}
	same.wanted = &context;
	exchange_each(match_received, &same);
	if (same.count != 1)
		return;
	process_flag_set(forwards);
	from_view(link, LINK_RULE_HEADER, &same.found);
	link->leave = false;
	link->rewrite = true;
}

static bool match_own(void *arg, const struct exchange_view *view)
{
	struct same_header *s = arg;

	if (memcmp(view->context.span_id, s->wanted->span_id, 8) != 0)
		return true;
	s->found = *view;
	s->count = 1;
	return false;
}

void link_received(struct span_context *out, const struct span_context *own)
{
	struct same_header same = { .wanted = own };

	exchange_each(match_own, &same);
	if (same.count && same.found.has_received)
		*out = same.found.received;
}

/* ---- rule "flow" ---- */

/* What is written on a connection of HTTP/2 may be another's request, that waited to be flushed. */
static bool link_by_flow(struct link *link, const struct conn *c, const struct http1_head *head)
{
	const struct thread_flow *flow = &thread_state.flow;
	struct thread_flow queued;
	struct exchange_view view;

	if (head->http2)
		return false;
	if (!flow->known && flow_queue_find(c, &queued))
		flow = &queued;
	if (!flow->known)
		return false;
	link->rule = LINK_RULE_FLOW;
	memcpy(link->parent.trace_id, flow->trace_id, 16);
	memcpy(link->parent.span_id, flow->span_id, 8);
	link->parent.flags = flow->flags;
	link->has_parent = trace_id_valid(flow->trace_id);
	link->parent_remote = flow->remote;
	/* Answered long ago, it may be gone, and its tracestate and baggage with it. */
	if (exchange_peek(flow->exchange, &view) && view.generation == flow->generation) {
		link->exchange = view.index;
		link->generation = view.generation;
	}
	return true;
}

/* ---- rule "thread" ---- */

static bool own_exchange(struct exchange_view *view)
{
	const struct thread_state *t = &thread_state;

	return t->exchange && exchange_peek(t->exchange - 1, view) &&
	       view->generation == t->exchange_gen;
}

/* The thread's last wait before it read was for this descriptor alone, or the descriptor is a
 * blocking one: asked only now, as most requests cause none and the kernel's answer takes longer
 * than the parsing of a head. */
static bool read_in_blocking_style(const struct exchange_view *view)
{
	long flags;

	if (view->read_from < 0)
		return true;
	if (!process_may_call())
		return false;
	flags = raw_fcntl(view->read_from, F_GETFL, 0);
	return flags >= 0 && !(flags & O_NONBLOCK);
}

/* Many requests leave on one connection of HTTP/2, and clients let whichever thread is at it write
 * those of all: only where there is no other is the writer who asks. Asked last. */
static bool writer_asks(const struct http1_head *head)
{
	return !head->http2 || (process_may_call() && process_threads() == 1 + exporter_threads());
}

/* A thread that reads requests and asks for nobody's, too, does the jobs of a pool: with a request
 * of its own open it may be at another job. (What is asked for before the first request is how a
 * program starts.) */
static void note_asks_for_nobody(const struct http1_head *head)
{
	if (!process_flag(serves) || (head && head->http2))
		return;
	thread_state.asks_for_nobody = true;
	if (thread_state.exchange)
		process_flag_set(readers_ask_for_nobody);
}

/* Is what the reader does while its request is open done for it? Where there is one thread,
 * nothing can have been handed over. */
static bool readers_answer(void)
{
	bool alone = exchange_open_count() == 1 && !process_flag(unseen_inbound);

	if (!process_flag(other_answered) && !process_flag(readers_ask_for_nobody) &&
	    !process_flag(readers_wander) &&
	    (process_flag(reader_answers) >= LINK_EVIDENCE ||
	     (alone && process_flag(reader_answers_alone) >= LINK_EVIDENCE_ALONE)))
		return true;
	return alone && process_may_call() && process_threads() == 1 + exporter_threads();
}

/* head: of what this thread writes; NULL: it asks others to. */
static bool link_by_thread(struct link *link, const struct http1_head *head)
{
	struct exchange_view view;

	if (thread_state.waits_on_inbound)
		return false;
	if (!own_exchange(&view) || view.answered) {
		note_asks_for_nobody(head);
		return false;
	}
	if (!view.thread_ok || !view.candidate || !readers_answer())
		return false;
	if (!read_in_blocking_style(&view) || (head && !writer_asks(head)))
		return false;
	from_view(link, LINK_RULE_THREAD, &view);
	return true;
}

/* This thread turns to another request. Does it leave one behind that it has read and not answered?
 * Then that one is not this thread's any more. */
static bool leaves_one_open(void)
{
	struct exchange_view view;

	if (!own_exchange(&view) || !view.candidate || view.answered)
		return false;
	atomic_store_explicit(&exchange_at(view.index)->thread_ok, false, memory_order_relaxed);
	return true;
}

void link_on_accept(void)
{
	/* Who takes more work before the answer hands requests over: others answer here. */
	if (leaves_one_open())
		process_flag_set(other_answered);
}

/* One thread reads requests of several connections, or several threads those of one. */
static void note_reader(struct conn *c)
{
	struct thread_state *t = &thread_state;
	uint64_t serial = atomic_load_explicit(&c->serial, memory_order_relaxed);
	uint32_t place = conn_index(c) + 1;
	const struct conn *last = t->read_conn ? conn_at(t->read_conn - 1) : NULL;

	if (c->reader && c->reader != thread_id())
		process_flag_set(readers_wander);
	if (last && t->read_serial != serial &&
	    atomic_load_explicit(&last->serial, memory_order_relaxed) == t->read_serial &&
	    atomic_load_explicit(&last->references, memory_order_relaxed))
		process_flag_set(readers_wander);
	c->reader = thread_id();
	t->read_serial = serial;
	t->read_conn = place;
}

void link_on_request_read(struct exchange *e, struct conn *c, int fd, bool dontwait, bool pipelined)
{
	struct thread_state *t = &thread_state;
	bool alone = !leaves_one_open(),
	     waited = t->wait_fd == fd + 1 && t->wait_serial == conn_serial_of(fd);

	if (!alone && !pipelined)
		process_flag_set(other_answered);
	e->reader = thread_id();
	atomic_store_explicit(&e->read_from, waited ? -1 : fd, memory_order_relaxed);
	atomic_store_explicit(&e->thread_ok, alone && !t->waits_on_inbound && (waited || !dontwait),
			      memory_order_relaxed);
	t->exchange = exchange_index(e) + 1;
	t->exchange_gen = atomic_load_explicit(&e->generation, memory_order_relaxed);
	note_reader(c);
	process_flag_set(serves);
	if (t->asks_for_nobody)
		process_flag_set(readers_ask_for_nobody);
	caller_on_request();
}

static void rise(_Atomic uint32_t *count, uint32_t most)
{
	if (atomic_load_explicit(count, memory_order_relaxed) < most)
		atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

void link_on_answer(struct exchange *e)
{
	if (e->reader != thread_id())
		process_flag_set(other_answered);
	else if (exchange_open_count() > 1)
		rise(&process_state.reader_answers, LINK_EVIDENCE);
	else
		rise(&process_state.reader_answers_alone, LINK_EVIDENCE_ALONE);
}

void link_on_answered(struct exchange *e)
{
	atomic_store_explicit(&e->answered, true, memory_order_relaxed);
	exchange_set_candidate(e, false);
}

/* ---- rules "process", "only", "none" ---- */

static bool link_by_process(struct link *link)
{
	if (!process_state.has_parent || process_flag(listener) || process_flag(new_session))
		return false;
	/* Not who started the process is the cause, then, but perhaps who asks on a socket that it
	 * was started with. */
	if (exchange_open_count() || process_flag(unseen_inbound))
		return false;
	link->rule = LINK_RULE_PROCESS;
	link->parent = process_state.parent;
	link->has_parent = true;
	link->parent_remote = true;
	return true;
}

struct gathering {
	struct exchange_view last;
	struct link_candidates *out;
	unsigned count;
};

static bool gather(void *arg, const struct exchange_view *view)
{
	struct gathering *g = arg;

	if (view->answered)
		return true;
	if (g->out && g->count < LINK_CANDIDATES_MAX)
		g->out->context[g->count] = view->context;
	g->last = *view;
	return ++g->count <= LINK_CANDIDATES_MAX;
}

static bool link_by_only(struct link *link)
{
	struct gathering g = { 0 };

	if (config.link != LINK_BEST || process_flag(unseen_inbound) || exchange_open_count() > 1)
		return false;
	exchange_each(gather, &g);
	if (g.count != 1)
		return false;
	from_view(link, LINK_RULE_ONLY, &g.last);
	return true;
}

void link_candidates(struct link_candidates *out)
{
	struct gathering g = { .out = out };

	out->count = 0;
	if (process_flag(unseen_inbound) || exchange_open_count() > LINK_CANDIDATES_MAX)
		return;
	exchange_each(gather, &g);
	for (unsigned i = 0; g.count <= LINK_CANDIDATES_MAX && i < g.count; i++)
		if (trace_id_valid(out->context[i].trace_id))
			out->context[out->count++] = out->context[i];
}

void link_find(struct link *link, const struct conn *c, const struct http1_head *head)
{
	*link = (struct link){ .rule = LINK_RULE_NONE };
	if (carrier_in(head)) {
		link_by_header(link, head);
		return;
	}
	if (link_by_flow(link, c, head) || link_by_thread(link, head) || link_by_process(link) ||
	    link_by_only(link))
		return;
}

bool link_for_caller(struct link *link)
{
	*link = (struct link){ .rule = LINK_RULE_NONE };
	/* Without a span of ours the id is not one that is replaced on the way. */
	return link_by_thread(link, NULL) && id_is_own_server(link->parent.span_id);
}

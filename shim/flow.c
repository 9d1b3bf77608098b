/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/flow.h"

#include "base/config.h"
#include "shim/h2.h"
#include "shim/link.h"
#include "shim/looks.h"
#include "shim/process_state.h"

#define FLOW_MAGIC 0x776f6c66676c6174ull
#define LOOKS_MAX  32
#define MIXED      1024 /* connections remembered */
#define ABOVE      4096 /* TLS connections remembered */

static bool (*look)(void);
static _Atomic unsigned looks;

static void look_once(void)
{
	if (look())
		atomic_fetch_add_explicit(&looks, 1, memory_order_relaxed);
	else
		atomic_store_explicit(&looks, LOOKS_MAX, memory_order_relaxed);
}

void shim_when_serving(bool (*fn)(void))
{
	look = fn;
	looks_set(LOOK_PYTHON, look_once);
}

void flow_on_serving(void)
{
	if (config.python != PYTHON_OFF &&
	    atomic_load_explicit(&looks, memory_order_relaxed) < LOOKS_MAX)
		looks_begin(LOOK_PYTHON);
}

/* ---- connections with more than one request at a time ---- */

/* A request that is read before the one in front of it is answered may be worked on in a context
 * made for that one: nothing of such a connection is linked any more. Contexts outlive connections,
 * so this does too. */
static _Atomic uint64_t mixed[MIXED];

static void mark_mixed(uint64_t serial)
{
	atomic_store_explicit(&mixed[serial % MIXED], serial, memory_order_relaxed);
}

static bool is_mixed(uint64_t serial)
{
	return atomic_load_explicit(&mixed[serial % MIXED], memory_order_relaxed) == serial;
}

static bool others_open(const struct conn *c, const struct exchange *e)
{
	uint32_t i = c->queue_head;

	if (c->h2)
		return c->h2->streams > 1;
	for (unsigned n = 0; i && n < PIPELINE_MAX; n++) {
		const struct exchange *other = exchange_at(i - 1);

		if (other != e && !atomic_load_explicit(&other->answered, memory_order_relaxed))
			return true;
		i = other->next;
	}
	return false;
}

/* ---- TLS ---- */

/* Where the connection of a serial is now: a context may have the place it was accepted at. An
 * entry that is overwritten loses links, and makes none. */
static struct {
	_Atomic uint64_t serial;
	_Atomic uint32_t place;
} above[ABOVE];

void flow_take_over(struct conn *c, uint64_t serial)
{
	atomic_store_explicit(&c->serial, serial, memory_order_release);
	atomic_store_explicit(&above[serial % ABOVE].place, conn_index(c), memory_order_relaxed);
	atomic_store_explicit(&above[serial % ABOVE].serial, serial, memory_order_release);
}

/* Whoever uses it looks at the serial of what is there. */
static uint32_t place_of(const struct shim_flow *f)
{
	if (atomic_load_explicit(&above[f->serial % ABOVE].serial, memory_order_acquire) ==
	    f->serial)
		return atomic_load_explicit(&above[f->serial % ABOVE].place, memory_order_relaxed);
	return f->conn;
}

/* ---- what calls leave behind ---- */

static void note(const struct conn *c)
{
	struct thread_flow *f = &thread_state.flow;

	f->seen.serial = atomic_load_explicit(&c->serial, memory_order_relaxed);
	f->seen.conn = conn_index(c);
	f->seen.sequence = atomic_load_explicit(&c->requests, memory_order_relaxed);
}

void flow_note_accept(const struct conn *c)
{
	note(c);
	thread_state.flow.seen.accepted = true;
}

static void note_exchange(struct exchange *e)
{
	struct thread_flow *f = &thread_state.flow;
	struct span_context own, received;

	shared_context_get(&own, &e->context);
	shared_context_get(&received, &e->received);
	f->seen.exchange = exchange_index(e);
	f->seen.generation = atomic_load_explicit(&e->generation, memory_order_relaxed);
	memcpy(f->seen.trace_id, own.trace_id, 16);
	memcpy(f->seen.span_id, own.span_id, 8);
	f->seen.flags = own.flags;
	f->seen.remote =
		trace_id_valid(received.trace_id) && memcmp(own.span_id, received.span_id, 8) == 0;
	f->seen.thread_ok = atomic_load_explicit(&e->thread_ok, memory_order_relaxed);
}

void flow_note_request(struct conn *c, struct exchange *e)
{
	atomic_fetch_add_explicit(&c->requests, 1, memory_order_release);
	note(c);
	note_exchange(e);
	if (thread_state.flow.seen.opened < UINT8_MAX)
		thread_state.flow.seen.opened++;
	if (others_open(c, e))
		mark_mixed(thread_state.flow.seen.serial);
}

void flow_note_answer(const struct conn *c, struct exchange *e)
{
	note(c);
	note_exchange(e);
	thread_state.flow.seen.answered = true;
}

static struct shim_flow from_seen(enum flow_kind kind)
{
	const struct thread_flow *t = &thread_state.flow;
	struct shim_flow f = { .magic = FLOW_MAGIC };

	f.serial = t->seen.serial;
	f.conn = t->seen.conn;
	f.sequence = t->seen.sequence;
	f.exchange = t->seen.exchange;
	f.generation = t->seen.generation;
	memcpy(f.context.trace_id, t->seen.trace_id, 16);
	memcpy(f.context.span_id, t->seen.span_id, 8);
	f.context.flags = t->seen.flags;
	f.remote = t->seen.remote;
	f.kind = (uint8_t)kind;
	f.thread = thread_id();
	return f;
}

/* ---- what a context means ---- */

static bool is_flow(const struct shim_flow *f)
{
	return f && f->magic == FLOW_MAGIC && f->kind <= FLOW_REQUEST &&
	       f->conn < CONNECTIONS_MAX && f->exchange < EXCHANGES_MAX;
}

/* No request has been read on its connection since, as far as anybody can still tell. */
static bool is_newest(const struct shim_flow *f)
{
	const struct conn *c = conn_at(place_of(f));
	uint32_t requests = atomic_load_explicit(&c->requests, memory_order_acquire);

	return atomic_load_explicit(&c->serial, memory_order_acquire) == f->serial &&
	       requests == f->sequence;
}

/* A thread that reads and answers is at its request until it has closed the connection or read the
 * next one: what it does then may be anything. What it has given to other threads, context and all,
 * stays that request's. */
static bool of_thread(const struct shim_flow *f)
{
	const struct conn *c = conn_at(f->conn);

	if (process_flag(other_answered) || thread_state.waits_on_inbound)
		return false;
	return f->thread != thread_id() ||
	       (atomic_load_explicit(&c->serial, memory_order_acquire) == f->serial &&
		atomic_load_explicit(&c->references, memory_order_relaxed));
}

static void take_exchange(struct shim_flow *to, const struct exchange_view *view)
{
	to->context = view->context;
	to->remote =
		view->has_received && memcmp(view->context.span_id, view->received.span_id, 8) == 0;
	to->exchange = view->index;
	to->generation = view->generation;
}

/* The one request that is open on the connection, not answered by anybody. */
static bool only_open(const struct shim_flow *f, struct shim_flow *out)
{
	struct conn *c = conn_acquire_serial(place_of(f), f->serial);
	struct exchange_view view;
	struct exchange *e;
	bool found = false;

	if (!c)
		return false;
	e = c->role == CONN_SERVER && !c->h2 && c->queued == 1 ? conn_oldest(c) : NULL;
	if (e && exchange_peek(exchange_index(e), &view) && !view.answered) {
		*out = *f;
		take_exchange(out, &view);
		out->sequence = atomic_load_explicit(&c->requests, memory_order_relaxed);
		found = true;
	}
	conn_release(c);
	return found;
}

/* Who works for the whole connection and has answered on it himself may still be at that request
 * though the next one has been read: unless he was waiting for that, nothing is known. */
static bool of_connection(const struct shim_flow *f, struct shim_flow *out)
{
	const struct conn *c = conn_at(place_of(f));

	*out = *f;
	if (f->sequence && is_newest(f))
		return true;
	if (f->sequence && atomic_load_explicit(&c->awaited, memory_order_relaxed) !=
				   atomic_load_explicit(&c->requests, memory_order_relaxed))
		return false;
	return only_open(f, out);
}

bool flow_resolve(const struct shim_flow *f, struct shim_flow *out)
{
	if (!is_flow(f) || is_mixed(f->serial))
		return false;
	*out = *f;
	switch (f->kind) {
	case FLOW_REQUEST:
		return true;
	case FLOW_THREAD:
		return of_thread(f);
	case FLOW_READER:
		return is_newest(f);
	case FLOW_CONNECTION:
		return of_connection(f, out);
	default:
		return false;
	}
}

/* ---- the door ---- */

void flow_of_thread(struct thread_flow *t, const struct shim_flow *now)
{
	struct shim_flow f;

	*t = (struct thread_flow){ .known = false };
	if (!now || !flow_resolve(now, &f))
		return;
	memcpy(t->trace_id, f.context.trace_id, 16);
	memcpy(t->span_id, f.context.span_id, 8);
	t->flags = f.context.flags;
	t->remote = f.remote;
	t->exchange = f.exchange;
	t->generation = f.generation;
	t->known = true;
}

void shim_flow_begin(struct thread_flow *saved, const struct shim_flow *now)
{
	thread_state.flow_reading = 0;
	*saved = thread_state.flow;
	flow_of_thread(&thread_state.flow, now);
}

static bool belongs(const struct shim_flow *now, uint64_t serial)
{
	return is_flow(now) && now->serial == serial;
}

/* Requests were read: whose is this context from now on? */
static bool after_read(struct shim_flow *now, enum shim_flow_style style)
{
	const struct thread_flow *t = &thread_state.flow;
	struct shim_flow f = from_seen(FLOW_NONE);
	bool has = is_flow(now);

	f.chained = belongs(now, f.serial) && now->chained;
	if (t->seen.opened == 1 && !is_mixed(f.serial)) {
		if (style == SHIM_FLOW_OWN)
			/* Begun by the work of another connection, or one of several that it reads:
			 * whose it is now nobody knows. */
			f.kind = !has || now->kind <= FLOW_ACCEPTED || now->serial == f.serial
					 ? FLOW_REQUEST
					 : FLOW_NONE;
		else if (f.chained)
			f.kind = FLOW_READER;
		else if (!thread_state.waits_on_inbound)
			f.kind = t->seen.thread_ok ? FLOW_THREAD : FLOW_NONE;
	}
	if (f.kind == FLOW_NONE && !has)
		return false;
	if (f.kind == FLOW_READER)
		thread_state.flow_reading = f.serial;
	*now = f;
	return true;
}

static bool after_accept(struct shim_flow *now)
{
	*now = from_seen(FLOW_ACCEPTED);
	now->sequence = 0;
	return true;
}

static bool after_answer(struct shim_flow *now)
{
	if (!belongs(now, thread_state.flow.seen.serial) || now->kind != FLOW_CONNECTION)
		return false;
	*now = from_seen(FLOW_CONNECTION);
	now->chained = true;
	return true;
}

bool shim_flow_end(const struct thread_flow *saved, struct shim_flow *now,
		   enum shim_flow_style style)
{
	struct thread_flow *t = &thread_state.flow;
	bool changed = false;

	if (t->seen.opened)
		changed = after_read(now, style);
	else if (t->seen.accepted)
		changed = after_accept(now);
	else if (t->seen.answered)
		changed = after_answer(now);
	*t = *saved;
	/* A signal handler's calls, in the middle of another one, are not that one's. */
	memset(&t->seen, 0, sizeof(t->seen));
	return changed;
}

/* ---- event loops that call back ---- */

bool shim_flow_callback(struct shim_flow *now)
{
	struct thread_flow *t = &thread_state.flow;
	bool opened = t->seen.opened, known = t->seen.opened == 1 && !is_mixed(t->seen.serial);
	bool changed = opened && (known || is_flow(now));

	if (changed)
		*now = from_seen(known ? FLOW_READER : FLOW_NONE);
	if (known) {
		now->chained = true;
		thread_state.flow_reading = now->serial;
	}
	memset(&t->seen, 0, sizeof(t->seen));
	return changed;
}

bool shim_flow_is_own(const struct shim_flow *now)
{
	return belongs(now, thread_state.flow.seen.serial) && now->chained;
}

void shim_flow_callback_over(void)
{
	thread_state.flow_reading = 0;
	thread_state.flow_made = 0;
	memset(&thread_state.flow.seen, 0, sizeof(thread_state.flow.seen));
}

void shim_flow_made(int fd)
{
	uint32_t generation;
	const struct conn *c = conn_glance(fd, &generation);

	if (!c || !atomic_load_explicit(&c->inbound, memory_order_relaxed) ||
	    atomic_load_explicit(&c->requests, memory_order_relaxed))
		return;
	thread_state.flow_made = atomic_load_explicit(&c->serial, memory_order_acquire);
	thread_state.flow_made_at = conn_index(c);
}

bool shim_flow_of_made(struct shim_flow *child)
{
	if (!thread_state.flow_made)
		return false;
	*child = (struct shim_flow){ .magic = FLOW_MAGIC,
				     .serial = thread_state.flow_made,
				     .conn = thread_state.flow_made_at,
				     .thread = thread_id(),
				     .kind = FLOW_CONNECTION,
				     .chained = true };
	return true;
}

bool flow_pin(const struct conn *c, struct exchange *e, struct shim_flow *now)
{
	struct thread_flow *t = &thread_state.flow;

	if (!belongs(now, atomic_load_explicit(&c->serial, memory_order_relaxed)) ||
	    now->kind != FLOW_CONNECTION ||
	    now->sequence == atomic_load_explicit(&c->requests, memory_order_relaxed))
		return false;
	flow_note_answer(c, e);
	after_answer(now);
	memset(&t->seen, 0, sizeof(t->seen));
	return true;
}

void shim_flow_awaited(const struct shim_flow *now)
{
	struct conn *c;

	if (!is_flow(now) || now->kind != FLOW_READER || now->serial != thread_state.flow_reading ||
	    !is_newest(now))
		return;
	c = conn_acquire_serial(place_of(now), now->serial);
	if (!c)
		return;
	atomic_store_explicit(&c->awaited, now->sequence, memory_order_relaxed);
	conn_release(c);
}

bool shim_flow_child(struct shim_flow *parent, struct shim_flow *child)
{
	if (!is_flow(parent))
		return false;
	switch (parent->kind) {
	case FLOW_ACCEPTED:
		*child = *parent;
		child->kind = FLOW_CONNECTION;
		child->chained = true;
		parent->kind = FLOW_NONE;
		return true;
	case FLOW_CONNECTION:
	case FLOW_READER:
		if (flow_resolve(parent, child)) {
			child->kind = FLOW_REQUEST;
			return true;
		}
		*child = *parent;
		child->kind = FLOW_NONE;
		/* Before the first request it goes on working for the connection. */
		return parent->kind == FLOW_READER || parent->sequence;
	case FLOW_THREAD:
		*child = *parent;
		child->kind = flow_resolve(parent, child) ? FLOW_REQUEST : FLOW_NONE;
		return true;
	default:
		return false;
	}
}

bool shim_flow_traceparent(const struct shim_flow *f, char text[static TRACEPARENT_LEN + 1])
{
	struct shim_flow request;

	if (!(config.propagators & 1u << PROPAGATOR_TRACECONTEXT) || config.disabled ||
	    config.propagate_to[0] != '*' || config.propagate_to[1])
		return false;
	if (!flow_resolve(f, &request) || request.remote ||
	    !trace_id_valid(request.context.trace_id))
		return false;
	process_flag_set(carries);
	traceparent_format(text, &request.context);
	return true;
}

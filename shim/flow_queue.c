/* SPDX-License-Identifier: Apache-2.0 */
/* Whose bytes leave on a connection when the runtime sends them later than the program wrote them,
 * in the same order. Bytes are counted where they are written and where they leave; of those
 *written last it is known whose they are, back to where somebody else's end:
 *
 *	... | another's | from: this one's ... sent: the next to leave ... queued |
 *
 * What began to be counted wrongly is nobody's for good. */
#include "shim/flow.h"

struct queue {
	_Atomic uint64_t serial; /* of the connection; another one at this place begins anew */
	uint64_t queued, from;
	_Atomic uint64_t sent;
	bool lost;
	struct thread_flow whose;
};

/* Touched where it is used only. */
static struct queue queues[CONNECTIONS_MAX];
static _Atomic bool used;

static struct queue *queue_of(const struct conn *c)
{
	struct queue *q = &queues[conn_index(c)];

	return atomic_load_explicit(&q->serial, memory_order_acquire) ==
			       atomic_load_explicit(&c->serial, memory_order_relaxed)
		       ? q
		       : NULL;
}

static struct queue *queue_begin(const struct conn *c)
{
	struct queue *q = queue_of(c);

	if (q)
		return q;
	q = &queues[conn_index(c)];
	memset(q, 0, sizeof(*q));
	atomic_store_explicit(&q->serial, atomic_load_explicit(&c->serial, memory_order_relaxed),
			      memory_order_release);
	atomic_store_explicit(&used, true, memory_order_relaxed);
	return q;
}

static void whose(struct thread_flow *t, const struct shim_flow *now)
{
	struct shim_flow f;

	memset(t, 0, sizeof(*t));
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

static bool is_same(const struct thread_flow *a, const struct thread_flow *b)
{
	return a->known == b->known && a->exchange == b->exchange &&
	       a->generation == b->generation && memcmp(a->span_id, b->span_id, 8) == 0;
}

static void append(struct queue *q, const struct thread_flow *t, size_t n)
{
	if (!is_same(t, &q->whose)) {
		q->from = q->queued;
		q->whose = *t;
	}
	q->queued += n;
}

bool shim_flow_queue(int fd, struct shim_flow *now, size_t n)
{
	struct thread_flow t;
	struct conn *c;
	bool changed = false;

	whose(&t, now); /* with no connection held: it may have to look at another one */
	c = conn_acquire(fd);
	if (!c)
		return false;
	if (c->role == CONN_SERVER) {
		struct exchange *e = !c->h2 && c->queued == 1 ? conn_oldest(c) : NULL;

		changed = e && now && flow_pin(c, e, now);
	} else if (c->role != CONN_OPAQUE) {
		append(queue_begin(c), &t, n);
	}
	conn_release(c);
	return changed;
}

void shim_flow_queue_lost(int fd)
{
	struct conn *c = conn_acquire(fd);

	if (!c)
		return;
	queue_begin(c)->lost = true;
	conn_release(c);
}

void flow_queue_sent(const struct conn *c, size_t n)
{
	struct queue *q;

	if (!atomic_load_explicit(&used, memory_order_relaxed))
		return;
	q = queue_of(c);
	if (q)
		atomic_fetch_add_explicit(&q->sent, n, memory_order_relaxed);
}

bool flow_queue_find(const struct conn *c, struct thread_flow *out)
{
	struct queue *q = atomic_load_explicit(&used, memory_order_relaxed) ? queue_of(c) : NULL;
	uint64_t sent = q ? atomic_load_explicit(&q->sent, memory_order_relaxed) : 0;

	if (!q)
		return false;
	q->lost |= sent > q->queued;
	if (q->lost || sent < q->from || sent == q->queued || !q->whose.known)
		return false;
	*out = q->whose;
	return true;
}

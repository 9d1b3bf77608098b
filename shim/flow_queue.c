/* SPDX-License-Identifier: Apache-2.0 */
/* Whose bytes leave on a connection when the runtime sends them later than the program wrote them,
 * in the same order. Bytes are counted where they are written and where they leave; of those
 * written last it is known whose they are, back to where somebody else's end:
 *
 *	... | another's | from: this one's ... sent: the next to leave ... queued |
 *
 * What began to be counted wrongly is nobody's for good. */
#include <sys/mman.h>
#include "base/raw.h"
#include "shim/flow.h"

struct queue {
	_Atomic uint64_t serial; /* of the connection; another one at this place begins anew */
	uint64_t queued, from;
	_Atomic uint64_t sent;
	bool lost;
	struct thread_flow whose;
};

/* One for each connection, from the first use on. NULL: nothing is known. */
static struct queue *_Atomic queues;
static _Atomic bool refused; /* there was no memory once: from then on the counts would be wrong */

static struct queue *all(void)
{
	return atomic_load_explicit(&queues, memory_order_acquire);
}

static void make_queues(void)
{
	const size_t n = CONNECTIONS_MAX * sizeof(struct queue);
	struct queue *none = NULL, *made;

	if (atomic_load_explicit(&refused, memory_order_relaxed))
		return;
	made = raw_mmap(NULL, n, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (raw_is_error(made))
		atomic_store_explicit(&refused, true, memory_order_relaxed);
	else if (!atomic_compare_exchange_strong(&queues, &none, made))
		raw_munmap(made, n);
}

static struct queue *queue_of(const struct conn *c)
{
	struct queue *first = all(), *q = first ? &first[conn_index(c)] : NULL;

	if (!q)
		return NULL;
	return atomic_load_explicit(&q->serial, memory_order_acquire) ==
			       atomic_load_explicit(&c->serial, memory_order_relaxed)
		       ? q
		       : NULL;
}

/* NULL: there is no memory. */
static struct queue *queue_begin(const struct conn *c)
{
	struct queue *q = queue_of(c);

	if (q)
		return q;
	if (!all())
		make_queues();
	if (!all())
		return NULL;
	q = &all()[conn_index(c)];
	memset(q, 0, sizeof(*q));
	atomic_store_explicit(&q->serial, atomic_load_explicit(&c->serial, memory_order_relaxed),
			      memory_order_release);
	return q;
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
	struct queue *q;
	struct conn *c;
	bool changed = false;

	flow_of_thread(&t, now); /* with no connection held: it may have to look at another one */
	c = conn_acquire(fd);
	if (!c)
		return false;
	if (c->role == CONN_SERVER) {
		struct exchange *e = !c->h2 && c->queued == 1 ? conn_oldest(c) : NULL;

		changed = e && now && flow_pin(c, e, now);
	} else if (c->role != CONN_OPAQUE && (q = queue_begin(c))) {
		append(q, &t, n);
	}
	conn_release(c);
	return changed;
}

void shim_flow_queue_lost(int fd)
{
	struct conn *c = conn_acquire(fd);
	struct queue *q = c ? queue_begin(c) : NULL;

	if (q)
		q->lost = true;
	if (c)
		conn_release(c);
}

void flow_queue_sent(const struct conn *c, size_t n)
{
	struct queue *q = queue_of(c);

	if (q)
		atomic_fetch_add_explicit(&q->sent, n, memory_order_relaxed);
}

bool flow_queue_find(const struct conn *c, struct thread_flow *out)
{
	struct queue *q = queue_of(c);
	uint64_t sent = q ? atomic_load_explicit(&q->sent, memory_order_relaxed) : 0;

	if (!q)
		return false;
	q->lost |= sent > q->queued;
	if (q->lost || sent < q->from || sent == q->queued || !q->whose.known)
		return false;
	*out = q->whose;
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/question.h"

#include "base/config.h"
#include "base/counters.h"
#include "base/readable.h"
#include "base/thread.h"
#include "shim/carrier.h"
#include "shim/h2.h"
#include "shim/process_state.h"

/* What is answered the program may put on requests to any host. */
static bool every_host_may_have_it(void)
{
	return config.propagate_to[0] == '*' && !config.propagate_to[1];
}

bool shim_answers(void)
{
	return fd_table.size && carrier_any() && every_host_may_have_it() &&
	       config.inbound_header != INBOUND_OFF;
}

static bool is_meant(const struct exchange *e, struct bytes target)
{
	return target.n <= e->target.n && memcmp(target.p, e->target.p, target.n) == 0 &&
	       (target.n == e->target.n || target.n == QUESTION_TARGET_MAX);
}

struct exchange *question_exchange(struct conn *c, const struct question *q, struct bytes target)
{
	struct exchange *e;

	if (q->stream || c->h2) {
		e = q->stream && c->h2 ? h2_find(c->h2, q->stream) : NULL;
		return e && e->server && is_meant(e, target) ? e : NULL;
	}
	if (c->role != CONN_SERVER)
		return NULL;
	for (uint32_t i = c->queue_head; i; i = e->next) {
		e = exchange_at(i - 1);
		if (e->asked || !is_meant(e, target))
			continue;
		/* Those before it were answered by Node itself. */
		for (uint32_t j = c->queue_head; j != i; j = exchange_at(j - 1)->next)
			exchange_at(j - 1)->asked = true;
		e->asked = true;
		return e;
	}
	return NULL;
}

static void put_line(struct text *t, const char *name, struct bytes value)
{
	text_put_string(t, name);
	text_put(t, value);
	text_put(t, BYTES("\r\n"));
}

/* Header lines that a request caused by this one carries. */
static void put_answer(struct text *t, const struct exchange *e)
{
	const uint32_t selected = config.propagators;
	struct span_context own;
	size_t before;

	shared_context_get(&own, &e->context);
	if (!trace_id_valid(own.trace_id))
		return;
	carrier_put_line(t, &own, e->debug, BYTES("\r\n"));
	before = t->n;
	if (selected & 1u << PROPAGATOR_TRACECONTEXT && e->tracestate.n)
		put_line(t, "tracestate: ", e->tracestate);
	if (selected & 1u << PROPAGATOR_BAGGAGE && e->baggage.n)
		put_line(t, "baggage: ", e->baggage);
	if (t->cut)
		t->n = before;
}

/* The connection of a descriptor; above encryption that of the TLS object which this thread read
 * from last, if it is the descriptor's, as far as that is known: Node hands over what it has read
 * before it reads on. */
static struct conn *acquire(int fd)
{
	struct conn *c = shim_tracked(fd) ? conn_acquire(fd) : NULL;

	if (c || fd < 0 || !thread_state.tls_read)
		return c;
	c = conn_acquire(thread_state.tls_read);
	if (!c || c->below == fd || c->below < 0)
		return c;
	conn_release(c);
	return NULL;
}

ssize_t shim_answer(void *buf, size_t n)
{
	struct text answer = { .p = buf, .size = n };
	struct bytes target;
	struct exchange *e;
	struct question q;
	struct conn *c;

	if (!memory_readable(buf, n) || n < sizeof(q))
		return 0;
	memcpy(&q, buf, sizeof(q));
	if (q.target_n > n - sizeof(q) || q.target_n > QUESTION_TARGET_MAX)
		return 0;
	target = (struct bytes){ (const char *)buf + sizeof(q), q.target_n };
	c = acquire(q.fd);
	if (!c)
		return 0;
	e = question_exchange(c, &q, target);
	if (e) {
		put_answer(&answer, e);
		count(flows_told);
	}
	conn_release(c);
	return (ssize_t)answer.n;
}

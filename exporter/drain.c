/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/drain.h"

#include "base/clock.h"
#include "base/counters.h"
#include "base/raw.h"
#include "base/thread.h"
#include "exporter/retry.h"

/* With the encoder's factor this stays below what the sink may use; no body comes near the 64 MiB
 * of OTLP. */
#define BATCH_BYTES  (1u << 20)
#define BATCH_MEMORY (4u << 20) /* with the array of up to a million pointers cut to fit */
#define BATCH_SPANS  65536u
#define SETTLE_TRIES 10000

int drain_init(struct drain *d, struct ring *r, struct sink *s, const struct config *c)
{
	*d = (struct drain){
		.ring = r,
		.sink = s,
		.max_batch = c->bsp_max_batch < BATCH_SPANS ? c->bsp_max_batch : BATCH_SPANS,
		.otlp_timeout = c->otlp_timeout,
		.export_timeout = c->bsp_export_timeout,
	};
	return arena_init(&d->arena, BATCH_MEMORY);
}

/* Counts what became of n spans, unless drain_end() has done so meanwhile. */
static void settle(struct drain *d, uint32_t n, const struct outcome *o)
{
	uint32_t was = n;

	if (!atomic_compare_exchange_strong(&d->flight, &was, n | DRAIN_SETTLING))
		return;
	outcome_count(o, n);
	ring_done(d->ring, n);
	atomic_fetch_and(&d->flight, DRAIN_ENDED);
}

static int export_batch(struct drain *d, uint64_t deadline_ns)
{
	uint64_t now = clock_monotonic_ns();
	uint64_t budget = retry_deadline(now, d->otlp_timeout, d->export_timeout);
	struct outcome o = { .loss = LOSS_NONE };
	uint32_t none = 0;
	struct batch b;

	if (now < atomic_load_explicit(&d->hold_off_ns, memory_order_relaxed))
		return -EAGAIN;
	batch_collect(&b, &d->arena, d->ring, d->max_batch, BATCH_BYTES);
	if (b.count == 0)
		return 0;
	if (!atomic_compare_exchange_strong(&d->flight, &none, (uint32_t)b.count))
		return -ESHUTDOWN;
	count(exports);
	b.resource = &d->sink->resource;
	count_add(spans_processed, (uint32_t)b.count);
	sink_export(d->sink, &b, budget < deadline_ns ? budget : deadline_ns, &o);
	atomic_store_explicit(&d->hold_off_ns, o.hold_off_ns, memory_order_relaxed);
	settle(d, (uint32_t)b.count, &o);
	arena_reset(&d->arena);
	return (int)b.count;
}

int drain_batch(struct drain *d, uint64_t deadline_ns)
{
	uint32_t nobody = 0;
	int n;

	if (atomic_load(&d->flight) & DRAIN_ENDED)
		return -ESHUTDOWN;
	if (!atomic_compare_exchange_strong(&d->owner, &nobody, thread_id()))
		return -EBUSY;
	n = export_batch(d, deadline_ns);
	atomic_store(&d->owner, 0);
	return n;
}

/* How many spans were left; 0 when it has ended before. */
static uint32_t end(struct drain *d)
{
	if (atomic_fetch_or(&d->flight, DRAIN_ENDED) & DRAIN_ENDED)
		return 0;
	/* Whoever settles is a few instructions from done (unless it is the thread we interrupted).
	 */
	for (unsigned i = 0; i < SETTLE_TRIES && atomic_load(&d->flight) & DRAIN_SETTLING; i++)
		raw_sched_yield();
	return ring_waiting(d->ring);
}

void drain_end(struct drain *d)
{
	count_add(spans_dropped_exit, end(d));
}

void drain_abandon(struct drain *d)
{
	count_add(spans_dropped_undeliverable, end(d));
}

uint32_t drain_waiting(const struct drain *d)
{
	return atomic_load(&d->flight) & DRAIN_ENDED ? 0 : ring_waiting(d->ring);
}

void drain_idle(struct drain *d)
{
	uint32_t nobody = 0;

	if (!atomic_compare_exchange_strong(&d->owner, &nobody, thread_id()))
		return;
	arena_free(&d->arena);
	sink_idle(d->sink);
	atomic_store(&d->owner, 0);
}

void drain_child(struct drain *d, struct ring *r)
{
	d->ring = r;
	atomic_store(&d->owner, 0);
	atomic_store(&d->flight, 0);
	atomic_store(&d->hold_off_ns, 0);
	arena_free(&d->arena);
	sink_child(d->sink);
}

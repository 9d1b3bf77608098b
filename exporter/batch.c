// SPDX-License-Identifier: Apache-2.0
#include "exporter/batch.h"

#include "base/arena.h"
#include "base/counters.h"
#include "exporter/ring.h"

struct collection {
	struct batch *batch;
	struct arena *arena;
	size_t max_spans, max_bytes;
	uint32_t lost;
};

static bool collect(void *arg, const struct record_head *record)
{
	struct collection *c = arg;
	struct batch *b = c->batch;
	/* read once: what the ring checked another process may have changed since */
	size_t size = *(const volatile uint32_t *)&record->size;
	struct record_head *copy;

	if (size < sizeof(*record) || size > RECORD_MAX) {
		c->lost++;
		return true;
	}
	if (b->count == c->max_spans || (b->count && b->bytes + size > c->max_bytes))
		return false;
	copy = arena_alloc(c->arena, size);
	if (!copy && b->count)
		return false;
	if (copy) {
		memcpy(copy, record, size);
		copy->size = (uint32_t)size;
	}
	if (!copy || !record_check(copy, size)) {
		c->lost++;
		return true;
	}
	b->records[b->count++] = copy;
	b->bytes += size;
	return true;
}

size_t batch_collect(struct batch *b, struct arena *a, struct ring *r, size_t max_spans,
		     size_t max_bytes)
{
	struct collection c = { .batch = b, .arena = a, .max_bytes = max_bytes };
	size_t waiting = ring_waiting(r);

	*b = (struct batch){ 0 };
	c.max_spans = waiting < max_spans ? waiting : max_spans;
	if (!c.max_spans)
		return 0;
	while (!(b->records = arena_alloc(a, c.max_spans * sizeof(void *))))
		if (!(c.max_spans /= 2))
			return 0;
	ring_take(r, collect, &c);
	ring_release(r);
	if (c.lost) {
		count_add(spans_dropped_memory, c.lost);
		ring_done(r, c.lost);
	}
	return b->count;
}

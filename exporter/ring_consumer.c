// SPDX-License-Identifier: Apache-2.0
/* The consumer's side of the ring: it believes nothing it reads. */
#include "base/counters.h"
#include "base/raw.h"
#include "exporter/ring_layout.h"

/* The credits each shard has open; UINT32_MAX for a closed one. */
static void open_credits(struct ring *r, uint32_t open[static RING_SHARDS])
{
	for (unsigned i = 0; i < RING_SHARDS; i++) {
		struct shard *s = &r->shards[i];
		uint64_t tail = atomic_load_explicit(&s->tail, memory_order_relaxed);
		uint32_t limit = atomic_load_explicit(&s->limit, memory_order_relaxed);

		open[i] = (limit - tail_count(tail)) & INT32_MAX;
		if (atomic_load_explicit(&s->closed, memory_order_relaxed))
			open[i] = UINT32_MAX;
	}
}

/* Raises the limits of the shards by n credits in all, the poorest first, so that they end level.
 */
static void deal_credits(struct ring *r, uint32_t n)
{
	uint32_t open[RING_SHARDS];

	open_credits(r, open);
	while (n) {
		uint32_t low = UINT32_MAX, next = UINT32_MAX, poorest = 0, each;

		for (unsigned i = 0; i < RING_SHARDS; i++)
			low = open[i] < low ? open[i] : low;
		for (unsigned i = 0; i < RING_SHARDS; i++) {
			poorest += open[i] == low;
			next = open[i] > low && open[i] < next ? open[i] : next;
		}
		if (low == UINT32_MAX)
			return; /* every shard is closed */
		each = n / poorest < next - low ? n / poorest : next - low;
		each = each ? each : 1; /* less than one for each: the first ones get it */
		for (unsigned i = 0; n && i < RING_SHARDS; i++) {
			if (open[i] != low)
				continue;
			open[i] += each;
			n -= each;
			atomic_fetch_add_explicit(&r->shards[i].limit, each, memory_order_relaxed);
		}
	}
}

/* Something wrote over the shard: nobody uses it any more. What it held is lost, and counted as far
 * as its numbers can be believed; its credits go to the others. */
static void shard_close(struct ring *r, struct shard *s, uint64_t tail, uint32_t max_queue)
{
	uint32_t limit = atomic_load_explicit(&s->limit, memory_order_relaxed);
	uint32_t credits = limit - s->taken_count;
	uint32_t lost = tail_count(tail) - s->taken_count;

	atomic_fetch_add_explicit(&r->closed_count, s->taken_count, memory_order_relaxed);
	atomic_store_explicit(&s->closed, 1, memory_order_relaxed);
	if (credits > max_queue)
		return;
	count_add(spans_dropped_memory, lost < credits ? lost : credits);
	deal_credits(r, credits);
}

/* Takes what one shard holds. False: fn wants no more. */
static bool shard_take(struct ring *r, unsigned i, const struct geometry *g, uint32_t *taken,
		       bool (*fn)(void *arg, const struct record_head *record), void *arg)
{
	struct shard *s = &r->shards[i];
	uint64_t tail = atomic_load_explicit(&s->tail, memory_order_acquire);
	uint32_t left = tail_count(tail) - s->taken_count;
	uint32_t way = tail_at(tail) - s->taken_at;

	if (atomic_load_explicit(&s->closed, memory_order_relaxed))
		return true;
	while (left || way) {
		uint32_t at = s->taken_at;
		const void *p = shard_at(r, g->shard_units, i, at);
		const struct record_head *record = p;
		uint32_t step;

		if (!left || left > g->max_queue || way > g->shard_units ||
		    !record_check(record, RECORD_MAX))
			goto corrupt;
		step = next_at(at, *(const volatile uint32_t *)&record->size / UNIT,
			       g->shard_units) -
		       at;
		if (!step || step > way)
			goto corrupt;
		if (!fn(arg, record))
			return false;
		s->taken_at = at + step;
		s->taken_count++;
		++*taken;
		left--;
		way -= step;
	}
	return true;
corrupt:
	shard_close(r, s, tail, g->max_queue);
	return true;
}

/* Lets go of a shard whose owner died in the middle of a record, which stays invisible. Asked is
 * the kernel, and only when the shard did not move since the last take; and only where thread
 * ids mean the same to us as to the producers. */
static void shard_reclaim(const struct ring *r, struct shard *s)
{
	uint32_t owner = atomic_load_explicit(&s->owner, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&s->tail, memory_order_relaxed);

	if (owner != NO_OWNER && owner == s->seen_owner && tail == s->seen_tail && r->pid_space &&
	    owner <= INT32_MAX && ring_pid_space() == r->pid_space &&
	    raw_syscall3(SYS_tkill, (long)owner, 0, 0) == -ESRCH)
		atomic_compare_exchange_strong_explicit(&s->owner, &owner, NO_OWNER,
							memory_order_acquire, memory_order_relaxed);
	s->seen_owner = owner;
	s->seen_tail = tail;
}

unsigned ring_take(struct ring *r, bool (*fn)(void *arg, const struct record_head *record),
		   void *arg)
{
	struct geometry g;
	uint32_t taken = 0;

	if (!ring_read_geometry(r, &g))
		return 0;
	/* A producer that reads the old value just now is not lost: the consumer's timer comes. */
	atomic_store_explicit(&r->wake_wanted, 0, memory_order_seq_cst);
	for (unsigned n = 0; n < RING_SHARDS; n++) {
		unsigned i = (r->next_shard + n) % RING_SHARDS;

		if (!shard_take(r, i, &g, &taken, fn, arg)) {
			r->next_shard = i;
			break;
		}
		shard_reclaim(r, &r->shards[i]);
	}
	atomic_fetch_add_explicit(&r->taken, taken, memory_order_relaxed);
	return taken;
}

void ring_release(struct ring *r)
{
	for (unsigned i = 0; i < RING_SHARDS; i++)
		atomic_store_explicit(&r->shards[i].head, r->shards[i].taken_at,
				      memory_order_release);
}

void ring_done(struct ring *r, uint32_t n)
{
	uint32_t done = atomic_load_explicit(&r->done, memory_order_relaxed);
	uint32_t owed = atomic_load_explicit(&r->taken, memory_order_relaxed) - done;

	if (n > owed)
		n = owed;
	atomic_store_explicit(&r->done, done + n, memory_order_release);
	deal_credits(r, n);
}

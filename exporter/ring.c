// SPDX-License-Identifier: Apache-2.0
#include "base/raw.h"
#include "exporter/ring_layout.h"

#define QUEUE_MAX 1048576u

/* ---- layout ---- */

static uint32_t shard_units_for(uint32_t max_queue)
{
	uint32_t units = RING_SHARD_SIZE / UNIT;

	for (uint32_t queue = 2048; queue < max_queue; queue *= 2)
		units *= 2;
	return units;
}

static uint32_t geometry_check(const struct geometry *g)
{
	uint32_t h = 2166136261u; /* FNV-1a, a word at a time */
	const uint32_t words[] = { g->magic, g->layout, g->shard_units, g->max_queue };

	for (unsigned i = 0; i < 4; i++)
		h = (h ^ words[i]) * 16777619u;
	return h;
}

bool ring_read_geometry(const struct ring *r, struct geometry *g)
{
	*g = *(const volatile struct geometry *)&r->geometry;
	return g->magic == RING_MAGIC && g->layout == RING_LAYOUT && g->max_queue <= QUEUE_MAX &&
	       g->shard_units == shard_units_for(g->max_queue) && g->check == geometry_check(g);
}

static size_t size_of(uint32_t units)
{
	return ring_head_size() + RING_SHARDS * ((size_t)units * UNIT + RECORD_MAX);
}

size_t ring_size(uint32_t max_queue)
{
	return size_of(shard_units_for(max_queue < QUEUE_MAX ? max_queue : QUEUE_MAX));
}

bool ring_check(const struct ring *r, size_t size)
{
	struct geometry g;

	return size >= sizeof(*r) && ring_read_geometry(r, &g) && size >= size_of(g.shard_units);
}

uint64_t ring_pid_space(void)
{
	char link[32]; /* "pid:[4026531836]" */
	ssize_t n = raw_readlinkat(AT_FDCWD, "/proc/self/ns/pid", link, sizeof(link));
	uint64_t number = 0;

	if (n > 6)
		bytes_to_u64((struct bytes){ link + 5, (size_t)n - 6 }, &number);
	return number;
}

void ring_format(struct ring *r, uint32_t max_queue)
{
	if (max_queue > QUEUE_MAX)
		max_queue = QUEUE_MAX;
	r->geometry = (struct geometry){ .magic = RING_MAGIC,
					 .layout = RING_LAYOUT,
					 .shard_units = shard_units_for(max_queue),
					 .max_queue = max_queue };
	r->pid_space = ring_pid_space();
	for (unsigned i = 0; i < RING_SHARDS; i++)
		atomic_store_explicit(&r->shards[i].limit,
				      max_queue / RING_SHARDS + (i < max_queue % RING_SHARDS),
				      memory_order_relaxed);
	r->geometry.check = geometry_check(&r->geometry);
}

/* ---- producer ---- */

/* True when the owner of the shard may write one more record. */
static inline bool shard_has_room(struct shard *s, uint64_t tail, uint32_t units)
{
	uint32_t head = atomic_load_explicit(&s->head, memory_order_acquire);
	uint32_t limit = atomic_load_explicit(&s->limit, memory_order_relaxed);
	uint32_t at = tail_at(tail), mask = units - 1;

	if ((int32_t)(limit - tail_count(tail)) <= 0 ||
	    atomic_load_explicit(&s->closed, memory_order_relaxed))
		return false;
	if ((at & ~mask) == (head & ~mask))
		return true; /* in the same lap: up to the end, and the room behind it */
	return (head & mask) - (at & mask) >= RECORD_UNITS && at - head <= units;
}

/* 0, -EBUSY or -ENOSPC. */
static inline int shard_begin(struct ring_writer *w, struct ring *r, unsigned i, uint32_t tid)
{
	uint32_t units = r->geometry.shard_units, none = NO_OWNER;
	struct shard *s = &r->shards[i];
	uint64_t tail;

	if (atomic_load_explicit(&s->owner, memory_order_relaxed) != NO_OWNER)
		return -EBUSY;
	if (!atomic_compare_exchange_strong_explicit(&s->owner, &none, tid, memory_order_acquire,
						     memory_order_relaxed))
		return -EBUSY;
	tail = atomic_load_explicit(&s->tail, memory_order_relaxed);
	if (!shard_has_room(s, tail, units)) {
		atomic_store_explicit(&s->owner, NO_OWNER, memory_order_release);
		return -ENOSPC;
	}
	w->ring = r;
	w->shard = i;
	w->tail = tail;
	record_begin(&w->record, shard_at(r, units, i, tail_at(tail)), RECORD_MAX);
	return 0;
}

int ring_begin(struct ring_writer *w, struct ring *r, uint8_t *shard_hint, uint32_t owner_tid)
{
	/* A busy shard is free again within the time of one record: look round a few times. */
	const unsigned rounds = 4;
	uint32_t tid = owner_tid ? owner_tid : ~0u;
	unsigned start = *shard_hint ? *shard_hint - 1u : tid;
	bool busy = true;

	for (unsigned round = 0; busy && round < rounds; round++) {
		busy = false;
		for (unsigned i = 0; i < RING_SHARDS; i++) {
			unsigned shard = (start + i) % RING_SHARDS;
			int err = shard_begin(w, r, shard, tid);

			if (err == 0) {
				*shard_hint = (uint8_t)(shard + 1);
				return 0;
			}
			busy |= err == -EBUSY;
		}
	}
	return -EAGAIN;
}

static bool ring_wants_consumer(struct ring *r, uint32_t count)
{
	uint32_t level = atomic_load_explicit(&r->wake_level, memory_order_relaxed), untaken;

	/* Adding up all shards is for every few records only (see ring_set_wake()). */
	if (!level || (count & atomic_load_explicit(&r->wake_mask, memory_order_relaxed)) ||
	    atomic_load_explicit(&r->wake_wanted, memory_order_relaxed))
		return false;
	untaken = ring_committed(r) - atomic_load_explicit(&r->taken, memory_order_relaxed);
	if ((int32_t)(untaken - level) < 0 ||
	    atomic_exchange_explicit(&r->wake_wanted, 1, memory_order_relaxed))
		return false;
	atomic_fetch_add_explicit(&r->wake_word, 1, memory_order_release);
	return true;
}

bool ring_commit(struct ring_writer *w)
{
	struct ring *r = w->ring;
	struct shard *s = &r->shards[w->shard];
	uint32_t count = tail_count(w->tail) + 1;
	uint32_t at = next_at(tail_at(w->tail), (uint32_t)(record_end(&w->record) / UNIT),
			      r->geometry.shard_units);

	atomic_store_explicit(&s->tail, tail_pack(count, at), memory_order_release);
	atomic_store_explicit(&s->owner, NO_OWNER, memory_order_release);
	return ring_wants_consumer(r, count);
}

void ring_abort(struct ring_writer *w)
{
	atomic_store_explicit(&w->ring->shards[w->shard].owner, NO_OWNER, memory_order_release);
}

uint32_t ring_waiting(const struct ring *r)
{
	uint32_t done = atomic_load_explicit(&r->done, memory_order_acquire);

	return ring_committed(r) - done;
}

/* ---- the wake-up ---- */

_Atomic uint32_t *ring_wake_word(struct ring *r)
{
	return &r->wake_word;
}

void ring_call_again(struct ring *r)
{
	atomic_store_explicit(&r->wake_wanted, 0, memory_order_relaxed);
}

void ring_set_wake(struct ring *r, uint32_t waiting)
{
	uint32_t every = 1;

	/* Looking at 1/64 of the level makes the wake-up late by a quarter of it at most. */
	while (every * 2 <= waiting / 64)
		every *= 2;
	atomic_store_explicit(&r->wake_mask, every - 1, memory_order_relaxed);
	atomic_store_explicit(&r->wake_level, waiting, memory_order_relaxed);
	/* A call that came while the consumer took is answered: the next one is to be heard. */
	atomic_store_explicit(&r->wake_wanted, 0, memory_order_seq_cst);
}

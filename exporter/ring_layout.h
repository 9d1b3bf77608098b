/* SPDX-License-Identifier: Apache-2.0 */
/* The ring. Rules:
 *
 * - A shard has one producer at a time, whose thread id stands in `owner`: taken by try only, held
 *   for the building of one record, never across a call out of this library.
 * - `tail` is one word: how many records were ever committed, and where the next one starts. So a
 *   record and its being counted appear together, and a producer may die between any two
 *   instructions without the numbers drifting apart.
 * - The queue's size is dealt out as credits: `limit` is the count up to which a shard may commit;
 *   what all shards have open never exceeds max_queue. Only the consumer raises limits, so no
 *   producer ever reads another shard to know whether the queue is full.
 * - Positions count units of 8 bytes, without end (they wrap at 2^32). A record never wraps: behind
 *   each shard lies room for one more record, which may run into it; the next then starts at the
 *   shard's front.
 * - The consumer believes nothing it reads: a shard whose words or records make no sense is closed
 *   for good, and its credits go to the others. */
#ifndef EXPORTER_RING_LAYOUT_H
#define EXPORTER_RING_LAYOUT_H

#include "exporter/ring.h"

#define UNIT 8u
/* Who disagrees on it cannot read the other's records. */
#define RING_LAYOUT  ((uint32_t)RECORD_VERSION << 16 | ATTRIBUTE_COUNT)
#define RECORD_UNITS (RECORD_MAX / UNIT)
#define RING_PAGE    4096u
#define NO_OWNER     0u

struct shard {
	/* the producer's line */
	_Atomic uint32_t owner;
	_Atomic uint64_t tail __attribute__((aligned(8)));

	/* the consumer's line */
	_Atomic uint32_t head __attribute__((aligned(64))); /* position: released up to here */
	_Atomic uint32_t limit;  /* committed count at which the shard is out of credit */
	_Atomic uint32_t closed; /* not 0: found corrupt, used by nobody */
	uint32_t taken_at;       /* position and count the consumer has come to */
	uint32_t taken_count;
	uint32_t seen_owner; /* at the last take, for ring_take() to find dead owners */
	uint64_t seen_tail;
} __attribute__((aligned(64)));

struct geometry {
	uint32_t magic;
	uint32_t layout;
	uint32_t shard_units; /* a power of two */
	uint32_t max_queue;
	uint32_t check; /* of the four above */
};

struct ring {
	struct geometry geometry;
	uint64_t pid_space; /* where thread ids mean what they say; 0 not known */

	_Atomic uint32_t wake_word __attribute__((aligned(64)));
	_Atomic uint32_t wake_wanted; /* the word was raised and the consumer has not come yet */
	_Atomic uint32_t wake_level;
	_Atomic uint32_t wake_mask;

	_Atomic uint32_t taken __attribute__((aligned(64))); /* records, all shards */
	_Atomic uint32_t done;
	_Atomic uint32_t closed_count; /* of `taken`, those out of shards that are closed */
	uint32_t next_shard;           /* where the next take starts, to be fair */

	struct shard shards[RING_SHARDS];
};

static inline uint32_t tail_at(uint64_t tail)
{
	return (uint32_t)tail;
}

static inline uint32_t tail_count(uint64_t tail)
{
	return (uint32_t)(tail >> 32);
}

static inline uint64_t tail_pack(uint32_t count, uint32_t at)
{
	return (uint64_t)count << 32 | at;
}

static inline size_t ring_head_size(void)
{
	return (sizeof(struct ring) + RING_PAGE - 1) & ~(size_t)(RING_PAGE - 1);
}

static inline char *shard_at(const struct ring *r, uint32_t units, unsigned shard, uint32_t at)
{
	size_t stride = (size_t)units * UNIT + RECORD_MAX;

	return (char *)r + ring_head_size() + shard * stride + (size_t)(at & (units - 1)) * UNIT;
}

/* Where the record after one of n units at `at` starts. */
static inline uint32_t next_at(uint32_t at, uint32_t n, uint32_t units)
{
	return (at & (units - 1)) + n >= units ? (at | (units - 1)) + 1 : at + n;
}

/* Records ever committed, but for what closed shards lost. */
static inline uint32_t ring_committed(const struct ring *r)
{
	uint32_t n = atomic_load_explicit(&r->closed_count, memory_order_relaxed);

	for (unsigned i = 0; i < RING_SHARDS; i++) {
		const struct shard *s = &r->shards[i];

		if (!atomic_load_explicit(&s->closed, memory_order_relaxed))
			n += tail_count(atomic_load_explicit(&s->tail, memory_order_relaxed));
	}
	return n;
}

/* A copy of the geometry that can be relied on, or false. */
bool ring_read_geometry(const struct ring *r, struct geometry *g);

/* The number of this process's pid namespace, 0 when it cannot be known. */
uint64_t ring_pid_space(void);

#endif

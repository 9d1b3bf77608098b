/* SPDX-License-Identifier: Apache-2.0 */
/* Where finished spans wait for the consumer: shards of single-producer byte rings in one mapping
 * of offsets, readable by another process. A producer takes a shard by try-lock, writes, and
 * publishes with one release store of the tail: what a dying producer had half written is never
 * seen, and its shard is not lost for the rest (its owner word names a thread that is gone). No
 * lock is ever waited for, nothing enters the kernel but the wake-up of the consumer. */
#ifndef EXPORTER_RING_H
#define EXPORTER_RING_H

#include <stdatomic.h>
#include "exporter/record.h"

#define RING_MAGIC      0x31474154u /* "TAG1" */
#define RING_SHARDS     16
#define RING_SHARD_SIZE 65536 /* at the default queue size; larger queues get larger shards */

struct ring;

/* Bytes of a mapping whose shards hold about max_queue spans. */
size_t ring_size(uint32_t max_queue);

/* Lays out an empty ring in zeroed memory of ring_size(max_queue) bytes. */
void ring_format(struct ring *r, uint32_t max_queue);

/* True when the bytes are a ring of this version and record layout. */
bool ring_check(const struct ring *r, size_t size);

/* Producer. A writer's record has room for RECORD_MAX bytes. -EAGAIN: all shards busy or full, or
 * max_queue spans are waiting (counted by the caller). *shard_hint belongs to the thread. */
struct ring_writer {
	struct ring *ring;
	unsigned shard;
	uint64_t tail; /* where the record starts, logical position */
	struct record record;
};
int ring_begin(struct ring_writer *w, struct ring *r, uint8_t *shard_hint, uint32_t owner_tid);
/* Publishes (or abandons) the record and lets go of the shard. True: the consumer should be woken
 * (max_batch reached, see ring_set_wake()). */
bool ring_commit(struct ring_writer *w);
void ring_abort(struct ring_writer *w);

/* Consumer (one at a time). Calls fn for waiting records, oldest first within a shard, until none
 * is left or fn returns false (that record is then not taken and comes again). What was taken stays
 * in place until ring_release(). Returns how many were taken. */
unsigned ring_take(struct ring *r, bool (*fn)(void *arg, const struct record_head *record),
		   void *arg);
void ring_release(struct ring *r);

/* Spans committed and not yet released. */
uint32_t ring_waiting(const struct ring *r);

/* ring_done(): n spans have left (exported or dropped); they no longer count against max_queue. */
void ring_done(struct ring *r, uint32_t n);

/* The futex word that rises when a producer wants the consumer, and the level at which it does. The
 * consumer sets the level each time, then reads the word, then looks what waits, then sleeps. */
_Atomic uint32_t *ring_wake_word(struct ring *r);
void ring_set_wake(struct ring *r, uint32_t waiting);

/* The consumer was called in vain: the next record calls again. */
void ring_call_again(struct ring *r);

#endif

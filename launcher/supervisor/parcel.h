/* SPDX-License-Identifier: Apache-2.0 */
/* Spans on their way: what one process had committed when its ring was looked at, copied, with the
 * resource of that process. They wait in a queue of bounded memory; when that is full they stay in
 * the rings, whose producers drop and count. Half of the memory is for whoever comes first, then no
 * process gets more than its share of the whole. */
#ifndef LAUNCHER_SUPERVISOR_PARCEL_H
#define LAUNCHER_SUPERVISOR_PARCEL_H

#include <pthread.h>
#include <stdatomic.h>
#include "exporter/batch.h"
#include "exporter/resource.h"

/* Shared by a process's parcels and its source. */
struct owner {
	_Atomic unsigned references;
	_Atomic uint32_t settled; /* spans of its parcels that are no more */
	size_t queued;            /* bytes of its parcels; under the queue's lock */
	struct resource resource;
};

void owner_put(struct owner *o);

struct parcel {
	struct parcel *next;
	struct owner *owner;
	struct batch batch;
	size_t size;       /* bytes of memory, all in all */
	uint64_t since_ns; /* when it was taken, monotonic */
};

#define PARCEL_BYTES (1u << 20) /* of records; an encoder needs BATCH_ENCODE_FACTOR as much */

/* A copy of the batch, in just the memory it needs. NULL: there is none. */
struct parcel *parcel_new(struct owner *o, const struct batch *b);
void parcel_free(struct parcel *p);

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct parcel *first, **last;
	size_t bytes, max_bytes, spans;
	unsigned shares; /* processes that may put: one at least */
	bool closed;     /* nothing more comes */
	bool busy;       /* what was got last is being sent */
	bool hurry;      /* nothing waits for more to come, for a while */
	bool ending;     /* the same, for good */
	bool left;       /* nobody gets any more */
};

void queue_init(struct queue *q, size_t max_bytes);

/* False: it is full, come again later. */
bool queue_has_room(struct queue *q);
void queue_put(struct queue *q, struct parcel *p);

/* It is half full, and this one has its share of it: what it has waits elsewhere. */
bool queue_holds_back(struct queue *q, const struct owner *o);
void queue_set_shares(struct queue *q, unsigned shares);

/* It is half full. */
bool queue_is_pressed(struct queue *q);

/* What is there, and what still comes, is to be dealt with at once. */
void queue_end(struct queue *q);
bool queue_is_ending(struct queue *q);

/* Nothing more will be put: queue_wait() waits for nothing any more. */
void queue_close(struct queue *q);
bool queue_is_closed(struct queue *q);

/* Waits until max_spans are there, or some have waited for delay_ns, or the queue is closed, or
 * until_ns (monotonic) has come. What was got before has been dealt with. */
void queue_wait(struct queue *q, size_t max_spans, uint64_t delay_ns, uint64_t until_ns);

/* Whoever gets has gone; waits for that until until_ns (monotonic): false, it has not. */
void queue_leave(struct queue *q);
bool queue_wait_left(struct queue *q, uint64_t until_ns);

/* The oldest parcels with about max_spans together (one at least), as a list; NULL: empty. */
struct parcel *queue_get(struct queue *q, size_t max_spans);

/* Has what is there dealt with at once, and waits for that until until_ns (monotonic), or until
 * hopeless(arg). */
void queue_flush(struct queue *q, uint64_t until_ns, bool (*hopeless)(const void *arg),
		 const void *arg);

#endif

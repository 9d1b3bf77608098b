/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/supervisor/parcel.h"

#include <stdlib.h>
#include <time.h>
#include <string.h>
#include "base/clock.h"

/* A flush looks this often whether there is hope. */
#define FLUSH_STEP_NS 20000000

void owner_put(struct owner *o)
{
	if (o && atomic_fetch_sub(&o->references, 1) == 1)
		free(o);
}

struct parcel *parcel_new(struct owner *o, const struct batch *b)
{
	size_t size = sizeof(struct parcel) + b->count * sizeof(void *) + b->bytes;
	struct parcel *p = malloc(size);
	char *at;

	if (!p)
		return NULL;
	*p = (struct parcel){
		.owner = o, .batch = *b, .size = size, .since_ns = clock_monotonic_ns()
	};
	p->batch.resource = &o->resource;
	p->batch.records = (const struct record_head **)(p + 1);
	at = (char *)(p->batch.records + b->count);
	for (size_t i = 0; i < b->count; i++) {
		p->batch.records[i] = memcpy(at, b->records[i], b->records[i]->size);
		at += b->records[i]->size;
	}
	atomic_fetch_add(&o->references, 1);
	return p;
}

void parcel_free(struct parcel *p)
{
	atomic_fetch_add(&p->owner->settled, (uint32_t)p->batch.count);
	owner_put(p->owner);
	free(p);
}

void queue_init(struct queue *q, size_t max_bytes)
{
	pthread_condattr_t attributes;

	*q = (struct queue){ .max_bytes = max_bytes, .shares = 1 };
	q->last = &q->first;
	pthread_mutex_init(&q->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&q->changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

bool queue_has_room(struct queue *q)
{
	bool room;

	pthread_mutex_lock(&q->lock);
	room = q->bytes < q->max_bytes;
	pthread_mutex_unlock(&q->lock);
	return room;
}

bool queue_holds_back(struct queue *q, const struct owner *o)
{
	bool yes;

	pthread_mutex_lock(&q->lock);
	yes = q->bytes > q->max_bytes / 2 && o->queued >= q->max_bytes / q->shares;
	pthread_mutex_unlock(&q->lock);
	return yes;
}

void queue_set_shares(struct queue *q, unsigned shares)
{
	pthread_mutex_lock(&q->lock);
	q->shares = shares ? shares : 1;
	pthread_mutex_unlock(&q->lock);
}

bool queue_is_pressed(struct queue *q)
{
	bool pressed;

	pthread_mutex_lock(&q->lock);
	pressed = q->bytes > q->max_bytes / 2;
	pthread_mutex_unlock(&q->lock);
	return pressed;
}

void queue_put(struct queue *q, struct parcel *p)
{
	pthread_mutex_lock(&q->lock);
	p->next = NULL;
	*q->last = p;
	q->last = &p->next;
	q->bytes += p->size;
	p->owner->queued += p->size;
	q->spans += p->batch.count;
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->lock);
}

void queue_end(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->ending = true;
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->lock);
}

bool queue_is_ending(struct queue *q)
{
	bool ending;

	pthread_mutex_lock(&q->lock);
	ending = q->ending;
	pthread_mutex_unlock(&q->lock);
	return ending;
}

void queue_close(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->closed = true;
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->lock);
}

bool queue_is_closed(struct queue *q)
{
	bool closed;

	pthread_mutex_lock(&q->lock);
	closed = q->closed;
	pthread_mutex_unlock(&q->lock);
	return closed;
}

static struct timespec as_timespec(uint64_t ns)
{
	return (struct timespec){ (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
}

void queue_wait(struct queue *q, size_t max_spans, uint64_t delay_ns, uint64_t until_ns)
{
	pthread_mutex_lock(&q->lock);
	q->busy = false;
	pthread_cond_broadcast(&q->changed);
	while (!q->closed && q->spans < max_spans && !((q->hurry || q->ending) && q->first)) {
		uint64_t due = q->first ? q->first->since_ns + delay_ns : UINT64_MAX;
		struct timespec at;

		due = due < until_ns ? due : until_ns;
		if (clock_monotonic_ns() >= due)
			break;
		if (due == UINT64_MAX) {
			pthread_cond_wait(&q->changed, &q->lock);
			continue;
		}
		at = as_timespec(due);
		pthread_cond_timedwait(&q->changed, &q->lock, &at);
	}
	pthread_mutex_unlock(&q->lock);
}

void queue_leave(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->left = true;
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->lock);
}

bool queue_wait_left(struct queue *q, uint64_t until_ns)
{
	struct timespec at = as_timespec(until_ns);
	bool left;

	pthread_mutex_lock(&q->lock);
	while (!q->left && clock_monotonic_ns() < until_ns)
		pthread_cond_timedwait(&q->changed, &q->lock, &at);
	left = q->left;
	pthread_mutex_unlock(&q->lock);
	return left;
}

static struct parcel *get(struct queue *q, size_t max_spans)
{
	struct parcel *list = q->first, **end = &list;
	size_t spans = 0;

	while (*end && (!spans || spans + (*end)->batch.count <= max_spans)) {
		spans += (*end)->batch.count;
		q->bytes -= (*end)->size;
		(*end)->owner->queued -= (*end)->size;
		end = &(*end)->next;
	}
	q->spans -= spans;
	q->first = *end;
	if (!q->first)
		q->last = &q->first;
	*end = NULL;
	return list;
}

struct parcel *queue_get(struct queue *q, size_t max_spans)
{
	struct parcel *list;

	pthread_mutex_lock(&q->lock);
	list = get(q, max_spans);
	q->busy = q->busy || list;
	pthread_mutex_unlock(&q->lock);
	return list;
}

void queue_flush(struct queue *q, uint64_t until_ns, bool (*hopeless)(const void *arg),
		 const void *arg)
{
	uint64_t now;

	pthread_mutex_lock(&q->lock);
	q->hurry = true;
	pthread_cond_broadcast(&q->changed);
	while ((q->first || q->busy) && (now = clock_monotonic_ns()) < until_ns && !hopeless(arg)) {
		uint64_t step = now + FLUSH_STEP_NS < until_ns ? now + FLUSH_STEP_NS : until_ns;
		struct timespec at = as_timespec(step);

		pthread_cond_timedwait(&q->changed, &q->lock, &at);
	}
	q->hurry = false;
	pthread_mutex_unlock(&q->lock);
}

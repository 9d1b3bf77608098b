/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/supervisor/sender.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/config.h"
#include "base/counters.h"
#include "base/raw.h"
#include "exporter/json.h"
#include "exporter/otlp.h"

#define NS_PER_MS     1000000ull
#define ENCODE_MEMORY (16u << 20) /* one parcel, at the encoder's worst */
#define RELIEVE_MAX   64          /* batches at a time */
#define DELAY_MS      5000        /* OTEL_BSP_SCHEDULE_DELAY of the specification */

/* What the OTLP-JSON of one resource begins and ends with, around what can stand in a list. */
#define JSON_HEAD "{\"resourceSpans\":["
#define JSON_TAIL "]}"

int sender_init(struct sender *s, struct queue *q)
{
	const char *delay = getenv("OTEL_BSP_SCHEDULE_DELAY");
	int err;

	memset(s, 0, sizeof(*s));
	s->queue = q;
	s->deadline_ns = UINT64_MAX;
	err = sink_init_local(&s->sink, &config, &s->to_otlp);
	if (err)
		return err;
	/* Whoever looks at a file or the console does so now. */
	s->delay_ns = config.bsp_schedule_delay * NS_PER_MS;
	if (s->to_otlp && !s->sink.to_file && !s->sink.to_console && (!delay || !*delay))
		s->delay_ns = DELAY_MS * NS_PER_MS;
	return arena_init(&s->arena, ENCODE_MEMORY);
}

/* ---- one request ---- */

struct request {
	char *p;
	size_t n, size;
	uint32_t items;
};

static bool append(struct request *r, struct bytes b)
{
	size_t size = r->size ? r->size : 65536;
	char *p;

	while (size - r->n < b.n)
		size *= 2;
	if (size != r->size) {
		p = realloc(r->p, size);
		if (!p)
			return false;
		r->p = p;
		r->size = size;
	}
	memcpy(r->p + r->n, b.p, b.n);
	r->n += b.n;
	return true;
}

/* Repeated fields of protobuf messages written one behind the other are one list. */
static bool append_protobuf(struct sender *s, struct request *r, const struct batch *b)
{
	struct bytes piece;

	return otlp_encode(&s->arena, b->resource, b->records, b->count, &piece) == 0 &&
	       append(r, piece);
}

static bool append_json(struct sender *s, struct request *r, const struct batch *b)
{
	const size_t head = sizeof(JSON_HEAD) - 1, tail = sizeof(JSON_TAIL "\n") - 1;
	struct bytes piece;

	if (json_encode(&s->arena, b->resource, b->records, b->count, &piece) ||
	    !append(r, r->n ? BYTES(",") : BYTES(JSON_HEAD)))
		return false;
	return append(r, (struct bytes){ piece.p + head, piece.n - head - tail });
}

static void encode(struct sender *s, struct request *r, const struct parcel *list,
		   enum otlp_encoding encoding)
{
	for (const struct parcel *p = list; p; p = p->next) {
		bool done = encoding == OTLP_JSON ? append_json(s, r, &p->batch)
						  : append_protobuf(s, r, &p->batch);

		arena_reset(&s->arena);
		if (done)
			r->items += (uint32_t)p->batch.count;
		else
			count_add(spans_dropped_memory, p->batch.count);
	}
	if (encoding == OTLP_JSON && r->n && !append(r, BYTES(JSON_TAIL))) {
		count_add(spans_dropped_memory, r->items);
		r->items = 0;
	}
}

static void send_now(struct sender *s, const struct payload *p)
{
	uint64_t hold_off_ns;

	otlp_way_send(&s->way, p, s->deadline_ns, &hold_off_ns);
	atomic_store(&s->hold_off_ns, hold_off_ns);
}

/* leave: there is no time to send it. */
static void send_otlp(struct sender *s, const struct parcel *list, bool leave)
{
	enum otlp_encoding encoding = curl_transport_encoding(s->way.transport);
	struct request r = { .p = NULL };

	encode(s, &r, list, encoding);
	if (r.items) {
		const struct payload p = { OTLP_TRACES, encoding, r.items, { r.p, r.n } };

		if (leave)
			otlp_way_leave(&s->way, &p);
		else
			send_now(s, &p);
	}
	free(r.p);
}

/* ---- a list of parcels ---- */

static bool out_of_time(const struct sender *s)
{
	return atomic_load(&s->stop) || clock_monotonic_ns() >= s->deadline_ns;
}

/* A pipe that nobody reads from takes its time for each. */
static void send_local(struct sender *s, const struct parcel *list)
{
	for (const struct parcel *p = list; p; p = p->next) {
		struct outcome o;

		if (s->local_fails && out_of_time(s)) {
			if (!s->to_otlp)
				count_add(spans_dropped_exit, p->batch.count);
			continue;
		}
		sink_export(&s->sink, &p->batch, UINT64_MAX, &o);
		s->local_fails = o.loss != LOSS_NONE;
		/* A span counts once: under what OTLP says, where there is OTLP. */
		if (!s->to_otlp) {
			count(exports);
			outcome_count(&o, (uint32_t)p->batch.count);
		}
	}
}

static void list_free(struct parcel *list)
{
	while (list) {
		struct parcel *next = list->next;

		parcel_free(list);
		list = next;
	}
}

/* The end has come, and waiting for the receiver would be in vain. */
static bool must_leave(const struct sender *s)
{
	return queue_is_ending(s->queue) && (out_of_time(s) || otlp_way_failing(&s->way));
}

/* leave: nothing is sent now. */
static void send_list(struct sender *s, struct parcel *list, bool leave)
{
	if (s->sink.to_file || s->sink.to_console)
		send_local(s, list);
	if (s->to_otlp)
		send_otlp(s, list, leave || must_leave(s));
	list_free(list);
}

/* A request is under way and the queue fills: what is in it goes to the disk. */
static void relieve_queue(void *arg)
{
	struct sender *s = arg;

	for (unsigned i = 0; i < RELIEVE_MAX && queue_is_pressed(s->queue); i++)
		send_list(s, queue_get(s->queue, config.bsp_max_batch), true);
}

/* ---- the thread ---- */

/* The receiver has asked to be left alone; what is closed ends that. */
static void hold_off(struct sender *s)
{
	while (!queue_is_ending(s->queue) && clock_monotonic_ns() < s->hold_off_ns)
		queue_wait(s->queue, SIZE_MAX, UINT64_MAX / 2, s->hold_off_ns);
}

static void catch_up(struct sender *s)
{
	bool more = true;

	/* What comes meanwhile goes behind it: a queue that fills has its turn. */
	while (more && !must_leave(s) && !queue_is_pressed(s->queue) &&
	       clock_monotonic_ns() >= otlp_way_due(&s->way))
		otlp_way_catch_up(&s->way, s->deadline_ns, &more);
}

static void *sender_main(void *arg)
{
	struct sender *s = arg;

	for (;;) {
		uint64_t due = s->to_otlp ? otlp_way_due(&s->way) : UINT64_MAX;
		struct parcel *list;

		hold_off(s);
		queue_wait(s->queue, config.bsp_max_batch, s->delay_ns, due);
		list = queue_get(s->queue, config.bsp_max_batch);
		if (list)
			send_list(s, list, false);
		if (s->to_otlp)
			catch_up(s);
		if (!list && queue_is_closed(s->queue))
			break;
	}
	queue_leave(s->queue);
	return NULL;
}

int sender_start(struct sender *s)
{
	int err = s->to_otlp ? otlp_way_init(&s->way, &config, &s->stop) : 0;

	if (!err && s->to_otlp && s->way.spill)
		curl_transport_meanwhile(s->way.transport, relieve_queue, s);
	if (!err)
		err = -pthread_create(&s->thread, NULL, sender_main, s);
	s->started = !err;
	return err;
}

bool sender_is_failing(const struct sender *s)
{
	return s->to_otlp &&
	       (otlp_way_failing(&s->way) || clock_monotonic_ns() < atomic_load(&s->hold_off_ns));
}

static bool hopeless(const void *arg)
{
	return sender_is_failing(arg);
}

void sender_flush(struct sender *s, uint64_t deadline_ns)
{
	if (s->started)
		queue_flush(s->queue, deadline_ns, hopeless, s);
}

void sender_stop(struct sender *s)
{
	atomic_store(&s->stop, 1);
	raw_futex(&s->stop, FUTEX_WAKE, INT_MAX, NULL);
}

void sender_hurry(struct sender *s, uint64_t deadline_ns)
{
	atomic_store(&s->deadline_ns, deadline_ns);
	queue_end(s->queue);
}

void sender_end(struct sender *s, uint64_t deadline_ns)
{
	sender_hurry(s, deadline_ns);
	queue_close(s->queue);
	if (!s->started)
		return;
	if (!queue_wait_left(s->queue, deadline_ns))
		sender_stop(s);
	pthread_join(s->thread, NULL);
	s->started = false;
	if (s->to_otlp)
		otlp_way_free(&s->way);
}

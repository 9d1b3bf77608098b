/* SPDX-License-Identifier: Apache-2.0 */
/* The queue between the thread that takes and the one that sends. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "launcher/supervisor/parcel.h"
#include "record_fixture.h"

static struct queue queue;
static struct owner *owner;

static void begin(void)
{
	clock_init();
	queue_init(&queue, 1 << 20);
	owner = calloc(1, sizeof(*owner));
	owner->references = 1;
}

static void end(void)
{
	struct parcel *p;

	while ((p = queue_get(&queue, 1)) != NULL)
		parcel_free(p);
	owner_put(owner);
}

TestSuite(parcel, .init = begin, .fini = end, .timeout = 60);

static struct parcel *parcel(size_t count)
{
	static struct fixture f;
	const struct record_head *records[64];
	struct batch b = { .records = records, .count = count };

	fixture_begin(&f, 1, 2);
	for (size_t i = 0; i < count; i++)
		records[i] = fixture_end(&f);
	b.bytes = count * records[0]->size;
	return parcel_new(owner, &b);
}

static void put(size_t count)
{
	struct parcel *p = parcel(count);

	cr_assert_not_null(p);
	queue_put(&queue, p);
}

static void check_list(struct parcel *list, size_t spans)
{
	size_t n = 0;

	while (list) {
		struct parcel *next = list->next;

		n += list->batch.count;
		parcel_free(list);
		list = next;
	}
	cr_expect_eq(n, spans, "%zu", n);
}

static uint64_t in_ms(uint64_t ms)
{
	return clock_monotonic_ns() + ms * 1000000;
}

Test(parcel, is_a_copy_that_needs_nobody_else)
{
	struct parcel *p = parcel(3);

	cr_expect_eq(owner->references, 2);
	cr_expect_eq(p->batch.resource, &owner->resource);
	for (size_t i = 0; i < 3; i++) {
		cr_expect_eq((uintptr_t)p->batch.records[i] % 8, 0);
		cr_expect_eq(p->batch.records[i]->trace_id[0], 1);
	}
	cr_expect_leq(p->size, 3 * p->batch.records[0]->size + 256);
	parcel_free(p);
	cr_expect_eq(owner->references, 1);
}

Test(parcel, comes_out_in_the_order_it_went_in_grouped_to_a_batch)
{
	put(10);
	put(20);
	put(30);
	check_list(queue_get(&queue, 31), 30);
	check_list(queue_get(&queue, 5), 30); /* one at least */
	cr_expect_null(queue_get(&queue, 5));
	put(1);
	check_list(queue_get(&queue, 5), 1);
	cr_expect_eq(queue.bytes, 0);
	cr_expect_eq(queue.spans, 0);
}

Test(parcel, room_is_a_matter_of_bytes)
{
	cr_expect(queue_has_room(&queue));
	queue.max_bytes = 1;
	put(1);
	cr_expect_not(queue_has_room(&queue));
	check_list(queue_get(&queue, 1), 1);
	cr_expect(queue_has_room(&queue));
}

Test(parcel, a_wait_ends_when_a_batch_is_there_or_the_oldest_is_old)
{
	uint64_t before = clock_monotonic_ns();

	put(10);
	queue_wait(&queue, 10, UINT64_MAX / 2, UINT64_MAX);
	queue_wait(&queue, 11, 0, UINT64_MAX);
	queue_wait(&queue, 11, UINT64_MAX / 2, before);
	cr_expect_lt(clock_monotonic_ns() - before, 1000000000);
	queue_wait(&queue, 11, 100000000, UINT64_MAX);
	cr_expect_gt(clock_monotonic_ns() - before, 90000000);
}

Test(parcel, a_wait_ends_with_the_queue)
{
	queue_close(&queue);
	cr_expect(queue_is_closed(&queue));
	queue_wait(&queue, 10, UINT64_MAX / 2, UINT64_MAX);
}

Test(parcel, nothing_waits_for_more_when_the_end_has_come)
{
	put(1);
	queue_end(&queue);
	cr_expect(queue_is_ending(&queue));
	cr_expect_not(queue_is_closed(&queue));
	queue_wait(&queue, 10, UINT64_MAX / 2, UINT64_MAX);
	check_list(queue_get(&queue, 10), 1);
}

/* ---- between threads ---- */

enum { PARCELS = 20000 };

static void *put_main(void *arg)
{
	(void)arg;
	for (int i = 0; i < PARCELS; i++) {
		while (!queue_has_room(&queue))
			usleep(100);
		put(1 + (size_t)i % 3);
	}
	queue_close(&queue);
	return NULL;
}

static void *get_main(void *arg)
{
	size_t *got = arg;
	struct parcel *list;

	for (;;) {
		queue_wait(&queue, 100, 1000000, UINT64_MAX);
		list = queue_get(&queue, 100);
		if (!list && queue_is_closed(&queue))
			return NULL;
		while (list) {
			struct parcel *next = list->next;

			*got += list->batch.count;
			parcel_free(list);
			list = next;
		}
	}
}

static bool never(const void *arg)
{
	(void)arg;
	return false;
}

static bool always(const void *arg)
{
	(void)arg;
	return true;
}

Test(parcel, none_is_lost_between_two_threads)
{
	pthread_t putter, getter;
	size_t got = 0, want = 0;

	for (int i = 0; i < PARCELS; i++)
		want += 1 + (size_t)i % 3;
	queue.max_bytes = 10000;
	pthread_create(&putter, NULL, put_main, NULL);
	pthread_create(&getter, NULL, get_main, &got);
	for (int i = 0; i < 20; i++)
		queue_flush(&queue, in_ms(5), never, NULL);
	pthread_join(putter, NULL);
	pthread_join(getter, NULL);
	cr_expect_eq(got, want);
	cr_expect_eq(owner->references, 1);
}

Test(parcel, a_flush_waits_until_it_is_dealt_with)
{
	pthread_t getter;
	size_t got = 0;

	pthread_create(&getter, NULL, get_main, &got);
	for (int i = 0; i < 50; i++) {
		put(1);
		queue_flush(&queue, in_ms(20000), never, NULL);
		cr_expect_eq(__atomic_load_n(&got, __ATOMIC_ACQUIRE), (size_t)i + 1);
	}
	queue_close(&queue);
	pthread_join(getter, NULL);
}

Test(parcel, a_flush_ends_in_time_or_without_hope)
{
	uint64_t before = clock_monotonic_ns();

	put(1);
	queue_flush(&queue, in_ms(60000), always, NULL);
	queue_flush(&queue, in_ms(50), never, NULL);
	cr_expect_lt(clock_monotonic_ns() - before, 10000000000u);
}

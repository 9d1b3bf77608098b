// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include "base/counters.h"
#include "ring_fixture.h"

Test(ring, is_recognised_by_its_head)
{
	struct ring *r = ring_new(2048);

	cr_assert(ring_check(r, ring_size(2048)));
	cr_assert_not(ring_check(r, ring_size(2048) - 1));
	cr_assert_not(ring_check(r, 8));
	for (size_t i = 0; i < 20; i++) {
		((uint8_t *)r)[i] ^= 0x10;
		cr_assert_not(ring_check(r, ring_size(2048)), "byte %zu", i);
		cr_assert_eq(ring_take(r, read_one, NULL), 0);
		((uint8_t *)r)[i] ^= 0x10;
	}
}

Test(ring, gives_records_in_the_order_of_a_thread)
{
	struct ring *r = ring_new(2048);
	struct reader reader = { .max = 3 };

	for (uint32_t n = 0; n < 10; n++)
		cr_assert(put_one(r, 1, n));
	cr_assert_eq(ring_waiting(r), 10);
	cr_assert_eq(ring_take(r, read_one, &reader), 3);
	ring_release(r);
	cr_assert_eq(ring_waiting(r), 10, "taken, but not done");
	ring_done(r, 3);
	cr_assert_eq(ring_waiting(r), 7);
	cr_assert_eq(take_all(r), 7);
	ring_done(r, 7);
	cr_assert_eq(ring_waiting(r), 0);
	cr_assert_eq(take_all(r), 0);
}

Test(ring, holds_exactly_max_queue_spans)
{
	const uint32_t sizes[] = { 1, 2, 15, 16, 17, 100, 2047, 2048, 5000 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct ring *r = ring_new(sizes[i]);
		uint32_t n = 0;

		for (int round = 0; round < 3; round++) {
			for (n = 0; put_one(r, 1, 2); n++)
				cr_assert(n < sizes[i]);
			cr_assert_eq(n, sizes[i]);
			cr_assert_eq(ring_waiting(r), n);
			cr_assert_eq(take_all(r), n);
			cr_assert_not(put_one(r, 1, 2), "taken is not done");
			ring_done(r, n);
			cr_assert_eq(ring_waiting(r), 0);
		}
		ring_done(r, 1000); /* more than there is: no underflow */
		cr_assert_eq(ring_waiting(r), 0);
		for (n = 0; put_one(r, 1, 2); n++)
			cr_assert(n < sizes[i]);
		cr_assert_eq(n, sizes[i]);
		munmap(r, ring_size(sizes[i]));
	}
}

Test(ring, counts_what_leaves_in_pieces)
{
	struct ring *r = ring_new(64);

	for (uint32_t round = 0; round < 5000; round++) {
		uint32_t n = round * 7 % 64 + 1, put = 0;

		while (put < n && put_one(r, 1, round))
			put++;
		cr_assert_eq(put, n);
		cr_assert_eq(take_all(r), n);
		ring_done(r, n / 3);
		ring_done(r, n / 2 - n / 3);
		ring_done(r, n - n / 2);
		cr_assert_eq(ring_waiting(r), 0);
	}
}

Test(ring, stays_in_bounds_when_it_is_never_emptied)
{
	struct ring *r = ring_new(1000000);

	munmap(r, ring_size(1000000));
	r = ring_new(2048);
	for (uint32_t n = 0, refused = 0; refused < 3; n++) {
		struct ring_writer w;
		uint8_t hint = 1;
		static char big[RECORD_VALUE_MAX];

		if (ring_begin(&w, r, &hint, 1) != 0) {
			refused++;
			continue;
		}
		write_record(&w.record, 1, 3);
		w.record.head->kind = SPAN_CLIENT;
		record_put(&w.record, ATTRIBUTE_URL_FULL, (struct bytes){ big, sizeof(big) });
		ring_commit(&w);
		cr_assert(n < 2048);
	}
	struct reader reader = { 0 };

	cr_assert_gt(ring_take(r, read_one, &reader), 16 * 7);
	cr_assert_eq(reader.seen, ring_waiting(r));
}

Test(ring, hides_what_was_not_committed)
{
	struct ring *r = ring_new(2048);
	struct ring_writer w;
	uint8_t hint = 0;

	cr_assert_eq(ring_begin(&w, r, &hint, own_tid()), 0);
	write_record(&w.record, 1, 1);
	cr_assert_eq(take_all(r), 0);
	ring_abort(&w);
	cr_assert_eq(take_all(r), 0);
	cr_assert_eq(ring_waiting(r), 0);
	cr_assert(put_one(r, 1, 2));
	cr_assert_eq(take_all(r), 1);
}

Test(ring, lets_sixteen_write_at_once_and_no_more)
{
	struct ring *r = ring_new(2048);
	struct ring_writer w[RING_SHARDS + 1];
	uint8_t hint = 5;

	for (unsigned i = 0; i < RING_SHARDS; i++) {
		cr_assert_eq(ring_begin(&w[i], r, &hint, own_tid()), 0);
		write_record(&w[i].record, 1, i);
	}
	cr_assert_eq(ring_begin(&w[RING_SHARDS], r, &hint, own_tid()), -EAGAIN);
	for (unsigned i = 0; i < RING_SHARDS; i++)
		ring_commit(&w[i]);
	cr_assert_eq(take_all(r), RING_SHARDS);
}

Test(ring, wakes_the_consumer_once_when_a_batch_waits)
{
	struct ring *r = ring_new(2048);
	unsigned woken = 0;
	uint8_t hint = 0;

	ring_set_wake(r, 512);
	for (int round = 1; round < 4; round++) {
		for (unsigned n = 1; n <= 600; n++) {
			struct ring_writer w;

			cr_assert_eq(ring_begin(&w, r, &hint, own_tid()), 0);
			write_record(&w.record, 1, n);
			if (ring_commit(&w)) {
				woken++;
				cr_assert(n >= 512 && n < 512 + 128, "at %u", n);
			}
		}
		cr_assert_eq(woken, round);
		cr_assert_eq(*ring_wake_word(r), woken);
		cr_assert_eq(take_all(r), 600);
		ring_done(r, 600);
	}
}

static bool read_one_more(void *arg, const struct record_head *record)
{
	struct ring *r = arg;

	(void)record;
	while (ring_waiting(r) < 1200 && put_one(r, 1, 2))
		;
	return false; /* the next take gets it */
}

/* The producers have called while the consumer was at the ring, which took all the same. */
Test(ring, hears_the_call_after_one_that_came_in_the_middle_of_a_take)
{
	struct ring *r = ring_new(2048);
	uint32_t word;

	ring_set_wake(r, 512);
	cr_assert(put_one(r, 1, 2));
	ring_take(r, read_one_more, r);
	cr_assert_eq(*ring_wake_word(r), 1u, "called in the middle");
	word = *ring_wake_word(r);
	ring_set_wake(r, 512);
	for (unsigned n = 0; n < 600; n++)
		cr_assert(put_one(r, 1, 2));
	cr_assert_neq(*ring_wake_word(r), word, "nobody was called");
}

Test(ring, wakes_at_each_small_level_exactly)
{
	for (uint32_t level = 1; level < 100; level++) {
		struct ring *r = ring_new(2048);
		uint8_t hint = 0;

		ring_set_wake(r, level);
		for (uint32_t n = 1; n <= level; n++) {
			struct ring_writer w;

			cr_assert_eq(ring_begin(&w, r, &hint, own_tid()), 0);
			write_record(&w.record, 1, n);
			cr_assert_eq(ring_commit(&w), n == level);
		}
		munmap(r, ring_size(2048));
	}
}

/* ---- a ring that somebody else writes over ---- */

Test(ring, is_read_without_harm_when_garbage_lies_in_it, .timeout = 120)
{
	size_t size = ring_size(100);
	struct bytes map;
	struct ring *r;
	char *zero = calloc(1, size);

	srand(7);
	for (int round = 0; round < 3000; round++) {
		struct reader reader = { 0 };
		unsigned taken = 0;

		map = guard_copy(zero, size);
		r = (struct ring *)(uintptr_t)map.p;
		ring_format(r, 100);
		for (uint32_t n = 0; n < 60; n++)
			put_one(r, 1, n);
		/* a few bytes anywhere, mostly in the head, sometimes a whole page of it */
		for (int i = rand() % 20; i >= 0; i--) {
			size_t at = (size_t)rand() % (rand() % 3 ? 4096 : size);

			((uint8_t *)r)[at] = (uint8_t)rand();
		}
		if (round % 10 == 0)
			for (size_t i = 24; i < 4096; i++)
				((uint8_t *)r)[i] = (uint8_t)rand();
		if (!ring_check(r, size)) {
			guard_free(map);
			continue;
		}
		for (int i = 0; i < 4; i++) {
			taken += ring_take(r, read_one, &reader);
			ring_release(r);
			ring_done(r, 50);
			ring_waiting(r);
		}
		cr_assert_leq(taken, 16 * (4 + 1) * 1024u);
		guard_free(map);
	}
	free(zero);
}

Test(ring, gives_up_only_the_shard_that_is_broken)
{
	struct ring *r = ring_new(160);
	uint32_t n;

	for (n = 0; n < 160; n++)
		cr_assert(put_one(r, 1, n));
	/* the size of a record in the fourth shard */
	for (size_t at = 4096 + 3 * (65536 + RECORD_MAX); at < ring_size(160); at += 4) {
		uint32_t *word = (uint32_t *)((char *)r + at);

		if (*word) {
			*word = 12345;
			break;
		}
	}
	n = ring_take(r, read_one, &(struct reader){ 0 });
	ring_release(r);
	cr_assert_eq(n, 150);
	cr_assert_eq(counted(spans_dropped_memory), 10);
	cr_assert_eq(ring_waiting(r), 150);
	ring_done(r, 150);
	cr_assert_eq(ring_waiting(r), 0);
	for (n = 0; put_one(r, 1, 2); n++)
		;
	cr_assert_eq(n, 160, "the credits went to the others: %u", n);
	cr_assert_eq(take_all(r), 160);
}

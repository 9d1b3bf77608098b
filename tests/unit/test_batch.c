// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include "base/arena.h"
#include "base/counters.h"
#include "exporter/batch.h"
#include "exporter/ring.h"
#include "record_fixture.h"

static struct arena arena;
static struct ring *ring;

static void setup(uint32_t max_queue)
{
	ring = mmap(NULL, ring_size(max_queue), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	cr_assert(ring != MAP_FAILED);
	ring_format(ring, max_queue);
	cr_assert_eq(arena_init(&arena, 4 << 20), 0);
}

static void put(uint8_t span, size_t extra)
{
	static char text[RECORD_VALUE_MAX];
	uint8_t hint = 1;
	struct ring_writer w;

	cr_assert_eq(ring_begin(&w, ring, &hint, 1), 0);
	w.record.head->kind = SPAN_SERVER;
	memset(w.record.head->trace_id, 7, 16);
	memset(w.record.head->span_id, span, 8);
	fixture_put_usual(&w.record);
	record_put(&w.record, ATTRIBUTE_URL_QUERY, (struct bytes){ text, extra });
	ring_commit(&w);
}

Test(batch, holds_copies_in_order)
{
	struct batch b;

	setup(2048);
	for (uint8_t i = 1; i <= 100; i++)
		put(i, i);
	cr_assert_eq(batch_collect(&b, &arena, ring, 512, 1 << 20), 100);
	cr_assert_eq(b.count, 100);
	for (uint8_t i = 101; i <= 200; i++) /* the ring is free again: overwritten */
		put(i, i);
	for (uint8_t i = 1; i <= 100; i++) {
		cr_assert(record_check(b.records[i - 1], b.records[i - 1]->size));
		cr_assert_eq(b.records[i - 1]->span_id[3], i);
	}
	cr_assert_eq(ring_waiting(ring), 200);
}

Test(batch, is_empty_when_nothing_waits)
{
	struct batch b;

	setup(16);
	cr_assert_eq(batch_collect(&b, &arena, ring, 512, 1 << 20), 0);
	cr_assert_eq(arena.mapped, 0);
}

Test(batch, leaves_the_rest_for_the_next)
{
	struct batch b;
	unsigned all = 0, batches = 0;

	setup(2048);
	for (unsigned i = 0; i < 100; i++)
		put((uint8_t)(i + 1), 0);
	while (batch_collect(&b, &arena, ring, 7, 1 << 20)) {
		cr_assert_leq(b.count, 7);
		cr_assert_eq(b.records[0]->span_id[0], all + 1);
		all += (unsigned)b.count;
		batches++;
		ring_done(ring, (uint32_t)b.count);
		arena_reset(&arena);
	}
	cr_assert_eq(all, 100);
	cr_assert_eq(batches, 15);
	cr_assert_eq(ring_waiting(ring), 0);
}

Test(batch, keeps_to_its_bytes_but_takes_one_at_least)
{
	struct batch b;
	unsigned all = 0;

	setup(2048);
	for (unsigned i = 0; i < 20; i++)
		put((uint8_t)(i + 1), i == 5 ? 8000 : 100);
	while (batch_collect(&b, &arena, ring, 512, 1024)) {
		cr_assert(b.bytes <= 1024 || b.count == 1);
		all += (unsigned)b.count;
		arena_reset(&arena);
	}
	cr_assert_eq(all, 20);
}

Test(batch, splits_when_the_arena_is_full)
{
	struct batch b;
	unsigned all = 0, batches = 0;

	setup(2048);
	arena.max = ARENA_CHUNK;
	for (unsigned i = 0; i < 40; i++)
		put((uint8_t)(i + 1), 4000);
	while (batch_collect(&b, &arena, ring, 512, 1 << 20)) {
		all += (unsigned)b.count;
		batches++;
		ring_done(ring, (uint32_t)b.count);
		arena_reset(&arena);
	}
	cr_assert_eq(all, 40);
	cr_assert_gt(batches, 2);
	cr_assert_eq(counted(spans_dropped_memory), 0);
}

Test(batch, drops_and_counts_what_no_memory_is_found_for)
{
	struct batch b;

	setup(2048);
	put(1, 0);
	put(2, 0);
	cr_assert_not_null(
		arena_alloc(&arena, ARENA_CHUNK - 100)); /* the list fits, no copy does */
	arena.max = arena.mapped;
	cr_assert_eq(batch_collect(&b, &arena, ring, 512, 1 << 20), 0);
	cr_assert_eq(counted(spans_dropped_memory), 2);
	cr_assert_eq(ring_waiting(ring), 0);

	put(3, 0);
	while (arena_alloc(&arena, 16)) /* not even the list: it stays in the ring */
		;
	cr_assert_eq(batch_collect(&b, &arena, ring, 512, 1 << 20), 0);
	cr_assert_eq(ring_waiting(ring), 1);
}

Test(batch, drops_records_that_are_not_sane)
{
	struct batch b;
	uint32_t *word;

	setup(64);
	put(1, 0);
	put(2, 0);
	/* the kind of the first record, after it was committed */
	word = (uint32_t *)((char *)ring + 4096);
	while (!*word)
		word++;
	((struct record_head *)word)->kind = 99;
	batch_collect(&b, &arena, ring, 512, 1 << 20);
	cr_assert_eq(b.count + counted(spans_dropped_memory), 2);
	cr_assert_eq(ring_waiting(ring), b.count);
}

// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/counters.h"
#include "exporter/ring.h"
#include "record_fixture.h"

#ifdef TAGALONG_SANITIZED
#define MANY 60000u
#else
#define MANY 400000u
#endif

static struct ring *ring_new(uint32_t max_queue)
{
	struct ring *r = mmap(NULL, ring_size(max_queue), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert(r != MAP_FAILED);
	ring_format(r, max_queue);
	return r;
}

static uint32_t own_tid(void)
{
	return (uint32_t)syscall(SYS_gettid);
}

/* Record number n of a producer: its size, its path and its ids follow from both. */
static void write_record(struct record *r, uint8_t producer, uint32_t n)
{
	static const char text[2048] = { [0 ... 2047] = 'p' };

	memcpy(r->head->trace_id, &n, 4);
	r->head->trace_id[4] = producer;
	r->head->trace_id[15] = 1;
	r->head->span_id[0] = 1;
	r->head->kind = SPAN_SERVER;
	r->head->start_ns = n;
	record_put_int(r, ATTRIBUTE_SERVER_PORT, (int64_t)n * 3);
	record_put(r, ATTRIBUTE_URL_PATH,
		   (struct bytes){ text, n % 97 == 0 ? 2048 : (n * 13 + producer) % 300 });
	record_put_int(r, ATTRIBUTE_CLIENT_PORT, (int64_t)n * 5);
}

static bool is_intact(const struct record_head *head)
{
	struct record_field_view f;
	uint8_t producer = head->trace_id[4];
	size_t pos = 0;
	uint32_t n;

	memcpy(&n, head->trace_id, 4);
	return head->start_ns == n && record_next(head, &pos, &f) &&
	       record_int(&f) == (int64_t)n * 3 && record_next(head, &pos, &f) &&
	       f.value.n == (n % 97 == 0 ? 2048 : (n * 13 + producer) % 300) &&
	       (f.value.n == 0 || (f.value.p[0] == 'p' && f.value.p[f.value.n - 1] == 'p')) &&
	       record_next(head, &pos, &f) && record_int(&f) == (int64_t)n * 5 &&
	       !record_next(head, &pos, &f);
}

static bool put_one(struct ring *r, uint8_t producer, uint32_t n)
{
	static _Thread_local uint8_t hint;
	struct ring_writer w;

	if (ring_begin(&w, r, &hint, own_tid()) != 0)
		return false;
	write_record(&w.record, producer, n);
	ring_commit(&w);
	return true;
}

struct reader {
	uint32_t seen, broken, max;
	uint32_t next[16]; /* of each producer: records come in order within a shard only */
	uint8_t *had[16];
	uint32_t twice;
};

static bool read_one(void *arg, const struct record_head *head)
{
	struct reader *reader = arg;
	uint32_t n;

	if (reader->max && reader->seen == reader->max)
		return false;
	reader->seen++;
	if (!is_intact(head)) {
		reader->broken++;
		return true;
	}
	memcpy(&n, head->trace_id, 4);
	if (head->trace_id[4] < 16 && reader->had[head->trace_id[4]])
		reader->twice += reader->had[head->trace_id[4]][n]++;
	return true;
}

static uint32_t take_all(struct ring *r)
{
	struct reader reader = { 0 };
	uint32_t n = ring_take(r, read_one, &reader);

	cr_assert_eq(reader.broken, 0);
	cr_assert_eq(reader.seen, n);
	ring_release(r);
	return n;
}

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

/* ---- threads ---- */

struct producer {
	pthread_t thread;
	struct ring *ring;
	uint8_t number;
	uint32_t records;
	_Atomic uint32_t *finished;
};

static void *produce(void *arg)
{
	struct producer *p = arg;

	for (uint32_t n = 0; n < p->records;)
		if (put_one(p->ring, p->number, n))
			n++;
		else
			sched_yield();
	atomic_fetch_add(p->finished, 1);
	return NULL;
}

Test(ring, loses_and_doubles_nothing_between_threads, .timeout = 300)
{
	enum { PRODUCERS = 8 };
	struct ring *r = ring_new(2048);
	struct producer producers[PRODUCERS];
	struct reader reader = { 0 };
	_Atomic uint32_t finished = 0;
	uint32_t pieces = 0;

	for (uint8_t i = 0; i < PRODUCERS; i++) {
		reader.had[i] = calloc(MANY, 1);
		producers[i] = (struct producer){ 0, r, i, MANY, &finished };
		cr_assert_eq(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
	}
	for (bool last = false; !last;) {
		last = atomic_load(&finished) == PRODUCERS;
		reader.max = pieces++ % 3 ? 0 : reader.seen + 100;
		uint32_t n = ring_take(r, read_one, &reader);

		ring_release(r);
		cr_assert_leq(ring_waiting(r), 2048);
		ring_done(r, n);
		if (last && n)
			last = false;
	}
	for (unsigned i = 0; i < PRODUCERS; i++)
		pthread_join(producers[i].thread, NULL);
	cr_assert_eq(reader.broken, 0);
	cr_assert_eq(reader.twice, 0);
	cr_assert_eq(reader.seen, PRODUCERS * MANY);
	cr_assert_eq(ring_waiting(r), 0);
	for (unsigned i = 0; i < PRODUCERS; i++) {
		cr_assert_null(memchr(reader.had[i], 0, MANY));
		free(reader.had[i]);
	}
}

struct filler {
	struct ring *ring;
	uint32_t put;
};

static void *fill(void *arg)
{
	struct filler *f = arg;

	for (int tries = 0; tries < 2000; tries++)
		f->put += put_one(f->ring, 1, 2);
	return NULL;
}

Test(ring, holds_exactly_max_queue_spans_of_many_threads)
{
	for (uint32_t size = 1; size < 3000; size = size * 3 + 1) {
		struct filler fillers[6] = { 0 };
		struct ring *r = ring_new(size);
		pthread_t threads[6];
		uint32_t put = 0;

		for (unsigned i = 0; i < 6; i++) {
			fillers[i].ring = r;
			cr_assert_eq(pthread_create(&threads[i], NULL, fill, &fillers[i]), 0);
		}
		for (unsigned i = 0; i < 6; i++) {
			pthread_join(threads[i], NULL);
			put += fillers[i].put;
		}
		cr_assert_eq(put, size);
		cr_assert_eq(take_all(r), size);
		munmap(r, ring_size(size));
	}
}

static void *die_half_way(void *arg)
{
	struct ring_writer w;
	uint8_t hint = 0;

	cr_assert_eq(ring_begin(&w, arg, &hint, own_tid()), 0);
	write_record(&w.record, 1, 1);
	return NULL;
}

Test(ring, takes_a_shard_back_from_a_dead_thread)
{
	struct ring *r = ring_new(2048);
	struct ring_writer w;
	pthread_t thread;
	uint8_t hint = 0;

	for (unsigned i = 0; i < RING_SHARDS; i++) {
		cr_assert_eq(pthread_create(&thread, NULL, die_half_way, r), 0);
		pthread_join(thread, NULL);
	}
	cr_assert_eq(ring_begin(&w, r, &hint, own_tid()), -EAGAIN);
	/* the kernel forgets a joined thread a moment later */
	for (int i = 0; i < 1000 && ring_begin(&w, r, &hint, own_tid()) != 0; i++) {
		cr_assert_eq(take_all(r), 0);
		usleep(1000);
	}
	write_record(&w.record, 1, 7);
	ring_commit(&w);
	cr_assert_eq(take_all(r), 1);
}

Test(ring, leaves_a_living_owner_its_shard)
{
	struct ring *r = ring_new(2048);
	struct ring_writer w;
	uint8_t hint = 0;

	cr_assert_eq(ring_begin(&w, r, &hint, own_tid()), 0);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(take_all(r), 0);
	write_record(&w.record, 1, 7);
	ring_commit(&w);
	cr_assert_eq(take_all(r), 1);
}

/* ---- processes ---- */

static pid_t producer_process(struct ring *r)
{
	pid_t pid = fork();

	if (pid == 0) {
		for (uint32_t n = 0;; n++)
			put_one(r, 1, n);
	}
	return pid;
}

Test(ring, survives_two_hundred_killed_producers, .timeout = 120)
{
	struct ring *r = ring_new(2048);
	struct reader reader = { 0 };
	uint64_t random = 88172645463325252u;

	for (int i = 0; i < 200; i++) {
		uint32_t before = reader.seen;
		pid_t pid = producer_process(r);

		cr_assert_gt(pid, 0);
		random ^= random << 13, random ^= random >> 7, random ^= random << 17;
		/* drain until it has written something, then a random moment more */
		for (uint32_t more = random % 40000, had = 0;
		     had < more || reader.seen == before;) {
			uint32_t n = ring_take(r, read_one, &reader);

			ring_release(r);
			ring_done(r, n);
			had += n + 1;
		}
		kill(pid, SIGKILL);
		cr_assert_eq(waitpid(pid, NULL, 0), pid);
	}
	for (int i = 0; i < 3; i++) {
		ring_done(r, ring_take(r, read_one, &reader));
		ring_release(r);
	}
	cr_assert_eq(reader.broken, 0);
	cr_assert_eq(ring_waiting(r), 0);
	cr_assert_eq(counted(spans_dropped_memory), 0);

	uint32_t n = 0; /* no shard stayed locked, no credit was lost */

	while (put_one(r, 1, 2))
		n++;
	cr_assert_eq(n, 2048);
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

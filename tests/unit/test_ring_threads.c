// SPDX-License-Identifier: Apache-2.0
/* The ring between threads and processes. With SAN=thread ThreadSanitizer looks on. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include "base/counters.h"
#include "ring_fixture.h"

#ifdef TAGALONG_SANITIZED
#define MANY 60000u
#else
#define MANY 400000u
#endif

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

Test(ring_threads, loses_and_doubles_nothing_between_threads, .timeout = 300)
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

Test(ring_threads, holds_exactly_max_queue_spans_of_many_threads)
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

Test(ring_threads, takes_a_shard_back_from_a_dead_thread)
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

Test(ring_threads, leaves_a_living_owner_its_shard)
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

Test(ring_threads, survives_two_hundred_killed_producers, .timeout = 120)
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

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/pool.h"

#ifdef TAGALONG_SANITIZED
#define ROUNDS 20000
#else
#define ROUNDS 200000
#endif
#define THREADS 4

Test(pool, gives_each_object_once_and_then_none)
{
	struct pool p;
	char *objects[100];

	cr_assert_eq(pool_init(&p, 24, 100), 0);
	cr_assert_eq(p.size, 32);
	for (uint32_t i = 0; i < 100; i++) {
		objects[i] = pool_get(&p);
		cr_assert_not_null(objects[i]);
		cr_assert_eq((uintptr_t)objects[i] % 16, 0);
		cr_assert_eq(pool_index(&p, objects[i]), i);
		cr_assert_eq(pool_at(&p, i), objects[i]);
		for (size_t k = 0; k < p.size; k++)
			cr_assert_eq(objects[i][k], 0);
		memset(objects[i], 0xff, p.size);
	}
	cr_assert_null(pool_get(&p));
	pool_put(&p, objects[42]);
	cr_assert_eq(pool_get(&p), objects[42]);
	cr_assert_null(pool_get(&p));
}

Test(pool, uses_freed_objects_before_new_ones)
{
	struct pool p;
	void *a, *b;

	cr_assert_eq(pool_init(&p, 16, 1000), 0);
	for (int i = 0; i < 5000; i++) {
		a = pool_get(&p);
		b = pool_get(&p);
		pool_put(&p, a);
		pool_put(&p, b);
	}
	cr_assert_eq(p.used_max, 2);
}

Test(pool, refuses_what_cannot_be_mapped)
{
	struct pool p;

	cr_assert_eq(pool_init(&p, SIZE_MAX / 2, 1000), -ENOMEM);
	cr_assert_eq(pool_init(&p, SIZE_MAX, 1), -ENOMEM);
	cr_assert_eq(pool_init(&p, 0, 1), -ENOMEM);
	cr_assert_eq(pool_init(&p, (size_t)1 << 46, 1000), -ENOMEM);
}

Test(pool, costs_no_memory_before_use)
{
	struct pool p;

	cr_assert_eq(pool_init(&p, 1 << 16, 1 << 20), 0); /* 64 GiB of addresses */
	cr_assert_not_null(pool_get(&p));
}

Test(pool, pools_share_what_was_reserved_until_it_is_used_up)
{
	struct pool first, second, third;

	pool_reserve(3 * 4096);
	cr_assert_eq(pool_init(&first, 16, 100), 0);
	cr_assert_eq(pool_init(&second, 1 << 16, 4), 0); /* has no room there */
	cr_assert_eq(pool_init(&third, 16, 300), 0);
	cr_assert_eq(third.objects, first.objects + 4096);
	cr_assert(second.objects + 4 * 65536 <= first.objects ||
		  second.objects >= first.objects + 3 * 4096);
	for (uint32_t i = 0; i < 300; i++)
		memset(pool_get(&third), 0xff, 16);
	cr_assert_null(pool_get(&third));
	cr_assert_eq(*(char *)pool_get(&first), 0);
	cr_assert_eq(*(char *)pool_get(&second), 0);
}

Test(pool, a_reserve_that_cannot_be_had_is_done_without)
{
	struct pool p;

	pool_reserve((size_t)1 << 60);
	cr_assert_eq(pool_init(&p, 16, 100), 0);
	cr_assert_not_null(pool_get(&p));
}

struct object {
	_Atomic uint32_t owners;
	uint32_t filler[7];
};

/* More threads than objects: the list runs empty all the time. */
static void *take_and_give(void *arg)
{
	struct pool *p = arg;
	long got = 0;

	for (int i = 0; i < ROUNDS; i++) {
		struct object *o = pool_get(p);

		if (!o)
			continue;
		if (atomic_fetch_add(&o->owners, 1) != 0)
			return (void *)-1l;
		o->filler[i % 7] = (uint32_t)i; /* not atomic: the owner is alone with it */
		atomic_fetch_sub(&o->owners, 1);
		pool_put(p, o);
		got++;
	}
	return (void *)got;
}

Test(pool, never_gives_one_object_to_two_threads)
{
	pthread_t threads[THREADS];
	struct pool p;
	long total = 0;

	cr_assert_eq(pool_init(&p, sizeof(struct object), 3), 0);
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, take_and_give, &p), 0);
	for (int i = 0; i < THREADS; i++) {
		void *got;

		pthread_join(threads[i], &got);
		/* None at all: the three that were lucky held everything meanwhile. */
		cr_assert_geq((long)got, 0);
		total += (long)got;
	}
	cr_assert_gt(total, 0);
	for (int i = 0; i < 3; i++)
		cr_assert_not_null(pool_get(&p));
	cr_assert_null(pool_get(&p));
}

Test(pool, serves_a_forked_child_from_its_copy)
{
	struct pool p;
	void *mine;
	int status;
	pid_t pid;

	cr_assert_eq(pool_init(&p, 16, 2), 0);
	mine = pool_get(&p);
	pid = fork();
	if (pid == 0) {
		void *other = pool_get(&p);

		if (!other || other == mine || pool_get(&p))
			_exit(1);
		pool_put(&p, mine);
		_exit(pool_get(&p) == mine ? 0 : 2);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	cr_assert_not_null(pool_get(&p));
	cr_assert_null(pool_get(&p));
}

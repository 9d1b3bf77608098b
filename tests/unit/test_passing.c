/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <pthread.h>
#include "shim/passing.h"

#define THREADS 4
#define ROUNDS  20000

Test(passing, lets_all_but_the_last_byte_pass)
{
	struct http1_body body = { .state = BODY_LENGTH, .remaining = 100 };
	struct passing p = { 0 };

	cr_assert_not(passing_may(&p, 7, 0), "nothing was granted");
	passing_grant(&p, &body, 7);
	cr_assert(passing_may(&p, 7, 99));
	cr_assert_not(passing_may(&p, 7, 100));
	cr_assert(passing_count(&p, 7, 60));
	cr_assert_not(passing_count(&p, 7, 40));
	cr_assert(passing_count(&p, 7, 39));
	cr_assert_not(passing_count(&p, 7, 1));
	passing_withdraw(&p, &body);
	cr_assert_eq(body.remaining, 1u);
	cr_assert_eq(body.size, 99u);
	cr_assert_eq(body.state, BODY_LENGTH);
}

Test(passing, is_over_when_withdrawn)
{
	struct http1_body body = { .state = BODY_CHUNK_DATA, .remaining = 10 };
	struct passing p = { 0 };

	passing_grant(&p, &body, 0);
	passing_withdraw(&p, &body);
	cr_assert_not(passing_may(&p, 0, 0));
	cr_assert_not(passing_count(&p, 0, 1));
	passing_withdraw(&p, &body);
	cr_assert_eq(body.remaining, 10u);
}

Test(passing, is_of_one_generation)
{
	struct http1_body body = { .state = BODY_LENGTH, .remaining = 100 };
	struct passing p = { 0 };

	passing_grant(&p, &body, 0x12345);
	cr_assert(passing_count(&p, 0x12345, 1));
	cr_assert_not(passing_may(&p, 0x12346, 1));
	cr_assert_not(passing_count(&p, 0x12344, 1));
}

Test(passing, has_no_end_where_the_body_has_none)
{
	struct http1_body body = { .state = BODY_UNTIL_CLOSE };
	struct passing p = { 0 };

	for (int i = 0; i < 3; i++) {
		passing_grant(&p, &body, 1);
		cr_assert(passing_count(&p, 1, 1ull << 40));
		passing_withdraw(&p, &body);
	}
	cr_assert_eq(body.size, 3ull << 40);
}

Test(passing, is_not_granted_where_every_byte_counts)
{
	static const enum http1_body_state states[] = { BODY_DONE, BODY_BAD, BODY_AWAIT_CHUNK_SIZE,
							BODY_AWAIT_CHUNK_LF, BODY_IN_TRAILER };

	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		struct http1_body body = { .state = states[i], .remaining = 100 };
		struct passing p = { 0 };

		passing_grant(&p, &body, 1);
		cr_assert_not(passing_may(&p, 1, 0), "state %d", (int)states[i]);
	}
}

static struct passing shared;

static void *count_off(void *arg)
{
	size_t n = 0;

	(void)arg;
	for (int i = 0; i < ROUNDS; i++)
		n += passing_count(&shared, 3, 1);
	return (void *)n;
}

Test(passing, loses_no_byte_between_threads)
{
	struct http1_body body = { .state = BODY_LENGTH, .remaining = THREADS * ROUNDS / 2 };
	pthread_t threads[THREADS];
	uint64_t counted = 0;

	passing_grant(&shared, &body, 3);
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, count_off, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		void *n;

		pthread_join(threads[i], &n);
		counted += (size_t)n;
	}
	passing_withdraw(&shared, &body);
	cr_assert_eq(counted, THREADS * ROUNDS / 2 - 1u);
	cr_assert_eq(body.remaining, 1u);
}

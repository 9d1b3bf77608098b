/* SPDX-License-Identifier: Apache-2.0 */
/* What happens when code of a static archive gives up; compiled here under another name, as libc's
 * own __assert_fail() aborts. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/raw.h"

#define __stack_chk_fail       our_stack_chk_fail
#define __stack_chk_fail_local our_stack_chk_fail_local
#define __assert_fail          our_assert_fail
#include "base/freestanding/guard.c"
#undef __stack_chk_fail
#undef __stack_chk_fail_local
#undef __assert_fail

static int __attribute__((noinline)) broken_code(int kind)
{
	volatile char frame[500];

	frame[kind] = 1;
	if (kind == 1)
		our_assert_fail("0", "file.c", 1, "function");
	if (kind == 2)
		our_stack_chk_fail();
	if (kind == 3)
		our_stack_chk_fail_local();
	return frame[kind];
}

static int __attribute__((noinline)) call(int kind)
{
	struct guard g;
	int result;

	if (guard_begin(&g))
		return -1;
	result = broken_code(kind);
	guard_end();
	return result;
}

Test(guard, comes_back_to_where_the_thread_said)
{
	for (int round = 0; round < 100; round++) {
		cr_assert_eq(call(0), 1);
		cr_assert_null(thread_state.guard);
		for (int kind = 1; kind <= 3; kind++)
			cr_assert_eq(call(kind), -1);
		cr_assert_null(thread_state.guard);
	}
}

static _Atomic uint32_t parked_tid;
static _Atomic bool came_back;

static void *park(void *arg)
{
	atomic_store(&parked_tid, (uint32_t)raw_gettid());
	broken_code(1);
	atomic_store(&came_back, true);
	return arg;
}

/* The state letter in /proc/self/task/<tid>/stat: S while it sleeps. */
static char state_of(uint32_t tid)
{
	char name[64], line[256], *at;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/self/task/%u/stat", tid);
	f = fopen(name, "r");
	if (!f)
		return 0;
	at = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	fclose(f);
	return at ? at[2] : 0;
}

Test(guard, parks_a_thread_that_said_nothing, .timeout = 20)
{
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, park, NULL), 0);
	while (!atomic_load(&parked_tid) || state_of(parked_tid) != 'S')
		sched_yield();
	cr_assert(!atomic_load(&came_back));
}

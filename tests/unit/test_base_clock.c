/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <time.h>
#include "base/clock.h"

static uint64_t libc_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void agrees_with_libc(void)
{
	for (int i = 0; i < 1000; i++) {
		uint64_t before = libc_ns(CLOCK_MONOTONIC), now = clock_monotonic_ns();

		cr_assert_geq(now, before);
		cr_assert_leq(now, libc_ns(CLOCK_MONOTONIC));
		before = libc_ns(CLOCK_REALTIME);
		now = clock_realtime_ns();
		cr_assert_leq(now - before + 1000000000u, 2000000000u);
	}
}

Test(clock, asks_the_kernel_before_it_is_set_up)
{
	agrees_with_libc();
}

Test(clock, agrees_with_libc_afterwards)
{
	clock_init();
	agrees_with_libc();
}

Test(clock, tells_what_the_other_clock_showed)
{
	clock_init();
	for (int i = 0; i < 1000; i++) {
		uint64_t before = clock_realtime_ns(), at = clock_monotonic_ns();
		uint64_t told = clock_realtime_at(at);

		cr_assert_leq(told - before + 100000000u, 200000000u);
		cr_assert_leq(clock_realtime_at(at + 1000) - told + 50000000u, 100001000u);
	}
	/* Long ago and far ahead. */
	cr_assert_leq(clock_realtime_at(1) - (clock_realtime_ns() - clock_monotonic_ns()) +
			      100000000u,
		      200000000u);
}

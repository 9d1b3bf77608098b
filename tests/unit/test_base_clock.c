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

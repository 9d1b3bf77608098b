/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stddef.h>
#include "base/raw.h"
#include "base/symbols.h"

/* The kernel's own function, which libc's clock_gettime() calls too: fit for signal handlers and
 * not in the way of programs that fake their clock in libc. */
static int (*vdso_clock_gettime)(clockid_t clock, struct timespec *now);

void clock_init(void)
{
	void *found = symbols_find_vdso("__vdso_clock_gettime"); /* x86-64 and most others */

	if (!found)
		found = symbols_find_vdso("__kernel_clock_gettime"); /* AArch64 */
	vdso_clock_gettime = (int (*)(clockid_t, struct timespec *))found;
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t = { 0, 0 };

	if (!vdso_clock_gettime || vdso_clock_gettime(clock, &t) != 0)
		raw_clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t clock_realtime_ns(void)
{
	return now_ns(CLOCK_REALTIME);
}

uint64_t clock_monotonic_ns(void)
{
	return now_ns(CLOCK_MONOTONIC);
}

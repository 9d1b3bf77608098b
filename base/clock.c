/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdatomic.h>
#include <stddef.h>
#include "base/raw.h"
#include "base/symbols.h"

#define NS_PER_S           1000000000u
#define CLOCKS_TOGETHER_NS 5000

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
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t clock_realtime_ns(void)
{
	return now_ns(CLOCK_REALTIME);
}

uint64_t clock_monotonic_ns(void)
{
	return now_ns(CLOCK_MONOTONIC);
}

/* Both clocks at one moment: not with the thread put aside in between. */
static uint64_t measure_distance(void)
{
	uint64_t before, realtime, after;
	unsigned tries = 0;

	do {
		before = clock_monotonic_ns();
		realtime = clock_realtime_ns();
		after = clock_monotonic_ns();
	} while (after - before > CLOCKS_TOGETHER_NS && ++tries < 4);
	return realtime - before;
}

/* The distance of the two clocks is asked for once a second. Two threads that ask at once find the
 * same one, so it does not matter who writes. */
uint64_t clock_realtime_at(uint64_t monotonic_ns)
{
	static _Atomic uint64_t distance, asked_at;
	uint64_t d = atomic_load_explicit(&distance, memory_order_relaxed);

	if (d && monotonic_ns - atomic_load_explicit(&asked_at, memory_order_relaxed) < NS_PER_S)
		return monotonic_ns + d;
	d = measure_distance();
	atomic_store_explicit(&distance, d, memory_order_relaxed);
	atomic_store_explicit(&asked_at, monotonic_ns, memory_order_relaxed);
	return monotonic_ns + d;
}

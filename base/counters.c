/* SPDX-License-Identifier: Apache-2.0 */
#include "base/counters.h"

#define COUNTER_COUNT (sizeof(struct counters) / sizeof(uint64_t))

static struct counters own;

struct counters *_Atomic counters_place = &own;

static const char *const names[] = {
#define COUNTER(name) #name,
	COUNTERS(COUNTER)
#undef COUNTER
};

static _Atomic uint64_t *nth(const struct counters *c, size_t i)
{
	return (_Atomic uint64_t *)(uintptr_t)c + i;
}

static uint64_t value(const struct counters *c, size_t i)
{
	return atomic_load_explicit(nth(c, i), memory_order_relaxed);
}

static struct counters *place(void)
{
	return atomic_load_explicit(&counters_place, memory_order_relaxed);
}

/* A thread that has read the old place may still count there. */
static uint64_t sum(size_t i)
{
	return value(place(), i) + (place() == &own ? 0 : value(&own, i));
}

uint64_t counters_sum(size_t offset)
{
	return sum(offset / sizeof(uint64_t));
}

void counters_each(void (*fn)(void *arg, const char *name, uint64_t value), void *arg)
{
	for (size_t i = 0; i < COUNTER_COUNT; i++)
		fn(arg, names[i], sum(i));
}

void counters_add(struct counters *to, const struct counters *from)
{
	for (size_t i = 0; i < COUNTER_COUNT; i++)
		atomic_fetch_add_explicit(nth(to, i), value(from, i), memory_order_relaxed);
}

void counters_take(struct counters *to, const struct counters *from)
{
	for (size_t i = 0; i < COUNTER_COUNT; i++)
		atomic_fetch_sub_explicit(nth(to, i), value(from, i), memory_order_relaxed);
}

void counters_settle(void)
{
	if (place() == &own)
		return;
	for (size_t i = 0; i < COUNTER_COUNT; i++)
		atomic_fetch_add_explicit(nth(place(), i),
					  atomic_exchange_explicit(nth(&own, i), 0,
								   memory_order_relaxed),
					  memory_order_relaxed);
}

void counters_move(struct counters *to)
{
	atomic_store_explicit(&counters_place, to, memory_order_relaxed);
	counters_settle();
}

void counters_reset(void)
{
	atomic_store_explicit(&counters_place, &own, memory_order_relaxed);
	for (size_t i = 0; i < COUNTER_COUNT; i++)
		atomic_store_explicit(nth(&own, i), 0, memory_order_relaxed);
}

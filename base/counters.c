/* SPDX-License-Identifier: Apache-2.0 */
#include "base/counters.h"

#include <stddef.h>

struct counters counters;

static const struct {
	const char *name;
	_Atomic uint64_t *value;
} table[] = {
#define COUNTER(name) { #name, &counters.name },
	COUNTERS(COUNTER)
#undef COUNTER
};

void counters_each(void (*fn)(void *arg, const char *name, uint64_t value), void *arg)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		fn(arg, table[i].name, atomic_load_explicit(table[i].value, memory_order_relaxed));
}

void counters_reset(void)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		atomic_store_explicit(table[i].value, 0, memory_order_relaxed);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* malloc() and its kin for static archives inside the library (protobuf-c without an allocator of
 * its own): hidden, so the program's malloc is never met. A pool for each size, mapped on first
 * use; lock-free and bounded. What is too large or too much is refused. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/pool.h"

#define HIDDEN       __attribute__((visibility("hidden")))
#define SMALLEST     32
#define SIZES        8 /* 32 bytes to 512 KiB, each four times the one before */
#define BYTES_A_SIZE (1u << 21)

void *malloc(size_t n) HIDDEN;
void *calloc(size_t count, size_t n) HIDDEN;
void *realloc(void *p, size_t n) HIDDEN;
void free(void *p) HIDDEN;

enum { UNUSED, BEING_MADE, READY, REFUSED };

static struct {
	struct pool pool;
	_Atomic int state;
} sizes[SIZES];

static size_t bytes_of_size(int i)
{
	return (size_t)SMALLEST << (2 * i);
}

static struct pool *pool_of_size(int i)
{
	int state = UNUSED;
	size_t bytes = bytes_of_size(i);

	if (atomic_compare_exchange_strong(&sizes[i].state, &state, BEING_MADE)) {
		state = pool_init(&sizes[i].pool, bytes, (uint32_t)(BYTES_A_SIZE / bytes)) == 0
				? READY
				: REFUSED;
		atomic_store_explicit(&sizes[i].state, state, memory_order_release);
	}
	/* Another thread is at it, or a fork cut it short: no memory, for this time or for good. */
	return state == READY ? &sizes[i].pool : NULL;
}

static int size_of_address(const void *p)
{
	for (int i = 0; i < SIZES; i++)
		if (atomic_load_explicit(&sizes[i].state, memory_order_acquire) == READY &&
		    (uintptr_t)p - (uintptr_t)sizes[i].pool.objects < BYTES_A_SIZE)
			return i;
	return -1;
}

void *malloc(size_t n)
{
	for (int i = 0; i < SIZES; i++) {
		if (n <= bytes_of_size(i)) {
			struct pool *pool = pool_of_size(i);

			return pool ? pool_get(pool) : NULL;
		}
	}
	return NULL;
}

void *calloc(size_t count, size_t n)
{
	size_t whole;
	void *p;

	if (__builtin_mul_overflow(count, n, &whole))
		return NULL;
	p = malloc(whole);
	if (p)
		memset(p, 0, whole);
	return p;
}

void *realloc(void *p, size_t n)
{
	int i = size_of_address(p);
	void *q;

	if (i >= 0 && n <= bytes_of_size(i))
		return p;
	q = malloc(n);
	if (q && i >= 0) {
		memcpy(q, p, bytes_of_size(i));
		free(p);
	}
	return q;
}

void free(void *p)
{
	int i = size_of_address(p);

	if (i >= 0)
		pool_put(&sizes[i].pool, p);
}

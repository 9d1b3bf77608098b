/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of one size in one mapping: bounded, never unmapped, so a stale pointer always points
 * at an object of the same type. Lock-free and async-signal-safe; memory becomes resident as it is
 * first used. A new process (fork) may go on using its copy. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct pool {
	char *objects;
	size_t size;               /* of one object, a multiple of 16 */
	uint32_t capacity;         /* objects at most */
	_Atomic uint32_t used_max; /* objects handed out at least once: indexes below this exist */
	_Atomic uint64_t free;     /* head of the free list: tag << 32 | index + 1 */
};

/* Maps `size` bytes (a multiple of the page size) for the pools that come next, so that each need
 * not enter the kernel for its own. Once, before there are threads. Without memory for it, or with
 * none left, a pool maps its own. */
void pool_reserve(size_t size);

/* Reserves address space for `capacity` objects. 0 or -ENOMEM. */
int pool_init(struct pool *p, size_t object_size, uint32_t capacity);

/* A free object, its first 8 bytes undefined and the rest as the last owner left it (zero when
 * new); NULL when all are in use. */
void *pool_get(struct pool *p);
void pool_put(struct pool *p, void *object);

/* Objects handed out now. For tests: right only while nobody takes or gives. */
uint32_t pool_in_use(const struct pool *p);

static inline uint32_t pool_index(const struct pool *p, const void *object)
{
	return (uint32_t)((size_t)((const char *)object - p->objects) / p->size);
}

static inline void *pool_at(const struct pool *p, uint32_t index)
{
	return p->objects + (size_t)index * p->size;
}

#endif

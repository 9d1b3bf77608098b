/* SPDX-License-Identifier: Apache-2.0 */
/* The free list is a stack of indexes. Its links stand behind the objects, not in them: a thread
 * that is about to lose the race for the head reads a link while the winner already writes to the
 * object. The tag rises with each change, so that a head that went and came back is noticed. */
#include "base/pool.h"

#include <sys/mman.h>
#include "base/raw.h"

#define ALIGNMENT 16
#define PAGE      4096
#define TAG_ONE   (1ull << 32)

static _Atomic uint32_t *link_of(const struct pool *p, uint32_t index)
{
	return (_Atomic uint32_t *)(void *)(p->objects + (size_t)p->capacity * p->size) + index;
}

static char *map(size_t n)
{
	char *p = raw_mmap(NULL, n, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (raw_is_error(p))
		return NULL;
	/* One object must not make two megabytes resident. */
	raw_madvise(p, n, MADV_NOHUGEPAGE);
	return p;
}

/* What pool_reserve() has mapped and no pool has taken yet. */
static struct {
	char *start;
	size_t size;
	_Atomic size_t taken;
} reserve;

void pool_reserve(size_t size)
{
	char *p = map(size);

	if (p)
		reserve.start = p;
	reserve.size = p ? size : 0;
	atomic_store_explicit(&reserve.taken, 0, memory_order_relaxed);
}

/* n bytes, a multiple of PAGE; NULL when they are not there. */
static char *take_reserved(size_t n)
{
	size_t taken = atomic_load_explicit(&reserve.taken, memory_order_relaxed);

	while (n <= reserve.size - taken)
		if (atomic_compare_exchange_weak_explicit(&reserve.taken, &taken, taken + n,
							  memory_order_relaxed,
							  memory_order_relaxed))
			return reserve.start + taken;
	return NULL;
}

int pool_init(struct pool *p, size_t object_size, uint32_t capacity)
{
	size_t size = (object_size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1), whole;
	char *objects;

	if (size == 0 || capacity == 0 || capacity == UINT32_MAX)
		return -ENOMEM;
	if (__builtin_mul_overflow(size + sizeof(uint32_t), (size_t)capacity, &whole))
		return -ENOMEM;
	if (whole > SIZE_MAX - PAGE)
		return -ENOMEM;
	whole = (whole + PAGE - 1) & ~(size_t)(PAGE - 1);
	objects = take_reserved(whole);
	if (!objects)
		objects = map(whole);
	if (!objects)
		return -ENOMEM;
	*p = (struct pool){ .objects = objects, .size = size, .capacity = capacity };
	return 0;
}

static void *take_new(struct pool *p)
{
	uint32_t n = atomic_load_explicit(&p->used_max, memory_order_relaxed);

	while (n < p->capacity)
		if (atomic_compare_exchange_weak_explicit(&p->used_max, &n, n + 1,
							  memory_order_acq_rel,
							  memory_order_relaxed))
			return pool_at(p, n);
	return NULL;
}

void *pool_get(struct pool *p)
{
	uint64_t head = atomic_load_explicit(&p->free, memory_order_acquire);

	while ((uint32_t)head) {
		uint32_t index = (uint32_t)head - 1;
		uint32_t next = atomic_load_explicit(link_of(p, index), memory_order_relaxed);
		uint64_t new_head = ((head & ~0xffffffffull) + TAG_ONE) | next;

		if (atomic_compare_exchange_weak_explicit(&p->free, &head, new_head,
							  memory_order_acquire,
							  memory_order_acquire))
			return pool_at(p, index);
	}
	return take_new(p);
}

void pool_put(struct pool *p, void *object)
{
	uint32_t index = pool_index(p, object);
	uint64_t head = atomic_load_explicit(&p->free, memory_order_relaxed), new_head;

	do {
		atomic_store_explicit(link_of(p, index), (uint32_t)head, memory_order_relaxed);
		new_head = ((head & ~0xffffffffull) + TAG_ONE) | (index + 1);
	} while (!atomic_compare_exchange_weak_explicit(&p->free, &head, new_head,
							memory_order_release,
							memory_order_relaxed));
}

uint32_t pool_in_use(const struct pool *p)
{
	uint32_t n = atomic_load_explicit(&p->used_max, memory_order_relaxed);
	uint32_t at = (uint32_t)atomic_load_explicit(&p->free, memory_order_relaxed);

	for (; at && n; n--)
		at = atomic_load_explicit(link_of(p, at - 1), memory_order_relaxed);
	return n;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdint.h>
#include <sys/mman.h>
#include "base/raw.h"

#define ALIGNMENT 16
#define PAGE      4096

struct arena_chunk {
	struct arena_chunk *older;
	size_t size; /* this head included */
} __attribute__((aligned(ALIGNMENT)));

int arena_init(struct arena *a, size_t max_bytes)
{
	*a = (struct arena){ .max = max_bytes };
	return max_bytes < ARENA_CHUNK ? -EINVAL : 0;
}

/* A chunk in which n more bytes fit becomes the newest. What is left of the one before is given up:
 * it is reached again only by arena_reset(). */
static int add_chunk(struct arena *a, size_t n)
{
	size_t size = n + sizeof(struct arena_chunk);
	struct arena_chunk *c;

	size = size <= ARENA_CHUNK ? ARENA_CHUNK : (size + PAGE - 1) & ~(size_t)(PAGE - 1);
	if (size > a->max - a->mapped)
		return -ENOMEM;
	c = raw_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (raw_is_error(c))
		return -ENOMEM;
	*c = (struct arena_chunk){ .older = a->chunks, .size = size };
	a->chunks = c;
	a->mapped += size;
	a->used = sizeof(*c);
	return 0;
}

void *arena_alloc(struct arena *a, size_t n)
{
	void *p;

	if (n > a->max)
		return NULL;
	n = n ? (n + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1) : ALIGNMENT;
	if ((!a->chunks || n > a->chunks->size - a->used) && add_chunk(a, n) < 0)
		return NULL;
	p = (char *)a->chunks + a->used;
	a->used += n;
	return p;
}

static void free_down_to(struct arena *a, size_t keep)
{
	while (a->chunks && (a->chunks->older || a->chunks->size > keep)) {
		struct arena_chunk *c = a->chunks;

		a->chunks = c->older;
		a->mapped -= c->size;
		raw_munmap(c, c->size);
	}
}

void arena_reset(struct arena *a)
{
	free_down_to(a, ARENA_CHUNK);
	a->used = sizeof(struct arena_chunk);
}

void arena_free(struct arena *a)
{
	free_down_to(a, 0);
	a->used = 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/block.h"

#include "base/pool.h"

static struct pool small, large;

int block_init(void)
{
	int err = pool_init(&small, BLOCK_SMALL, BLOCK_SMALL_COUNT);

	return err ? err : pool_init(&large, BLOCK_LARGE, BLOCK_LARGE_COUNT);
}

void *block_get(size_t size, size_t *got)
{
	void *block = NULL;

	if (size <= BLOCK_SMALL) {
		*got = BLOCK_SMALL;
		block = pool_get(&small);
	}
	if (!block && size <= BLOCK_LARGE) {
		*got = BLOCK_LARGE;
		block = pool_get(&large);
	}
	return block;
}

void block_put(void *block)
{
	char *p = block;

	if (!p)
		return;
	if (p >= small.objects && p < small.objects + (size_t)small.capacity * small.size)
		pool_put(&small, p);
	else
		pool_put(&large, p);
}

uint32_t block_in_use(void)
{
	return pool_in_use(&small) + pool_in_use(&large);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers for what does not fit where it usually does: cut heads, altered heads, long values. Two
 * sizes, both bounded in number. */
#ifndef SHIM_BLOCK_H
#define SHIM_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#define BLOCK_SMALL       4096
#define BLOCK_LARGE       (65536 + 32768)
#define BLOCK_SMALL_COUNT 4096
#define BLOCK_LARGE_COUNT 128

int block_init(void);
/* A block of at least `size` bytes, *got its real size; NULL when none is free or size is past
 * BLOCK_LARGE. 16-aligned. */
void *block_get(size_t size, size_t *got);
void block_put(void *block);
uint32_t block_in_use(void); /* for tests */

#endif

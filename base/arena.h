/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is given back all at once: chunks straight from the kernel, cut off from the front.
 * One owner at a time; neither thread-safe nor async-signal-safe. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#define ARENA_CHUNK 65536 /* bytes of an ordinary chunk; larger requests get their own */

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* newest first; the oldest is kept by arena_reset() */
	size_t used;                /* of the newest chunk, its head included */
	size_t mapped;              /* all chunks together */
	size_t max;                 /* mapped never exceeds it */
};

/* Takes no memory yet. 0, or -EINVAL when max_bytes is below one chunk. */
int arena_init(struct arena *a, size_t max_bytes);

/* n bytes on a border of 16, undefined in content; NULL past max_bytes. n == 0 is 1. */
void *arena_alloc(struct arena *a, size_t n);

/* Takes back everything handed out; one chunk stays mapped for the next round. */
void arena_reset(struct arena *a);

/* Returns all memory. The arena may be used again, empty. */
void arena_free(struct arena *a);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Where the decoders of hpack.c and all that nghttp2 keeps for them live: a pool for each size,
 * mapped when the first connection needs it. For hpack.c and its tests. */
#ifndef SHIM_HPACK_MEMORY_H
#define SHIM_HPACK_MEMORY_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hpack_memory {
	nghttp2_mem functions; /* what nghttp2 allocates by, for this decoder */
	uint32_t held;         /* bytes handed out, rounded up as they are */
	uint32_t limit;        /* of `held` */
};

struct hpack {
	struct hpack_memory memory;
	nghttp2_hd_inflater *inflater;
	char *text; /* decoded strings of the last field, or NULL */
	uint32_t text_size;
	int error; /* of the first call that failed: the table is not as the encoder's any more */
	bool lent; /* the text's memory is the caller's */
	bool limited;   /* the inflater is to see the next field: a size update may be due */
	bool in_block;  /* a field was read, and the block is not over */
	bool inflating; /* the inflater has read one of them */
};

/* Ready to give at most `limit` bytes. The struct must not move. */
void hpack_memory_begin(struct hpack_memory *m, uint32_t limit);
/* n bytes, or NULL: past the limit, or all of this size are in use. */
void *hpack_memory_get(struct hpack_memory *m, size_t n);
void hpack_memory_put(struct hpack_memory *m, void *p); /* NULL is fine */

/* Bytes in use by all decoders. For tests: right only while nobody takes or gives. */
size_t hpack_memory_in_use(void);

#endif

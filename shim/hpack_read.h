/* SPDX-License-Identifier: Apache-2.0 */
/* Representations of a header block as they stand there (RFC 7541 section 6): pure functions on
 * bytes. For hpack.c and its tests. */
#ifndef SHIM_HPACK_READ_H
#define SHIM_HPACK_READ_H

#include <sys/types.h>
#include "shim/hpack.h"

struct hpack_string {
	size_t at, n; /* of its bytes in the block */
	bool huffman;
};

struct hpack_representation {
	uint32_t index;            /* of the entry, or of that with the name; 0: it is a string */
	uint8_t form;              /* enum hpack_form */
	struct hpack_string name;  /* n and at are 0 when indexed */
	struct hpack_string value; /* the same */
	size_t at, end;
};

/* The one that begins at `from`, size updates before it passed by. False: there is none, or it is
 * not whole or not sound. */
bool hpack_represented(struct hpack_representation *r, struct bytes block, size_t from);

/* The most bytes that so many of the static Huffman code stand for: the shortest codes have five
 * bits. */
#define HPACK_HUFFMAN_ROOM(n) ((n)*8 / 5)

/* What the code stands for, into HPACK_HUFFMAN_ROOM() bytes: their number. -1: it is broken, or one
 * of the bytes is so rare that another decoder has to be asked. */
ssize_t hpack_huffman_get(char *to, struct bytes code);

#endif

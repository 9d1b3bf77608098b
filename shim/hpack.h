/* SPDX-License-Identifier: Apache-2.0 */
/* Header compression of HTTP/2 (RFC 7541). Async-signal-safe, no lock; one decoder is one thread's
 * at a time. */
#ifndef SHIM_HPACK_H
#define SHIM_HPACK_H

#include "base/bytes.h"

#define HPACK_TABLE_MAX 65536      /* of SETTINGS_HEADER_TABLE_SIZE that is followed */
#define HPACK_HELD_MAX  (1u << 19) /* bytes one decoder may hold; past it -ENOMEM */

/* One decoder per direction of an HTTP/2 connection, from byte zero. */
struct hpack;

struct hpack *hpack_open(void);    /* NULL: no memory (bounded) */
void hpack_close(struct hpack *h); /* NULL is fine */

/* SETTINGS_HEADER_TABLE_SIZE of the receiver of these blocks is in force: a larger one once it was
 * sent, a smaller one with its acknowledgement, since the block after it must begin with a size
 * update, or is broken (RFC 7541 section 4.2). Between blocks only. 0;
 * -E2BIG past HPACK_TABLE_MAX: the caller gives the connection up; the error of hpack_next() after
 * one; -EBADMSG inside a block. */
int hpack_limit_table(struct hpack *h, uint32_t size);

enum hpack_form { HPACK_INDEXED, HPACK_INDEXING, HPACK_WITHOUT_INDEXING, HPACK_NEVER_INDEXED };

struct hpack_field {
	struct bytes name, value; /* valid until the next call */
	/* The representation's bytes in the block; size updates before it are not part of it. */
	size_t at, end;
	uint8_t form;    /* enum hpack_form */
	bool huffman;    /* of the value */
	size_t value_at; /* first byte of the value's string, after its length; 0 when indexed */
};

/* pos starts at 0. 1: a field; 0: the block is over (and the table is as the encoder's); -EBADMSG:
 * broken, the connection is lost; -ENOMEM. After an error each call gives the same one. Only whole
 * blocks: all CONTINUATION frames joined. */
int hpack_next(struct hpack *h, struct bytes block, size_t *pos, struct hpack_field *field);

/* Memory for the strings of the block that is read next, so that none need be taken: to be left
 * alone until the call that tells its end, or an error. */
void hpack_lend(struct hpack *h, char *room, size_t size);

/* Literal without indexing, plain strings (RFC 7541 section 6.2.2): the peer's table does not move.
 * Bytes written, 0 when it does not fit. */
size_t hpack_put(char *to, size_t room, struct bytes name, struct bytes value);

/* Bits of the text in the static Huffman code (RFC 7541 appendix B), and coding it, padded with
 * ones to whole bytes: bytes written, 0 when there is no room. */
size_t hpack_huffman_bits(struct bytes text);
size_t hpack_huffman_put(char *to, size_t room, struct bytes text);

#endif

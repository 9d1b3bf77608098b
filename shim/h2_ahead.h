/* SPDX-License-Identifier: Apache-2.0 */
/* Header blocks that were decoded before they left, so that something could be put into them.
 * Blocks leave in the order in which they were encoded, or the peer could not decode them: frames
 * between them may change places until they have left, the blocks do not. */
#ifndef SHIM_H2_AHEAD_H
#define SHIM_H2_AHEAD_H

#include "shim/block.h"
#include "shim/h2_block.h"

enum h2_action {
	H2_LEAVE,   /* the block goes out as it is */
	H2_INSERT,  /* our fields at its end */
	H2_REPLACE, /* the traceparent it has, by ours; what else it lacks at its end */
	H2_RESTORE  /* a reference to a traceparent by the value that the program means */
};

struct h2_ahead_entry {
	uint32_t stream, length;       /* of the block: what it is known by */
	uint32_t exchange, generation; /* whose context goes into it */
	uint32_t at, end;              /* the representation that is replaced */
	uint32_t list;                 /* size of the header list: RFC 9113 section 6.5.2 */
	uint16_t has;                  /* context fields the block has: bits of h2_fields.h */
	uint8_t action, form;
	bool ends;
};

#define H2_AHEAD_MAX ((BLOCK_SMALL - 16) / sizeof(struct h2_ahead_entry))

struct h2_ahead {
	uint32_t count;
	struct h2_ahead_entry entry[H2_AHEAD_MAX]; /* oldest first */
};

void h2_ahead_free(struct h2 *h);

/* Room for one more, zeroed but for stream, length and ends; NULL: none (counted). */
struct h2_ahead_entry *h2_ahead_add(struct h2 *h, const struct h2_block *b);

/* A block has left whole. 1: it was decoded before, and what it means has come about; 0: none was;
 * -EBADMSG: another one was. */
int h2_ahead_left(struct conn *c, const struct h2_block *b);

#endif

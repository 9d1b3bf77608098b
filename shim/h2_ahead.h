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
	/* The traceparent it has by what the program means, or by what it may say to that host. */
	H2_RESTORE
};

void h2_ahead_free(struct h2 *h);

/* Room for one more, zeroed but for stream, length and ends; NULL: none (counted). */
struct h2_ahead_entry *h2_ahead_add(struct h2 *h, const struct h2_block *b);

/* A block has left whole. 1: it was decoded before, and what it means has come about; 0: none was;
 * -EBADMSG: another one was. */
int h2_ahead_left(struct conn *c, const struct h2_block *b);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Header blocks: what they open and what they add. */
#ifndef SHIM_H2_BLOCK_H
#define SHIM_H2_BLOCK_H

#include "shim/h2.h"
#include "shim/h2_head.h"
#include "shim/inbound.h"
#include "shim/link.h"

/* A block that was decoded, and what came of it. */
struct h2_decoded {
	struct h2_head head;
	char *room;              /* what the head's texts stand in: a block */
	size_t size;             /* of it */
	struct exchange *opened; /* by a request, or NULL */
	struct link link;        /* of one that is written */
};

/* d->room: NULL, or of a block decoded before. 0 or -errno: the connection is to be given up. Pair
 * with h2_decoded_free(). */
int h2_decode(const struct h2_block *b, struct h2_decoded *d);
void h2_decoded_free(struct h2_decoded *d);

/* Whether the block begins a request that we have not seen. */
bool h2_block_is_new_request(const struct h2_block *b);

/* Takes what a decoded block says, but for the end of its stream. A new request's exchange is in
 * d->opened and found by its stream. Read ones are not yet candidates. 0 or -errno. */
int h2_block_take(const struct h2_block *b, struct h2_decoded *d, bool dontwait);

/* The same stream's END_STREAM, if the block has it. */
void h2_block_over(const struct h2_block *b);

/* The inbound side of rule "header" for a request that was read: as inbound_rewrite(). frame: see
 * h2_block_moved(). */
size_t h2_inbound_rewrite(const struct h2_block *b, struct h2_decoded *d,
			  struct inbound_place *place, ssize_t frame);

#endif

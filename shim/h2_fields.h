/* SPDX-License-Identifier: Apache-2.0 */
/* Our fields for the header block of a request, by what was planned when the block was decoded. */
#ifndef SHIM_H2_FIELDS_H
#define SHIM_H2_FIELDS_H

#include "shim/h2_ahead.h"

/* A literal of traceparent without Huffman coding: its form, both lengths, both texts. */
#define H2_TRACEPARENT_LITERAL (1 + 1 + 11 + 1 + TRACEPARENT_LEN)

/* Decides what is to be done with the block of a request that is about to leave. */
void h2_fields_plan(struct h2_ahead_entry *entry, const struct h2_block *b, struct h2_decoded *d);

/* Our server span's id leaves with the request: it gets no span. */
void h2_fields_leave(struct exchange *e);

/* The exchange whose context goes into it; NULL: it is over. */
struct exchange *h2_fields_owner(const struct h2_ahead_entry *entry);

/* The representation that replaces the block's own traceparent. Table entries stay in step: what
 * the program adds to the table is added, with another value of the same length. */
void h2_fields_replacement(char to[static H2_TRACEPARENT_LITERAL],
			   const struct h2_ahead_entry *entry, const struct exchange *e);

/* Bytes that are enough for h2_fields_put(). */
size_t h2_fields_room(const struct exchange *e);

/* The fields that the block lacks, as literals without indexing, so that the peer's table does not
 * move. *list grows by their size in the header list. Bytes written. */
size_t h2_fields_put(char *to, size_t room, const struct h2_ahead_entry *entry,
		     const struct exchange *e, size_t *list);

/* Receivers refuse header lists past a limit: what they announce, else usual ones. Whether a list
 * of `before` bytes may grow to `after`. */
bool h2_fields_allowed(size_t before, size_t after, uint32_t announced);

#endif

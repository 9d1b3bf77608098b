/* SPDX-License-Identifier: Apache-2.0 */
/* The image of bytes that are on their way: what the program writes, with parts replaced. It stands
 * in the connection's alteration; here is which of its bytes stand for which of the program's. */
#ifndef SHIM_H2_EDIT_H
#define SHIM_H2_EDIT_H

#include "shim/block.h"
#include "shim/h2.h"

void h2_edits_free(struct h2 *h);

/* ---- building: the source is w's bytes from w->base on ---- */

/* A state to come back to when what was begun cannot be finished. */
struct h2_edits_mark {
	uint32_t covered, total, count;
};
struct h2_edits_mark h2_edits_mark(const struct h2 *h);
void h2_edits_back(struct h2 *h, struct h2_edits_mark mark);

/* The image as far as the program's byte `at`, unaltered. -ENOMEM, -EFAULT. */
int h2_edits_copy(struct conn *c, const struct shim_write *w, size_t at);

/* The same, and a block begins there. */
int h2_edits_begin_block(struct conn *c, const struct shim_write *w, size_t at);

/* There the text in place of the program's next `del` bytes. */
int h2_edits_replace(struct conn *c, size_t del, struct bytes text);

/* Room for n more bytes behind the image; NULL: none. */
char *h2_edits_room(struct conn *c, size_t n);

/* ---- sending ---- */

/* How many of the program's bytes are behind the image's first n. Inside a replaced part: as many
 * as can be told the program without its being through with the part. */
size_t h2_edits_program(const struct h2_edits *e, size_t n);

/* The image's first n bytes have left: what follows the blocks that have begun to leave is taken
 * out of it, since the program may come again with other frames before that. False: nothing is
 * left. */
bool h2_edits_cut(struct h2_edits *e, size_t n);

/* Bytes of the image that stand for the program's first n, with what is put in behind them. */
size_t h2_edits_image(const struct h2_edits *e, size_t n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A way through the parts of what a program writes. Begins as { .w = w }. */
#ifndef SHIM_H2_CURSOR_H
#define SHIM_H2_CURSOR_H

#include "shim/h2.h"

struct h2_cursor {
	const struct shim_write *w;
	size_t at;         /* bytes that were passed by */
	struct bytes here; /* what is left of the part where that is */
	int part;          /* the one after it */
};

/* False: there are not so many. */
bool h2_cursor_skip(struct h2_cursor *c, size_t n);

/* The next n bytes, passed by: where they stand, if that is in one piece, else in `room`. NULL:
 * they are not there, or cannot be read. */
const char *h2_cursor_take(struct h2_cursor *c, char *room, size_t n);

/* The same, but copied behind what the buffer holds. 0; -ENODATA: as NULL; or its error. */
int h2_cursor_view(struct h2_cursor *c, size_t n, struct h2_buffer *copy, struct bytes *out);

#endif

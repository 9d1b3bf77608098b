/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a request head that was prepared in one call, for those who see it leave. All
 * with the connection acquired. */
#ifndef SHIM_INJECT_H
#define SHIM_INJECT_H

#include "shim/conn.h"

/* A whole head is about to leave: its exchange, its link, its header, and in w->iov the image of
 * it. length: bytes of this call's that belong to it. */
void inject_prepare(struct conn *c, struct shim_write *w, const struct http1_head *head,
		    struct bytes whole, size_t length);

/* The prepared head has left whole: its exchange begins, and what follows is its body. */
void inject_head_left(struct conn *c, int fd);

/* The program's bytes [from, to) of a call have left. */
void inject_sent(struct conn *c, const struct shim_write *w, size_t from, size_t to);

/* Whether the socket waits; whether an error ends the connection. */
bool inject_is_blocking(const struct shim_write *w);
bool inject_is_fatal(int error);

/* After bytes have left: whether the next ones go on with a body. */
void inject_note_body(struct conn *c);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a request head that was prepared in one call, for those who see it leave. All
 * with the connection acquired. */
#ifndef SHIM_INJECT_H
#define SHIM_INJECT_H

#include "shim/conn.h"

/* The prepared head has left whole: its exchange begins, and what follows is its body. */
void inject_head_left(struct conn *c, int fd);

/* After bytes have left: whether the next ones go on with a body. */
void inject_note_body(struct conn *c);

#endif

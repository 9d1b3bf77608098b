/* SPDX-License-Identifier: Apache-2.0 */
/* A look at frames before they leave. */
#ifndef SHIM_H2_LOOK_H
#define SHIM_H2_LOOK_H

#include "shim/h2.h"

/* Looks at the program's bytes from w->base on: decodes the header blocks that are whole there, and
 * builds the image (c->h2->edits, c->alter) of what is to be sent in their place, as far as
 * something is. *until: where to stop, an offset from w->base, because what follows found no room
 * and is to be looked at again when that has left; SIZE_MAX: nowhere. 0 or -errno: the connection
 * is to be given up. */
int h2_look(struct conn *c, const struct shim_write *w, size_t *until);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Outgoing requests gain a trace header inside the program's own call. */
#ifndef SHIM_INJECT_H
#define SHIM_INJECT_H

#include "shim/conn.h"

/* A request head that is seen only now that it has been sent (a second one in the same call): it
 * gets its exchange, but no header. */
void inject_head_unprepared(struct conn *c, int fd, const struct http1_head *head,
			    struct bytes whole);

#endif

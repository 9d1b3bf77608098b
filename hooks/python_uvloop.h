/* SPDX-License-Identifier: Apache-2.0 */
/* uvloop, 0.17 to 0.23: libuv reads and writes, with no method of Python's in between.
 *
 * It calls a program's protocols back in a context it enters for that, right behind the read they
 * are called for; all connections of a server share one. What was read is put there until it leaves
 * the context. A new connection is known by being asked for its peer's name just before its
 * protocol is told. What is written to a transport leaves later, outside of any context: it is
 * counted, and whose it is, where it is written. */
#ifndef HOOKS_PYTHON_UVLOOP_H
#define HOOKS_PYTHON_UVLOOP_H

#include "base/image.h"
#include "hooks/python_flow.h"

/* Stands in the import slots of the loop, if m is it: false, it is not known. */
bool python_uvloop_find(const struct image *m);

/* Whether one of its callbacks runs on this thread; and what its context is to carry until it
 * returns. With the GIL. */
bool python_uvloop_calls_back(void);
void python_uvloop_carry(const struct shim_flow *now);

#endif

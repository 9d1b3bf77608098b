/* SPDX-License-Identifier: Apache-2.0 */
/* A net under code of static archives (protobuf-c): a failed assertion or a smashed stack in there
 * must neither end the program nor go on. It comes back to guard_begin(), which then answers 1:
 *
 *	struct guard g;
 *
 *	if (guard_begin(&g))
 *		return -EFAULT;    locals changed since guard_begin() are undefined
 *	n = pack(...);
 *	guard_end();
 *
 * begin and end in one function; not nested; no return between them. */
#ifndef BASE_GUARD_H
#define BASE_GUARD_H

#include <stddef.h>
#include "base/thread.h"

struct guard {
	void *state[5];
};

/* A macro, as the frame it comes back to must be the caller's. */
#define guard_begin(g) (thread_state.guard = (g), __builtin_setjmp((g)->state))

static inline void guard_end(void)
{
	thread_state.guard = NULL;
}

#endif

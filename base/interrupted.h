/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_INTERRUPTED_H
#define BASE_INTERRUPTED_H

#include <stdbool.h>

/* True when this thread may be in a signal handler of the program's: a signal that has one is
 * blocked, as its own is while it runs, and the way back from it stands on the stack, or the stack
 * is the one for signals. Not noticed are handlers with SA_NODEFER, and deep ones. */
bool may_have_interrupted(void);

#endif

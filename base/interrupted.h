/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_INTERRUPTED_H
#define BASE_INTERRUPTED_H

#include <stdbool.h>

/* True when this thread seems to be in a signal handler of the program's: a signal that has one is
 * blocked, and near by on the stack the kernel's return address stands. Not noticed are handlers
 * with SA_NODEFER and those that have gone very deep. */
bool may_have_interrupted(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Whether this process runs on valgrind, which knows fewer system calls than the kernel, says so on
 * the program's standard error, and takes a thread that is left at the end for a leak. */
#ifndef BASE_VALGRIND_H
#define BASE_VALGRIND_H

#include <stdbool.h>

#ifdef __x86_64__
#include "base/valgrind_x86_64.h"
#else
#include "base/valgrind_any.h"
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* code.stacktrace: where in the program the span ended, by libunwind, only when TAGALONG_STACKTRACE
 * asks for it. */
#ifndef SHIM_STACKTRACE_H
#define SHIM_STACKTRACE_H

#include <stdbool.h>
#include "exporter/record.h"

/* Opens libunwind when it is wanted (one warning when it is not there). From the constructor only:
 * this calls the loader. */
void stacktrace_init(void);

/* Adds the stack of the calling thread when `error` or the duration asks for it: frames as
 * "function+0x1f (module)", at most 32, at most 2 ms. */
void stacktrace_put(struct record *r, bool error, uint64_t duration_ns);

#endif

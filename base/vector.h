/* SPDX-License-Identifier: Apache-2.0 */
/* Sixteen bytes at a time, by vectors of the compiler's own: comparing two gives 0xff where it
 * holds and 0 where it does not. */
#ifndef BASE_VECTOR_H
#define BASE_VECTOR_H

#include <stdint.h>

typedef uint8_t vec16 __attribute__((vector_size(16))); /* vectors have no other declaration */

/* unsigned vec16_first(vec16 hits): index of the first byte that is 0xff, 16 when all are 0. */
#ifdef __x86_64__
#include "base/vector_x86_64.h"
#else
#include "base/vector_any.h"
#endif

#endif

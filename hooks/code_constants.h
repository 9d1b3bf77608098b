/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses that a function's code names: how a constant is found to which nothing but that code
 * leads. The code is read, not run. */
#ifndef HOOKS_CODE_CONSTANTS_H
#define HOOKS_CODE_CONSTANTS_H

#include <stddef.h>
#include <stdint.h>

#define CODE_LOOKED_AT 96 /* bytes from a function's start */

#ifdef __x86_64__
#include "hooks/code_constants_x86_64.h"
#else
#include "hooks/code_constants_any.h"
#endif

#endif

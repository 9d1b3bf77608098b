/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_LIMITS_H
#define SHIM_LIMITS_H

#include "shim/wire/http1.h"

/* Receivers refuse heads past one of 4, 8, 16, 32, 64 KiB or of 64, 100, 128 lines: whether the
 * head may grow by these lines of ours without crossing one on our account. */
bool limits_allow(const struct http1_head *head, struct bytes lines);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOOKS_CLOSE_H
#define HOOKS_CLOSE_H

#include <linux/close_range.h>
#include "hooks/hook.h"

typedef int (*close_range_fn)(unsigned first, unsigned last, int flags);

/* close_range() through `call`, without what is ours. */
int close_range_around(close_range_fn call, unsigned first, unsigned last, int flags);

#endif

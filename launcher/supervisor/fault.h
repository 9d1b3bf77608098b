/* SPDX-License-Identifier: Apache-2.0 */
/* A net under the reading of memory that another process can take away (by truncating its file):
 *
 *	sigjmp_buf here;
 *
 *	if (fault_begin(here))
 *		return -EFAULT;    locals changed since fault_begin() are undefined
 *	...
 *	fault_end();
 *
 * begin and end in one function; not nested. */
#ifndef LAUNCHER_SUPERVISOR_FAULT_H
#define LAUNCHER_SUPERVISOR_FAULT_H

#include <setjmp.h>
#include <stddef.h>

extern _Thread_local sigjmp_buf *fault_return;

/* Once, before any thread. */
void fault_init(void);

#define fault_begin(buffer) (fault_return = &(buffer), sigsetjmp(buffer, 0))

static inline void fault_end(void)
{
	fault_return = NULL;
}

#endif

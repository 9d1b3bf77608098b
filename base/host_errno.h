/* SPDX-License-Identifier: Apache-2.0 */
/* The program's errno, where a libc is behind us. Ours is never touched: raw calls return theirs.
 */
#ifndef BASE_HOST_ERRNO_H
#define BASE_HOST_ERRNO_H

#include <errno.h>

extern int *__errno_location(void) __attribute__((weak));

static inline int host_errno(void)
{
	return __errno_location ? *__errno_location() : 0;
}

static inline void host_errno_set(int value)
{
	if (__errno_location)
		*__errno_location() = value;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A processor for which its request is not written down. Included by base/valgrind.h only. */
#ifndef BASE_VALGRIND_ANY_H
#define BASE_VALGRIND_ANY_H

static inline bool on_valgrind(void)
{
	return false;
}

#endif

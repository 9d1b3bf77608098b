/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs that end at a page nobody may touch: one byte read too many is a crash, not luck. */
#ifndef TESTS_UNIT_GUARD_H
#define TESTS_UNIT_GUARD_H

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/bytes.h"

/* A copy of p[0..n) whose end is followed by a PROT_NONE page. guard_free() it. */
static inline struct bytes guard_copy(const void *p, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (n + page - 1) / page * page;
	char *map =
		mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED || mprotect(map + size, page, PROT_NONE) != 0)
		abort();
	if (n)
		memcpy(map + size - n, p, n);
	return (struct bytes){ map + size - n, n };
}

static inline struct bytes guard_string(const char *s)
{
	return guard_copy(s, strlen(s));
}

/* b as guard_copy() returned it. */
static inline void guard_free(struct bytes b)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (b.n + page - 1) / page * page;

	munmap((void *)(b.p + b.n - size), size + page);
}

#endif

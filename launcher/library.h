/* SPDX-License-Identifier: Apache-2.0 */
/* Where libtagalong.so is, and how it gets into LD_PRELOAD. */
#ifndef LAUNCHER_LIBRARY_H
#define LAUNCHER_LIBRARY_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define LIBRARY_NAME "libtagalong.so"

struct library {
	char path[PATH_MAX];
	char problem[2 * PATH_MAX + 256]; /* "" when it can be preloaded */
	bool private;                     /* other users cannot read it */
};

/* Looks beside this program, then in ../lib/ and ../lib/tagalong/. */
void library_find(struct library *library);

/* Which entry of LD_PRELOAD's value is ours: the same file, or another copy of it. */
enum preload_entry { PRELOAD_ABSENT, PRELOAD_SAME, PRELOAD_OTHER_COPY };
enum preload_entry library_in_preload(const struct library *library, const char *preload);

/* Calls fn for each path in LD_PRELOAD's value (separated by colons and white space). */
void preload_each(const char *preload, void (*fn)(void *arg, const char *path), void *arg);

/* LD_PRELOAD in our environment gains the library at its end, once. */
void library_preload(const struct library *library);

#endif

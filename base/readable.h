/* SPDX-License-Identifier: Apache-2.0 */
/* The program's memory before the kernel has had it: a bad pointer is to be answered EFAULT by the
 * kernel, not met by us. */
#ifndef BASE_READABLE_H
#define BASE_READABLE_H

#include <stdbool.h>
#include <stddef.h>

/* Whether all of p[0..n) may be read. A page that was readable once is not asked for again, so that
 * what is written over and over costs a load a page; one that was unmapped since is taken for what
 * it was. Behind a seccomp filter everything is. */
bool memory_readable(const void *p, size_t n);

/* Whether p[0..n), 8 bytes to a page that the caller is going to overwrite behind bytes that were
 * written just now, may be. Asks (and writes) only where a page begins in it. */
bool memory_writable(void *p, size_t n);

/* Whether the aligned word may be written to at this moment; it may when the kernel does not say.
 * It keeps its value, also when others write to it meanwhile. */
bool memory_writable_now(void *word);

#endif

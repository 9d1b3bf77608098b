/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the functions behind ours without dlsym() (which may call malloc, take the loader's lock,
 * or be absent: before glibc 2.34 it lives in libdl). Reads the dynamic symbol tables of the loaded
 * objects in load order, as dlsym(RTLD_NEXT) would from this library. For start-up only. */
#ifndef BASE_SYMBOLS_H
#define BASE_SYMBOLS_H

#include <stddef.h>

/* The default version of `name` in the first object after ours that defines it, or NULL; in any
 * object when `ours` (an address in this library) is NULL. STT_GNU_IFUNC symbols are resolved. */
void *symbols_find(const char *name, const void *ours);

/* The same for many names in one walk over the objects; `found` is NULL before. */
struct symbol {
	const char *name;
	void *found;
};
void symbols_find_all(struct symbol *symbols, size_t count, const void *ours);

/* A function the kernel maps into every process, or NULL. It returns -errno. */
void *symbols_find_vdso(const char *name);

#endif

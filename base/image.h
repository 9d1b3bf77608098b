/* SPDX-License-Identifier: Apache-2.0 */
/* A loaded object (the program, a library), read where it lies in memory. */
#ifndef BASE_IMAGE_H
#define BASE_IMAGE_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One loaded object and its dynamic symbols. */
struct image {
	uintptr_t base; /* what its addresses are relative to */
	const ElfW(Phdr) * phdr;
	size_t phdr_count;
	const ElfW(Dyn) * dynamic;
	const ElfW(Sym) * symbols;
	const char *strings;
	const uint32_t *gnu_hash, *hash;
	const ElfW(Half) * versions;
};

/* Fills the rest from base, phdr and phdr_count. False: it has no symbols to look up. */
bool image_read(struct image *m);

/* The default version of `name`, or NULL. STT_GNU_IFUNC symbols are resolved. */
void *image_find(const struct image *m, const char *name);

/* The kernel's, of which protections are: AArch64 has 4, 16 or 64 KiB. */
uintptr_t image_page_size(void);

bool image_contains(const struct image *m, uintptr_t address);

/* Where the address in an entry of the dynamic section points to, or NULL: not into the object. */
const void *image_pointer(const struct image *m, uintptr_t value);

/* What others call it (DT_SONAME), or NULL; whether it asks for a library of that name. */
const char *image_name(const struct image *m);
bool image_needs(const struct image *m, const char *name);

/* Whether code is there; how [from, to), memory that is not written to, is protected (PROT_*), or
 * -1: it can be written to, or is none of the object's. */
bool image_is_code(const struct image *m, uintptr_t address);
int image_protection(const struct image *m, uintptr_t from, uintptr_t to, uintptr_t page);

#endif

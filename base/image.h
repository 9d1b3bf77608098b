/* SPDX-License-Identifier: Apache-2.0 */
/* A loaded object (the program, a library), read where it lies in memory. Whatever its tables say,
 * only what lies in its segments is read: loaders look at less of them than we do. */
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
	const ElfW(Dyn) * dynamic; /* without the DT_NULL that ends it */
	const ElfW(Sym) * symbols;
	const char *strings; /* the last of them ends */
	const uint32_t *gnu_hash, *hash;
	const ElfW(Half) * versions;
	/* How many there are, of all but the first two: at the most. */
	size_t dynamic_count, strings_n, symbols_n, gnu_hash_n, hash_n, versions_n;
};

/* Fills the rest from base, phdr and phdr_count. False: it has no symbols to look up. */
bool image_read(struct image *m);

/* The default version of `name`, or NULL. STT_GNU_IFUNC symbols are resolved. */
void *image_find(const struct image *m, const char *name);

/* The same for one that is going to be called: NULL as well when the name is one of data. */
void *image_find_code(const struct image *m, const char *name);

/* The kernel's, of which protections are: AArch64 has 4, 16 or 64 KiB. */
uintptr_t image_page_size(void);

bool image_contains(const struct image *m, uintptr_t address);

/* How many elements of a size there are from `p` to the end of the segment it lies in, one that is
 * there to be read; 0: it lies in none. */
size_t image_room(const struct image *m, const void *p, size_t size);

/* Where the address in an entry of the dynamic section points to, or NULL: not into the object. */
const void *image_pointer(const struct image *m, uintptr_t value);

/* The text at an offset in its strings, the name of a symbol; "" when there is none. */
const char *image_text(const struct image *m, uint64_t offset);
const char *image_symbol_name(const struct image *m, uint32_t index);

/* What others call it (DT_SONAME), or NULL; whether it asks for a library of that name. */
const char *image_name(const struct image *m);
bool image_needs(const struct image *m, const char *name);

/* Whether code is there; how [from, to), memory that is not written to, is protected (PROT_*), or
 * -1: it can be written to, or is none of the object's. */
bool image_is_code(const struct image *m, uintptr_t address);
int image_protection(const struct image *m, uintptr_t from, uintptr_t to, uintptr_t page);

#endif

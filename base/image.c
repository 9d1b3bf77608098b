/* SPDX-License-Identifier: Apache-2.0 */
#include "base/image.h"

#include <elf.h>
#include <sys/mman.h>
#include "base/bytes.h"

#define PAGE_SIZE_MIN  4096ul
#define VERSION_HIDDEN 0x8000 /* in DT_VERSYM: not the default version of its name */

extern unsigned long getauxval(unsigned long type) __attribute__((weak));

uintptr_t image_page_size(void)
{
	uintptr_t size = getauxval ? getauxval(AT_PAGESZ) : 0;

	return size ? size : PAGE_SIZE_MIN;
}

bool image_contains(const struct image *m, uintptr_t address)
{
	for (size_t i = 0; i < m->phdr_count; i++)
		if (m->phdr[i].p_type == PT_LOAD &&
		    address - (m->base + m->phdr[i].p_vaddr) < m->phdr[i].p_memsz)
			return true;
	return false;
}

/* glibc has made absolute addresses of the pointers in the dynamic section, musl leaves them as
 * they stand in the file, and so does everybody for the vDSO. */
const void *image_pointer(const struct image *m, uintptr_t value)
{
	if (!image_contains(m, value))
		value += m->base;
	return image_contains(m, value) ? (const void *)value : NULL;
}

bool image_read(struct image *m)
{
	const ElfW(Dyn) * d;

	for (size_t i = 0; i < m->phdr_count; i++)
		if (m->phdr[i].p_type == PT_DYNAMIC)
			m->dynamic = (const void *)(m->base + m->phdr[i].p_vaddr);
	for (d = m->dynamic; d && d->d_tag != DT_NULL; d++) {
		uintptr_t value = d->d_un.d_ptr;

		if (d->d_tag == DT_SYMTAB)
			m->symbols = image_pointer(m, value);
		else if (d->d_tag == DT_STRTAB)
			m->strings = image_pointer(m, value);
		else if (d->d_tag == DT_HASH)
			m->hash = image_pointer(m, value);
		else if (d->d_tag == DT_GNU_HASH)
			m->gnu_hash = image_pointer(m, value);
		else if (d->d_tag == DT_VERSYM)
			m->versions = image_pointer(m, value);
	}
	return m->symbols && m->strings && (m->gnu_hash || m->hash);
}

static bool matches(const struct image *m, uint32_t index, const char *name)
{
	const ElfW(Sym) *s = &m->symbols[index];
	unsigned type = ELF64_ST_TYPE(s->st_info), binding = ELF64_ST_BIND(s->st_info);

	if (s->st_shndx == SHN_UNDEF || s->st_value == 0)
		return false;
	if (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE && type != STT_OBJECT)
		return false;
	if (binding != STB_GLOBAL && binding != STB_WEAK && binding != STB_GNU_UNIQUE)
		return false;
	if (m->versions && (m->versions[index] & VERSION_HIDDEN))
		return false;
	return strcmp(m->strings + s->st_name, name) == 0;
}

/* The table of DT_GNU_HASH: { buckets, first symbol, bloom words, bloom shift }, the bloom filter,
 * (of 64-bit words) the buckets, then one hash per symbol whose lowest bit ends a chain. */
static uint32_t find_gnu(const struct image *m, const char *name)
{
	uint32_t buckets = m->gnu_hash[0], first = m->gnu_hash[1], words = m->gnu_hash[2];
	const uint64_t *bloom = (const void *)(m->gnu_hash + 4);
	const uint32_t *bucket = m->gnu_hash + 4 + words * 2;
	const uint32_t *chain = bucket + buckets;
	uint32_t h = 5381, i;

	for (const char *c = name; *c; c++)
		h = h * 33 + (unsigned char)*c;
	if (words) { /* most objects say here that they do not have it */
		uint64_t word = bloom[h / 64 % words];

		if (!(word >> h % 64 & word >> (h >> m->gnu_hash[3]) % 64 & 1))
			return 0;
	}
	i = buckets ? bucket[h % buckets] : 0;
	if (i < first)
		return 0;
	for (;; i++) {
		uint32_t other = chain[i - first];

		if ((other | 1) == (h | 1) && matches(m, i, name))
			return i;
		if (other & 1)
			return 0;
	}
}

/* The System V table: { buckets, symbols }, the buckets, then the chain of each symbol. */
static uint32_t find_sysv(const struct image *m, const char *name)
{
	uint32_t buckets = m->hash[0], h = 0, i;

	for (const char *c = name; *c; c++) {
		uint32_t high;

		h = (h << 4) + (unsigned char)*c;
		high = h & 0xf0000000;
		h = (h ^ high >> 24) & ~high;
	}
	i = buckets ? m->hash[2 + h % buckets] : 0;
	while (i && !matches(m, i, name))
		i = m->hash[2 + buckets + i];
	return i;
}

/* An IFUNC's address is that of a function that chooses. x86-64 passes it nothing; AArch64 the
 * capabilities of the processor, and a struct of them that the flag announces. */
static void *choose(uintptr_t resolver)
{
	const struct {
		unsigned long size, capabilities, capabilities2;
	} extended = { sizeof(extended), getauxval ? getauxval(AT_HWCAP) : 0, 0 };

	return ((void *(*)(unsigned long, const void *))resolver)(extended.capabilities | 1ul << 62,
								  &extended);
}

void *image_find(const struct image *m, const char *name)
{
	uint32_t i = m->gnu_hash ? find_gnu(m, name) : find_sysv(m, name);
	uintptr_t address;

	if (i == 0)
		return NULL;
	address = m->base + m->symbols[i].st_value;
	if (ELF64_ST_TYPE(m->symbols[i].st_info) == STT_GNU_IFUNC)
		return choose(address);
	return (void *)address;
}

const char *image_name(const struct image *m)
{
	for (const ElfW(Dyn) *d = m->dynamic; d && d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_SONAME)
			return m->strings + d->d_un.d_val;
	return NULL;
}

bool image_needs(const struct image *m, const char *name)
{
	for (const ElfW(Dyn) *d = m->dynamic; name && d && d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_NEEDED && strcmp(m->strings + d->d_un.d_val, name) == 0)
			return true;
	return false;
}

bool image_is_code(const struct image *m, uintptr_t address)
{
	for (size_t i = 0; i < m->phdr_count; i++)
		if (m->phdr[i].p_type == PT_LOAD && m->phdr[i].p_flags & PF_X &&
		    address - (m->base + m->phdr[i].p_vaddr) < m->phdr[i].p_filesz)
			return true;
	return false;
}

/* Loaders protect the pages that lie whole in PT_GNU_RELRO, from the one its start is in. */
int image_protection(const struct image *m, uintptr_t from, uintptr_t to, uintptr_t page)
{
	for (size_t i = 0; i < m->phdr_count; i++) {
		const ElfW(Phdr) *p = &m->phdr[i];
		uintptr_t start = m->base + p->p_vaddr, end = start + p->p_memsz;

		if (p->p_type == PT_GNU_RELRO)
			end &= ~(page - 1);
		else if (p->p_type == PT_LOAD && p->p_flags & PF_R && !(p->p_flags & PF_W))
			end = (end + page - 1) & ~(page - 1);
		else
			continue;
		if (from >= (start & ~(page - 1)) && to <= end)
			return PROT_READ |
			       (p->p_type == PT_LOAD && p->p_flags & PF_X ? PROT_EXEC : 0);
	}
	return -1;
}

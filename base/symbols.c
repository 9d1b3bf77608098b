/* SPDX-License-Identifier: Apache-2.0 */
#include "base/symbols.h"

#include <elf.h>
#include <link.h>
#include "base/bytes.h"
#include "base/raw.h"

#define VERSION_HIDDEN 0x8000 /* in DT_VERSYM: not the default version of its name */

/* libc's, when there is one. */
extern int dl_iterate_phdr(int (*fn)(struct dl_phdr_info *, size_t, void *), void *)
	__attribute__((weak));
extern unsigned long getauxval(unsigned long type) __attribute__((weak));
extern int *__errno_location(void) __attribute__((weak));

/* One loaded object and its dynamic symbols. */
struct image {
	uintptr_t base; /* what its addresses are relative to */
	const ElfW(Phdr) * phdr;
	size_t phdr_count;
	const ElfW(Sym) * symbols;
	const char *strings;
	const uint32_t *gnu_hash, *hash;
	const ElfW(Half) * versions;
};

static bool image_contains(const struct image *m, uintptr_t address)
{
	for (size_t i = 0; i < m->phdr_count; i++)
		if (m->phdr[i].p_type == PT_LOAD &&
		    address - (m->base + m->phdr[i].p_vaddr) < m->phdr[i].p_memsz)
			return true;
	return false;
}

/* glibc has made absolute addresses of the pointers in the dynamic section, musl leaves them as
 * they stand in the file, and so does everybody for the vDSO. */
static const void *image_pointer(const struct image *m, uintptr_t value)
{
	if (!image_contains(m, value))
		value += m->base;
	return image_contains(m, value) ? (const void *)value : NULL;
}

static bool image_read(struct image *m)
{
	const ElfW(Dyn) *d = NULL;

	for (size_t i = 0; i < m->phdr_count; i++)
		if (m->phdr[i].p_type == PT_DYNAMIC)
			d = (const void *)(m->base + m->phdr[i].p_vaddr);
	for (; d && d->d_tag != DT_NULL; d++) {
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

static void *image_find(const struct image *m, const char *name)
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

/* 0 when there is none; asking for what is not there sets errno, which is 0 when main() starts. */
static uintptr_t vdso_address(void)
{
	int saved = __errno_location ? *__errno_location() : 0;
	uintptr_t address = getauxval ? getauxval(AT_SYSINFO_EHDR) : 0;

	if (__errno_location)
		*__errno_location() = saved;
	return address;
}

struct search {
	struct symbol *symbols;
	size_t count, left; /* of them, not found yet */
	uintptr_t ours;
	bool ours_passed;
	uintptr_t vdso;
};

static int look_into(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct search *s = arg;
	struct image m = {
		.base = info->dlpi_addr,
		.phdr = info->dlpi_phdr,
		.phdr_count = info->dlpi_phnum,
	};

	(void)size;
	if (!s->ours_passed) {
		s->ours_passed = image_contains(&m, s->ours);
		return 0;
	}
	/* The kernel's own library has clock_gettime and more, but they do not set errno. */
	if ((s->vdso && image_contains(&m, s->vdso)) || !image_read(&m))
		return 0;
	for (size_t i = 0; i < s->count; i++) {
		struct symbol *symbol = &s->symbols[i];

		if (symbol->found)
			continue;
		symbol->found = image_find(&m, symbol->name);
		s->left -= symbol->found != NULL;
	}
	return s->left == 0;
}

void symbols_find_all(struct symbol *symbols, size_t count, const void *ours)
{
	struct search s = {
		.symbols = symbols,
		.count = count,
		.left = count,
		.ours = (uintptr_t)ours,
		.ours_passed = ours == NULL,
		.vdso = vdso_address(),
	};

	if (dl_iterate_phdr)
		dl_iterate_phdr(look_into, &s);
}

void *symbols_find(const char *name, const void *ours)
{
	struct symbol symbol = { name, NULL };

	symbols_find_all(&symbol, 1, ours);
	return symbol.found;
}

void *symbols_find_vdso(const char *name)
{
	const ElfW(Ehdr) *head = (const void *)vdso_address();
	struct image m = { 0 };

	if (!head)
		return NULL;
	m.phdr = (const void *)((const char *)head + head->e_phoff);
	m.phdr_count = head->e_phnum;
	for (size_t i = m.phdr_count; i-- > 0;)
		if (m.phdr[i].p_type == PT_LOAD)
			m.base = (uintptr_t)head + m.phdr[i].p_offset - m.phdr[i].p_vaddr;
	return image_read(&m) ? image_find(&m, name) : NULL;
}

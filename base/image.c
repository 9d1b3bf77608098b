/* SPDX-License-Identifier: Apache-2.0 */
#include "base/image.h"

#include <elf.h>
#include <sys/mman.h>
#include "base/bytes.h"

#define PAGE_SIZE_MIN  4096ul
#define VERSION_HIDDEN 0x8000 /* in DT_VERSYM: not the default version of its name */
#define GNU_HEAD       4      /* words in front of a table of DT_GNU_HASH */
#define SYSV_HEAD      2      /* and of one of DT_HASH */

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

size_t image_room(const struct image *m, const void *p, size_t size)
{
	for (size_t i = 0; i < m->phdr_count; i++) {
		uintptr_t into = (uintptr_t)p - (m->base + m->phdr[i].p_vaddr);

		if (m->phdr[i].p_type == PT_LOAD && m->phdr[i].p_flags & PF_R &&
		    into < m->phdr[i].p_memsz)
			return (m->phdr[i].p_memsz - into) / size;
	}
	return 0;
}

static void find_dynamic(struct image *m)
{
	const ElfW(Dyn) * d;

	for (size_t i = 0; i < m->phdr_count; i++) {
		if (m->phdr[i].p_type != PT_DYNAMIC)
			continue;
		d = (const void *)(m->base + m->phdr[i].p_vaddr);
		m->dynamic_count = 0;
		if ((uintptr_t)d % sizeof(uintptr_t))
			continue;
		m->dynamic = d;
		m->dynamic_count = image_room(m, d, sizeof(*d));
	}
	for (size_t i = 0; i < m->dynamic_count; i++)
		if (m->dynamic[i].d_tag == DT_NULL)
			m->dynamic_count = i;
}

/* A table of elements of a size, aligned as their words are, or NULL; and how many they may be. */
static const void *table_at(const struct image *m, uintptr_t value, size_t size, size_t align,
			    size_t *count)
{
	const void *p = image_pointer(m, value);

	*count = p && (uintptr_t)p % align == 0 ? image_room(m, p, size) : 0;
	return *count ? p : NULL;
}

/* Whatever offset is inside them is a text that ends. */
static void bound_strings(struct image *m, size_t size)
{
	if (size && size < m->strings_n)
		m->strings_n = size;
	while (m->strings_n && m->strings[m->strings_n - 1])
		m->strings_n--;
	if (!m->strings_n)
		m->strings = NULL;
}

bool image_read(struct image *m)
{
	size_t strings = 0;

	find_dynamic(m);
	for (size_t i = 0; i < m->dynamic_count; i++) {
		uintptr_t value = m->dynamic[i].d_un.d_ptr;

		switch (m->dynamic[i].d_tag) {
		case DT_SYMTAB:
			m->symbols = table_at(m, value, sizeof(*m->symbols), 8, &m->symbols_n);
			break;
		case DT_STRTAB:
			m->strings = table_at(m, value, 1, 1, &m->strings_n);
			break;
		case DT_STRSZ:
			strings = value;
			break;
		case DT_HASH:
			m->hash = table_at(m, value, sizeof(*m->hash), 4, &m->hash_n);
			break;
		case DT_GNU_HASH:
			m->gnu_hash = table_at(m, value, sizeof(*m->gnu_hash), 4, &m->gnu_hash_n);
			break;
		case DT_VERSYM:
			m->versions = table_at(m, value, sizeof(*m->versions), 2, &m->versions_n);
			break;
		default:
			break;
		}
	}
	bound_strings(m, strings);
	return m->symbols && m->strings && (m->gnu_hash || m->hash);
}

const char *image_text(const struct image *m, uint64_t offset)
{
	return offset < m->strings_n ? m->strings + offset : "";
}

const char *image_symbol_name(const struct image *m, uint32_t index)
{
	return index < m->symbols_n ? image_text(m, m->symbols[index].st_name) : "";
}

static bool matches(const struct image *m, uint32_t index, const char *name)
{
	const ElfW(Sym) *s = &m->symbols[index];
	unsigned type, binding;

	if (index >= m->symbols_n)
		return false;
	type = ELF64_ST_TYPE(s->st_info);
	binding = ELF64_ST_BIND(s->st_info);
	if (s->st_shndx == SHN_UNDEF || s->st_value == 0)
		return false;
	if (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE && type != STT_OBJECT)
		return false;
	if (binding != STB_GLOBAL && binding != STB_WEAK && binding != STB_GNU_UNIQUE)
		return false;
	if (index < m->versions_n && (m->versions[index] & VERSION_HIDDEN))
		return false;
	return strcmp(image_text(m, s->st_name), name) == 0;
}

/* The table of DT_GNU_HASH: { buckets, first symbol, bloom words, bloom shift }, the bloom filter,
 * (of 64-bit words) the buckets, then one hash per symbol whose lowest bit ends a chain. */
static uint32_t find_gnu(const struct image *m, const char *name)
{
	const uint64_t buckets = m->gnu_hash[0], words = m->gnu_hash[2];
	const uint64_t chains = GNU_HEAD + words * 2 + buckets; /* where they begin */
	uint32_t first = m->gnu_hash[1], h = 5381, i;

	if (chains > m->gnu_hash_n)
		return 0;
	for (const char *c = name; *c; c++)
		h = h * 33 + (unsigned char)*c;
	if (words) { /* most objects say here that they do not have it */
		uint64_t word;

		memcpy(&word, m->gnu_hash + GNU_HEAD + h / 64 % words * 2, sizeof(word));
		if (!(word >> h % 64 & word >> (h >> m->gnu_hash[3] % 32) % 64 & 1))
			return 0;
	}
	i = buckets ? m->gnu_hash[GNU_HEAD + words * 2 + h % buckets] : 0;
	if (i < first)
		return 0;
	for (; i - first < m->gnu_hash_n - chains; i++) {
		uint32_t other = m->gnu_hash[chains + (i - first)];

		if ((other | 1) == (h | 1) && matches(m, i, name))
			return i;
		if (other & 1)
			return 0;
	}
	return 0;
}

/* The System V table: { buckets, symbols }, the buckets, then the chain of each symbol. */
static uint32_t find_sysv(const struct image *m, const char *name)
{
	const uint64_t buckets = m->hash[0], chains = SYSV_HEAD + buckets; /* where they begin */
	uint32_t h = 0, i;

	if (chains > m->hash_n)
		return 0;
	for (const char *c = name; *c; c++) {
		uint32_t high;

		h = (h << 4) + (unsigned char)*c;
		high = h & 0xf0000000;
		h = (h ^ high >> 24) & ~high;
	}
	i = buckets ? m->hash[SYSV_HEAD + h % buckets] : 0;
	/* No chain is longer than all of them. */
	for (size_t n = m->hash_n - chains; i && i < m->hash_n - chains && n; n--) {
		if (matches(m, i, name))
			return i;
		i = m->hash[chains + i];
	}
	return 0;
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
		return image_is_code(m, address) ? choose(address) : NULL;
	return (void *)address;
}

void *image_find_code(const struct image *m, const char *name)
{
	void *p = image_find(m, name);

	return image_is_code(m, (uintptr_t)p) ? p : NULL;
}

const char *image_name(const struct image *m)
{
	for (size_t i = 0; i < m->dynamic_count; i++)
		if (m->dynamic[i].d_tag == DT_SONAME)
			return image_text(m, m->dynamic[i].d_un.d_val);
	return NULL;
}

bool image_needs(const struct image *m, const char *name)
{
	for (size_t i = 0; name && i < m->dynamic_count; i++)
		if (m->dynamic[i].d_tag == DT_NEEDED &&
		    strcmp(image_text(m, m->dynamic[i].d_un.d_val), name) == 0)
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

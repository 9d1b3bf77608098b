/* SPDX-License-Identifier: Apache-2.0 */
#include "base/symbols.h"

#include <elf.h>
#include <link.h>
#include "base/image.h"

/* libc's, when there is one. */
extern int dl_iterate_phdr(int (*fn)(struct dl_phdr_info *, size_t, void *), void *)
	__attribute__((weak));
extern unsigned long getauxval(unsigned long type) __attribute__((weak));
extern int *__errno_location(void) __attribute__((weak));

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

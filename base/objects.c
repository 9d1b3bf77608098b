/* SPDX-License-Identifier: Apache-2.0 */
#include "base/objects.h"

#include <elf.h>
#include "base/bytes.h"
#include "base/readable.h"

#define HEAD_MAX 4096 /* an ELF head and its program headers, as linkers place them */

extern unsigned long getauxval(unsigned long type) __attribute__((weak));

/* The program's own image, as the kernel has told it. Where a loader was started to load it
 * (musl's, which is no program and does not say where it is) that is the loader's. */
static bool program_image(struct image *m)
{
	*m = (struct image){ .base = 0 };
	if (!getauxval)
		return false;
	m->phdr = (const void *)getauxval(AT_PHDR);
	m->phdr_count = getauxval(AT_PHNUM);
	for (size_t i = 0; m->phdr && i < m->phdr_count; i++)
		if (m->phdr[i].p_type == PT_PHDR)
			m->base = (uintptr_t)m->phdr - m->phdr[i].p_vaddr;
	return m->phdr && image_contains(m, (uintptr_t)m->phdr) && image_read(m);
}

static const struct r_debug *loaders_list(const struct image *program)
{
	for (size_t i = 0; i < program->dynamic_count; i++)
		if (program->dynamic[i].d_tag == DT_DEBUG)
			return (const void *)program->dynamic[i].d_un.d_ptr;
	return NULL;
}

static bool is_settled(const struct r_debug *list)
{
	return __atomic_load_n(&list->r_state, __ATOMIC_ACQUIRE) == RT_CONSISTENT;
}

/* A library begins with its head. */
static bool library_image(struct image *m, const struct link_map *l)
{
	const ElfW(Ehdr) *head = (const void *)l->l_addr;

	if (!memory_readable(head, sizeof(*head)) || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 ||
	    head->e_phentsize != sizeof(ElfW(Phdr)) || head->e_phoff > HEAD_MAX ||
	    head->e_phoff + head->e_phnum * sizeof(ElfW(Phdr)) > HEAD_MAX)
		return false;
	*m = (struct image){ .base = l->l_addr,
			     .phdr = (const void *)(l->l_addr + head->e_phoff),
			     .phdr_count = head->e_phnum };
	return memory_readable(m->phdr, m->phdr_count * sizeof(ElfW(Phdr))) && image_read(m);
}

/* A module for a character set: glibc unloads by itself what has not been used lately, whoever
 * reads it meanwhile. There is nothing in it to stand in front of. */
static bool comes_and_goes(const struct link_map *l)
{
	struct bytes name, folder = BYTES("/gconv/");

	if (!memory_readable(l->l_name, 1))
		return false;
	name = bytes_of(l->l_name);
	for (; name.n >= folder.n; name.p++, name.n--)
		if (bytes_start_with(name, folder))
			return true;
	return false;
}

bool objects_each(bool (*fn)(void *arg, const struct image *m), void *arg)
{
	const struct r_debug *list;
	const struct link_map *l;
	struct image program, m;

	if (!program_image(&program))
		return false;
	list = loaders_list(&program);
	if (!list || !is_settled(list))
		return false;
	if (fn(arg, &program))
		return true;
	l = list->r_map; /* the program again */
	for (unsigned i = 0; l && i < OBJECTS_MAX; i++) {
		if (!is_settled(list) || !memory_readable(l, sizeof(*l)))
			return false;
		if (i && !comes_and_goes(l) && library_image(&m, l) && fn(arg, &m))
			return true;
		l = l->l_next;
	}
	return true;
}

bool object_is_relocated(const struct image *m)
{
	uintptr_t page = image_page_size();

	for (size_t i = 0; i < m->phdr_count; i++) {
		uintptr_t start = (m->base + m->phdr[i].p_vaddr) & ~(page - 1);
		uintptr_t end = (m->base + m->phdr[i].p_vaddr + m->phdr[i].p_memsz) & ~(page - 1);

		if (m->phdr[i].p_type == PT_GNU_RELRO && start < end)
			return !memory_writable_now((void *)start);
	}
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of methods in an object that is laid out here: names, then data. */
#include <criterion/criterion.h>
#include <elf.h>
#include <sys/mman.h>
#include "hooks/python_tables.h"

#define PAGE 4096ul

static const char *const names[] = { "send", "recv", NULL };

/* A page that nobody may touch lies between the two segments, and behind them. */
struct module {
	struct image image;
	ElfW(Phdr) phdr[4];
	char *text;
	struct python_method *table;
};

static void segment(ElfW(Phdr) * p, const struct module *m, const void *at, size_t n,
		    unsigned flags)
{
	*p = (ElfW(Phdr)){ .p_type = PT_LOAD,
			   .p_flags = flags,
			   .p_vaddr = (uintptr_t)at - m->image.base,
			   .p_memsz = n,
			   .p_filesz = n };
}

static void relro(struct module *m, const void *from, size_t n)
{
	segment(&m->phdr[2], m, from, n, PF_R);
	m->phdr[2].p_type = PT_GNU_RELRO;
}

static void make(struct module *m)
{
	char *p = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(p, MAP_FAILED);
	cr_assert_eq(mprotect(p, PAGE, PROT_READ | PROT_WRITE), 0);
	cr_assert_eq(mprotect(p + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
	*m = (struct module){ .text = p, .table = (void *)(p + 2 * PAGE + 512) };
	m->image = (struct image){ .base = (uintptr_t)p, .phdr = m->phdr, .phdr_count = 3 };
	segment(&m->phdr[0], m, p, PAGE, PF_R | PF_X);
	segment(&m->phdr[1], m, p + 2 * PAGE, PAGE, PF_R | PF_W);
	memcpy(p, "send\0recv\0close", 16);
	m->table[0] = (struct python_method){ p + 10, p + 100, PYTHON_NOARGS, NULL };
	m->table[1] = (struct python_method){ p, p + 200, PYTHON_VARARGS, NULL };
	m->table[2] = (struct python_method){ p + 5, p + 300, PYTHON_VARARGS, NULL };
}

Test(python_tables, one_with_these_methods_is_found)
{
	struct module m;

	make(&m);
	cr_assert_eq(python_table_find(&m.image, names, NULL), m.table);
	cr_assert_eq(python_table_find(&m.image, names, "shutdown"), m.table);
	cr_assert_null(python_table_find(&m.image, names, "close"));
	cr_assert_eq(python_table_method(m.table, "recv"), &m.table[2]);
	m.table[2].function = &m; /* no code of the module's */
	cr_assert_null(python_table_find(&m.image, names, NULL));
}

Test(python_tables, a_second_one_means_that_none_is_known)
{
	struct module m;

	make(&m);
	memcpy(m.table + 10, m.table, 3 * sizeof(*m.table));
	cr_assert_null(python_table_find(&m.image, names, NULL));
}

Test(python_tables, what_is_protected_after_relocation_is_not_written_to)
{
	struct module m;

	make(&m);
	relro(&m, m.text + 2 * PAGE, 512);
	cr_assert_eq(python_table_find(&m.image, names, NULL), m.table);
	relro(&m, m.text + 2 * PAGE, 512 + 3 * sizeof(*m.table));
	cr_assert_null(python_table_find(&m.image, names, NULL));
	/* It may reach further than what is in the file. */
	m.phdr[1].p_filesz = 3000;
	relro(&m, m.text + 2 * PAGE, PAGE);
	cr_assert_null(python_table_find(&m.image, names, NULL));
	relro(&m, m.text, PAGE);
	cr_assert_eq(python_table_find(&m.image, names, NULL), m.table);
}

Test(python_tables, what_lies_between_segments_is_not_read)
{
	struct module m;
	const char **word;

	make(&m);
	word = (const char **)(void *)(m.text + 2 * PAGE + 2048);
	for (int at = -70; at < 70; at++) {
		word[0] = m.text + 2 * PAGE + at;
		word[4] = m.text + PAGE + at;
		python_table_find(&m.image, names, NULL);
	}
}

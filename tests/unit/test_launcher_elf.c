/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "launcher/elf_file.h"

static char path[] = "/tmp/tagalong-elf-XXXXXX";

static void make_file(void)
{
	close(mkstemp(path));
}

static void remove_file(void)
{
	unlink(path);
}

TestSuite(elf_file, .init = make_file, .fini = remove_file);

static int opened(struct elf_file *elf, const void *bytes, size_t n)
{
	FILE *out = fopen(path, "w");

	fwrite(bytes, 1, n, out);
	fclose(out);
	return elf_file_open(elf, path);
}

Test(elf_file, knows_this_program)
{
	struct elf_file elf;

	cr_assert_eq(elf_file_open(&elf, "/proc/self/exe"), 0);
	cr_assert(elf.native);
	cr_assert_eq(elf.bits, 64);
	cr_assert(!elf.go);
	cr_assert(strstr(elf.interpreter, "ld-linux"));
	cr_assert_not_null(elf_file_needs(&elf, "libc.so"));
	cr_assert_null(elf_file_needs(&elf, "libnothing"));
	cr_assert(elf_file_names(&elf, "mkstemp"));
	cr_assert(!elf_file_names(&elf, "kstemp"));
	elf_file_close(&elf);
}

Test(elf_file, bears_this_program_cut_short_and_damaged)
{
	struct elf_file elf;
	static char bytes[65536];
	FILE *self = fopen("/proc/self/exe", "r");
	size_t n = fread(bytes, 1, sizeof(bytes), self);

	fclose(self);
	for (size_t cut = 1; cut < n; cut += cut < 1200 ? 1 : 997)
		if (opened(&elf, bytes, cut) == 0)
			elf_file_close(&elf);
	srand(7);
	for (int i = 0; i < 2000; i++) {
		size_t at = (size_t)rand() % 1200;
		char before = bytes[at];

		bytes[at] = (char)rand();
		if (opened(&elf, bytes, n) == 0) {
			elf_file_names(&elf, "x");
			elf_file_close(&elf);
		}
		if (i % 5)
			bytes[at] = before;
	}
}

Test(elf_file, tells_other_processors)
{
	Elf64_Ehdr head = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB },
			    .e_machine = EM_RISCV };
	struct elf_file elf;

	cr_assert_eq(opened(&elf, &head, sizeof(head)), 0);
	cr_assert(!elf.native);
	cr_assert_str_eq(elf_machine_name(elf.machine), "RISC-V");
	head.e_ident[EI_CLASS] = ELFCLASS32;
	head.e_ident[EI_DATA] = ELFDATA2MSB;
	head.e_machine = __builtin_bswap16(EM_MIPS);
	cr_assert_eq(opened(&elf, &head, sizeof(head)), 0);
	cr_assert_eq(elf.bits, 32);
	cr_assert_str_eq(elf_machine_name(elf.machine), "MIPS");
}

Test(elf_file, refuses_other_files)
{
	struct elf_file elf;

	cr_assert_eq(opened(&elf, "#!/bin/sh\n", 10), -ENOEXEC);
	cr_assert_eq(opened(&elf, "", 0), -ENOEXEC);
	cr_assert_eq(opened(&elf, "\177ELF", 4), -EBADMSG);
	cr_assert_eq(elf_file_open(&elf, "/nonexistent"), -ENOENT);
	cr_assert_eq(elf_file_open(&elf, "/tmp"), -ENOEXEC);
}
